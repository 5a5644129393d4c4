"""Answers of single calls, gathered into batches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from raceline._function import FunctionError, UserFunction
from raceline._native import RowCollector, WorkerBatch
from raceline._rows import Check, no_truth

# An output: rows, and bytes as they are estimated.
_ROWS_MAX = 1 << 17
_BYTES_MAX = 16 << 20
# Rows that are taken apart at once.
_WINDOW_ROWS = 1024
# What a value counts that does not tell its size.
_CELL_BYTES = 16


class Gathered(Protocol):
    """Takes the answers of calls in order."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to take."""

    @property
    def is_full(self) -> bool:
        """Whether what there is should be taken at once."""

    def put(self, pieces: list[Any]) -> None:
        """Takes what a call returned or yielded, all of it or nothing.

        Raises:
            Exception: It is not what the function may return.
        """

    def leave_out(self) -> None:
        """The function failed for this row and goes on."""

    def take(self, *, is_last: bool) -> list[WorkerBatch | FunctionError]:
        """What there is."""


def gatherer(function: UserFunction, batch: WorkerBatch) -> Gathered:
    """What gathers the answers of a function for one batch."""
    match function.kind:
        case "filter":
            return _Flags(function, batch)
        case "map_batches":
            return _Batches()
    return _Rows(function)


class _Rows:
    def __init__(self, function: UserFunction) -> None:
        self._check = Check(function)
        self._checked: type | None = None
        self._rows: list[Any] = []
        self._collector: RowCollector | None = None
        self._count = 0
        self._bytes = 0

    @property
    def is_empty(self) -> bool:
        return self._count == 0

    @property
    def is_full(self) -> bool:
        return self._count >= _ROWS_MAX or self._bytes >= _BYTES_MAX

    def put(self, pieces: list[Any]) -> None:
        for row in pieces:
            if type(row) is not self._checked:
                self._checked = self._check(row)
        self._rows += pieces
        self._count += len(pieces)
        if pieces:
            self._bytes += _row_bytes(pieces[-1]) * len(pieces)
        if len(self._rows) >= _WINDOW_ROWS:
            self._collect()

    def leave_out(self) -> None:
        pass

    def take(self, *, is_last: bool) -> list[WorkerBatch | FunctionError]:
        self._collect()
        if self._collector is None:
            return []
        batch = self._collector.take()
        self._collector, self._count, self._bytes = None, 0, 0
        return [batch]

    def _collect(self) -> None:
        if self._rows:
            self._collector = self._collector or RowCollector(self._check.are_values)
            rows, self._rows = self._rows, []
            self._collector.extend(rows)


def _row_bytes(row: Any) -> int:
    """About how much memory the values of a row take."""
    values = row.values() if isinstance(row, Mapping) else (row,)
    return sum(
        len(value) if isinstance(value, (bytes, str)) else getattr(value, "nbytes", _CELL_BYTES)
        for value in values
    )


class _Flags:
    def __init__(self, function: UserFunction, batch: WorkerBatch) -> None:
        self._called = function
        self._batch = batch
        self._flags: list[bool] = []
        self._first = 0
        self._has_answered = False

    @property
    def is_empty(self) -> bool:
        return not self._flags

    @property
    def is_full(self) -> bool:
        return False

    def put(self, pieces: list[Any]) -> None:
        for flag in pieces:
            try:
                self._flags.append(bool(flag))
            except Exception:  # noqa: BLE001 (it is the user's object)
                raise no_truth(self._called, flag) from None

    def leave_out(self) -> None:
        self._flags.append(False)

    def take(self, *, is_last: bool) -> list[WorkerBatch | FunctionError]:
        if self._batch.wants_flags:
            flags, self._flags = self._flags, []
            if not flags and (not is_last or self._has_answered):
                return []
            self._has_answered = True
            return [WorkerBatch.of_flags(flags)]
        part = self._batch.slice(self._first, len(self._flags)).filter(self._flags)
        self._first += len(self._flags)
        self._flags = []
        # Also a batch of which nothing is left tells its columns.
        if part.num_rows == 0 and (not is_last or self._has_answered):
            return []
        self._has_answered = True
        return [part]


class _Batches:
    def __init__(self) -> None:
        self._batches: list[WorkerBatch | FunctionError] = []

    @property
    def is_empty(self) -> bool:
        return not self._batches

    @property
    def is_full(self) -> bool:
        return True

    def put(self, pieces: list[Any]) -> None:
        self._batches += pieces

    def leave_out(self) -> None:
        pass

    def take(self, *, is_last: bool) -> list[WorkerBatch | FunctionError]:
        batches, self._batches = self._batches, []
        return batches
