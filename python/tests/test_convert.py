"""Arrow to Python values and back, without an engine."""

from __future__ import annotations

import datetime as dt
import gc
import warnings
from collections import OrderedDict, UserDict
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from worker_batches import from_rows, from_values, rows_of

from raceline._native import WorkerBatch, is_plain_value, value_to_batches


def batch_of(columns: dict[str, Any]) -> WorkerBatch:
    [batch] = value_to_batches(columns)
    return batch


def round_trip(values: list[Any]) -> list[Any]:
    return [row["x"] for row in rows_of(from_rows([{"x": value} for value in values]))]


def arrow_type(values: list[Any]) -> str:
    pa = pytest.importorskip("pyarrow")
    return str(pa.table(from_rows([{"x": value} for value in values])).schema.types[0])


KOLKATA = ZoneInfo("Asia/Kolkata")

PLAIN_COLUMNS = [
    [1, -(2**63), 2**63 - 1, None],
    [2**64 - 1, 0],
    [True, None, False],
    [1.5, None, float("inf"), -0.0],
    ["", "naïve", "日本", None, "a\0b"],
    [b"", b"\xff\0", None],
    [None, None],
    [dt.datetime(2026, 11, 23, 1, 2, 3, 456789), None, dt.datetime(1, 1, 1)],
    [dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC), None],
    [dt.datetime(2026, 7, 1, 12, tzinfo=KOLKATA)],
    [dt.datetime(2026, 7, 1, 12, tzinfo=dt.timezone(-dt.timedelta(hours=3, minutes=30)))],
    [dt.date(2026, 1, 1), None, dt.date(1969, 12, 31)],
    [dt.time(23, 59, 59, 999999), None, dt.time()],
    [dt.timedelta(days=-1, microseconds=7), None],
    [Decimal("1.50"), None, Decimal("-20"), Decimal("0.001"), Decimal("1E+3")],
    [[1, 2], [], None, [None, 3]],
    [[["a"], []], [[None]], None],
    [{"a": 1, "b": "x"}, None, {"a": 2, "b": None}],
    [{"a": [{"b": 1}]}, {"a": []}],
]


@pytest.mark.parametrize("values", PLAIN_COLUMNS, ids=repr)
def test_values_come_back_as_they_were(values: list[Any]) -> None:
    back = round_trip(values)
    assert back == values
    assert [type(value) for value in back] == [type(value) for value in values]


def test_an_empty_list_of_rows_is_an_empty_batch() -> None:
    batch = from_rows([])
    assert (batch.num_rows, rows_of(batch), batch.numpy()) == (0, [], {})


def test_rows_without_columns_are_counted() -> None:
    assert rows_of(from_rows([{}, {}])) == [{}, {}]


def test_columns_are_the_union_of_keys_in_order_of_first_sight() -> None:
    rows = [{"b": 1}, {"a": 2, "b": 3}, {"c": 4}]
    back = rows_of(from_rows(rows))
    assert [list(row.items()) for row in back] == [
        [("b", 1), ("a", None), ("c", None)],
        [("b", 3), ("a", 2), ("c", None)],
        [("b", None), ("a", None), ("c", 4)],
    ]


def test_any_mapping_is_a_row() -> None:
    rows = [OrderedDict(a=1), UserDict(a=2), MappingProxyType({"a": 3})]
    assert rows_of(from_rows(rows)) == [{"a": 1}, {"a": 2}, {"a": 3}]


def test_a_row_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError) as error:
        from_rows([{"a": 1}, 5])
    assert str(error.value) == (
        "row 1 must be a mapping of column name to value, got `int`\n"
        '  hint: return a dict, such as `{"value": x}`'
    )


def test_a_column_name_must_be_a_string() -> None:
    with pytest.raises(TypeError, match="column names must be `str`, got `1` of type `int`"):
        from_rows([{1: 2}])
    with pytest.raises(TypeError, match="column names must be `str`, got `1` of type `int`"):
        value_to_batches({1: [2]})


def test_integers_and_floats_make_floats_while_that_is_exact() -> None:
    assert round_trip([1, 2.5, None]) == [1.0, 2.5, None]
    with pytest.warns(UserWarning, match="column `x`"):
        assert round_trip([2**53 + 1, 2.5]) == [2**53 + 1, 2.5]
    with pytest.warns(UserWarning, match="column `x`"):
        assert round_trip([-(2**63), 2.5]) == [-(2**63), 2.5]


def test_numpy_scalars_keep_their_type() -> None:
    assert arrow_type([np.int16(1), None]) == "int16"
    assert arrow_type([np.float32(1), np.float32(2)]) == "float"
    assert arrow_type([np.bool_(True)]) == "bool"
    assert arrow_type([np.datetime64(1, "ns"), None]) == "timestamp[ns]"
    assert arrow_type([np.int8(1), np.int32(2)]) == "int32"
    assert arrow_type([np.str_("a")]) == "string"
    assert arrow_type([np.bool_(True), False]) == "bool"
    assert round_trip([np.int64(1), 2.5, None]) == [1.0, 2.5, None]


def test_nanoseconds_are_kept() -> None:
    values = [np.datetime64(1_000_000_001, "ns"), None]
    assert round_trip(values) == values
    values = [np.timedelta64(1, "ns")]
    assert round_trip(values) == values
    pd = pytest.importorskip("pandas")
    stamp = pd.Timestamp("2026-01-01 00:00:00.000000001")
    with pytest.warns(UserWarning, match="column `x`"):
        assert round_trip([stamp]) == [stamp]
    assert round_trip([pd.Timestamp("2026-01-01"), pd.NaT]) == [dt.datetime(2026, 1, 1), None]


class Custom:
    def __init__(self, value: int) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and other.value == self.value

    __hash__ = None  # type: ignore[assignment]


@pytest.mark.parametrize(
    "values",
    [
        [Custom(1), None, Custom(2)],
        [1, "a"],
        [True, 1],
        [True, np.int64(1)],
        [1 + 2j],
        [2**64],
        [-1, 2**63],
        ["\ud800"],
        [{1: 2}],
        [[1], ["a"]],
        [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 1, tzinfo=dt.UTC)],
        [Decimal("NaN")],
    ],
    ids=repr,
)
def test_what_arrow_cannot_hold_travels_pickled(values: list[Any]) -> None:
    with pytest.warns(UserWarning, match="column `x` holds values that no Arrow type can hold"):
        batch = from_rows([{"x": value} for value in values])
    assert (
        repr([row["x"] for row in rows_of(batch)]) == repr(values)
        or [row["x"] for row in rows_of(batch)] == values
    )
    assert batch.numpy()["x"].dtype == object


def test_the_warning_names_column_and_types() -> None:
    with pytest.warns(UserWarning, match="column `x`") as caught:
        from_rows([{"x": Custom(1)}, {"x": 2}])
    first, second = sorted([f"{__name__}.Custom", "int"])
    assert str(caught[0].message) == (
        f"column `x` holds values that no Arrow type can hold (`{first}`, `{second}`): they "
        "are pickled, and such a column cannot be written to a file"
    )


# Arrays.


@pytest.mark.parametrize(
    "dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "?"]
)
@pytest.mark.parametrize("shape", [(6,), (0,), (3, 2), (3, 0), (1, 2, 3), (0, 4)], ids=str)
def test_arrays_come_back_as_they_were(dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(np.prod(shape)) % 2).astype(dtype).reshape(shape)
    back = batch_of({"x": array}).numpy()["x"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert (back == array).all()


@pytest.mark.parametrize("dtype", ["M8[s]", "M8[ms]", "M8[us]", "M8[ns]", "M8[D]", "m8[us]"])
def test_instants_come_back_with_their_unit(dtype: str) -> None:
    array = np.array([0, 1, 10**6], "i8").astype(dtype)
    array[1] = "NaT"
    back = batch_of({"x": array}).numpy()["x"]
    assert back.dtype == array.dtype
    assert np.array_equal(back, array, equal_nan=True)


def test_odd_arrays_are_read_right() -> None:
    base = np.arange(24, dtype=">i4").reshape(4, 6)
    back = batch_of({"strided": base[::2, 0], "fortran": np.asfortranarray(base)[:2]}).numpy()
    assert back["strided"].tolist() == [0, 12]
    assert back["fortran"].tolist() == base[:2].tolist()
    raw = np.zeros(9, "u1")
    unaligned = raw[1:].view("i8")
    assert batch_of({"x": unaligned}).numpy()["x"].tolist() == [0]
    hours = np.array([1, 2], "M8[h]")
    assert batch_of({"x": hours}).numpy()["x"].tolist() == hours.astype("M8[s]").tolist()


def test_strings_bytes_and_masked_arrays() -> None:
    batch = batch_of(
        {
            "u": np.array(["a", "bcd"]),
            "s": np.array([b"a", b"bcd"]),
            "o": np.array(["a", None], dtype=object),
            "m": np.ma.masked_array([1, 2], mask=[False, True]),
        }
    )
    assert rows_of(batch) == [
        {"u": "a", "s": b"a", "o": "a", "m": 1},
        {"u": "bcd", "s": b"bcd", "o": None, "m": None},
    ]


def test_views_are_read_only_and_keep_their_memory() -> None:
    batch = batch_of({"x": np.arange(1000), "t": np.ones((1000, 2))})
    views = batch.numpy()
    assert not views["x"].flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        views["t"][0, 0] = 2
    del batch
    gc.collect()
    assert views["x"].sum() == 499500
    assert views["t"].sum() == 2000


def test_writable_columns_are_copies() -> None:
    batch = batch_of({"x": np.arange(3)})
    copy = batch.numpy(writable=True)
    copy["x"][0] = 7
    assert batch.numpy()["x"].tolist() == [0, 1, 2]


def test_views_follow_a_slice() -> None:
    batch = batch_of(
        {"x": np.arange(5), "t": np.arange(10).reshape(5, 2), "b": [True] + [False] * 4}
    )
    part = batch.slice(1, 2).numpy()
    assert part["x"].tolist() == [1, 2]
    assert part["t"].tolist() == [[2, 3], [4, 5]]
    assert part["b"].tolist() == [False, False]


def test_nulls_in_arrays() -> None:
    batch = from_rows(
        [
            {"i": 1, "f": 1.5, "b": True, "s": "a", "d": dt.datetime(2026, 1, 1), "l": [1]},
            {"i": None, "f": None, "b": None, "s": None, "d": None, "l": None},
        ]
    )
    arrays = batch.numpy()
    assert arrays["i"].dtype == np.float64 and np.isnan(arrays["i"][1])
    assert np.isnan(arrays["f"][1])
    assert arrays["b"].tolist() == [True, None]
    assert arrays["s"].tolist() == ["a", None]
    assert np.isnat(arrays["d"][1])
    assert arrays["l"][0].tolist() == [1] and arrays["l"][1] is None


def test_lists_are_arrays_of_arrays() -> None:
    arrays = from_rows([{"l": [1, 2]}, {"l": []}, {"l": [3]}]).numpy()["l"]
    assert arrays.dtype == object
    assert [cell.tolist() for cell in arrays] == [[1, 2], [], [3]]
    assert all(cell.dtype == np.int64 for cell in arrays)


# Tensors.


def test_arrays_of_one_shape_make_a_fixed_tensor() -> None:
    rows = [{"t": np.full((2, 3), index, "u1")} for index in range(4)]
    batch = from_rows(rows)
    whole = batch.numpy()["t"]
    assert whole.shape == (4, 2, 3) and whole.dtype == np.uint8
    assert [row["t"].tolist() for row in rows_of(batch)] == [row["t"].tolist() for row in rows]


def test_arrays_of_different_shapes_make_a_variable_tensor() -> None:
    tensors = [np.ones((2, 3), "f4"), np.zeros((0, 3), "f4"), None, np.full((1, 1), 7, "f4")]
    batch = batch_of({"t": tensors})
    for cells in (batch.numpy()["t"], [row["t"] for row in rows_of(batch)]):
        assert cells[2] is None
        for cell, tensor in zip(cells, tensors, strict=True):
            if tensor is not None:
                assert cell.dtype == np.float32
                assert cell.shape == tensor.shape
                assert (cell == tensor).all()
    assert batch.slice(3, 1).numpy()["t"][0].tolist() == [[7.0]]


def test_a_batch_of_a_variable_tensor_with_one_shape_is_one_array() -> None:
    tensors = [np.full((2, 2), at, "u1") for at in range(4)]
    batch = batch_of({"t": [*tensors, np.zeros((1, 2), "u1"), None]})
    assert batch.numpy()["t"].dtype == object
    for first, rows in ((0, 4), (1, 3), (3, 1)):
        whole = batch.slice(first, rows).numpy()["t"]
        assert whole.shape == (rows, 2, 2) and whole.dtype == np.uint8
        assert whole[:, 0, 0].tolist() == list(range(first, first + rows))
        assert not whole.flags.writeable
    assert batch.slice(3, 2).numpy()["t"].dtype == object
    assert batch.slice(4, 2).numpy()["t"].tolist()[1] is None


def test_a_null_tensor_is_none() -> None:
    batch = batch_of({"t": [np.ones(2), None]})
    cells = batch.numpy()["t"]
    assert cells[0].tolist() == [1.0, 1.0] and cells[1] is None


def test_tensors_of_different_types_travel_as_objects() -> None:
    with pytest.warns(UserWarning, match="numpy.ndarray"):
        batch = batch_of({"t": [np.ones(2), np.ones((2, 2))]})
    assert batch.numpy()["t"][1].shape == (2, 2)


def test_lists_of_lists_stay_lists() -> None:
    assert rows_of(batch_of({"x": [[1, 2], [3, 4]]})) == [{"x": [1, 2]}, {"x": [3, 4]}]


def test_what_speaks_dlpack_is_a_tensor() -> None:
    class Tensor:
        def __init__(self, array: Any) -> None:
            self.array = array

        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            return self.array

        def __dlpack__(self, **options: Any) -> Any:
            return self.array.__dlpack__(**options)

    batch = batch_of({"whole": Tensor(np.ones((2, 3))), "cells": [Tensor(np.ones(4))] * 2})
    arrays = batch.numpy()
    assert arrays["whole"].shape == (2, 3)
    assert arrays["cells"].shape == (2, 4)


def test_an_image_is_an_object() -> None:
    image = pytest.importorskip("PIL.Image").new("RGB", (2, 2))
    with pytest.warns(UserWarning, match="PIL.Image.Image"):
        assert round_trip([image]) == [image]


# Batches.


def test_unequal_columns_are_named_with_their_lengths() -> None:
    with pytest.raises(ValueError, match="differ in length") as error:
        value_to_batches({"a": [1, 2], "b": np.arange(3)})
    assert str(error.value) == (
        "columns of one batch differ in length: `a` has 2, `b` has 3\n"
        "  hint: return one value a row in every column"
    )


@pytest.mark.parametrize(("value", "name"), [(1, "int"), ("text", "str"), (None, "NoneType")])
def test_a_scalar_is_no_column(value: Any, name: str) -> None:
    with pytest.raises(TypeError) as error:
        value_to_batches({"a": value})
    assert str(error.value).startswith(
        f"column `a` must be a list or an array with one value a row, got `{name}`"
    )


def test_a_batch_that_is_none_of_the_forms_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a batch must be a dict of columns, .* got `list`"):
        value_to_batches([1, 2])


def test_pyarrow_tables_pass_both_ways() -> None:
    pa = pytest.importorskip("pyarrow")
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "d": pa.array(["a", "b"]).dictionary_encode(),
            "l": pa.array([[1], None], pa.large_list(pa.int64())),
            "f": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2)),
            "v": pa.array(["x", None], pa.string_view()),
            "m": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
            "dec": pa.array([Decimal("1.5"), None], pa.decimal128(5, 2)),
            "h": pa.array([1.5, None], pa.float16()),
            "t": pa.array([1, 2], pa.time32("s")),
            "d64": pa.array([dt.date(2026, 1, 1), None], pa.date64()),
            "ts": pa.array([dt.datetime(2026, 1, 1), None], pa.timestamp("s", "Europe/Paris")),
            "lv": pa.array([[1, 2], None], pa.list_view(pa.int64())),
            "fsb": pa.array([b"ab", b"cd"], pa.binary(2)),
        }
    )
    [batch] = value_to_batches(table)
    assert rows_of(batch) == table.to_pylist()
    assert pa.table(batch).equals(table)
    arrays = batch.numpy()
    assert arrays["d"].tolist() == ["a", "b"]
    assert arrays["f"][1].tolist() == [3, 4]
    assert arrays["ts"].dtype == "M8[s]"


def test_a_table_in_pieces_is_as_many_batches() -> None:
    pa = pytest.importorskip("pyarrow")
    piece = pa.table({"x": [1, 2]})
    assert [batch.num_rows for batch in value_to_batches(pa.concat_tables([piece, piece]))] == [
        2,
        2,
    ]
    [empty] = value_to_batches(piece.slice(0, 0))
    assert empty.num_rows == 0 and len(empty.names) == 1
    chunked = pa.chunked_array([[1], [2, 3]])
    assert rows_of(batch_of({"x": chunked})) == [{"x": 1}, {"x": 2}, {"x": 3}]


def test_pandas_frames_pass_both_ways() -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    from raceline import _frames

    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "s": ["a", None],
            "n": pd.array([1, None], dtype="Int64"),
            "c": pd.Categorical(["x", "y"]),
            "t": [np.ones((2, 2)), np.zeros((2, 2))],
            "z": pd.to_datetime(["2026-01-01", None]).tz_localize("UTC"),
        },
        index=[7, 7],
    )
    [batch] = value_to_batches(frame)
    first, second = rows_of(batch)
    assert (first["i"], first["s"], first["n"], first["c"]) == (1, "a", 1, "x")
    assert (second["s"], second["n"], second["z"]) == (None, None, None)
    assert batch.numpy()["t"].shape == (2, 2, 2)
    back = _frames.to_pandas(batch)
    assert list(back.columns) == list(frame.columns)
    assert isinstance(back["i"].dtype, pd.ArrowDtype)
    assert back["t"][1].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert rows_of(batch_of({"x": frame["n"]})) == [{"x": 1}, {"x": None}]


def test_tensors_pass_pyarrow_unharmed() -> None:
    pytest.importorskip("pyarrow")
    from raceline import _frames

    ragged = [np.ones((1, 2)), np.ones((2, 2))]
    batch = batch_of({"fixed": np.ones((2, 3, 1), "f4"), "ragged": ragged})
    [back] = value_to_batches(_frames.to_arrow(batch))
    assert back.numpy()["fixed"].shape == (2, 3, 1)
    assert back.numpy()["ragged"][1].shape == (2, 2)


# What the calling conventions stand on.


def test_plain_values_are_rows_themselves() -> None:
    batch = from_values([1, None, 3])
    assert batch.is_values and rows_of(batch) == [1, None, 3]
    assert not from_rows([{"item": 1}]).is_values


def test_filter_and_with_column() -> None:
    batch = batch_of({"x": np.arange(4, dtype="i2"), "y": list("abcd")})
    kept = batch.filter([True, False, True, False])
    assert rows_of(kept) == [{"x": 0, "y": "a"}, {"x": 2, "y": "c"}]
    assert kept.numpy()["x"].dtype == np.int16
    wider = kept.with_column("z", [7, 8])
    assert rows_of(wider) == [{"x": 0, "y": "a", "z": 7}, {"x": 2, "y": "c", "z": 8}]


@pytest.mark.parametrize(
    ("row", "is_value"),
    [({"a": 1}, False), (UserDict(), False)]
    + [(value, True) for value in (1, "a", 2.5, np.int8(1), dt.date.min, np.array(1))]
    + [(neither, None) for neither in (None, [1], np.ones(1), object())],
    ids=repr,
)
def test_what_is_a_plain_value(row: Any, is_value: bool | None) -> None:
    assert is_plain_value(row) is is_value


def test_random_values_come_back() -> None:
    hypothesis = pytest.importorskip("hypothesis")
    from hypothesis import strategies as st

    leaf = st.one_of(
        st.lists(st.none() | st.integers(-(2**63), 2**63 - 1)),
        st.lists(st.none() | st.floats(allow_nan=False)),
        st.lists(st.none() | st.text()),
        st.lists(st.none() | st.binary()),
        st.lists(st.none() | st.booleans()),
        st.lists(st.none() | st.datetimes()),
        st.lists(st.none() | st.lists(st.none() | st.integers(-5, 5))),
        st.lists(st.none() | st.decimals(places=3, min_value=-(10**9), max_value=10**9)),
    )

    @hypothesis.given(leaf)
    def check(values: list[Any]) -> None:
        with warnings.catch_warnings():
            # A surrogate or a great number makes an object column, which comes back as well.
            warnings.simplefilter("ignore")
            assert round_trip(values) == values

    check()
