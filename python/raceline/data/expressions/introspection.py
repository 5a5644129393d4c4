"""Looking into expressions: their types, and whether two are the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.expressions.operators import Operation, Operators

if TYPE_CHECKING:
    from raceline.data.datatype import DataType
    from raceline.data.expressions.expr import Expr

__all__ = [
    "Introspection",
    "expand_projection_exprs",
    "expand_star_exprs",
    "exprlist_to_fields",
    "is_rename_expr",
]


class Introspection(Operators):
    """The part of an expression that tells what it is."""

    __slots__ = ()

    def structurally_equals(self, other: Any) -> bool:
        """Whether another expression is built in the same way.

        Example:
            >>> from raceline.data.expressions import col
            >>> (col("a") + 1).structurally_equals(col("a") + 1)
            True
            >>> (col("a") + 1).structurally_equals(col("b") + 1)
            False
        """
        return structurally_equal(self, other)

    def is_idempotent(self) -> bool:
        """Whether it gives the same for the same row each time.

        Example:
            >>> from raceline.data.expressions import col, random
            >>> col("a").is_idempotent(), (col("a") + random()).is_idempotent()
            (True, False)
        """
        return all(part.is_idempotent() for _, part in self._parts())

    def to_field(self, schema: Any) -> Any:
        """The field, of PyArrow, that it is over the columns of ``schema``.

        Args:
            schema: A schema of PyArrow, or of a dataset.

        Raises:
            ColumnNotFoundError: The schema lacks a column.
            PlanError: It is not defined for the types of its columns.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> (col("id") / 2.0).alias("half").to_field(raceline.range(1).schema())
            pyarrow.Field<half: double>
        """
        return field_of(self, schema)

    def get_type(self, schema: Any) -> DataType:
        """The type that it has over the columns of ``schema``.

        Args:
            schema: A schema of PyArrow, or of a dataset.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> (col("id") > 2).get_type(raceline.range(1).schema())
            DataType(arrow:bool)
        """
        from raceline.data.datatype import DataType

        return DataType.from_arrow(self.to_field(schema).type)

    def nullable(self, schema: Any) -> bool:
        """Whether it may be missing, as far as the columns of ``schema`` tell.

        Args:
            schema: A schema of PyArrow, or of a dataset.

        Example:
            >>> import pyarrow as pa
            >>> from raceline.data.expressions import col
            >>> schema = pa.schema([pa.field("a", pa.int64(), nullable=False)])
            >>> (col("a") + 1).nullable(schema)
            False
        """
        return bool(self.to_field(schema).nullable)

    def to_pyarrow(self) -> Any:
        """The same as an expression of PyArrow.

        Raises:
            TypeError: PyArrow's expressions do not have a part of it.

        Example:
            >>> from raceline.data.expressions import col
            >>> (col("a") > 2).to_pyarrow()
            <pyarrow.compute.Expression (a > 2)>
        """
        return arrow_expression(self)

    def expand_projection(self, schema: Any) -> list[Expr]:
        """The expressions that it stands for.

        They are one a column for ``star``, one a field for ``unnest``, and itself else.

        Args:
            schema: A schema of PyArrow, or of a dataset.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import star
            >>> star().expand_projection(raceline.range(1).schema())
            [COL('id')]
        """
        return expanded(self, schema)


def structurally_equal(one: Any, other: Any) -> bool:
    """Whether two expressions are built in the same way; without recursion, as trees are deep."""
    left = [(one, other)]
    while left:
        a, b = left.pop()
        if type(a) is not type(b) or not isinstance(a, Operators) or a._facts() != b._facts():
            return False
        parts, others = a._parts(), b._parts()
        if len(parts) != len(others):
            return False
        left += [(part, another) for (_, part), (_, another) in zip(parts, others, strict=True)]
    return True


def field_of(expr: Introspection, schema: Any) -> Any:
    """The field of PyArrow that an expression is."""
    pyarrow = optional("pyarrow")
    name = expr.name if isinstance(expr.name, str) else str(expr)
    return pyarrow.schema(expr._native.field(name, schema)).field(0)


def arrow_expression(expr: Any) -> Any:
    """An expression of PyArrow that means the same.

    Raises:
        TypeError: There is none.
    """
    from raceline.data.expressions import nodes

    compute = optional("pyarrow.compute")
    match expr:
        case nodes.ColumnExpr():
            return compute.field(expr.name)
        case nodes.LiteralExpr():
            return compute.scalar(expr.value)
        case nodes.AliasExpr():
            return arrow_expression(expr.expr)
        case nodes.BinaryExpr(op=Operation.IN | Operation.NOT_IN):
            values: Any = expr.right
            found = arrow_expression(expr.left).isin(values.value)
            return ~found if expr.op is Operation.NOT_IN else found
        case nodes.BinaryExpr() if expr.op in _BINARY:
            function: Callable[..., Any] = getattr(compute, _BINARY[expr.op])
            return function(arrow_expression(expr.left), arrow_expression(expr.right))
        case nodes.UnaryExpr():
            operand = arrow_expression(expr.operand)
            if expr.op is Operation.NOT:
                return ~operand
            is_null = operand.is_null()
            return is_null if expr.op is Operation.IS_NULL else ~is_null
        case nodes.CastExpr() if not isinstance(expr.target_type, str):
            arrow_type = expr.target_type.to_arrow_dtype()
            return arrow_expression(expr.expr).cast(arrow_type, safe=expr.safe)
    raise TypeError(f"PyArrow has no expression for `{expr}`")


_BINARY = {
    Operation.ADD: "add",
    Operation.SUB: "subtract",
    Operation.MUL: "multiply",
    Operation.DIV: "divide",
    Operation.GT: "greater",
    Operation.LT: "less",
    Operation.GE: "greater_equal",
    Operation.LE: "less_equal",
    Operation.EQ: "equal",
    Operation.NE: "not_equal",
    Operation.AND: "and_kleene",
    Operation.OR: "or_kleene",
}


def expanded(expr: Any, schema: Any) -> list[Expr]:
    """The expressions that one stands for.

    Raises:
        PlanError: The fields of something else than a struct are asked for.
    """
    from raceline.data.expressions import nodes
    from raceline.errors import PlanError

    if isinstance(expr, nodes.StarExpr):
        return [nodes.ColumnExpr(name) for name in schema.names]
    if not isinstance(expr, nodes.UnnestExpr):
        return [expr]
    pyarrow = optional("pyarrow")
    found = field_of(expr.expr, schema).type
    if not pyarrow.types.is_struct(found):
        raise PlanError(
            f"`{expr.expr}` is of type `{found}`, which has no fields",
            hint="only structs can be unnested",
        )
    names = [found.field(at).name for at in range(found.num_fields)]
    return [expr.expr.struct.field(name).alias(name) for name in names]


def expand_star_exprs(exprs: Sequence[Expr], schema: Any) -> list[Expr]:
    """The expressions, with each ``star`` and ``unnest`` replaced by what it stands for.

    Args:
        exprs: Expressions.
        schema: A schema of PyArrow, or of a dataset.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import col, expand_star_exprs, star
        >>> schema = raceline.range(1).schema()
        >>> expand_star_exprs([star(), (col("id") + 1).alias("next")], schema)[1].name
        'next'
    """
    return [one for expr in exprs for one in expanded(expr, schema)]


# Ray's other name of it.
expand_projection_exprs = expand_star_exprs


def exprlist_to_fields(exprs: Sequence[Expr], schema: Any) -> list[Any]:
    """The fields, of PyArrow, that expressions are over the columns of ``schema``.

    Args:
        exprs: Expressions.
        schema: A schema of PyArrow, or of a dataset.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import col, exprlist_to_fields
        >>> exprlist_to_fields([col("id")], raceline.range(1).schema())
        [pyarrow.Field<id: int64>]
    """
    return [one.to_field(schema) for one in expand_star_exprs(exprs, schema)]


def is_rename_expr(expr: Expr) -> bool:
    """Whether an expression is a column under another name.

    Args:
        expr: An expression.

    Example:
        >>> from raceline.data.expressions import col, is_rename_expr
        >>> is_rename_expr(col("a").alias("b")), is_rename_expr(col("a"))
        (True, False)
    """
    from raceline.data.expressions import nodes

    return isinstance(expr, nodes.AliasExpr) and isinstance(expr.expr, nodes.ColumnExpr)
