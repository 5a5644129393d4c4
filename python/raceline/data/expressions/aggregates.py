"""Aggregates of an expression over the rows around a row: ``col(...).sum().over(...)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raceline.data.expressions.operators import Operators

if TYPE_CHECKING:
    from raceline.data.expressions.window import WindowFunction

__all__ = ["WindowAggregates"]


class WindowAggregates(Operators):
    """The part of an expression that looks at other rows. Missing values are left out."""

    __slots__ = ()

    def _windowed(self, function: str) -> WindowFunction:
        from raceline.data.expressions.nodes import as_expression
        from raceline.data.expressions.window import WindowFunction

        return WindowFunction(function, as_expression(self))

    def sum(self) -> WindowFunction:
        """The sum; missing where there are no values.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("all", col("id").sum().over())
            >>> rows.sort("id").take(1)
            [{'id': 0, 'all': 3}]
        """
        return self._windowed("sum")

    def mean(self) -> WindowFunction:
        """The mean, float64; missing where there are no values.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("all", col("id").mean().over())
            >>> rows.sort("id").take(1)
            [{'id': 0, 'all': 1.0}]
        """
        return self._windowed("avg")

    def min(self) -> WindowFunction:
        """The least value; missing where there are none.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("all", col("id").min().over())
            >>> rows.sort("id").take(1)
            [{'id': 0, 'all': 0}]
        """
        return self._windowed("min")

    def max(self) -> WindowFunction:
        """The greatest value; missing where there are none.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("all", col("id").max().over())
            >>> rows.sort("id").take(1)
            [{'id': 0, 'all': 2}]
        """
        return self._windowed("max")

    def count(self) -> WindowFunction:
        """How many values there are; int64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("all", col("id").count().over())
            >>> rows.sort("id").take(1)
            [{'id': 0, 'all': 3}]
        """
        return self._windowed("count")

    def lag(self, n: int = 1) -> WindowFunction:
        """The value ``n`` rows before; missing where there is no such row.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> before = col("id").lag().over(order_by="id")
            >>> raceline.range(2).with_column("before", before).sort("id").take_all()
            [{'id': 0, 'before': None}, {'id': 1, 'before': 0}]
        """
        from raceline.data.expressions.nodes import as_expression
        from raceline.data.expressions.window import neighbour

        return neighbour("lag", as_expression(self), n)

    def lead(self, n: int = 1) -> WindowFunction:
        """The value ``n`` rows behind; missing where there is no such row.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> behind = col("id").lead().over(order_by="id")
            >>> raceline.range(2).with_column("behind", behind).sort("id").take_all()
            [{'id': 0, 'behind': 1}, {'id': 1, 'behind': None}]
        """
        from raceline.data.expressions.nodes import as_expression
        from raceline.data.expressions.window import neighbour

        return neighbour("lead", as_expression(self), n)
