"""Rows scaled to unit norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.columns import numbers_of, with_column
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["Normalizer"]


def _l1(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    norms: np.ndarray[Any, Any] = np.nansum(np.abs(matrix), axis=0)
    return norms


def _l2(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    norms: np.ndarray[Any, Any] = np.sqrt(np.nansum(np.square(matrix), axis=0))
    return norms


def _max(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    norms: np.ndarray[Any, Any] = np.fmax.reduce(np.abs(matrix), axis=0)
    return norms


_NORMS: dict[str, Callable[[Any], Any]] = {"l1": _l1, "l2": _l2, "max": _max}


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.normalizer")
class Normalizer(ColumnwisePreprocessor):
    """Divides the columns of each row by their norm: ``"l2"``, ``"l1"`` or ``"max"``.

    A missing value counts for nothing and stays missing. A row of zeros becomes NaN.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 3, "y": 4}])
        >>> Normalizer(columns=["x", "y"]).transform(rows).take_all()
        [{'x': 0.6, 'y': 0.8}]
    """

    norm = Argument[str]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        norm: str = "l2",
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a normalizer.

        Args:
            columns: The columns that make up the vector of a row.
            norm: ``"l1"``, the sum of the absolute values; ``"l2"``, the root of the sum of the
                squares; or ``"max"``, the greatest absolute value.
            output_columns: Names of the normalized ones; None changes them in place.

        Raises:
            PlanError: There is no such norm, or the names do not fit.
        """
        super().__init__(columns, output_columns)
        if norm not in _NORMS:
            raise PlanError(f"there is no norm `{norm!r}`", hint='pass "l1", "l2" or "max"')
        self._norm = norm

    def _transform_arrow(self, table: pa.Table) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        matrix = np.stack([numbers_of(table, name) for name in self._columns])
        nulls = [table[name].is_null().to_numpy() for name in self._columns]
        with np.errstate(all="ignore"):
            matrix = matrix / _NORMS[self._norm](matrix)
        for numbers, null, output in zip(matrix, nulls, self._output_columns, strict=True):
            column = pa.array(numbers, mask=null if null.any() else None)
            table = with_column(table, output, column)
        return table

    def _made(self, table: pa.Table, name: str) -> Any:
        return self._transform_arrow(table)[dict(self._pairs())[name]]
