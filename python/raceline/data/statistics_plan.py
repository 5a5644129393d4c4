"""Statistics that a preprocessor asks for while it is fitted, and that are computed together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from raceline.data.aggregate import AggregateFn

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["StatComputationPlan"]


def _same(value: Any) -> Any:
    return value


class _Aggregation(NamedTuple):
    """An aggregation, and what is made of its result."""

    aggregate: AggregateFn
    post_process: Callable[[Any], Any]


class _Function(NamedTuple):
    """A function that finds statistics of several columns by itself."""

    find: Callable[[Callable[[str], str]], dict[str, Any]]
    key_of: Callable[[str], str]
    post_key_of: Callable[[str], str]
    post_process: Callable[[Any], Any]
    columns: list[str]


class StatComputationPlan:
    """What is to be computed: all aggregations in one run of the dataset, then the functions.

    Example:
        >>> import raceline
        >>> from raceline.data.aggregate import Max, Mean
        >>> plan = StatComputationPlan()
        >>> plan.add_aggregator(aggregator_fn=Mean, columns=["id"])
        >>> plan.add_aggregator(aggregator_fn=Max, columns=["id"], post_process_fn=float)
        >>> plan.compute(raceline.range(3))
        {'mean(id)': 1.0, 'max(id)': 2.0}
    """

    def __init__(self) -> None:
        """An empty plan."""
        self._aggregations: list[_Aggregation] = []
        self._functions: list[_Function] = []

    def reset(self) -> None:
        """Empties it.

        Example:
            >>> StatComputationPlan().reset()
        """
        self._aggregations.clear()
        self._functions.clear()

    def add_aggregator(
        self,
        *,
        aggregator_fn: Callable[[str], AggregateFn],
        post_process_fn: Callable[[Any], Any] = _same,
        columns: Sequence[str],
    ) -> None:
        """Adds an aggregation of each of several columns.

        Args:
            aggregator_fn: Makes the aggregation of a column, such as the class ``Mean``. Its name
                is the key of the result.
            post_process_fn: What is made of the result.
            columns: The columns.

        Example:
            >>> from raceline.data.aggregate import Std
            >>> plan = StatComputationPlan()
            >>> plan.add_aggregator(aggregator_fn=lambda c: Std(c, ddof=0), columns=["a", "b"])
            >>> len(list(plan))
            2
        """
        self._aggregations += [_Aggregation(aggregator_fn(one), post_process_fn) for one in columns]

    def add_callable_stat(
        self,
        *,
        stat_fn: Callable[[Callable[[str], str]], dict[str, Any]],
        stat_key_fn: Callable[[str], str],
        post_key_fn: Callable[[str], str] | None = None,
        post_process_fn: Callable[[Any], Any] = _same,
        columns: Sequence[str],
    ) -> None:
        """Adds a function that finds a statistic of each of several columns by itself.

        Args:
            stat_fn: Gets ``stat_key_fn``; returns a dict with its key of each column.
            stat_key_fn: The key of a column.
            post_key_fn: The key of a column among the results; by default the same.
            post_process_fn: What is made of the result.
            columns: The columns.

        Example:
            >>> import raceline
            >>> plan = StatComputationPlan()
            >>> plan.add_callable_stat(
            ...     stat_fn=lambda key: {key("id"): 7}, stat_key_fn="seven({})".format,
            ...     columns=["id"],
            ... )
            >>> plan.compute(raceline.range(3))
            {'seven(id)': 7}
        """
        key_of = post_key_fn or stat_key_fn
        self._functions.append(
            _Function(stat_fn, stat_key_fn, key_of, post_process_fn, list(columns))
        )

    def compute(self, dataset: Dataset) -> dict[str, Any]:
        """All results, by their keys.

        Args:
            dataset: What the aggregations run over.

        Example:
            >>> import raceline
            >>> StatComputationPlan().compute(raceline.range(3))
            {}
        """
        found: dict[str, Any] = {}
        if self._aggregations:
            values = dataset.aggregate(*(one.aggregate for one in self._aggregations)).values()
            for one, value in zip(self._aggregations, values, strict=True):
                found[one.aggregate.name] = one.post_process(value)
        for function in self._functions:
            result = function.find(function.key_of)
            for column in function.columns:
                value = result[function.key_of(column)]
                found[function.post_key_of(column)] = function.post_process(value)
        return found

    def has_custom_stat_fn(self) -> bool:
        """Whether it has functions.

        Example:
            >>> StatComputationPlan().has_custom_stat_fn()
            False
        """
        return bool(self._functions)

    def __iter__(self) -> Iterator[AggregateFn]:
        """The aggregations."""
        return iter([one.aggregate for one in self._aggregations])
