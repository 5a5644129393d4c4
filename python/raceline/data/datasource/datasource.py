"""Sources of a user's own: what is read, in tasks that run in worker processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from raceline.data._arguments import whole_number
from raceline.data.block import Block, BlockMetadata, Schema
from raceline.errors import PlanError

__all__ = ["Datasource", "RandomIntRowDatasource", "ReadTask", "Reader"]


class ReadTask:
    """A part of a source: a function without arguments that yields blocks.

    It is pickled, runs in a worker process, and must yield the same rows whenever it is called:
    when its worker dies it is called again, and the rows that were handed on are left out.

    Example:
        >>> task = ReadTask(lambda: [{"n": [1, 2]}], BlockMetadata(num_rows=2))
        >>> list(task())
        [{'n': [1, 2]}]
    """

    def __init__(
        self,
        read_fn: Callable[[], Iterable[Block]],
        metadata: BlockMetadata,
        schema: Schema | None = None,
        per_task_row_limit: int | None = None,
    ) -> None:
        """Takes the function and what is known of its rows.

        Args:
            read_fn: Returns, or yields, PyArrow tables, data frames or dicts of columns. What is
                yielded is handed on at once.
            metadata: Rows, bytes and files, as far as known.
            schema: Columns of the blocks, where known.
            per_task_row_limit: Rows beyond it are not read.

        Raises:
            PlanError: ``read_fn`` cannot be called, or the limit is no int of at least 0.
        """
        if not callable(read_fn):
            raise PlanError(f"a read task needs a function, got `{read_fn!r}`")
        if per_task_row_limit is not None:
            whole_number("per_task_row_limit", per_task_row_limit, 0)
        self._read_fn = read_fn
        self._metadata = metadata
        self._schema = schema
        self._rows_max = per_task_row_limit

    @property
    def read_fn(self) -> Callable[[], Iterable[Block]]:
        """The function."""
        return self._read_fn

    @property
    def metadata(self) -> BlockMetadata:
        """What is known of the rows."""
        return self._metadata

    @property
    def schema(self) -> Schema | None:
        """Columns of the blocks, where known."""
        return self._schema

    @property
    def per_task_row_limit(self) -> int | None:
        """Rows beyond it are not read."""
        return self._rows_max

    def __call__(self) -> Iterator[Any]:
        """The blocks, up to the limit.

        Raises:
            TypeError: The function returns a block instead of several.
        """
        blocks: Any = self._read_fn()
        is_block = hasattr(blocks, "iloc") or hasattr(blocks, "keys") or hasattr(blocks, "schema")
        if is_block or not isinstance(blocks, Iterable):
            raise TypeError(
                f"a read task must return or yield blocks, got `{type(blocks).__name__}`"
                "\n  hint: put a single block into a list: `return [block]`"
            )
        if self._rows_max is None:
            yield from blocks
            return
        yield from _first_rows(blocks, self._rows_max)


class Datasource:
    """A source of a user's own, for :func:`raceline.data.read_datasource`.

    Derive a class, and override :meth:`get_read_tasks`.

    Example:
        >>> import raceline
        >>> class Squares(Datasource):
        ...     def get_read_tasks(self, parallelism, per_task_row_limit=None, data_context=None):
        ...         def read(part):
        ...             yield {"n": [part], "square": [part * part]}
        ...         return [
        ...             ReadTask(lambda part=part: read(part), BlockMetadata(num_rows=1))
        ...             for part in range(3)
        ...         ]
        >>> raceline.read_datasource(Squares()).take_all()
        [{'n': 0, 'square': 0}, {'n': 1, 'square': 1}, {'n': 2, 'square': 4}]
    """

    def get_name(self) -> str:
        """What a person would call it; the class's name without ``Datasource``.

        Example:
            >>> RandomIntRowDatasource(1, 1).get_name()
            'RandomIntRow'
        """
        return type(self).__name__.removesuffix("Datasource")

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of all rows in memory; None where nobody knows.

        Example:
            >>> RandomIntRowDatasource(2, 3).estimate_inmemory_data_size()
            48
        """
        return None

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: Any = None,
    ) -> list[ReadTask]:
        """The parts of the source; their order is that of the rows.

        It is called once, where the dataset is made. It may return more parts than are asked for,
        or fewer.

        Args:
            parallelism: About how many parts are wanted.
            per_task_row_limit: Rows of a part that are wanted at most.
            data_context: The settings of the process.

        Raises:
            PlanError: A class derived from this one does not override it.

        Example:
            >>> len(RandomIntRowDatasource(10, 1).get_read_tasks(5))
            5
        """
        raise PlanError(
            f"class `{type(self).__name__}` does not say how it is read",
            hint="override `get_read_tasks(self, parallelism, per_task_row_limit, data_context)`",
        )

    def part_order(self) -> tuple[int | None, bool] | None:
        """Seed of a random order of the parts, and whether each run has another one.

        Returns:
            None where the parts keep their order; as a seed None, another one each time.

        Example:
            >>> RandomIntRowDatasource(10, 1).part_order() is None
            True
        """
        return None

    def create_reader(self, **read_args: Any) -> Reader:
        """What older sources override instead of :meth:`get_read_tasks`.

        Example:
            >>> len(RandomIntRowDatasource(10, 1).create_reader().get_read_tasks(5))
            5
        """
        return Reader(self, **read_args)

    def prepare_read(self, parallelism: int, **read_args: Any) -> list[ReadTask]:
        """What still older sources override instead.

        Example:
            >>> len(RandomIntRowDatasource(10, 1).prepare_read(5))
            5
        """
        return self.get_read_tasks(parallelism, **read_args)

    @property
    def should_create_reader(self) -> bool:
        """Whether it is read by :meth:`create_reader` or :meth:`prepare_read`."""
        return type(self).get_read_tasks is Datasource.get_read_tasks

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether worker processes can read it; else the program itself does."""
        return True


class Reader:
    """What :meth:`Datasource.create_reader` returns.

    Example:
        >>> Reader(RandomIntRowDatasource(2, 3)).estimate_inmemory_data_size()
        48
    """

    def __init__(self, datasource: Datasource | None = None, **read_args: Any) -> None:
        """Reads a source with arguments of its own; a class derived of this needs none."""
        self._datasource = datasource
        self._read_args = read_args

    def estimate_inmemory_data_size(self) -> int | None:
        """As of :class:`Datasource`."""
        source = self._datasource
        return None if source is None else source.estimate_inmemory_data_size()

    def get_read_tasks(self, parallelism: int) -> list[ReadTask]:
        """As of :class:`Datasource`.

        Raises:
            PlanError: Nothing says how it is read.
        """
        source = self._datasource
        if source is None:
            raise PlanError(
                f"class `{type(self).__name__}` does not say how it is read",
                hint="override `get_read_tasks(self, parallelism)`",
            )
        if type(source).prepare_read is not Datasource.prepare_read:
            return source.prepare_read(parallelism, **self._read_args)
        return source.get_read_tasks(parallelism, **self._read_args)


class RandomIntRowDatasource(Datasource):
    """Random int64 rows, other ones in each part and always the same: columns ``c_0``, ``c_1``...

    Example:
        >>> import raceline
        >>> raceline.read_datasource(RandomIntRowDatasource(100, num_columns=2)).columns()
        ['c_0', 'c_1']
    """

    def __init__(self, n: int, num_columns: int) -> None:
        """Takes the numbers of rows and of columns.

        Raises:
            PlanError: One is no int in range.
        """
        self._rows = whole_number("n", n, 0)
        self._columns = whole_number("num_columns", num_columns, 1)

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of all rows."""
        return self._rows * self._columns * 8

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: Any = None,
    ) -> list[ReadTask]:
        """Parts of about equal numbers of rows."""
        parts = max(min(parallelism, self._rows), 1)
        ends = [self._rows * part // parts for part in range(parts + 1)]
        return [
            ReadTask(
                _RandomInts(part, ends[part + 1] - ends[part], self._columns),
                BlockMetadata(
                    ends[part + 1] - ends[part], 8 * self._columns * (ends[part + 1] - ends[part])
                ),
                per_task_row_limit=per_task_row_limit,
            )
            for part in range(parts)
        ]


class _RandomInts:
    """Yields one block of random ints."""

    def __init__(self, seed: int, rows: int, columns: int) -> None:
        self._seed, self._rows, self._columns = seed, rows, columns

    def __call__(self) -> Iterator[Any]:
        import numpy as np

        values = np.random.default_rng(self._seed)
        most = np.iinfo(np.int64).max
        yield {
            f"c_{column}": values.integers(0, most, self._rows, np.int64)
            for column in range(self._columns)
        }


def _first_rows(blocks: Iterable[Any], rows_max: int) -> Iterator[Any]:
    """The blocks of the first rows."""
    from raceline.data.block import BlockAccessor

    left = rows_max
    for block in blocks:
        if left <= 0:
            return
        rows = BlockAccessor.for_block(block)
        yield block if rows.num_rows() <= left else rows.slice(0, left)
        left -= rows.num_rows()
