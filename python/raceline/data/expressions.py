"""Expressions over columns, for ``filter(expr=...)`` and ``with_column``.

They mean what they mean in SQL: missing values propagate, comparison with one is missing, and
``filter`` drops a row whose predicate is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["Expr", "col", "lit"]


class Expr:
    """A value computed from the columns of a row; made by :func:`col` and :func:`lit`.

    ``+ - * / // % **``, ``== != < <= > >=``, ``& | ~`` and unary ``-`` build larger expressions;
    the other side may be a plain value.

    Example:
        >>> import raceline
        >>> raceline.range(5).filter(expr=(col("id") > 1) & (col("id") != 3)).take_all()
        [{'id': 2}, {'id': 4}]
    """

    __slots__ = ("_name", "_native")
    __hash__ = None  # type: ignore[assignment]  # `==` makes an expression

    def __init__(self, native: _native.Expr, name: str | None = None) -> None:
        """Wraps the engine's expression; users call :func:`col` and :func:`lit`."""
        self._native = native
        self._name = name

    @property
    def name(self) -> str | None:
        """The name of its column: of ``col`` or ``alias``; None of any other expression."""
        return self._name

    def __repr__(self) -> str:
        """The expression as the engine prints it."""
        return repr(self._native)

    def __bool__(self) -> bool:
        """Refuses ``and``, ``or``, ``not`` and ``if``, which cannot be overloaded.

        Raises:
            PlanError: Always.
        """
        raise PlanError(
            "an expression has no truth value before it is run",
            hint="combine expressions by `&`, `|` and `~`, each side in parentheses",
        )

    def _unary(self, op: str) -> Expr:
        return Expr(self._native.unary(op))

    def _binary(self, op: str, other: Any) -> Expr:
        return Expr(self._native.binary(op, _native_of(other)))

    def _reflected(self, op: str, other: Any) -> Expr:
        return Expr(_native_of(other).binary(op, self._native))

    def __add__(self, other: Any) -> Expr:
        """Sum; of strings the concatenation."""
        return self._binary("+", other)

    def __radd__(self, other: Any) -> Expr:
        """Sum with the plain value on the left."""
        return self._reflected("+", other)

    def __sub__(self, other: Any) -> Expr:
        """Difference."""
        return self._binary("-", other)

    def __rsub__(self, other: Any) -> Expr:
        """Difference with the plain value on the left."""
        return self._reflected("-", other)

    def __mul__(self, other: Any) -> Expr:
        """Product."""
        return self._binary("*", other)

    def __rmul__(self, other: Any) -> Expr:
        """Product with the plain value on the left."""
        return self._reflected("*", other)

    def __truediv__(self, other: Any) -> Expr:
        """Quotient; of integers an integer, cut off towards zero, as in SQL and Ray Data."""
        return self._binary("/", other)

    def __rtruediv__(self, other: Any) -> Expr:
        """Quotient with the plain value on the left."""
        return self._reflected("/", other)

    def __floordiv__(self, other: Any) -> Expr:
        """Quotient, rounded down, as float64."""
        return self._binary("//", other)

    def __rfloordiv__(self, other: Any) -> Expr:
        """Quotient, rounded down, as float64, with the plain value on the left."""
        return self._reflected("//", other)

    def __mod__(self, other: Any) -> Expr:
        """Remainder ``a - b * (a // b)``, as float64."""
        return self._binary("%", other)

    def __rmod__(self, other: Any) -> Expr:
        """Remainder with the plain value on the left."""
        return self._reflected("%", other)

    def __eq__(self, other: object) -> Expr:  # type: ignore[override]
        """Whether both are equal; missing where a side is."""
        return self._binary("==", other)

    def __ne__(self, other: object) -> Expr:  # type: ignore[override]
        """Whether both differ; missing where a side is."""
        return self._binary("!=", other)

    def __lt__(self, other: Any) -> Expr:
        """Whether the left side is less."""
        return self._binary("<", other)

    def __le__(self, other: Any) -> Expr:
        """Whether the left side is less or equal."""
        return self._binary("<=", other)

    def __gt__(self, other: Any) -> Expr:
        """Whether the left side is greater."""
        return self._binary(">", other)

    def __ge__(self, other: Any) -> Expr:
        """Whether the left side is greater or equal."""
        return self._binary(">=", other)

    def __and__(self, other: Any) -> Expr:
        """Whether both hold; false where one is false, even if the other is missing."""
        return self._binary("&", other)

    def __rand__(self, other: Any) -> Expr:
        """Whether both hold, with the plain value on the left."""
        return self._reflected("&", other)

    def __or__(self, other: Any) -> Expr:
        """Whether one holds; true where one is true, even if the other is missing."""
        return self._binary("|", other)

    def __ror__(self, other: Any) -> Expr:
        """Whether one holds, with the plain value on the left."""
        return self._reflected("|", other)

    def __invert__(self) -> Expr:
        """Whether it does not hold; missing where it is missing."""
        return self._unary("~")

    def __neg__(self) -> Expr:
        """The negative value."""
        return self._unary("negate")

    def __pow__(self, exponent: Any) -> Expr:
        """Power; of integers an integer."""
        return self._binary("**", exponent)

    def __rpow__(self, base: Any) -> Expr:
        """Power with the plain value on the left."""
        return self._reflected("**", base)

    def power(self, exponent: Any) -> Expr:
        """Power; of integers an integer."""
        return self._binary("**", exponent)

    def negate(self) -> Expr:
        """The negative value."""
        return -self

    def abs(self) -> Expr:
        """The absolute value."""
        return self._unary("abs")

    def sign(self) -> Expr:
        """-1, 0 or 1."""
        return self._unary("sign")

    def ceil(self) -> Expr:
        """The least whole number that is not less."""
        return self._unary("ceil")

    def floor(self) -> Expr:
        """The greatest whole number that is not greater."""
        return self._unary("floor")

    def round(self) -> Expr:
        """The nearest whole number; of two the even one."""
        return self._unary("round")

    def trunc(self) -> Expr:
        """The whole part."""
        return self._unary("trunc")

    def ln(self) -> Expr:
        """Natural logarithm, float64; NaN where it is not defined."""
        return self._unary("ln")

    def log10(self) -> Expr:
        """Logarithm to base 10, float64; NaN where it is not defined."""
        return self._unary("log10")

    def log2(self) -> Expr:
        """Logarithm to base 2, float64; NaN where it is not defined."""
        return self._unary("log2")

    def exp(self) -> Expr:
        """Exponential function, float64."""
        return self._unary("exp")

    def sin(self) -> Expr:
        """Sine of radians, float64."""
        return self._unary("sin")

    def cos(self) -> Expr:
        """Cosine of radians, float64."""
        return self._unary("cos")

    def tan(self) -> Expr:
        """Tangent of radians, float64."""
        return self._unary("tan")

    def asin(self) -> Expr:
        """Angle in radians of a sine, float64; NaN where it is not defined."""
        return self._unary("asin")

    def acos(self) -> Expr:
        """Angle in radians of a cosine, float64; NaN where it is not defined."""
        return self._unary("acos")

    def atan(self) -> Expr:
        """Angle in radians of a tangent, float64."""
        return self._unary("atan")

    def is_nan(self) -> Expr:
        """Whether the value is NaN; missing where it is missing."""
        return self._unary("is_nan")

    def is_null(self) -> Expr:
        """Whether the value is missing; never missing itself. NaN is a value.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": 1}, {"a": None}])
            >>> rows.filter(expr=col("a").is_null()).count()
            1
        """
        return self._unary("is_null")

    def is_not_null(self) -> Expr:
        """Whether the value is not missing; never missing itself. NaN is a value."""
        return self._unary("is_not_null")

    def is_in(self, values: Iterable[Any]) -> Expr:
        """Whether the value is one of ``values``; never missing.

        Args:
            values: Plain values.

        Example:
            >>> import raceline
            >>> raceline.range(9).filter(expr=col("id").is_in([3, 5])).take_all()
            [{'id': 3}, {'id': 5}]
        """
        return Expr(self._native.is_in(list(values)))

    def not_in(self, values: Iterable[Any]) -> Expr:
        """Whether the value is none of ``values``; never missing."""
        return ~self.is_in(values)

    def alias(self, name: str) -> Expr:
        """The same value under another name."""
        return Expr(self._native.alias(name), name)

    def cast(self, target_type: str) -> Expr:
        """The value as another type.

        Args:
            target_type: ``"bool"``, ``"int8"`` ... ``"uint64"``, ``"float32"``, ``"float64"``,
                ``"string"``, ``"binary"``, ``"date32"`` or ``"timestamp[us]"`` and kin.

        Raises:
            ValueError: There is no such type.

        Example:
            >>> import raceline
            >>> raceline.range(2).with_column("id", col("id").cast("float64")).take_all()
            [{'id': 0.0}, {'id': 1.0}]
        """
        return Expr(self._native.cast(str(target_type)))


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
    from raceline import _native

    if not isinstance(name, str):
        raise PlanError(f"a column's name must be a string, got `{name!r}`")
    return Expr(_native.col(name), name)


def lit(value: Any) -> Expr:
    """The same plain value in each row.

    Args:
        value: None, bool, int (of 64 bits), float, str or bytes, or a NumPy scalar of these.

    Raises:
        TypeError: The value is none of these.

    Example:
        >>> import raceline
        >>> raceline.range(1).with_column("source", lit("web")).take_all()
        [{'id': 0, 'source': 'web'}]
    """
    from raceline import _native

    return Expr(_native.lit(value))


def _native_of(value: Any) -> _native.Expr:
    """The engine's expression of an expression or a plain value."""
    return value._native if isinstance(value, Expr) else lit(value)._native
