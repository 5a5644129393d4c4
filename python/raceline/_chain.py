"""A chain of user functions, as a worker runs it over batches.

Rows stay Python objects between neighbouring row functions. Payloads are made by
:func:`raceline._udf.dumps`.
"""

from __future__ import annotations

import functools
import inspect
import os
import pickle
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import length_hint
from typing import Any, TypeAlias

import numpy as np

from raceline._exceptions import pack
from raceline._native import (
    RowCollector,
    WorkerBatch,
    first_without_truth,
    row_forms,
    value_to_batches,
)
from raceline._udf import Call, Function, Header, Kind

# Rows of a window: its dicts stay in the processor's cache, and their memory is used again.
_WINDOW_ROWS = 1024
# Rows of an output of functions that multiply rows.
_OUTPUT_ROWS_MAX = 1 << 17
# Name of the column of a dataset of plain values.
_PLAIN_VALUE_COLUMN = "item"


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


@dataclass(slots=True)
class _Unit:
    """Rows on their way through row functions: as a batch, as Python objects, or as both.

    Attributes:
        are_values: Whether the rows are plain values.
        trail: The position of each row in the chain's input; empty when it is not known.
    """

    batch: WorkerBatch | None
    rows: list[Any] | None
    are_values: bool
    trail: Sequence[int]

    def arguments(self, row_is_value: bool) -> list[Any]:
        """What a row function is called with."""
        if row_is_value and not self.are_values:
            if self.batch is not None:
                if self.batch.num_columns == 1:
                    return self.batch.values()
            elif self.rows is not None and all(len(row) == 1 for row in self.rows):
                return [value for row in self.rows for value in row.values()]
        if self.rows is None:
            self.rows = self.as_batch().rows()
        return self.rows

    def as_batch(self) -> WorkerBatch:
        """The rows as a batch."""
        if self.batch is None:
            make = WorkerBatch.from_values if self.are_values else WorkerBatch.from_rows
            self.batch = make(self.rows or [])
        return self.batch


# A batch, and the position of each of its rows in the chain's input where that is known.
_Piece: TypeAlias = tuple[WorkerBatch, Sequence[int]]


class Chain:
    """Functions of one worker, called one after the other on each batch."""

    def __init__(self, payloads: list[bytes]) -> None:
        """Loads the functions and makes the objects of callable classes.

        Raises:
            FunctionError: A function cannot be unpickled, or a constructor raised.
        """
        steps = [_load(pickle.loads(payload)) for payload in payloads]  # noqa: S301  # the user's own
        self._parts: list[_RowFunctions | _MapBatches] = []
        for step in steps:
            if isinstance(step, _MapBatches):
                self._parts.append(step)
            elif self._parts and isinstance(self._parts[-1], _RowFunctions):
                self._parts[-1].steps.append(step)
            else:
                self._parts.append(_RowFunctions([step]))

    def run(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        """The chain's output for one batch, piece by piece as the functions return it.

        Raises:
            FunctionError: A function of the chain raised, or returned what it must not.
        """
        pieces: Iterator[_Piece] = iter([(batch, range(batch.num_rows))])
        for part in self._parts:
            pieces = part.over(pieces)
        for output, _ in pieces:
            yield output


def _load(header: Header) -> _Step | _MapBatches:
    name = header.name
    sys.path.extend(entry for entry in header.path if entry not in sys.path)
    if os.path.isdir(header.cwd):
        os.chdir(header.cwd)
    try:
        function, call = pickle.loads(header.body)  # noqa: S301  # the user's own
        if inspect.isclass(function):
            made: Any = function(*call.fn_constructor_args, **(call.fn_constructor_kwargs or {}))
            function = made.__call__
        if call.fn_args:
            function = _with_arguments(function, call.fn_args, call.fn_kwargs or {})
        elif call.fn_kwargs:
            function = functools.partial(function, **call.fn_kwargs)
    except Exception as error:
        raise FunctionError(name) from error
    return _STEPS[header.kind](name, function, call)


def _with_arguments(fn: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Function:
    return lambda argument: fn(argument, *args, **kwargs)


class _Function:
    """One function of a chain."""

    def __init__(self, name: str, function: Function, call: Call) -> None:
        self.name = name
        self.function = function
        self.call = call

    def refuse(self, text: str, hint: str, row: int | None = None) -> FunctionError:
        """The error of a function that returned what it must not."""
        error = FunctionError(self.name, row)
        error.__cause__ = ValueError(f"`{self.name}` {text}\n  hint: {hint}")
        return error


class _Step(_Function, ABC):
    """A function that sees one row at a time."""

    @abstractmethod
    def run(self, unit: _Unit) -> _Unit:
        """The rows that the function makes of those of ``unit``."""

    def _arguments(self, unit: _Unit) -> list[Any]:
        try:
            return unit.arguments(self.call.row_is_value)
        except Exception as error:
            raise FunctionError(self.name) from error

    def _results(self, unit: _Unit) -> list[Any]:
        """What the function returns for each row."""
        arguments = self._arguments(unit)
        left = iter(arguments)
        try:
            results = list(map(self.function, left))
            if len(results) < len(arguments):
                # `map` takes a StopIteration of the function for its own end.
                raise RuntimeError("the function raised StopIteration")
        except Exception as error:
            # The iterator tells which row was taken last.
            row = len(arguments) - length_hint(left) - 1
            raise FunctionError(self.name, _at(unit.trail, row)) from error
        return results

    def _checked(self, rows: list[Any], trail: Sequence[int]) -> _Unit:
        """The unit of the rows that the function made."""
        are_values, misfit = row_forms(rows)
        if misfit is None:
            return _Unit(None, rows, are_values, trail)
        bad = rows[misfit]
        found = type(bad).__name__
        if bad is None:
            text, hint = "returned None for a row", "did you forget `return`?"
        elif row_forms([bad])[1] is None:
            text, hint = self._mixed(type(rows[0]).__name__, found)
        else:
            text = f"returned `{found}` for a row, which is neither a dict nor a plain value"
            hint = 'return a dict, such as `{"value": x}`; `flat_map` makes several rows of one'
        raise self.refuse(text, hint, _at(trail, misfit))

    @staticmethod
    def _mixed(first: str, second: str) -> tuple[str, str]:
        text = f"returned `{first}` for one row and `{second}` for another"
        return text, "return a dict for every row, or a value for every row"


def _at(trail: Sequence[int], index: int) -> int | None:
    return trail[index] if index < len(trail) else None


class _Map(_Step):
    def run(self, unit: _Unit) -> _Unit:
        return self._checked(self._results(unit), unit.trail)


class _FlatMap(_Step):
    def run(self, unit: _Unit) -> _Unit:
        rows: list[Any] = []
        trail: list[int] = []
        for index, argument in enumerate(self._arguments(unit)):
            position = _at(unit.trail, index)
            before = len(rows)
            try:
                made = self.function(argument)
                if not isinstance(made, Iterable) or isinstance(made, (str, bytes, Mapping)):
                    raise self.refuse(
                        f"returned `{type(made).__name__}` for a row, not a list of rows",
                        "return a list of dicts or values, or yield them",
                        position,
                    )
                rows.extend(made)
            except FunctionError:
                raise
            except Exception as error:
                raise FunctionError(self.name, position) from error
            if position is not None:
                trail.extend([position] * (len(rows) - before))
        return self._checked(rows, trail)


class _Filter(_Step):
    def run(self, unit: _Unit) -> _Unit:
        flags = self._results(unit)
        misfit = first_without_truth(flags)
        if misfit is not None:
            raise self.refuse(
                f"returned `{type(flags[misfit]).__name__}` for a row, which is neither true "
                "nor false",
                "a filter function sees one row and returns `bool`",
                _at(unit.trail, misfit),
            )
        batch = None if unit.batch is None else unit.batch.filter(flags)
        rows = None if unit.rows is None else list(compress(unit.rows, flags))
        return _Unit(batch, rows, unit.are_values, list(compress(unit.trail, flags)))


class _Key(_Step):
    def run(self, unit: _Unit) -> _Unit:
        keys = self._results(unit)
        name = self.call.key_column
        if unit.are_values:
            rows = [
                {_PLAIN_VALUE_COLUMN: row, name: key}
                for row, key in zip(unit.rows or [], keys, strict=True)
            ]
            return _Unit(None, rows, False, unit.trail)
        try:
            batch = unit.as_batch()
            if batch.has_column(name):
                # The words of `Dataset.groupby`, which finds this only where it knows the columns.
                raise ValueError(
                    f"`groupby` of a function makes a column `{name}`, which exists already\n"
                    f'  hint: group by the column: `groupby("{name}")`, or rename it first'
                )
            batch = batch.with_column(name, keys)
        except Exception as error:
            raise FunctionError(self.name) from error
        return _Unit(batch, None, False, unit.trail)


class _RowFunctions:
    """Neighbouring row functions. Rows pass all of them in windows that fit a cache."""

    def __init__(self, steps: list[_Step]) -> None:
        self.steps = steps

    def over(self, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
        """The pieces that the functions make."""
        for batch, trail in pieces:
            gathered = _Gathered(self.steps[-1])
            for first in range(0, batch.num_rows, _WINDOW_ROWS):
                window = batch.slice(first, _WINDOW_ROWS)
                positions = trail[first : first + _WINDOW_ROWS]
                unit = _Unit(window, None, window.is_values, positions)
                for step in self.steps:
                    unit = step.run(unit)
                yield from gathered.add(unit)
            yield from gathered.rest()


class _Gathered:
    """Windows on their way back into batches."""

    def __init__(self, last: _Step) -> None:
        self._last = last
        self._batches: list[WorkerBatch] = []
        self._trail: list[int] = []
        self._collector: RowCollector | None = None
        self._are_values = False
        self._rows = 0

    def add(self, unit: _Unit) -> Iterator[_Piece]:
        """Takes a window; a great number of rows comes out at once."""
        self._trail.extend(unit.trail)
        if unit.batch is not None:
            self._batches.append(unit.batch)
            return
        rows = unit.rows or []
        if not rows:
            return
        if self._collector is None:
            self._are_values = unit.are_values
            self._collector = RowCollector(unit.are_values)
        elif unit.are_values != self._are_values:
            forms = ("a value", "a dict") if self._are_values else ("a dict", "a value")
            raise self._last.refuse(
                f"returned {forms[0]} for one row and {forms[1]} for another",
                "return a dict for every row, or a value for every row",
                _at(unit.trail, 0),
            )
        self._collector.extend(rows)
        self._rows += len(rows)
        if self._rows >= _OUTPUT_ROWS_MAX:
            yield from self.rest()

    def rest(self) -> Iterator[_Piece]:
        """What is left."""
        trail, rows = self._trail, self._rows
        self._trail, self._rows = [], 0
        try:
            if self._batches:
                output = WorkerBatch.concat(self._batches)
            elif self._collector is not None and rows > 0:
                output = self._collector.take()
            else:
                return
        except Exception as error:
            raise FunctionError(self._last.name) from error
        yield output, trail


class _MapBatches(_Function):
    """A function that sees batches."""

    def over(self, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
        """The batches that the function returns; where their rows come from is not known."""
        for batch, _ in pieces:
            size = self.call.batch_size or max(batch.num_rows, 1)
            for first in range(0, batch.num_rows, size):
                for output in self._outputs(batch.slice(first, size)):
                    yield output, ()

    def _outputs(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        pieces = self._returned(batch)
        while True:
            try:
                output = next(pieces, None)
            except FunctionError:
                raise
            except Exception as error:
                raise FunctionError(self.name) from error
            if output is None:
                return
            yield output

    def _returned(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        returned = self.function(self._argument(batch))
        if inspect.isgenerator(returned):
            for piece in returned:
                yield from self._batches(piece, "yielded")
        else:
            yield from self._batches(returned, "returned")

    def _argument(self, batch: WorkerBatch) -> Any:
        match self.call.batch_format:
            case "numpy" | "default":
                return batch.numpy(writable=not self.call.zero_copy_batch)
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
            raise self.refuse(f"{verb} None for a batch", "did you forget `return`?")
        if isinstance(value, (list, tuple, str, bytes, int, float, np.ndarray, np.generic)):
            raise self.refuse(
                f"{verb} `{type(value).__name__}` for a batch, not a dict of columns",
                'wrap it: `{"data": values}`, with one value a row',
            )
        return value_to_batches(value)


_STEPS: dict[Kind, type[_Step] | type[_MapBatches]] = {
    "map": _Map,
    "flat_map": _FlatMap,
    "filter": _Filter,
    "map_batches": _MapBatches,
    "key": _Key,
}


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
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    text = "".join(traceback.format_exception(type(error), error, frames)) if frames else ""
    return type(error).__qualname__, str(error), text, pack(error), row, function
