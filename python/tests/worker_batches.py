"""Batches of worker processes, made of rows and taken apart into rows."""

from __future__ import annotations

from typing import Any

from raceline._native import RowCollector, WorkerBatch


def from_rows(rows: list[Any]) -> WorkerBatch:
    """A batch of mappings."""
    collector = RowCollector(are_values=False)
    collector.extend(rows)
    return collector.take()


def from_values(values: list[Any]) -> WorkerBatch:
    """A batch of plain values."""
    collector = RowCollector(are_values=True)
    collector.extend(values)
    return collector.take()


def rows_of(batch: WorkerBatch) -> list[Any]:
    """Dicts, or plain values."""
    if batch.is_values:
        return batch.cells()[0]
    if not batch.names:
        return [{} for _ in range(batch.num_rows)]
    return [
        dict(zip(batch.names, cells, strict=True)) for cells in zip(*batch.cells(), strict=True)
    ]
