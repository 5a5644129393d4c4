"""Expressions within groups of rows."""

from __future__ import annotations

from collections.abc import Sequence

from raceline.data.expressions.expr import Expr
from raceline.data.expressions.udf import GroupUDFExpr, UDFExpr
from raceline.data.expressions.window import WindowExpr, WindowFunction

__all__ = ["within_groups"]


def within_groups(expr: Expr, keys: Sequence[str]) -> Expr:
    """An expression of which all that looks at other rows looks at those of a group.

    Args:
        expr: The expression.
        keys: The columns that are equal in a group.

    Raises:
        PlanError: A part of it needs an order and has none.

    Example:
        >>> from raceline.data.expressions import col
        >>> from raceline.data.expressions.within import within_groups
        >>> print(within_groups(col("v").sum(), ["k"]))
        WINDOW(sum)(v, k)
    """
    parts = [part for _, part in expr._parts()]
    if expr._engine is not None or not (parts or isinstance(expr, WindowFunction)):
        return expr
    bound = [within_groups(part, keys) for part in parts]
    own = expr._rebuilt(bound)
    if isinstance(own, WindowFunction):
        own = own.over()
    if isinstance(own, WindowExpr):
        return own.within(keys)
    if isinstance(own, UDFExpr):
        return GroupUDFExpr(own, keys)
    return own
