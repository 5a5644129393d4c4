"""The dataset."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from raceline.data._arguments import distinct_names, whole_number
from raceline.data.asof import AsofJoins
from raceline.data.column_transforms import ColumnTransforms
from raceline.data.display import Display
from raceline.data.exports import Exports
from raceline.data.function import UserFunction
from raceline.data.grouped import GroupedData
from raceline.data.identity import Identity
from raceline.data.iterator import native_batches_of
from raceline.data.joining import Joins
from raceline.data.own_sinks import SinkWrites
from raceline.data.pivoting import Pivots
from raceline.data.reduction import Reductions
from raceline.data.sampling import Sampling
from raceline.data.shaping import ShapingTransforms
from raceline.data.shuffling import ShufflingTransforms
from raceline.data.splitting import Splits
from raceline.data.streaming_split import StreamingSplits
from raceline.data.summary import Summaries
from raceline.data.transforms import FunctionTransforms
from raceline.data.writing import Writes
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["Dataset", "MaterializedDataset"]

# Column that `groupby` of a function adds for the function's values.
_GROUP_KEY = "key"


class Dataset(
    Pivots,
    AsofJoins,
    ColumnTransforms,
    Sampling,
    SinkWrites,
    Splits,
    StreamingSplits,
    Summaries,
    FunctionTransforms,
    ShapingTransforms,
    ShufflingTransforms,
    Joins,
    Reductions,
    Display,
    Exports,
    Writes,
    Identity,
):
    """Rows with named columns, and how to compute them.

    A dataset is a plan: transforms return a new dataset at once and run nothing. What consumes
    it (``take``, ``count``, ``iter_batches``, ``write_parquet``...) streams the rows through all
    transforms, in the order of the input, within the session's memory budget.

    Datasets are made by ``raceline.range``, ``raceline.from_*`` and ``raceline.read_*``.

    Example:
        >>> import raceline
        >>> evens = raceline.range(10).filter(lambda row: row["id"] % 2 == 0)
        >>> evens.map(lambda row: {"half": row["id"] // 2}).take(3)
        [{'half': 0}, {'half': 1}, {'half': 2}]
    """

    __slots__ = ("_found_schema",)

    def groupby(
        self,
        key: str | Sequence[str] | Callable[[Any], Any] | None,
        num_partitions: int | None = None,
        *,
        debug: bool = False,
    ) -> GroupedData:
        """Groups the rows by equal keys.

        Args:
            key: A column, a list of columns, or a function that gets a row and returns its key,
                which becomes a column ``key``. None is one group of all rows.
            num_partitions: Without effect: how many parts there are depends on the memory.
            debug: Whether the function runs in the calling thread, as of ``map``.

        Raises:
            PlanError: A key is no column or function, a column is named ``key`` already, or the
                function cannot run.
            ColumnNotFoundError: A column does not exist; maybe only when the dataset is run.

        Example:
            >>> import raceline
            >>> raceline.range(10).groupby(lambda row: row["id"] % 2).count().sort("key").take_all()
            [{'key': 0, 'count()': 5}, {'key': 1, 'count()': 5}]
        """
        if num_partitions is not None:
            whole_number("num_partitions", num_partitions, 1)
        if key is None:
            return GroupedData(self, [])
        if not callable(key):
            keys = distinct_names(key, "key")
            # Raises where the columns are known and one of them is not there.
            self._native.select(keys).schema(False)
            return GroupedData(self, keys)
        if _GROUP_KEY in (self.columns(fetch_if_missing=False) or ()):
            raise PlanError(
                f"`groupby` of a function makes a column `{_GROUP_KEY}`, which exists already",
                hint=f'group by the column: `groupby("{_GROUP_KEY}")`, or rename it first',
            )
        return GroupedData(self._apply(UserFunction("key", key, debug=debug)), [_GROUP_KEY])

    def sql(self, query: str, /, *, functions: Any = None, **tables: Any) -> Dataset:
        """The result of a query in SQL, in which this dataset is the table ``self``.

        Args:
            query: The query; see ``raceline.sql``.
            functions: Functions of Python by their names in the query; see ``raceline.sql``.
            **tables: Further tables by their names in the query.

        Raises:
            PlanError: The query is no SQL, or reads a table that is not there.

        Example:
            >>> import raceline
            >>> raceline.range(10).sql("select id from self where id % 5 = 2").take_all()
            [{'id': 2}, {'id': 7}]
        """
        from raceline.data.sql import run_query

        return run_query(query, functions, {**tables, "self": self}, sys._getframe(1))

    def num_blocks(self) -> int:
        """Number of batches of a ``MaterializedDataset``; others have none before they are run.

        Raises:
            NotImplementedError: The rows are not there yet.

        Example:
            >>> import raceline
            >>> raceline.range(10).repartition(5).materialize().num_blocks()
            5
        """
        raise NotImplementedError(
            "how many batches there are is known when the dataset was run: use "
            "`materialize().num_blocks()`"
        )

    def __len__(self) -> NoReturn:
        """Refuses, as counting may take a whole run.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError("a dataset has no length before it is run: use `count()`")

    def __bool__(self) -> bool:
        """True, also of an empty dataset."""
        return True

    def __iter__(self) -> NoReturn:
        """Refuses, as it could mean rows or batches.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a dataset is not iterable: use `iter_rows()` or `iter_batches()`")


class MaterializedDataset(Dataset):
    """A dataset whose rows are there, so that nothing is computed again when they are read.

    ``materialize`` keeps rows, and those of ``from_items``, ``from_pandas`` and others are in
    memory. What is made of it by a transform is a lazy ``Dataset`` again.

    Example:
        >>> import raceline
        >>> kept = raceline.range(1000).materialize()
        >>> kept.size_bytes()
        8000
        >>> type(kept.limit(3)).__name__
        'Dataset'
        >>> isinstance(raceline.from_items([1, 2]), raceline.data.MaterializedDataset)
        True
    """

    __slots__ = ("_made_in",)

    _made_in: str

    def _state(self) -> dict[str, Any]:
        """Also what the run took that made it."""
        return {**super()._state(), "_made_in": getattr(self, "_made_in", "")}

    def stats(self) -> str:
        """What the run took that made its rows; where there was none, its own last run.

        Example:
            >>> import raceline
            >>> rows = raceline.range(3).map(lambda row: {"id": row["id"] + 1})
            >>> print(rows.materialize().stats())  # doctest: +ELLIPSIS
            stage 1 Range->Map(<lambda>): finished
            ...
        """
        return getattr(self, "_made_in", "") or super().stats()

    def num_blocks(self) -> int:
        """Number of batches in which the rows come, or came when they were kept.

        Example:
            >>> import raceline
            >>> raceline.range(10).repartition(5).materialize().num_blocks()
            5
        """
        kept = self._native.kept_size()
        return sum(1 for _ in native_batches_of(self._native)) if kept is None else kept[0]

    def size_bytes(self) -> int:
        """Bytes of all rows, wherever they are.

        Raises:
            ImportError: The rows were in memory already, and pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(10).materialize().size_bytes()
            80
        """
        kept = self._native.kept_size()
        return super().size_bytes() if kept is None else kept[1]

    def _derive(self, native: _native.Dataset) -> Self:
        """A lazy dataset: nothing keeps the rows of another plan."""
        return cast("Self", Dataset(native))
