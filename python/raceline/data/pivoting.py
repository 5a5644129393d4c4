"""Rows to columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from raceline.data._arguments import column_names
from raceline.data.aggregate import Count, Max, Mean, Min, Std, Sum
from raceline.data.column_transforms import ColumnTransforms
from raceline.data.expressions import Expr, col, when
from raceline.data.native_aggregate import NativeAggregate
from raceline.data.reduction import Reductions
from raceline.data.shaping import ShapingTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["Pivots"]

_AGGREGATES: dict[str, type[NativeAggregate]] = {
    "sum": Sum,
    "mean": Mean,
    "min": Min,
    "max": Max,
    "std": Std,
    "count": Count,
}
_COLUMNS_MAX = 10_000


class Pivots(ColumnTransforms, ShapingTransforms, Reductions):
    """The part of a dataset that makes columns of values."""

    __slots__ = ()

    def pivot(
        self,
        index: str | Sequence[str],
        columns: str,
        values: str,
        aggregate: Literal["sum", "mean", "min", "max", "std", "count"] = "sum",
    ) -> Dataset:
        """Makes a column of each distinct value of a column.

        The dataset is run once, at once, to learn these values; they are the new columns' names,
        in ascending order, a missing one last. The rows come in any order.

        Args:
            index: Columns; each combination of their values becomes a row.
            columns: The column whose values become columns.
            values: The column whose values stand in them.
            aggregate: What several values of one cell become. Missing values are left out; a cell
                without a value is missing, or 0 of ``"count"``.

        Raises:
            PlanError: There is no such aggregate, a name would come twice, or there are more than
                10,000 values.

        Example:
            >>> import raceline
            >>> sales = [("x", "a", 1), ("x", "b", 2), ("y", "a", 3), ("x", "a", 4)]
            >>> rows = raceline.from_items([{"shop": s, "day": d, "n": n} for d, s, n in sales])
            >>> rows.pivot("shop", columns="day", values="n").sort("shop").take_all()
            [{'shop': 'a', 'x': 5, 'y': 3}, {'shop': 'b', 'x': 2, 'y': None}]
        """
        keys = column_names(index, "index")
        if aggregate not in _AGGREGATES:
            raise PlanError(
                f"`pivot` has no aggregate `{aggregate}`",
                hint=f"pass one of {', '.join(_AGGREGATES)}",
            )
        found = sorted(self.unique(columns), key=_order)
        if len(found) > _COLUMNS_MAX:
            raise PlanError(
                f"column `{columns}` has {len(found)} values, more than {_COLUMNS_MAX}",
                hint="group by it instead",
            )
        names = [str(value) for value in found]
        there = [value for value in found if value is not None]
        for name in names:
            if name in keys:
                raise PlanError(f"column `{name}` would occur twice", hint="rename the index")
        cells: dict[str, Expr] = {
            f"__raceline_cell_{at}": when(_is(columns, value, there)).then(col(values))
            for at, value in enumerate(found)
        }
        held = self.with_columns(cells).select_columns([*keys, *cells])
        kind = _AGGREGATES[aggregate]
        aggregates = [
            kind(cell, ignore_nulls=True, alias_name=name)
            for cell, name in zip(cells, names, strict=True)
        ]
        from raceline.data.dataset import Dataset

        return Dataset(held._native).groupby(keys).aggregate(*aggregates)


def _is(column: str, value: Any, others: Sequence[Any]) -> Expr:
    """Whether a column has a value; a missing one, NaN or None, is none of ``others``."""
    if value is None:
        return col(column).not_in(others)
    is_value: Expr = col(column) == value
    return is_value


def _order(value: Any) -> tuple[bool, Any]:
    """By value, a missing one last."""
    return (value is None, 0 if value is None else value)
