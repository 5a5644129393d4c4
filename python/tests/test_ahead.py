"""Iterators that run ahead in a thread."""

import gc
import subprocess
import sys
import threading
import time

import pytest
from ahead_threads import threads

from raceline.data.ahead import Ahead


def counting(most, ended=None):
    try:
        yield from range(most)
    finally:
        if ended is not None:
            ended.append(threading.current_thread().name)


def test_all_items_come_in_order():
    assert list(Ahead(counting(1000), 3, lambda: None)) == list(range(1000))
    assert list(Ahead(counting(0), 1, lambda: None)) == []


def test_no_more_than_asked_are_ahead():
    made = []

    def items():
        for at in range(100):
            made.append(at)
            yield at

    ahead = Ahead(items(), 2, lambda: None)
    time.sleep(0.1)
    assert made == [0, 1, 2]
    assert next(ahead) == 0
    time.sleep(0.1)
    assert made == [0, 1, 2, 3]
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("x")

    ahead = Ahead(items(), 5, lambda: None)
    assert next(ahead) == 1
    with pytest.raises(KeyError):
        next(ahead)
    assert list(ahead) == []


@pytest.mark.parametrize("end", ["close", "drop"])
def test_the_thread_ends_with_it(end):
    ended, cancelled = [], []
    ahead = Ahead(counting(10**9, ended), 2, lambda: cancelled.append(1))
    assert next(ahead) == 0
    if end == "close":
        ahead.close()
        assert list(ahead) == []
    del ahead
    gc.collect()
    assert threads() == []
    assert (ended, cancelled) == (["raceline-ahead"], [1])


def test_a_wait_of_the_generator_is_cancelled():
    is_over = threading.Event()

    def items():
        yield 1
        is_over.wait()

    ahead = Ahead(items(), 2, is_over.set)
    next(ahead)
    ahead.close()
    assert threads() == []


def test_a_program_ends_while_one_runs_ahead():
    program = (
        "import raceline\n"
        "rows = raceline.range(10**9).map(lambda row: {'x': abs(row['id'])})\n"
        "from raceline.data.ahead import Ahead\n"
        "from raceline.data.epochs import Ask, DatasetEpochs\n"
        "epoch = DatasetEpochs(rows._native).begin(Ask(0, None, None, None))\n"
        "ahead = Ahead(epoch.batches(), 2, epoch.cancel)\n"
        "print(next(ahead).num_rows > 0)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == "True\n"
    assert ended.stderr == ""
