"""Running a dataset into files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from raceline.data._arguments import column_names, path_text, storage_texts, whole_number
from raceline.data.handle import Handle
from raceline.data.ray_arguments import WRITE_ARGUMENTS, accepts
from raceline.data.save_mode import SaveMode, save_mode
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.datasource.filename_provider import FilenameProvider

__all__ = ["Writes"]

Path = str | os.PathLike[str]


class Writes(Handle):
    """The part of a dataset that writes files. All of it runs the dataset.

    Files appear whole or not at all: a run that fails or is interrupted leaves none that could be
    taken for its result. ``path`` is a folder, local or ``s3://``, made if need be;
    ``storage_options`` are as of ``read_parquet``. ``partition_cols`` are columns whose values
    become folders ``column=value`` and leave the files. A file holds at least
    ``min_rows_per_file`` rows, but for the last one, and at most ``max_rows_per_file``.

    Files are called ``{dataset}_{write}_{number}.{extension}``, where the first two are identifiers
    and the numbers have the order of the rows (Parquet's with ``-0`` behind the number), or as a
    ``FilenameProvider`` says, whose ``get_filename_for_task`` is asked for each file.
    ``num_rows_per_file`` is the older name of ``min_rows_per_file``.
    """

    __slots__ = ()

    @accepts(WRITE_ARGUMENTS)
    def write_parquet(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        compression: Literal["snappy", "zstd", "gzip", "lz4", "none"] | None = "snappy",
        row_group_size: int | None = None,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        """Writes Parquet files.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            mode: What to do when the folder exists.
            compression: Codec of the pages; None is ``"none"``.
            row_group_size: Rows of a row group; None leaves it to the writer. Fewer stand in
                the last group of a file, and in a group whose rows would take over 128 MiB or
                over a 24th of the session's memory.
            storage_options: See the class.

        Raises:
            PlanError: An argument is out of range, a column's type cannot be written, or the
                target exists and must not.
            SourceError: The target cannot be written.

        Example:
            >>> import raceline, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     raceline.range(3).write_parquet(f"{folder}/numbers")
            ...     raceline.read_parquet(f"{folder}/numbers").sum("id")
            3
        """
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        options = _options(path, mode, storage_options)
        options |= bounds | _names(filename_provider, options["mode"])
        self._native.write(
            options
            | {
                "format": "parquet",
                "partition_cols": column_names(partition_cols or [], "partition_cols"),
                "compression": compression or "none",
                "row_group_size": _rows("row_group_size", row_group_size),
            }
        )

    @accepts(WRITE_ARGUMENTS)
    def write_csv(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        """Writes files of comma-separated values with a header; a missing value is empty.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            mode: What to do when the folder exists.
            storage_options: See the class.

        Raises:
            PlanError: An argument is out of range, a column's type cannot be written, or the
                target exists and must not.
            SourceError: The target cannot be written.

        Example:
            >>> import raceline, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     raceline.range(3).write_csv(f"{folder}/numbers")
            ...     raceline.read_csv(f"{folder}/numbers").take_all()
            [{'id': 0}, {'id': 1}, {'id': 2}]
        """
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        options = _options(path, mode, storage_options)
        options |= bounds | _names(filename_provider, options["mode"])
        partitions = column_names(partition_cols or [], "partition_cols")
        self._native.write(options | {"format": "csv", "partition_cols": partitions})

    @accepts(WRITE_ARGUMENTS)
    def write_json(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        storage_options: Mapping[str, str] | None = None,
    ) -> None:
        """Writes files of JSON objects, one row a line.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            mode: What to do when the folder exists.
            storage_options: See the class.

        Raises:
            PlanError: An argument is out of range, a column's type cannot be written, or the
                target exists and must not.
            SourceError: The target cannot be written.

        Example:
            >>> import raceline, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     raceline.range(2).write_json(f"{folder}/numbers")
            ...     raceline.read_json(f"{folder}/numbers").take_all()
            [{'id': 0}, {'id': 1}]
        """
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        options = _options(path, mode, storage_options)
        options |= bounds | _names(filename_provider, options["mode"])
        partitions = column_names(partition_cols or [], "partition_cols")
        self._native.write(options | {"format": "json", "partition_cols": partitions})


def _options(
    path: Path,
    mode: SaveMode | str,
    storage_options: Mapping[str, str] | None,
) -> dict[str, Any]:
    """What all formats share, checked, as the engine takes it."""
    checked_mode = save_mode(mode)
    return {
        "path": path_text(path),
        "mode": "error" if checked_mode is SaveMode.CREATE else checked_mode.value,
        "storage_options": storage_texts(storage_options),
    }


def _bounds(least: int | None, most: int | None, rows: int | None) -> dict[str, int | None]:
    """The bounds of the rows of a file."""
    if rows is not None:
        if least is not None:
            raise PlanError("pass either `min_rows_per_file` or `num_rows_per_file`, not both")
        warnings.warn(
            "`num_rows_per_file` is called `min_rows_per_file` now",
            DeprecationWarning,
            stacklevel=4,
        )
        least = _rows("num_rows_per_file", rows)
    least, most = _rows("min_rows_per_file", least), _rows("max_rows_per_file", most)
    if least is not None and most is not None and least > most:
        raise PlanError(f"`min_rows_per_file` {least} is above `max_rows_per_file` {most}")
    return {"min_rows_per_file": least, "max_rows_per_file": most}


def _names(provider: FilenameProvider | None, mode: str) -> dict[str, Any]:
    """What the files of a write are called."""
    if provider is None:
        import uuid

        return {"dataset_id": uuid.uuid4().hex}
    from raceline.data.datasource.filename_provider import FilenameProvider, checked_name

    if not isinstance(provider, FilenameProvider):
        raise PlanError(
            f"`filename_provider` must be a `FilenameProvider`, got `{type(provider).__name__}`",
            hint="derive your class from `raceline.data.datasource.FilenameProvider`",
        )
    kind = type(provider)
    is_older = kind.get_filename_for_task is FilenameProvider.get_filename_for_task

    def name(write_uuid: str, index: int) -> str:
        if is_older:
            given = provider.get_filename_for_block(None, write_uuid, index, 0)
        else:
            given = provider.get_filename_for_task(write_uuid, index)
        return checked_name(given, write_uuid if mode == SaveMode.APPEND.value else None)

    return {"names": name}


def _rows(name: str, rows: int | None) -> int | None:
    """A number of rows, or None."""
    return None if rows is None else whole_number(name, rows, 1)
