"""What expressions begin with: columns, constants, conditions."""

from __future__ import annotations

from typing import Any

from raceline.data.expressions.expr import Expr
from raceline.data.expressions.nodes import (
    CaseExpr,
    ColumnExpr,
    LiteralExpr,
    StarExpr,
    UnnestExpr,
    as_expression,
)
from raceline.errors import PlanError

__all__ = ["Then", "When", "coalesce", "col", "if_else", "lit", "star", "unnest", "when"]


def col(name: str) -> Expr:
    """The column ``name``.

    Raises:
        PlanError: ``name`` is no string. Whether the column exists is found when the dataset's
            columns are known.

    Example:
        >>> import raceline
        >>> raceline.range(2).with_column("next", col("id") + 1).take_all()
        [{'id': 0, 'next': 1}, {'id': 1, 'next': 2}]
    """
    if not isinstance(name, str):
        raise PlanError(f"a column's name must be a string, got `{name!r}`")
    return ColumnExpr(name)


def lit(value: Any) -> Expr:
    """The same plain value in each row.

    Args:
        value: None, bool, int (of 64 bits), float, str or bytes, or a NumPy scalar of these; a
            date, time, timedelta or decimal; a list, dict or array of these.

    Raises:
        TypeError: The value is none of these.

    Example:
        >>> import raceline
        >>> raceline.range(1).with_column("source", lit("web")).take_all()
        [{'id': 0, 'source': 'web'}]
    """
    return LiteralExpr(value)


def star() -> Expr:
    """All columns of the input, for ``with_columns`` and ``expand_projection``.

    Example:
        >>> import raceline
        >>> star().expand_projection(raceline.range(1).schema())
        [COL('id')]
    """
    return StarExpr()


def unnest(expr: Expr | str) -> Expr:
    """The fields of a struct, each as a column, for ``with_columns``.

    Args:
        expr: The struct, or the name of its column.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"point": {"x": 1, "y": 2}}])
        >>> rows.with_columns(unnest(col("point"))).drop_columns("point").take_all()
        [{'x': 1, 'y': 2}]
    """
    return UnnestExpr(col(expr) if isinstance(expr, str) else expr)


class When:
    """A condition whose value is still to come; made by ``when``.

    Example:
        >>> import raceline
        >>> value = when(col("id") > 0).then(-1).otherwise(9)
        >>> raceline.range(2).with_column("id", value).take_all()
        [{'id': 9}, {'id': -1}]
    """

    __slots__ = ("_condition", "_pairs")

    def __init__(self, condition: Any, pairs: tuple[tuple[Expr, Expr], ...] = ()) -> None:
        """The condition, and the pairs before it."""
        self._condition = as_expression(condition)
        self._pairs = pairs

    def then(self, value: Any) -> Then:
        """What the value is where the condition holds and none before it does.

        Args:
            value: An expression, or a plain value.

        Example:
            >>> import raceline
            >>> raceline.range(2).with_column("id", when(col("id") > 0).then("more")).take_all()
            [{'id': None}, {'id': 'more'}]
        """
        return Then((*self._pairs, (self._condition, as_expression(value))))


class Then(CaseExpr):
    """An expression of conditions with their values; missing where none holds.

    Example:
        >>> import raceline
        >>> raceline.range(2).with_column("id", when(col("id") == 0).then("none")).take_all()
        [{'id': 'none'}, {'id': None}]
    """

    __slots__ = ()

    def __init__(self, pairs: tuple[tuple[Expr, Expr], ...]) -> None:
        """Conditions with their values."""
        super().__init__(pairs, None)

    def when(self, condition: Any) -> When:
        """A further condition, for the rows for which none before it holds.

        Args:
            condition: A boolean expression.

        Example:
            >>> import raceline
            >>> size = when(col("id") > 1).then("large").when(col("id") > 0).then("small")
            >>> raceline.range(3).with_column("id", size.otherwise("none")).take_all()
            [{'id': 'none'}, {'id': 'small'}, {'id': 'large'}]
        """
        return When(condition, self._pairs)

    def otherwise(self, value: Any) -> Expr:
        """What the value is where no condition holds.

        Args:
            value: An expression, or a plain value.

        Example:
            >>> import raceline
            >>> sign = when(col("id") > 0).then("+").otherwise("0")
            >>> raceline.range(2).with_column("id", sign).take_all()
            [{'id': '0'}, {'id': '+'}]
        """
        return CaseExpr(self._pairs, as_expression(value))


def when(condition: Any) -> When:
    """A condition: ``when(...).then(...).when(...).then(...).otherwise(...)``.

    Args:
        condition: A boolean expression; where it is missing, it does not hold.

    Example:
        >>> import raceline
        >>> parity = when(col("id") % 2 == 0).then("even").otherwise("odd")
        >>> raceline.range(2).with_column("parity", parity).take_all()
        [{'id': 0, 'parity': 'even'}, {'id': 1, 'parity': 'odd'}]
    """
    return When(condition)


def if_else(condition: Any, value: Any, otherwise: Any) -> Expr:
    """One value where a condition holds, and another where it does not or is missing.

    Args:
        condition: A boolean expression.
        value: An expression, or a plain value.
        otherwise: An expression, or a plain value.

    Example:
        >>> import raceline
        >>> raceline.range(2).with_column("id", if_else(col("id") > 0, col("id"), -1)).take_all()
        [{'id': -1}, {'id': 1}]
    """
    return When(condition).then(value).otherwise(otherwise)


def coalesce(*values: Any) -> Expr:
    """The first of some values that is not missing.

    Args:
        *values: Expressions, or plain values.

    Raises:
        PlanError: There are none.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"a": None, "b": 2}, {"a": 1, "b": 3}])
        >>> rows.with_column("c", coalesce(col("a"), col("b"), 0)).take_all()
        [{'a': None, 'b': 2, 'c': 2}, {'a': 1, 'b': 3, 'c': 1}]
    """
    if not values:
        raise PlanError("`coalesce` needs a value at least")
    exprs = [as_expression(value) for value in values]
    return CaseExpr([(one.is_not_null(), one) for one in exprs[:-1]] or _always(), exprs[-1])


def _always() -> list[tuple[Expr, Expr]]:
    """A condition that never holds, beside which only what comes last counts."""
    return [(LiteralExpr(False), LiteralExpr(None))]
