"""How one call of an async function is made: at its turn, in its time, and again when it raises."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any

from raceline._function import FunctionError, UserFunction
from raceline._pace import Pace, fresh
from raceline._rows import many

if TYPE_CHECKING:
    from raceline._chain import BatchFunction

# What a call has yielded and nobody has taken yet: rows, and batches.
_ROWS_WAIT_MAX = 1024
_BATCHES_WAIT_MAX = 2


class Call:
    """One call of the function.

    Attributes:
        row: Position of its row, or of its batch's first row.
        argument: What it is made with: a row, or a batch before it is converted.
        pieces: What it returned or yielded and nobody has taken.
        error: What it raised.
        is_done: Nothing more comes; set last.
        room: Told when pieces were taken, while the call waits for that.
    """

    __slots__ = ("argument", "error", "is_done", "pieces", "room", "row")

    def __init__(self, row: int, argument: Any) -> None:
        self.row = row
        self.argument = argument
        self.pieces: deque[Any] = deque()
        self.error: BaseException | None = None
        self.is_done = False
        self.room: asyncio.Future[None] | None = None


class CallMaker:
    """Makes the calls of one function, in its event loop."""

    def __init__(
        self,
        function: UserFunction,
        form: BatchFunction | None,
        pace: Pace | None,
        tell: Callable[[Call], None],
    ) -> None:
        """Sets up how calls are made.

        Args:
            function: The function.
            form: How batches are converted for it, where it sees batches.
            pace: Gives the calls their turns.
            tell: Told when a call has yielded something that may be taken.
        """
        self._called = function
        self._form = form
        self._pace = pace
        self._tell = tell
        #: Whether what a call yields is not taken before it is done.
        self.holds = function.call.goes_on or function.call.retry is not None
        self._pieces_max = _ROWS_WAIT_MAX if form is None else _BATCHES_WAIT_MAX

    async def make(self, call: Call) -> None:
        """Makes a call, as often as it takes; what it returns is in its pieces then.

        Raises:
            BaseException: What the function raised at last.
        """
        if self._form is not None and self._called.call.goes_on:
            await self._around_errors(call)
        else:
            await self._attempts(call)

    async def _around_errors(self, call: Call) -> None:
        """The outputs for a batch, or for its halves if it fails, and so on down to one row."""
        part = Call(call.row, call.argument)
        try:
            await self._attempts(part)
            call.pieces.extend(part.pieces)
            return
        except Exception as error:  # noqa: BLE001 (it is the user's code)
            failure = error
        rows = call.argument.num_rows
        if rows == 1:
            told = FunctionError(self._called.name, call.row)
            told.__cause__ = failure
            call.pieces.append(told)
            return
        half = rows // 2
        for first, count in ((0, half), (half, rows - half)):
            part = Call(call.row + first, call.argument.slice(first, count))
            await self._around_errors(part)
            call.pieces.extend(part.pieces)

    async def _attempts(self, call: Call) -> None:
        """Makes a call at its turn, and again when it raises what it is retried for."""
        retry = self._called.call.retry
        failures = 0
        while True:
            argument = call.argument if self._form is None else self._form.argument(call.argument)
            if self._pace is not None and (wait_s := self._pace.wait_s(argument)) > 0:
                await asyncio.sleep(wait_s)
            if retry is None:
                return await self._timed(call, argument)
            try:
                return await self._timed(call, fresh(argument))
            except retry.on:
                failures += 1
                if failures > retry.times or _is_given_up():
                    raise
            call.pieces.clear()
            await asyncio.sleep(retry.wait_s(failures))

    async def _timed(self, call: Call, argument: Any) -> None:
        limit_s = self._called.call.timeout_s
        if limit_s is None:
            return await self._collect(call, argument, None)
        try:
            async with asyncio.timeout(limit_s) as timer:
                await self._collect(call, argument, timer)
        except TimeoutError as error:
            if not timer.expired():
                raise
            what = "row" if self._form is None else "batch"
            text = f"`{self._called.name}` took longer than {limit_s:g} s for a {what}"
            where = error.__cause__.__traceback__ if error.__cause__ is not None else None
            raise TimeoutError(text).with_traceback(where) from None

    async def _collect(self, call: Call, argument: Any, timer: asyncio.Timeout | None) -> None:
        """Puts what the function returns or yields to the call's pieces."""
        made = self._called.function(argument)
        if inspect.isawaitable(made):
            made = await made
        is_many = self._called.kind in ("flat_map", "map_batches")
        if is_many and hasattr(type(made), "__aiter__"):
            async with aclosing(made) if hasattr(made, "aclose") else nullcontext():
                async for piece in made:
                    await self._put(call, piece, timer)
        elif self._called.kind == "flat_map":
            for piece in many(self._called, made):
                await self._put(call, piece, timer)
        elif is_many and inspect.isgenerator(made):
            for piece in made:
                await self._put(call, piece, timer)
        elif self._form is not None:
            call.pieces.extend(self._form.batches(made, "returned"))
        else:
            call.pieces.append(_own(made))

    async def _put(self, call: Call, piece: Any, timer: asyncio.Timeout | None) -> None:
        """Adds a piece of many, when there is room; that wait is not the function's time."""
        if not self.holds and len(call.pieces) >= self._pieces_max:
            loop = asyncio.get_running_loop()
            call.room = loop.create_future()
            # Some may have been taken before that was told.
            if len(call.pieces) >= self._pieces_max:
                ends = None if timer is None else timer.when()
                start = loop.time()
                if timer is not None and ends is not None:
                    timer.reschedule(None)
                await call.room
                if timer is not None and ends is not None:
                    timer.reschedule(ends + loop.time() - start)
            call.room = None
        if self._form is None:
            call.pieces.append(_own(piece))
        else:
            call.pieces.extend(one.own() for one in self._form.batches(piece, "yielded"))
        if not self.holds:
            self._tell(call)


def _own(row: Any) -> Any:
    """A row that waits to be taken, which the function may change and hand on again."""
    return row.copy() if type(row) is dict else row


def _is_given_up() -> bool:
    """Whether nobody wants the present call any more."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
