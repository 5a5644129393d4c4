"""The kinds of expressions, under Ray Data's names.

Programs make them by ``col``, ``lit`` and the methods of expressions; the classes are for
``isinstance`` and for looking into a tree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.expressions.expr import Expr
from raceline.data.expressions.operators import Operation
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native
    from raceline.data.datatype import DataType

__all__ = [
    "AliasExpr",
    "BinaryExpr",
    "CaseExpr",
    "CastExpr",
    "ColumnExpr",
    "FunctionExpr",
    "LiteralExpr",
    "StarExpr",
    "UnaryExpr",
    "UnnestExpr",
    "as_expression",
]


class ColumnExpr(Expr):
    """A column.

    Example:
        >>> from raceline.data.expressions import ColumnExpr, col
        >>> isinstance(col("id"), ColumnExpr)
        True
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        """The column ``name``, letter for letter."""
        from raceline import _native

        super().__init__(_native.col(name))
        self._name = name

    @property
    def name(self) -> str:
        """The column's name."""
        return self._name

    def _label(self) -> str:
        return f"COL({self._name!r})"


class LiteralExpr(Expr):
    """A plain value, the same in each row.

    Example:
        >>> from raceline.data.expressions import lit
        >>> lit(3).value
        3
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        """The value.

        Raises:
            TypeError: The engine has no type for it.
        """
        from raceline.data.expressions.literal import engine_literal

        super().__init__(engine_literal(value))
        self.value = value

    @property
    def data_type(self) -> DataType:
        """The type that the value stands for."""
        from raceline.data.datatype import DataType

        return DataType.infer_dtype(self.value)

    def _label(self) -> str:
        return f"LIT({self.value!r})"


class BinaryExpr(Expr):
    """An operation of two expressions.

    Example:
        >>> from raceline.data.expressions import col
        >>> (col("a") + col("b")).right
        COL('b')
    """

    __slots__ = ("left", "op", "right")

    def __init__(self, op: Operation, left: Any, right: Any) -> None:
        """``left op right``; plain values become literals."""
        self.op = op
        self.left = as_expression(left)
        self.right = _Values(right) if op in _MEMBERSHIP else as_expression(right)
        super().__init__(self._made())

    def _made(self) -> _native.Expr | None:
        left = self.left._engine
        if left is None:
            return None
        if isinstance(self.right, _Values):
            found = left.is_in([LiteralExpr(value)._native for value in self.right.value])
            return found.unary("~") if self.op is Operation.NOT_IN else found
        right = self.right._engine
        return None if right is None else left.binary(self.op.value, right)

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("left", self.left), ("right", self.right))

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        left, right = parts
        return BinaryExpr(self.op, left, right.value if isinstance(right, _Values) else right)

    def _label(self) -> str:
        return self.op.name


_MEMBERSHIP = (Operation.IN, Operation.NOT_IN)


class _Values(LiteralExpr):
    """The values that one is looked for in."""

    __slots__ = ()

    def __init__(self, values: Any) -> None:
        Expr.__init__(self, None)
        self.value = list(values)


class UnaryExpr(Expr):
    """An operation of one expression.

    Example:
        >>> from raceline.data.expressions import col
        >>> col("a").is_null().operand
        COL('a')
    """

    __slots__ = ("op", "operand")

    def __init__(self, op: Operation, operand: Any) -> None:
        """``op`` of ``operand``."""
        self.op = op
        self.operand = as_expression(operand)
        inner = self.operand._engine
        super().__init__(None if inner is None else inner.unary(op.value))

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("operand", self.operand),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return UnaryExpr(self.op, parts[0])

    def _label(self) -> str:
        return self.op.name


class FunctionExpr(Expr):
    """A function of the engine.

    Example:
        >>> from raceline.data.expressions import col
        >>> col("a").str.repeat(2)
        str.repeat(n=2)
            └── arg0: COL('a')
    """

    __slots__ = ("args", "function", "options")

    def __init__(
        self,
        function: str,
        args: Sequence[Any],
        options: Mapping[str, bool | int | str | None] | None = None,
    ) -> None:
        """A call.

        Args:
            function: Its name: of one of the namespaces, as ``str.upper``, or ``abs`` and kin.
            args: Expressions, or plain values.
            options: What is the same for all rows; None is left out.

        Raises:
            PlanError: There is no such function, or an option does not fit it.
        """
        self.function = function
        self.args = tuple(as_expression(arg) for arg in args)
        self.options = {name: one for name, one in (options or {}).items() if one is not None}
        super().__init__(self._made())

    def _made(self) -> _native.Expr | None:
        first, *others = [arg._engine for arg in self.args]
        if first is None or None in others:
            return None
        if "." not in self.function:
            return first.unary(self.function)
        return first.call(self.function, [one for one in others if one is not None], self.options)

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return [(f"arg{at}", arg) for at, arg in enumerate(self.args)]

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return FunctionExpr(self.function, parts, self.options)

    def _label(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.function}({options})"


class CastExpr(Expr):
    """A value as another type.

    Example:
        >>> from raceline.data.expressions import col
        >>> col("a").cast("float32")
        CAST('float32')
            └── expr: COL('a')
    """

    __slots__ = ("expr", "safe", "target_type")

    def __init__(self, expr: Expr, target_type: DataType | str, safe: bool) -> None:
        """``expr`` as ``target_type``."""
        from raceline.data.datatype import DataType

        self.expr = expr
        self.target_type = target_type
        self.safe = safe
        inner = expr._engine
        engine = None
        if inner is not None and isinstance(target_type, DataType):
            engine = inner.cast_to(target_type, safe)
        elif inner is not None:
            engine = inner.cast(str(target_type), safe)
        super().__init__(engine)

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("expr", self.expr),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return CastExpr(parts[0], self.target_type, self.safe)

    def _label(self) -> str:
        unsafe = "" if self.safe else ", safe=False"
        return f"CAST({self.target_type!r}{unsafe})"


class AliasExpr(Expr):
    """An expression under another name.

    Example:
        >>> from raceline.data.expressions import col
        >>> col("a").alias("b").name
        'b'
    """

    __slots__ = ("_name", "expr")

    def __init__(self, expr: Expr, name: str) -> None:
        """``expr`` as the column ``name``."""
        if not isinstance(name, str):
            raise PlanError(f"a column's name must be a string, got `{name!r}`")
        inner = expr._engine
        super().__init__(None if inner is None else inner.alias(name))
        self.expr = expr
        self._name = name

    @property
    def name(self) -> str:
        """The new name."""
        return self._name

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("expr", self.expr),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return AliasExpr(parts[0], self._name)

    def _label(self) -> str:
        return f"ALIAS({self._name!r})"


class CaseExpr(Expr):
    """The value of the first condition that holds; made by ``when``."""

    __slots__ = ("_pairs", "_rest")

    def __init__(self, pairs: Sequence[tuple[Expr, Expr]], rest: Expr | None) -> None:
        """Conditions with their values, and the value where none holds; None is missing."""
        self._pairs = tuple(pairs)
        self._rest = rest
        super().__init__(self._made())

    def _made(self) -> _native.Expr | None:
        from raceline import _native

        engines = [part._engine for _, part in self._parts()]
        if None in engines:
            return None
        made = [one for one in engines if one is not None]
        rest = made.pop() if self._rest is not None else None
        return _native.case(made[0::2], made[1::2], rest)

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        parts = [part for when, then in self._pairs for part in (("when", when), ("then", then))]
        return parts if self._rest is None else [*parts, ("otherwise", self._rest)]

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        whole = len(self._pairs) * 2
        rest = parts[whole] if len(parts) > whole else None
        return CaseExpr(list(zip(parts[0:whole:2], parts[1:whole:2], strict=True)), rest)

    def _label(self) -> str:
        return "CASE"


class StarExpr(Expr):
    """All columns of the input; made by ``star``."""

    __slots__ = ()

    def __init__(self) -> None:
        """All columns."""
        super().__init__(None)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return self

    def _label(self) -> str:
        return "COL(*)"


class UnnestExpr(Expr):
    """The fields of a struct, each as a column; made by ``unnest``."""

    __slots__ = ("expr",)

    def __init__(self, expr: Expr) -> None:
        """The fields of ``expr``."""
        super().__init__(None)
        self.expr = expr

    def alias(self, name: str) -> Expr:
        """Refuses: several columns have no one name.

        Raises:
            PlanError: Always.

        Example:
            >>> from raceline.data.expressions import col, unnest
            >>> try:
            ...     unnest(col("point")).alias("p")
            ... except ValueError as error:
            ...     print(error)
            the fields of a struct cannot have the one name `p`
              hint: rename them afterwards: `dataset.rename_columns({...})`
        """
        raise PlanError(
            f"the fields of a struct cannot have the one name `{name}`",
            hint="rename them afterwards: `dataset.rename_columns({...})`",
        )

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("expr", self.expr),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return UnnestExpr(parts[0])

    def _label(self) -> str:
        return "UNNEST"


def as_expression(value: Any) -> Expr:
    """An expression itself, or the literal of a plain value.

    Raises:
        TypeError: It is neither.

    Example:
        >>> from raceline.data.expressions.nodes import as_expression
        >>> as_expression(3)
        LIT(3)
    """
    return value if isinstance(value, Expr) else LiteralExpr(value)
