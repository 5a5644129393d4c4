"""What can be done with the rows of a block."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline import _frames
from raceline._optional import optional
from raceline.data._arguments import column_names
from raceline.data.block_conversion import arrow_block, batch_of, native_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BlockOperations"]


class BlockOperations:
    """The part of an accessor that makes other blocks, of the same kind, and single values."""

    __slots__ = ("_block", "_table")

    def __init__(self, block: Any, table: pa.Table) -> None:
        """Takes a block, and its rows as a table."""
        self._block: Any = block
        self._table = table

    def slice(self, start: int, end: int, copy: bool = False) -> Any:
        """The rows from ``start`` to before ``end``.

        Args:
            start: Position of the first row.
            end: Position after the last.
            copy: Whether they have memory of their own.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 2, 3]}).slice(1, 3)["n"].to_pylist()
            [2, 3]
        """
        if copy:
            return self.take(range(start, min(end, self._table.num_rows)))
        return self._like(self._table.slice(start, max(end - start, 0)))

    def take(self, indices: Iterable[int]) -> Any:
        """The rows at these positions.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [5, 6]}).take([1, 1, 0])["n"].to_pylist()
            [6, 6, 5]
        """
        pa = optional("pyarrow")
        return self._like(self._table.take(pa.array(list(indices), pa.int64())))

    def select(self, columns: Sequence[str]) -> Any:
        """Only these columns, in this order.

        Raises:
            KeyError: There is no such column.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"a": [1], "b": [2]}).select(["b"]).column_names
            ['b']
        """
        return self._like(self._chosen(column_names(columns)))

    def drop(self, columns: Sequence[str]) -> Any:
        """All but these columns.

        Raises:
            KeyError: There is no such column.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"a": [1], "b": [2]}).drop(["b"]).column_names
            ['a']
        """
        return self._like(self._table.drop_columns(column_names(columns)))

    def rename_columns(self, columns_rename: Mapping[str, str]) -> Any:
        """New names for columns; positions stay.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"a": [1]}).rename_columns({"a": "b"}).column_names
            ['b']
        """
        names = [columns_rename.get(name, name) for name in self._table.column_names]
        return self._like(self._table.rename_columns(names))

    def upsert_column(self, column_name: str, column_data: Any) -> Any:
        """A new column at the end, or other values for one, which keeps its position.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> block = BlockAccessor.for_block({"a": [1], "b": [2]})
            >>> block.upsert_column("a", [5]).to_pylist()
            [{'a': 5, 'b': 2}]
        """
        table = self._table
        values = _frames.to_arrow(native_of({column_name: column_data})).column(0)
        if column_name not in table.column_names:
            return self._like(table.append_column(column_name, values))
        return self._like(
            table.set_column(table.column_names.index(column_name), column_name, values)
        )

    def random_shuffle(self, random_seed: int | None = None) -> Any:
        """The rows in a random order, always the same for one seed.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> block = BlockAccessor.for_block({"n": [1, 2, 3]})
            >>> sorted(block.random_shuffle(7)["n"].to_pylist())
            [1, 2, 3]
        """
        order = list(range(self._table.num_rows))
        random.Random(random_seed).shuffle(order)  # noqa: S311 (no secret)
        return self.take(order)

    def sample(self, n_samples: int, sort_key: Any) -> Any:
        """Rows by chance, of the columns of a sort key: at most ``n_samples``, none twice.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 2, 3], "m": [1, 2, 3]}).sample(2, "n").shape
            (2, 1)
        """
        columns = _sort_columns(sort_key)[0]
        rows = random.sample(range(self._table.num_rows), min(n_samples, self._table.num_rows))
        return self._like(self._chosen(columns).take(rows))

    def sort(self, sort_key: Any) -> Any:
        """The rows, sorted; missing values come last.

        Args:
            sort_key: A column, several, or an object of ``get_columns`` and ``get_descending``.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [2, None, 1]}).sort("n")["n"].to_pylist()
            [1, 2, None]
        """
        columns, descending = _sort_columns(sort_key)
        orders = [
            (name, "descending" if down else "ascending")
            for name, down in zip(columns, descending, strict=True)
        ]
        return self._like(self._table.sort_by(orders) if orders else self._table)

    def zip(self, other: Any) -> Any:
        """The columns of this block and of another one; a name that is there gets ``_1``.

        Raises:
            ValueError: The other one has more rows or fewer.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1]}).zip({"n": [2]}).to_pylist()
            [{'n': 1, 'n_1': 2}]
        """
        table, more = self._table, arrow_block(other)
        if more.num_rows != table.num_rows:
            raise ValueError(f"cannot zip {table.num_rows} rows with {more.num_rows}")
        for name in more.column_names:
            free, times = name, 0
            while free in table.column_names:
                times += 1
                free = f"{name}_{times}"
            table = table.append_column(free, more.column(name))
        return self._like(table)

    def count(self, on: str, ignore_nulls: bool = True) -> int:
        """Number of values of a column; with ``ignore_nulls=False`` of rows.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, None]}).count("n")
            1
        """
        values: int = self._compute("count", on, mode="only_valid" if ignore_nulls else "all")
        return values

    def sum(self, on: str, ignore_nulls: bool = True) -> Any:
        """Sum of a column; None without values, or where one is missing and counts.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, None]}).sum("n")
            1
        """
        return self._compute("sum", on, skip_nulls=ignore_nulls)

    def min(self, on: str, ignore_nulls: bool = True) -> Any:
        """Least value of a column; None as of :meth:`sum`.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 2]}).min("n")
            1
        """
        return self._compute("min", on, skip_nulls=ignore_nulls)

    def max(self, on: str, ignore_nulls: bool = True) -> Any:
        """Greatest value of a column; None as of :meth:`sum`.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 2]}).max("n")
            2
        """
        return self._compute("max", on, skip_nulls=ignore_nulls)

    def mean(self, on: str, ignore_nulls: bool = True) -> float | None:
        """Mean of a column; None as of :meth:`sum`.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 2]}).mean("n")
            1.5
        """
        mean: float | None = self._compute("mean", on, skip_nulls=ignore_nulls)
        return mean

    def sum_of_squared_diffs_from_mean(
        self, on: str, ignore_nulls: bool = True, mean: float | None = None
    ) -> float | None:
        """Sum of the squared differences of a column's values from their mean, or from ``mean``.

        Example:
            >>> from raceline.data.block import BlockAccessor
            >>> BlockAccessor.for_block({"n": [1, 3]}).sum_of_squared_diffs_from_mean("n")
            2.0
        """
        mean = self.mean(on, ignore_nulls) if mean is None else mean
        if mean is None:
            return None
        values = optional("pyarrow.compute").subtract(self._table.column(on).cast("float64"), mean)
        squares = optional("pyarrow.compute").multiply(values, values)
        total: float | None = optional("pyarrow.compute").sum(squares).as_py()
        return total

    def _compute(self, function: str, on: str, **options: Any) -> Any:
        """The scalar of a function of PyArrow over a column."""
        return getattr(optional("pyarrow.compute"), function)(
            self._table.column(on), **options
        ).as_py()

    def _chosen(self, names: Sequence[str] | None) -> pa.Table:
        return self._table if names is None else self._table.select(names)

    def _like(self, table: pa.Table) -> Any:
        """A table as what this block is."""
        if self._block is self._table:
            return table
        return _frames.to_pandas(batch_of(table))


def _sort_columns(sort_key: Any) -> tuple[list[str], list[bool]]:
    """Columns and directions of a sort key."""
    if hasattr(sort_key, "get_columns"):
        columns = list(sort_key.get_columns())
        descending = sort_key.get_descending() if hasattr(sort_key, "get_descending") else False
    else:
        columns, descending = column_names(sort_key, "sort_key"), False
    directions = [descending] * len(columns) if isinstance(descending, bool) else list(descending)
    return columns, directions
