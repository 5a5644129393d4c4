"""Aggregations, for ``Dataset.aggregate`` and ``GroupedData.aggregate``.

None, NaN and NaT all count as missing. Where missing values are ignored and no other is left,
the result is None; where they are not ignored, one of them makes the result None.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from raceline.data._arguments import whole_number
from raceline.errors import PlanError

__all__ = ["AggregateFn", "Count", "Max", "Mean", "Min", "Std", "Sum"]

#: Kind, column, whether missing values are left out, delta degrees of freedom, output name.
NativeAggregate = tuple[str, str | None, bool, int, str]


class AggregateFn:
    """Base of the aggregations.

    Attributes:
        name: Name of the output column.
    """

    _kind: ClassVar[str]
    _needs_column: ClassVar[bool] = True
    _ddof: int = 0

    def __init__(
        self, on: str | None = None, ignore_nulls: bool = True, alias_name: str | None = None
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``kind(column)``.

        Raises:
            PlanError: No column is given.
        """
        if on is None and self._needs_column:
            raise PlanError(f'`{type(self).__name__}` needs a column: `on="..."`')
        if on is not None and not isinstance(on, str):
            raise PlanError(f"`on` must be the name of a column, got `{on!r}`")
        self._on = on
        self._ignore_nulls = ignore_nulls
        self.name = alias_name or f"{self._kind}({on or ''})"

    def __repr__(self) -> str:
        """As it was called."""
        return f"{type(self).__name__}({self._on!r}, name={self.name!r})"


class Count(AggregateFn):
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


class Sum(AggregateFn):
    """Sum of a column; of integers an int64, of floats a float64.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Sum("id"))
        {'sum(id)': 6}
    """

    _kind = "sum"


class Min(AggregateFn):
    """Least value of a column, of the column's type.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Min("id"))
        {'min(id)': 0}
    """

    _kind = "min"


class Max(AggregateFn):
    """Greatest value of a column, of the column's type.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Max("id"))
        {'max(id)': 3}
    """

    _kind = "max"


class Mean(AggregateFn):
    """Arithmetic mean of a column, float64.

    Example:
        >>> import raceline
        >>> raceline.range(4).aggregate(Mean("id"))
        {'mean(id)': 1.5}
    """

    _kind = "mean"


class Std(AggregateFn):
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
        super().__init__(on, ignore_nulls, alias_name)
        self._ddof = whole_number("ddof", ddof, 0)


def native_aggregates(aggregates: Sequence[AggregateFn]) -> list[NativeAggregate]:
    """The aggregations as the engine takes them; a name that comes again gets ``_2``, ``_3``.

    Raises:
        PlanError: There are none, or one is no aggregation.
    """
    if not aggregates:
        raise PlanError("no aggregation is given", hint="pass, for example, `Count()`")
    natives: list[NativeAggregate] = []
    names: set[str] = set()
    for one in aggregates:
        if not isinstance(one, AggregateFn):
            raise PlanError(
                f"`{one!r}` is no aggregation",
                hint="take one of `raceline.data.aggregate`, such as `Count()`",
            )
        name, number = one.name, 1
        while name in names:
            number += 1
            name = f"{one.name}_{number}"
        names.add(name)
        natives.append((one._kind, one._on, one._ignore_nulls, one._ddof, name))
    return natives
