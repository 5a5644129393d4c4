"""Columns of Arrow tables as numbers and back, and what of them is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raceline._optional import optional

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

_EXTENSION_NAME = b"ARROW:extension:name"

__all__ = ["column_of", "is_missing", "numbers_of", "plain", "refuse_missing", "with_column"]


def column_of(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column, in a form that all functions of PyArrow take.

    Raises:
        ValueError: There is none of this name.
        TypeError: It holds objects that no Arrow type can hold.
    """
    if name not in table.column_names:
        raise ValueError(f"there is no column `{name}`, only {table.column_names}")
    if (table.schema.field(name).metadata or {}).get(_EXTENSION_NAME) == b"raceline.object":
        raise TypeError(f"column `{name}` holds objects that no Arrow type can hold")
    return plain(table[name])


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column without views and dictionaries, which few functions of PyArrow take."""
    pa = optional("pyarrow")
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([one.storage for one in column.chunks], kind.storage_type)
        kind = column.type
    if pa.types.is_dictionary(kind):
        return plain(column.cast(kind.value_type))
    if pa.types.is_string_view(kind):
        return column.cast(pa.large_string())
    if pa.types.is_binary_view(kind):
        return column.cast(pa.large_binary())
    return column


def is_missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whether each value is null or NaN."""
    return optional("pyarrow.compute").is_null(column, nan_is_null=True)


def refuse_missing(column: pa.ChunkedArray, name: str) -> None:
    """Checks that no value is null or NaN.

    Raises:
        ValueError: One is.
    """
    if optional("pyarrow.compute").any(is_missing(column)).as_py():
        raise ValueError(
            f"column `{name}` has missing values: fill them first, for example by `SimpleImputer`"
        )


def numbers_of(table: pa.Table, name: str) -> np.ndarray[Any, Any]:
    """A column of numbers as float64, NaN where it is missing.

    Raises:
        ValueError: There is no such column.
        TypeError: It holds something else.
    """
    pa = optional("pyarrow")
    column = column_of(table, name)
    kind, types = column.type, pa.types
    if not (
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
        or types.is_null(kind)
    ):
        raise TypeError(f"column `{name}` of type `{kind}` holds no numbers")
    if types.is_boolean(kind):
        column = column.cast(pa.int8())
    numbers: np.ndarray[Any, Any] = column.cast(pa.float64(), safe=False).to_numpy()
    return numbers


def with_column(table: pa.Table, name: str, column: Any) -> pa.Table:
    """The table with a column in its place, or behind the others where it is new."""
    at = table.schema.get_field_index(name)
    if at < 0:
        return table.append_column(name, column)
    return table.set_column(at, name, column)
