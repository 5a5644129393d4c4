"""A chain of user functions, as a worker runs it over batches.

Rows stay Python objects between neighbouring row functions.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterator
from typing import Any

import numpy as np

from raceline import _function, _rows, _tensors
from raceline._exceptions import pack
from raceline._function import FunctionError, UserFunction
from raceline._native import WorkerBatch, value_to_batches

# Frames of these files lie between the engine and the user's functions.
_OWN_FILES = (__file__, _function.__file__, _rows.__file__, _rows.LOOP_FILE, _tensors.__file__)

# Characters of a message or traceback that an error shows.
_TEXT_MAX = 1 << 16


class Chain:
    """Functions of one worker, called one after the other on each batch."""

    def __init__(self, payloads: list[bytes]) -> None:
        """Loads the functions and makes the objects of callable classes.

        Raises:
            FunctionError: A function cannot be unpickled, or a constructor raised.
        """
        self._parts: list[_rows.RowFunctions | _BatchFunction] = []
        for payload in payloads:
            function = UserFunction.load(payload)
            if function.kind == "map_batches":
                self._parts.append(_BatchFunction(function))
                continue
            last = self._parts[-1] if self._parts else None
            if not isinstance(last, _rows.RowFunctions) or not last.takes(function):
                is_first = not self._parts
                self._parts.append(_rows.RowFunctions(function, rows_are_known=is_first))

    def run(self, batch: WorkerBatch) -> Iterator[WorkerBatch | FunctionError]:
        """The chain's output for one batch, piece by piece as the functions return it.

        A function that goes on after a row that it fails for is alone in its chain; then such
        rows come as errors in between.

        Raises:
            FunctionError: A function of the chain raised, or returned what it must not.
        """
        pieces: Iterator[Any] = iter([batch])
        for part in self._parts:
            pieces = part.over(pieces)
        return pieces


class _BatchFunction:
    """A function that sees batches."""

    def __init__(self, function: UserFunction) -> None:
        self._called = function

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
            yield from list(self._outputs(batch))
            return
        except FunctionError as error:
            if not isinstance(error.__cause__, Exception):
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
        returned = self._called.function(self._argument(batch))
        if inspect.isgenerator(returned):
            for piece in returned:
                yield from self._batches(piece, "yielded")
        else:
            yield from self._batches(returned, "returned")

    def _argument(self, batch: WorkerBatch) -> Any:
        match self._called.call.batch_format:
            case "numpy" | "default":
                return batch.numpy(writable=not self._called.call.zero_copy_batch)
            case "torch":
                return _tensors.to_torch(batch, writable=not self._called.call.zero_copy_batch)
            case "pandas":
                from raceline import _frames

                return _frames.to_pandas(batch)
            case "pyarrow" | None:
                from raceline import _frames

                return _frames.to_arrow(batch)
            case unknown:
                raise ValueError(f"there is no batch format `{unknown}`")

    def _batches(self, value: Any, verb: str) -> list[WorkerBatch]:
        if value is None:
            raise self._called.complaint(f"{verb} None for a batch", "did you forget `return`?")
        is_array = isinstance(value, (np.ndarray, np.generic)) or _tensors.is_tensor(value)
        if is_array or isinstance(value, (list, tuple, str, bytes, int, float)):
            raise self._called.complaint(
                f"{verb} `{type(value).__name__}` for a batch, not a dict of columns",
                'wrap it: `{"data": values}`, with one value a row',
            )
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
    row = function = None
    if isinstance(error, FunctionError) and error.__cause__ is not None:
        row, function, error = error.row, error.function, error.__cause__
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename in _OWN_FILES:
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames) if frames else []
    message, text = _sendable(_message(error)), _sendable("".join(lines))
    return type(error).__qualname__, message, text, pack(error), row, function


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
