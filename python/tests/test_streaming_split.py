"""Consumers that share one run, in threads and in other processes."""

import gc
import json
import multiprocessing
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.data import DataContext
from raceline.errors import ExecutionTimeoutError, PlanError, ResourceError, UdfError


def in_threads(shares, work):
    """Runs ``work(share)`` for all shares at the same time; what each returned or raised."""
    results = [None] * len(shares)

    def run(at):
        try:
            results[at] = work(shares[at])
        except Exception as error:
            results[at] = error

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(shares))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return results


def lists(share, **options):
    return [batch["id"].tolist() for batch in share.iter_batches(**options)]


def flat(batches):
    return [one for batch in batches for one in batch]


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [None, 1, 7, 256])
def test_each_row_goes_to_one_consumer(n, batch_size):
    shares = raceline.range(100).streaming_split(n)
    for _ in range(2):
        got = in_threads(shares, lambda share: flat(lists(share, batch_size=batch_size)))
        assert sorted(flat(got)) == list(range(100))


@pytest.mark.parametrize("rows", [0, 1, 5, 99, 100, 103])
@pytest.mark.parametrize("batch_size", [None, 1, 4, 100])
def test_equal_shares_have_as_many_rows_and_batches(rows, batch_size):
    shares = raceline.range(rows).repartition(4).streaming_split(3, equal=True)
    got = in_threads(shares, lambda share: lists(share, batch_size=batch_size))
    assert [len(flat(one)) for one in got] == [rows // 3] * 3
    assert len({len(one) for one in got}) == 1
    seen = flat(flat(got))
    assert len(set(seen)) == len(seen)
    assert rows - len(seen) < 3


def test_batches_go_round_in_order():
    shares = raceline.range(22).streaming_split(2)
    got = in_threads(shares, lambda share: lists(share, batch_size=5))
    assert got == [
        [[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21]],
        [[5, 6, 7, 8, 9], [15, 16, 17, 18, 19]],
    ]


def test_an_epoch_waits_for_all(tmp_path):
    shares = raceline.range(10).streaming_split(2)
    began = []

    def late(share):
        if share is shares[1]:
            time.sleep(0.3)
            began.append("late")
        rows = flat(lists(share, batch_size=1))
        began.append("rows")
        return rows

    got = in_threads(shares, late)
    assert began[0] == "late"
    assert sorted(flat(got)) == list(range(10))


def test_a_slow_consumer_keeps_the_others_waiting():
    shares = raceline.range(10_000).streaming_split(2)
    slow, fast = (iter(share.iter_batches(batch_size=10)) for share in shares)
    in_threads([slow, fast], next)
    taken = []
    taker = threading.Thread(target=lambda: taken.extend(fast))
    taker.start()
    time.sleep(0.5)
    assert taker.is_alive()
    # What was dealt to the slow one is a few batches.
    waiting = list(zip(slow, range(3), strict=False))
    assert len(waiting) == 3
    time.sleep(0.2)
    assert taker.is_alive()
    slow.close()
    taker.join(60)
    assert not taker.is_alive()
    assert len(taken) == 499


def test_who_leaves_early_is_passed_over():
    shares = raceline.range(1000).streaming_split(2)

    def work(share):
        if share is shares[0]:
            for batch in share.iter_batches(batch_size=10):
                first = batch["id"].tolist()
                break
            return first + lists(share, batch_size=1000)[0]
        return flat(lists(share, batch_size=10)) + flat(lists(share, batch_size=1000))

    got = in_threads(shares, work)
    assert got[0] == list(range(10)) + list(range(1000))
    assert got[1] == [n for n in range(1000) if n % 20 >= 10]


def test_an_error_of_a_function_comes_to_all():
    def fail(row):
        if row["id"] == 50:
            raise KeyError("fifty")
        return row

    shares = raceline.range(100).map(opaque(fail)).streaming_split(2)
    got = in_threads(shares, lambda share: lists(share, batch_size=1))
    assert all(isinstance(one, UdfError) and isinstance(one, KeyError) for one in got)


def test_the_missing_are_named(monkeypatch):
    context = DataContext.get_current()
    monkeypatch.setattr(context, "execution_no_progress_timeout_s", 0.3)
    shares = raceline.range(100).streaming_split(4)
    got = in_threads(shares[:1] + shares[2:3], lists)
    hint = (
        "\n  hint: each must go over its iterator, at the same time as the others and in each "
        "epoch; `DataContext.execution_no_progress_timeout_s` sets how long they wait"
    )
    for error in got:
        assert isinstance(error, ExecutionTimeoutError)
        assert str(error).startswith("consumers ")
    texts = {str(error) for error in got}
    assert (
        "consumers `1`, `3` of the `4` of a streaming split have not begun the epoch within "
        "`0.3 s`" + hint
    ) in texts


def test_one_who_takes_nothing_is_named(monkeypatch):
    monkeypatch.setattr(DataContext.get_current(), "execution_no_progress_timeout_s", 0.5)
    shares = raceline.range(1000).streaming_split(2)
    iterators = [iter(share.iter_batches(batch_size=1)) for share in shares]
    in_threads(iterators, next)
    with pytest.raises(ExecutionTimeoutError) as error:
        list(iterators[1])
    assert str(error.value).startswith(
        "consumer `0` of the `2` of a streaming split has taken no batch for `0.5 s`\n"
    )
    iterators[0].close()


def test_arguments_are_checked():
    with pytest.raises(PlanError, match=r"^`n` must be an int of at least 1, got `0`"):
        raceline.range(3).streaming_split(0)
    with pytest.raises(PlanError) as error:
        raceline.range(3).streaming_split(2, locality_hints=["a"])
    assert str(error.value) == (
        "`locality_hints` must have one for each of the `2` iterators, got `1`"
    )
    assert len(raceline.range(3).streaming_split(2, locality_hints=["a", None])) == 2


def test_what_consumers_want_must_go_together():
    shares = raceline.range(10).streaming_split(2)
    sizes = {0: 3, 1: 4}
    got = in_threads(
        shares,
        lambda share: lists(share, local_shuffle_buffer_size=sizes[shares.index(share)]),
    )
    assert [str(error) for error in got] == [
        "the consumers of a streaming split want different `local_shuffle_buffer_size`: `[3, 4]`"
    ] * 2
    # They may go on.
    got = in_threads(shares, lists)
    assert sorted(flat(flat(got))) == list(range(10))


def test_rows_are_shuffled_among_all():
    shares = raceline.range(1000).streaming_split(2, equal=True)
    options = {"batch_size": 10, "local_shuffle_buffer_size": 200, "local_shuffle_seed": 5}
    got = in_threads(shares, lambda share: flat(lists(share, **options)))
    assert sorted(flat(got)) == list(range(1000))
    assert got[0] != sorted(got[0])
    order = raceline.range(1000).iter_batches(
        batch_size=10, local_shuffle_buffer_size=400, local_shuffle_seed=5
    )
    assert got[0] == flat([batch["id"].tolist() for batch in order][::2])


def test_an_iterator_tells_about_itself():
    dataset = raceline.range(10)
    shares = dataset.streaming_split(2)
    assert repr(shares[1]) == f"DataIterator(share 1 of 2 of {dataset!r})"
    there = pickle.loads(pickle.dumps(shares[1]))
    assert repr(there) == f"DataIterator(share 1 of 2 of a dataset of process {os.getpid()})"
    assert shares[0].schema().names == ["id"]
    assert shares[0].stats() == ""
    in_threads(shares, lists)
    assert "Range" in shares[1].stats()
    kept = in_threads(shares, lambda share: share.materialize())
    assert sorted(row["id"] for one in kept for row in one.take_all()) == list(range(10))


@pytest.mark.parametrize("after", [1, 2, 5])
@pytest.mark.parametrize("consumers", [1, 2, 3])
def test_an_epoch_goes_on_with_another_number_of_consumers(after, consumers):
    options = {"batch_size": 5, "local_shuffle_buffer_size": 8}

    def begin(share):
        batches = share.iter_batches(**options)
        got = []
        for batch, _ in zip(batches, range(after), strict=False):
            got.extend(batch["id"].tolist())
            state = share.state_dict()
        return got, state

    shares = raceline.range(100).streaming_split(2)
    began = in_threads(shares, begin)
    states = [json.loads(json.dumps(state)) for _, state in began]
    assert states[0] == states[1]
    assert states[0]["rows"] == after * 5 * 2
    shares = raceline.range(100).streaming_split(consumers)
    for share in shares:
        share.load_state_dict(states[0])
    rest = in_threads(shares, lambda share: flat(lists(share, **options)))
    assert sorted(flat(rest) + began[0][0] + began[1][0]) == list(range(100))
    alone = raceline.range(100).iter_batches(**options)
    alone.load_state_dict(states[0])
    assert sorted(flat(rest)) == sorted(flat([batch["id"].tolist() for batch in alone]))
    # One that did not load it goes where the others do.
    shares = raceline.range(100).streaming_split(consumers)
    shares[0].load_state_dict(states[0])
    assert in_threads(shares, lambda share: flat(lists(share, **options))) == rest


def test_states_that_differ_are_refused():
    state = raceline.range(100).iterator().state_dict()
    shares = raceline.range(100).streaming_split(2)
    shares[0].load_state_dict({**state, "rows": 10, "new_seed": 1})
    shares[1].load_state_dict({**state, "rows": 20, "new_seed": 1})
    got = in_threads(shares, lists)
    assert str(got[0]) == (
        "the consumers of a streaming split have loaded different states, of row 10 of epoch 0 and "
        "row 20 of epoch 0\n"
        "  hint: load the same one everywhere: that of any consumer is that of all"
    )


def test_batches_of_different_sizes_have_no_state():
    shares = raceline.range(100).streaming_split(2)
    sizes = {0: 3, 1: 5}

    def work(share):
        rows = flat(lists(share, batch_size=sizes[shares.index(share)]))
        batches = iter(share.iter_batches(batch_size=sizes[shares.index(share)]))
        next(batches)
        with pytest.raises(PlanError) as error:
            share.state_dict()
        batches.close()
        return rows, str(error.value)

    got = in_threads(shares, work)
    assert sorted(got[0][0] + got[1][0]) == list(range(100))
    assert got[0][1] == (
        "an epoch that several consumers share has a state only where all of them take batches of "
        "as many rows\n  hint: iterate over batches, with the same `batch_size` everywhere"
    )


# Other processes.


def consume(share, results, options, epochs=1):
    for _ in range(epochs):
        got = [np.asarray(batch["id"]).tolist() for batch in share.iter_batches(**options)]
        results.put((os.getpid(), got, share.schema().names, share.state_dict()))


def die(share, results, how):
    for batch in share.iter_batches(batch_size=1):
        results.put(int(batch["id"][0]))
        results.close()
        results.join_thread()
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(3)


def start(method, target, arguments):
    context = multiprocessing.get_context(method)
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_consumers_in_other_processes(method):
    context = multiprocessing.get_context(method)
    results = context.Queue()
    rows = raceline.range(1000).map(lambda row: {"id": row["id"], "text": f"{row['id']}"})
    shares = rows.streaming_split(3, equal=True)
    options = {"batch_size": 10, "local_shuffle_buffer_size": 20}
    processes = [start(method, consume, (share, results, options, 2)) for share in shares[:2]]
    here = [lists(shares[2], **options) for _ in range(2)]
    answers = [results.get(timeout=60) for _ in range(4)]
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert {pid for pid, *_ in answers} == {process.pid for process in processes}
    seen = flat(flat([got for _, got, *_ in answers] + here))
    assert len(seen) == 2 * 999
    assert len(set(seen)) >= 999
    assert all(names == ["id", "text"] for _, _, names, _ in answers)
    assert {state["epoch"] for *_, state in answers} == {1, 2}


@pytest.mark.parametrize(
    ("method", "how"), [("spawn", "kill"), ("spawn", "exit"), ("fork", "kill"), ("fork", "exit")]
)
def test_a_dead_consumer_is_told_to_the_others_and_may_come_again(method, how):
    context = multiprocessing.get_context(method)
    results = context.Queue()
    shares = raceline.range(1000).streaming_split(2)
    process = start(method, die, (shares[0], results, how))
    with pytest.raises(ResourceError) as error:
        lists(shares[1], batch_size=1)
    process.join(60)
    assert str(error.value).startswith(
        "consumer `0` of the `2` of a streaming split has gone: "
        f"process `{process.pid}` has ended, or closed its iterator\n"
    )
    # An epoch without it does not begin.
    with pytest.raises(ResourceError, match="has gone"):
        lists(shares[1], batch_size=1)
    again = start(method, consume, (shares[0], results, {"batch_size": 10}))
    deadline = time.monotonic() + 60
    while True:
        try:
            here = flat(lists(shares[1], batch_size=10))
            break
        except ResourceError:
            assert time.monotonic() < deadline
    results.get(timeout=60)
    _, there, _, _ = results.get(timeout=60)
    again.join(60)
    assert sorted(here + flat(there)) == list(range(1000))


def consume_late(share, results, wait_s):
    time.sleep(wait_s)
    results.put(sum(len(batch["id"]) for batch in share.iter_batches(batch_size=10)))


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_each_epoch_may_have_processes_of_its_own(method):
    """As those of a DataLoader, which do not come at the same time."""
    results = multiprocessing.get_context(method).Queue()
    shares = raceline.range(100).streaming_split(2, equal=True)
    for _ in range(3):
        waits_s = zip(shares, (0.0, 0.3), strict=True)
        processes = [start(method, consume_late, (one, results, wait)) for one, wait in waits_s]
        assert [results.get(timeout=60) for _ in processes] == [50, 50]
        for process in processes:
            process.join(60)
            assert process.exitcode == 0


def test_a_successor_that_does_not_come_is_missed(monkeypatch):
    monkeypatch.setattr("raceline.data.split_coordinator._SUCCESSOR_S", 0.3)
    results = multiprocessing.get_context("fork").Queue()
    shares = raceline.range(100).streaming_split(2)
    process = start("fork", consume_late, (shares[0], results, 0.0))
    assert len(flat(lists(shares[1], batch_size=10))) == results.get(timeout=60) == 50
    process.join(60)
    with pytest.raises(ResourceError) as error:
        lists(shares[1], batch_size=10)
    assert str(error.value).startswith(
        "consumer `0` of the `2` of a streaming split has gone: "
        f"process `{process.pid}` has ended, or closed its iterator\n"
    )


def leave_early(share, results):
    first = next(iter(share.iter_batches(batch_size=10)))["id"].tolist()
    rest = flat([batch["id"].tolist() for batch in share.iter_batches(batch_size=10)])
    results.put((first, rest))


def test_a_process_that_leaves_an_epoch_early_is_passed_over():
    results = multiprocessing.get_context("fork").Queue()
    shares = raceline.range(1000).streaming_split(2)
    process = start("fork", leave_early, (shares[0], results))
    first = flat(lists(shares[1], batch_size=10))
    second = flat(lists(shares[1], batch_size=10))
    there = results.get(timeout=60)
    process.join(60)
    assert first == [n for n in range(1000) if n % 20 >= 10]
    assert there[0] == list(range(10))
    assert sorted(there[1] + second) == list(range(1000))


def fail_there(share, results):
    try:
        list(share.iter_rows())
    except UdfError as error:
        results.put(str(error))


def test_an_error_crosses_to_another_process():
    results = multiprocessing.get_context("fork").Queue()
    shares = raceline.range(10).map(opaque(lambda row: 1 / 0)).streaming_split(1)
    process = start("fork", fail_there, (shares[0], results))
    assert "division by zero" in results.get(timeout=60)
    process.join(60)


def orphaned(path, ready):
    raceline.shutdown()
    shares = raceline.range(10**9).streaming_split(1)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=consume_until_error, args=(shares[0], path))
    process.start()
    ready.put(process.pid)
    ready.close()
    ready.join_thread()
    time.sleep(0.5)
    del results
    os.kill(os.getpid(), signal.SIGKILL)


def consume_until_error(share, path):
    try:
        for _ in share.iter_batches(batch_size=100):
            time.sleep(0.01)
    except ResourceError as error:
        path.write_text(str(error))


def test_consumers_are_told_that_the_first_process_has_ended(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    process = context.Process(target=orphaned, args=(tmp_path / "error", ready))
    process.start()
    ready.get(timeout=60)
    process.join(60)
    deadline = time.monotonic() + 30
    while not (tmp_path / "error").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.1)
    assert (tmp_path / "error").read_text() == (
        "the process that made the streaming split has ended\n"
        "  hint: keep it running for as long as its consumers"
    )


def test_a_program_ends_silently_with_shares_in_use():
    program = """
import raceline
rows = raceline.range(10**9).map(lambda row: {"x": abs(row["id"])})
shares = rows.streaming_split(1)
batches = iter(shares[0].iter_batches(batch_size=10))
print(len(next(batches)["x"]))
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert (ended.stdout, ended.stderr) == ("10\n", "")


def test_nothing_is_left_of_shares_that_are_gone():
    def doors():
        return [one for one in threading.enumerate() if one.name.startswith("raceline-split")]

    before = len(doors())
    shares = raceline.range(10).streaming_split(1)
    folder = pathlib.Path(shares[0]._iterated._way[0]).parent
    assert folder.exists()
    assert len(list(shares[0].iter_rows())) == 10
    del shares
    gc.collect()
    deadline = time.monotonic() + 10
    while len(doors()) > before or folder.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
