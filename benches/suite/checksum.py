"""One number for a table that does not depend on the order of its rows.

The sum, modulo 2**64, of a 64-bit hash of each row. Numbers hash by value, whatever their type:
an integer as the float it equals, a decimal and a date likewise. Floats are rounded to nine
significant digits, at bounds that no decimal number falls on, so that sums in another order agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_COLUMN, _BYTE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x100000001B3)
_NULL = np.uint64(0x5851F42D4C957F2D)

#: Where between two kept values the bound lies.
_BOUND = 0.36787944117144233


@dataclass
class Checked:
    """What was found about an answer."""

    rows: int
    checksum: str
    #: What is wrong with it besides, such as its order; None when nothing is.
    fault: str | None = None


def of_rows(rows: list[tuple[Any, ...]]) -> Checked:
    """Of rows in memory, columns by position."""
    if not rows:
        return Checked(0, f"{0:016x}")
    columns = [_column(list(values)) for values in zip(*rows, strict=True)]
    return Checked(len(rows), f"{_sum_of_hashes(columns):016x}")


def _column(values: list[Any]) -> pa.Array:
    """Python's values; numbers of both kinds as floats."""
    floats = any(isinstance(value, float) for value in values)
    return pa.array(values, pa.float64() if floats else None)


def of_files(folder: Path, sorted_by: str | None = None, shuffled: str | None = None) -> Checked:
    """Of all Parquet files below a folder, columns by name, folders `name=value` included.

    Args:
        folder: Where the files are.
        sorted_by: Column in whose order the rows must be, within each file and between files.
        shuffled: Column of row numbers from 0 whose order must show no trace of the original.
    """
    total, rows = 0, 0
    order = _Order(sorted_by)
    places = _Places(shuffled)
    for path, batch in _batches(folder):
        names = sorted(batch.schema.names)
        total = (total + _sum_of_hashes([batch.column(name) for name in names])) % (1 << 64)
        rows += batch.num_rows
        order.add(path, batch)
        places.add(batch)
    return Checked(rows, f"{total:016x}", order.fault() or places.fault())


def rows_of_files(folder: Path) -> Checked:
    """The number of rows alone, which costs nothing: the checksum is empty."""
    paths = [path for path in folder.rglob("*.parquet") if path.is_file()]
    return Checked(sum(pq.ParquetFile(path).metadata.num_rows for path in paths), "")


def _batches(folder: Path) -> Iterator[tuple[str, pa.RecordBatch]]:
    """All batches with their files; what the names of folders say becomes columns of text."""
    for path in sorted(folder.rglob("*.parquet")):
        if not path.is_file():
            continue
        folders = [part.partition("=") for part in path.relative_to(folder).parts[:-1]]
        named = {name: unquote(value) for name, sign, value in folders if sign}
        for batch in pq.ParquetFile(path).iter_batches(1 << 17):
            for name, value in named.items():
                if name not in batch.schema.names:
                    batch = batch.append_column(name, pa.repeat(pa.scalar(value), batch.num_rows))
            if batch.num_rows:
                yield str(path), batch


def _sum_of_hashes(columns: list[pa.Array]) -> int:
    hashes = np.full(len(columns[0]), _COLUMN, dtype=np.uint64)
    for column in columns:
        hashes = _mixed(hashes * _COLUMN + _hashes(column))
    return int(hashes.sum(dtype=np.uint64))


def _mixed(values: np.ndarray) -> np.ndarray:
    """Each bit of a result depends on each bit of the value (the finalizer of splitmix64)."""
    values = (values ^ (values >> np.uint64(30))) * _MIX_1
    values = (values ^ (values >> np.uint64(27))) * _MIX_2
    return values ^ (values >> np.uint64(31))


def _hashes(column: pa.Array) -> np.ndarray:
    """A hash of each value of a column."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if pa.types.is_null(kind):
        return np.full(len(column), _NULL)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    elif pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif pa.types.is_boolean(kind):
        column = column.cast(pa.int64())
    if pa.types.is_integer(column.type):
        hashes = _integers(column)
    elif pa.types.is_floating(column.type):
        hashes = _floats(pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False))
    else:
        hashes = _texts(column)
    missing = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
    return np.where(missing, _NULL, hashes)


def _integers(column: pa.Array) -> np.ndarray:
    """As floats where they are exact, so that 2 and 2.0 agree; else by all of their bits."""
    values = pc.fill_null(column, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    small = np.abs(values) < (1 << 29)
    return np.where(small, _floats(values.astype(np.float64)), _mixed(values.view(np.uint64)))


def _floats(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    values = np.where(np.isfinite(values) & (np.abs(values) < 1e-6), 0.0, values)
    digits, exponents = np.frexp(values)
    kept = np.where(
        np.isfinite(values),
        np.ldexp(np.floor(digits * (1 << 30) + _BOUND), exponents - 30),
        values,
    )
    return _mixed((kept + 0.0).view(np.uint64))


def _texts(column: pa.Array) -> np.ndarray:
    """A polynomial of the bytes of each value."""
    target = pa.large_binary()
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    view = pa.types.is_string_view(column.type)
    if text or view:
        column = column.cast(pa.large_string())
    column = pc.fill_null(column.cast(target), b"")
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)
    offsets = offsets[column.offset : column.offset + len(column) + 1]
    lengths = np.diff(offsets)
    data = column.buffers()[2]
    bytes_ = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, np.uint8)
    bytes_ = bytes_[offsets[0] : offsets[-1]]
    starts = offsets[:-1] - offsets[0]
    longest = int(lengths.max(initial=0))
    powers = np.cumprod(np.full(longest + 1, _BYTE, dtype=np.uint64))
    terms = (bytes_.astype(np.uint64) + np.uint64(1)) * powers[
        np.arange(len(bytes_)) - np.repeat(starts, lengths)
    ]
    sums = np.zeros(len(column), dtype=np.uint64)
    filled = lengths > 0
    if filled.any():
        sums[filled] = np.add.reduceat(terms, starts[filled])
    return _mixed(sums + lengths.astype(np.uint64))


class _Order:
    """Whether a column rises within each file, and files do not overlap, whatever their names."""

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._ranges: dict[str, list[float]] = {}
        self._fault: str | None = None

    def add(self, path: str, batch: pa.RecordBatch) -> None:
        if self._column is None:
            return
        keys = batch.column(self._column).to_numpy(zero_copy_only=False)
        first, last = keys[0], keys[-1]
        known = self._ranges.setdefault(path, [first, first])
        if first < known[1] or bool(np.any(keys[1:] < keys[:-1])):
            self._fault = f"not in order of {self._column}"
        known[1] = last

    def fault(self) -> str | None:
        ranges = sorted(self._ranges.values())
        overlap = any(left[1] > right[0] for left, right in pairwise(ranges))
        return self._fault or (f"files overlap in {self._column}" if overlap else None)


class _Places:
    """Where rows of each tenth of the input went in the output: a chi-square of both places."""

    #: For 81 degrees of freedom; exceeded once in 100,000 by chance.
    _MOST = 145.0

    def __init__(self, column: str | None) -> None:
        self._column = column
        self._numbers: list[np.ndarray] = []

    def add(self, batch: pa.RecordBatch) -> None:
        if self._column is not None:
            self._numbers.append(batch.column(self._column).to_numpy(zero_copy_only=False))

    def fault(self) -> str | None:
        if not self._numbers:
            return None
        numbers = np.concatenate(self._numbers)
        count = len(numbers)
        before = numbers * 10 // count
        after = np.arange(count) * 10 // count
        table = np.bincount(before * 10 + after, minlength=100)
        expected = count / 100
        statistic = float(((table - expected) ** 2 / expected).sum())
        return f"not shuffled: chi-square {statistic:.0f}" if statistic > self._MOST else None
