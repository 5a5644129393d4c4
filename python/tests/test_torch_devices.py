"""How batches of tensors are made and moved, on a stand-in of torch that has a GPU."""

import gc
import sys
import threading

import numpy as np
import pytest
import torch_stand_in
from ahead_threads import no_thread_is_left, threads  # noqa: F401 -- a fixture

import raceline
from raceline.errors import PlanError, TensorError


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch_stand_in.module(has_gpu=True))


@pytest.fixture
def cpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", torch_stand_in.module(has_gpu=False))


def batches(**options):
    return list(raceline.range(10).iter_torch_batches(batch_size=4, **options))


def test_without_a_gpu_nothing_is_moved(cpu):
    got = batches()
    assert [one["id"].array.tolist() for one in got] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert all(one["id"].history == [] for one in got)


@pytest.mark.parametrize("device", [None, "auto", "cuda", "cuda:1"])
def test_tensors_go_to_the_gpu_in_a_thread_of_its_own(gpu, device):
    got = batches(device=device)
    assert [len(one["id"]) for one in got] == [4, 4, 2]
    for one in got:
        [(what, thread)] = one["id"].history
        assert (what, one["id"].device.type) == ("moved", "cuda")
        assert thread.name == "raceline-ahead"


def test_a_gpu_may_be_left_out(gpu):
    assert all(one["id"].history == [] for one in batches(device="cpu"))


def test_pinned_memory_is_copied_from_without_waiting(gpu):
    for one in batches(pin_memory=True):
        assert [what for what, _ in one["id"].history] == ["pinned", "moved, non-blocking"]


def test_nothing_runs_ahead_without_prefetch(gpu):
    for one in batches(prefetch_batches=0, pin_memory=True):
        assert {thread for _, thread in one["id"].history} == {threading.main_thread()}


def test_functions_and_transfers_have_a_thread_each(gpu):
    made = []

    def collate(batch):
        made.append(threading.current_thread())
        return [torch_stand_in.Tensor(batch["id"]), "text"]

    got = batches(collate_fn=collate)
    assert [text for _, text in got] == ["text"] * 3
    moved = {tensor.history[-1][1] for tensor, _ in got}
    assert len(set(made)) == len(moved) == 1
    assert {thread.name for thread in (*made, *moved)} == {"raceline-ahead"}
    assert set(made).isdisjoint(moved)


def test_an_error_of_a_transfer_is_raised_in_the_loop(gpu, monkeypatch):
    def to(tensor, device, non_blocking=False):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(torch_stand_in.Tensor, "to", to)
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        batches()


def test_the_state_counts_what_the_loop_got(gpu):
    iterator = raceline.range(1000).iterator()
    for at, _ in enumerate(iterator.iter_torch_batches(batch_size=10, prefetch_batches=3), 1):
        assert iterator.state_dict()["rows"] == 10 * at
        if at == 5:
            break


def test_threads_end_with_an_iteration_that_is_dropped(gpu):
    got = iter(raceline.range(10**9).iter_torch_batches(batch_size=10))
    next(got)
    assert len(threads()) == 2
    del got
    gc.collect()
    assert threads() == []


def test_types_are_asked_for_by_column(cpu):
    [one] = raceline.range(3).iter_torch_batches(dtypes={"id": np.float32})
    assert one["id"].array.dtype == np.float32


def test_what_has_no_tensor_is_named(gpu):
    texts = raceline.from_items(["a", "b"])
    with pytest.raises(
        TensorError, match=r"^column `item` cannot become a tensor: it holds values of"
    ):
        list(texts.iter_torch_batches())


def test_functions_exclude_types(gpu):
    with pytest.raises(PlanError, match=r"^pass either `collate_fn` or `dtypes`, not both$"):
        batches(collate_fn=dict, dtypes=np.float32)
