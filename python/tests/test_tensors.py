"""Batches of torch tensors, and tensors that functions return.

All but the last test run where torch is installed.
"""

import sys

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.errors import PlanError, UdfError


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def mixed():
    rows = [
        {"i": 1, "f": 0.5, "b": True, "s": "x", "m": 1, "v": [1.0, 2.0]},
        {"i": 2, "f": 1.5, "b": False, "s": None, "m": None, "v": [3.0, 4.0]},
    ]
    arrays = raceline.from_items(rows)
    return arrays.map_batches(
        opaque(lambda batch: {**batch, "v": np.stack([np.asarray(v) for v in batch["v"]])})
    )


def test_a_batch_is_a_dict_of_tensors(torch):
    def check(batch):
        import torch

        kinds = {name: getattr(column, "dtype", None) for name, column in batch.items()}
        assert kinds == {
            "i": torch.int64,
            "f": torch.float64,
            "b": torch.bool,
            "s": np.dtype(object),
            "m": torch.float64,
            "v": torch.float64,
        }
        assert batch["s"].tolist() == ["x", None]
        assert torch.isnan(batch["m"]).tolist() == [False, True]
        return {"v": batch["v"] * 2, "i": batch["i"], "s": batch["s"]}

    doubled = mixed().map_batches(check, batch_format="torch", batch_size=2)
    rows = [{**row, "v": row["v"].tolist()} for row in doubled.take_all()]
    assert rows == [{"v": [2.0, 4.0], "i": 1, "s": "x"}, {"v": [6.0, 8.0], "i": 2, "s": None}]


def test_tensors_may_be_written_to_and_nobody_else_sees_it(torch):
    def write(batch):
        batch["id"] += 100
        return batch

    kept = raceline.range(1000).map_batches(opaque(lambda batch: batch)).materialize()
    written = kept.map_batches(write, batch_format="torch", batch_size=100)
    assert [row["id"] for row in written.take_all()] == list(range(100, 1100))
    assert [row["id"] for row in kept.take_all()] == list(range(1000))


def test_views_are_shared_and_a_worker_that_writes_to_one_dies(torch):
    def total(batch):
        return {"sum": batch["id"].sum().reshape(1), "pointer": [batch["id"].data_ptr()]}

    def write(batch):
        if batch["id"][0] == 0:
            batch["id"][0] = -1
        return batch

    views = {"batch_format": "torch", "zero_copy_batch": True, "batch_size": 100_000}
    numbers = raceline.range(200_000).map_batches(opaque(lambda batch: batch)).materialize()
    sums = numbers.map_batches(total, **views).take_all()
    assert [row["sum"] for row in sums] == [4_999_950_000, 14_999_950_000]
    with pytest.raises(UdfError, match="SIGSEGV"):
        numbers.map_batches(write, max_retries=0, **views).take_all()
    assert [row["id"] for row in numbers.iter_rows()] == list(range(200_000))
    assert numbers.map_batches(total, **views).count() == 2


def test_views_pass_through_unchanged(torch):
    views = {"batch_format": "torch", "zero_copy_batch": True}
    same = mixed().map_batches(opaque(lambda batch: batch), **views).take_all()
    expected = mixed().take_all()
    assert [row["v"].tolist() for row in same] == [row["v"].tolist() for row in expected]
    assert [row["s"] for row in same] == ["x", None]


@pytest.mark.parametrize("batch_format", ["numpy", "torch"])
def test_tensors_of_all_kinds_come_back(torch, batch_format):
    def returns(batch):
        import torch

        rows = len(batch["id"])
        image = torch.arange(rows * 6, dtype=torch.uint8).reshape(rows, 3, 2)
        return {
            "graph": torch.ones(rows, requires_grad=True) * 2,
            "strided": image.permute(0, 2, 1),
            "ragged": [torch.arange(length) for length in range(rows)],
            "conj": torch.tensor([1 + 2j] * rows).conj().imag,
            "array": np.arange(rows),
            "list": ["x"] * rows,
        }

    rows = (
        raceline.range(3)
        .map_batches(opaque(returns), batch_format=batch_format, batch_size=3)
        .take_all()
    )
    assert [row["graph"] for row in rows] == [2.0] * 3
    assert rows[1]["strided"].tolist() == [[6, 8, 10], [7, 9, 11]]
    assert [len(row["ragged"]) for row in rows] == [0, 1, 2]
    assert [row["conj"] for row in rows] == [-2.0] * 3
    assert [(row["array"], row["list"]) for row in rows] == [(0, "x"), (1, "x"), (2, "x")]


def test_tensors_on_a_device_come_back(torch):
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")

    def on_gpu(batch):
        return {"id": batch["id"].cuda() + 1}

    moved = raceline.range(3).map_batches(on_gpu, batch_format="torch", num_gpus=1, batch_size=3)
    assert [row["id"] for row in moved.take_all()] == [1, 2, 3]


def test_generators_may_yield_tensors(torch):
    def halves(batch):
        yield {"id": batch["id"][:2]}
        yield {"id": batch["id"][2:]}

    numbers = raceline.range(5).map_batches(opaque(halves), batch_format="torch", batch_size=5)
    assert [row["id"] for row in numbers.take_all()] == [0, 1, 2, 3, 4]


def test_what_is_no_column_is_refused_by_name(torch):
    def bare(batch):
        return batch["id"]

    def half(batch):
        import torch

        return {"x": batch["id"].to(torch.bfloat16)}

    numbers = raceline.range(3)
    with pytest.raises(ValueError, match="`bare` returned `Tensor` for a batch"):
        numbers.map_batches(bare, batch_format="torch").take_all()
    with pytest.raises(
        TypeError, match=r"column `x` is a tensor that NumPy cannot hold: torch.bfl"
    ):
        numbers.map_batches(half, batch_format="torch").take_all()


def test_batches_that_leave_a_dataset_may_be_tensors(torch):
    batches = list(raceline.range(5).iter_batches(batch_size=2, batch_format="torch"))
    assert [batch["id"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    assert all(isinstance(batch["id"], torch.Tensor) for batch in batches)


def test_torch_is_named_when_it_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        ImportError, match=r'^torch is not installed: pip install "raceline\[torch\]"$'
    ):
        raceline.range(1).map_batches(lambda batch: batch, batch_format="torch")
    with pytest.raises(PlanError, match="there is no batch format `'tensorflow'`"):
        raceline.range(1).map_batches(lambda batch: batch, batch_format="tensorflow")
