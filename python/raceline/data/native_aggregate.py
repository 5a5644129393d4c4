"""What the aggregations that run in the engine have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from raceline.data.aggregation import AggregateFn
from raceline.errors import PlanError

__all__ = ["NativeAggregate", "NativeOptions", "fraction"]

#: Kind, column, whether missing values are left out, what else was said, output name.
NativeOptions = tuple[str, str | None, bool, dict[str, Any], str]


class NativeAggregate(AggregateFn):
    """Base of the aggregations that run in the engine."""

    _kind: ClassVar[str]
    _needs_column: ClassVar[bool] = True

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = True,
        alias_name: str | None = None,
        **options: Any,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out.
            alias_name: Name of the output column; by default ``kind(column)``.
            **options: What else the engine is told.

        Raises:
            PlanError: No column is given.
        """
        if on is None and self._needs_column:
            raise PlanError(f'`{type(self).__name__}` needs a column: `on="..."`')
        if on is not None and not isinstance(on, str):
            raise PlanError(f"`on` must be the name of a column, got `{on!r}`")
        self._on = on
        self._ignore_nulls = ignore_nulls
        self._options = options
        self.name = alias_name or f"{self._kind}({on or ''})"

    def __repr__(self) -> str:
        """As it was called."""
        return f"{type(self).__name__}({self._on!r}, name={self.name!r})"

    def options(self, name: str) -> NativeOptions:
        """The aggregation as the engine takes it, under another name."""
        return self._kind, self._on, self._ignore_nulls, self._options, name

    def get_target_column(self) -> str | None:
        """The column that is aggregated; None counts rows."""
        return self._on

    def get_agg_name(self) -> str:
        """The kind of aggregation: the name of its class."""
        return type(self).__name__


def fraction(name: str, value: Any) -> float:
    """A number from 0 to 1.

    Raises:
        PlanError: It is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 <= value <= 1:
        raise PlanError(f"`{name}` must be a number from 0 to 1, got `{value!r}`")
    return float(value)
