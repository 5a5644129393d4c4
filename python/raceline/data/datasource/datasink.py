"""Sinks of a user's own: what becomes of the rows of a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from raceline.data.block import Block, BlockAccessor, Schema
from raceline.errors import PlanError

__all__ = ["Datasink", "DummyOutputDatasink", "TaskContext", "WriteResult"]

T = TypeVar("T")


@dataclass
class TaskContext:
    """What a write is told of itself.

    Attributes:
        task_idx: Its number, from 0, in the order of the rows; a write that is made again has the
            same one.
        op_name: What the sink is called.
        kwargs: ``write_uuid``, the same for all writes of one run.

    Example:
        >>> TaskContext(task_idx=3, op_name="Write").task_idx
        3
    """

    task_idx: int
    op_name: str = "Write"
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class WriteResult(Generic[T]):
    """What all writes of one run came to.

    Attributes:
        num_rows: Rows that were written.
        size_bytes: Their bytes in Arrow memory.
        write_returns: What each :meth:`Datasink.write` returned, in the order of the rows.

    Example:
        >>> WriteResult(2, 16, ["a"]).num_rows
        2
    """

    num_rows: int
    size_bytes: int
    write_returns: list[T]

    @classmethod
    def combine(cls, *results: WriteResult[T]) -> WriteResult[T]:
        """The sums, and all returns.

        Example:
            >>> WriteResult.combine(WriteResult(1, 8, ["a"]), WriteResult(2, 16, ["b"]))
            WriteResult(num_rows=3, size_bytes=24, write_returns=['a', 'b'])
        """
        return cls(
            sum(one.num_rows for one in results),
            sum(one.size_bytes for one in results),
            [value for one in results for value in one.write_returns],
        )


class Datasink(Generic[T]):
    """A sink of a user's own, for ``Dataset.write_datasink``.

    Derive a class, and override :meth:`write`. It runs in worker processes, on copies of the sink;
    the others run in the program's own process. Of a write whose worker dies, and which is made
    again, the result counts once; so ``write`` should stage its rows, or put them where another
    attempt finds and replaces them, and :meth:`on_write_complete` make them visible.

    Example:
        >>> import raceline
        >>> class Total(Datasink):
        ...     def write(self, blocks, ctx):
        ...         return sum(block["id"].to_numpy().sum() for block in blocks)
        ...     def on_write_complete(self, write_result):
        ...         self.total = int(sum(write_result.write_returns))
        >>> sink = Total()
        >>> raceline.range(5).write_datasink(sink)
        >>> sink.total
        10
    """

    def on_write_start(self, schema: Schema | None = None) -> None:
        """Called once, before the first write.

        Args:
            schema: Columns of the rows: those of the dataset where they are known before it is
                run, else of the first batch; None of a dataset without rows.

        Example:
            >>> Datasink().on_write_start()
        """

    def write(self, blocks: Iterable[Block], ctx: TaskContext) -> T:
        """Writes blocks. In a worker process, where the sink is a copy.

        Args:
            blocks: PyArrow tables.
            ctx: Which write it is.

        Returns:
            Anything that can be pickled; :meth:`on_write_complete` gets it.

        Raises:
            PlanError: A class derived from this one does not override it.

        Example:
            >>> DummyOutputDatasink().write([{"n": [1, 2]}], TaskContext(0))
            2
        """
        raise PlanError(
            f"class `{type(self).__name__}` does not say how it writes",
            hint="override `write(self, blocks, ctx)`",
        )

    def on_write_complete(self, write_result: WriteResult[T]) -> None:
        """Called once, after the last write, if all succeeded.

        Args:
            write_result: What they came to.

        Example:
            >>> Datasink().on_write_complete(WriteResult(0, 0, []))
        """

    def on_write_failed(self, error: BaseException) -> None:
        """Called once, if anything failed or the run was interrupted; the error is then raised.

        Args:
            error: What ended the run.

        Example:
            >>> Datasink().on_write_failed(ValueError())
        """

    def get_name(self) -> str:
        """What a person would call it; the class's name without ``Datasink``.

        Example:
            >>> DummyOutputDatasink().get_name()
            'DummyOutput'
        """
        return type(self).__name__.strip("_").removesuffix("Datasink")

    @property
    def supports_distributed_writes(self) -> bool:
        """Whether writes run in worker processes; else they run in the program's own."""
        return True

    @property
    def min_rows_per_write(self) -> int | None:
        """Rows of each write but the last; None leaves it to the engine."""
        return None

    @property
    def min_bytes_per_write(self) -> int | None:
        """About the bytes of each write but the last; None leaves it to the engine."""
        return None


class DummyOutputDatasink(Datasink[int]):
    """Writes nothing, and counts.

    Attributes:
        num_ok: Runs that succeeded.
        num_failed: Runs that failed.
        rows_written: Rows of those that succeeded.

    Example:
        >>> import raceline
        >>> sink = DummyOutputDatasink()
        >>> raceline.range(5).write_datasink(sink)
        >>> sink.rows_written, sink.num_ok
        (5, 1)
    """

    def __init__(self) -> None:
        """Begins to count."""
        self.num_ok = 0
        self.num_failed = 0
        self.rows_written = 0

    def write(self, blocks: Iterable[Block], ctx: TaskContext) -> int:
        """Counts the rows."""
        return sum(BlockAccessor.for_block(block).num_rows() for block in blocks)

    def on_write_complete(self, write_result: WriteResult[int]) -> None:
        """Adds the rows."""
        self.num_ok += 1
        self.rows_written += write_result.num_rows

    def on_write_failed(self, error: BaseException) -> None:
        """Counts the failure."""
        self.num_failed += 1
