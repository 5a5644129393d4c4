"""Datasets of frames and relations of other libraries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.blocks import warn_of_blocks
from raceline.data.dataset import Dataset
from raceline.data.in_process import read_here
from raceline.data.memory import from_arrow, from_pandas
from raceline.data.relation_rows import rows_of_relation
from raceline.errors import PlanError

if TYPE_CHECKING:
    import daft
    import dask.dataframe
    import duckdb
    import modin.pandas
    import polars
    import pyspark.sql

__all__ = [
    "from_daft",
    "from_dask",
    "from_duckdb",
    "from_mars",
    "from_modin",
    "from_polars",
    "from_spark",
]


def from_polars(
    frames: polars.DataFrame | polars.LazyFrame | Sequence[polars.DataFrame | polars.LazyFrame],
) -> Dataset:
    """A dataset of Polars frames, without a copy.

    Args:
        frames: A frame, or frames that follow each other. A lazy one is collected now.

    Raises:
        ImportError: polars is not installed.
        PlanError: Something is no frame, or a column has a type that Arrow lacks.

    Example:
        >>> import polars, raceline
        >>> raceline.from_polars(polars.DataFrame({"a": [1, None]})).take_all()
        [{'a': 1}, {'a': None}]
    """
    pl = optional("polars")
    given: list[Any] = list(frames) if isinstance(frames, list | tuple) else [frames]
    for frame in given:
        if not isinstance(frame, pl.DataFrame | pl.LazyFrame):
            raise PlanError(f"`from_polars` needs a frame of Polars, got `{_name(frame)}`")
    collected = [frame.collect() if isinstance(frame, pl.LazyFrame) else frame for frame in given]
    return from_arrow(collected)


def from_duckdb(relation: duckdb.DuckDBPyRelation) -> Dataset:
    """A dataset of the rows of a DuckDB relation, which is run whenever the dataset is.

    Rows are read batch by batch, so that the relation may be larger than memory. Until all of them
    are read, DuckDB refuses other queries on the same connection; of several relations of one
    connection in one plan, all but one are held in memory.

    Args:
        relation: What ``duckdb.sql(...)``, ``duckdb.table(...)`` and others return.

    Raises:
        ImportError: duckdb or pyarrow is not installed.
        PlanError: It is no relation.

    Example:
        >>> import duckdb, raceline
        >>> raceline.from_duckdb(duckdb.sql("select range as n from range(3)")).take_all()
        [{'n': 0}, {'n': 1}, {'n': 2}]
    """
    if not isinstance(relation, optional("duckdb").DuckDBPyRelation):
        raise PlanError(
            f"`from_duckdb` needs a relation, got `{_name(relation)}`",
            hint='pass what `duckdb.sql("select ...")` returns',
        )
    return read_here("from_duckdb", lambda: rows_of_relation(relation))


def from_daft(df: daft.DataFrame) -> Dataset:
    """A dataset of a Daft frame, which Daft computes batch by batch whenever the dataset is run.

    Args:
        df: The frame.

    Raises:
        ImportError: daft or pyarrow is not installed.
        PlanError: It is no frame of Daft.

    Example:
        >>> import daft, raceline  # doctest: +SKIP
        >>> raceline.from_daft(daft.from_pydict({"a": [1]})).take_all()  # doctest: +SKIP
        [{'a': 1}]
    """
    if not isinstance(df, optional("daft").DataFrame):
        raise PlanError(f"`from_daft` needs a frame of Daft, got `{_name(df)}`")

    def pieces() -> Iterator[Any]:
        is_empty = True
        for batch in df.to_arrow_iter():
            is_empty = False
            yield batch
        if is_empty:
            yield df.limit(0).to_arrow()

    return read_here("from_daft", pieces)


def from_dask(df: dask.dataframe.DataFrame) -> Dataset:
    """A dataset of a Dask frame, which is computed now.

    Args:
        df: The frame. Its index is left out.

    Raises:
        ImportError: dask or pandas is not installed.
        PlanError: It is no frame of Dask.

    Example:
        >>> import dask.dataframe, pandas, raceline  # doctest: +SKIP
        >>> frame = pandas.DataFrame({"a": [1, 2]})  # doctest: +SKIP
        >>> parts = dask.dataframe.from_pandas(frame, npartitions=2)  # doctest: +SKIP
        >>> raceline.from_dask(parts).take_all()  # doctest: +SKIP
        [{'a': 1}, {'a': 2}]
    """
    frames = optional("dask.dataframe")
    if not isinstance(df, frames.DataFrame):
        raise PlanError(f"`from_dask` needs a frame of Dask, got `{_name(df)}`")
    return from_pandas(list(optional("dask").compute(*df.to_delayed())))


def from_modin(df: modin.pandas.DataFrame) -> Dataset:
    """A dataset of a Modin frame, which is computed now.

    Args:
        df: The frame. Its index is left out.

    Raises:
        ImportError: modin or pandas is not installed.
        PlanError: It is no frame of Modin.

    Example:
        >>> import modin.pandas, raceline  # doctest: +SKIP
        >>> raceline.from_modin(modin.pandas.DataFrame({"a": [1]})).take_all()  # doctest: +SKIP
        [{'a': 1}]
    """
    if not isinstance(df, optional("modin.pandas").DataFrame):
        raise PlanError(f"`from_modin` needs a frame of Modin, got `{_name(df)}`")
    return from_pandas(df._to_pandas())


def from_mars(df: Any) -> Dataset:
    """A dataset of a Mars frame, which is computed now.

    Args:
        df: The frame. Its index is left out.

    Raises:
        ImportError: mars or pandas is not installed.

    Example:
        >>> import mars.dataframe, raceline  # doctest: +SKIP
        >>> raceline.from_mars(mars.dataframe.DataFrame({"a": [1]})).take_all()  # doctest: +SKIP
        [{'a': 1}]
    """
    optional("mars.dataframe")
    return from_pandas(df.to_pandas())


def from_spark(
    df: pyspark.sql.DataFrame,
    *,
    parallelism: int | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of a Spark frame, which is computed now and brought to this process.

    Args:
        df: The frame, of Spark 4 or later, which gives Arrow data.
        parallelism: Ray's older name of the next one.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        ImportError: pyspark or pyarrow is not installed.
        PlanError: It is no frame of Spark 4.

    Example:
        >>> import raceline
        >>> raceline.from_spark(spark.range(2)).take_all()  # doctest: +SKIP
        [{'id': 0}, {'id': 1}]
    """
    optional("pyspark")
    warn_of_blocks(override_num_blocks if parallelism is None else parallelism)
    if not hasattr(df, "toArrow"):
        raise PlanError(f"`from_spark` needs a frame of Spark 4, got `{_name(df)}`")
    return from_arrow(df.toArrow())


def _name(thing: Any) -> str:
    return type(thing).__name__
