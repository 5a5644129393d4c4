"""Batch functions, batch formats, and what leaves a dataset batch by batch."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from opaque import opaque

import raceline
from raceline.data import ActorPoolStrategy


def ids(dataset):
    return [row["id"] for row in dataset.iter_rows()]


@pytest.mark.parametrize("form", [lambda f: f, opaque], ids=["maybe compiled", "in Python"])
def test_a_batch_is_a_dict_of_arrays(form):
    added = raceline.range(2500).map_batches(
        form(lambda batch: {"id": batch["id"] + 1}), batch_size=1000
    )
    assert ids(added) == list(range(1, 2501))


def test_batches_have_the_asked_number_of_rows_but_the_last():
    sizes = raceline.range(2500).map_batches(
        lambda batch: {"rows": [len(batch["id"])]}, batch_size=1000
    )
    assert [row["rows"] for row in sizes.take_all()] == [1000, 1000, 500]


@pytest.mark.parametrize("size", [None, "auto"])
def test_batches_as_they_come_hold_all_rows(size):
    sizes = raceline.range(2500).map_batches(
        lambda batch: {"rows": [len(batch["id"])]}, batch_size=size
    )
    assert sizes.sum("rows") == 2500


@pytest.mark.parametrize(
    ("batch_format", "kind"),
    [
        ("default", "dict"),
        ("numpy", "dict"),
        ("pandas", "DataFrame"),
        ("pyarrow", "Table"),
        (None, "Table"),
    ],
)
def test_a_batch_comes_in_the_asked_format_and_may_go_back_in_it(batch_format, kind):
    def check(batch):
        assert type(batch).__name__ == kind
        return batch

    checked = raceline.range(10).map_batches(check, batch_format=batch_format, batch_size=4)
    assert ids(checked) == list(range(10))


def test_numpy_batches_hold_numpy_types_and_missing_numbers_are_nan():
    rows = [{"i": 1, "f": 0.5, "s": "x", "m": 1}, {"i": 2, "f": 1.5, "s": None, "m": None}]
    batch = raceline.from_items(rows).take_batch()
    assert batch["i"].dtype == np.int64
    assert batch["f"].dtype == np.float64
    assert batch["s"].tolist() == ["x", None]
    assert batch["m"].dtype == np.float64
    assert np.isnan(batch["m"][1])


def test_generators_yield_several_batches():
    def halves(batch):
        middle = len(batch["id"]) // 2
        yield {"id": batch["id"][:middle]}
        yield {"id": batch["id"][middle:]}

    assert ids(raceline.range(10).map_batches(halves, batch_size=5)) == list(range(10))


def test_a_class_keeps_its_state_between_batches():
    class Numbered:
        def __init__(self, start):
            self.calls = start

        def __call__(self, batch, step):
            self.calls += step
            return {"call": [self.calls]}

    numbered = raceline.range(40).map_batches(
        Numbered,
        batch_size=10,
        fn_constructor_args=[100],
        fn_kwargs={"step": 1},
        compute=ActorPoolStrategy(size=1),
    )
    assert [row["call"] for row in numbered.take_all()] == [101, 102, 103, 104]


def test_arrays_may_be_written_to_when_asked():
    def write(batch):
        batch["id"][0] = -1
        return batch

    written = raceline.range(3).map_batches(write, batch_size=3, zero_copy_batch=False)
    assert ids(written) == [-1, 1, 2]


def test_tensor_columns_keep_their_shape():
    def images(batch):
        return {"image": np.zeros((len(batch["id"]), 4, 5, 3), dtype=np.uint8)}

    def check(batch):
        assert batch["image"].shape[1:] == (4, 5, 3)
        assert batch["image"].dtype == np.uint8
        return {"mean": batch["image"].mean(axis=(1, 2, 3))}

    means = raceline.range(6).map_batches(images).map_batches(check, batch_size=4)
    assert [row["mean"] for row in means.take_all()] == [0.0] * 6


def test_ragged_arrays_and_lists_go_through():
    def ragged(batch):
        return {"a": [np.arange(n) for n in batch["id"]], "l": [["x"] * n for n in batch["id"]]}

    rows = raceline.range(3).map_batches(opaque(ragged)).take_all()
    assert [len(row["a"]) for row in rows] == [0, 1, 2]
    assert [list(row["l"]) for row in rows] == [[], ["x"], ["x", "x"]]


def test_lists_of_values_become_columns():
    columns = raceline.range(2).map_batches(
        opaque(lambda batch: {"a": ["x", None], "b": [1, 2]}), batch_size=2
    )
    assert columns.take_all() == [{"a": "x", "b": 1}, {"a": None, "b": 2}]


@pytest.mark.parametrize(
    ("size", "drop_last", "sizes"),
    [(4, False, [4, 4, 2]), (4, True, [4, 4]), (10, True, [10]), (100, False, [10])],
)
def test_iter_batches_cuts_rows(size, drop_last, sizes):
    pieces = raceline.range(5).union(raceline.range(5))
    batches = list(pieces.iter_batches(batch_size=size, drop_last=drop_last))
    assert [len(batch["id"]) for batch in batches] == sizes
    values = [value for batch in batches for value in batch["id"]]
    assert values == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4][: sum(sizes)]


def test_iter_batches_takes_256_rows_by_default():
    assert len(next(iter(raceline.range(1000).iter_batches()))["id"]) == 256


def test_iter_batches_in_other_formats():
    [frame] = raceline.range(3).iter_batches(batch_format="pandas")
    [table] = raceline.range(3).iter_batches(batch_format="pyarrow")
    assert isinstance(frame, pd.DataFrame)
    assert table.equals(pa.table({"id": [0, 1, 2]}))


def test_take_batch():
    assert raceline.range(30).take_batch()["id"].tolist() == list(range(20))
    assert raceline.range(2).take_batch(5, batch_format="pyarrow").num_rows == 2
    with pytest.raises(ValueError, match=r"^the dataset has no rows to take a batch of$"):
        raceline.range(0).take_batch()


def test_to_pandas_and_back():
    frame = pd.DataFrame({"a": [1, 2], "s": ["x", None], "t": pd.to_datetime(["2024-01-02"] * 2)})
    dataset = raceline.from_pandas([frame, frame])
    back = dataset.to_pandas()
    assert back["a"].tolist() == [1, 2, 1, 2]
    assert back.dtypes.equals(frame.dtypes)
    assert back["s"].isna().tolist() == [False, True, False, True]
    assert back["t"][0] == pd.Timestamp("2024-01-02")
    with pytest.raises(ValueError, match=r"more than the allowed 3 rows$"):
        dataset.to_pandas(limit=3)
    assert len(dataset.to_pandas(limit=4)) == 4


def test_to_arrow_and_back_keeps_types():
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "s": pa.array(["x", "y"], pa.large_string()),
            "l": pa.array([[1], []], pa.list_(pa.float32())),
            "d": pa.array(["a", "a"]).dictionary_encode(),
        }
    )
    back = raceline.from_arrow(table).to_arrow()
    assert back.schema.equals(table.schema)
    assert back.to_pylist() == table.to_pylist()
    assert raceline.from_arrow([table, table.to_batches()[0]]).count() == 4


@pytest.mark.parametrize(
    ("value_type", "values"),
    [
        (pa.struct([("x", pa.struct([("y", pa.int64())]))]), [{"x": {"y": n}} for n in range(9)]),
        (
            pa.struct([("x", pa.struct([("y", pa.string())]))]),
            [None, {"x": None}, *[{"x": {"y": "a"}}] * 7],
        ),
        (pa.list_(pa.struct([("y", pa.int8())]), 2), [[{"y": n}, None] for n in range(9)]),
        (pa.list_(pa.struct([("y", pa.int8())])), [[{"y": n}] * n for n in range(9)]),
        (
            pa.large_list(pa.struct([("x", pa.struct([("y", pa.int8())]))])),
            [[{"x": {"y": n}}, {"x": None}] * n for n in range(9)],
        ),
        (
            pa.map_(pa.string(), pa.struct([("y", pa.int8())])),
            [[("k", {"y": n})] for n in range(9)],
        ),
        (
            pa.list_(pa.list_(pa.struct([("y", pa.int8())])), 1),
            [[[{"y": n}] * n] for n in range(9)],
        ),
    ],
    ids=str,
)
def test_slices_of_nested_columns_are_taken(value_type, values):
    table = pa.table({"a": pa.array(values, value_type)})
    for first, rows in [(0, 9), (1, 4), (3, 6), (8, 1), (9, 0)]:
        cut = table.slice(first, rows)
        assert raceline.from_arrow(cut).to_arrow()["a"].to_pylist() == cut["a"].to_pylist()
        batch = {"b": cut["a"], "c": cut["a"].combine_chunks()}
        back = raceline.range(1).map_batches(lambda _, batch=batch: batch).to_arrow()
        assert back["b"].to_pylist() == back["c"].to_pylist() == cut["a"].to_pylist()


def test_from_arrow_takes_ipc_bytes():
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("a", pa.int64())])) as writer:
        writer.write_table(pa.table({"a": [1, 2]}))
    assert raceline.from_arrow(sink.getvalue().to_pybytes()).take_all() == [{"a": 1}, {"a": 2}]


def test_empty_results_keep_their_columns_where_they_are_known():
    nothing = raceline.range(5).limit(0)
    assert nothing.to_arrow().schema.names == ["id"]
    assert nothing.to_pandas().columns.tolist() == ["id"]


def test_from_numpy():
    one = raceline.from_numpy(np.arange(3))
    assert one.take_all() == [{"data": 0}, {"data": 1}, {"data": 2}]
    two = raceline.from_numpy([np.zeros((2, 2, 2)), np.ones((1, 2, 2))])
    assert two.take_batch()["data"].sum(axis=(1, 2)).tolist() == [0.0, 0.0, 4.0]


def test_from_items_judges_item_by_item():
    rows = raceline.from_items([{"a": 1}, 5, "x"]).select_columns(["a"]).take_all()
    assert rows == [{"a": 1}, {"a": None}, {"a": None}]
    assert raceline.from_items([1, 2]).take_all() == [{"item": 1}, {"item": 2}]


def test_schema_names_and_types():
    schema = raceline.from_items([{"a": 1, "b": "x"}]).schema()
    assert schema.names == ["a", "b"]
    assert schema.types == [pa.int64(), pa.string()]
    assert schema == raceline.from_items([{"a": 2, "b": "y"}]).schema()
    assert schema != raceline.range(1).schema()
    assert str(schema) == "Column  Type\n------  ----\na       int64\nb       string"
    assert pa.schema(schema).names == ["a", "b"]


def test_a_number_of_blocks_is_warned_of():
    with pytest.warns(UserWarning, match="`override_num_blocks` has no effect"):
        assert raceline.range(3, override_num_blocks=2).count() == 3


def test_torch_batches():
    torch = pytest.importorskip("torch")
    batches = list(raceline.range(5).iter_torch_batches(batch_size=2, dtypes=torch.float32))
    assert [batch["id"].dtype for batch in batches] == [torch.float32] * 3
    assert batches[2]["id"].tolist() == [4.0]
    collated = raceline.range(4).iter_torch_batches(collate_fn=lambda batch: batch["id"].sum())
    assert list(collated) == [6]
    with pytest.raises(TypeError, match=r"^column `s` of type `object` cannot become a tensor"):
        list(raceline.from_items([{"s": "x"}]).iter_torch_batches())


def test_torch_is_named_when_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(ImportError, match=r'pip install "raceline\[torch\]"'):
        raceline.range(1).iter_torch_batches()


def test_a_larger_batch_size_after_a_smaller_one_is_kept():
    sizes = (
        raceline.range(24)
        .map_batches(opaque(lambda batch: batch), batch_size=2)
        .map_batches(opaque(lambda batch: {"rows": [len(batch["id"])]}), batch_size=8)
    )
    assert [row["rows"] for row in sizes.take_all()] == [8, 8, 8]
