"""Scalers: columns of numbers moved and stretched by what is known of the whole dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.aggregate import Max, Mean, Min, Std
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.columnwise import ArithmeticPreprocessor
from raceline.data.preprocessors.quantiles import quantiles
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.standard_scaler")
class StandardScaler(ArithmeticPreprocessor):
    """``(x - mean) / standard deviation`` of each column, the deviation with ``ddof=0``.

    A constant column becomes 0. Missing values count for nothing and stay missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 1}, {"x": 3}, {"x": None}])
        >>> StandardScaler(columns=["x"]).fit_transform(rows).take_all()
        [{'x': -1.0}, {'x': 1.0}, {'x': None}]
    """

    def _fit(self, ds: Dataset) -> None:
        plan = self.stat_computation_plan
        plan.add_aggregator(aggregator_fn=Mean, columns=self._columns)
        plan.add_aggregator(aggregator_fn=lambda name: Std(name, ddof=0), columns=self._columns)

    def _formula(self, name: str, value: Any) -> Any:
        mean, deviation = self.stats_[f"mean({name})"], self.stats_[f"std({name})"]
        return (value - _number(name, mean)) / _divisor(_number(name, deviation))


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.min_max_scaler")
class MinMaxScaler(ArithmeticPreprocessor):
    """``(x - least) / (greatest - least)`` of each column; a constant one becomes 0.

    Missing values count for nothing and stay missing.

    Example:
        >>> import raceline
        >>> MinMaxScaler(columns=["id"]).fit_transform(raceline.range(3)).take_all()
        [{'id': 0.0}, {'id': 0.5}, {'id': 1.0}]
    """

    def _fit(self, ds: Dataset) -> None:
        for aggregate in (Min, Max):
            self.stat_computation_plan.add_aggregator(
                aggregator_fn=aggregate, columns=self._columns
            )

    def _formula(self, name: str, value: Any) -> Any:
        least = _number(name, self.stats_[f"min({name})"])
        span = _number(name, self.stats_[f"max({name})"]) - least
        return (value - least) / _divisor(span)


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.max_abs_scaler")
class MaxAbsScaler(ArithmeticPreprocessor):
    """``x / greatest absolute value`` of each column; zeros stay zeros.

    Missing values count for nothing and stay missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": -6}, {"x": 3}])
        >>> MaxAbsScaler(columns=["x"]).fit_transform(rows).take_all()
        [{'x': -1.0}, {'x': 0.5}]
    """

    def _fit(self, ds: Dataset) -> None:
        aggregates = [one(name) for name in self._columns for one in (Min, Max)]
        found = list(ds.aggregate(*aggregates).values())
        for name, least, most in zip(self._columns, found[::2], found[1::2], strict=True):
            _number(name, least)
            self.stats_[f"abs_max({name})"] = None if least is None else max(abs(least), abs(most))

    def _formula(self, name: str, value: Any) -> Any:
        return value / _divisor(_number(name, self.stats_[f"abs_max({name})"]))


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.robust_scaler")
class RobustScaler(ArithmeticPreprocessor):
    """``(x - median) / (high quantile - low quantile)`` of each column; outliers do not matter.

    The quantiles are exact, and interpolated where they fall between two values. Where both are
    the same, the column becomes 0. Missing values count for nothing and stay missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": x} for x in (1, 2, 3, 4, 5)])
        >>> RobustScaler(columns=["x"]).fit_transform(rows).take(2)
        [{'x': -1.0}, {'x': -0.5}]
    """

    quantile_range = Argument[tuple[float, float]]()
    quantile_precision = Argument[int]()

    def __init__(
        self,
        columns: str | Sequence[str],
        quantile_range: tuple[float, float] = (0.25, 0.75),
        output_columns: Sequence[str] | None = None,
        quantile_precision: int = 800,
    ) -> None:
        """Makes a scaler.

        Args:
            columns: The columns.
            quantile_range: The low and the high quantile, between 0 and 1.
            output_columns: Names of the scaled ones; None scales them in place.
            quantile_precision: Without effect: the quantiles are exact.

        Raises:
            PlanError: The names do not fit, or the quantiles are none.
        """
        super().__init__(columns, output_columns)
        low, high = quantile_range
        if not 0 <= low < high <= 1:
            raise PlanError(
                f"`quantile_range` must be two rising numbers from 0 to 1, got `{quantile_range!r}`"
            )
        self._quantile_range = (low, high)
        self._quantile_precision = quantile_precision

    def _fit(self, ds: Dataset) -> None:
        low, high = self._quantile_range
        found = quantiles(ds, self._columns, [low, 0.5, high])
        for name, values in found.items():
            for key, value in zip(("low_quantile", "median", "high_quantile"), values, strict=True):
                self.stats_[f"{key}({name})"] = value

    def _formula(self, name: str, value: Any) -> Any:
        low, median, high = (
            _number(name, self.stats_[f"{key}({name})"])
            for key in ("low_quantile", "median", "high_quantile")
        )
        if low == high:
            # Of each value, so that missing ones stay missing; the sum turns -0.0 into 0.0.
            return value * 0.0 + 0.0
        return (value - median) / (high - low)


def _number(name: str, stat: Any) -> float:
    """A statistic as a float; NaN where the column has no values.

    Raises:
        PlanError: The column holds no numbers.
    """
    if stat is None:
        return math.nan
    if isinstance(stat, str | bytes) or not hasattr(stat, "__float__"):
        raise PlanError(f"column `{name}` holds no numbers but `{stat!r}`", column=name)
    return float(stat)


def _divisor(span: float) -> float:
    """What is divided by: 1 instead of 0."""
    return span if span != 0 else 1.0
