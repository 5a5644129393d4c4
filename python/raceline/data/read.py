"""Datasets of files.

All reads take the same keywords:

* ``paths``: a file, folder or glob, or a list of these; local, or ``s3://bucket/key``. Folders are
  read with all that is in them, except names that begin with ``_`` or ``.``. Files are read in
  the order of their paths.
* ``storage_options``: ``endpoint``, ``region``, ``access_key_id``, ``secret_access_key`` and more
  of the store; what is missing comes from the environment (``AWS_ENDPOINT_URL``,
  ``AWS_ACCESS_KEY_ID``...).
* ``filesystem``: a file system of PyArrow or fsspec, in which the paths lie, with a scheme or
  without. PyArrow's and fsspec's local ones and PyArrow's ``S3FileSystem`` with keys are read by
  the engine; files of all others are listed when the dataset is made, and opened and decoded by
  PyArrow in worker processes. Files that only the program itself sees, such as those of fsspec's
  memory, are read in it.
* ``arrow_open_stream_args``: ``compression`` of the files where their names do not tell it, such as
  ``"gzip"``, or None; PyArrow then reads them in workers. ``buffer_size`` is taken as well.
* ``partitioning``: ``"hive"`` makes string columns of folders named ``column=value``; a
  ``raceline.data.datasource.Partitioning`` says otherwise which folders become columns, and of
  which types; None makes none.
* ``partition_filter``: a ``PathPartitionFilter``: which files are read, by the values of their
  folders. All files are listed for it, when the dataset is made.
* ``ignore_missing_paths``: whether a path that does not exist is passed over. All paths are looked
  at for it, when the dataset is made.
* ``include_paths``: whether a column ``path`` names each row's file.
* ``file_extensions``: endings of file names to read, without dot, in any case; None reads all.
* ``shuffle``: ``"files"`` reads the files in another random order each time; a
  ``FileShuffleConfig`` with a seed in one that can be had again. Rows of a file stay in order, and
  the columns are those of the first file by its path. All files are listed first.
* ``schema``: columns and types, as a PyArrow schema or a dict of names and PyArrow types. Values
  are cast to them, a column that a file lacks is missing, and other columns are not read. Without
  it the columns are those of the first files, up to eight of them (of CSV and JSON those that come
  to 16 MiB): a column that is null in one of them has its type elsewhere, integers and floats
  together are floats, structs have the fields of all. A file that does not fit is a ``SourceError``
  that shows both schemas.
* ``strict_schema``: whether each file must have the columns of ``schema``, no others, and in
  Parquet exactly those types.
* ``override_num_blocks``: without effect but a warning: batches are cut by bytes.

Nothing is read before the dataset is run, except for what ``schema`` needs. A path that does not
exist raises ``SourceNotFoundError``: at once where it is local, else then. A file that cannot be
read or holds something else raises ``SourceError`` with the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from raceline.data._arguments import column_names, opening_arguments
from raceline.data.blocks import warn_of_blocks
from raceline.data.dataset import Dataset
from raceline.data.file_forms import (
    CsvOptions,
    bytes_form,
    image_form,
    json_form,
    read_rows,
    text_form,
)
from raceline.data.file_selection import Files, Partitions, Paths, SchemaLike, declared_schema
from raceline.data.ray_arguments import READ_ARGUMENTS, accepts
from raceline.data.shuffling import FileShuffle
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.datasource.partitioning import PathPartitionFilter

__all__ = [
    "read_binary_files",
    "read_csv",
    "read_images",
    "read_json",
    "read_parquet",
    "read_text",
]

# Of PyArrow's scanner; none of them changes a row.
_PARQUET_ARGUMENTS = READ_ARGUMENTS | dict.fromkeys(
    ("batch_size", "batch_readahead", "cache_metadata", "fragment_readahead", "use_threads"),
    "batches are cut by bytes, and read ahead as far as memory allows",
)
_COMPRESSED = ("gz", "br", "zst", "lz4")
_JSON_EXTENSIONS = [
    stem + end for stem in ("json", "jsonl") for end in ("", *(f".{one}" for one in _COMPRESSED))
]
_IMAGE_EXTENSIONS = ["png", "jpg", "jpeg"]


@accepts(_PARQUET_ARGUMENTS)
def read_parquet(
    paths: Paths,
    *,
    columns: Sequence[str] | None = None,
    filter: Any = None,
    schema: SchemaLike = None,
    strict_schema: bool = False,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = ("parquet",),
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of Parquet files.

    Columns that are not used, row groups that a ``filter(expr=...)`` rules out and rows beyond a
    ``limit`` are not read.

    Args:
        paths: See the module, as for all not described here.
        columns: Columns to read, in this order; None reads all.
        filter: Rows to read: an expression, as of ``Dataset.filter(expr=...)``, or one of PyArrow.
            What the engine would not evaluate to the same, PyArrow evaluates in worker processes.
        schema: See the module.
        strict_schema: See the module.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        override_num_blocks: See the module.

    Example:
        >>> import raceline, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     raceline.range(3).write_parquet(folder)
        ...     raceline.read_parquet(folder).take_all()
        [{'id': 0}, {'id': 1}, {'id': 2}]
    """
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
    )
    declared = declared_schema(schema, strict=strict_schema)
    named = None if columns is None else column_names(columns)
    return read_rows(files, named, filter, declared)


@accepts(READ_ARGUMENTS)
def read_csv(
    paths: Paths,
    *,
    delimiter: str = ",",
    quote: str = '"',
    has_header: bool = True,
    read_options: Any = None,
    parse_options: Any = None,
    convert_options: Any = None,
    schema: SchemaLike = None,
    strict_schema: bool = False,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    r"""A dataset of files of comma-separated values, compressed or not by their names.

    Types are found from the first rows: int64, float64, bool, date, timestamp or string. An empty
    field is missing, and in a column of strings an empty string, with quotes or without: the
    file does not tell them apart. A line break inside quotes is part of the value.

    Args:
        paths: See the module, as for all not described here.
        delimiter: Separator of fields, one ASCII character.
        quote: Quotation mark of fields, one ASCII character.
        has_header: Whether the first line names the columns; else they are ``column_1``...
        read_options: Of ``pyarrow.csv``. With one of the three PyArrow reads the files, in worker
            processes, unless they only set delimiter and quotation mark.
        parse_options: See above.
        convert_options: See above.
        schema: See the module.
        strict_schema: See the module.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        arrow_open_stream_args: See the module.
        override_num_blocks: See the module.

    Raises:
        PlanError: ``delimiter`` or ``quote`` is not one ASCII character.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "fruit.csv")
        ...     _ = file.write_text("name;price\npear;1.5\nplum;\n")
        ...     raceline.read_csv(file, delimiter=";").take_all()
        [{'name': 'pear', 'price': 1.5}, {'name': 'plum', 'price': None}]
    """
    for name, value in (("delimiter", delimiter), ("quote", quote)):
        if not isinstance(value, str) or len(value) != 1 or not value.isascii():
            raise PlanError(f"`{name}` must be one ASCII character, got `{value!r}`")
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
        arrow_open_stream_args,
    )
    declared = declared_schema(schema, strict=strict_schema)
    options = CsvOptions(read_options, parse_options, convert_options)
    form = options.form(delimiter, quote, has_header=has_header)
    return files.read(
        "csv", form.by_arrow, needs_arrow=form.needs_arrow, **form.by_engine, **declared
    )


@accepts(READ_ARGUMENTS)
def read_json(
    paths: Paths,
    *,
    lines: bool = False,
    read_options: Any = None,
    parse_options: Any = None,
    schema: SchemaLike = None,
    strict_schema: bool = False,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = tuple(_JSON_EXTENSIONS),
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    r"""A dataset of files of JSON objects, compressed or not by their names.

    A file holds one object a line, or one array of objects; which of them is found from the
    file. Columns and types are found from the first 16 MiB of the first file. A key that an
    object lacks is missing; a key that is none of the columns is a ``SourceError``, unless the
    columns are named, as by ``select_columns``.

    Args:
        paths: See the module, as for all not described here.
        lines: As in Ray Data, where it chooses a reader; lines are found without it.
        read_options: Of ``pyarrow.json``. With one of the two PyArrow reads the files, in worker
            processes.
        parse_options: See above.
        schema: See the module.
        strict_schema: See the module.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        arrow_open_stream_args: See the module.
        override_num_blocks: See the module.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "log.jsonl").write_text('{"a": 1}\n{"a": 2}\n')
        ...     raceline.read_json(folder).take_all()
        [{'a': 1}, {'a': 2}]
    """
    if not isinstance(lines, bool):
        raise PlanError(f"`lines` must be True or False, got `{lines!r}`")
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
        arrow_open_stream_args,
    )
    form, needs_arrow = json_form(read_options, parse_options)
    declared = declared_schema(schema, strict=strict_schema)
    return files.read("json", form, needs_arrow=needs_arrow, **declared)


@accepts(READ_ARGUMENTS)
def read_text(
    paths: Paths,
    *,
    encoding: str = "utf-8",
    drop_empty_lines: bool = True,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    r"""A dataset of the lines of text files: one row a line, column ``text``.

    Bytes that are no characters of the encoding are a ``SourceError``.

    Args:
        paths: See the module, as for all not described here.
        encoding: Of the files, as Python names it. What is not UTF-8 is read in worker processes.
        drop_empty_lines: Whether lines without characters are left out.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        arrow_open_stream_args: See the module.
        override_num_blocks: See the module.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "poem.txt").write_text("one\n\ntwo\n")
        ...     raceline.read_text(folder).take_all()
        [{'text': 'one'}, {'text': 'two'}]
    """
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
        arrow_open_stream_args,
    )
    form, needs_arrow = text_form(encoding, drop_empty_lines=drop_empty_lines)
    return files.read("text", form, needs_arrow=needs_arrow, drop_empty_lines=drop_empty_lines)


@accepts(READ_ARGUMENTS)
def read_binary_files(
    paths: Paths,
    *,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    r"""A dataset of whole files: one row a file, column ``bytes``.

    Args:
        paths: See the module, as for all not described here.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        arrow_open_stream_args: See the module.
        override_num_blocks: See the module.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "data.bin").write_bytes(b"\x00\x01")
        ...     raceline.read_binary_files(folder).take_all()
        [{'bytes': b'\x00\x01'}]
    """
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
        arrow_open_stream_args,
    )
    return files.read("binary", bytes_form)


@accepts(READ_ARGUMENTS)
def read_images(
    paths: Paths,
    *,
    size: tuple[int, int] | None = None,
    mode: Literal["RGB", "RGBA", "L"] | None = None,
    storage_options: Mapping[str, str] | None = None,
    partitioning: Partitions = "hive",
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = tuple(_IMAGE_EXTENSIONS),
    shuffle: FileShuffle = None,
    partition_filter: PathPartitionFilter | None = None,
    ignore_missing_paths: bool = False,
    filesystem: Any = None,
    arrow_open_file_args: Mapping[str, Any] | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of JPEG and PNG images: one row a file, column ``image``.

    An image is a uint8 array of height x width x channels, or height x width in mode ``"L"``.
    Without ``size`` each image keeps its own.

    Args:
        paths: See the module, as for all not described here.
        size: Height and width in pixels to resize to; None does not.
        mode: Pixels to convert to; None keeps the file's.
        storage_options: See the module.
        partitioning: See the module.
        include_paths: See the module.
        file_extensions: See the module.
        shuffle: See the module.
        partition_filter: See the module.
        ignore_missing_paths: See the module.
        filesystem: See the module.
        arrow_open_file_args: As ``arrow_open_stream_args``, see the module.
        override_num_blocks: See the module.

    Raises:
        PlanError: ``size`` is not two ints of at least 1, or there is no such mode.

    Example:
        >>> import raceline
        >>> raceline.read_images("photos", size=(224, 224)).take_batch(8)  # doctest: +SKIP
    """
    match size:
        case None | (int(), int()) if size is None or min(size) >= 1:
            pass
        case _:
            raise PlanError(f"`size` must be height and width in pixels, got `{size!r}`")
    if mode not in (None, "RGB", "RGBA", "L"):
        raise PlanError(f"there is no image mode `{mode!r}`", hint='pass "RGB", "RGBA" or "L"')
    warn_of_blocks(override_num_blocks, frames=2)
    files = Files(
        paths,
        storage_options,
        partitioning,
        include_paths,
        file_extensions,
        shuffle,
        partition_filter,
        ignore_missing_paths,
        filesystem,
        arrow_open_file_args,
    )
    opening_arguments(arrow_open_file_args, "arrow_open_file_args")
    height_width = None if size is None else (size[0], size[1])
    form = image_form(height_width, mode)
    return files.read("image", form, size=height_width, mode=mode)
