"""What every expression is: its parts, its operators and how it looks.

An expression is a tree. Where all of it runs inside the engine, the engine's expression is made
together with the tree, so that a wrong operator or parameter is found where it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any

from raceline.errors import ExpressionTruthError, PlanError

if TYPE_CHECKING:
    from raceline import _native
    from raceline.data.expressions.expr import Expr

__all__ = ["Operation", "Operators"]


class Operation(Enum):
    """What a binary or unary expression does.

    Example:
        >>> from raceline.data.expressions import Operation, col
        >>> (col("x") * 2).op is Operation.MUL
        True
    """

    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    FLOORDIV = "//"
    MOD = "%"
    POWER = "**"
    GT = ">"
    LT = "<"
    GE = ">="
    LE = "<="
    EQ = "=="
    NE = "!="
    AND = "&"
    OR = "|"
    IN = "in"
    NOT_IN = "not in"
    NOT = "~"
    IS_NULL = "is_null"
    IS_NOT_NULL = "is_not_null"


class Operators:
    """The part of an expression that Python's operators reach."""

    __slots__ = ("_engine",)
    __hash__ = None  # type: ignore[assignment]  # `==` makes an expression

    def __init__(self, engine: _native.Expr | None) -> None:
        """Users call ``col``, ``lit`` and what these have.

        Args:
            engine: The engine's expression; None where a part runs elsewhere.
        """
        self._engine = engine

    @property
    def _native(self) -> _native.Expr:
        """The engine's expression.

        Raises:
            PlanError: A part of it is computed outside of expressions.
        """
        if self._engine is None:
            raise PlanError(
                f"`{self}` is not possible here",
                hint="make a column of it first: `dataset.with_column(name, expression)`",
            )
        return self._engine

    @property
    def name(self) -> str | None:
        """The name of its column: of ``col`` or ``alias``; None of any other expression."""
        return None

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        """The expressions that it is made of, with what they are called."""
        return ()

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        """The same of other parts."""
        raise NotImplementedError(type(self).__name__)

    def _label(self) -> str:
        """What it is, without its parts."""
        raise NotImplementedError(type(self).__name__)

    def _facts(self) -> tuple[Any, ...]:
        """What tells it from others of its class, beside its parts."""
        return (self._label(),)

    def __str__(self) -> str:
        """The expression in one line, as the engine prints it where it runs there."""
        if self._engine is not None:
            return repr(self._engine)
        parts = ", ".join(str(part) for _, part in self._parts())
        return f"{self._label()}({parts})" if parts else self._label()

    def __repr__(self) -> str:
        """The expression as a tree.

        Example:
            >>> from raceline.data.expressions import col
            >>> col("x") * 2
            MUL
                ├── left: COL('x')
                └── right: LIT(2)
        """
        lines: list[str] = []
        # Deep trees are walked without recursion: (how it begins, how what is below it begins).
        left: list[tuple[str, str, Operators]] = [("", "    ", self)]
        while left:
            first, below, here = left.pop()
            lines.append(first + here._label())
            parts = list(here._parts())
            for at, (name, part) in reversed(list(enumerate(parts))):
                is_last = at == len(parts) - 1
                branch, trunk = ("└── ", "    ") if is_last else ("├── ", "│   ")
                left.append((f"{below}{branch}{name}: ", below + trunk, part))
        return "\n".join(lines)

    def __bool__(self) -> bool:
        """Refuses ``and``, ``or``, ``not`` and ``if``, which cannot be overloaded.

        Raises:
            ExpressionTruthError: Always; it is a ``TypeError`` and a ``PlanError``.
        """
        raise ExpressionTruthError(
            "an expression has no truth value before it is run",
            hint="combine expressions by `&`, `|` and `~`, each side in parentheses",
        )

    def _binary(self, operation: Operation, right: Any) -> Expr:
        from raceline.data.expressions.nodes import BinaryExpr

        return BinaryExpr(operation, self, right)

    def _reflected(self, operation: Operation, left: Any) -> Expr:
        from raceline.data.expressions.nodes import BinaryExpr

        return BinaryExpr(operation, left, self)

    def __add__(self, other: Any) -> Expr:
        """Sum; of strings the concatenation. Integers wrap."""
        return self._binary(Operation.ADD, other)

    def __radd__(self, other: Any) -> Expr:
        """Sum with the plain value on the left."""
        return self._reflected(Operation.ADD, other)

    def __sub__(self, other: Any) -> Expr:
        """Difference. Integers wrap."""
        return self._binary(Operation.SUB, other)

    def __rsub__(self, other: Any) -> Expr:
        """Difference with the plain value on the left."""
        return self._reflected(Operation.SUB, other)

    def __mul__(self, other: Any) -> Expr:
        """Product. Integers wrap."""
        return self._binary(Operation.MUL, other)

    def __rmul__(self, other: Any) -> Expr:
        """Product with the plain value on the left."""
        return self._reflected(Operation.MUL, other)

    def __truediv__(self, other: Any) -> Expr:
        """Quotient; of integers an integer, cut off towards zero, as in SQL and Ray Data."""
        return self._binary(Operation.DIV, other)

    def __rtruediv__(self, other: Any) -> Expr:
        """Quotient with the plain value on the left."""
        return self._reflected(Operation.DIV, other)

    def __floordiv__(self, other: Any) -> Expr:
        """Whole quotient: of integers cut off towards zero, of floats rounded down."""
        return self._binary(Operation.FLOORDIV, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        """Whole quotient with the plain value on the left."""
        return self._reflected(Operation.FLOORDIV, other)

    def __mod__(self, other: Any) -> Expr:
        """Remainder ``a - b * (a // b)``: of integers it has the sign of ``a``."""
        return self._binary(Operation.MOD, other)

    def __rmod__(self, other: Any) -> Expr:
        """Remainder with the plain value on the left."""
        return self._reflected(Operation.MOD, other)

    def __pow__(self, exponent: Any) -> Expr:
        """Power; of integers an integer."""
        return self._binary(Operation.POWER, exponent)

    def __rpow__(self, base: Any) -> Expr:
        """Power with the plain value on the left."""
        return self._reflected(Operation.POWER, base)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        """Whether both are equal; missing where a side is."""
        return self._binary(Operation.EQ, other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        """Whether both differ; missing where a side is."""
        return self._binary(Operation.NE, other)

    def __lt__(self, other: Any) -> Expr:
        """Whether the left side is less."""
        return self._binary(Operation.LT, other)

    def __le__(self, other: Any) -> Expr:
        """Whether the left side is less or equal."""
        return self._binary(Operation.LE, other)

    def __gt__(self, other: Any) -> Expr:
        """Whether the left side is greater."""
        return self._binary(Operation.GT, other)

    def __ge__(self, other: Any) -> Expr:
        """Whether the left side is greater or equal."""
        return self._binary(Operation.GE, other)

    def __and__(self, other: Any) -> Expr:
        """Whether both hold; false where one is false, even if the other is missing."""
        return self._binary(Operation.AND, other)

    def __rand__(self, other: Any) -> Expr:
        """Whether both hold, with the plain value on the left."""
        return self._reflected(Operation.AND, other)

    def __or__(self, other: Any) -> Expr:
        """Whether one holds; true where one is true, even if the other is missing."""
        return self._binary(Operation.OR, other)

    def __ror__(self, other: Any) -> Expr:
        """Whether one holds, with the plain value on the left."""
        return self._reflected(Operation.OR, other)

    def __invert__(self) -> Expr:
        """Whether it does not hold; missing where it is missing."""
        from raceline.data.expressions.nodes import UnaryExpr

        return UnaryExpr(Operation.NOT, self)

    def __neg__(self) -> Expr:
        """The negative value."""
        from raceline.data.expressions.nodes import FunctionExpr

        return FunctionExpr("negate", (self,))
