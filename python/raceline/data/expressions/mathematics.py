"""Arithmetic that has no operator: rounding, logarithms, angles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raceline.data.expressions.operators import Operation, Operators

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["Mathematics"]


class Mathematics(Operators):
    """The part of an expression that computes numbers of its number; null gives null."""

    __slots__ = ()

    def _function(self, name: str) -> Expr:
        from raceline.data.expressions.nodes import FunctionExpr

        return FunctionExpr(name, (self,))

    def negate(self) -> Expr:
        """The negative value. Integers wrap.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", col("id").negate()).take_all()
            [{'id': 0}, {'id': -1}]
        """
        return -self

    def abs(self) -> Expr:
        """The absolute value. Integers wrap.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") - 1).abs()).take_all()
            [{'id': 1}, {'id': 0}]
        """
        return self._function("abs")

    def sign(self) -> Expr:
        """-1, 0 or 1; NaN of NaN.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") - 1).sign()).take_all()
            [{'id': -1}, {'id': 0}]
        """
        return self._function("sign")

    def ceil(self) -> Expr:
        """The least whole number that is not less; integers stay as they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") / 2.0).ceil()).take_all()
            [{'id': 0.0}, {'id': 1.0}]
        """
        return self._function("ceil")

    def floor(self) -> Expr:
        """The greatest whole number that is not greater; integers stay as they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") / 2.0).floor()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("floor")

    def round(self) -> Expr:
        """The nearest whole number, of two the even one; integers stay as they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") + 0.5).round()).take_all()
            [{'id': 0.0}, {'id': 2.0}]
        """
        return self._function("round")

    def trunc(self) -> Expr:
        """The whole part; integers stay as they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") / 2.0).trunc()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("trunc")

    def ln(self) -> Expr:
        """Natural logarithm, float64; NaN where it is not defined.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") + 1).ln().round()).take_all()
            [{'id': 0.0}, {'id': 1.0}]
        """
        return self._function("ln")

    def log10(self) -> Expr:
        """Logarithm to base 10, float64; NaN where it is not defined.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import lit
            >>> raceline.range(2).with_column("id", lit(100).log10()).take_all()
            [{'id': 2.0}, {'id': 2.0}]
        """
        return self._function("log10")

    def log2(self) -> Expr:
        """Logarithm to base 2, float64; NaN where it is not defined.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import lit
            >>> raceline.range(2).with_column("id", lit(8).log2()).take_all()
            [{'id': 3.0}, {'id': 3.0}]
        """
        return self._function("log2")

    def exp(self) -> Expr:
        """Exponential function, float64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).exp()).take_all()
            [{'id': 1.0}, {'id': 1.0}]
        """
        return self._function("exp")

    def sin(self) -> Expr:
        """Sine of radians, float64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).sin()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("sin")

    def cos(self) -> Expr:
        """Cosine of radians, float64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).cos()).take_all()
            [{'id': 1.0}, {'id': 1.0}]
        """
        return self._function("cos")

    def tan(self) -> Expr:
        """Tangent of radians, float64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).tan()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("tan")

    def asin(self) -> Expr:
        """Angle in radians of a sine, float64; NaN where it is not defined.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).asin()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("asin")

    def acos(self) -> Expr:
        """Angle in radians of a cosine, float64; NaN where it is not defined.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import lit
            >>> raceline.range(2).with_column("id", lit(1).acos()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("acos")

    def atan(self) -> Expr:
        """Angle in radians of a tangent, float64.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", (col("id") * 0).atan()).take_all()
            [{'id': 0.0}, {'id': 0.0}]
        """
        return self._function("atan")

    def is_nan(self) -> Expr:
        """Whether the value is NaN; missing where it is missing.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import lit
            >>> raceline.range(2).with_column("id", lit(float("nan")).is_nan()).take_all()
            [{'id': True}, {'id': True}]
        """
        return self._function("is_nan")

    def power(self, exponent: Any) -> Expr:
        """Power; of integers an integer, which wraps.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(3).with_column("id", col("id").power(2)).take_all()
            [{'id': 0}, {'id': 1}, {'id': 4}]
        """
        return self._binary(Operation.POWER, exponent)
