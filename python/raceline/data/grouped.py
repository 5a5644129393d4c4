"""Groups of rows with equal keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from raceline.data.aggregate import (
    AggregateFn,
    Count,
    Max,
    Mean,
    Min,
    Std,
    Sum,
    native_aggregates,
)
from raceline.data.reduction import aggregates_of

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["GroupedData"]


class GroupedData:
    """A dataset grouped by key columns; made by ``Dataset.groupby``.

    Every method is lazy and returns a dataset of one row a group: the key columns, then one
    column for each aggregation. The groups come in any order. None and NaN keys form one group.
    ``on`` is a column, a list of columns, or None for all columns but the keys.
    """

    def __init__(self, dataset: Dataset, keys: list[str]) -> None:
        """Groups a dataset; users call ``Dataset.groupby``."""
        self._dataset = dataset
        self._keys = keys

    def __repr__(self) -> str:
        """The keys and the dataset."""
        return f"GroupedData(by={self._keys}, {self._dataset!r})"

    def aggregate(self, *aggs: AggregateFn) -> Dataset:
        """Several aggregations of each group.

        Args:
            *aggs: Aggregations of ``raceline.data.aggregate``; a name that comes again gets
                ``_2``, ``_3``.

        Raises:
            PlanError: No aggregation is given.

        Example:
            >>> import raceline
            >>> from raceline.data.aggregate import Count, Sum
            >>> groups = raceline.range(5).groupby(lambda row: row["id"] // 3)
            >>> groups.aggregate(Count(), Sum("id")).sort("key").take_all()
            [{'key': 0, 'count()': 3, 'sum(id)': 3}, {'key': 1, 'count()': 2, 'sum(id)': 7}]
        """
        native = self._dataset._native.aggregate(self._keys, native_aggregates(aggs))
        return self._dataset._derive(native)

    def count(self) -> Dataset:
        """Number of rows of each group, in column ``count()``.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": "x"}, {"a": "y"}, {"a": "x"}])
            >>> rows.groupby("a").count().sort("a").take_all()
            [{'a': 'x', 'count()': 2}, {'a': 'y', 'count()': 1}]
        """
        return self.aggregate(Count())

    def sum(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Sum of each group, in columns ``sum(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": "x", "b": 1}, {"a": "x", "b": 2}])
            >>> rows.groupby("a").sum("b").take_all()
            [{'a': 'x', 'sum(b)': 3}]
        """
        return self._each(on, lambda column: Sum(column, ignore_nulls))

    def min(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Least value of each group, in columns ``min(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).min("id").take_all()
            [{'min(id)': 0}]
        """
        return self._each(on, lambda column: Min(column, ignore_nulls))

    def max(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Greatest value of each group, in columns ``max(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).max("id").take_all()
            [{'max(id)': 3}]
        """
        return self._each(on, lambda column: Max(column, ignore_nulls))

    def mean(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Arithmetic mean of each group, in columns ``mean(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).mean("id").take_all()
            [{'mean(id)': 1.5}]
        """
        return self._each(on, lambda column: Mean(column, ignore_nulls))

    def std(
        self, on: str | Sequence[str] | None = None, ddof: int = 1, ignore_nulls: bool = True
    ) -> Dataset:
        """Standard deviation of each group, in columns ``std(column)``.

        Args:
            on: See the class.
            ddof: Delta degrees of freedom; of at most ``ddof`` values the result is NaN.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(3).groupby(None).std("id").take_all()
            [{'std(id)': 1.0}]
        """
        return self._each(on, lambda column: Std(column, ddof, ignore_nulls))

    def _each(self, on: str | Sequence[str] | None, make: Callable[[str], AggregateFn]) -> Dataset:
        """One aggregation for each column."""
        return self.aggregate(*aggregates_of(self._dataset, on, make, self._keys))
