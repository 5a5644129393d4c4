"""Columns of counts hashed into one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raceline.data._arguments import column_names, whole_number
from raceline.data.preprocessors.argument import Argument, checked_columns
from raceline.data.preprocessors.columns import column_of, numbers_of, refuse_missing, with_column
from raceline.data.preprocessors.columnwise import BuiltinPreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.data.preprocessors.vectorizer import simple_hash
from raceline.data.preprocessors.vectors import vector_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FeatureHasher"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.feature_hasher")
class FeatureHasher(BuiltinPreprocessor):
    """Adds up columns by the hash of their names, into a vector column; the columns stay.

    Example:
        >>> import raceline
        >>> counts = raceline.from_items([{"I": 1, "like": 1, "dislike": 0, "Python": 1}])
        >>> hasher = FeatureHasher(["I", "like", "dislike", "Python"], 8, "hashed")
        >>> hasher.transform(counts).take_batch()["hashed"]
        array([[0, 0, 0, 1, 1, 0, 0, 1]])
    """

    columns = Argument[list[str]]()
    num_features = Argument[int]()
    output_column = Argument[str]()

    _is_fittable = False

    def __init__(self, columns: str | Sequence[str], num_features: int, output_column: str) -> None:
        """Makes a hasher.

        Args:
            columns: Columns of numbers, such as how often a token comes. Values of floats make a
                float64 vector, all others an int64 one; none may be missing.
            num_features: Length of the vector: the number of different hashes.
            output_column: Name of the vector column.

        Raises:
            PlanError: A name or ``num_features`` does not fit.
        """
        super().__init__()
        self._columns = checked_columns(columns)
        self._num_features = whole_number("num_features", num_features, 1)
        [self._output_column] = column_names(output_column, "output_column")

    def get_output_columns(self) -> list[str]:
        """The vector column.

        Example:
            >>> FeatureHasher(["a", "b"], 4, "hashed").get_output_columns()
            ['hashed']
        """
        return [self._output_column]

    def _transform_arrow(self, table: pa.Table) -> pa.Table:
        import numpy as np
        import pyarrow as pa

        sums = np.zeros((table.num_rows, self._num_features))
        is_whole = True
        for name in self._columns:
            column = column_of(table, name)
            refuse_missing(column, name)
            is_whole &= not (pa.types.is_floating(column.type) or pa.types.is_decimal(column.type))
            sums[:, simple_hash(name, self._num_features)] += numbers_of(table, name)
        vectors = vector_column(sums.astype(np.int64) if is_whole else sums)
        return with_column(table, self._output_column, vectors)
