"""Running a dataset into a sink of a user's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from raceline.data.compute import Concurrency
from raceline.data.function import Batching, Demand, Faults, UserFunction
from raceline.data.iterator import native_batches_of
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.datasource.datasink import Datasink, WriteResult

__all__ = ["SinkWrites"]

# Bytes of the rows of one write where the sink does not say.
_WRITE_BYTES = 3 * 2**20
# Column that numbers the writes, and bits of the number of a row in its write.
_NUMBER = "__raceline_write"
_ROW_BITS = 40


class SinkWrites(FunctionTransforms):
    """The part of a dataset that writes to sinks of a user's own. It runs the dataset."""

    __slots__ = ()

    def write_datasink(
        self,
        datasink: Datasink[Any],
        *,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: Concurrency | None = None,
    ) -> None:
        """Writes the rows to a sink of a user's own; see :class:`raceline.data.Datasink`.

        The sink's writes run in worker processes, several at once. Without ``min_rows_per_write``
        or ``min_bytes_per_write`` a write has about 3 MiB; behind ``repartition``, a batch.

        Args:
            datasink: The sink.
            ray_remote_args: As of ``read_datasource``.
            concurrency: Workers at the same time, at most.

        Raises:
            PlanError: It is no sink.
            UdfError: A write failed. It derives from what was raised as well; the sink's
                ``on_write_failed`` was called.

        Example:
            >>> import raceline
            >>> from raceline.data.datasource import DummyOutputDatasink
            >>> sink = DummyOutputDatasink()
            >>> raceline.range(10).write_datasink(sink)
            >>> sink.rows_written
            10
        """
        from raceline.data.datasource.datasink import Datasink
        from raceline.data.own_sources import demand_of, faults_of

        if not isinstance(datasink, Datasink):
            raise PlanError(
                f"`write_datasink` needs a sink, got `{type(datasink).__name__}`",
                hint="derive your class from `raceline.data.Datasink`",
            )
        demand = demand_of(ray_remote_args, None, concurrency, {})
        is_skipped = getattr(datasink, "is_skipped", None)
        if is_skipped is not None and is_skipped():
            return
        start = _Start(datasink)
        try:
            schema = self._native.schema(False)
            if schema is not None or start.takes_no_schema:
                start.begin(schema)
            result = self._write(datasink, start, demand, faults_of(ray_remote_args))
            start.begin(None)
            datasink.on_write_complete(result)
        except BaseException as error:
            failure = error if start.failure is None else start.failure
            datasink.on_write_failed(failure)
            if failure is error:
                raise
            raise failure from None

    def _write(
        self, datasink: Datasink[Any], start: _Start, demand: Demand, faults: Faults
    ) -> WriteResult[Any]:
        """Runs all writes; what they came to."""
        import pickle
        import uuid

        from raceline.data.datasource.datasink import WriteResult

        rows, size = datasink.min_rows_per_write, datasink.min_bytes_per_write
        if rows is None and size is None and not self._native.plan().startswith("Repartition("):
            size = _WRITE_BYTES
        numbering = UserFunction(
            "map_batches",
            start,
            batching=Batching(rows, "pyarrow", bytes_max=None if rows else size),
            debug=True,
        )
        writing = UserFunction(
            "map_batches",
            _Write(datasink, uuid.uuid4().hex),
            demand=demand,
            # Large batches come in pieces, which are joined again where their rows are counted.
            batching=Batching(rows, "pyarrow"),
            faults=faults,
            debug=not datasink.supports_distributed_writes,
        )
        plan = self._apply(numbering)._apply(writing)
        result: WriteResult[Any] = WriteResult(0, 0, [])
        for batch in native_batches_of(self._run_for_this(plan._native)):
            for row in batch.rows():
                result.num_rows += row["rows"]
                result.size_bytes += row["bytes"]
                result.write_returns.append(pickle.loads(row["returned"]))  # noqa: S301 (a sink's)
        return result


class _Start:
    """Sees each write in the thread that waits for the run: starts the sink, and numbers them."""

    def __init__(self, datasink: Datasink[Any]) -> None:
        self.__name__ = "StartWrite"
        self._datasink = datasink
        self._has_begun = False
        self._writes = 0
        #: What the sink raised when it was started.
        self.failure: BaseException | None = None
        parameters = inspect.signature(datasink.on_write_start).parameters
        #: Whether the sink is of the older kind, which is told no columns.
        self.takes_no_schema = not parameters

    def begin(self, schema: object | None) -> None:
        """Starts the sink, once, with the columns of the rows."""
        if self._has_begun:
            return
        self._has_begun = True
        try:
            if self.takes_no_schema:
                self._datasink.on_write_start()
            elif schema is None:
                self._datasink.on_write_start(None)
            else:
                from raceline._optional import optional

                self._datasink.on_write_start(optional("pyarrow").schema(schema))
        except BaseException as error:
            self.failure = error
            raise

    def __call__(self, table: pa.Table) -> pa.Table:
        import numpy as np

        self.begin(table.schema)
        first = self._writes << _ROW_BITS
        self._writes += 1
        return table.append_column(_NUMBER, [np.arange(first, first + table.num_rows)])


class _Write:
    """Writes a batch, in a worker."""

    def __init__(self, datasink: Datasink[Any], identifier: str) -> None:
        self.__name__ = f"Write{datasink.get_name()}"
        self._datasink = datasink
        self._identifier = identifier

    def __call__(self, table: pa.Table) -> dict[str, list[Any]]:
        import cloudpickle

        from raceline.data.datasource.datasink import TaskContext

        # A write may come in pieces: the number of its first row tells which one this is.
        number = table.column(_NUMBER)[0].as_py()
        table = table.drop_columns([_NUMBER])
        context = TaskContext(
            number >> _ROW_BITS,
            self.__name__,
            {"write_uuid": self._identifier, "first_row": number & ((1 << _ROW_BITS) - 1)},
        )
        returned = self._datasink.write(iter([table]), context)
        return {
            "returned": [cloudpickle.dumps(returned)],
            "rows": [table.num_rows],
            "bytes": [table.nbytes],
        }
