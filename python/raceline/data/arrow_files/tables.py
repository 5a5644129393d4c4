"""Files of Parquet, comma-separated values and JSON, as PyArrow reads them."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.arrow_files.form import TableForm
from raceline.errors import SourceError

if TYPE_CHECKING:
    from raceline.data.arrow_filter import ArrowFilter

__all__ = ["CsvForm", "JsonForm", "ParquetForm"]

# Bytes of the rows that are handed on at once.
_BATCH_BYTES = 8 * 2**20
_BATCH_ROWS = 2**17
# Bytes of JSON that are parsed at once, and of which the columns are found.
_PIECE_BYTES = 16 * 2**20


class ParquetForm(TableForm):
    """Parquet, of which only some columns and rows are read."""

    name = "Parquet"
    is_random = True

    def __init__(self, columns: Sequence[str] | None, rows: ArrowFilter | None) -> None:
        """Takes the columns to read, None of which are all, and which rows."""
        self._columns = columns
        #: Which rows are read.
        self.rows = rows

    def schema_of(self, file: Any) -> Any:
        """The columns that are read."""
        pa, parquet = optional("pyarrow"), optional("pyarrow.parquet")
        schema = parquet.ParquetFile(file).schema_arrow
        taken = [field for field in schema if self._columns is None or field.name in self._columns]
        return pa.schema(taken, schema.metadata)

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """Some MiB of rows at a time."""
        pa, parquet = optional("pyarrow"), optional("pyarrow.parquet")
        opened = parquet.ParquetFile(file, pre_buffer=False)
        wanted = self._columns if schema is None else schema.names
        there = opened.schema_arrow.names
        columns = there if wanted is None else [name for name in there if name in wanted]
        rows = _rows_of(opened.metadata)
        if self.rows is None:
            batches = opened.iter_batches(rows, columns=columns, use_threads=False)
        else:
            fragment = optional("pyarrow.dataset").ParquetFileFormat().make_fragment(file)
            batches = fragment.to_batches(
                columns=columns,
                filter=self.rows.rows,
                batch_size=rows,
                batch_readahead=1,
                use_threads=False,
            )
        for batch in batches:
            if batch.num_rows:
                yield pa.Table.from_batches([batch])


class CsvForm(TableForm):
    """Comma-separated values, a block at a time."""

    name = "CSV"

    def __init__(self, read: Any, parse: Any, convert: Any, *, has_header: bool | None) -> None:
        """Takes PyArrow's options.

        Args:
            read: ``ReadOptions``.
            parse: ``ParseOptions``.
            convert: ``ConvertOptions``, or None for what the engine takes for missing.
            has_header: Whether the first line names the columns; None leaves it to ``read``.
        """
        self._read, self._parse, self._convert = read, parse, convert
        self._has_header = has_header
        self.looks_first = convert is None

    def schema_of(self, file: Any) -> Any:
        """The columns that the first block tells."""
        pa = optional("pyarrow")
        schema = self._named(self._reader(file, None).schema)
        if self._convert is not None:
            return schema
        # Nothing but empty fields are empty texts.
        kinds = [pa.string() if pa.types.is_null(kind) else kind for kind in schema.types]
        return pa.schema(list(zip(schema.names, kinds, strict=True)))

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """A block at a time."""
        pa = optional("pyarrow")
        reader = self._reader(file, schema)
        names = self._named(reader.schema).names
        for batch in reader:
            if batch.num_rows:
                yield pa.Table.from_batches([batch]).rename_columns(names)

    def _reader(self, file: Any, schema: Any) -> Any:
        """PyArrow's reader, for the types that are known."""
        csv, pa = optional("pyarrow.csv"), optional("pyarrow")
        read = self._read or csv.ReadOptions()
        if self._has_header is not None:
            read.autogenerate_column_names = not self._has_header
        convert = copy.copy(self._convert or csv.ConvertOptions(null_values=[""]))
        if schema is not None:
            names = schema.names
            if self._has_header is False:
                # PyArrow calls them `f0`, `f1`...
                places = [name.removeprefix("column_") for name in names]
                names = [f"f{int(at) - 1}" if at.isdigit() else at for at in places]
            types = dict(zip(names, schema.types, strict=True))
            known = {name: kind for name, kind in types.items() if not pa.types.is_null(kind)}
            convert.column_types = {**convert.column_types, **known}
        return csv.open_csv(
            file, read_options=read, parse_options=self._parse, convert_options=convert
        )

    def _named(self, schema: Any) -> Any:
        """The columns by the names that the engine gives them."""
        if self._has_header is not False:
            return schema
        pa = optional("pyarrow")
        fields = enumerate(schema, 1)
        return pa.schema([field.with_name(f"column_{number}") for number, field in fields])


class JsonForm(TableForm):
    """JSON objects, one a line, or an array of them."""

    name = "JSON"

    def __init__(self, read: Any, parse: Any) -> None:
        """Takes PyArrow's options, or None for those with which texts stay texts."""
        self._read, self._parse = read, parse

    def schema_of(self, file: Any) -> Any:
        """The columns of the first 16 MiB."""
        pa = optional("pyarrow")
        for piece in self._pieces(file):
            table = piece if isinstance(piece, pa.Table) else self._parsed(piece, None)
            return table.schema
        return pa.schema([])

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """Some MiB of rows at a time."""
        pa = optional("pyarrow")
        for piece in self._pieces(file):
            table = piece if isinstance(piece, pa.Table) else self._parsed(piece, schema)
            schema = table.schema if schema is None else schema
            if table.num_rows:
                yield table

    def _pieces(self, file: Any) -> Iterator[Any]:
        """Whole lines as bytes, or the table of an array."""
        start = file.read(_PIECE_BYTES)
        if start.lstrip()[:1] == b"[":
            yield _table_of(json.loads(start + file.read()))
            return
        if self._parse is not None and self._parse.newlines_in_values:
            start += file.read()
        rest = b""
        while start:
            lines, end, after = (rest + start).rpartition(b"\n")
            start = file.read(_PIECE_BYTES)
            if not start:
                lines, after = lines + end + after, b""
            rest = after
            if lines.strip():
                yield lines

    def _parsed(self, lines: bytes, schema: Any) -> Any:
        """The rows of lines, with the types that are known."""
        reader, pa = optional("pyarrow.json"), optional("pyarrow")
        options = self._parse or reader.ParseOptions()
        if schema is None and self._parse is None:
            # PyArrow would make times of texts that look like them.
            schema = _without_times(reader.read_json(io.BytesIO(lines), self._blocks(lines)).schema)
        if schema is not None:
            known = [field for field in schema if not pa.types.is_null(field.type)]
            options = reader.ParseOptions(
                explicit_schema=pa.schema(known),
                newlines_in_values=options.newlines_in_values,
                unexpected_field_behavior=options.unexpected_field_behavior,
            )
        return reader.read_json(io.BytesIO(lines), self._blocks(lines), options)

    def _blocks(self, lines: bytes) -> Any:
        """How PyArrow reads; a block of it must hold the longest object."""
        if self._read is not None:
            return self._read
        return optional("pyarrow.json").ReadOptions(use_threads=False, block_size=len(lines) + 1)


def _rows_of(metadata: Any) -> int:
    """Rows of a Parquet file that come to some MiB."""
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    size = max(sum(int(group.total_byte_size) for group in groups), 1)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * int(metadata.num_rows) // size))


def _table_of(rows: Any) -> Any:
    """A table of the objects of an array; a key that one lacks is missing there."""
    pa = optional("pyarrow")
    for at, row in enumerate(rows):
        if not isinstance(row, dict):
            raise SourceError(
                f"element {at} of the array is no object, but `{type(row).__name__}`",
                hint="`read_text` reads lines as they are",
            )
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})


def _without_times(schema: Any) -> Any:
    """The columns, of which those of times are texts."""
    pa = optional("pyarrow")

    def plain(kind: Any) -> Any:
        if pa.types.is_timestamp(kind):
            return pa.string()
        if pa.types.is_list(kind):
            return pa.list_(plain(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([one.with_type(plain(one.type)) for one in kind])
        return kind

    return pa.schema([field.with_type(plain(field.type)) for field in schema])
