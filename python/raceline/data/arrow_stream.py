"""A run of a dataset as a stream of Arrow record batches of one schema."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.formats import join
from raceline.data.iterator import native_batches_of
from raceline.data.plain_columns import refuse_objects
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline import _native
    from raceline._native import Batch

__all__ = ["begun", "planned_schema", "reader_of"]

# Types that change within so many bytes of first rows are united.
_HEAD_BYTES = 16 << 20


def planned_schema(native: _native.Dataset) -> pa.Schema | None:
    """The columns as the plan tells them; None where it does not.

    Raises:
        ImportError: pyarrow is not installed.
    """
    planned = native.schema(False)
    return None if planned is None else optional("pyarrow").schema(planned)


def begun(native: _native.Dataset) -> tuple[pa.Schema, Iterator[Batch]]:
    """Begins a run of a dataset whose plan does not tell its columns.

    Returns:
        The columns of the first rows, and all batches, of which the first are held.

    Raises:
        ImportError: pyarrow is not installed.
    """
    arrow = optional("pyarrow")
    batches = native_batches_of(native)
    head: list[Batch] = []
    held_bytes = 0
    for batch in batches:
        head.append(batch)
        held_bytes += arrow.table(batch).nbytes
        if held_bytes >= _HEAD_BYTES:
            break
    if not head:
        found = native.schema(True)
        return arrow.schema([] if found is None else found), batches
    schema = arrow.table(join([batch.slice(0, 0) for batch in head])).schema
    return schema, itertools.chain(_drained(head), batches)


def reader_of(
    batches: Iterator[Batch],
    schema: pa.Schema,
    form: Callable[[pa.Table], pa.Table] | None = None,
) -> pa.RecordBatchReader:
    """The batches as a reader, which takes the next one when it is asked for it.

    Args:
        batches: The batches of a run.
        schema: The columns that they get.
        form: Makes of their rows what is read, in other types of columns.

    Raises:
        ImportError: pyarrow is not installed.
        PlanError: A column holds objects. While it is read: a batch does not fit the schema.
    """
    arrow = optional("pyarrow")
    refuse_objects(schema)
    formed = schema if form is None else form(schema.empty_table()).schema

    def fitted() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            table = _fitted(arrow.table(batch), schema, arrow)
            yield from (table if form is None else form(table)).to_batches()

    return arrow.RecordBatchReader.from_batches(formed, fitted())


def _drained(head: list[Batch]) -> Iterator[Batch]:
    """The batches, each of which is forgotten when it is taken."""
    while head:
        yield head.pop(0)


def _fitted(table: pa.Table, schema: pa.Schema, arrow: Any) -> pa.Table:
    """The rows in columns of these types; a column that they lack is missing in all of them.

    Raises:
        PlanError: There is another column, or a value that the type of its column has not.
    """
    if table.schema.equals(schema, check_metadata=True):
        return table
    for name in table.column_names:
        if name not in schema.names:
            raise PlanError(
                f"column `{name}` is not in the first rows, which tell the columns of a stream",
                column=name,
                hint="give every row the same columns, or use `to_arrow()`",
            )
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(arrow.nulls(len(table), field.type))
            continue
        column = table.column(field.name)
        columns.append(column if column.type.equals(field.type) else _cast(column, field, arrow))
    return arrow.Table.from_arrays(columns, schema=schema)


def _cast(column: pa.ChunkedArray, field: pa.Field, arrow: Any) -> pa.ChunkedArray:
    texts = (arrow.string(), arrow.large_string(), arrow.string_view())
    try:
        if (column.type in texts) != (field.type in texts) and not arrow.types.is_null(column.type):
            raise arrow.ArrowInvalid("numbers are not read from texts, nor written as such")
        return column.cast(field.type)
    except (arrow.ArrowInvalid, arrow.ArrowNotImplementedError) as error:
        raise PlanError(
            f"column `{field.name}` is `{field.type}` in the first rows and `{column.type}` later",
            column=field.name,
            hint="cast it to one type, or use `to_arrow()`, which sees all rows first",
        ) from error
