"""Datasets as tables of other libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from raceline import _frames
from raceline._objects import ObjectRef, put
from raceline._optional import optional
from raceline.data.arrow_stream import begun, planned_schema, reader_of
from raceline.data.consumption import Consumption
from raceline.data.formats import join, pandas_frame
from raceline.data.iterator import cut, native_batches_of
from raceline.data.plain_columns import nested_tensors, plain_table

if TYPE_CHECKING:
    import daft
    import dask.dataframe
    import datasets
    import duckdb
    import modin.pandas
    import pandas as pd
    import polars
    import pyarrow as pa
    import pyspark.sql

    from raceline import _native
    from raceline._native import Batch

__all__ = ["Exports"]

# Bytes of a partition of a Dask frame.
_PARTITION_BYTES = 64 << 20


class Exports(Consumption):
    """The part of a dataset that other libraries take.

    A dataset is an Arrow stream to all libraries that know Arrow's PyCapsule interface:
    ``pyarrow.table(ds)``, ``polars.DataFrame(ds)``, ``duckdb.sql("from ds")``. It is run while they
    read, so that one that reads batch by batch holds no more than it needs. Where the plan does not
    tell the columns, they are those of the first 16 MiB of rows. What fails while rows are read
    comes out of the library that reads, which may make an error of its own of it.
    """

    __slots__ = ()

    # The columns that a run has told, where the plan does not.
    _found_schema: pa.Schema

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """The rows as an Arrow stream; each call is a run of its own.

        Raises:
            ImportError: pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.
        """
        return self._reader().__arrow_c_stream__(requested_schema)

    def to_polars(self) -> polars.DataFrame:
        """All rows as a Polars frame; tensors of one shape as arrays of Polars.

        Raises:
            ImportError: polars or pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_polars().sum().item()
            3
        """
        pl = optional("polars")
        frame: polars.DataFrame = pl.from_arrow(nested_tensors(self.to_arrow()))
        return frame

    def to_duckdb(
        self, connection: duckdb.DuckDBPyConnection | None = None
    ) -> duckdb.DuckDBPyRelation:
        """The dataset as a relation of DuckDB, which runs it whenever the relation is run.

        DuckDB reads batch by batch, and holds no more than its query needs.

        Args:
            connection: The connection that the relation belongs to; None is DuckDB's default one.

        Raises:
            ImportError: duckdb or pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.

        Example:
            >>> import raceline
            >>> raceline.range(1000).to_duckdb().filter("id % 100 = 7").fetchall()[:2]
            [(7,), (107,)]
        """
        target = optional("duckdb") if connection is None else connection
        relation: duckdb.DuckDBPyRelation = target.from_arrow(_Plain(self._reader))
        return relation

    def to_daft(self) -> daft.DataFrame:
        """All rows as a Daft frame.

        Raises:
            ImportError: daft or pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_daft().count_rows()  # doctest: +SKIP
            3
        """
        frame: daft.DataFrame = optional("daft").from_arrow(self._reader().read_all())
        return frame

    def to_dask(self, meta: Any = None, verify_meta: bool = True) -> dask.dataframe.DataFrame:
        """All rows as a Dask frame, in partitions of about 64 MiB.

        Args:
            meta: An empty frame of the columns, as ``dask.dataframe.from_delayed`` takes it; by
                default the columns are those of the rows.
            verify_meta: Whether Dask checks partitions against ``meta``.

        Raises:
            ImportError: dask, pandas or pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_dask()["id"].sum().compute()  # doctest: +SKIP
            3
        """
        engine, frames = optional("dask"), optional("dask.dataframe")
        parts = list(self._pandas_parts())
        # Dask would make texts of objects such as arrays.
        with engine.config.set({"dataframe.convert-string": False}):
            frame: dask.dataframe.DataFrame = frames.from_delayed(
                [engine.delayed(part) for part in parts],
                meta=parts[0].iloc[:0] if meta is None else meta,
                verify_meta=verify_meta,
            )
        return frame

    def to_modin(self) -> modin.pandas.DataFrame:
        """All rows as a Modin frame.

        Raises:
            ImportError: modin, pandas or pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_modin()["id"].sum()  # doctest: +SKIP
            3
        """
        frame: modin.pandas.DataFrame = optional("modin.pandas").DataFrame(self.to_pandas())
        return frame

    def to_mars(self) -> Any:
        """All rows as a Mars frame.

        Raises:
            ImportError: mars, pandas or pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_mars().sum().execute()  # doctest: +SKIP
        """
        return optional("mars.dataframe").DataFrame(self.to_pandas())

    def to_spark(self, spark: pyspark.sql.SparkSession) -> pyspark.sql.DataFrame:
        """All rows as a Spark frame; tensors of one shape as arrays of arrays.

        Args:
            spark: The session; of Spark 4 or later, which takes Arrow data.

        Raises:
            ImportError: pyspark or pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_spark(spark).count()  # doctest: +SKIP
            3
        """
        optional("pyspark")
        frame: pyspark.sql.DataFrame = spark.createDataFrame(plain_table(self.to_arrow()))
        return frame

    def to_huggingface(self) -> datasets.Dataset:
        """All rows as a dataset of Hugging Face's; tensors of one shape as lists of lists.

        Raises:
            ImportError: datasets or pyarrow is not installed.
            PlanError: A column holds Python objects that Arrow has no type for.

        Example:
            >>> import raceline
            >>> raceline.range(3).to_huggingface()[1]  # doctest: +SKIP
            {'id': 1}
        """
        made: datasets.Dataset = optional("datasets").Dataset(plain_table(self.to_arrow()))
        return made

    def to_arrow_refs(self) -> list[ObjectRef[pa.Table]]:
        """All rows as references to PyArrow tables, one a batch; ``raceline.get`` gives the tables.

        Raises:
            ImportError: pyarrow is not installed.

        Example:
            >>> import raceline as ray
            >>> sum(table.num_rows for table in ray.get(ray.data.range(10).to_arrow_refs()))
            10
        """
        return [put(_frames.to_arrow(batch)) for batch in _with_rows(self._native)]

    def to_pandas_refs(self) -> list[ObjectRef[pd.DataFrame]]:
        """All rows as references to frames, one a batch; ``raceline.get`` gives the frames.

        Raises:
            ImportError: pandas or pyarrow is not installed.

        Example:
            >>> import raceline as ray
            >>> sum(len(frame) for frame in ray.get(ray.data.range(10).to_pandas_refs()))
            10
        """
        types = self._frame_types()
        return [put(_frames.to_pandas(batch, types)) for batch in _with_rows(self._native)]

    def to_numpy_refs(self, *, column: str | None = None) -> list[ObjectRef[Any]]:
        """All rows as references to dicts of arrays, one a batch.

        Args:
            column: A column, of which there are the arrays alone.

        Raises:
            ColumnNotFoundError: The column does not exist.

        Example:
            >>> import raceline as ray
            >>> arrays = ray.get(ray.data.range(10).to_numpy_refs(column="id"))
            >>> sum(int(array.sum()) for array in arrays)
            45
        """
        if column is None:
            return [put(batch.numpy()) for batch in _with_rows(self._native)]
        selected = self._run_for_this(self._native.select([column]))
        return [put(batch.numpy()[column]) for batch in _with_rows(selected)]

    def _reader(self, form: Callable[[pa.Table], pa.Table] | None = None) -> pa.RecordBatchReader:
        """A run of the dataset; it begins with the first read, or now to find the columns."""
        schema = getattr(self, "_found_schema", None) or planned_schema(self._native)
        if schema is None:
            schema, batches = begun(self._native)
            # Libraries ask for a stream several times, to learn the columns alone.
            self._found_schema = schema
        else:
            batches = native_batches_of(self._native)
        return reader_of(batches, schema, form)

    def _pandas_parts(self) -> Iterator[pd.DataFrame]:
        """All rows in frames of about 64 MiB, at least one."""
        arrow = optional("pyarrow")
        parts: list[Any] = []
        held_bytes, is_empty = 0, True
        for batch in native_batches_of(self._native):
            parts.append(batch)
            held_bytes += arrow.table(batch).nbytes
            if held_bytes >= _PARTITION_BYTES:
                yield _frames.to_pandas(join(parts))
                parts, held_bytes, is_empty = [], 0, False
        if parts or is_empty:
            yield pandas_frame(parts, None if parts else self._native.schema(True))


def _with_rows(native: _native.Dataset) -> Iterator[Batch]:
    """The batches of a run that have rows."""
    return cut(native_batches_of(native), None, drop_last=False)


class _Plain:
    """Exports a dataset's rows with tensors as nested lists."""

    def __init__(self, reader: Callable[..., pa.RecordBatchReader]) -> None:
        self._reader = reader

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._reader(nested_tensors).__arrow_c_stream__(requested_schema)
