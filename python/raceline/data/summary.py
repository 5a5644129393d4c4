"""What the columns of a dataset hold, in a few numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from raceline._optional import optional
from raceline.data._arguments import column_names
from raceline.data.aggregate import AggregateFn, Count, Max, Mean, Min, Std, Sum
from raceline.data.consumption import Consumption
from raceline.data.expressions import col
from raceline.data.reduction import Reductions
from raceline.data.shaping import ShapingTransforms
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["DatasetSummary", "Summaries"]

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

    def summary(self, columns: str | Sequence[str] | None = None) -> DatasetSummary:
        """Statistics of columns, by their types; runs the dataset.

        All of them count their values, missing ones too (``count``), and tell the percentage of
        missing ones (``missing_pct``). Numbers and bools have besides ``mean``, ``min``, ``max``,
        ``std`` with ``ddof=0``, the median (``approx_quantile[0]``) and the percentage of zeros
        among the values (``zero_pct``); dates and times ``min`` and ``max``; texts and bytes the
        ten most frequent values with their counts (``approx_topk[0]`` ...). The median and the
        counts are exact; the median takes another run, and the values of each column of texts one.

        Args:
            columns: The columns; None is all.

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
        stats = _counted(dataset, kinds)
        numbers = [name for name, kind in kinds.items() if _is_number(kind)]
        if numbers:
            from raceline.data.preprocessors.quantiles import quantiles

            medians = quantiles(cast("Dataset", dataset), numbers, [0.5])
            for name, [median] in medians.items():
                stats[name]["approx_quantile[0]"] = median
        for name, kind in kinds.items():
            if _is_text(kind):
                stats[name] |= _frequent(dataset, name)
        whole = self.schema()
        base = optional("pyarrow").schema([]) if whole is None else whole.base_schema
        return DatasetSummary(base, stats)


class Zeros:
    """Adds a flag for each of some columns: whether the value is zero."""

    def __init__(self, columns: list[str]) -> None:
        """Takes the columns, in the order of their flags."""
        self._columns = columns

    def __call__(self, table: pa.Table) -> Any:
        """The rows with their flags."""
        import pyarrow as pa
        import pyarrow.compute as pc

        for at, name in enumerate(self._columns):
            values = table[name].cast(pa.float64(), safe=False)
            table = table.append_column(_flag(at), pc.equal(values, 0.0).cast(pa.int64()))
        return table


def _flag(at: int) -> str:
    return f"__raceline_zero_{at}"


def _counted(dataset: Summaries, kinds: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What one run of aggregations tells of each column."""
    numbers = [name for name, kind in kinds.items() if _is_number(kind)]
    asked: list[tuple[str, str, AggregateFn]] = []
    for name, kind in kinds.items():
        asked.append((name, "count", Count(name)))
        asked.append((name, "known", Count(name, ignore_nulls=True)))
        if _is_number(kind) or _is_temporal(kind):
            asked += [(name, "min", Min(name)), (name, "max", Max(name))]
        if _is_number(kind):
            asked += [(name, "mean", Mean(name)), (name, "std", Std(name, ddof=0))]
            asked.append((name, "zeros", Sum(_flag(numbers.index(name)))))
    if not asked:
        return {}
    if numbers:
        # In the thread that takes the rows: it costs less than a way to workers.
        dataset = dataset.map_batches(
            Zeros, fn_constructor_args=[numbers], batch_format="pyarrow", debug=True
        )
    values = dataset.aggregate(*(one for _, _, one in asked)).values()
    stats: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    for (name, statistic, _), value in zip(asked, values, strict=True):
        stats[name][statistic] = value
    for found in stats.values():
        count, known = found["count"], found.pop("known")
        found["missing_pct"] = 100 * (count - known) / count if count else None
        if "zeros" in found:
            zeros = found.pop("zeros")
            found["zero_pct"] = 100 * zeros / known if known else None
    return stats


def _frequent(dataset: Summaries, name: str) -> dict[str, Any]:
    """The most frequent values of a column, each with its count; of equal ones the first."""
    count = (("count", None, False, 0, "count()"),)
    groups = dataset._derive(dataset._native.aggregate([name], list(count)))
    rows = groups.filter(expr=col(name).is_not_null()).sort(["count()", name], [True, False])
    return {
        f"approx_topk[{at}]": {name: row[name], "count": row["count()"]}
        for at, row in enumerate(rows.take(_TOP))
    }


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
