"""Aggregations whose results are values of the column: lists, distinct and frequent ones."""

from __future__ import annotations

import enum

from raceline.data._arguments import whole_number
from raceline.data.native_aggregate import NativeAggregate
from raceline.errors import PlanError

__all__ = [
    "ApproximateTopK",
    "AsList",
    "CountDistinct",
    "ListEncodingMode",
    "Unique",
    "ValueCounter",
]

# What is counted beyond would be most of the memory.
_LOG_CAPACITY_MOST = 26


class AsList(NativeAggregate):
    """All values of a column as a list, in any order.

    Example:
        >>> import raceline
        >>> sorted(raceline.range(3).aggregate(AsList("id"))["list(id)"])
        [0, 1, 2]
    """

    _kind = "list"

    def __init__(self, on: str, alias_name: str | None = None, ignore_nulls: bool = False) -> None:
        """Collects.

        Args:
            on: The column.
            alias_name: Name of the output column; by default ``list(column)``.
            ignore_nulls: Whether missing values are left out; they are kept by default.
        """
        super().__init__(on, ignore_nulls, alias_name)


class ListEncodingMode(enum.StrEnum):
    """What the values of a column of lists are: see ``Unique``.

    Example:
        >>> ListEncodingMode("FLATTEN")
        <ListEncodingMode.FLATTEN: 'FLATTEN'>
    """

    FLATTEN = "FLATTEN"
    HASH = "HASH"


class Unique(NativeAggregate):
    """The distinct values of a column as a list; missing ones are one None in it.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 2}, {"x": None}, {"x": 1}, {"x": 2}])
        >>> rows.aggregate(Unique("x"), Unique("x", ignore_nulls=True))
        {'unique(x)': [1, 2, None], 'unique(x)_2': [1, 2]}
        >>> rows = raceline.from_items([{"x": [1, 2]}, {"x": [2, 3]}])
        >>> rows.aggregate(Unique("x", encode_lists=ListEncodingMode.FLATTEN))
        {'unique(x)': [1, 2, 3]}
    """

    _kind = "unique"

    def __init__(
        self,
        on: str | None = None,
        ignore_nulls: bool = False,
        alias_name: str | None = None,
        encode_lists: bool | ListEncodingMode | None = None,
    ) -> None:
        """Collects.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out; they are kept by default.
            alias_name: Name of the output column; by default ``unique(column)``.
            encode_lists: Of a column of lists: ``ListEncodingMode.FLATTEN`` (or True) takes their
                items as the values, anything else whole lists.

        Raises:
            PlanError: No column is given, or there is no such mode.
        """
        if not isinstance(encode_lists, bool | ListEncodingMode | None):
            raise PlanError(
                f"`encode_lists` must be a `ListEncodingMode`, got `{encode_lists!r}`",
                hint="pass `ListEncodingMode.FLATTEN` or `ListEncodingMode.HASH`",
            )
        flatten = encode_lists is True or encode_lists is ListEncodingMode.FLATTEN
        super().__init__(on, ignore_nulls, alias_name, flatten=flatten)


class CountDistinct(NativeAggregate):
    """Number of distinct values of a column; int64, never None.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 2}, {"x": None}, {"x": 2}])
        >>> rows.aggregate(CountDistinct("x"), CountDistinct("x", ignore_nulls=False))
        {'count_distinct(x)': 1, 'count_distinct(x)_2': 2}
    """

    _kind = "count_distinct"

    def __init__(self, on: str, ignore_nulls: bool = True, alias_name: str | None = None) -> None:
        """Counts.

        Args:
            on: The column.
            ignore_nulls: Whether missing values are left out; else they are one value.
            alias_name: Name of the output column; by default ``count_distinct(column)``.
        """
        super().__init__(on, ignore_nulls, alias_name)


class ValueCounter(NativeAggregate):
    """The distinct values of a column and how often each is there, missing ones too.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": "b"}, {"x": "a"}, {"x": "b"}])
        >>> rows.aggregate(ValueCounter("x"))
        {'value_counter(x)': {'values': ['a', 'b'], 'counts': [1, 2]}}
    """

    _kind = "value_counter"

    def __init__(self, on: str, alias_name: str | None = None) -> None:
        """Counts.

        Args:
            on: The column.
            alias_name: Name of the output column; by default ``value_counter(column)``.
        """
        super().__init__(on, True, alias_name)


class ApproximateTopK(NativeAggregate):
    """The most frequent values of a column, with their counts, in memory that does not grow.

    The result is a list of dicts of the value, under the column's name, and its ``count``, the most
    frequent first. It is exact as long as the column has at most ``0.75 * 2**log_capacity``
    distinct values; of more, counts may be too high.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": "b"}, {"x": "a"}, {"x": "b"}])
        >>> rows.aggregate(ApproximateTopK("x", k=1))
        {'approx_topk(x)': [{'x': 'b', 'count': 2}]}
    """

    _kind = "approx_topk"

    def __init__(
        self,
        on: str,
        k: int,
        log_capacity: int = 15,
        alias_name: str | None = None,
        encode_lists: bool = False,
    ) -> None:
        """Aggregates a column.

        Args:
            on: The column.
            k: Most values of the list.
            log_capacity: How many values are counted at the same time, as a power of two.
            alias_name: Name of the output column; by default ``approx_topk(column)``.
            encode_lists: Whether the values of a column of lists are the items of the lists.

        Raises:
            PlanError: A number is out of range.
        """
        if whole_number("log_capacity", log_capacity, 3) > _LOG_CAPACITY_MOST:
            raise PlanError(f"`log_capacity` must be at most {_LOG_CAPACITY_MOST}")
        # The part of its table that the sketch of Ray fills.
        capacity = 3 << (log_capacity - 2)
        options = {
            "k": whole_number("k", k, 1),
            "capacity": capacity,
            "flatten": bool(encode_lists),
        }
        super().__init__(on, True, alias_name, **options)
