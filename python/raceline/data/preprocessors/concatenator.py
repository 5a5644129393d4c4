"""Columns of numbers as one vector column."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import column_names
from raceline.data.preprocessors.argument import Argument, checked_columns
from raceline.data.preprocessors.categories import is_list
from raceline.data.preprocessors.columns import column_of, numbers_of, plain, with_column
from raceline.data.preprocessors.columnwise import BuiltinPreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.data.preprocessors.vectors import vector_column

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["Concatenator"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.concatenator")
class Concatenator(BuiltinPreprocessor):
    """Makes one vector column of columns of numbers, which it drops.

    The elements are of the type that holds all of the columns; a missing number is NaN.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 0, "y": 0.5, "z": "a"}, {"x": 3, "y": 0.2, "z": "b"}])
        >>> Concatenator(columns=["x", "y"]).transform(rows).take_batch()["concat_out"]
        array([[0. , 0.5],
               [3. , 0.2]])
    """

    columns = Argument[list[str]]()
    output_column_name = Argument[str]()
    dtype = Argument[Any]()
    raise_if_missing = Argument[bool]()
    flatten = Argument[bool]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        output_column_name: str = "concat_out",
        dtype: Any = None,
        raise_if_missing: bool = False,
        flatten: bool = False,
    ) -> None:
        """Makes a concatenator.

        Args:
            columns: The columns, in the order of the elements.
            output_column_name: Name of the vector column.
            dtype: NumPy type of the elements.
            raise_if_missing: Whether a column that is not there is an error; else it is left out,
                with a warning.
            flatten: Whether columns may hold vectors or lists of equal lengths, whose elements
                follow each other.

        Raises:
            PlanError: A name does not fit.
        """
        super().__init__()
        self._columns = checked_columns(columns)
        [self._output_column_name] = column_names(output_column_name, "output_column_name")
        self._dtype = dtype
        self._raise_if_missing = raise_if_missing
        self._flatten = flatten

    def get_output_columns(self) -> list[str]:
        """The vector column.

        Example:
            >>> Concatenator(["a"], output_column_name="x").get_output_columns()
            ['x']
        """
        return [self._output_column_name]

    def _needed_columns(self, ds: Dataset) -> list[str]:
        if self._raise_if_missing:
            return self._columns
        there = ds.columns(fetch_if_missing=False)
        missing = [] if there is None else [one for one in self._columns if one not in there]
        if missing:
            warnings.warn(
                f"`Concatenator` leaves out columns that are not there: {missing}", stacklevel=4
            )
        return []

    def _transform_arrow(self, table: pa.Table) -> pa.Table:
        import numpy as np

        there = [name for name in self._columns if name in table.column_names]
        if not there or (self._raise_if_missing and there != self._columns):
            missing = [name for name in self._columns if name not in there]
            raise ValueError(f"there are no columns {missing}, only {table.column_names}")
        parts = [self._part(table, name) for name in there]
        matrix = np.concatenate(parts, axis=1)
        return with_column(
            table.drop_columns(there), self._output_column_name, vector_column(matrix)
        )

    def _part(self, table: pa.Table, name: str) -> np.ndarray[Any, Any]:
        """A column as a matrix of one element a row, or of as many as its vectors have."""
        column = column_of(table, name)
        if not is_list(column.type):
            return self._elements(table, name).reshape(-1, 1)
        if not self._flatten:
            raise TypeError(f"column `{name}` holds vectors: pass `flatten=True`")
        import pyarrow.compute as pc

        lengths = pc.unique(pc.list_value_length(column)).to_pylist()
        if None in lengths or len(lengths) > 1:
            raise ValueError(f"the vectors of column `{name}` are of different lengths")
        elements = self._elements(table.select([]).append_column(name, column), name)
        return elements.reshape(len(column), -1)

    def _elements(self, table: pa.Table, name: str) -> np.ndarray[Any, Any]:
        """All numbers of a column, those of lists one after the other."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = column_of(table, name)
        while is_list(column.type):
            column = plain(pc.list_flatten(column))
        numbers = numbers_of(pa.table({name: column}), name)
        kind = self._dtype
        if kind is None and not column.null_count and not pa.types.is_decimal(column.type):
            kind = column.type.to_pandas_dtype()
        # Not by way of float64, which whole numbers do not all fit in.
        if column.null_count == 0 and pa.types.is_integer(column.type):
            numbers = column.to_numpy()
        return numbers if kind is None else numbers.astype(kind)
