"""What the columns of a dataset hold, in a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from raceline._optional import optional
from raceline.data._arguments import column_names
from raceline.data.aggregate import (
    AggregateFn,
    ApproximateQuantile,
    ApproximateTopK,
    Count,
    Max,
    Mean,
    Min,
    MissingValuePercentage,
    Std,
    ZeroPercentage,
)
from raceline.data.consumption import Consumption
from raceline.data.reduction import Reductions
from raceline.data.shaping import ShapingTransforms
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["DatasetSummary", "Summaries"]

#: The aggregations of columns of a type.
Aggregations = Mapping[Any, Callable[[str], Sequence[AggregateFn]]]

# Values that are listed of texts.
_TOP = 10


class DatasetSummary:
    """Statistics of columns; made by ``Dataset.summary``.

    Attributes:
        dataset_schema: The columns of the dataset, as PyArrow has them.
        columns: The columns that are summed up.

    Example:
        >>> import raceline
        >>> summary = raceline.range(5).summary()
        >>> summary.get_column_stats("id").set_index("statistic")["value"]["mean"]
        np.float64(2.0)
    """

    STATISTIC_COLUMN: ClassVar[str] = "statistic"

    def __init__(self, dataset_schema: pa.Schema, stats: dict[str, dict[str, Any]]) -> None:
        """Wraps statistics by column and name; users call ``Dataset.summary``."""
        self.dataset_schema = dataset_schema
        self.columns = list(stats)
        self._stats = stats

    def to_pandas(self) -> pd.DataFrame:
        """A frame of one row a statistic and one column a column, beside ``statistic``.

        Example:
            >>> import raceline
            >>> raceline.range(5).summary().to_pandas().columns.tolist()
            ['statistic', 'id']
        """
        names = sorted({name for found in self._stats.values() for name in found})
        frame: dict[str, list[Any]] = {self.STATISTIC_COLUMN: names}
        frame |= {
            column: [found.get(name) for name in names] for column, found in self._stats.items()
        }
        made: pd.DataFrame = optional("pandas").DataFrame(frame)
        return made

    def get_column_stats(self, column: str) -> pd.DataFrame:
        """A frame of the columns ``statistic`` and ``value``, of one column.

        Raises:
            PlanError: The column is not summed up.

        Example:
            >>> import raceline
            >>> raceline.range(5).summary().get_column_stats("id")["statistic"].tolist()
            ['approx_quantile[0]', 'count', 'max', 'mean', 'min', 'missing_pct', 'std', 'zero_pct']
        """
        if column not in self._stats:
            raise PlanError(f"column `{column}` is not in the summary", column=column)
        found = sorted(self._stats[column].items())
        frame = {self.STATISTIC_COLUMN: [name for name, _ in found], "value": [v for _, v in found]}
        made: pd.DataFrame = optional("pandas").DataFrame(frame)
        return made

    def __repr__(self) -> str:
        """The columns."""
        return f"DatasetSummary(columns={self.columns!r})"


class Summaries(FunctionTransforms, ShapingTransforms, Reductions, Consumption):
    """The part of a dataset that sums it up."""

    __slots__ = ()

    def summary(
        self,
        columns: str | Sequence[str] | None = None,
        override_dtype_agg_mapping: Aggregations | None = None,
    ) -> DatasetSummary:
        """Statistics of columns, by their types; runs the dataset.

        All of them count their values, missing ones too (``count``), and tell the percentage of
        missing ones (``missing_pct``). Numbers and bools have besides ``mean``, ``min``, ``max``,
        ``std`` with ``ddof=0``, the approximate median (``approx_quantile[0]``) and the percentage
        of zeros among the values (``zero_pct``); dates and times ``min`` and ``max``; texts and
        bytes the ten most frequent values with their counts (``approx_topk[0]`` ...). All of it is
        found in one run.

        Args:
            columns: The columns; None is all.
            override_dtype_agg_mapping: Types of PyArrow, each with a function that gets the name of
                a column of this type and returns its aggregations, instead of the usual ones.

        Raises:
            ColumnNotFoundError: A column does not exist.
            ImportError: pandas or pyarrow is not installed.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"x": 0, "s": "a"}, {"x": 4, "s": "a"}, {"x": None}])
            >>> rows.summary().get_column_stats("x")
                        statistic      value
            0  approx_quantile[0]   2.000000
            1               count   3.000000
            2                 max   4.000000
            3                mean   2.000000
            4                 min   0.000000
            5         missing_pct  33.333333
            6                 std   2.000000
            7            zero_pct  50.000000
            >>> rows.summary("s").get_column_stats("s")["value"].tolist()
            [{'s': 'a', 'count': 2}, 3, 33.333333333333336]
        """
        optional("pandas")
        dataset = self if columns is None else self.select_columns(column_names(columns))
        schema = dataset.schema()
        kinds = {} if schema is None else dict(zip(schema.names, schema.types, strict=True))
        asked: list[tuple[str, AggregateFn]] = []
        for name, kind in kinds.items():
            asked += [(name, one) for one in _chosen(name, kind, override_dtype_agg_mapping or {})]
        stats: dict[str, dict[str, Any]] = {name: {} for name in kinds}
        if asked:
            values = dataset.aggregate(*(one for _, one in asked)).values()
            for (name, one), value in zip(asked, values, strict=True):
                stats[name] |= _statistics(name, one, value)
        whole = self.schema()
        base = optional("pyarrow").schema([]) if whole is None else whole.base_schema
        return DatasetSummary(base, stats)


def _chosen(name: str, kind: Any, given: Aggregations) -> Sequence[AggregateFn]:
    """The aggregations of a column, by its type: those that are given, or else the usual ones."""
    for wanted, make in given.items():
        to_arrow = getattr(wanted, "to_arrow_dtype", None)
        if kind == (wanted if to_arrow is None else to_arrow()):
            return make(name)
    known: list[AggregateFn] = [Count(name), MissingValuePercentage(name)]
    if _is_number(kind) or _is_temporal(kind):
        known += [Min(name), Max(name)]
    if _is_number(kind):
        known += [Mean(name), Std(name, ddof=0)]
        known += [ApproximateQuantile(name, quantiles=[0.5]), ZeroPercentage(name)]
    if _is_text(kind):
        known.append(ApproximateTopK(name, k=_TOP))
    return known


def _statistics(column: str, aggregate: AggregateFn, value: Any) -> dict[str, Any]:
    """A value by its statistic's name; the items of a list by theirs."""
    name = aggregate.name.removesuffix(f"({column})")
    if isinstance(value, list):
        return {f"{name}[{at}]": item for at, item in enumerate(value)}
    is_quantile = isinstance(aggregate, ApproximateQuantile)
    return {f"{name}[0]" if is_quantile else name: value}


def _is_number(kind: Any) -> bool:
    types = optional("pyarrow").types
    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


def _is_temporal(kind: Any) -> bool:
    return bool(optional("pyarrow").types.is_temporal(kind))


def _is_text(kind: Any) -> bool:
    types = optional("pyarrow").types
    return any(
        one(kind)
        for one in (
            types.is_string,
            types.is_large_string,
            types.is_string_view,
            types.is_binary,
            types.is_large_binary,
            types.is_binary_view,
        )
    )
