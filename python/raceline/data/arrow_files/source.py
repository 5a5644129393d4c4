"""Files that PyArrow opens: which they are, and the columns that all of them have."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.arrow_files.form import Form, TableForm
from raceline.data.arrow_files.tables import ParquetForm
from raceline.data.datasource.file_datasource import FileBasedDatasource
from raceline.data.datasource.filesystem import is_of_process
from raceline.data.datasource.partitioning import PathPartitionParser
from raceline.errors import SourceError, SourceNotFoundError, SourcePermissionError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.arrow_filter import ArrowFilter

__all__ = ["ArrowFiles", "Declared"]

# Files whose columns are united.
_UNITED_FILES = 8
# The columns of reads that this process knows; a worker reads many files of one read.
_COLUMNS: dict[str, Any] = {}
_COLUMNS_MOST = 1000


@dataclass(frozen=True)
class Declared:
    """Columns that the user declares."""

    schema: Any
    is_strict: bool


class ArrowFiles(FileBasedDatasource):
    """Files that PyArrow opens."""

    def __init__(
        self,
        form: Form,
        paths: Any,
        declared: Declared | None = None,
        **selection: Any,
    ) -> None:
        """Finds the files.

        Args:
            form: How one of them becomes rows.
            paths: Files and folders.
            declared: Columns that the user declares.
            **selection: Arguments of ``FileBasedDatasource``.
        """
        super().__init__(paths, **selection)
        self._form = form
        self._declared = declared
        self._first = self.input_files()[:_UNITED_FILES]
        self._identifier = uuid.uuid4().hex
        self._late_rows: ArrowFilter | None = None
        if isinstance(form, ParquetForm) and form.rows is not None:
            outside = self._columns_of_paths()
            if form.rows.fields is None or not form.rows.fields.isdisjoint(outside):
                self._late_rows, form.rows = form.rows, None

    def get_name(self) -> str:
        """What a person would call it."""
        return self._form.name

    @property
    def supports_distributed_reads(self) -> bool:
        """Whether workers see the files."""
        return not is_of_process(self._filesystem)

    def _columns_of_paths(self) -> set[str]:
        """The columns that are not in the files."""
        parse = PathPartitionParser(self._partitioning) if self._partitioning else None
        found = {name for path in self.input_files() if parse for name in parse(path)}
        return found | ({"path"} if self._include_paths else set())

    def _chosen_rows(self, block: Any) -> Any:
        return block if self._late_rows is None else block.filter(self._late_rows.rows)

    def _open_input_source(self, filesystem: Any, path: str, **open_args: Any) -> Any:
        with _naming(path):
            if not self.supports_distributed_reads:
                # All who open a file of fsspec's memory share the place where it is read.
                return self._copied(filesystem, path, open_args)
            if self._form.is_random:
                return filesystem.open_input_file(path)
            return super()._open_input_source(filesystem, path, **open_args)

    def _copied(self, filesystem: Any, path: str, open_args: dict[str, Any]) -> Any:
        """The content of a file as it is now."""
        pa = optional("pyarrow")
        with filesystem.open_input_file(path) as file:
            file.seek(0)
            content = pa.BufferReader(file.read())
        compression = self.resolve_compression(path, open_args)
        is_plain = self._form.is_random or compression is None
        return content if is_plain else pa.CompressedInputStream(content, compression)

    def _read_stream(self, f: Any, path: str) -> Iterator[Any]:
        form = self._form
        if not isinstance(form, TableForm):
            with _naming(path):
                yield from form.blocks(f, None)
            return
        schema = self._columns(form)
        with _naming(path):
            for table in form.blocks(f, schema):
                yield table if schema is None else self._fitted(table, schema)

    def _columns(self, form: TableForm) -> pa.Schema | None:
        """The columns of all files; None where they are those of the only one."""
        if self._declared is not None:
            return self._declared.schema
        if len(self._first) == 1 and not form.looks_first:
            return None
        if self._identifier not in _COLUMNS:
            if len(_COLUMNS) >= _COLUMNS_MOST:
                _COLUMNS.clear()
            _COLUMNS[self._identifier] = self._united(form)
        return _COLUMNS[self._identifier]

    def _united(self, form: TableForm) -> pa.Schema:
        """The columns of the first files, wide enough for all of these."""
        pa = optional("pyarrow")
        united = None
        for path in self._first:
            with (
                self._open_input_source(self._filesystem, path, **self._open_stream_args) as file,
                _naming(path),
            ):
                schema = form.schema_of(file).remove_metadata()
                _check_names(schema.names)
                if united is None:
                    united = schema
                    continue
                try:
                    united = pa.unify_schemas([united, schema], promote_options="permissive")
                except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                    raise _misfit(schema, united, str(error)) from error
        return united

    def _fitted(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """The rows with the columns of all files."""
        pa = optional("pyarrow")
        _check_names(table.column_names)
        declared = self._declared
        extra = [name for name in table.column_names if name not in schema.names]
        missing = [name for name in schema.names if name not in table.column_names]
        if extra and (declared is None or declared.is_strict):
            raise _misfit(table.schema, schema, f"it has a column `{extra[0]}`")
        if missing and declared is not None and declared.is_strict:
            raise _misfit(table.schema, schema, f"it lacks the column `{missing[0]}`")
        columns = []
        for field in schema:
            if field.name in missing:
                columns.append(pa.nulls(table.num_rows, field.type))
                continue
            column = table.column(field.name)
            try:
                columns.append(column if column.type == field.type else column.cast(field.type))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise _misfit(table.schema, schema, f"column `{field.name}`: {error}") from error
        return pa.table(columns, schema=schema)


@contextmanager
def _naming(path: str) -> Iterator[None]:
    """Makes what goes wrong with a file an error that names it."""
    pa = optional("pyarrow")
    try:
        yield
    except SourceError as error:
        if error.uri is not None:
            raise
        raise SourceError(f"`{path}`: {error}", uri=path) from error
    except FileNotFoundError as error:
        raise SourceNotFoundError(f"`{path}` does not exist", uri=path) from error
    except PermissionError as error:
        raise SourcePermissionError(f"access to `{path}` was refused: {error}", uri=path) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SourceError(f"`{path}` cannot be read: {error}", uri=path) from error


def _check_names(names: list[str]) -> None:
    """Refuses two columns of one name."""
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise SourceError(f"column `{twice}` is there twice")


def _misfit(found: pa.Schema, wanted: pa.Schema, why: str) -> SourceError:
    """The error of a file whose columns are others."""

    def listed(schema: pa.Schema) -> str:
        return ", ".join(f"{field.name}: {field.type}" for field in schema)

    return SourceError(
        f"the columns do not fit the others: {why}\n"
        f"  columns of the file: {listed(found)}\n  columns of the read: {listed(wanted)}",
        hint="declare the columns that you need: `schema=`",
    )
