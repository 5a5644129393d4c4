"""Tables without types that only some Arrow libraries know."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["array_tensors", "nested_tensors", "plain_table", "refuse_objects"]

_EXTENSION_NAME = b"ARROW:extension:name"
_OBJECT = b"raceline.object"


def refuse_objects(schema: pa.Schema) -> None:
    """Refuses columns of pickled Python objects, which mean nothing to others.

    Raises:
        PlanError: There is one.
    """
    for field in schema:
        if (field.metadata or {}).get(_EXTENSION_NAME) == _OBJECT:
            raise PlanError(
                f"column `{field.name}` holds Python objects that Arrow has no type for",
                column=field.name,
                hint="drop it, or `map` its values to numbers, strings, lists or arrays",
            )


def nested_tensors(table: pa.Table) -> pa.Table:
    """The table with tensors of one shape as lists of fixed size in one another, without a copy.

    Raises:
        ImportError: pyarrow is not installed.
        PlanError: A column holds Python objects.
    """
    arrow = optional("pyarrow")
    refuse_objects(table.schema)
    for at, field in enumerate(table.schema):
        if isinstance(field.type, arrow.FixedShapeTensorType):
            kind = _nested_type(field.type, arrow)
            chunks = [_nested(chunk, arrow) for chunk in table.column(at).chunks]
            column = arrow.chunked_array(chunks, type=kind)
            table = table.set_column(at, arrow.field(field.name, kind), column)
    return table


def plain_table(table: pa.Table) -> pa.Table:
    """As :func:`nested_tensors`, with strings and bytes in the forms that all libraries know.

    Raises:
        ImportError: pyarrow is not installed.
        PlanError: A column holds Python objects.
    """
    arrow = optional("pyarrow")
    table = nested_tensors(table)
    forms = {arrow.string_view(): arrow.string(), arrow.binary_view(): arrow.binary()}
    for at, field in enumerate(table.schema):
        if (kind := forms.get(field.type)) is not None:
            table = table.set_column(at, arrow.field(field.name, kind), table.column(at).cast(kind))
    return table


def array_tensors(table: pa.Table) -> pa.Table:
    """The table with arrays of one shape of Hugging Face's as tensors, without a copy.

    Columns of other shapes, or with missing arrays, are lists of lists.

    Raises:
        ImportError: pyarrow is not installed.
    """
    arrow = optional("pyarrow")
    for at, field in enumerate(table.schema):
        shape: Any = getattr(field.type, "shape", None)
        is_array = isinstance(field.type, arrow.ExtensionType) and isinstance(shape, tuple)
        if not is_array or None in shape or table.column(at).null_count:
            continue
        chunks = [
            _tensor_of_lists(chunk.storage, shape, arrow) for chunk in table.column(at).chunks
        ]
        if chunks and None not in chunks:
            column = arrow.chunked_array(chunks)
            table = table.set_column(at, arrow.field(field.name, column.type), column)
    return table


def _tensor_of_lists(lists: Any, shape: tuple[int, ...], arrow: Any) -> pa.Array | None:
    """Lists of lists as tensors; None where they have not all that shape."""
    values = lists
    for size in shape:
        rows = len(values)
        values = values.flatten()
        if len(values) != rows * size:
            return None
    storage = arrow.FixedSizeListArray.from_arrays(values, math.prod(shape))
    kind = arrow.fixed_shape_tensor(values.type, shape)
    return arrow.ExtensionArray.from_storage(kind, storage)


def _nested_type(kind: Any, arrow: Any) -> pa.DataType:
    nested = kind.value_type
    for size in reversed(kind.shape):
        nested = arrow.list_(nested, size)
    return nested


def _nested(tensors: Any, arrow: Any) -> pa.Array:
    """Tensors as lists of lists, in the order in which they lie in memory."""
    storage = tensors.storage
    width = storage.type.list_size
    values = storage.values.slice(storage.offset * width, len(storage) * width)
    sizes = list(tensors.type.shape) or [1]
    for size in reversed(sizes[1:]):
        values = arrow.FixedSizeListArray.from_arrays(values, size)
    missing = storage.is_null() if storage.null_count else None
    return arrow.FixedSizeListArray.from_arrays(values, sizes[0], mask=missing)
