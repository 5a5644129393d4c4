"""One user function, as a worker calls it.

Payloads are made by :func:`raceline._udf.dumps`.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Iterator, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, TypeVar, cast

from raceline._udf import Call, Function, Given, Header, Kind, is_callable_class

if TYPE_CHECKING:
    import asyncio

_Step = TypeVar("_Step")
# After the last step.
_END = object()


class FunctionError(Exception):
    """A function of the chain failed; the failure itself is the cause.

    Attributes:
        function: Its name.
        row: Position of the row in the chain's input, where that is known.
    """

    def __init__(self, function: str, row: int | None = None) -> None:
        super().__init__(function, row)
        self.function = function
        self.row = row


class Stopwatch:
    """How long the functions of a chain ran.

    Attributes:
        ns: Nanoseconds so far.
    """

    __slots__ = ("ns",)

    def __init__(self) -> None:
        self.ns = 0

    def over(self, steps: Iterator[_Step]) -> Iterator[_Step]:
        """The same steps; making them is measured."""
        while True:
            start = perf_counter_ns()
            try:
                step = next(steps, _END)
            finally:
                self.ns += perf_counter_ns() - start
            if step is _END:
                return
            yield cast("_Step", step)


def leaves_debugger(error: BaseException | None) -> bool:
    """Whether an exception ends a debugger's session, and is no failure of the function."""
    bdb = sys.modules.get("bdb")
    return bdb is not None and isinstance(error, bdb.BdbQuit)


def is_of_function(error: BaseException | None) -> bool:
    """Whether an exception is a failure of the function, and a run may go on after it.

    Those that end a program, and the end of a debugger's session, are none.
    """
    return isinstance(error, Exception) and not leaves_debugger(error)


class UserFunction:
    """A function, what it takes, and how it is called."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        function: Function,
        call: Call,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.kind = kind
        self.name = name
        self.function = function
        self.call = call
        # The event loop of an async function; its constructor found it as the current one.
        self.loop = loop

    @classmethod
    def load(cls, payload: bytes | Given) -> UserFunction:
        """The function of a payload, or one that is given; the object of a class is made here.

        Raises:
            FunctionError: It cannot be unpickled, or a constructor raised.
        """
        if isinstance(payload, Given):
            kind, name = payload.kind, payload.name
        else:
            header: Header = pickle.loads(payload)  # noqa: S301  # the user's own
            kind, name = header.kind, header.name
            sys.path.extend(entry for entry in header.path if entry not in sys.path)
            if os.path.isdir(header.cwd):
                os.chdir(header.cwd)
        try:
            if isinstance(payload, Given):
                function, call = payload.function, payload.call
            else:
                function, call = pickle.loads(header.body)  # noqa: S301  # the user's own
            loop = None if call.max_concurrency is None else _new_loop()
            if is_callable_class(function):
                made: Any = function(
                    *call.fn_constructor_args, **(call.fn_constructor_kwargs or {})
                )
                function = made.__call__
            if call.fn_args:
                function = _with_arguments(function, call.fn_args, call.fn_kwargs or {})
            elif call.fn_kwargs:
                function = functools.partial(function, **call.fn_kwargs)
            if call.reads is not None:
                function = _with_hint(function, call.reads)
        except BaseException as error:
            raise FunctionError(name) from error
        return cls(kind, name, function, call, loop)

    def complaint(self, text: str, hint: str) -> ValueError:
        """What is wrong with what the function returned."""
        return ValueError(f"`{self.name}` {text}\n  hint: {hint}")


def async_hint(value: Any) -> str | None:
    """What to do about a coroutine or async generator that a plain function returned."""
    if not (hasattr(type(value), "__await__") or hasattr(type(value), "__aiter__")):
        return None
    if hasattr(value, "close"):
        value.close()  # Nobody will await it.
    return "pass the `async def` itself, not a plain function that calls it"


def _new_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _with_arguments(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Function:
    return lambda argument: fn(argument, *args, **kwargs)


def _with_hint(fn: Function, reads: frozenset[str]) -> Function:
    """The function; a column that it lacks, as it was not declared, is told of."""

    def call(argument: Any) -> Any:
        try:
            return fn(argument)
        except KeyError as error:
            name = error.args[0] if error.args else None
            if isinstance(name, str) and name not in reads:
                error.add_note(
                    f"  hint: the function gets the columns of `reads` only: add `{name}`"
                )
            raise

    return call
