"""Aggregations, for ``Dataset.aggregate`` and ``GroupedData.aggregate``.

None, NaN and NaT all count as missing. Where missing values are ignored and no other is left,
the result is None; where they are not ignored, one of them makes the result None. Those of which
something else is said keep missing values, or count them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raceline.data._arguments import whole_number
from raceline.data.aggregation import AggregateFn, AggregateFnV2, VectorizedAggregateFnV2
from raceline.data.native_aggregate import NativeAggregate, fraction
from raceline.data.value_aggregates import (
    ApproximateTopK,
    AsList,
    CountDistinct,
    ListEncodingMode,
    Unique,
    ValueCounter,
)
from raceline.errors import PlanError

__all__ = [
    "AbsMax",
    "AggregateFn",
    "AggregateFnV2",
    "ApproximateQuantile",
    "ApproximateTopK",
    "AsList",
    "Count",
    "CountDistinct",
    "ListEncodingMode",
    "Max",
    "Mean",
    "Min",
    "MissingValuePercentage",
    "Quantile",
    "Std",
    "Sum",
    "Unique",
    "ValueCounter",
    "VectorizedAggregateFnV2",
    "ZeroPercentage",
]


class Count(NativeAggregate):
    """Number of rows, or of a column's values, missing ones included; int64, never None.

    Example:
        >>> import raceline
        >>> raceline.range(3).aggregate(Count())
        {'count()': 3}
    """

    _kind = "count"
    _needs_column = False

    def __init__(
        self, on: str | None = None, ignore_nulls: bool = False, alias_name: str | None = None
    ) -> None:
        """Counts.

        Args:
            on: The column; None counts rows.
            ignore_nulls: Whether missing values are left out; they are counted by default.
            alias_name: Name of the output column; by default ``count(column)`` or ``count()``.
        """
        super().__init__(on, ignore_nulls, alias_name)


class Sum(NativeAggregate):
    """Sum of a column; of integers an int64, of floats a float64.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Sum("id"))
        {'sum(id)': 6}
    """

    _kind = "sum"


class Min(NativeAggregate):
    """Least value of a column, of the column's type.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Min("id"))
        {'min(id)': 0}
    """

    _kind = "min"

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
        zero_factory: Callable[[], Any] | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``min(column)``.
            zero_factory: Without effect: of no values the result is None.
        """
        super().__init__(on, ignore_nulls, alias_name)


class Max(NativeAggregate):
    """Greatest value of a column, of the column's type.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Max("id"))
        {'max(id)': 3}
    """

    _kind = "max"

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
        zero_factory: Callable[[], Any] | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``max(column)``.
            zero_factory: Without effect: of no values the result is None.
        """
        super().__init__(on, ignore_nulls, alias_name)


class Mean(NativeAggregate):
    """Arithmetic mean of a column, float64.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Mean("id"))
        {'mean(id)': 1.5}
    """

    _kind = "mean"


class Std(NativeAggregate):
    """Standard deviation of a column, float64; NaN for at most ``ddof`` values.

    Example:
        >>> import raceline
        >>> raceline.range(3).aggregate(Std("id", alias_name="spread"))
        {'spread': 1.0}
    """

    _kind = "std"

    def __init__(
        self,
        on: str | None = None,
        ddof: int = 1,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ddof: Delta degrees of freedom: the sum of squares is divided by ``count - ddof``.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``std(column)``.

        Raises:
            PlanError: No column is given, or ``ddof`` is negative.
        """
        super().__init__(on, ignore_nulls, alias_name, ddof=whole_number("ddof", ddof, 0))


class AbsMax(NativeAggregate):
    """Greatest absolute value of a column; of integers an int64, of floats a float64.

    Example:
        >>> import raceline
        >>> raceline.from_items([{"x": -5}, {"x": 3}]).aggregate(AbsMax("x"))
        {'abs_max(x)': 5}
    """

    _kind = "abs_max"

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
        zero_factory: Callable[[], Any] | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``abs_max(column)``.
            zero_factory: Without effect: of no values the result is None.
        """
        super().__init__(on, ignore_nulls, alias_name)


class Quantile(NativeAggregate):
    """Exact quantile of a column, float64, interpolated between the nearest two values.

    All values of a group are held; see ``ApproximateQuantile`` for large ones.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Quantile("id"), Quantile("id", q=0.25))
        {'quantile(id)': 1.5, 'quantile(id)_2': 0.75}
    """

    _kind = "quantile"

    def __init__(
        self,
        on: str | None = None,
        q: float = 0.5,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            q: From 0, the least value, to 1, the greatest.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``quantile(column)``.

        Raises:
            PlanError: No column is given, or ``q`` is not from 0 to 1.
        """
        super().__init__(on, ignore_nulls, alias_name, q=fraction("q", q))


class MissingValuePercentage(NativeAggregate):
    """Percentage of the rows whose value is missing, float64, from 0 to 100.

    Example:
        >>> import raceline
        >>> raceline.from_items([{"x": 2}, {"x": None}]).aggregate(MissingValuePercentage("x"))
        {'missing_pct(x)': 50.0}
    """

    _kind = "missing_pct"

    def __init__(self, on: str, alias_name: str | None = None) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            alias_name: Name of the output column; by default ``missing_pct(column)``.
        """
        super().__init__(on, False, alias_name)


class ZeroPercentage(NativeAggregate):
    """Percentage of the values of a column that are 0, float64, from 0 to 100.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 0}, {"x": 1}, {"x": None}, {"x": None}])
        >>> rows.aggregate(ZeroPercentage("x"), ZeroPercentage("x", ignore_nulls=False))
        {'zero_pct(x)': 50.0, 'zero_pct(x)_2': 25.0}
    """

    _kind = "zero_pct"

    def __init__(self, on: str, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether the percentage is of the values that are there; else of all rows.
            alias_name: Name of the output column; by default ``zero_pct(column)``.
        """
        super().__init__(on, ignore_nulls, alias_name)


class ApproximateQuantile(NativeAggregate):
    """Approximate quantiles of a column, a list of floats, in memory that does not grow.

    They are those of a t-digest: of few values exact or between the nearest two, and more precise
    near 0 and 1 than in the middle.

    Example:
        >>> import raceline
        >>> rows = raceline.range(101)
        >>> rows.aggregate(ApproximateQuantile("id", quantiles=[0, 0.5, 1]))
        {'approx_quantile(id)': [0.0, 50.0, 100.0]}
    """

    _kind = "approx_quantile"

    def __init__(
        self,
        on: str,
        quantiles: Sequence[float],
        quantile_precision: int = 800,
        alias_name: str | None = None,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            quantiles: The quantiles, each from 0 to 1.
            quantile_precision: Size of the digest; a larger one is more precise.
            alias_name: Name of the output column; by default ``approx_quantile(column)``.

        Raises:
            PlanError: There is no quantile, or a number is out of range.
        """
        if isinstance(quantiles, str) or not isinstance(quantiles, Sequence) or not quantiles:
            raise PlanError(f"`quantiles` must be a list of numbers, got `{quantiles!r}`")
        fractions = [fraction("quantiles", one) for one in quantiles]
        centroids = whole_number("quantile_precision", quantile_precision, 1)
        super().__init__(on, True, alias_name, quantiles=fractions, centroids=centroids)
