"""Exact quantiles of columns."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.aggregate import Count
from raceline.data.expressions import col
from raceline.data.preprocessors.columns import numbers_of

if TYPE_CHECKING:
    import numpy as np

    from raceline.data.dataset import Dataset

__all__ = ["quantiles"]

# Values of all columns together that are held to be sorted here: 32 MiB.
_HELD_MOST = 4 << 20


def quantiles(
    dataset: Dataset, columns: Sequence[str], fractions: Sequence[float]
) -> dict[str, list[float | None]]:
    """Quantiles of each column, interpolated linearly; None where a column has no values.

    They are found in one run over the columns where their values take up to 32 MiB. Otherwise the
    engine counts the values of all columns in one more run and sorts each column in its own, within
    its memory budget. Null and NaN count for nothing.

    Args:
        dataset: What is run.
        columns: Columns of numbers.
        fractions: Each from 0 to 1.

    Raises:
        ColumnNotFoundError: A column does not exist.
        TypeError: A column holds no numbers.

    Example:
        >>> import raceline
        >>> quantiles(raceline.range(5), ["id"], [0.25, 0.5])
        {'id': [1.0, 2.0]}
    """
    import numpy as np

    held = _held(dataset, columns)
    if held is not None:
        return {
            name: _interpolated(fractions, len(values), np.sort(values).take)
            for name, values in held.items()
        }
    counts = dataset.aggregate(*(Count(name, ignore_nulls=True) for name in columns)).values()
    return {
        name: _interpolated(fractions, count, functools.partial(_at, dataset, name))
        for name, count in zip(columns, counts, strict=True)
    }


def _held(dataset: Dataset, columns: Sequence[str]) -> dict[str, np.ndarray[Any, Any]] | None:
    """All values of the columns; None where they are too many to be held."""
    import numpy as np

    parts: dict[str, list[np.ndarray[Any, Any]]] = {name: [] for name in columns}
    held = 0
    batches = dataset.select_columns(list(columns))
    for table in batches.iter_batches(batch_size=None, batch_format="pyarrow"):
        for name, values in parts.items():
            numbers = numbers_of(table, name)
            values.append(numbers[~np.isnan(numbers)])
            held += len(numbers)
        if held > _HELD_MOST:
            return None
    return {name: np.concatenate(values or [np.zeros(0)]) for name, values in parts.items()}


def _interpolated(
    fractions: Sequence[float], count: int, at: Callable[[list[int]], Iterable[float]]
) -> list[float | None]:
    """Quantiles of so many sorted values, of which ``at`` gives those of rising ranks."""
    if count == 0:
        return [None] * len(fractions)
    places = [fraction * (count - 1) for fraction in fractions]
    wanted = sorted({rank for place in places for rank in (math.floor(place), math.ceil(place))})
    found = {rank: float(value) for rank, value in zip(wanted, at(wanted), strict=True)}
    results: list[float | None] = []
    for place in places:
        low, high, part = found[math.floor(place)], found[math.ceil(place)], place % 1
        if part == 0 or low == high:
            results.append(low)
        elif math.isinf(low) or math.isinf(high):
            # Their difference would be no number.
            results.append(low * (1 - part) + high * part)
        else:
            results.append(low + (high - low) * part)
    return results


def _at(dataset: Dataset, name: str, ranks: Sequence[int]) -> Iterator[float]:
    """The values of a column that have these ranks, which rise."""
    ordered = dataset.select_columns([name]).with_column(name, col(name).cast("float64")).sort(name)
    first, left = 0, list(ranks)
    for table in ordered.iter_batches(batch_size=None, batch_format="pyarrow"):
        while left and left[0] < first + table.num_rows:
            yield table[name][left.pop(0) - first].as_py()
        first += table.num_rows
        if not left:
            return
