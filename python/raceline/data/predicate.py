"""Predicates written as text, for ``filter(expr="...")``.

The grammar is Ray Data's: comparisons, ``and``, ``or``, ``not``, ``in`` and ``not in`` with
literals, arithmetic, and the calls ``is_null``, ``is_not_null``, ``is_valid``, ``is_nan`` and
``is_in``. A dotted name ``a.b`` is the column named "a.b".
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any, NoReturn

from raceline.data.expressions import Expr, col, lit
from raceline.errors import PlanError

__all__ = ["parse_predicate"]

_COMPARISONS: dict[type[ast.cmpop], Callable[[Expr, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Expr, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_CALLS: dict[str, Callable[..., Expr]] = {
    "is_null": Expr.is_null,
    "is_not_null": Expr.is_not_null,
    "is_valid": Expr.is_not_null,
    "is_nan": Expr.is_nan,
    "is_in": Expr.is_in,
}


def parse_predicate(text: str) -> Expr:
    """The expression that ``text`` stands for.

    Raises:
        PlanError: The text is no Python expression, or holds something outside the grammar.

    Example:
        >>> import raceline
        >>> raceline.range(9).filter(expr="id > 5 and id not in [7]").take_all()
        [{'id': 6}, {'id': 8}]
    """
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise PlanError(f"cannot read the predicate `{text}`: {error.msg}") from error
    return _Parser(text).expression(tree.body)


class _Parser:
    """Walks the syntax tree of one predicate."""

    def __init__(self, text: str) -> None:
        self._text = text

    def expression(self, node: ast.expr) -> Expr:  # noqa: RET503 (`_refuse` never returns)
        """The expression of a node."""
        match node:
            case ast.Constant(value):
                return lit(value)
            case ast.Name() | ast.Attribute():
                return col(self._dotted_name(node))
            case ast.BoolOp(op, values):
                parts = [self.expression(value) for value in values]
                joined = parts[0]
                for part in parts[1:]:
                    joined = joined & part if isinstance(op, ast.And) else joined | part
                return joined
            case ast.UnaryOp(ast.Not() | ast.Invert(), operand):
                return ~self.expression(operand)
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)):
                return lit(-value)
            case ast.UnaryOp(ast.USub(), operand):
                return -self.expression(operand)
            case ast.BinOp(left, op, right) if type(op) in _ARITHMETIC:
                result: Expr = _ARITHMETIC[type(op)](self.expression(left), self.expression(right))
                return result
            case ast.Compare():
                return self._comparison(node)
            case ast.Call(ast.Name(name), [first, *rest], []) if name in _CALLS:
                return _CALLS[name](self.expression(first), *map(self._literal, rest))
            case _:
                self._refuse(node)

    def _comparison(self, node: ast.Compare) -> Expr:
        """A comparison; a chain holds when all of its links do."""
        links: list[Expr] = []
        left = node.left
        for op, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(op, ast.In):
                links.append(self.expression(left).is_in(self._literal(right)))
            elif isinstance(op, ast.NotIn):
                links.append(self.expression(left).not_in(self._literal(right)))
            elif type(op) in _COMPARISONS:
                links.append(_COMPARISONS[type(op)](self.expression(left), self.expression(right)))
            else:
                self._refuse(node)
            left = right
        joined = links[0]
        for link in links[1:]:
            joined = joined & link
        return joined

    def _dotted_name(self, node: ast.expr) -> str:  # noqa: RET503 (`_refuse` never returns)
        """The column's name that names and dots spell."""
        match node:
            case ast.Name(name):
                return name
            case ast.Attribute(value, name):
                return f"{self._dotted_name(value)}.{name}"
            case _:
                self._refuse(node)

    def _literal(self, node: ast.expr) -> Any:
        """The plain value that a node spells."""
        try:
            return ast.literal_eval(node)
        except ValueError:
            self._refuse(node)

    def _refuse(self, node: ast.expr) -> NoReturn:
        """Names the part that the grammar does not have."""
        part = ast.get_source_segment(self._text.strip(), node)
        raise PlanError(
            f"the predicate `{self._text}` holds `{part}`, which is not supported",
            hint="use an expression of `col`, or a function: `filter(lambda row: ...)`",
        )
