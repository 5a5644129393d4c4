"""A chain of user functions, as a worker runs it over batches.

Rows stay Python objects between neighbouring row functions.
"""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Iterator, Sequence
from time import perf_counter_ns
from types import TracebackType
from typing import TYPE_CHECKING, Any

from raceline import _function, _rows, _tensors
from raceline._exceptions import pack
from raceline._function import (
    FunctionError,
    Stopwatch,
    UserFunction,
    async_hint,
    is_of_function,
    leaves_debugger,
)
from raceline._native import RateGate, WorkerBatch, value_to_batches
from raceline._optional import is_numpy
from raceline._udf import Given

if TYPE_CHECKING:
    from raceline._async import AsyncFunction
    from raceline._pace import Pace

# Frames of these files lie between the engine and the user's functions. Some of them are loaded
# where a function needs them.
_OWN_FILES = (
    __file__,
    _function.__file__,
    _rows.__file__,
    _rows.LOOP_FILE,
    _tensors.__file__,
    *(
        os.path.join(os.path.dirname(__file__), name)
        for name in (
            "_async.py",
            "_async_call.py",
            "_groups.py",
            "_pace.py",
            os.path.join("data", "aggregation.py"),
            os.path.join("data", "sql_function.py"),
            os.path.join("data", "user_aggregation.py"),
        )
    ),
)

# Characters of a message or traceback that an error shows.
_TEXT_MAX = 1 << 16


class Chain:
    """Functions of one worker, called one after the other on each batch.

    Attributes:
        stopwatch: How long the functions ran. Of an async function, how long its calls were waited
            for.
    """

    def __init__(
        self,
        payloads: Sequence[bytes | Given],
        engine: int | None = None,
        gate: RateGate | None = None,
    ) -> None:
        """Loads the functions and makes the objects of callable classes.

        Args:
            payloads: The functions.
            engine: The connection to the engine, for an async function to wait for it.
            gate: What a function with a rate limit keeps in step by.

        Raises:
            FunctionError: A function cannot be unpickled, or a constructor raised.
        """
        self._parts: list[_rows.RowFunctions | BatchFunction] = []
        self.stopwatch = watch = Stopwatch()
        # An async function has a worker to itself.
        self._async: AsyncFunction | None = None
        for payload in payloads:
            function = UserFunction.load(payload)
            pace = _set_pace(function, gate)
            if function.call.max_concurrency is not None:
                from raceline._async import AsyncFunction

                form = BatchFunction(function, watch) if function.kind == "map_batches" else None
                self._async = AsyncFunction(function, form, pace, engine)
                return
            if function.kind == "map_batches":
                self._parts.append(BatchFunction(function, watch))
                continue
            if function.kind == "map_groups":
                from raceline._groups import GroupFunction

                self._parts.append(GroupFunction(function, watch))
                continue
            last = self._parts[-1] if self._parts else None
            if not isinstance(last, _rows.RowFunctions) or not last.takes(function):
                is_first = not self._parts
                self._parts.append(_rows.RowFunctions(function, watch, rows_are_known=is_first))

    def run(self, batch: WorkerBatch) -> Iterator[WorkerBatch | FunctionError | None]:
        """The chain's output for one batch, piece by piece as the functions return it.

        A function that goes on after a row that it fails for is alone in its chain; then such
        rows come as errors in between. ``None`` comes when an async function could begin
        with the batches that come next.

        Raises:
            FunctionError: A function of the chain raised, or returned what it must not.
        """
        if self._async is not None:
            return self.stopwatch.over(self._async.run(batch))
        pieces: Iterator[Any] = iter([batch])
        for part in self._parts:
            pieces = part.over(pieces)
        return pieces

    def begin(self, batch: WorkerBatch) -> None:
        """Begins with a batch that will be run later, after those that were begun before."""
        if self._async is not None:
            self._async.begin(batch)

    def close(self) -> None:
        """Ends what an async function left running."""
        if self._async is not None:
            self._async.close()


def _set_pace(function: UserFunction, gate: RateGate | None) -> Pace | None:
    """The pace of a function that has a rate limit; a plain function keeps to it from now on."""
    if function.call.retry is None and function.call.rate_limit is None:
        return None
    from raceline import _pace

    pace = _pace.pace_of(function, gate)
    if function.call.max_concurrency is None:
        function.function = _pace.paced(function, pace)
    return pace


class BatchFunction:
    """A function that sees batches."""

    def __init__(self, function: UserFunction, stopwatch: Stopwatch) -> None:
        self._called = function
        self._stopwatch = stopwatch

    def over(self, batches: Iterator[WorkerBatch]) -> Iterator[WorkerBatch | FunctionError]:
        """The batches that the function returns, and the rows that it fails for and goes on.

        Raises:
            FunctionError: It raised, or returned what it must not.
        """
        for batch in batches:
            size = self._called.call.batch_size or max(batch.num_rows, 1)
            for first in range(0, batch.num_rows, size):
                piece = batch.slice(first, size)
                if self._called.call.goes_on:
                    yield from self._around_errors(piece, first)
                else:
                    yield from self._outputs(piece)

    def _around_errors(
        self, batch: WorkerBatch, first: int
    ) -> Iterator[WorkerBatch | FunctionError]:
        """The outputs for a batch, or for its halves if it fails, and so on down to one row."""
        try:
            # Held, so that they must not change with what the function does next.
            yield from [output.own() for output in self._outputs(batch)]
            return
        except FunctionError as error:
            if not is_of_function(error.__cause__):
                raise
            failure = error
        rows = batch.num_rows
        if rows == 1:
            failure.row = first
            yield failure
            return
        yield from self._around_errors(batch.slice(0, rows // 2), first)
        yield from self._around_errors(batch.slice(rows // 2, rows), first + rows // 2)

    def _outputs(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        pieces = self._returned(batch)
        while True:
            try:
                output = next(pieces, None)
            except BaseException as error:
                raise FunctionError(self._called.name) from error
            if output is None:
                return
            yield output

    def _returned(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        argument = self.argument(batch)
        start = perf_counter_ns()
        try:
            returned = self._called.function(argument)
        finally:
            self._stopwatch.ns += perf_counter_ns() - start
        if self.is_stream(returned):
            for piece in self._stopwatch.over(returned):
                yield from self.batches(piece, "yielded")
        else:
            yield from self.batches(returned, "returned")

    def is_stream(self, returned: Any) -> bool:
        """Whether what the function returned makes batches one after the other."""
        return inspect.isgenerator(returned)

    def argument(self, batch: WorkerBatch) -> Any:
        """A batch in the form that the function asked for."""
        match self._called.call.batch_format:
            case "numpy" | "default":
                return batch.numpy(writable=not self._called.call.zero_copy_batch)
            case "torch":
                return _tensors.to_torch(batch, writable=not self._called.call.zero_copy_batch)
            case "pandas":
                from raceline import _frames

                return _frames.to_pandas(batch, self._called.call.frame_types)
            case "pyarrow" | None:
                from raceline import _frames

                return _frames.to_arrow(batch)
            case unknown:
                raise ValueError(f"there is no batch format `{unknown}`")

    def batches(self, value: Any, verb: str) -> list[WorkerBatch]:
        """What the function returned, or yielded.

        Raises:
            ValueError: It must not.
        """
        if value is None:
            raise self._called.complaint(f"{verb} None for a batch", "did you forget `return`?")
        is_array = is_numpy(value, "ndarray") or is_numpy(value, "generic")
        is_array = is_array or _tensors.is_tensor(value)
        if is_array or isinstance(value, (list, tuple, str, bytes, int, float)):
            raise self._called.complaint(
                f"{verb} `{type(value).__name__}` for a batch, not a dict of columns",
                'wrap it: `{"data": values}`, with one value a row',
            )
        if (hint := async_hint(value)) is not None:
            raise self._called.complaint(f"{verb} `{type(value).__name__}` for a batch", hint)
        if isinstance(value, dict):
            value = _tensors.without_tensors(value)
        return value_to_batches(value)


def describe(
    error: BaseException,
) -> tuple[str, str, str, bytes | None, int | None, str | None]:
    """An exception for the engine.

    Returns:
        Type, message, traceback from the user's frames on, the packed exception (``None``
        when it cannot be packed), row and function.
    """
    row, function, error, frames = _of_user(error)
    type_name, message, text = _texts(error, frames)
    return type_name, message, text, pack(error), row, function


def describe_here(
    error: BaseException,
) -> tuple[BaseException, tuple[str, str, str, int | None, str | None] | None]:
    """An exception of a function that was called in the user's own thread.

    Returns:
        The exception, its traceback from the user's frames on, and its type, message, traceback,
        row and function; None for these where it is no failure of the function but ends the wait
        for the run: Ctrl-C, ``sys.exit()``, the end of a debugger's session.
    """
    row, function, error, frames = _of_user(error)
    error.__traceback__ = frames or error.__traceback__
    if isinstance(error, (KeyboardInterrupt, SystemExit)) or leaves_debugger(error):
        return error, None
    return error, (*_texts(error, frames), row, function)


def _of_user(
    error: BaseException,
) -> tuple[int | None, str | None, BaseException, TracebackType | None]:
    """Row and function of an error of a chain, what was raised, and its frames of the user's."""
    row = function = None
    if isinstance(error, FunctionError) and error.__cause__ is not None:
        row, function, error = error.row, error.function, error.__cause__
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _OWN_FILES:
        frames = frames.tb_next
    return row, function, error, frames


def _texts(error: BaseException, frames: TracebackType | None) -> tuple[str, str, str]:
    """Type, message and traceback."""
    lines = traceback.format_exception(type(error), error, frames) if frames else []
    return type(error).__qualname__, _sendable(_message(error)), _sendable("".join(lines))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failed:  # noqa: BLE001 (it is the user's code)
        return f"(its message cannot be shown: `__str__` raised {type(failed).__qualname__})"


def _sendable(text: str) -> str:
    """The text as valid Unicode; a long one is cut in the middle."""
    if len(text) > _TEXT_MAX:
        left_out = len(text) - _TEXT_MAX
        half = _TEXT_MAX // 2
        text = f"{text[:half]} [{left_out} characters left out] {text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()
