"""Values that look at other rows: ranks, neighbours and sums over groups.

They run in the engine's window operators, each in a stage of its own, which sorts the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import whole_number
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.nodes import ColumnExpr, as_expression
from raceline.data.expressions.staged import StagedExpr
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.function import Demand

# Functions that leave missing values out.
_AGGREGATES = frozenset({"avg", "count", "max", "min", "sum"})

__all__ = ["WindowExpr", "WindowFunction", "dense_rank", "rank", "row_number"]


class WindowFunction(StagedExpr):
    """A function of the rows around a row; ``over`` says which these are, or the group is.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import col
        >>> rows = raceline.from_items([{"k": "a", "v": 1}, {"k": "a", "v": 2}])
        >>> rows.with_column("all", col("v").sum().over(partition_by="k")).take_all()
        [{'k': 'a', 'v': 1, 'all': 3}, {'k': 'a', 'v': 2, 'all': 3}]
    """

    __slots__ = ("_needs_order", "_operand", "_options", "_sql_name")

    def __init__(
        self,
        function: str,
        operand: Expr | None = None,
        options: Sequence[str] = (),
        *,
        needs_order: bool = False,
    ) -> None:
        """A function of SQL.

        Args:
            function: Its name.
            operand: What it is of; None of functions of places.
            options: Further arguments, as SQL.
            needs_order: Whether it means nothing without an order.
        """
        super().__init__()
        self._sql_name = function
        self._operand = operand
        self._options = tuple(options)
        self._needs_order = needs_order

    def __repr__(self) -> str:
        """What it is."""
        return f"{self._sql_name}({'' if self._operand is None else self._operand})"

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return [] if self._operand is None else [("operand", self._operand)]

    def _rebuilt(self, parts: Sequence[Expr]) -> WindowFunction:
        return WindowFunction(
            self._sql_name,
            parts[0] if parts else None,
            self._options,
            needs_order=self._needs_order,
        )

    def _label(self) -> str:
        options = ", ".join(self._options)
        return f"WINDOW({self._sql_name}{', ' if options else ''}{options})"

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        raise PlanError(
            f"`{self._sql_name}` is of many rows, and nothing says of which",
            hint='say it, `.over(partition_by="key")` or `.over()` of all, or use it in '
            "`with_column` of groups",
        )

    def over(
        self,
        partition_by: str | Expr | Sequence[str | Expr] = (),
        order_by: str | Expr | Sequence[str | Expr] = (),
        *,
        descending: bool | Sequence[bool] = False,
    ) -> Expr:
        """The function over the rows that have equal values of ``partition_by``.

        The rows of the dataset come in any order behind it.

        Args:
            partition_by: Columns or expressions; none is all rows together.
            order_by: Columns or expressions that order the rows of a part. Missing values come
                last. With it, ``sum``, ``mean``, ``min``, ``max`` and ``count`` are of the rows up
                to this one and those that are equal to it; without, of all rows of the part.
            descending: Whether the greatest comes first, for all or for each.

        Raises:
            PlanError: There is no order where one is needed, or not one direction each.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.range(3).with_column("sum", col("id").sum().over(order_by="id"))
            >>> rows.sort("id").take_all()
            [{'id': 0, 'sum': 0}, {'id': 1, 'sum': 1}, {'id': 2, 'sum': 3}]
        """
        parts, order = _expressions(partition_by), _expressions(order_by)
        if self._needs_order and not order:
            raise PlanError(
                f"`{self!r}` needs an order", hint='for example `.over(order_by="time")`'
            )
        down = [descending] * len(order) if isinstance(descending, bool) else list(descending)
        if len(down) != len(order):
            raise PlanError(f"{len(down)} directions are given for {len(order)} keys")
        return WindowExpr(self, parts, order, down)


class WindowExpr(StagedExpr):
    """A function over the rows around a row; made by ``over``."""

    __slots__ = ("_by", "_down", "_keys", "_order", "_window")

    def __init__(
        self,
        window: WindowFunction,
        by: Sequence[Expr],
        order: Sequence[Expr],
        down: Sequence[bool],
        keys: int | None = None,
    ) -> None:
        """``window`` over the rows of equal ``by``, in the order of ``order``.

        Args:
            window: The function.
            by: What is equal.
            order: What the rows are ordered by.
            down: Whether descending, for each of ``order``.
            keys: How many of ``by``, the first, are keys of groups, in which None and NaN are one,
                as they are among the values of an aggregate of a group; None outside of groups.
        """
        super().__init__()
        self._window = window
        self._by = tuple(by)
        self._order = tuple(order)
        self._down = tuple(down)
        self._keys = keys

    def within(self, keys: Sequence[str]) -> WindowExpr:
        """The same within groups, which have equal values of the columns ``keys``."""
        by = (*map(ColumnExpr, keys), *self._by)
        return WindowExpr(self._window, by, self._order, self._down, len(keys))

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        parts = [*self._window._parts()]
        parts += [("partition_by", one) for one in self._by]
        return [*parts, *(("order_by", one) for one in self._order)]

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        own = len(self._window._parts())
        window = self._window._rebuilt(parts[:own])
        by, order = parts[own : own + len(self._by)], parts[own + len(self._by) :]
        return WindowExpr(window, by, order, self._down, self._keys)

    def _label(self) -> str:
        options = ", ".join(self._window._options)
        down = f", descending={list(self._down)}" if any(self._down) else ""
        return f"WINDOW({self._window._sql_name}{', ' if options else ''}{options}{down})"

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        from raceline._session import session

        function, left = self._window._sql_name, [_quoted(one) for one in arguments]
        given = [] if self._window._operand is None else [left.pop(0)]
        by, order = left[: len(self._by)], left[len(self._by) :]
        if self._keys is not None:
            by = [*map(_key, by[: self._keys]), *by[self._keys :]]
            given = [*map(_key, given)] if function in _AGGREGATES else given
        window = [f"partition by {', '.join(by)}"] if by else []
        if order:
            directions = ["desc" if one else "asc" for one in self._down]
            keys = [f"{one} {way} nulls last" for one, way in zip(order, directions, strict=True)]
            window.append(f"order by {', '.join(keys)}")
        call = f"{function}({', '.join((*given, *self._window._options))})"
        value = f"{call} over ({' '.join(window)})"
        if self._window._operand is None or function == "count":
            # SQL counts without sign.
            value = f"cast({value} as bigint)"
        # Names are quoted, and nothing else of a user stands in the text.
        query = f"select *, {value} as {_quoted(name)} from self"  # noqa: S608
        return dataset._derive(session().sql(query, [("self", dataset._native)]))


def row_number() -> WindowFunction:
    """The number of the row in its part, from 1; int64.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import row_number
        >>> newest = row_number().over(partition_by="k", order_by="t", descending=True)
        >>> rows = raceline.from_items([{"k": "a", "t": 1}, {"k": "a", "t": 2}, {"k": "b", "t": 1}])
        >>> rows.filter(expr=newest == 1).sort("k").take_all()
        [{'k': 'a', 't': 2}, {'k': 'b', 't': 1}]
    """
    return WindowFunction("row_number", needs_order=True)


def rank() -> WindowFunction:
    """The rank of the row in its part, from 1, with gaps behind equal rows; int64.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import rank
        >>> rows = raceline.from_items([{"v": 5}, {"v": 5}, {"v": 7}])
        >>> rows.with_column("rank", rank().over(order_by="v")).sort("v").take_all()
        [{'v': 5, 'rank': 1}, {'v': 5, 'rank': 1}, {'v': 7, 'rank': 3}]
    """
    return WindowFunction("rank", needs_order=True)


def dense_rank() -> WindowFunction:
    """The rank of the row in its part, from 1, without gaps; int64.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import dense_rank
        >>> rows = raceline.from_items([{"v": 5}, {"v": 5}, {"v": 7}])
        >>> rows.with_column("rank", dense_rank().over(order_by="v")).sort("v").take_all()
        [{'v': 5, 'rank': 1}, {'v': 5, 'rank': 1}, {'v': 7, 'rank': 2}]
    """
    return WindowFunction("dense_rank", needs_order=True)


def neighbour(function: str, operand: Expr, rows: int) -> WindowFunction:
    """The value of a row before (``lag``) or behind (``lead``).

    Raises:
        PlanError: ``rows`` is no int of at least 0.

    Example:
        >>> from raceline.data.expressions import col
        >>> from raceline.data.expressions.window import neighbour
        >>> neighbour("lag", col("id"), 1)
        lag(id)
    """
    distance = str(whole_number("n", rows, 0))
    return WindowFunction(function, as_expression(operand), (distance,), needs_order=True)


def _expressions(given: str | Expr | Sequence[str | Expr]) -> list[Expr]:
    """Columns and expressions as expressions."""
    several = [given] if isinstance(given, str | Expr) else list(given)
    made: list[Expr] = []
    for one in several:
        if isinstance(one, str):
            made.append(ColumnExpr(one))
        elif isinstance(one, Expr):
            made.append(one)
        else:
            raise PlanError(f"a column or an expression is needed, got `{one!r}`")
    return made


def _key(value: str) -> str:
    """A value in which NaN is null, and there is one zero."""
    return f"__raceline_key({value})"


def _quoted(name: str) -> str:
    """A name for SQL, letter for letter."""
    return '"' + name.replace('"', '""') + '"'
