"""Expressions: what their methods compute.

They mean what they mean in SQL: missing values propagate, comparison with one is missing, and
``filter`` drops a row whose predicate is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.expressions.aggregates import WindowAggregates
from raceline.data.expressions.introspection import Introspection
from raceline.data.expressions.mathematics import Mathematics
from raceline.data.expressions.operators import Operation
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.datatype import DataType
    from raceline.data.expressions.documents import JsonNamespace, UrlNamespace
    from raceline.data.expressions.nested import (
        ArrayNamespace,
        EmbeddingNamespace,
        ListNamespace,
        MapNamespace,
        StructNamespace,
    )
    from raceline.data.expressions.text import StringNamespace
    from raceline.data.expressions.times import DatetimeNamespace

__all__ = ["Expr"]


class Expr(Mathematics, WindowAggregates, Introspection):
    """A value computed from the columns of a row; made by :func:`col` and :func:`lit`.

    ``+ - * / // % **``, ``== != < <= > >=``, ``& | ~`` and unary ``-`` build larger expressions;
    the other side may be a plain value.

    Example:
        >>> import raceline
        >>> from raceline.data.expressions import col
        >>> raceline.range(5).filter(expr=(col("id") > 1) & (col("id") != 3)).take_all()
        [{'id': 2}, {'id': 4}]
    """

    __slots__ = ()

    def is_null(self) -> Expr:
        """Whether the value is missing; never missing itself. NaN is a value.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"a": 1}, {"a": None}])
            >>> rows.filter(expr=col("a").is_null()).count()
            1
        """
        from raceline.data.expressions.nodes import UnaryExpr

        return UnaryExpr(Operation.IS_NULL, self)

    def is_not_null(self) -> Expr:
        """Whether the value is not missing; never missing itself. NaN is a value.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"a": 1}, {"a": None}])
            >>> rows.filter(expr=col("a").is_not_null()).take_all()
            [{'a': 1}]
        """
        from raceline.data.expressions.nodes import UnaryExpr

        return UnaryExpr(Operation.IS_NOT_NULL, self)

    def is_in(self, values: Iterable[Any] | Expr) -> Expr:
        """Whether the value is one of ``values``; never missing.

        Args:
            values: Plain values, or the literal of a list.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(9).filter(expr=col("id").is_in([3, 5])).take_all()
            [{'id': 3}, {'id': 5}]
        """
        from raceline.data.expressions.nodes import BinaryExpr

        return BinaryExpr(Operation.IN, self, _values(values))

    def not_in(self, values: Iterable[Any] | Expr) -> Expr:
        """Whether the value is none of ``values``; never missing.

        Args:
            values: Plain values, or the literal of a list.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(4).filter(expr=col("id").not_in([0, 2])).take_all()
            [{'id': 1}, {'id': 3}]
        """
        from raceline.data.expressions.nodes import BinaryExpr

        return BinaryExpr(Operation.NOT_IN, self, _values(values))

    def fill_null(self, value: Any) -> Expr:
        """The value, or another one where it is missing.

        Args:
            value: An expression, or a plain value.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"a": 1}, {"a": None}])
            >>> rows.with_column("a", col("a").fill_null(0)).take_all()
            [{'a': 1}, {'a': 0}]
        """
        from raceline.data.expressions.nodes import CaseExpr, as_expression

        return CaseExpr([(self.is_not_null(), self)], as_expression(value))

    def alias(self, name: str) -> Expr:
        """The same value under another name.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(1).with_columns((col("id") + 1).alias("next")).take_all()
            [{'id': 0, 'next': 1}]
        """
        from raceline.data.expressions.nodes import AliasExpr

        return AliasExpr(self, name)

    def cast(self, target_type: DataType | str, *, safe: bool = True) -> Expr:
        """The value as another type.

        Args:
            target_type: A ``DataType``, or a name: ``"bool"``, ``"int8"`` ... ``"uint64"``,
                ``"float32"``, ``"float64"``, ``"string"``, ``"binary"``, ``"date32"`` or
                ``"timestamp[us]"`` and kin.
            safe: Whether a value that the type does not have is an error: a number beyond it, or
                a fraction as an integer. Else integers wrap and fractions are cut off. A string
                that spells no value is an error either way.

        Raises:
            ValueError: There is no such type.

        Example:
            >>> import raceline
            >>> from raceline.data.datatype import DataType
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("id", col("id").cast(DataType.float64())).take_all()
            [{'id': 0.0}, {'id': 1.0}]
            >>> wrapped = (col("id") + 300).cast("uint8", safe=False)
            >>> raceline.range(1).with_column("id", wrapped).take_all()
            [{'id': 44}]
        """
        from raceline.data.expressions.nodes import CastExpr

        return CastExpr(self, target_type, safe)

    @property
    def str(self) -> StringNamespace:
        """Functions of texts.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.upper()).take_all()
            [{'s': 'AB'}]
        """
        from raceline.data.expressions.text import StringNamespace

        return StringNamespace(self)

    @property
    def list(self) -> ListNamespace:
        """Functions of lists.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [1, 2]}])
            >>> rows.with_column("s", col("s").list.len()).take_all()
            [{'s': 2}]
        """
        from raceline.data.expressions.nested import ListNamespace

        return ListNamespace(self)

    @property
    def struct(self) -> StructNamespace:
        """Functions of structs.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": {"x": 1}}])
            >>> rows.with_column("s", col("s").struct["x"]).take_all()
            [{'s': 1}]
        """
        from raceline.data.expressions.nested import StructNamespace

        return StructNamespace(self)

    @property
    def map(self) -> MapNamespace:
        """Functions of maps."""
        from raceline.data.expressions.nested import MapNamespace

        return MapNamespace(self)

    @property
    def arr(self) -> ArrayNamespace:
        """Functions of arrays of a fixed size, and tensors."""
        from raceline.data.expressions.nested import ArrayNamespace

        return ArrayNamespace(self)

    @property
    def dt(self) -> DatetimeNamespace:
        """Functions of dates and times."""
        from raceline.data.expressions.times import DatetimeNamespace

        return DatetimeNamespace(self)

    @property
    def embedding(self) -> EmbeddingNamespace:
        """Functions of vectors.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3.0, 4.0]}])
            >>> rows.with_column("s", col("s").embedding.norm()).take_all()
            [{'s': 5.0}]
        """
        from raceline.data.expressions.nested import EmbeddingNamespace

        return EmbeddingNamespace(self)

    @property
    def json(self) -> JsonNamespace:
        """Functions of texts that hold JSON."""
        from raceline.data.expressions.documents import JsonNamespace

        return JsonNamespace(self)

    @property
    def url(self) -> UrlNamespace:
        """Functions of texts that are URLs."""
        from raceline.data.expressions.documents import UrlNamespace

        return UrlNamespace(self)


def _values(values: Iterable[Any] | Expr) -> Sequence[Any]:
    """The plain values that one is looked for in."""
    from raceline.data.expressions.nodes import LiteralExpr

    if isinstance(values, LiteralExpr):
        return list(values.value)
    if isinstance(values, Expr):
        raise PlanError(f"`{values}` is no list of plain values", hint="compare by `==`")
    return list(values)
