"""User functions as payloads: how they travel from the user's process to workers.

A payload is opaque to the engine. Workers load it by :class:`raceline._chain.Chain`.
"""

from __future__ import annotations

import functools
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from raceline._calls import RateLimit, Retry
    from raceline._frame_types import FrameTypes

Kind: TypeAlias = Literal["map", "flat_map", "filter", "map_batches", "key", "map_groups"]
Function: TypeAlias = Callable[..., Any]

# CPython's flag of types that are not made by a `class` statement.
_IMMUTABLE_TYPE = 1 << 8


class Call(NamedTuple):
    """How a function is called.

    Attributes:
        batch_size: Rows of a batch; ``None`` takes batches as they come.
        batch_format: ``"numpy"`` (also ``"default"``), ``"pandas"``, ``"pyarrow"``, ``"torch"``;
            ``None`` is Arrow as it is.
        zero_copy_batch: Whether arrays and tensors may be views of memory that is read-only.
        row_is_value: On batches of one column, the row is its value.
        key_column: Name of the column that a key function makes.
        goes_on: Whether a row that the function fails for is reported, and the others go on.
        max_concurrency: Calls of an async function that are under way at once; ``None`` for a
            plain function.
        timeout_s: How long one call of an async function may take.
        retry: How often a call that raises is made again.
        rate_limit: How fast calls are made.
        reads: The columns that the user says it reads; it gets no others.
        group_keys: The key columns of the groups that it is called for.
        frame_types: Types of pandas columns, of rows that came as frames.
    """

    fn_args: Sequence[Any] = ()
    fn_kwargs: Mapping[str, Any] | None = None
    fn_constructor_args: Sequence[Any] = ()
    fn_constructor_kwargs: Mapping[str, Any] | None = None
    batch_size: int | None = None
    batch_format: str | None = "default"
    zero_copy_batch: bool = True
    row_is_value: bool = False
    key_column: str = "key"
    goes_on: bool = False
    max_concurrency: int | None = None
    timeout_s: float | None = None
    retry: Retry | None = None
    rate_limit: RateLimit | None = None
    reads: frozenset[str] | None = None
    group_keys: tuple[str, ...] = ()
    frame_types: FrameTypes | None = None


class Given(NamedTuple):
    """A function for the thread that waits for the run: the object itself, no copy of it."""

    kind: Kind
    name: str
    function: Function
    call: Call


class Header(NamedTuple):
    """What a worker reads before it touches the user's code.

    Attributes:
        body: The pickled pair of function and :class:`Call`.
        cwd: The working directory of the user's process.
        path: Its ``sys.path``.
    """

    kind: Kind
    name: str
    body: bytes
    cwd: str
    path: list[str]


def function_name(function: Any) -> str:
    """What a person would call a function, a class or a callable object."""
    if isinstance(function, functools.partial):
        return function_name(function.func)
    return getattr(function, "__name__", None) or type(function).__name__


def is_callable_class(fn: Any) -> bool:
    """Whether each worker makes one object of it and calls that.

    A type that is not written in Python and whose objects cannot be called, such as ``bool``, is
    called itself.
    """
    if not isinstance(fn, type):
        return False
    is_written = not fn.__flags__ & _IMMUTABLE_TYPE
    return is_written or any("__call__" in vars(base) for base in fn.__mro__)


def dumps(kind: Kind, fn: Function, /, **options: Any) -> bytes:
    """The payload of a function.

    Args:
        kind: What the function takes and returns.
        fn: The function, or a class whose objects are called; each worker makes one object.
        options: How it is called: the fields of :class:`Call`.

    Raises:
        TypeError: The function or one of its arguments cannot be pickled; it says which.
    """
    import cloudpickle

    from raceline._unpicklable import culprit

    name = function_name(fn)
    call = Call(**options)
    try:
        body = cloudpickle.dumps((fn, call))
    except Exception as error:
        held = culprit(fn) or culprit(call)
        told = f"{held}: {error}" if held else error
        raise TypeError(
            f"`{name}` cannot be sent to a worker process: {told}\n"
            "  hint: make what cannot be pickled (a lock, a connection, a model) inside the "
            "function, or in the constructor of a callable class"
        ) from error
    return pickle.dumps(Header(kind, name, body, os.getcwd(), sys.path))
