"""Values as ids, and as vectors of zeros and ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import column_names, whole_number
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.categories import (
    Ids,
    codes_of,
    ids_of,
    is_list,
    items_of,
    value_counts,
)
from raceline.data.preprocessors.columns import column_of, refuse_missing
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor, refuse_unknown
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.data.preprocessors.vectors import counted, vector_column
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["LabelEncoder", "MultiHotEncoder", "OneHotEncoder", "OrdinalEncoder"]


class _Encoder(ColumnwisePreprocessor):
    """Knows the id of each value of a column."""

    #: Whether the values of lists have ids, not the lists.
    _of_items = True

    def _fit(self, ds: Dataset) -> None:
        counters = value_counts(ds, self._columns, items=self._of_items)
        for name, counter in counters.items():
            self.stats_[f"unique_values({name})"] = ids_of(counter, self._most(name))

    def _most(self, name: str) -> int | None:
        """How many values of a column have ids; None is all, in their order."""
        return None

    def _ids(self, name: str) -> Ids:
        """The ids of a column's values."""
        ids: Ids = self.stats_[f"unique_values({name})"]
        return ids


class _LimitedEncoder(_Encoder):
    """Knows the ids of the most frequent values, where that is asked for."""

    max_categories = Argument[dict[str, int] | None]()

    def __init__(
        self,
        columns: str | Sequence[str],
        *,
        max_categories: Mapping[str, int] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes an encoder.

        Args:
            columns: The columns.
            max_categories: For a column, how many of its most frequent values have an element in
                the vector, the most frequent first. Of other columns all have, in their order.
            output_columns: Names of the columns of vectors; None replaces the values.

        Raises:
            PlanError: The names or numbers do not fit.
        """
        super().__init__(columns, output_columns)
        for name, most in (max_categories or {}).items():
            if name not in self._columns:
                raise PlanError(f"`max_categories` names `{name}`, which is none of `columns`")
            whole_number("max_categories", most, 1)
        self._max_categories = None if max_categories is None else dict(max_categories)

    def _most(self, name: str) -> int | None:
        return (self._max_categories or {}).get(name)


def _ids_column(codes: np.ndarray[Any, Any]) -> pa.Array:
    """Ids as a column; one below 0 is missing."""
    import pyarrow as pa

    unseen = codes < 0
    return pa.array(codes, mask=unseen if unseen.any() else None)


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.ordinal_encoder")
class OrdinalEncoder(_Encoder):
    """Replaces each value by its place, from 0, among the sorted values of the fitted dataset.

    A value that was not there becomes missing (NaN in NumPy). Missing values are refused.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": "b"}, {"x": "a"}, {"x": "b"}])
        >>> encoder = OrdinalEncoder(columns=["x"])
        >>> encoder.fit_transform(rows).take_all()
        [{'x': 1}, {'x': 0}, {'x': 1}]
        >>> encoder.stats_
        {'unique_values(x)': {'a': 0, 'b': 1}}
    """

    encode_lists = Argument[bool]()

    def __init__(
        self,
        columns: str | Sequence[str],
        *,
        encode_lists: bool = True,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes an encoder.

        Args:
            columns: The columns.
            encode_lists: Whether each value of a list becomes its id; else the whole list does.
            output_columns: Names of the columns of ids; None replaces the values.

        Raises:
            PlanError: The names do not fit.
        """
        super().__init__(columns, output_columns)
        self._encode_lists = encode_lists
        self._of_items = encode_lists

    def _made(self, table: pa.Table, name: str) -> Any:
        column = column_of(table, name)
        refuse_missing(column, name)
        ids = self._ids(name)
        if not (self._encode_lists and is_list(column.type)):
            return _ids_column(codes_of(column, ids))
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        _, items, _ = items_of(column)
        lengths = pc.list_value_length(column).to_numpy()
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        return pa.LargeListArray.from_arrays(
            pa.array(offsets, pa.int64()), _ids_column(codes_of(items, ids))
        )


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.one_hot_encoder")
class OneHotEncoder(_LimitedEncoder):
    """Replaces each value by a uint8 vector that is 1 at its place among the values, else 0.

    A value that was not there when it was fitted becomes zeros. A list is one value. Missing values
    are refused.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": "b"}, {"x": "a"}, {"x": "c"}])
        >>> OneHotEncoder(columns=["x"]).fit_transform(rows).take_batch()["x"]
        array([[0, 1, 0],
               [1, 0, 0],
               [0, 0, 1]], dtype=uint8)
    """

    _of_items = False

    def _made(self, table: pa.Table, name: str) -> Any:
        import numpy as np

        column, ids = column_of(table, name), self._ids(name)
        refuse_missing(column, name)
        codes = codes_of(column, ids)
        hot = np.zeros((len(codes), len(ids)), dtype=np.uint8)
        rows = np.flatnonzero(codes >= 0)
        hot[rows, codes[rows]] = 1
        return vector_column(hot)


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.multi_hot_encoder")
class MultiHotEncoder(_LimitedEncoder):
    """Replaces each list by an int64 vector of how often each value is in it.

    A value that was not there when it was fitted does not count; a value that is no list counts as
    a list of it. Missing lists are refused when it is fitted, and become zeros later.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": ["b", "a", "b"]}, {"x": ["c"]}])
        >>> MultiHotEncoder(columns=["x"]).fit_transform(rows).take_batch()["x"]
        array([[1, 2, 0],
               [0, 0, 1]])
    """

    def _made(self, table: pa.Table, name: str) -> Any:
        ids = self._ids(name)
        rows, items, _ = items_of(column_of(table, name))
        return vector_column(counted(rows, codes_of(items, ids), (table.num_rows, len(ids))))


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.label_encoder")
class LabelEncoder(_Encoder):
    """Replaces each label by its place, from 0, among the sorted labels of the fitted dataset.

    A label that was not there becomes missing (NaN in NumPy). Missing labels are refused.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"y": "dog"}, {"y": "cat"}])
        >>> encoder = LabelEncoder(label_column="y")
        >>> encoded = encoder.fit_transform(rows)
        >>> encoded.take_all()
        [{'y': 1}, {'y': 0}]
        >>> encoder.inverse_transform(encoded).take_all()
        [{'y': 'dog'}, {'y': 'cat'}]
    """

    label_column = Argument[str]()
    output_column = Argument[str]()

    _of_items = False

    def __init__(self, label_column: str, *, output_column: str | None = None) -> None:
        """Makes an encoder.

        Args:
            label_column: The column of labels.
            output_column: Name of the column of ids; None replaces the labels.

        Raises:
            PlanError: A name does not fit.
        """
        [label] = column_names(label_column, "label_column")
        [output] = column_names(output_column or label, "output_column")
        super().__init__([label], [output])
        self._label_column = label
        self._output_column = output

    def inverse_transform(self, ds: Dataset) -> Dataset:
        """A dataset with the labels of ids; lazy. The ids stay where they are another column.

        Args:
            ds: A dataset that ``transform`` made, or one with the same column of ids. An id that
                there is no label for becomes missing.

        Raises:
            PreprocessorNotFittedException: It is not fitted.

        Example:
            >>> import raceline
            >>> encoder = LabelEncoder("y", output_column="id")
            >>> ids = encoder.fit_transform(raceline.from_items([{"y": "b"}, {"y": "a"}]))
            >>> encoder.inverse_transform(ids.drop_columns("y")).take_all()
            [{'id': 1, 'y': 'b'}, {'id': 0, 'y': 'a'}]
        """
        self._check_fitted("inverse_transform")
        refuse_unknown(ds, [self._output_column])
        return ds.map_batches(self._decoded, batch_format="pyarrow")

    def _decoded(self, table: pa.Table) -> pa.Table:
        """A batch with the labels of its ids."""
        import pyarrow as pa

        from raceline.data.preprocessors.columns import with_column

        labels = list(self._ids(self._label_column))
        places = {at: at for at in range(len(labels))}
        codes = _ids_column(codes_of(column_of(table, self._output_column), places))
        return with_column(table, self._label_column, pa.array(labels).take(codes))

    def _made(self, table: pa.Table, name: str) -> Any:
        column = column_of(table, name)
        refuse_missing(column, name)
        return _ids_column(codes_of(column, self._ids(name)))
