"""Types as expressions and functions name them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from raceline.data.datatype import DataType, TypeCategory
from raceline.errors import PlanError


@pytest.mark.parametrize(
    ("made", "arrow", "printed"),
    [
        (DataType.int64(), pa.int64(), "DataType(arrow:int64)"),
        (DataType.float32(), pa.float32(), "DataType(arrow:float)"),
        (DataType.bool(), pa.bool_(), "DataType(arrow:bool)"),
        (DataType.from_numpy("float32"), pa.float32(), "DataType(numpy:float32)"),
        (DataType.from_dtype(np.int8), pa.int8(), "DataType(numpy:int8)"),
        (
            DataType.from_dtype(pd.ArrowDtype(pa.date32())),
            pa.date32(),
            "DataType(arrow:date32[day])",
        ),
        (DataType(int), pa.int64(), "DataType(python:int)"),
        (DataType.infer_dtype(2.5), pa.float64(), "DataType(arrow:double)"),
        (DataType.infer_dtype(np.zeros(2, "uint8")), pa.uint8(), "DataType(numpy:uint8)"),
        (
            DataType.map(DataType.string(), DataType.list(DataType.int8())),
            pa.map_(pa.string(), pa.list_(pa.int8())),
            "DataType(arrow:map<string, list<item: int8>>)",
        ),
        (
            DataType.temporal("time64", "ns"),
            pa.time64("ns"),
            "DataType(arrow:time64[ns])",
        ),
    ],
)
def test_types_are_those_of_arrow(made, arrow, printed):
    assert made.to_arrow_dtype() == arrow
    assert repr(made) == printed
    assert pa.schema([pa.field("a", made.to_arrow_dtype())]).field(0).type == arrow


def test_equal_types_are_equal_and_hash_alike():
    assert DataType.int64() == DataType.from_arrow(pa.int64()) == pa.int64()
    assert hash(DataType.int64()) == hash(DataType.from_arrow(pa.int64()))
    assert DataType.int64() != DataType(int)
    assert DataType.list() != DataType.list(DataType.int64())
    assert DataType.list() == DataType.list()
    assert DataType.int64() != 3


def test_categories_stand_for_all_of_their_types():
    for any_of, one, category in [
        (DataType.list(), DataType.list(DataType.int8()), "list"),
        (DataType.large_list(), DataType.large_list(DataType.int8()), "large_list"),
        (DataType.struct(), DataType.struct([("x", DataType.int8())]), "struct"),
        (DataType.map(), DataType.map(DataType.int8(), DataType.int8()), "map"),
        (DataType.tensor(), DataType.tensor((2,), DataType.int8()), "tensor"),
        (DataType.temporal(), DataType.temporal("duration"), "temporal"),
    ]:
        assert any_of.is_of(category) and one.is_of(TypeCategory(category))
        assert not DataType.int64().is_of(category)
        assert repr(any_of) == f"DataType({category}:ANY)"
        with pytest.raises(PlanError, match="stands for many types"):
            any_of.to_arrow_dtype()
    with pytest.raises(ValueError, match="is not a valid TypeCategory"):
        DataType.int64().is_of("number")


def test_predicates_tell_one_kind_from_others():
    kinds = {
        "boolean": DataType.bool(),
        "integer": DataType.int8(),
        "floating": DataType.float32(),
        "string": DataType.string(),
        "binary": DataType.binary(),
        "null": DataType.from_arrow(pa.null()),
    }
    for kind in kinds:
        for other, one in kinds.items():
            assert getattr(one, f"is_{kind}_type")() == (kind == other), (kind, other)
    assert DataType.from_numpy("uint64").is_uint64_type()
    assert DataType(float).is_numerical_type() and not DataType(str).is_numerical_type()
    assert DataType.list().is_nested_type() and not DataType.int8().is_nested_type()
    assert not DataType(object).is_integer_type()


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: DataType.from_arrow("int64"), TypeError, "a type of pyarrow is needed"),
        (lambda: DataType.from_dtype("int65"), TypeError, "`'int65'` is no type"),
        (lambda: DataType.temporal("date"), PlanError, "no type `date` of times"),
        (lambda: DataType.temporal("date32", unit="s"), PlanError, "`date32` has no unit"),
        (lambda: DataType.temporal("duration", tz="UTC"), PlanError, "`duration` has no zone"),
        (lambda: DataType.map(DataType.int8()), PlanError, "a map needs both types"),
        (lambda: DataType.tensor((2,)), PlanError, "a tensor needs both"),
        (lambda: DataType(object).to_arrow_dtype(), TypeError, "no type for `object`"),
        (lambda: DataType.int8().to_python_type(), TypeError, "wraps no class of Python"),
    ],
)
def test_what_is_no_type_is_refused(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_numpy_has_a_type_for_each():
    assert DataType.int8().to_numpy_dtype() == np.dtype("int8")
    assert DataType.string().to_numpy_dtype() == np.dtype(object)
    assert DataType.temporal("timestamp", "ms").to_numpy_dtype() == np.dtype("datetime64[ms]")
