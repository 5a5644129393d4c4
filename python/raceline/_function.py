"""One user function, as a worker calls it.

Payloads are made by :func:`raceline._udf.dumps`.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._udf import Call, Function, Header, Kind, is_callable_class

if TYPE_CHECKING:
    import asyncio


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
    def load(cls, payload: bytes) -> UserFunction:
        """The function of a payload; the object of a callable class is made here.

        Raises:
            FunctionError: It cannot be unpickled, or a constructor raised.
        """
        header: Header = pickle.loads(payload)  # noqa: S301  # the user's own
        sys.path.extend(entry for entry in header.path if entry not in sys.path)
        if os.path.isdir(header.cwd):
            os.chdir(header.cwd)
        try:
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
        except BaseException as error:
            raise FunctionError(header.name) from error
        return cls(header.kind, header.name, function, call, loop)

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
