"""From what sources yield and functions return to tables, and from rows to blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raceline import _frames
from raceline._optional import optional
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline import _native

__all__ = ["BlockBuilder", "arrow_block", "batch_of", "native_of"]


def arrow_block(batch: Any) -> pa.Table:
    """The table of a table, record batch, data frame or dict of columns.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: It is something else.

    Example:
        >>> arrow_block({"n": [1, 2]}).num_rows
        2
    """
    pa = optional("pyarrow")
    if isinstance(batch, pa.Table):
        return batch
    if isinstance(batch, pa.RecordBatch):
        return pa.Table.from_batches([batch])
    if hasattr(batch, "iloc"):
        return _frames.to_arrow(native_of(_frames.columns_of(batch)))
    if isinstance(batch, Mapping):
        return _frames.to_arrow(native_of(batch))
    raise PlanError(
        f"a block must be a PyArrow table, a data frame or a dict of columns, got "
        f"`{type(batch).__name__}`"
    )


class BlockBuilder:
    """Makes a block of rows and blocks; see :meth:`BlockAccessor.builder`."""

    def __init__(self) -> None:
        """Begins with nothing."""
        self._rows: list[Mapping[str, Any]] = []
        self._batches: list[_native.Batch] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Adds a row."""
        self._rows.append(row)

    def add_block(self, block: Any) -> None:
        """Adds the rows of a block, which may have other columns: they are united."""
        self._take_rows()
        self._batches.append(batch_of(arrow_block(block)))

    def num_rows(self) -> int:
        """Number of rows so far."""
        return len(self._rows) + sum(batch.num_rows for batch in self._batches)

    def build(self) -> pa.Table:
        """The table of all rows, in order."""
        self._take_rows()
        if not self._batches:
            return optional("pyarrow").table({})
        return _frames.to_arrow(type(self._batches[0]).concat(self._batches))

    def _take_rows(self) -> None:
        from raceline._native import rows_to_batches

        if self._rows:
            self._batches += rows_to_batches(self._rows)
            self._rows = []


def native_of(columns: Mapping[str, Any]) -> _native.Batch:
    """A batch of the engine of columns that may be arrays of Arrow, NumPy, pandas, or lists."""
    from raceline._native import columns_to_batch

    return columns_to_batch(columns)


def batch_of(table: pa.Table) -> _native.Batch:
    """A batch of the engine of the rows of a table."""
    return native_of(dict(zip(table.column_names, table.columns, strict=True)))
