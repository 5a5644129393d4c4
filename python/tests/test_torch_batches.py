"""Batches of torch tensors for training loops."""

import dataclasses
import gc
import subprocess
import sys
import threading
import time

import numpy as np
import pyarrow as pa
import pytest
from ahead_threads import no_thread_is_left, threads  # noqa: F401 -- a fixture
from opaque import opaque

import raceline
from raceline.data.collate_fn import (
    ArrowBatchCollateFn,
    CollateFn,
    DefaultCollateFn,
    NumpyBatchCollateFn,
    PandasBatchCollateFn,
    is_tensor_batch_type,
)
from raceline.errors import ColumnNotFoundError, PlanError, TensorError, UdfError

torch = pytest.importorskip("torch")


def rows():
    return raceline.range(10).map_batches(
        opaque(
            lambda batch: {
                "id": batch["id"],
                "x": batch["id"] * 0.5,
                "t": np.ones((len(batch["id"]), 2, 3), np.uint8),
            }
        )
    )


def test_types_are_those_of_the_columns_or_as_asked():
    [batch] = rows().iter_torch_batches()
    assert {name: one.dtype for name, one in batch.items()} == {
        "id": torch.int64,
        "x": torch.float64,
        "t": torch.uint8,
    }
    assert batch["t"].shape == (10, 2, 3)
    [batch] = rows().iter_torch_batches(dtypes={"id": torch.int32, "x": torch.float16})
    assert (batch["id"].dtype, batch["x"].dtype) == (torch.int32, torch.float16)
    assert batch["t"].dtype == torch.uint8
    [batch] = rows().iter_torch_batches(dtypes=torch.float32)
    assert {one.dtype for one in batch.values()} == {torch.float32}


def test_batches_may_be_written_and_gone_over_again():
    batches = rows().iter_torch_batches(batch_size=4)
    for batch in batches:
        batch["id"] += 1
    assert [batch["id"].tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize(
    ("value", "what"),
    [("x", "values of different shapes or kinds"), (np.datetime64("2020-01-01"), "datetime64")],
)
def test_a_column_without_tensors_is_named(value, what):
    dataset = raceline.from_items([{"a": 1, "s": value}])
    for kind in (TypeError, RuntimeError, TensorError):
        with pytest.raises(kind) as error:
            list(dataset.iter_torch_batches())
    assert str(error.value).startswith(f"column `s` cannot become a tensor: it holds {what}")
    assert str(error.value).endswith("\n  hint: drop the column, or pass `collate_fn`")
    assert error.value.column == "s"


def test_a_function_or_types_but_not_both():
    with pytest.raises(ValueError, match=r"^pass either `collate_fn` or `dtypes`, not both"):
        rows().iter_torch_batches(collate_fn=len, dtypes=torch.float32)
    with pytest.raises(PlanError, match=r"^`collate_fn` must be a function, got `3`"):
        rows().iter_torch_batches(collate_fn=3)


class Arrow(ArrowBatchCollateFn):
    def __call__(self, batch):
        assert isinstance(batch, pa.Table)
        return torch.as_tensor(batch["id"].to_numpy())


class Pandas(PandasBatchCollateFn):
    def __call__(self, batch):
        return torch.as_tensor(batch["id"].to_numpy(dtype=np.int64))


class Numpy(NumpyBatchCollateFn):
    def __call__(self, batch):
        batch["id"] += 0  # writable
        return torch.as_tensor(batch["id"])


@pytest.mark.parametrize("collate_fn", [Arrow(), Pandas(), Numpy(), Numpy().__call__])
@pytest.mark.parametrize("prefetch", [0, 1, 3])
def test_the_base_of_a_function_says_what_it_gets(collate_fn, prefetch):
    batches = raceline.range(10).iter_torch_batches(
        batch_size=4, collate_fn=collate_fn, prefetch_batches=prefetch
    )
    assert [batch.tolist() for batch in batches] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_default_tensors_of_a_table():
    table = pa.concat_tables([pa.table({"a": [1, 2]}), pa.table({"a": [3]})])
    chunks = DefaultCollateFn()(table)
    assert [one.tolist() for one in chunks["a"]] == [[1, 2], [3]]
    combined = DefaultCollateFn(dtypes=torch.float32, combine_chunks=True)(table)
    assert combined["a"].tolist() == [1.0, 2.0, 3.0]
    assert combined["a"].dtype == torch.float32
    [batch] = raceline.range(3).iter_torch_batches(collate_fn=DefaultCollateFn())
    assert batch["id"].tolist() == [0, 1, 2]
    assert issubclass(DefaultCollateFn, CollateFn)


@dataclasses.dataclass
class Sample:
    ids: object
    more: object


def test_tensors_are_moved_wherever_they_are():
    def collate(batch):
        ids = torch.as_tensor(batch["id"])
        return Sample(ids, {"a": [ids, (ids, "text")], "b": 3})

    [sample] = raceline.range(3).iter_torch_batches(collate_fn=collate, device="meta")
    assert sample.ids.device.type == "meta"
    assert sample.more["a"][0].device.type == "meta"
    assert sample.more["a"][1][0].device.type == "meta"
    assert sample.more["a"][1][1] == "text"
    assert sample.more["b"] == 3
    [batch] = raceline.range(3).iter_torch_batches(device="meta")
    assert batch["id"].device.type == "meta"
    for value in (
        torch.ones(1),
        [torch.ones(1)],
        {"a": {"b": torch.ones(1)}},
        Sample(*[torch.ones(1)] * 2),
    ):
        assert is_tensor_batch_type(value)
    for value in (1, [], [torch.ones(1), 1], {"a": "x"}, "text", Sample(1, 2)):
        assert not is_tensor_batch_type(value)


def test_pinning_without_a_gpu_tells_that_it_does_nothing():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.warns(UserWarning, match="`pin_memory` has no effect: there is no GPU"):
        batches = raceline.range(3).iter_torch_batches(pin_memory=True)
    assert [batch["id"].tolist() for batch in batches] == [[0, 1, 2]]


def test_a_function_runs_ahead_in_a_thread_of_its_own():
    seen = []

    def collate(batch):
        seen.append(threading.current_thread().name)
        return batch["id"][0]

    batches = raceline.range(100).iter_torch_batches(
        batch_size=1, collate_fn=collate, prefetch_batches=3
    )
    iterator = iter(batches)
    assert next(iterator) == 0
    deadline = time.monotonic() + 10
    while len(seen) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)
    # One was taken, three wait, and one waits for room.
    assert len(seen) == 5
    assert set(seen) == {"raceline-ahead"}
    assert list(iterator) == list(range(1, 100))


def test_the_state_counts_what_the_loop_got_and_not_what_is_ahead():
    options = {"batch_size": 10, "collate_fn": lambda batch: batch["id"].tolist()}
    batches = raceline.range(100).iter_torch_batches(prefetch_batches=4, **options)
    iterator = iter(batches)
    next(iterator), next(iterator)
    time.sleep(0.2)
    state = batches.state_dict()
    assert state["rows"] == 20
    resumed = raceline.range(100).iter_torch_batches(**options)
    resumed.load_state_dict(state)
    assert next(iter(resumed)) == list(range(20, 30))


def test_an_error_of_the_function_is_raised_in_the_loop():
    def collate(batch):
        if batch["id"][0] == 2:
            raise KeyError("two")
        return batch["id"][0]

    batches = iter(raceline.range(9).iter_torch_batches(batch_size=1, collate_fn=collate))
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(KeyError, match="two"):
        next(batches)


def test_an_error_of_the_dataset_is_raised_in_the_loop():
    failing = raceline.range(9).map(opaque(lambda row: {"x": 1 / (row["id"] - 5)}))
    with pytest.raises(UdfError, match="division by zero"):
        list(failing.iter_torch_batches(batch_size=1, collate_fn=lambda batch: batch["x"][0]))


def test_threads_end_with_an_iteration_that_is_dropped():
    slow = raceline.range(10**9).map(opaque(lambda row: row))
    iterator = iter(slow.iter_torch_batches(collate_fn=lambda batch: 1, device="meta"))
    assert next(iterator) == 1
    assert len(threads()) == 2
    del iterator
    gc.collect()
    assert threads() == []


def test_functions_that_are_debugged_stay_in_the_loops_thread():
    here = threading.current_thread().name
    names = []

    def debugged(row):
        names.append(threading.current_thread().name)
        return row

    batches = raceline.range(3).map(debugged, debug=True)
    list(batches.iter_torch_batches(collate_fn=lambda batch: 1))
    assert set(names) == {here}


def test_a_torch_dataset_of_features_and_labels():
    dataset = raceline.range(4).map_batches(
        opaque(lambda batch: {"a": batch["id"], "b": batch["id"] * 2, "y": batch["id"] * 10})
    )
    pairs = dataset.to_torch(label_column="y", batch_size=3)
    assert isinstance(pairs, torch.utils.data.IterableDataset)
    for _ in range(2):
        [(features, labels), _] = pairs
        assert features.tolist() == [[0, 0], [1, 2], [2, 4]]
        assert labels.tolist() == [[0], [10], [20]]
    [(features, labels)] = dataset.to_torch(
        label_column="y",
        feature_columns={"one": ["a"], "two": ["b", "a"]},
        feature_column_dtypes={"one": torch.float32, "two": torch.int32},
        label_column_dtype=torch.float16,
        unsqueeze_label_tensor=False,
        batch_size=4,
    )
    assert features["one"].dtype == torch.float32
    assert features["two"].tolist() == [[0, 0], [2, 1], [4, 2], [6, 3]]
    assert labels.tolist() == [0.0, 10.0, 20.0, 30.0]
    [(features, labels)] = dataset.iterator().to_torch(
        feature_columns=[["a"], ["b"]], unsqueeze_feature_tensors=False, batch_size=4
    )
    assert [one.tolist() for one in features] == [[0, 1, 2, 3], [0, 2, 4, 6]]
    assert labels is None
    loaded = torch.utils.data.DataLoader(dataset.to_torch(label_column="y"), batch_size=None)
    assert len(list(loaded)) == 4


def test_features_that_do_not_fit():
    dataset = raceline.range(3)
    with pytest.raises(PlanError, match=r"^`feature_columns` must be a list or a dict of lists"):
        dataset.to_torch(feature_columns="id")
    with pytest.raises(PlanError) as error:
        dataset.to_torch(feature_columns=["id"], feature_column_dtypes=[torch.int32] * 2)
    assert str(error.value) == (
        "`feature_column_dtypes` must be one type, or one for each list of columns"
    )
    with pytest.raises(
        ColumnNotFoundError, match=r"^there is no column `x`\n  hint: there are `id`"
    ):
        list(dataset.to_torch(feature_columns=["x"]))
    with pytest.raises(
        TensorError, match="column `s` cannot become a tensor: it holds values of different"
    ):
        list(raceline.from_items([{"s": "x"}]).to_torch(feature_columns=["s"]))


def test_conversions_by_the_names_that_ray_gives_them():
    from raceline.data.util import torch_utils as names

    table = pa.concat_tables([pa.table({"a": [1, 2]}), pa.table({"a": [3]})])
    assert [one.tolist() for one in names.arrow_batch_to_tensors(table)["a"]] == [[1, 2], [3]]
    assert names.arrow_batch_to_tensors(table, combine_chunks=True)["a"].tolist() == [1, 2, 3]
    joined = names.move_tensors_to_device(names.arrow_batch_to_tensors(table), "cpu")
    assert joined["a"].tolist() == [1, 2, 3]
    assert names.convert_ndarray_to_torch_tensor(np.arange(2), torch.float32).dtype == torch.float32
    batch = names.convert_ndarray_batch_to_torch_tensor_batch(
        {"a": np.arange(2)}, {"a": torch.int8}, "cpu"
    )
    assert batch["a"].dtype == torch.int8
    assert names.convert_ndarray_batch_to_torch_tensor_batch(np.arange(2)).tolist() == [0, 1]
    frame = table.to_pandas().assign(b=[4, 5, 6])
    assert names.convert_table_to_torch_tensor(frame).tolist() == [[1, 4], [2, 5], [3, 6]]
    parts = names.convert_table_to_torch_tensor(frame, [["a"], ["b"]], unsqueeze=False)
    assert [one.tolist() for one in parts] == [[1, 2, 3], [4, 5, 6]]
    pieces = [torch.ones(1), torch.zeros(1)]
    assert names.concat_tensors_to_device(pieces, "meta").shape == (2,)
    arrays = names.convert_tensors_to_numpy({"a": torch.ones(1)})
    assert arrays["a"].tolist() == names.convert_tensors_to_numpy(torch.ones(1)).tolist() == [1.0]
    if torch.cuda.is_available():
        assert names.pin_tensors_to_memory(torch.ones(1)).is_pinned()


def test_a_run_that_is_interrupted_in_a_slow_function_ends():
    program = """
import _thread, threading, time, raceline
def slow(batch):
    time.sleep(0.2)
    return 1
threading.Timer(1.0, _thread.interrupt_main).start()
try:
    for _ in raceline.range(10**9).iter_torch_batches(collate_fn=slow, batch_size=10):
        pass
except KeyboardInterrupt:
    print("KeyboardInterrupt", [t.name for t in threading.enumerate() if "ahead" in t.name])
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "KeyboardInterrupt []\n"
