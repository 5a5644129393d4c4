"""Blocks: tables of rows, as sources make them and sinks take them.

A block is a PyArrow table or a pandas data frame. Where a source yields a block, a dict of columns
is taken as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from raceline import _frames
from raceline.data._arguments import column_names
from raceline.data.block_conversion import BlockBuilder, arrow_block, batch_of, native_of
from raceline.data.block_operations import BlockOperations
from raceline.data.formats import BatchFormat as _Format
from raceline.data.formats import convert_batch, normal_batch_format
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "BatchFormat",
    "Block",
    "BlockAccessor",
    "BlockColumn",
    "BlockMetadata",
    "BlockType",
    "CallableClass",
    "DataBatch",
    "Schema",
    "UserDefinedFunction",
]

#: A table of rows: ``pyarrow.Table`` or ``pandas.DataFrame``.
Block: TypeAlias = "pa.Table | pd.DataFrame"
#: A column of one.
BlockColumn: TypeAlias = "pa.ChunkedArray | pa.Array | pd.Series[Any]"
#: What a batch function gets and returns.
DataBatch: TypeAlias = "pa.Table | pd.DataFrame | Mapping[str, Any]"
#: A class whose objects are called.
CallableClass: TypeAlias = type[Callable[..., Any]]
#: A function of a row or a batch, or a class of such.
UserDefinedFunction: TypeAlias = "Callable[..., Any] | CallableClass"
#: Columns of a block.
Schema: TypeAlias = "pa.Schema"


class BlockType(Enum):
    """What a block is.

    Example:
        >>> BlockType.ARROW.value
        'arrow'
    """

    ARROW = "arrow"
    PANDAS = "pandas"


class BatchFormat(StrEnum):
    """How a batch is seen.

    Example:
        >>> BatchFormat.ARROW.value
        'pyarrow'
    """

    ARROW = "pyarrow"
    NUMPY = "numpy"
    PANDAS = "pandas"


@dataclass
class BlockMetadata:
    """What is known of rows before they are there.

    Attributes:
        num_rows: Number of rows; None where it is unknown.
        size_bytes: Bytes in memory; None where they are unknown.
        exec_stats: For whoever measures; the engine does not look at it.
        task_exec_stats: See above.
        input_files: The files that the rows come from.

    Example:
        >>> BlockMetadata(num_rows=3, size_bytes=24).num_rows
        3
    """

    num_rows: int | None = None
    size_bytes: int | None = None
    exec_stats: Any = None
    task_exec_stats: Any = None
    input_files: list[str] | None = None


class BlockAccessor(BlockOperations):
    """The rows of a block, whatever it is; made by :meth:`for_block`.

    What returns a block returns one of the same kind.

    Example:
        >>> import pyarrow
        >>> block = pyarrow.table({"n": [3, 1, 2]})
        >>> BlockAccessor.for_block(block).sort("n")["n"].to_pylist()
        [1, 2, 3]
    """

    __slots__ = ()

    @staticmethod
    def for_block(block: Any) -> BlockAccessor:
        """The accessor of a block.

        Args:
            block: A table, record batch, data frame or dict of columns.

        Raises:
            ImportError: PyArrow is not installed.
            PlanError: It is something else.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).num_rows()
            2
        """
        table = BlockAccessor.batch_to_arrow_block(block)
        is_frame = hasattr(block, "iloc")
        return BlockAccessor(block if is_frame else table, table)

    @staticmethod
    def builder() -> BlockBuilder:
        """What makes a block of rows and blocks, one after the other.

        Example:
            >>> builder = BlockAccessor.builder()
            >>> builder.add({"n": 1})
            >>> builder.build().num_rows
            1
        """
        return BlockBuilder()

    @staticmethod
    def batch_to_block(batch: Any, block_type: BlockType | None = None) -> Block:
        """The block of what a batch function returns.

        Args:
            batch: A table, record batch, data frame or dict of columns.
            block_type: What it is to be; None keeps data frames, and makes tables of the others.

        Raises:
            PlanError: It is something else.

        Example:
            >>> BlockAccessor.batch_to_block({"n": [1, 2]}).column_names
            ['n']
        """
        accessor = BlockAccessor.for_block(batch)
        match block_type:
            case None:
                return accessor.to_block()
            case BlockType.ARROW:
                return accessor.to_arrow()
            case BlockType.PANDAS:
                return accessor.to_pandas()
        raise PlanError(f"there is no block type `{block_type!r}`")

    @staticmethod
    def batch_to_arrow_block(batch: Any) -> pa.Table:
        """The table of what a batch function returns; see :meth:`batch_to_block`.

        Example:
            >>> BlockAccessor.batch_to_arrow_block({"n": [1, 2]}).num_rows
            2
        """
        return arrow_block(batch)

    @staticmethod
    def batch_to_pandas_block(batch: Any) -> pd.DataFrame:
        """The data frame of what a batch function returns; see :meth:`batch_to_block`.

        Example:
            >>> BlockAccessor.batch_to_pandas_block({"n": [1, 2]}).shape
            (2, 1)
        """
        return BlockAccessor.for_block(batch).to_pandas()

    def block_type(self) -> BlockType:
        """What the block is.

        Example:
            >>> BlockAccessor.for_block({"n": [1]}).block_type()
            <BlockType.ARROW: 'arrow'>
        """
        return BlockType.ARROW if self._block is self._table else BlockType.PANDAS

    def num_rows(self) -> int:
        """Number of rows.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).num_rows()
            2
        """
        rows: int = self._table.num_rows
        return rows

    def size_bytes(self) -> int:
        """Bytes of the rows in Arrow memory.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).size_bytes()
            16
        """
        size: int = self._table.nbytes
        return size

    def schema(self) -> Schema:
        """The columns.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).schema().names
            ['n']
        """
        return self._table.schema

    def column_names(self) -> list[str]:
        """Names of the columns.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).column_names()
            ['n']
        """
        return list(self._table.column_names)

    def get_metadata(
        self, input_files: list[str] | None = None, exec_stats: Any = None
    ) -> BlockMetadata:
        """Number of rows and bytes, with what is given.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).get_metadata().num_rows
            2
        """
        return BlockMetadata(
            self.num_rows(), self.size_bytes(), exec_stats, input_files=input_files
        )

    def iter_rows(self, public_row_format: bool = True) -> Iterator[Any]:
        """The rows, as dicts of column name to value, None where missing.

        Args:
            public_row_format: As in Ray Data; rows have one form here.

        Example:
            >>> list(BlockAccessor.for_block({"n": [1, 2]}).iter_rows())
            [{'n': 1}, {'n': 2}]
        """
        for batch in self._table.to_batches():
            yield from native_of(dict(zip(batch.schema.names, batch.columns, strict=True))).rows()

    def to_block(self) -> Block:
        """The block itself.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_block().num_rows
            2
        """
        return self._block

    def to_default(self) -> Block:
        """The block itself, as :meth:`to_block`.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_default().num_rows
            2
        """
        return self._block

    def to_arrow(self) -> pa.Table:
        """The rows as a table.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_arrow().num_rows
            2
        """
        return self._table

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a data frame, of Arrow-backed columns where the block is a table.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_pandas()["n"].tolist()
            [1, 2]
        """
        if self._block is self._table:
            return _frames.to_pandas(batch_of(self._table))
        return self._block

    def to_numpy(self, columns: str | Sequence[str] | None = None) -> Any:
        """Columns as NumPy arrays.

        Args:
            columns: One, for its array; or several, or None for all, for a dict.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_numpy("n")
            array([1, 2])
        """
        names = None if columns is None else column_names(columns)
        arrays = convert_batch(batch_of(self._chosen(names)), "numpy")
        return arrays[columns] if isinstance(columns, str) else arrays

    def to_batch_format(self, batch_format: _Format) -> Any:
        """The rows as batch functions see them.

        Args:
            batch_format: As of ``map_batches``; None is the block itself.

        Raises:
            PlanError: There is no such format.

        Example:
            >>> BlockAccessor.for_block({"n": [1, 2]}).to_batch_format("numpy")
            {'n': array([1, 2])}
        """
        if batch_format is None:
            return self._block
        wanted = normal_batch_format(batch_format)
        if wanted == "pyarrow":
            return self._table
        return self.to_pandas() if wanted == "pandas" else self.to_numpy()
