"""Numbers as the intervals that they fall into."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data._arguments import whole_number
from raceline.data.aggregate import Max, Min
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.columns import numbers_of
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["CustomKBinsDiscretizer", "UniformKBinsDiscretizer"]


class _Discretizer(ColumnwisePreprocessor):
    """Cuts columns as ``pandas.cut`` does."""

    bins = Argument[Any]()
    right = Argument[bool]()
    include_lowest = Argument[bool]()
    duplicates = Argument[str]()
    dtypes = Argument[Mapping[str, Any] | None]()

    def __init__(
        self,
        columns: str | Sequence[str],
        bins: Any,
        *,
        right: bool = True,
        include_lowest: bool = False,
        duplicates: str = "raise",
        dtypes: Mapping[str, Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a discretizer.

        Args:
            columns: Columns of numbers.
            bins: See the class.
            right: Whether an interval holds its right edge, and not its left one.
            include_lowest: Whether the first interval holds its left edge too.
            duplicates: What happens where two edges are the same: ``"raise"`` or ``"drop"``.
            dtypes: For a column, a ``pandas.CategoricalDtype`` whose categories are what the
                intervals become, or a NumPy integer type of the numbers of intervals.
            output_columns: Names of the columns that are made; None replaces the numbers.

        Raises:
            PlanError: The names or bins do not fit.
        """
        super().__init__(columns, output_columns)
        optional("pandas")
        if duplicates not in ("raise", "drop"):
            raise PlanError(f'`duplicates` must be "raise" or "drop", got `{duplicates!r}`')
        if isinstance(bins, Mapping):
            lacking = [name for name in self._columns if name not in bins]
            if lacking:
                raise PlanError(f"`bins` has none for column `{lacking[0]}`", column=lacking[0])
        for one in bins.values() if isinstance(bins, Mapping) else [bins]:
            self._check_bins(one)
        self._bins = bins
        self._right = right
        self._include_lowest = include_lowest
        self._duplicates = duplicates
        self._dtypes = dtypes

    @abstractmethod
    def _check_bins(self, bins: Any) -> None:
        """Refuses bins of a column that are none."""

    def _edges(self, name: str) -> Any:
        """The edges of the intervals of a column."""
        return self._bins[name] if isinstance(self._bins, Mapping) else self._bins

    def _made(self, table: pa.Table, name: str) -> Any:
        import numpy as np
        import pandas as pd
        import pyarrow as pa

        kind: Any = (self._dtypes or {}).get(name)
        is_named = isinstance(kind, pd.CategoricalDtype)
        made = pd.cut(
            numbers_of(table, name),
            self._edges(name),
            right=self._right,
            labels=list(kind.categories) if is_named else False,
            ordered=bool(kind.ordered) if is_named else True,
            include_lowest=self._include_lowest,
            duplicates=self._duplicates,
        )
        if is_named:
            return pa.array(made.astype(kind))
        # Of an `IntervalIndex` the result is categorical, whatever the labels.
        codes = made.codes if isinstance(made, pd.Categorical) else made
        outside = np.isnan(codes) | (codes < 0)
        whole = np.where(outside, 0, codes).astype(np.int64 if kind is None else kind)
        return pa.array(whole, mask=outside if outside.any() else None)


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.custom_kbins_discretizer")
class CustomKBinsDiscretizer(_Discretizer):
    """Replaces numbers by those of the intervals that they fall into, from 0, of your own edges.

    ``bins`` are the rising edges, or a ``pandas.IntervalIndex``, or a dict of these for each
    column. A number outside of all intervals becomes missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 0.2}, {"x": 4.0}, {"x": 99.0}])
        >>> CustomKBinsDiscretizer(["x"], bins=[0, 1, 4, 10]).transform(rows).take_all()
        [{'x': 0}, {'x': 1}, {'x': None}]
    """

    _is_fittable = False

    def _check_bins(self, bins: Any) -> None:
        if isinstance(bins, int | float | str):
            raise PlanError(
                f"`bins` must be edges of intervals, got `{bins!r}`",
                hint="`UniformKBinsDiscretizer` takes the number of intervals",
            )


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.uniform_kbins_discretizer")
class UniformKBinsDiscretizer(_Discretizer):
    """Replaces numbers by those of the intervals that they fall into, from 0, of equal widths.

    ``bins`` is how many there are between the least and the greatest value of a column, or a dict
    of that for each column. A number outside of all intervals becomes missing.

    Example:
        >>> import raceline
        >>> UniformKBinsDiscretizer(["id"], bins=2).fit_transform(raceline.range(4)).take_all()
        [{'id': 0}, {'id': 0}, {'id': 1}, {'id': 1}]
    """

    def _check_bins(self, bins: Any) -> None:
        whole_number("bins", bins, 1)

    def _fit(self, ds: Dataset) -> None:
        aggregates = [one(name) for name in self._columns for one in (Min, Max)]
        found = list(ds.aggregate(*aggregates).values())
        for name, least, most in zip(self._columns, found[::2], found[1::2], strict=True):
            self.stats_[name] = self._uniform(name, least, most)

    def _edges(self, name: str) -> Any:
        return self.stats_[name]

    def _uniform(self, name: str, least: Any, most: Any) -> Any:
        """Edges between two values, a thousandth wider so that both fall within."""
        import numpy as np

        if least is None:
            raise PlanError(f"column `{name}` has no values to be cut", column=name)
        try:
            low, high = float(least), float(most)
        except (TypeError, ValueError):
            raise PlanError(f"column `{name}` holds no numbers", column=name) from None
        if math.isinf(low) or math.isinf(high):
            raise PlanError(f"column `{name}` has infinite values", column=name)
        if low == high:
            low -= 0.001 * abs(low) or 0.001
            high += 0.001 * abs(high) or 0.001
            return np.linspace(low, high, super()._edges(name) + 1)
        edges = np.linspace(low, high, super()._edges(name) + 1)
        wider = (high - low) * 0.001
        if self._right:
            edges[0] -= wider
        else:
            edges[-1] += wider
        return edges
