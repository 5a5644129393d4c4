"""Functions that do what no function should: each ends well or in a clear error, and the session
can be used after it."""

import contextlib
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import raceline
from raceline import errors


def double(batch):
    return {"id": batch["id"] * 2}


@pytest.fixture(autouse=True)
def the_session_can_be_used_after_it():
    yield
    assert raceline.range(100).map_batches(lambda b: {**b, "n": double(b)["id"]}).sum("n") == 9900


def run(function, **options):
    return raceline.range(10).map_batches(function, batch_size=5, timeout_s=30, **options)


# --- what a function may do -------------------------------------------------------------------


def closes_its_streams(batch):
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()
    return batch


def has_no_streams(batch):
    sys.stdin = sys.stdout = sys.stderr = None
    return batch


def prints_without_end(batch):
    for _ in range(20):
        sys.stdout.write("y" * 1_000_000)
    sys.stdout.flush()
    return batch


def starts_a_pool(batch):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(abs, [-1, -2]) == [1, 2]
    return batch


def starts_a_program(batch):
    assert subprocess.run(["echo", "5"], capture_output=True, check=True).stdout == b"5\n"
    return batch


def leaves_a_thread(batch):
    threading.Thread(target=time.sleep, args=(1000,)).start()
    return batch


def ignores_signals(batch):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return batch


def moves_house(batch):
    os.chdir("/")
    os.environ.clear()
    sys.path.clear()
    return batch


def kills_the_stdin_of_its_parent(batch):
    # The template's is its connection to the engine.
    with contextlib.suppress(OSError):
        socket.socket(fileno=os.dup(0)).shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):  # a worker may get both batches
        os.close(0)
    return batch


@pytest.mark.parametrize(
    "function",
    [
        closes_its_streams,
        has_no_streams,
        prints_without_end,
        starts_a_pool,
        starts_a_program,
        leaves_a_thread,
        ignores_signals,
        moves_house,
        kills_the_stdin_of_its_parent,
    ],
)
def test_what_a_function_may_do(function):
    assert [row["id"] for row in run(function).take_all()] == list(range(10))


@pytest.mark.parametrize("raises", [False, True])
def test_a_forked_process_that_comes_back_is_ended(raises, capfd):
    def forks(batch):
        child = os.fork()
        if child == 0 and raises:
            raise ValueError("in the child")
        if child != 0:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
        return batch

    assert [row["id"] for row in run(forks).take_all()] == list(range(10))
    assert "a process that a function forked came back" in capfd.readouterr().err


def test_a_forked_process_between_outputs_is_ended():
    def forks(batch):
        yield batch
        child = os.fork()
        if child != 0:
            os.waitpid(child, 0)
        yield batch

    assert run(forks).count() == 20


def test_a_constructor_that_forks():
    class Forks:
        def __init__(self):
            self.child = os.fork()

        def __call__(self, batch):
            assert self.child != 0
            return batch

    assert run(Forks, concurrency=2).count() == 10


def test_an_endless_generator_ends_with_its_consumer():
    def endless(batch):
        while True:
            yield batch

    assert len(run(endless).take(3)) == 3


# --- what it cannot do ------------------------------------------------------------------------


class Speechless(Exception):
    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__


def closes_all_files(batch):
    os.closerange(0, 4096)
    return batch


def overflows_the_stack(batch):
    class Endless:
        def __getattr__(self, name):
            return getattr(self, name + "")

    sys.setrecursionlimit(10**7)
    return Endless().x


# From 3.12 on, Python counts calls that go through C.
STACK_OVERFLOW = (
    "MapBatches(overflows_the_stack)`: signal SIGSEGV"
    if sys.version_info < (3, 12)
    else "raised RecursionError: maximum recursion depth exceeded"
)


def recurs_without_end(batch):
    return recurs_without_end(batch)


def reads_stdin(batch):
    return {"id": [input()]}


def becomes_another_program(batch):
    os.execv("/bin/true", ["true"])


def is_told_to_end(batch):
    os.kill(os.getpid(), signal.SIGTERM)


def has_no_memory(batch):
    resource.setrlimit(resource.RLIMIT_AS, (10**8, 10**8))
    bytearray(10**9)


def has_no_files(batch):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return {"id": list(range(100_000))}


def speechless(batch):
    raise Speechless


def raises_a_circle(batch):
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    raise first


def raises_no_unicode(batch):
    raise ValueError("bad \udcff text")


def raises_a_group(batch):
    raise ExceptionGroup("several", [ValueError("one of them")])


def names_no_unicode(batch):
    return {"\ud800": [1]}


def fails_when_closed(batch):
    try:
        yield batch
    finally:
        raise RuntimeError("in the end")


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (overflows_the_stack, STACK_OVERFLOW),
        (recurs_without_end, "raised RecursionError: maximum recursion depth exceeded"),
        (reads_stdin, "raised EOFError: EOF when reading a line"),
        (becomes_another_program, "the function ended its own process"),
        (is_told_to_end, "the function, or another program, sent it this signal"),
        (has_no_memory, "function `has_no_memory` raised MemoryError"),
        (has_no_files, "Too many open files"),
        (speechless, "raised Speechless: (its message cannot be shown: `__str__` raised Runti"),
        (raises_a_circle, "raised ValueError: first"),
        (raises_no_unicode, r"raised ValueError: bad \udcff text"),
        (raises_a_group, "raised ExceptionGroup: several (1 sub-exception)"),
        (names_no_unicode, "raised UnicodeEncodeError"),
        (fails_when_closed, "raised RuntimeError: in the end"),
    ],
)
def test_what_a_function_cannot_do(function, said):
    with pytest.raises(errors.RacelineError) as raised:
        run(function, max_retries=0).take_all()
    assert said in str(raised.value)
    assert function.__name__ in str(raised.value)


def test_a_function_that_closes_all_files():
    # Whichever comes first: the engine notices, or a library that had one open.
    said = "kills the workers of `MapBatches.*(it closed its connection|SIGABRT)"
    with pytest.raises(errors.RacelineError, match=said):
        run(closes_all_files, max_retries=0).take_all()


@pytest.mark.parametrize("kind", [MemoryError, OSError, UnicodeDecodeError, ExceptionGroup])
def test_exceptions_with_constructors_in_c_are_caught_by_their_type(kind):
    arguments = {
        UnicodeDecodeError: ("utf-8", b"x", 0, 1, "bad"),
        ExceptionGroup: ("several", [ValueError()]),
    }

    def fails(batch):
        raise kind(*arguments.get(kind, ()))

    with pytest.raises(errors.UdfError) as raised:
        run(fails).take_all()
    assert isinstance(raised.value.__cause__, kind)


def test_a_message_of_100_mb_is_cut():
    def fails(batch):
        raise ValueError("start" + "x" * 100_000_000 + "end")

    with pytest.raises(errors.UdfError) as raised:
        run(fails).take_all()
    told = str(raised.value)
    assert len(told) < 1_000_000
    assert "ValueError: startxxx" in told
    assert "characters left out" in told


def test_a_template_that_a_function_kills_is_replaced():
    def kills(batch):
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(10)

    with pytest.raises(errors.RacelineError, match=r"kills the workers of|template"):
        run(kills).take_all()


@pytest.mark.parametrize("options", [{}, {"num_cpus": 0}], ids=str)
def test_10_000_workers_may_be_asked_for(options, tmp_path):
    class Recorded:
        def __init__(self):
            (tmp_path / str(os.getpid())).touch()

        def __call__(self, batch):
            return {"id": np.sort(batch["id"])}

    dataset = raceline.range(1000).map_batches(
        Recorded, batch_size=100, concurrency=10_000, **options
    )
    assert dataset.sum("id") == 499_500
    if not options:
        assert len(list(tmp_path.iterdir())) <= os.cpu_count()
