"""Running a dataset for its rows: take, iterate, convert, inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from raceline._frame_types import FrameTypes, frame_types
from raceline.data._arguments import whole_number
from raceline.data.data_iterator import DataIterator
from raceline.data.formats import (
    BatchFormat,
    arrow_table,
    convert_batch,
    join,
    normal_batch_format,
    pandas_frame,
)
from raceline.data.handle import Handle
from raceline.data.iteration import Iteration
from raceline.data.iterator import all_rows_of, native_batches_of
from raceline.data.schema import Schema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline import _native
    from raceline._native import Batch
    from raceline.data.dataset import MaterializedDataset
    from raceline.data.epochs import Epochs
    from raceline.data.profile import Profile
    from raceline.data.stats_summary import DatasetStatsSummary

__all__ = ["Consumption"]


class Consumption(Iteration, Handle):
    """The part of a dataset that runs it. Rows come in the order of the input.

    Each call runs the dataset anew, unless it was materialized. Any of them may raise what the
    sources and functions of the dataset fail with, see ``raceline.errors``.
    """

    __slots__ = ()

    def take(self, limit: int = 20) -> list[Any]:
        """The first rows; what is not needed for them is not run.

        Args:
            limit: At most this many rows.

        Returns:
            Dicts of column name to value, None where missing; of a dataset of plain values the
            values.

        Example:
            >>> import raceline
            >>> raceline.range(1_000_000_000).take(2)
            [{'id': 0}, {'id': 1}]
        """
        return all_rows_of(self._first_rows(whole_number("limit", limit, 0)))

    def take_all(self, limit: int | None = None) -> list[Any]:
        """All rows.

        Args:
            limit: If given, more rows than this are an error.

        Raises:
            ValueError: There are more rows than ``limit``.

        Example:
            >>> import raceline
            >>> raceline.range(2).take_all()
            [{'id': 0}, {'id': 1}]
        """
        if limit is None:
            return all_rows_of(self._native)
        rows = all_rows_of(self._first_rows(whole_number("limit", limit, 0) + 1))
        _refuse_more(len(rows), limit)
        return rows

    def take_batch(self, batch_size: int = 20, *, batch_format: BatchFormat = "default") -> Any:
        """The first rows as one batch.

        Args:
            batch_size: At most this many rows, 1 or more.
            batch_format: As of ``map_batches``.

        Raises:
            ValueError: The dataset has no rows.

        Example:
            >>> import raceline
            >>> raceline.range(100).take_batch(3)
            {'id': array([0, 1, 2])}
        """
        wanted = normal_batch_format(batch_format)
        first = self._first_rows(whole_number("batch_size", batch_size, 1))
        parts = [one for one in native_batches_of(first) if one.num_rows]
        if not parts:
            raise ValueError("the dataset has no rows to take a batch of")
        return convert_batch(join(parts), wanted, types=self._frame_types())

    def show(self, limit: int = 20) -> None:
        """Prints the first rows, one a line.

        Args:
            limit: At most this many rows.

        Example:
            >>> import raceline
            >>> raceline.range(2).show()
            {'id': 0}
            {'id': 1}
        """
        for row in self.take(limit):
            print(row)  # noqa: T201 (what `show` is for)

    def count(self) -> int:
        """Number of rows; from metadata alone where that is exact.

        Example:
            >>> import raceline
            >>> raceline.range(1_000_000_000).count()
            1000000000
        """
        return self._native.count()

    def schema(self, fetch_if_missing: bool = True) -> Schema | None:
        """Names and types of the columns.

        Args:
            fetch_if_missing: Whether the first rows may be run where the plan does not tell.

        Returns:
            The schema; None where it is unknown, or known only to be empty of columns.

        Example:
            >>> import raceline
            >>> raceline.range(3).schema().names
            ['id']
        """
        native = self._native.schema(fetch_if_missing)
        return None if native is None else Schema(native)

    def columns(self, fetch_if_missing: bool = True) -> list[str] | None:
        """Names of the columns, in order.

        Args:
            fetch_if_missing: As of ``schema``.

        Example:
            >>> import raceline
            >>> raceline.range(3).columns()
            ['id']
        """
        schema = self.schema(fetch_if_missing)
        return None if schema is None else schema.names

    def iterator(self) -> DataIterator:
        """An iterator over this dataset, for a training loop; its epochs are counted.

        Example:
            >>> import raceline
            >>> iterator = raceline.range(4).iterator()
            >>> for epoch in range(2):
            ...     for batch in iterator.iter_batches(batch_size=3):
            ...         print(epoch, batch["id"])
            0 [0 1 2]
            0 [3]
            1 [0 1 2]
            1 [3]
        """
        return DataIterator(self)

    def _frame_types(self) -> FrameTypes | None:
        """Types of pandas columns, of rows that came as frames."""
        return frame_types(self._native)

    def _epochs(self) -> Epochs:
        """Epochs of their own, for each call."""
        from raceline.data.epochs import DatasetEpochs, Epochs

        return Epochs(DatasetEpochs(self._native))

    def _is_debugged(self) -> bool:
        """Whether functions of the dataset run in the thread that iterates."""
        return self._native.is_debugged()

    def _first_batch(self) -> Batch | None:
        """A batch of the first row, or without rows where there is none."""
        batches = list(native_batches_of(self._native.limit(1)))
        return join(batches) if batches else None

    def to_pandas(self, limit: int | None = None) -> pd.DataFrame:
        """All rows as one frame of Arrow-backed columns; tensors as object columns of arrays.

        Rows that came as frames of pandas, and through no function since, have its types again.

        Args:
            limit: If given, more rows than this are an error.

        Raises:
            ImportError: pandas or pyarrow is not installed.
            ValueError: There are more rows than ``limit``.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_pandas()["id"].tolist()
            [0, 1, 2]
        """
        native = self._native
        if limit is not None:
            native = self._first_rows(whole_number("limit", limit, 0) + 1)
        batches = list(native_batches_of(native))
        if limit is not None:
            _refuse_more(sum(batch.num_rows for batch in batches), limit)
        schema = None if batches else native.schema(True)
        return pandas_frame(batches, schema, self._frame_types())

    def to_arrow(self) -> pa.Table:
        """All rows as one PyArrow table.

        Raises:
            ImportError: pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_arrow().num_rows
            3
        """
        batches = list(native_batches_of(self._native))
        return arrow_table(batches, None if batches else self._native.schema(True))

    def materialize(self) -> MaterializedDataset:
        """Runs the dataset once and keeps its rows: in memory, and on disk what does not fit.

        Datasets that are kept share an eighth of the session's memory. What is on disk is deleted
        when the returned dataset and those made of it are gone, or the session ends.

        Returns:
            A dataset over the kept rows; this one stays lazy.

        Raises:
            ResourceError: No spill folder takes what does not fit into memory.

        Example:
            >>> import raceline
            >>> kept = raceline.range(3).map(lambda row: {"id": row["id"] + 1}).materialize()
            >>> kept.count()
            3
        """
        from raceline.data.dataset import MaterializedDataset

        kept = MaterializedDataset(self._native.materialize())
        kept._made_in = self.stats()
        return kept

    def explain(self) -> None:
        """Prints the plan, as written and as run, and of each function how it runs and why.

        Nothing is run.

        Example:
            >>> import raceline
            >>> raceline.range(3).limit(2).explain()  # doctest: +ELLIPSIS
            -------- Logical Plan --------
            Limit(2)
            +- Range(3)
            ...
        """
        print(self._native.explain())  # noqa: T201 (as Ray Data's)

    def stats(self) -> str:
        """What the last run of this dataset took, stage by stage; empty before the first.

        Example:
            >>> import raceline
            >>> raceline.range(3).stats()
            ''
        """
        return self._native.stats()

    def profile(self) -> Profile:
        """Where the time of the last run of this dataset went, stage by stage.

        Each stage tells how long it was busy. A stage that calls Python functions tells besides
        how long its workers waited, how long batches were on their way to and from them, how long
        they were converted, and how long the functions ran.

        Returns:
            A table, where it is printed; it is false, and prints as such, before the first run.

        Example:
            >>> import time
            >>> import raceline
            >>> def slow(batch):
            ...     time.sleep(0.05)
            ...     return batch
            >>> slowed = raceline.range(10).map_batches(slow, batch_size=5, concurrency=1)
            >>> slowed.count()
            10
            >>> slowed.profile()  # doctest: +ELLIPSIS
            stage   ...  rows  elapsed   busy  queue  transfer  conversion  function
            Range   ...
            MapBatches(slow) ...
            ...
            run: ... s
            >>> slowed.profile().stages[1].function_s >= 0.1
            True
        """
        from raceline.data.profile import Profile, StageProfile

        last = self._native.profile()
        if last is None:
            return Profile(0.0, [])
        elapsed_s, stages = last
        return Profile(elapsed_s, [StageProfile(**stage) for stage in stages])

    def get_stats_summary(self, detail: bool = False) -> DatasetStatsSummary:
        """What the last run of this dataset took, operator by operator, as ``profile`` tells it.

        Args:
            detail: Without effect: what is known is always told.

        Example:
            >>> import raceline
            >>> rows = raceline.range(10)
            >>> rows.get_stats_summary().operators_stats
            []
            >>> len(rows.take_all())
            10
            >>> [one.operator_name for one in rows.get_stats_summary().operators_stats]
            ['Range']
        """
        from raceline.data.stats_summary import DatasetStatsSummary

        del detail
        return DatasetStatsSummary.of_run(self._native.profile() or (0.0, []))

    def dead_letters(self) -> Self:
        """The rows that functions of this dataset failed for when it was last run.

        They are those of functions with ``on_error="dead_letter"``. Those of one function come
        together, in the order in which its batches were worked on. They lie on disk, in the
        system's temporary folder, as long as the session lives: write them to keep them. See
        :func:`raceline.replay`.

        Returns:
            A dataset of the columns ``stage`` (the function), ``error_type`` (``ValueError``;
            ``WorkerDied`` for a row that kills its worker), ``error`` (the message),
            ``traceback``, ``split`` (the file or part of the source that the row comes from),
            ``split_row`` (its position there, from 0, where that is known) and ``input``, the row
            itself as a struct; where several functions keep letters, it has the fields of all.

        Raises:
            PlanError: The dataset was not run, or no function of it keeps dead letters.

        Example:
            >>> import raceline
            >>> inverses = raceline.range(3).map(
            ...     lambda row: {"inverse": 1 / row["id"]}, on_error="dead_letter"
            ... )
            >>> inverses.take_all()
            [{'inverse': 1.0}, {'inverse': 0.5}]
            >>> [letter] = inverses.dead_letters().take_all()
            >>> letter["error_type"], letter["error"], letter["input"]
            ('ZeroDivisionError', 'division by zero', {'id': 0})
        """
        return self._derive(self._native.dead_letters())

    def _first_rows(self, rows: int) -> _native.Dataset:
        """A plan of the first rows, whose run is one of this dataset."""
        return self._run_for_this(self._native.limit(rows))


def _refuse_more(rows: int, limit: int) -> None:
    """Refuses a result of more rows than allowed."""
    if rows > limit:
        raise ValueError(f"the dataset has more than the allowed {limit} rows")
