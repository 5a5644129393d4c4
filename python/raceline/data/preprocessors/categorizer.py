"""Values as pandas' categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.categories import codes_of, ids_of, value_counts
from raceline.data.preprocessors.columns import column_of
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["Categorizer"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.categorizer")
class Categorizer(ColumnwisePreprocessor):
    """Makes columns categorical: Arrow dictionaries, as ``pandas.CategoricalDtype`` is in Arrow.

    The categories of a column are its sorted values, or those that you give. A value that is none
    of them becomes missing; missing values stay missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": "b"}, {"x": "a"}])
        >>> made = Categorizer(columns=["x"]).fit_transform(rows)
        >>> made.take_all()
        [{'x': 'b'}, {'x': 'a'}]
        >>> made.schema().types
        [DictionaryType(dictionary<values=large_string, indices=int32, ordered=0>)]
    """

    dtypes = Argument[dict[str, Any]]()

    def __init__(
        self,
        columns: str | Sequence[str],
        dtypes: Mapping[str, pd.CategoricalDtype] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a categorizer.

        Args:
            columns: The columns.
            dtypes: The categories of some columns, which are then not looked for.
            output_columns: Names of the categorical ones; None changes the columns in place.

        Raises:
            ImportError: pandas is not installed.
            PlanError: The names do not fit.
        """
        optional("pandas")
        super().__init__(columns, output_columns)
        self._dtypes = dict(dtypes or {})

    def _fit(self, ds: Dataset) -> None:
        import pandas as pd

        wanted = [name for name in self._columns if name not in self._dtypes]
        found = value_counts(ds, wanted, items=False, missing=True) if wanted else {}
        for counter in found.values():
            counter.pop(None, None)
        self.stats_ = {
            **self._dtypes,
            **{name: pd.CategoricalDtype(list(ids_of(one))) for name, one in found.items()},
        }

    def _made(self, table: pa.Table, name: str) -> Any:
        import numpy as np
        import pyarrow as pa

        kind = self.stats_[name]
        values = kind.categories.tolist()
        column = column_of(table, name)
        codes = codes_of(column, {value: at for at, value in enumerate(values)})
        gone = codes < 0
        indices = pa.array(codes.astype(np.int32), mask=gone if gone.any() else None)
        categories = pa.array(values, type=None if values else column.type)
        if pa.types.is_string(categories.type):
            categories = categories.cast(pa.large_string())
        return pa.DictionaryArray.from_arrays(indices, categories, ordered=bool(kind.ordered))
