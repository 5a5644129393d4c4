"""One user function, as a worker calls it.

Payloads are made by :func:`raceline._udf.dumps`.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from raceline._udf import Call, Function, Header, Kind, is_callable_class


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

    def __init__(self, kind: Kind, name: str, function: Function, call: Call) -> None:
        self.kind = kind
        self.name = name
        self.function = function
        self.call = call

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
            raise FunctionError(header.name) from error
        return cls(header.kind, header.name, function, call)

    def complaint(self, text: str, hint: str) -> ValueError:
        """What is wrong with what the function returned."""
        return ValueError(f"`{self.name}` {text}\n  hint: {hint}")


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
