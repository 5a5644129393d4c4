"""Calls that programs for Ray Data make, found by running its documented examples."""

from __future__ import annotations

import copy
import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pytest

import raceline
from raceline.data import FileShuffleConfig, MaterializedDataset
from raceline.data.aggregate import AggregateFnV2
from raceline.data.block import BlockAccessor
from raceline.data.datatype import DataType
from raceline.data.expressions import col, random, udf, unnest, uuid
from raceline.errors import ColumnNotFoundError, PlanError, SourceNotFoundError

PAIR = DataType.struct([("total", DataType.int64()), ("product", DataType.int64())])


@udf(return_dtype=PAIR)
def features(a, b):
    return pa.StructArray.from_arrays([pc.add(a, b), pc.multiply(a, b)], ["total", "product"])


def pairs():
    return raceline.from_items([{"a": 2, "b": 10}, {"a": 3, "b": 5}])


def test_the_fields_of_what_a_function_returns_become_columns():
    made = pairs().with_columns(unnest(features(col("a"), col("b"))))
    assert made.columns() == ["a", "b", "total", "product"]
    assert made.take(1) == [{"a": 2, "b": 10, "total": 12, "product": 20}]


def test_fields_stand_where_they_are_named_among_other_columns():
    made = pairs().with_columns(
        {"a": col("b")}, unnest(features(col("a"), col("b"))), (col("a") + 1).alias("next")
    )
    assert made.take_all() == [
        {"a": 10, "b": 10, "total": 12, "product": 20, "next": 3},
        {"a": 5, "b": 5, "total": 8, "product": 15, "next": 4},
    ]


def test_two_structs_of_functions_at_once():
    other = features(col("b"), col("b")).struct
    made = pairs().with_columns(
        [other.field("total").alias("twice"), unnest(features(col("a"), col("a")))]
    )
    assert made.select_columns(["twice", "total", "product"]).take(1) == [
        {"twice": 20, "total": 4, "product": 4}
    ]


def test_a_field_by_brackets_and_its_position():
    rows = raceline.from_items([{"user": {"name": "Ada", "age": 36}}])
    assert rows.with_column("x", col("user").struct[1]).take_all()[0]["x"] == 36
    assert rows.with_column("x", col("user").struct["name"]).take_all()[0]["x"] == "Ada"


def test_random_values_without_a_seed_print_without_one():
    assert (repr(random()), repr(uuid())) == ("RANDOM()", "UUID()")
    assert repr(random(seed=3)) == "RANDOM(seed=3)"


class Average(AggregateFnV2):
    """Written as in Ray's guide, with the names of its base class."""

    def __init__(self, on):
        super().__init__(f"average({on})", lambda: [0, 0], on=on, ignore_nulls=True)

    def aggregate_block(self, block):
        column = BlockAccessor.for_block(block)
        count = column.count(self._target_col_name, self._ignore_nulls)
        return [column.sum(self._target_col_name, self._ignore_nulls), count] if count else None

    def combine(self, one, other):
        return [one[0] + other[0], one[1] + other[1]]

    def finalize(self, accumulated):
        return accumulated[0] / accumulated[1]


def test_an_aggregation_reads_its_column_under_the_name_that_ray_gives_it():
    rows = raceline.from_items([{"k": at % 2, "v": at or None} for at in range(6)])
    assert rows.aggregate(Average("v")) == {"average(v)": 3.0}
    groups = rows.groupby("k").aggregate(Average("v")).sort("k").take_all()
    assert groups == [{"k": 0, "average(v)": 3.0}, {"k": 1, "average(v)": 3.0}]


def test_what_made_the_kept_rows_is_what_their_statistics_tell():
    kept = raceline.range(10).map_batches(lambda batch: batch).materialize()
    told = kept.stats()
    assert "MapBatches(<lambda>)" in told
    kept.take(1)
    assert kept.stats() == told
    assert pickle.loads(pickle.dumps(kept)).stats() == told
    assert copy.copy(kept).stats() == told


def test_rows_that_were_in_memory_tell_of_their_own_run():
    rows = raceline.from_items([1, 2])
    assert rows.stats() == ""
    rows.take(1)
    assert "FromItems" in rows.stats()


@pytest.mark.parametrize("rows", [0, 10])
def test_parts_of_a_split_are_materialized(rows):
    for part in raceline.range(rows).split(2):
        assert isinstance(part, MaterializedDataset)
        assert part.num_blocks() >= (rows > 0)
        assert part.count() == rows // 2
    # What is made of a part is lazy again.
    assert not isinstance(part.limit(1), MaterializedDataset)


@pytest.mark.parametrize(
    "call",
    [
        lambda rows: rows.drop_columns("alpah"),
        lambda rows: rows.drop_columns(["b", "alpah"]),
        lambda rows: rows.groupby("alpah"),
        lambda rows: rows.groupby(["b", "alpah"]),
    ],
)
def test_unknown_columns_are_told_before_a_run(call):
    rows = raceline.from_items([{"alpha": 1, "b": 2}])
    with pytest.raises(ColumnNotFoundError) as caught:
        call(rows)
    assert str(caught.value) == (
        "no column `alpah`\n  columns: `alpha`, `b`\n  hint: did you mean `alpha`?"
    )


def test_unknown_columns_wait_where_only_a_run_tells_them():
    rows = raceline.range(2).map(lambda row: dict(sorted(row.items())))
    assert rows.columns(fetch_if_missing=False) is None
    for made in (rows.drop_columns("x"), rows.groupby("x").count()):
        with pytest.raises(ColumnNotFoundError, match="no column `x`"):
            made.take_all()


@pytest.mark.parametrize("names", [{}, [], "a"])
def test_renaming_needs_names(names):
    with pytest.raises(PlanError) as caught:
        raceline.from_items([{"a": 1}]).rename_columns(names)
    assert str(caught.value) == f"`names` must be a dict or a list of names, got `{names!r}`"


def test_a_column_is_added_by_a_function():
    with pytest.raises(PlanError) as caught:
        raceline.range(1).add_column("x", 5)
    assert str(caught.value) == "`fn` must be a function, got `5`"


@pytest.mark.parametrize("name", ["read_csv", "read_parquet", "read_json", "read_text"])
def test_a_local_path_that_is_not_there_fails_where_it_is_written(name, tmp_path):
    missing = tmp_path / "nothing"
    with pytest.raises(FileNotFoundError) as caught:
        getattr(raceline, name)([tmp_path, missing])
    assert isinstance(caught.value, SourceNotFoundError)
    assert str(caught.value) == f"no such file or folder: `{missing}`"


def test_a_pattern_may_find_its_files_later(tmp_path):
    rows = raceline.read_csv(f"{tmp_path}/*.csv", shuffle=FileShuffleConfig(seed=1))
    (tmp_path / "a.csv").write_text("x\n1\n")
    assert rows.take_all() == [{"x": 1}]


def test_text_of_a_frame_is_of_the_type_of_all_text():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"s": ["a", None], "n": [1, 2]})
    rows = raceline.from_pandas(frame)
    assert [str(kind) for kind in rows.schema().types] == ["string", "int64"]
    assert rows.take_all() == [{"s": "a", "n": 1}, {"s": None, "n": 2}]
    back = rows.map_batches(lambda batch: pandas.DataFrame({"s": ["b"] * len(batch["n"])}))
    assert [str(kind) for kind in back.materialize().schema().types] == ["string"]


def test_the_builder_of_blocks_that_guides_import():
    from raceline.data._internal.delegating_block_builder import DelegatingBlockBuilder

    builder = DelegatingBlockBuilder()
    builder.add({"n": 1})
    builder.add_block(pa.table({"n": [2]}))
    assert (builder.num_rows(), builder.build().to_pydict()) == (2, {"n": [1, 2]})
