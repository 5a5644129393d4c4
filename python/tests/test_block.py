"""Blocks, whatever they are."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from raceline.data.block import BlockAccessor, BlockType
from raceline.errors import PlanError

KINDS = {
    "table": lambda columns: pa.table(columns),
    "frame": lambda columns: pd.DataFrame(columns),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def make(request):
    return request.param


def columns(block):
    return BlockAccessor.for_block(block).to_arrow().to_pydict()


def test_what_makes_a_block_keeps_its_kind(make):
    block = make({"a": [3, 1, 2], "b": ["x", "y", "z"]})
    rows = BlockAccessor.for_block(block)
    made = {
        "slice": (rows.slice(1, 3), {"a": [1, 2], "b": ["y", "z"]}),
        "copy": (rows.slice(1, 9, copy=True), {"a": [1, 2], "b": ["y", "z"]}),
        "take": (rows.take([2, 0]), {"a": [2, 3], "b": ["z", "x"]}),
        "select": (rows.select(["b"]), {"b": ["x", "y", "z"]}),
        "drop": (rows.drop(["b"]), {"a": [3, 1, 2]}),
        "rename": (rows.rename_columns({"a": "c"}), {"c": [3, 1, 2], "b": ["x", "y", "z"]}),
        "replace": (rows.upsert_column("a", [7, 8, 9]), {"a": [7, 8, 9], "b": ["x", "y", "z"]}),
        "add": (rows.select(["a"]), {"a": [3, 1, 2]}),
        "sort": (rows.sort("a"), {"a": [1, 2, 3], "b": ["y", "z", "x"]}),
        "zip": (
            rows.zip(make({"a": [0, 0, 0]})),
            {"a": [3, 1, 2], "b": ["x", "y", "z"], "a_1": [0, 0, 0]},
        ),
    }
    for name, (result, expected) in made.items():
        assert columns(result) == expected, name
        assert type(result) is type(block), name
    assert rows.to_block() is block


def test_values_of_columns(make):
    rows = BlockAccessor.for_block(make({"a": [1.0, 3.0, None]}))
    assert rows.count("a") == 2
    assert rows.count("a", ignore_nulls=False) == 3
    assert (rows.sum("a"), rows.min("a"), rows.max("a"), rows.mean("a")) == (4, 1, 3, 2)
    assert rows.sum("a", ignore_nulls=False) is None
    assert rows.sum_of_squared_diffs_from_mean("a") == 2
    assert BlockAccessor.for_block({"a": [None]}).sum_of_squared_diffs_from_mean("a") is None


def test_rows_and_formats(make):
    rows = BlockAccessor.for_block(make({"a": [1, 2]}))
    assert list(rows.iter_rows()) == [{"a": 1}, {"a": 2}]
    assert rows.num_rows() == 2
    assert rows.size_bytes() == 16
    assert rows.column_names() == ["a"]
    assert rows.to_numpy("a").tolist() == [1, 2]
    assert isinstance(rows.to_batch_format("numpy")["a"], np.ndarray)
    assert isinstance(rows.to_batch_format("pandas"), pd.DataFrame)
    assert isinstance(rows.to_batch_format("pyarrow"), pa.Table)
    assert rows.get_metadata(input_files=["f"]).input_files == ["f"]


def test_tensors_are_kept():
    rows = BlockAccessor.for_block({"t": np.arange(8).reshape(2, 2, 2)})
    assert rows.to_numpy("t").shape == (2, 2, 2)
    assert next(rows.iter_rows())["t"].tolist() == [[0, 1], [2, 3]]


def test_random_orders_depend_on_the_seed():
    rows = BlockAccessor.for_block({"n": list(range(50))})
    assert columns(rows.random_shuffle(1)) == columns(rows.random_shuffle(1))
    assert columns(rows.random_shuffle(1)) != columns(rows.random_shuffle(2))
    sample = columns(rows.sample(10, "n"))["n"]
    assert len(set(sample)) == 10


def test_a_builder_unites_rows_and_blocks():
    builder = BlockAccessor.builder()
    builder.add({"a": 1})
    builder.add({"a": 2})
    builder.add_block({"a": [2.5], "b": ["x"]})
    assert builder.num_rows() == 3
    assert columns(builder.build()) == {"a": [1, 2, 2.5], "b": [None, None, "x"]}
    assert BlockAccessor.builder().build().num_rows == 0


def test_batches_become_blocks():
    batch = {"a": [1]}
    assert isinstance(BlockAccessor.batch_to_block(batch), pa.Table)
    frame = BlockAccessor.batch_to_block(batch, BlockType.PANDAS)
    assert isinstance(frame, pd.DataFrame)
    assert isinstance(BlockAccessor.batch_to_block(frame, BlockType.ARROW), pa.Table)
    assert BlockAccessor.for_block(frame).block_type() is BlockType.PANDAS
    with pytest.raises(PlanError, match=r"^a block must be a PyArrow table.* got `list`"):
        BlockAccessor.for_block([1])
    with pytest.raises(ValueError, match="cannot zip 1 rows with 2"):
        BlockAccessor.for_block(batch).zip({"b": [1, 2]})
