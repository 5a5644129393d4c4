"""Async functions: how many calls run at once, in which order they answer, how they fail."""

import asyncio
import contextvars
import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.data import ActorPoolStrategy, RateLimit, Retry
from raceline.data.compute import WorkerCount


class Server:
    """An HTTP server in a thread, which counts the requests that it has at once."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.now = self.most = self.total = 0
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,))
        self._thread.start()
        started.wait()

    def _serve(self, started):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(
            asyncio.start_server(self._answer, "127.0.0.1", 0, backlog=100)
        )
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        self.loop.run_forever()
        server.close()
        self.loop.run_until_complete(server.wait_closed())
        self.loop.close()

    async def _answer(self, reader, writer):
        path = (await reader.readline()).split()[1].decode()
        while await reader.readline() not in (b"\r\n", b""):
            pass
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)
        # Later rows are answered sooner.
        await asyncio.sleep(0.05 + 0.01 * (-int(path[1:]) % 5))
        self.now -= 1
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nanswer " + path[1:].encode())
        await writer.drain()
        writer.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


async def get(port, path):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /{path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    text = await reader.read()
    writer.close()
    return text.rpartition(b"\r\n")[2].decode()


async def ask(row, port):
    return {"id": row["id"], "answer": await get(port, row["id"])}


class Client:
    """Makes its connection lazily, in its first call, and keeps it."""

    def __init__(self, port):
        self.port = port
        self.slots = None

    async def __call__(self, row):
        if self.slots is None:
            self.slots = asyncio.Semaphore(1000)
            self.loop = asyncio.get_running_loop()
        assert self.loop is asyncio.get_running_loop()
        async with self.slots:
            return await ask(row, self.port)


ANSWERS = [{"id": row, "answer": f"answer {row}"} for row in range(100)]


@pytest.mark.parametrize("at_once", [1, 20])
def test_rows_run_at_once_and_keep_their_order(server, at_once):
    rows = raceline.range(100 if at_once > 1 else 5).map(
        ask, fn_kwargs={"port": server.port}, max_concurrency=at_once, concurrency=1
    )
    assert rows.take_all() == ANSWERS[: 100 if at_once > 1 else 5]
    assert at_once // 2 < server.most <= at_once or at_once == server.most == 1


def test_a_class_keeps_what_it_makes_in_its_loop(server):
    rows = raceline.range(100).map(
        Client,
        fn_constructor_args=[server.port],
        compute=ActorPoolStrategy(size=1, max_concurrent_calls_per_actor=12),
    )
    assert rows.take_all() == ANSWERS
    assert 6 < server.most <= 12


def test_small_batches_fill_the_calls_together(server):
    rows = raceline.range(100).repartition(50)
    rows = rows.map(ask, fn_args=[server.port], max_concurrency=20, concurrency=1)
    assert rows.take_all() == ANSWERS
    assert 10 < server.most <= 20


def test_batches_run_at_once(server):
    async def ask_all(batch, port):
        return {"sum": [batch["id"].sum()], "answer": [await get(port, batch["id"][0])]}

    sums = raceline.range(120).map_batches(
        ask_all, batch_size=10, fn_args=[server.port], concurrency=1
    )
    assert [row["sum"] for row in sums.take_all()] == [45 + 100 * batch for batch in range(12)]
    assert 2 <= server.most <= 4


def test_the_functions_of_all_kinds():
    class Object:
        async def __call__(self, row, least=0):
            await asyncio.sleep(0)
            return row["id"] >= least

    async def double(x):
        return x * 2

    async def several(row):
        return [row] * row["id"]

    async def one_by_one(row):
        for index in range(row["id"]):
            yield {"index": index}

    async def pieces(batch):
        for first in range(0, len(batch["id"]), 2):
            yield {"sum": [batch["id"][first : first + 2].sum()]}

    ids = raceline.range(4)
    assert ids.map(double).take_all() == [0, 2, 4, 6]
    assert ids.flat_map(several).map(lambda row: row["id"]).take_all() == [1, 2, 2, 3, 3, 3]
    indices = ids.flat_map(one_by_one).take_all()
    assert [row["index"] for row in indices] == [0, 0, 1, 0, 1, 2]
    assert ids.filter(Object()).count() == 4
    assert ids.filter(functools.partial(Object(), least=2)).take_all() == [{"id": 2}, {"id": 3}]
    assert ids.filter(Object, fn_kwargs={"least": 3}).take_all() == [{"id": 3}]
    nothing = ids.filter(Object(), fn_args=[9])
    assert (nothing.take_all(), nothing.schema().names) == ([], ["id"])
    sums = ids.map_batches(pieces, batch_size=4).take_all()
    assert [row["sum"] for row in sums] == [1, 5]


@pytest.mark.parametrize("batch_format", ["numpy", "pandas", "pyarrow"])
def test_batches_come_in_their_format(batch_format):
    async def same(batch):
        await asyncio.sleep(0.001)
        return batch

    rows = raceline.range(10_000).map_batches(same, batch_size=64, batch_format=batch_format)
    assert [row["id"] for row in rows.take_all()] == list(range(10_000))


def test_what_is_not_awaitable_is_taken_as_it_is():
    class Mixed:
        async def __call__(self, row):
            raise AssertionError

    def call(self, row):
        return row if row["id"] % 2 else asyncio.sleep(0, {"id": -row["id"]})

    import inspect

    if not hasattr(inspect, "markcoroutinefunction"):
        pytest.skip("a plain function cannot be marked before Python 3.12")
    Mixed.__call__ = inspect.markcoroutinefunction(call)
    assert raceline.range(4).map(Mixed).take_all() == [{"id": value} for value in (0, 1, -2, 3)]


def test_other_rows_of_a_batch_go_on_where_one_fails():
    async def fail(row):
        await asyncio.sleep(0.01 * (row["id"] % 3))
        if row["id"] % 7 == 3:
            raise KeyError(f"no {row['id']}")
        return row

    rows = raceline.range(30).map(fail, on_error="dead_letter")
    assert [row["id"] for row in rows.take_all()] == [id for id in range(30) if id % 7 != 3]
    letters = rows.dead_letters().take_all()
    assert [(row["input"]["id"], row["error_type"]) for row in letters] == [
        (id, "KeyError") for id in range(3, 30, 7)
    ]
    assert raceline.replay(rows.dead_letters(), fine, debugger=False) == {"id": 3}
    with pytest.raises(KeyError) as caught:
        raceline.range(30).map(fail).take_all()
    assert caught.value.rows == (3, 3)
    assert "raise KeyError(f\"no {row['id']}\")" in str(caught.value)
    assert "raceline/_async.py" not in str(caught.value)


async def fine(row):
    return row


async def fine_pieces(row):
    yield row
    yield row


def test_a_letter_is_replayed_also_inside_a_running_loop():
    rows = raceline.range(1).map(opaque(lambda row: {}[0]), on_error="dead_letter")
    assert rows.count() == 0
    letters = rows.dead_letters()

    async def in_notebook(fn):
        return raceline.replay(letters, fn, debugger=False)

    assert raceline.replay(letters, fine_pieces, debugger=False) == [{"id": 0}] * 2
    assert asyncio.run(in_notebook(fine)) == {"id": 0}
    assert asyncio.run(in_notebook(fine_pieces)) == [{"id": 0}] * 2


def test_explain_says_why_calls_are_not_compiled(capsys):
    def same(row):
        return row

    ids = raceline.range(3)
    for rows, why in (
        (ids.map(fine), "Map(fine): process: it is an `async def`"),
        (ids.map(same), "Map(same): compiled"),
        (ids.map(same, retry=Retry()), "Map(same): process: it is called again when it raises"),
        (
            ids.map(same, rate_limit=RateLimit(requests_per_s=5)),
            "Map(same): process: it has a rate limit",
        ),
    ):
        rows.explain()
        assert why in capsys.readouterr().out


def test_the_calls_of_a_plain_function_are_batches_that_may_wait():
    strategy = ActorPoolStrategy(max_concurrent_calls_per_actor=3)
    workers = WorkerCount.resolve(strategy, None, stateful=True)
    assert workers.batches(is_async=False) == 6
    assert workers.batches(is_async=True) is None
    strategy = ActorPoolStrategy(max_concurrent_calls_per_actor=3, max_tasks_in_flight_per_actor=4)
    workers = WorkerCount.resolve(strategy, None, stateful=True)
    assert workers.batches(is_async=False) == workers.batches(is_async=True) == 4
    assert raceline.range(5).map(Plain, compute=strategy).count() == 5


class Plain:
    def __call__(self, row):
        return row


class OwnError(Exception):
    pass


def test_calls_are_made_again_after_exceptions_of_the_program(tmp_path):
    async def flaky(row):
        if not (tmp_path / "failed").exists():
            (tmp_path / "failed").touch()
            raise OwnError
        return row

    retry = Retry(on=OwnError, backoff_s=0.01)
    assert raceline.range(1).map(flaky, retry=retry).count() == 1


def test_a_batch_that_fails_is_halved():
    async def fail(batch):
        if 5 in batch["id"]:
            raise ValueError("five")
        return batch

    rows = raceline.range(40).map_batches(fail, batch_size=8, on_error="skip")
    assert [row["id"] for row in rows.take_all()] == [id for id in range(40) if id != 5]


def test_a_row_that_takes_too_long_fails_alone():
    async def slow(row):
        await asyncio.sleep(30 if row["id"] == 5 else 0)
        return row

    with pytest.raises(TimeoutError) as caught:
        raceline.range(10).map(slow, timeout_s=0.2).take_all()
    assert caught.value.rows == (5, 5)
    assert "`slow` took longer than 0.2 s for a row" in str(caught.value)
    assert 'await asyncio.sleep(30 if row["id"] == 5 else 0)' in str(caught.value)
    assert raceline.range(10).map(slow, timeout_s=0.2, on_error="skip").count() == 9

    async def own(row):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(30)

    with pytest.raises(TimeoutError) as caught:
        raceline.range(1).map(own, timeout_s=20).take_all()
    assert "took longer" not in str(caught.value)


def test_the_time_in_which_pieces_wait_does_not_count():
    async def pieces(batch):
        for piece in range(8):
            yield {"piece": np.full(1 << 17, piece)}

    batches = raceline.range(1).map_batches(pieces, timeout_s=1).iter_batches(batch_size=1 << 17)
    seen = 0
    for batch in batches:
        assert set(batch["piece"]) == {seen}
        time.sleep(0.2)
        seen += 1
    assert seen == 8


def test_the_pieces_of_a_generator_stream():
    async def endless(batch):
        while True:
            yield {"zeros": np.zeros(1 << 20)}

    # What a generator that never ends yields goes on, and no more of it than there is room for.
    rows = raceline.range(1).map_batches(endless).limit(3 << 20)
    assert rows.count() == 3 << 20

    async def endless_rows(row):
        while True:
            yield row

    assert raceline.range(2).flat_map(endless_rows).take(5000) == [{"id": 0}] * 5000


def test_answers_go_on_while_later_calls_run(tmp_path):
    async def wait(row):
        if row["id"] == 5:
            while not (tmp_path / "seen").exists():
                await asyncio.sleep(0.01)
        return row

    for row in raceline.range(10).map(wait, timeout_s=60).iter_rows():
        if row["id"] == 4:
            Path(tmp_path / "seen").touch()


def test_calls_are_made_again(tmp_path):
    async def flaky(row):
        row["tries"] = row.get("tries", 0) + 1  # a row of its own each time
        with (tmp_path / str(row["id"])).open("a") as tries:
            tries.write(".")
        if (tmp_path / str(row["id"])).stat().st_size <= row["id"]:
            raise ConnectionError("again")
        return row

    retry = Retry(times=2, backoff_s=0.01, on=(ConnectionError, OSError))
    rows = raceline.range(5).map(flaky, retry=retry, on_error="skip").take_all()
    assert rows == [{"id": id, "tries": 1} for id in range(3)]
    assert [(tmp_path / str(id)).stat().st_size for id in range(5)] == [1, 2, 3, 3, 3]


def test_other_exceptions_are_final(tmp_path):
    async def fail(row):
        with (tmp_path / "calls").open("a") as calls:
            calls.write(".")
        raise ValueError("final")

    with pytest.raises(ValueError, match="final"):
        raceline.range(1).map(fail, retry=Retry(on=OSError)).take_all()
    assert (tmp_path / "calls").stat().st_size == 1


@pytest.mark.parametrize("kind", ["map", "flat_map", "map_batches"])
def test_plain_functions_are_made_again_too(kind, tmp_path):
    def flaky(row):
        with (tmp_path / "calls").open("a") as calls:
            calls.write(".")
        if (tmp_path / "calls").stat().st_size < 3:
            raise ConnectionError("again")
        return {"id": [7]} if kind == "map_batches" else {"id": 7}

    def flaky_generator(row):
        yield flaky(row)

    fn = flaky if kind == "map" else flaky_generator
    rows = getattr(raceline.range(1), kind)(fn, retry=Retry(times=2, backoff_s=0.01))
    assert rows.take_all() == [{"id": 7}]
    (tmp_path / "calls").unlink()
    rows = getattr(raceline.range(1), kind)(fn, retry=Retry(times=1, backoff_s=0.01))
    with pytest.raises(ConnectionError):
        rows.take_all()


def test_a_generator_that_is_made_again_repeats_nothing(tmp_path):
    async def flaky(row):
        for index in range(3):
            if index == 2 and not (tmp_path / "failed").exists():
                (tmp_path / "failed").touch()
                raise ConnectionError
            yield {"index": index}

    rows = raceline.range(1).flat_map(flaky, retry=Retry(backoff_s=0.01)).take_all()
    assert [row["index"] for row in rows] == [0, 1, 2]


def test_the_waits_double_up_to_the_longest_and_differ():
    retry = Retry(backoff_s=1, backoff_max_s=10)
    for failures, longest in ((1, 1), (2, 2), (4, 8), (5, 10), (5000, 10)):
        waits = [retry.wait_s(failures) for _ in range(50)]
        assert longest / 2 <= min(waits) < max(waits) <= longest


def test_a_function_may_block_the_loop():
    async def block(row):
        time.sleep(0.005)
        return row

    assert [row["id"] for row in raceline.range(50).map(block).take_all()] == list(range(50))


def test_a_call_that_blocks_the_loop_for_too_long_is_named():
    async def block(row):
        if row["id"] == 3:
            time.sleep(600)
        return row

    with pytest.raises(TimeoutError) as caught:
        raceline.range(10).map(block, timeout_s=0.3, concurrency=1).take_all()
    assert caught.value.rows == (3, 3)
    assert str(caught.value).startswith(
        "function `block` raised TimeoutError: `block` blocks its event loop, for longer than the "
        "0.3 s that a call may take\n  hint: await what takes long, or make it a plain function"
    )
    assert str(caught.value).count("time.sleep(600)") == 1
    assert "raceline/_async" not in str(caught.value)
    rows = raceline.range(10).map(block, timeout_s=0.1, on_error="skip", max_retries=0)
    assert rows.count() == 9


def test_tasks_that_are_left_running_end_with_the_worker(tmp_path):
    async def leave(row):
        async def background():
            try:
                await asyncio.sleep(60)
            finally:
                (tmp_path / "ended").touch()

        row["task"] = str(asyncio.create_task(background()))
        return row

    start = time.monotonic()
    assert raceline.range(3).map(leave).count() == 3
    assert time.monotonic() - start < 30
    end = time.monotonic() + 10
    while not (tmp_path / "ended").exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_left_task_that_exits_ends_nothing_else():
    async def leave(row):
        async def background():
            raise SystemExit(3)

        task = asyncio.create_task(background())
        await asyncio.sleep(0.01)
        return {"done": task.done()}

    assert raceline.range(20).map(leave).take_all() == [{"done": True}] * 20


def test_exceptions_that_are_none_of_the_usual():
    async def cancelled(row):
        raise asyncio.CancelledError("mine")

    async def exits(row):
        raise SystemExit(4)

    async def group(row):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(get(0, "nowhere"))
            tasks.create_task(asyncio.sleep(10))

    async def deep(depth):
        return await deep(depth + 1)

    async def nothing(row):
        pass

    for fn, text in (
        (cancelled, "CancelledError: mine"),
        (exits, "SystemExit: 4"),
        (deep, "RecursionError: maximum recursion depth exceeded"),
        (group, "ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)"),
        (nothing, "`nothing` returned None for a row"),
    ):
        with pytest.raises(raceline.errors.UdfError) as caught:
            raceline.range(3).map(fn).take_all()
        assert text in str(caught.value)

    with pytest.raises(RecursionError):
        raceline.range(3).map(deep).take_all()
    found = []
    try:
        raceline.range(3).map(group).take_all()
    except* OSError as errors:
        found.extend(errors.exceptions)
    assert len(found) == 1


current = contextvars.ContextVar("current", default="none")


def test_each_call_has_a_context_of_its_own():
    class Traced:
        def __init__(self):
            self.var = contextvars.ContextVar("current", default="none")
            self.var.set("made")

        async def __call__(self, row):
            before = self.var.get()
            self.var.set(row["id"])
            await asyncio.sleep(0.01)
            return {"before": before, "kept": self.var.get() == row["id"]}

    rows = raceline.range(20).map(Traced, concurrency=1).take_all()
    assert rows == [{"before": "made", "kept": True}] * 20


def test_a_constructor_may_run_the_loop_it_will_be_called_in():
    class Made:
        def __init__(self):
            self.other = asyncio.run(self.connect())
            self.loop = None

        async def connect(self):
            return asyncio.get_running_loop()

        async def __call__(self, row):
            self.loop = self.loop or asyncio.get_running_loop()
            return {"same": self.loop is asyncio.get_running_loop(), "new": self.other.is_closed()}

    assert (
        raceline.range(3).map(Made, concurrency=1).take_all() == [{"same": True, "new": True}] * 3
    )

    class Early:
        def __init__(self):
            self.loop = asyncio.get_event_loop()
            self.value = self.loop.run_until_complete(asyncio.sleep(0, 7))

        async def __call__(self, row):
            return {"value": self.value, "same": self.loop is asyncio.get_running_loop()}

    assert (
        raceline.range(2).map(Early, concurrency=1).take_all() == [{"value": 7, "same": True}] * 2
    )


def test_a_plain_function_may_run_a_loop_of_its_own():
    async def double(row):
        await asyncio.sleep(0)
        return {"id": row["id"] * 2}

    rows = raceline.range(3).map(lambda row: asyncio.run(double(row))).take_all()
    assert rows == [{"id": 0}, {"id": 2}, {"id": 4}]


def test_a_worker_that_dies_is_replaced(tmp_path):
    async def die(row):
        if row["id"] == 30:
            try:
                (tmp_path / "died").touch(exist_ok=False)
            except FileExistsError:
                pass
            else:
                os._exit(9)
        await asyncio.sleep(0.001)
        return row

    rows = raceline.range(100).repartition(10).map(die, max_concurrency=30, concurrency=1)
    assert [row["id"] for row in rows.take_all()] == list(range(100))


def test_a_process_that_a_function_forks_does_not_become_a_second_worker(tmp_path):
    async def forks(row):
        if row["id"] == 3:
            pid = os.fork()
            if pid:
                (tmp_path / "pid").write_text(str(pid))
        return row

    rows = raceline.range(10).map(forks, concurrency=1)
    assert [row["id"] for row in rows.take_all()] == list(range(10))
    pid = (tmp_path / "pid").read_text()
    end = time.monotonic() + 10
    while (status := Path(f"/proc/{pid}/status")).exists() and "\tZ" not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_function_that_closes_its_descriptors_is_named():
    async def closes(row):
        if row["id"] == 3:
            os.closerange(3, 256)
        return row

    with pytest.raises(raceline.errors.UdfError) as caught:
        raceline.range(10).map(closes, concurrency=1, max_retries=0).take_all()
    assert caught.value.rows == (3, 3)
    assert raceline.range(3).map(fine).count() == 3


def test_a_program_is_interrupted_while_calls_wait_or_block_the_loop():
    program = """
import asyncio, signal, time, raceline

# Whoever runs the tests may ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)

async def wait(row):
    print("waits", flush=True)
    await asyncio.sleep(600)

async def block(row):
    print("blocks", flush=True)
    time.sleep(600)

for fn in (wait, block):
    try:
        raceline.range(3).map(fn).take_all()
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""
    run = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for called in ("waits", "blocks"):
        while called not in run.stderr.readline():
            pass
        run.send_signal(signal.SIGINT)
        assert run.stdout.readline() == "interrupted\n"
    assert run.wait(timeout=20) == 0
    run.communicate()


def test_a_plain_function_that_returns_a_coroutine_is_told_what_to_do():
    for rows in (
        raceline.range(2).map(lambda row: fine(row)),
        raceline.range(2).map_batches(lambda batch: fine(batch)),
        raceline.range(2).flat_map(lambda row: fine(row)),
    ):
        with pytest.raises(ValueError, match="returned `coroutine` for a") as caught:
            rows.take_all()
        assert "pass the `async def` itself, not a plain function that calls it" in str(
            caught.value
        )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda rows: rows.map(len, max_concurrency=2),
            "`max_concurrency` needs an `async def`: a worker makes one call of `len` at a time\n"
            "  hint: raise `concurrency` to have more workers",
        ),
        (
            lambda rows: rows.map(fine, max_concurrency=0),
            "`max_concurrency` must be an int of at least 1, got `0`",
        ),
        (
            lambda rows: rows.map(
                fine, max_concurrency=2, compute=ActorPoolStrategy(max_concurrent_calls_per_actor=2)
            ),
            "pass either `max_concurrency` or `max_concurrent_calls_per_actor`, not both",
        ),
        (
            lambda rows: rows.map(len, timeout_s=2),
            "`timeout_s` needs an `async def`: a call of `len` for a row cannot be ended\n"
            "  hint: use `map_batches`, where `timeout_s` is the time for a batch",
        ),
        (
            lambda rows: rows.map(fine, timeout_s=0),
            "`timeout_s` must be a positive number of seconds, got `0`\n"
            "  hint: pass None to set no limit",
        ),
        (
            lambda rows: rows.map(fine, retry=3),
            "`retry` must be a `Retry`, got `3`\n"
            "  hint: for example `retry=raceline.data.Retry(times=3)`",
        ),
        (
            lambda rows: rows.groupby(fine),
            "`fine` is an `async def`, which `groupby` does not take\n"
            "  hint: make the keys a column by `map`, and group by that",
        ),
        (lambda _: Retry(times=-1), "`times` must be an int of at least 0, got `-1`"),
        (
            lambda _: Retry(backoff_s=float("nan")),
            "`backoff_s` must be a number of seconds, 0 or more, got `nan`",
        ),
        (
            lambda _: Retry(on="OSError"),
            "`on` must be an exception type or a tuple of these, got `'OSError'`\n"
            "  hint: for example `Retry(on=(TimeoutError, ConnectionError))`",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, text):
    with pytest.raises(raceline.errors.PlanError) as caught:
        call(raceline.range(3))
    assert str(caught.value) == text


@pytest.mark.parametrize("seed", range(6))
def test_async_functions_answer_as_plain_ones_do(seed):
    chance = random.Random(seed)
    kind = ("map", "flat_map", "filter", "map_batches")[seed % 4]
    fails = chance.random() * 0.2

    def is_bad(key):
        return random.Random(f"{seed} {key}").random() < fails

    def plain(row):
        if kind == "map_batches":
            if any(is_bad(id) for id in row["id"]):
                raise ValueError
            return {"id": row["id"], "twice": row["id"] * 2}
        if is_bad(row["id"]):
            raise ValueError
        if kind == "flat_map":
            return [{"id": row["id"], "of": index} for index in range(row["id"] % 4)]
        return row["id"] % 3 > 0 if kind == "filter" else {"text": str(row["id"])}

    async def waits(row):
        await asyncio.sleep(random.random() * 0.005)
        return plain(row)

    async def pieces(row):
        for piece in plain(row):
            await asyncio.sleep(0)
            yield piece

    options = {"on_error": "skip"} if chance.random() < 0.7 or fails else {}
    if kind == "map_batches":
        options["batch_size"] = chance.randint(1, 40)
    rows = raceline.range(chance.randint(1, 900)).repartition(chance.randint(1, 60))
    expected = getattr(rows, kind)(opaque(plain), **options).take_all()
    for fn in (waits, pieces) if kind == "flat_map" else (waits,):
        options["max_concurrency"] = chance.randint(1, 40)
        assert getattr(rows, kind)(fn, **options).take_all() == expected
