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
from typing import Any, TypeVar, cast

from raceline._udf import Call, Function, Given, Header, Kind, is_callable_class

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


def is_of_function(error: BaseException | None) -> bool:
    """Whether an exception is a failure of the function, and a run may go on after it.

    Those that end a program, and the end of a debugger's session, are none.
    """
    bdb = sys.modules.get("bdb")
    return isinstance(error, Exception) and not (bdb and isinstance(error, bdb.BdbQuit))


class UserFunction:
    """A function, what it takes, and how it is called."""

    def __init__(self, kind: Kind, name: str, function: Function, call: Call) -> None:
        self.kind = kind
        self.name = name
        self.function = function
        self.call = call

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
            raise FunctionError(name) from error
        return cls(kind, name, function, call)

    def complaint(self, text: str, hint: str) -> ValueError:
        """What is wrong with what the function returned."""
        return ValueError(f"`{self.name}` {text}\n  hint: {hint}")


def _with_arguments(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Function:
    return lambda argument: fn(argument, *args, **kwargs)
