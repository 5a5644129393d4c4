"""Batches as pandas data frames and PyArrow tables, and data frames as columns.

pandas and PyArrow are optional: each function imports what it needs when it is called.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol

from raceline._frame_types import FrameTypes, with_frame_types
from raceline._optional import optional
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_EXTENSION_NAME = b"ARROW:extension:name"
# Columns whose values are Python objects in a frame: tensors and pickled objects.
_OBJECT_EXTENSIONS = frozenset(
    [b"arrow.fixed_shape_tensor", b"arrow.variable_shape_tensor", b"raceline.object"]
)

# Bytes to which the offsets of strings reach.
_STRING_BYTES_MAX = 2**31 - 1


class ArrowBatch(Protocol):
    """What the conversions need of a batch."""

    def numpy(self, writable: bool = False) -> dict[str, Any]:
        """A dict of column name to array."""
        ...

    def __arrow_c_array__(self, requested_schema: Any = None) -> tuple[Any, Any]:
        """The batch by Arrow's C interface."""
        ...


def to_arrow(batch: ArrowBatch) -> pa.Table:
    """The batch as a ``pyarrow.Table`` over the same memory.

    Raises:
        ImportError: PyArrow is not installed.
    """
    table: pa.Table = optional("pyarrow").table(batch)
    return table


def to_pandas(batch: ArrowBatch, types: FrameTypes | None = None) -> pd.DataFrame:
    """The batch as a data frame of Arrow-backed columns; null is ``pandas.NA``.

    Tensor columns hold an array a row, object columns the objects. Of rows that came as frames,
    ``types`` are those of pandas that the columns have instead.

    Raises:
        ImportError: pandas or PyArrow is not installed.
    """
    arrow, pandas = optional("pyarrow"), optional("pandas")
    table = arrow.table(batch)
    objects = [field.name for field in table.schema if _is_object(field, arrow)]
    plain = table.drop_columns(objects)
    frame: pd.DataFrame
    if types is None:
        frame = plain.to_pandas(types_mapper=pandas.ArrowDtype)
    else:
        frame = with_frame_types(plain, types)
    if objects:
        arrays = batch.numpy()
        index = pandas.RangeIndex(len(table))
        for name in objects:
            frame[name] = pandas.Series(list(arrays[name]), index=index, dtype=object)
        return frame.reindex(columns=table.column_names)
    return frame


def _is_object(field: pa.Field, pa: Any) -> bool:
    if isinstance(field.type, pa.FixedShapeTensorType):
        return True
    return (field.metadata or {}).get(_EXTENSION_NAME) in _OBJECT_EXTENSIONS


def exported(data: Any) -> Any:
    """What exports Arrow data of something: a Polars frame may export what others cannot read.

    Raises:
        ImportError: PyArrow is not installed, which a Polars column of nulls needs.
        PlanError: A column of a Polars frame has a type that Arrow lacks.
    """
    pl = sys.modules.get("polars")
    if pl is None or not isinstance(data, pl.DataFrame):
        return data
    for name, kind in data.schema.items():
        if kind in (pl.Object, pl.Int128, getattr(pl, "UInt128", pl.Int128)):
            raise PlanError(
                f"column `{name}` is `{kind}`, for which Arrow has no type",
                column=name,
                hint="cast it to one that Arrow has, or drop it",
            )
    # Polars gives columns of nulls a buffer, which Arrow says they have not.
    if pl.Null in data.schema.values():
        optional("pyarrow")
        return data.to_arrow(compat_level=pl.CompatLevel.newest())
    return data


def columns_of(frame: pd.DataFrame) -> dict[str, Any]:
    """The columns of a data frame without its index, each as :func:`column_of` gives it.

    Raises:
        PlanError: Two labels are the same text.
    """
    columns: dict[str, Any] = {}
    for at, label in enumerate(frame.columns):
        name = str(label)
        if name in columns:
            raise PlanError(
                f"column `{name}` comes twice in a data frame",
                column=name,
                hint="give each column a name of its own; labels are taken as text",
            )
        columns[name] = column_of(frame.iloc[:, at])
    return columns


def column_of(series: Any) -> Any:
    """A pandas column (or index, or array) as an Arrow array, a NumPy array or a list.

    What pandas counts as missing is null. Without PyArrow, columns that NumPy cannot hold are
    taken value by value.
    """
    import pandas as pd

    if isinstance(series.dtype, pd.ArrowDtype):
        # It holds one: that takes no conversion, which would take longer than small groups do.
        return getattr(series, "array", series).__arrow_array__()
    if series.dtype != object:
        try:
            import pyarrow as pa
        except ImportError:
            if isinstance(series.dtype.type, type) and series.dtype.kind in "biu":
                return series.to_numpy()
        else:
            return _plain_strings(pa.array(series, from_pandas=True), pa)
    return [None if _is_missing(value, pd) else value for value in series]


def _plain_strings(column: Any, pa: Any) -> Any:
    """The column, with the large strings of pandas as strings, which other sources have."""
    if pa.types.is_large_string(column.type) and column.nbytes <= _STRING_BYTES_MAX:
        return column.cast(pa.string())
    return column


def _is_missing(value: Any, pd: Any) -> bool:
    return value is None or value is pd.NA or (isinstance(value, float) and value != value)
