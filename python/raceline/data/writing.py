"""Running a dataset into files."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import column_names, whole_number
from raceline.data.handle import Handle
from raceline.data.ray_arguments import WRITE_ARGUMENTS, accepts
from raceline.data.save_mode import SaveMode
from raceline.data.write_targets import OwnWriter, Target
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

    ``filesystem`` is one of PyArrow or fsspec, as of ``read_parquet``. In those that the engine
    does not know, and with arguments of PyArrow's or pandas' own writers, workers write the files:
    each has exactly ``max_rows_per_file`` rows, or else ``min_rows_per_file``, but for the last
    one, and about 64 MiB where neither is given. Files appear when all of them are written.
    ``arrow_open_stream_args`` are ``compression`` of the files, which then have its ending
    (``.gz``), and ``buffer_size``.
    """

    __slots__ = ()

    @accepts(WRITE_ARGUMENTS)
    def write_parquet(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        arrow_parquet_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        filesystem: Any = None,
        arrow_open_stream_args: Mapping[str, Any] | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        compression: Any = "snappy",
        row_group_size: int | None = None,
        storage_options: Mapping[str, str] | None = None,
        **arrow_parquet_args: Any,
    ) -> None:
        """Writes Parquet files.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            arrow_parquet_args_fn: Makes arguments as ``arrow_parquet_args``, in the worker that
                writes.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            filesystem: See the class.
            arrow_open_stream_args: See the class.
            mode: What to do when the folder exists.
            compression: Codec of the pages: ``"snappy"``, ``"zstd"``, ``"gzip"``, ``"lz4"`` or
                ``"none"``, which None is too. PyArrow writes others, and those of a dict of
                columns.
            row_group_size: Rows of a row group; None leaves it to the writer. Fewer stand in
                the last group of a file, and in a group whose rows would take over 128 MiB or
                over a 24th of the session's memory.
            storage_options: See the class.
            **arrow_parquet_args: Of ``pyarrow.parquet.write_table``, which then writes the files.

        Raises:
            TypeError: A keyword is none of these.
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
        target = Target(path, filesystem, storage_options, mode, filename_provider)
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        partitions = column_names(partition_cols or [], "partition_cols")
        rows = _rows("row_group_size", row_group_size)
        codec = compression.lower() if isinstance(compression, str) else compression or "none"
        if codec == "brotli" or isinstance(codec, Mapping):
            # The engine has no such pages.
            arrow_parquet_args["compression"], codec = codec, "none"
        own = OwnWriter(arrow_parquet_args, arrow_parquet_args_fn, arrow_open_stream_args)
        options = {"format": "parquet", "partition_cols": partitions, "row_group_size": rows}
        own.write(self, target, options | {"compression": codec} | bounds)

    @accepts(WRITE_ARGUMENTS)
    def write_csv(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        arrow_csv_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        filesystem: Any = None,
        arrow_open_stream_args: Mapping[str, Any] | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        storage_options: Mapping[str, str] | None = None,
        **arrow_csv_args: Any,
    ) -> None:
        """Writes files of comma-separated values with a header; a missing value is empty.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            arrow_csv_args_fn: Makes arguments as ``arrow_csv_args``, in the worker that writes.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            filesystem: See the class.
            arrow_open_stream_args: See the class.
            mode: What to do when the folder exists.
            storage_options: See the class.
            **arrow_csv_args: Of ``pyarrow.csv.write_csv``, which then writes the files.

        Raises:
            TypeError: A keyword is none of these.
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
        target = Target(path, filesystem, storage_options, mode, filename_provider)
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        partitions = column_names(partition_cols or [], "partition_cols")
        own = OwnWriter(arrow_csv_args, arrow_csv_args_fn, arrow_open_stream_args)
        own.write(self, target, {"format": "csv", "partition_cols": partitions} | bounds)

    @accepts(WRITE_ARGUMENTS)
    def write_json(
        self,
        path: Path,
        *,
        partition_cols: str | Sequence[str] | None = None,
        pandas_json_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        filename_provider: FilenameProvider | None = None,
        num_rows_per_file: int | None = None,
        filesystem: Any = None,
        arrow_open_stream_args: Mapping[str, Any] | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        storage_options: Mapping[str, str] | None = None,
        **pandas_json_args: Any,
    ) -> None:
        """Writes files of JSON objects, one row a line.

        Args:
            path: See the class, as for all not described here.
            partition_cols: See the class.
            pandas_json_args_fn: Makes arguments as ``pandas_json_args``, in the worker that writes.
            min_rows_per_file: See the class.
            max_rows_per_file: See the class.
            filename_provider: See the class.
            num_rows_per_file: See the class.
            filesystem: See the class.
            arrow_open_stream_args: See the class.
            mode: What to do when the folder exists.
            storage_options: See the class.
            **pandas_json_args: Of ``pandas.DataFrame.to_json``, which then writes the files.

        Raises:
            TypeError: A keyword is none of these.
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
        target = Target(path, filesystem, storage_options, mode, filename_provider)
        bounds = _bounds(min_rows_per_file, max_rows_per_file, num_rows_per_file)
        partitions = column_names(partition_cols or [], "partition_cols")
        own = OwnWriter(pandas_json_args, pandas_json_args_fn, arrow_open_stream_args)
        own.write(self, target, {"format": "json", "partition_cols": partitions} | bounds)


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


def _rows(name: str, rows: int | None) -> int | None:
    """A number of rows, or None."""
    return None if rows is None else whole_number(name, rows, 1)
