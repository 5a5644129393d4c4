"""Groups of rows with equal keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.aggregate import (
    AggregateFn,
    Count,
    Max,
    Mean,
    Min,
    Std,
    Sum,
)
from raceline.data.compute import Concurrency
from raceline.data.expressions import Expr
from raceline.data.expressions.within import within_groups
from raceline.data.formats import BatchFormat
from raceline.data.function import Arguments, Batching, Compute, Demand, Faults, UserFunction
from raceline.data.ray_arguments import FUNCTION_ARGUMENTS, accepts
from raceline.data.reduction import aggregates_of
from raceline.data.user_aggregation import aggregate_groups, named

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["GroupedData"]


class GroupedData:
    """A dataset grouped by key columns; made by ``Dataset.groupby``.

    Every method is lazy. The groups come in any order. None and NaN keys form one group.
    Aggregations make a dataset of one row a group: the key columns, then one column for each
    aggregation. ``on`` is a column, a list of columns, or None for all columns but the keys.
    """

    def __init__(self, dataset: Dataset, keys: list[str]) -> None:
        """Groups a dataset; users call ``Dataset.groupby``."""
        self._dataset = dataset
        self._keys = keys

    def __repr__(self) -> str:
        """The keys and the dataset."""
        return f"GroupedData(by={self._keys}, {self._dataset!r})"

    def aggregate(self, *aggs: AggregateFn) -> Dataset:
        """Several aggregations of each group.

        Args:
            *aggs: Aggregations of ``raceline.data.aggregate``, or your own, for which the rows of
                a group are held together; a name that comes again gets ``_2``, ``_3``.

        Raises:
            PlanError: No aggregation is given.

        Example:
            >>> import raceline
            >>> from raceline.data.aggregate import Count, Sum
            >>> groups = raceline.range(5).groupby(lambda row: row["id"] // 3)
            >>> groups.aggregate(Count(), Sum("id")).sort("key").take_all()
            [{'key': 0, 'count()': 3, 'sum(id)': 3}, {'key': 1, 'count()': 2, 'sum(id)': 7}]
        """
        return aggregate_groups(self._dataset, self._keys, named(aggs))

    def count(self) -> Dataset:
        """Number of rows of each group, in column ``count()``.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": "x"}, {"a": "y"}, {"a": "x"}])
            >>> rows.groupby("a").count().sort("a").take_all()
            [{'a': 'x', 'count()': 2}, {'a': 'y', 'count()': 1}]
        """
        return self.aggregate(Count())

    def sum(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Sum of each group, in columns ``sum(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": "x", "b": 1}, {"a": "x", "b": 2}])
            >>> rows.groupby("a").sum("b").take_all()
            [{'a': 'x', 'sum(b)': 3}]
        """
        return self._each(on, lambda column: Sum(column, ignore_nulls))

    def min(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Least value of each group, in columns ``min(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).min("id").take_all()
            [{'min(id)': 0}]
        """
        return self._each(on, lambda column: Min(column, ignore_nulls))

    def max(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Greatest value of each group, in columns ``max(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).max("id").take_all()
            [{'max(id)': 3}]
        """
        return self._each(on, lambda column: Max(column, ignore_nulls))

    def mean(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Arithmetic mean of each group, in columns ``mean(column)``.

        Args:
            on: See the class.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(4).groupby(None).mean("id").take_all()
            [{'mean(id)': 1.5}]
        """
        return self._each(on, lambda column: Mean(column, ignore_nulls))

    def std(
        self, on: str | Sequence[str] | None = None, ddof: int = 1, ignore_nulls: bool = True
    ) -> Dataset:
        """Standard deviation of each group, in columns ``std(column)``.

        Args:
            on: See the class.
            ddof: Delta degrees of freedom; of at most ``ddof`` values the result is NaN.
            ignore_nulls: Whether missing values are left out; else one makes the result None.

        Example:
            >>> import raceline
            >>> raceline.range(3).groupby(None).std("id").take_all()
            [{'std(id)': 1.0}]
        """
        return self._each(on, lambda column: Std(column, ddof, ignore_nulls))

    @accepts(FUNCTION_ARGUMENTS)
    def map_groups(
        self,
        fn: Callable[..., Any],
        *,
        zero_copy_batch: bool | None = None,
        compute: Compute = None,
        batch_format: BatchFormat = "default",
        fn_args: Sequence[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Sequence[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        concurrency: Concurrency | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        debug: bool = False,
    ) -> Dataset:
        """Calls a function for each group, with all of its rows.

        The rows of a group have the order of the input, and the key columns are among theirs. A
        group must fit into about a tenth of the session's memory; many small ones travel to a
        worker together. Rows that do not fit into memory are grouped on disk.

        Args:
            fn: Gets the rows of a group as a batch; returns a batch, as of
                ``Dataset.map_batches``, or any iterator of batches. The rows of the result are
                those that it returns: key columns are not added.
            zero_copy_batch: See ``Dataset.map_batches``.
            compute: See ``Dataset.map``, as for all that follow but ``batch_format``.
            batch_format: See ``Dataset.map_batches``.
            fn_args: See ``Dataset.map``.
            fn_kwargs: See ``Dataset.map``.
            fn_constructor_args: See ``Dataset.map``.
            fn_constructor_kwargs: See ``Dataset.map``.
            num_cpus: See ``Dataset.map``.
            num_gpus: See ``Dataset.map``.
            memory: See ``Dataset.map``.
            concurrency: See ``Dataset.map``.
            resources: See ``Dataset.map``.
            max_retries: See ``Dataset.map``.
            debug: See ``Dataset.map``.

        Raises:
            PlanError: The function cannot run, or the arguments do not fit it.

        When the dataset is run, a function that raises ends the run by an error whose traceback
        names the group, and a group that is too large ends it by a ``ResourceError`` with its key.

        Example:
            >>> import raceline
            >>> pairs = [("x", 1), ("y", 5), ("x", 3)]
            >>> rows = raceline.from_items([{"a": a, "b": b} for a, b in pairs])
            >>> def centred(group):
            ...     return {"a": group["a"], "b": group["b"] - group["b"].mean()}
            >>> rows.groupby("a").map_groups(centred).sort(["a", "b"]).take_all()
            [{'a': 'x', 'b': -1.0}, {'a': 'x', 'b': 1.0}, {'a': 'y', 'b': 0.0}]
        """
        function = UserFunction(
            "map_groups",
            fn,
            Arguments(fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs),
            Demand(compute, concurrency, num_cpus, num_gpus, memory, resources),
            Batching(None, batch_format, zero_copy_batch),
            Faults(max_retries),
            debug=debug,
            group_keys=self._keys,
        )
        return self._dataset._derive(self._dataset._native.groups(self._keys))._apply(function)

    @accepts(FUNCTION_ARGUMENTS)
    def with_column(
        self,
        column_name: str,
        expr: Expr,
        *,
        compute: Compute = None,
        concurrency: Concurrency | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Dataset:
        """Adds a column, or replaces one, whose value is an expression of the group's rows.

        All rows of all groups are in the result, in any order. ``sum``, ``mean``, ``min``, ``max``
        and ``count`` of an expression are those of the group, without missing values, of which NaN
        is one. What has ``over`` looks at rows of the group only: ``.over(order_by=...)`` makes
        running sums of aggregates, and ranks and neighbours need it. A function of yours, as
        ``udf`` makes it, is called once for each group, with arrays of all of its rows in the
        order of the input. Anything else has the same value as without groups.

        Args:
            column_name: Its name.
            expr: Its value, of the columns as they are before.
            compute: How functions of yours in the expression run, as of ``map_groups``, as for
                all that follow.
            concurrency: As of ``map_groups``.
            num_cpus: As of ``map_groups``.
            num_gpus: As of ``map_groups``.
            memory: As of ``map_groups``.
            resources: As of ``map_groups``.

        Raises:
            PlanError: ``expr`` is no expression, or it needs an order and has none.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col, row_number
            >>> pairs = [("x", 1), ("y", 5), ("x", 3)]
            >>> groups = raceline.from_items([{"a": a, "b": b} for a, b in pairs]).groupby("a")
            >>> beside = groups.with_column("c", col("b") - col("b").mean())
            >>> beside.sort(["a", "b"]).select_columns("c").take_all()
            [{'c': -1.0}, {'c': 1.0}, {'c': 0.0}]
            >>> first = row_number().over(order_by="b") == 1
            >>> groups.with_column("is_first", first).filter(expr=col("is_first")).count()
            2
        """
        return self._dataset.with_column(
            column_name,
            within_groups(expr, self._keys) if isinstance(expr, Expr) else expr,
            compute=compute,
            concurrency=concurrency,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            memory=memory,
            resources=resources,
        )

    def _each(self, on: str | Sequence[str] | None, make: Callable[[str], AggregateFn]) -> Dataset:
        """One aggregation for each column."""
        return self.aggregate(*aggregates_of(self._dataset, on, make, self._keys))
