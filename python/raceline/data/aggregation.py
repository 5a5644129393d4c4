"""Aggregations that users write: how groups of rows are folded into one value.

Functions of these classes run in worker processes, on tables of PyArrow.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["AggregateFn", "AggregateFnV2", "VectorizedAggregateFnV2"]

Accumulated = TypeVar("Accumulated")
Result = TypeVar("Result")


class AggregateFn:
    """An aggregation made of functions; the base of all aggregations.

    Attributes:
        name: Name of the output column.

    Example:
        >>> import raceline
        >>> longest = AggregateFn(
        ...     init=lambda key: 0,
        ...     accumulate_row=lambda most, row: max(most, len(row["text"])),
        ...     merge=max,
        ...     name="longest",
        ... )
        >>> raceline.from_items([{"text": "ab"}, {"text": "abc"}]).aggregate(longest)
        {'longest': 3}
    """

    name: str

    def __init__(  # noqa: PLR0917 (Ray's arguments)
        self,
        init: Callable[[Any], Any],
        merge: Callable[[Any, Any], Any],
        name: str,
        accumulate_row: Callable[[Any, dict[str, Any]], Any] | None = None,
        accumulate_block: Callable[[Any, pa.Table], Any] | None = None,
        finalize: Callable[[Any], Any] | None = None,
    ) -> None:
        """Makes an aggregation.

        Args:
            init: Gets the key of the group (a tuple of several, None without keys); returns what
                the rows are added to.
            merge: Gets two of these; returns that of all of their rows.
            name: Name of the output column.
            accumulate_row: Gets what there is and a row; returns it with the row.
            accumulate_block: Gets what there is and a table of rows, instead of ``accumulate_row``.
            finalize: Makes the result of it; by default it is the result.

        Raises:
            PlanError: There is not exactly one of ``accumulate_row`` and ``accumulate_block``, or
                the name is no string.
        """
        if (accumulate_row is None) == (accumulate_block is None):
            raise PlanError("pass exactly one of `accumulate_row` and `accumulate_block`")
        if not isinstance(name, str):
            raise PlanError(f"the name of an aggregation must be a string, got `{name!r}`")
        self._init, self._merge, self.name = init, merge, name
        self._row, self._block, self._finalize = accumulate_row, accumulate_block, finalize

    def __repr__(self) -> str:
        """The class and the name."""
        return f"{type(self).__name__}(name={self.name!r})"

    def _partial(self, key: Any, block: pa.Table) -> Any:
        """What the rows of a block make."""
        accumulated = self._init(key)
        if self._block is not None:
            return self._block(accumulated, block)
        for row in block.to_pylist():
            accumulated = self._row(accumulated, row)  # type: ignore[misc]
        return accumulated

    def _combined(self, one: Any, other: Any) -> Any:
        """What two parts make together."""
        return self._merge(one, other)

    def _of_nothing(self) -> Any:
        """What no rows make."""
        return self._init(None)

    def _finished(self, accumulated: Any) -> Any:
        """The result."""
        return accumulated if self._finalize is None else self._finalize(accumulated)


class AggregateFnV2(AggregateFn, abc.ABC, Generic[Accumulated, Result]):
    """Base of aggregations that are classes.

    What ``aggregate_block`` makes of blocks of rows is combined, and finalized in the end. None and
    NaN that it returns count as missing: where ``ignore_nulls`` is True they are left out, else one
    of them is the result. A missing result is None and is not finalized.

    Example:
        >>> import raceline
        >>> import pyarrow.compute as pc
        >>> class Range(AggregateFnV2):
        ...     def __init__(self, on):
        ...         super().__init__(f"range({on})", lambda: None, on=on, ignore_nulls=True)
        ...
        ...     def aggregate_block(self, block):
        ...         found = pc.min_max(block[self.get_target_column()]).as_py()
        ...         return None if found["min"] is None else (found["min"], found["max"])
        ...
        ...     def combine(self, one, other):
        ...         return min(one[0], other[0]), max(one[1], other[1])
        ...
        ...     def finalize(self, accumulated):
        ...         return accumulated[1] - accumulated[0]
        >>> raceline.range(10).aggregate(Range("id"))
        {'range(id)': 9}
    """

    def __init__(
        self,
        name: str,
        zero_factory: Callable[[], Accumulated],
        *,
        on: str | None,
        ignore_nulls: bool,
    ) -> None:
        """Makes an aggregation.

        Args:
            name: Name of the output column.
            zero_factory: Makes what no rows make.
            on: The column, for ``get_target_column``; the block has all columns.
            ignore_nulls: Whether missing results of blocks are left out.

        Raises:
            PlanError: The name or the column is no string.
        """
        if not isinstance(name, str):
            raise PlanError(f"the name of an aggregation must be a string, got `{name!r}`")
        if on is not None and not isinstance(on, str):
            raise PlanError(f"`on` must be the name of a column, got `{on!r}`")
        self.name = name
        self._zero_factory, self._on, self._ignore_nulls = zero_factory, on, ignore_nulls
        # Classes that were written for Ray Data read the column under this name.
        self._target_col_name = on

    @abc.abstractmethod
    def aggregate_block(self, block: pa.Table) -> Accumulated | None:
        """What the rows of a block make.

        Args:
            block: Some rows of a group, or all.

        Example:
            See the class.
        """

    @abc.abstractmethod
    def combine(self, current_accumulator: Accumulated, new: Accumulated) -> Accumulated:
        """What two blocks make together.

        Args:
            current_accumulator: What some blocks made.
            new: What another one made.

        Example:
            See the class.
        """

    def finalize(self, accumulator: Accumulated) -> Result | None:
        """The result; by default what was accumulated.

        Args:
            accumulator: What all blocks made.

        Example:
            See the class.
        """
        return accumulator  # type: ignore[return-value]

    def get_target_column(self) -> str | None:
        """The column that it is for.

        Example:
            >>> from raceline.data.aggregate import Sum
            >>> Sum("price").get_target_column()
            'price'
        """
        return self._on

    def get_agg_name(self) -> str:
        """The kind of aggregation: the name of its class.

        Example:
            >>> from raceline.data.aggregate import Sum
            >>> Sum("price").get_agg_name()
            'Sum'
        """
        return type(self).__name__

    def _partial(self, key: Any, block: pa.Table) -> Any:
        return self.aggregate_block(block)

    def _combined(self, one: Any, other: Any) -> Any:
        if is_missing(one) or is_missing(other):
            there, missing = (other, one) if is_missing(one) else (one, other)
            return there if self._ignore_nulls else missing
        return self.combine(one, other)

    def _of_nothing(self) -> Any:
        return self._zero_factory()

    def _finished(self, accumulated: Any) -> Any:
        return None if is_missing(accumulated) else self.finalize(accumulated)


class VectorizedAggregateFnV2(AggregateFnV2[Accumulated, Result]):
    """As :class:`AggregateFnV2`; Ray has it for aggregations that combine whole columns.

    Example:
        >>> import raceline
        >>> class Rows(VectorizedAggregateFnV2):
        ...     def __init__(self):
        ...         super().__init__("rows", lambda: 0, on=None, ignore_nulls=False)
        ...
        ...     def aggregate_block(self, block):
        ...         return block.num_rows
        ...
        ...     def combine(self, one, other):
        ...         return one + other
        >>> raceline.range(10).aggregate(Rows())
        {'rows': 10}
    """


def is_missing(value: Any) -> bool:
    """Whether a value counts as missing: None, NaN, NaT."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):  # an array, which is there
        return False
