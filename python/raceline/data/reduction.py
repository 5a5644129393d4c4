"""Whole datasets reduced to one value or a dict of values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raceline.data._arguments import column_names
from raceline.data.aggregate import AggregateFn, Max, Mean, Min, Std, Sum
from raceline.data.handle import Handle
from raceline.data.iterator import rows_of
from raceline.data.user_aggregation import aggregate_all, named
from raceline.errors import PlanError

__all__ = ["Reductions", "aggregates_of"]


class Reductions(Handle):
    """The part of a dataset that aggregates all of its rows. All of it runs the dataset.

    None, NaN and NaT count as missing. Without any other value a result is None. ``on`` is a
    column, a list of columns, or None for all columns; a single result is returned as it is,
    several as a dict.
    """

    __slots__ = ()

    def aggregate(self, *aggs: AggregateFn) -> dict[str, Any]:
        """Several aggregations in one run.

        Args:
            *aggs: Aggregations of ``raceline.data.aggregate``, or your own.

        Returns:
            Name of each aggregation to its value; a name that comes again gets ``_2``, ``_3``.

        Raises:
            PlanError: No aggregation is given.
            ColumnNotFoundError: A column does not exist.

        Example:
            >>> import raceline
            >>> from raceline.data.aggregate import Count, Max
            >>> raceline.range(4).aggregate(Count(), Max("id"))
            {'count()': 4, 'max(id)': 3}
        """
        return aggregate_all(self, named(aggs))

    def sum(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """Sum; of integers an int.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).sum("id")
            6
        """
        return self._reduce(on, lambda column: Sum(column, ignore_nulls))

    def min(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """Least value.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.from_items([{"a": 3, "b": "x"}, {"a": 1, "b": "y"}]).min(["a", "b"])
            {'min(a)': 1, 'min(b)': 'x'}
        """
        return self._reduce(on, lambda column: Min(column, ignore_nulls))

    def max(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """Greatest value.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).max()
            3
        """
        return self._reduce(on, lambda column: Max(column, ignore_nulls))

    def mean(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """Arithmetic mean, a float.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).mean("id")
            1.5
        """
        return self._reduce(on, lambda column: Mean(column, ignore_nulls))

    def std(
        self, on: str | Sequence[str] | None = None, ddof: int = 1, ignore_nulls: bool = True
    ) -> Any:
        """Standard deviation, a float; NaN for at most ``ddof`` values.

        Args:
            on: See the class.
            ddof: Delta degrees of freedom.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(3).std("id")
            1.0
        """
        return self._reduce(on, lambda column: Std(column, ddof, ignore_nulls))

    def unique(self, column: str, ignore_nulls: bool = False) -> list[Any]:
        """The distinct values of a column, in any order.

        Args:
            column: The column.
            ignore_nulls: Whether None is left out where values are missing.

        Raises:
            ColumnNotFoundError: The column does not exist.

        Example:
            >>> import raceline
            >>> sorted(raceline.range(9).map(lambda row: {"rest": row["id"] % 3}).unique("rest"))
            [0, 1, 2]
        """
        [name] = column_names(column)
        groups = self._run_for_this(self._native.aggregate([name], []))
        # The rows of a column of plain values are the values.
        values = [row[name] if isinstance(row, dict) else row for row in rows_of(groups)]
        return [one for one in values if one is not None] if ignore_nulls else values

    def _reduce(self, on: str | Sequence[str] | None, make: Callable[[str], AggregateFn]) -> Any:
        """One aggregation for each column."""
        result = self.aggregate(*aggregates_of(self, on, make))
        return next(iter(result.values())) if len(result) == 1 else result


def aggregates_of(
    dataset: Handle,
    on: str | Sequence[str] | None,
    make: Callable[[str], AggregateFn],
    keys: Sequence[str] = (),
) -> list[AggregateFn]:
    """One aggregation for each column that ``on`` means: None is all but the keys.

    Raises:
        PlanError: ``on`` is empty, or the dataset has no other columns.
    """
    if on is None:
        schema = dataset._native.schema(True)
        names = [] if schema is None else schema.names
        columns = [name for name in names if name not in keys]
    else:
        columns = column_names(on, "on")
    if not columns:
        raise PlanError("there is no column to aggregate", hint='name one: `on="..."`')
    return [make(column) for column in columns]
