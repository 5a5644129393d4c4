"""The rows of DuckDB relations, whose connection can have one result open at a time."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raceline._optional import optional

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["rows_of_relation"]


def rows_of_relation(relation: duckdb.DuckDBPyRelation) -> Iterator[Any]:
    """Runs a relation: its rows, batch by batch, or one batch of no rows.

    Where the connection is still busy with the rows of another relation that is read by this
    function, as two relations of one join are, the rest of that one's rows is taken into memory.

    Raises:
        ImportError: duckdb or pyarrow is not installed.
    """
    arrow, duckdb = optional("pyarrow"), optional("duckdb")
    try:
        reader = arrow.RecordBatchReader.from_stream(relation)
    except duckdb.Error:
        if not _hold_open_results():
            raise
        reader = arrow.RecordBatchReader.from_stream(relation)
    result = _Result(reader)
    try:
        is_empty = True
        while (batch := result.next()) is not None:
            is_empty = False
            yield batch
        if is_empty:
            yield reader.schema.empty_table()
    finally:
        result.close()


class _Result:
    """What is left of a relation's rows."""

    def __init__(self, reader: pa.RecordBatchReader) -> None:
        self._reader: pa.RecordBatchReader | None = reader
        self._held: deque[pa.RecordBatch] = deque()
        self._lock = threading.Lock()
        with _OPEN_LOCK:
            _OPEN.add(self)

    def next(self) -> pa.RecordBatch | None:
        """The next batch; None after the last one."""
        with self._lock:
            if self._held:
                return self._held.popleft()
            if self._reader is None:
                return None
            batch = next(self._reader, None)
            if batch is None:
                self._end()
            return batch

    def hold(self) -> bool:
        """Takes all that is left into memory; whether the connection was busy with it."""
        with self._lock:
            if self._reader is None:
                return False
            self._held.extend(self._reader)
            self._end()
            return True

    def close(self) -> None:
        """Leaves the rest unread."""
        with self._lock:
            self._held.clear()
            self._end()

    def _end(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()


_OPEN: weakref.WeakSet[_Result] = weakref.WeakSet()
_OPEN_LOCK = threading.Lock()


def _hold_open_results() -> bool:
    """Frees the connections of all relations that are being read; whether there was one."""
    with _OPEN_LOCK:
        results = list(_OPEN)
    were_busy = [result.hold() for result in results]
    return any(were_busy)
