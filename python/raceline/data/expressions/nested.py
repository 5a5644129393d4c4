"""Functions of nested values: ``.list``, ``.struct``, ``.map``, ``.arr`` and ``.embedding``."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Literal

from raceline.data.expressions.namespace import Namespace

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = [
    "ArrayNamespace",
    "EmbeddingNamespace",
    "ListNamespace",
    "MapNamespace",
    "StructNamespace",
]


class ListNamespace(Namespace):
    """Functions of lists; of a missing one the result is missing."""

    __slots__ = ()
    _prefix = "list"

    def len(self) -> Expr:
        """Number of values.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3, 1, 2]}])
            >>> rows.with_column("s", col("s").list.len()).take_all()
            [{'s': 3}]
        """
        return self._call("len")

    def get(self, index: int) -> Expr:
        """The value at a position; it is an error where there is none.

        Args:
            index: The position; negative ones count from the end.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3, 1, 2]}])
            >>> rows.with_column("s", col("s").list.get(-1)).take_all()
            [{'s': 2}]
        """
        return self._call("get", index=index)

    def slice(
        self, start: int | None = None, stop: int | None = None, step: int | None = None
    ) -> Expr:
        """The values from ``start`` to before ``stop``, as Python slices.

        Args:
            start: The first; negative ones count from the end.
            stop: The one behind the last.
            step: How far apart they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3, 1, 2]}])
            >>> rows.with_column("s", col("s").list.slice(0, 2)).take_all()
            [{'s': [3, 1]}]
        """
        return self._call("slice", start=start, stop=stop, step=step)

    def sort(
        self,
        order: Literal["ascending", "descending"] = "ascending",
        null_placement: Literal["at_start", "at_end"] = "at_end",
    ) -> Expr:
        """The values of each list in order.

        Args:
            order: Which comes first, the least or the greatest.
            null_placement: Where missing values go.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3, 1, 2]}])
            >>> rows.with_column("s", col("s").list.sort()).take_all()
            [{'s': [1, 2, 3]}]
        """
        return self._call("sort", order=order, null_placement=null_placement)

    def flatten(self) -> Expr:
        """The values of the lists in each list, as one list.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [[1], [2, 3]]}])
            >>> rows.with_column("s", col("s").list.flatten()).take_all()
            [{'s': [1, 2, 3]}]
        """
        return self._call("flatten")

    def __getitem__(self, index: int | builtins.slice) -> Expr:
        """``[i]`` is ``get(i)``, ``[a:b:c]`` is ``slice(a, b, c)``."""
        if isinstance(index, builtins.slice):
            return self.slice(index.start, index.stop, index.step)
        return self.get(index)


class StructNamespace(Namespace):
    """Functions of structs."""

    __slots__ = ()
    _prefix = "struct"

    def field(self, name: str) -> Expr:
        """A field; of a missing struct it is missing.

        Args:
            name: The field's name.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": {"x": 1, "y": 2}}])
            >>> rows.with_column("s", col("s").struct.field("x")).take_all()
            [{'s': 1}]
        """
        return self._call("field", name=name)

    def field_by_index(self, index: int) -> Expr:
        """A field by its position.

        Args:
            index: The position, from 0.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": {"x": 1, "y": 2}}])
            >>> rows.with_column("s", col("s").struct.field_by_index(1)).take_all()
            [{'s': 2}]
        """
        return self._call("field_by_index", index=index)

    def __getitem__(self, key: str | int) -> Expr:
        """``["name"]`` is ``field("name")``, ``[i]`` is ``field_by_index(i)``."""
        return self.field(key) if isinstance(key, str) else self.field_by_index(key)


class MapNamespace(Namespace):
    """Functions of maps."""

    __slots__ = ()
    _prefix = "map"

    def keys(self) -> Expr:
        """The keys of each map, as a list.

        Example:
            >>> import pyarrow as pa
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> maps = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))
            >>> rows = raceline.from_arrow(pa.table({"s": maps}))
            >>> rows.with_column("s", col("s").map.keys()).take_all()
            [{'s': ['k']}]
        """
        return self._call("keys")

    def values(self) -> Expr:
        """The values of each map, as a list.

        Example:
            >>> import pyarrow as pa
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> maps = pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64()))
            >>> rows = raceline.from_arrow(pa.table({"s": maps}))
            >>> rows.with_column("s", col("s").map.values()).take_all()
            [{'s': [1]}]
        """
        return self._call("values")


class ArrayNamespace(Namespace):
    """Functions of arrays of a fixed size, and of tensors of one shape."""

    __slots__ = ()
    _prefix = "arr"

    def to_list(self) -> Expr:
        """The same as a list; a tensor becomes lists in lists.

        Example:
            >>> import pyarrow as pa
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> pairs = pa.array([[1, 2]], pa.list_(pa.int64(), 2))
            >>> rows = raceline.from_arrow(pa.table({"s": pairs}))
            >>> rows.with_column("s", col("s").arr.to_list()).take_all()
            [{'s': [1, 2]}]
        """
        return self._call("to_list")


class EmbeddingNamespace(Namespace):
    """Functions of vectors, which are lists or tensors of numbers.

    A vector with a missing number is missing. All results are float64.
    """

    __slots__ = ()
    _prefix = "embedding"

    def norm(self) -> Expr:
        """The length of the vector.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3.0, 4.0]}])
            >>> rows.with_column("s", col("s").embedding.norm()).take_all()
            [{'s': 5.0}]
        """
        return self._call("norm")

    def dot(self, other: Any) -> Expr:
        """The scalar product with another vector of as many numbers.

        Args:
            other: An expression, or a list of numbers.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3.0, 4.0]}])
            >>> rows.with_column("s", col("s").embedding.dot([1.0, 2.0])).take_all()
            [{'s': 11.0}]
        """
        return self._with("dot", other)

    def cosine(self, other: Any) -> Expr:
        """The cosine of the angle to another vector; NaN where one of them is zero.

        Args:
            other: An expression, or a list of numbers.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": [3.0, 4.0]}])
            >>> rows.with_column("s", col("s").embedding.cosine([6.0, 8.0])).take_all()
            [{'s': 1.0}]
        """
        return self._with("cosine", other)
