"""Async functions in a worker: many calls under way at once, answered in order.

A worker has one event loop, for as long as it lives, in a thread of its own: calls go on while the
worker's first thread converts, sends or waits. The calls of the next batches begin before those of
the first have all ended.

What waits is bounded: there are no more than ``max_concurrency`` calls under way and eight times
as many that were begun and not yet taken, and what a call yields waits for room.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import select
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from raceline import _gather
from raceline._async_call import Call, CallMaker
from raceline._async_watch import Watch
from raceline._function import FunctionError, UserFunction
from raceline._pace import Pace

if TYPE_CHECKING:
    from raceline._chain import BatchFunction
    from raceline._native import WorkerBatch

# Calls that were begun and not yet taken, for each of those that may be under way.
_AHEAD = 8
# Rows that are made at once.
_WINDOW_ROWS = 256
# How long answers are gathered before they go on.
_GATHER_S = 0.5
# How long tasks may take to end when they are cancelled at the worker's end.
_END_S = 0.1

_ENGINE, _LATE = object(), object()


class _Job:
    """The calls for one batch.

    Attributes:
        rest: Those that were not begun.
        calls: Those that were begun and not taken, in order.
        error: Why there are no more of them.
        is_listed: All were begun; set last.
        is_over: Nobody wants them any more.
    """

    __slots__ = ("batch", "calls", "error", "is_listed", "is_over", "rest", "tasks")

    def __init__(self, batch: WorkerBatch, rest: Iterator[Call]) -> None:
        self.batch = batch
        self.rest = rest
        self.calls: deque[Call] = deque()
        self.tasks: dict[asyncio.Task[None], Call] = {}
        self.error: BaseException | None = None
        self.is_listed = False
        self.is_over = False


class AsyncFunction:
    """An async function, several calls of which are under way at once."""

    def __init__(
        self,
        function: UserFunction,
        form: BatchFunction | None,
        pace: Pace | None,
        engine: int | None,
    ) -> None:
        """Starts the loop.

        Args:
            function: The function, which was loaded beside its loop.
            form: How batches are converted for it, where it sees batches.
            pace: Gives the calls their turns.
            engine: The connection to the engine, which tells of batches to come.
        """
        self._called = function
        self._form = form
        self._most = function.call.max_concurrency or 1
        self._maker = CallMaker(function, form, pace, self._tell)
        # What the constructor set in its context is there in each call.
        self._context = contextvars.copy_context()
        # Jobs of which calls may begin, and calls under way: the loop's thread alone sees them.
        self._jobs: list[_Job] = []
        self._running = 0
        self._begun: deque[_Job] = deque()
        self._pid = os.getpid()
        self._is_stalled = False
        self._awaited: object = None
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._engine = engine
        self._poll = select.poll()
        self._poll.register(self._woken, select.POLLIN)
        if engine is not None:
            self._poll.register(engine, select.POLLIN)
        self._loop = function.loop or asyncio.new_event_loop()
        if self._loop.is_closed():  # by the constructor
            self._loop = asyncio.new_event_loop()
        self._watch = Watch(function, self._loop) if function.call.timeout_s else None
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name="raceline-loop", daemon=True)
        self._thread.start()

    # In the worker's first thread.

    def begin(self, batch: WorkerBatch) -> None:
        """Begins the calls for a batch, whose turn to be answered comes later."""
        self._begun.append(self._new_job(batch))

    def run(self, batch: WorkerBatch) -> Iterator[WorkerBatch | FunctionError | None]:
        """The answers for a batch, which is the next of those that were begun, if there are any.

        Yields:
            Batches, errors of rows after which the function goes on, and ``None`` when the engine
            may have sent more.

        Raises:
            FunctionError: The function raised, or returned what it must not.
        """
        job = self._begun.popleft() if self._begun else self._new_job(batch)
        gathered = _gather.gatherer(self._called, job.batch)
        until: float | None = None
        yield None
        try:
            while (event := self._wait(job, until)) is not None:
                if event is _ENGINE:
                    yield None
                    continue
                if isinstance(event, Call):
                    yield from self._take(job, event, gathered)
                if gathered.is_empty:
                    until = None
                    continue
                now = time.monotonic()
                until = until or now + _GATHER_S
                if event is _LATE or gathered.is_full or now >= until:
                    until = None
                    yield from self._handed(gathered)
                    yield None
            if job.error is not None:
                raise FunctionError(self._called.name) from job.error
            yield from self._handed(gathered, is_last=True)
        finally:
            job.is_over = True
            self._loop.call_soon_threadsafe(self._give_up, job)

    def close(self) -> None:
        """Cancels all tasks, also those that the function left running, and gives them a moment."""
        ended = asyncio.run_coroutine_threadsafe(self._end(), self._loop)
        # Where something blocks the loop, the process ends anyway.
        with suppress(TimeoutError):
            ended.result(2 * _END_S)

    def _new_job(self, batch: WorkerBatch) -> _Job:
        job = _Job(batch, self._calls(batch))
        self._loop.call_soon_threadsafe(self._add, job)
        return job

    def _handed(
        self, gathered: _gather.Gathered, *, is_last: bool = False
    ) -> Iterator[WorkerBatch | FunctionError]:
        try:
            batches = gathered.take(is_last=is_last)
        except Exception as error:
            raise FunctionError(self._called.name) from error
        yield from batches

    def _take(self, job: _Job, call: Call, gathered: _gather.Gathered) -> Iterator[FunctionError]:
        """Takes what a call has so far, and the call itself when it is done."""
        is_done = call.is_done
        error = call.error if is_done else None
        pieces = []
        while call.pieces:
            pieces.append(call.pieces.popleft())
        if call.room is not None:
            room, call.room = call.room, None
            self._loop.call_soon_threadsafe(_settle, room)
        if is_done:
            job.calls.popleft()
            if self._is_stalled:
                self._is_stalled = False
                self._loop.call_soon_threadsafe(self._fill)
        if error is None:
            try:
                gathered.put(pieces)
                return
            except Exception as found:  # noqa: BLE001 (a user's objects may raise anything)
                error = found
        elif not self._maker.holds:
            gathered.put(pieces)
        if isinstance(error, FunctionError):  # tells of what was returned
            error = error.__cause__ or error
        failure = FunctionError(self._called.name, call.row if self._form is None else None)
        if not (self._called.call.goes_on and isinstance(error, Exception)):
            raise failure from error
        failure.row = call.row
        failure.__cause__ = error
        gathered.leave_out()
        yield failure

    def _wait(self, job: _Job, until: float | None) -> object:
        """The next that happens: the first call has news, the engine sent something, or it is late.

        ``None`` when all calls were taken.
        """
        while True:
            target: object = job
            if job.calls:
                target = call = job.calls[0]
                if call.is_done or (call.pieces and not self._maker.holds):
                    self._awaited = None
                    return call
            elif job.is_listed and not job.calls:
                self._awaited = None
                return None
            if self._awaited is not target:
                # Then once more: it may have happened before it was awaited.
                self._awaited = target
                continue
            wait_ms = None if until is None else max(until - time.monotonic(), 0) * 1000
            if self._watch is not None:
                wait_ms = self._watch.wait_ms(wait_ms)
            ready = [fd for fd, _ in self._poll.poll(wait_ms)]
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
            if self._engine in ready:
                return _ENGINE
            if not ready and until is not None and time.monotonic() >= until:
                return _LATE
            if not ready and self._watch is not None:
                self._end_if_blocked(job, self._watch)

    def _end_if_blocked(self, job: _Job, watch: Watch) -> None:
        """Fails, or ends the process where others go on, when a call blocks the loop."""
        error = watch.found(self._thread)
        if error is None:
            return
        if self._called.call.goes_on:
            # The row is found as one that kills its worker.
            traceback.print_exception(error)
            sys.stderr.flush()
            os._exit(1)
        task = asyncio.current_task(self._loop)
        call = None if task is None else job.tasks.get(task)
        row = call.row if call is not None and self._form is None else None
        raise FunctionError(self._called.name, row) from error

    def _calls(self, batch: WorkerBatch) -> Iterator[Call]:
        if self._form is not None:
            size = self._called.call.batch_size or max(batch.num_rows, 1)
            for first in range(0, batch.num_rows, size):
                yield Call(first, batch.slice(first, size))
            return
        names = batch.names
        are_values = batch.is_values or (self._called.call.row_is_value and len(names) == 1)
        row = 0
        for first in range(0, batch.num_rows, _WINDOW_ROWS):
            columns = batch.slice(first, _WINDOW_ROWS).cells()
            for cells in zip(*columns, strict=True):
                yield Call(row, cells[0] if are_values else dict(zip(names, cells, strict=False)))
                row += 1

    # In the loop's thread.

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._is_ending:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt):
                # A task that the function left running raised it; the others go on.
                traceback.print_exc()
            except BaseException:  # noqa: BLE001  # the process ends here
                # The loop is broken, by descriptors that the function closed or so.
                traceback.print_exc()
                os._exit(1)

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        self._fill()

    def _fill(self) -> None:
        """Begins calls, as many as may be under way."""
        for job in self._jobs:
            while not (job.is_listed or job.is_over):
                if self._running >= self._most or self._is_far_ahead():
                    return
                try:
                    call = next(job.rest, None)
                except Exception as error:  # noqa: BLE001 (a column whose values cannot be made)
                    job.error, call = error, None
                if call is None:
                    job.is_listed = True
                    self._tell(job)
                    break
                self._begin(job, call)

    def _is_far_ahead(self) -> bool:
        most = self._most * _AHEAD
        if sum(len(job.calls) for job in self._jobs) < most:
            return False
        self._is_stalled = True
        # Some may have been taken before that was told.
        return sum(len(job.calls) for job in self._jobs) >= most

    def _begin(self, job: _Job, call: Call) -> None:
        self._running += 1
        context = self._context.copy()
        task = self._loop.create_task(self._made(call), context=context)
        job.tasks[task] = call
        task.add_done_callback(lambda task: self._ended(job, task))
        job.calls.append(call)
        self._tell(job)

    def _ended(self, job: _Job, task: asyncio.Task[None]) -> None:
        self._running -= 1
        del job.tasks[task]
        self._fill()

    def _tell(self, target: object) -> None:
        if self._awaited is target:
            self._awaited = None
            with suppress(BlockingIOError):  # It is awake then.
                self._waker.send(b"\0")

    def _give_up(self, job: _Job) -> None:
        for task in job.tasks:
            task.cancel()
        if job in self._jobs:
            self._jobs.remove(job)
        self._fill()

    async def _made(self, call: Call) -> None:
        try:
            await self._maker.make(call)
        except BaseException as error:  # noqa: BLE001 (it is told in the first thread)
            call.error = error
        if os.getpid() != self._pid:
            # Two processes would share one loop.
            _end_forked()
        call.is_done = True
        self._tell(call)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others, timeout=_END_S)
        await self._loop.shutdown_asyncgens()
        self._is_ending = True
        self._loop.call_soon(self._loop.stop)


def _end_forked() -> None:
    """Ends a process that a function forked and that came back from it."""
    os.write(
        2,
        b"a process that a function forked came back from it and was ended: end it in the "
        b"function, by `os._exit`\n",
    )
    os._exit(1)


def _settle(room: asyncio.Future[None]) -> None:
    if not room.done():
        room.set_result(None)
