"""What the namespaces of an expression have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["Namespace"]


class Namespace:
    """Functions of an expression that are called by the name of a namespace."""

    __slots__ = ("_expr",)
    _prefix: ClassVar[str]

    def __init__(self, expr: Expr) -> None:
        """The functions of ``expr``."""
        self._expr = expr

    def _call(self, function: str, **options: bool | int | str | None) -> Expr:
        """A function with what is the same for all rows; None is left out."""
        from raceline.data.expressions.nodes import FunctionExpr

        return FunctionExpr(f"{self._prefix}.{function}", (self._expr,), options)

    def _with(self, function: str, other: Any) -> Expr:
        """A function of two arguments."""
        from raceline.data.expressions.nodes import FunctionExpr

        return FunctionExpr(f"{self._prefix}.{function}", (self._expr, other))
