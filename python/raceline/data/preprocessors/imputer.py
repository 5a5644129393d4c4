"""Missing values replaced."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.aggregate import Mean
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.categories import value_counts
from raceline.data.preprocessors.columns import column_of, is_missing
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["SimpleImputer"]

_STRATEGIES = ("mean", "most_frequent", "constant")


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.simple_imputer")
class SimpleImputer(ColumnwisePreprocessor):
    """Fills what is missing, null or NaN; a column that is not there is made.

    With ``"mean"`` whole numbers become float64, as their mean is.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 0, "y": None}, {"x": None, "y": "b"}, {"x": 3}])
        >>> SimpleImputer(columns=["x"]).fit_transform(rows).take_all()
        [{'x': 0.0, 'y': None}, {'x': 1.5, 'y': 'b'}, {'x': 3.0, 'y': None}]
        >>> SimpleImputer(["y"], strategy="constant", fill_value="?").transform(rows).take(1)
        [{'x': 0, 'y': '?'}]
    """

    strategy = Argument[str]()
    fill_value = Argument[Any]()

    def __init__(
        self,
        columns: str | Sequence[str],
        strategy: str = "mean",
        fill_value: Any = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes an imputer.

        Args:
            columns: The columns.
            strategy: What is filled in: ``"mean"`` of the column; its ``"most_frequent"`` value,
                of equally frequent ones the last by their text; or a ``"constant"``, for which it
                need not be fitted.
            fill_value: The constant.
            output_columns: Names of the filled ones; None fills them in place.

        Raises:
            PlanError: There is no such strategy, the constant is missing, or the names do not fit.
        """
        super().__init__(columns, output_columns)
        if strategy not in _STRATEGIES:
            raise PlanError(
                f"there is no strategy `{strategy!r}`",
                hint='pass "mean", "most_frequent" or "constant"',
            )
        if strategy == "constant":
            if fill_value is None:
                raise PlanError('`strategy="constant"` needs a `fill_value`')
            self._is_fittable = False
        self._strategy = strategy
        self._fill_value = fill_value

    def _fit(self, ds: Dataset) -> None:
        if self._strategy == "mean":
            self.stat_computation_plan.add_aggregator(aggregator_fn=Mean, columns=self._columns)
            return
        for name, counter in value_counts(ds, self._columns, items=False, missing=True).items():
            counter.pop(None, None)
            if counter:
                most = max(counter.values())
                frequent = [value for value, times in counter.items() if times == most]
                self.stats_[f"most_frequent({name})"] = max(frequent, key=str)

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        for name in self._columns:
            self._filling(name)
        return super()._transform(ds, workers)

    def _needed_columns(self, ds: Dataset) -> list[str]:
        return []

    def _filling(self, name: str) -> Any:
        """What is filled into a column.

        Raises:
            PlanError: The column had no value when it was fitted.
        """
        found = self._fill_value
        if self._strategy != "constant":
            found = self.stats_.get(f"{self._strategy}({name})")
        if found is None:
            raise PlanError(
                f"column `{name}` had no values that it could be filled from",
                column=name,
                hint='pass `strategy="constant"` and a `fill_value`, or leave the column out',
            )
        return found

    def _made(self, table: pa.Table, name: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        filling = self._filling(name)
        if name not in table.column_names:
            return pa.repeat(pa.scalar(filling), table.num_rows)
        column = column_of(table, name)
        if self._strategy == "mean" and not pa.types.is_floating(column.type):
            column = column.cast(pa.float64(), safe=False)
        scalar = _as_held(filling, column.type)
        if scalar is None:
            scalar = pa.scalar(filling)
            column = _widened(column, scalar.type, name)
        return pc.if_else(is_missing(column), scalar, column)


def _as_held(filling: Any, kind: pa.DataType) -> Any:
    """What is filled in as a value of a column's type; None where that cannot hold it."""
    import pyarrow as pa

    try:
        scalar = pa.scalar(filling, type=kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return None
    # Whole numbers are cut off without an error. Others may be rounded.
    is_cut = pa.types.is_integer(kind) and scalar.as_py() != filling
    return None if is_cut or pa.types.is_null(kind) else scalar


def _widened(column: pa.ChunkedArray, kind: pa.DataType, name: str) -> pa.ChunkedArray:
    """A column as the type of what is filled in, where it can be of that.

    Raises:
        ValueError: It cannot.
    """
    import pyarrow as pa

    numbers = pa.types.is_integer(column.type) and pa.types.is_floating(kind)
    if numbers or pa.types.is_null(column.type):
        return column.cast(kind, safe=False)
    raise ValueError(f"column `{name}` of type `{column.type}` cannot hold a `{kind}`")
