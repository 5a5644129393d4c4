"""Sources of files, of which a class says how one of them is read."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from raceline._optional import optional
from raceline.data._arguments import several
from raceline.data.block import Block, BlockAccessor, BlockMetadata, Schema
from raceline.data.datasource.datasource import Datasource, ReadTask
from raceline.data.datasource.filesystem import files_below, filesystem_of
from raceline.data.datasource.partitioning import (
    HIVE_NULL,
    Partitioning,
    PathPartitionFilter,
    PathPartitionParser,
)
from raceline.data.shuffling import FileShuffle, file_shuffle
from raceline.errors import PlanError

__all__ = [
    "BaseFileMetadataProvider",
    "DefaultFileMetadataProvider",
    "FileBasedDatasource",
    "FileMetadataProvider",
]


class FileMetadataProvider:
    """Tells what is known of files before they are read; a base for such classes."""


class BaseFileMetadataProvider(FileMetadataProvider):
    """Finds the files of paths."""

    def expand_paths(
        self,
        paths: Sequence[str],
        filesystem: Any,
        partitioning: Partitioning | None = None,
        ignore_missing_paths: bool = False,
    ) -> Iterator[tuple[str, int | None]]:
        """Path and size in bytes of each file, in the order of the paths, then by name.

        Args:
            paths: Files and folders, as the file system names them.
            filesystem: PyArrow's.
            partitioning: How folders become columns.
            ignore_missing_paths: Whether a path that does not exist is passed over.

        Raises:
            FileNotFoundError: A path does not exist.
        """
        for path in paths:
            try:
                yield from files_below(filesystem, path)
            except FileNotFoundError:
                if not ignore_missing_paths:
                    raise


class DefaultFileMetadataProvider(BaseFileMetadataProvider):
    """Finds the files of paths by listing them."""


class FileBasedDatasource(Datasource):
    """A source of files; derive a class, and override :meth:`_read_stream`.

    Files of a folder are read but those whose path below it begins with ``_`` or ``.``, in the
    order of their paths. A file is decompressed as its name says (``gz``, ``bz2``, ``br``, ``zst``,
    ``lz4``).

    Example:
        >>> import pathlib, raceline, tempfile
        >>> class Words(FileBasedDatasource):
        ...     def _read_stream(self, f, path):
        ...         yield {"word": f.readall().decode().split()}
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = pathlib.Path(folder, "a.words").write_text("one two")
        ...     raceline.read_datasource(Words(folder)).take_all()
        [{'word': 'one'}, {'word': 'two'}]
    """

    #: Endings of file names that are read where none are given; None reads all files.
    _FILE_EXTENSIONS: Sequence[str] | None = None

    def __init__(
        self,
        paths: str | Sequence[str],
        *,
        filesystem: Any = None,
        schema: Schema | None = None,
        open_stream_args: Mapping[str, Any] | None = None,
        meta_provider: BaseFileMetadataProvider | None = None,
        partition_filter: PathPartitionFilter | None = None,
        partitioning: Partitioning | None = None,
        ignore_missing_paths: bool = False,
        shuffle: FileShuffle = None,
        include_paths: bool = False,
        file_extensions: Sequence[str] | None = None,
    ) -> None:
        """Finds the files.

        Args:
            paths: A file or folder, or a list of these.
            filesystem: PyArrow's or fsspec's; None is that of the paths.
            schema: Columns of the blocks, where known.
            open_stream_args: Of ``open_input_stream`` of the file system.
            meta_provider: What finds the files.
            partition_filter: Which files are read.
            partitioning: How folders become columns.
            ignore_missing_paths: Whether a path that does not exist is passed over.
            shuffle: As of ``raceline.read_parquet``.
            include_paths: Whether a column ``path`` names each row's file.
            file_extensions: Endings of file names that are read, without dot; None reads all.

        Raises:
            FileNotFoundError: A path does not exist.
            PlanError: No file is found.
        """
        is_one = isinstance(paths, str) or not isinstance(paths, Iterable)
        given = [paths] if is_one else list(paths)
        if not given:
            raise PlanError("no path is given", hint="pass a file or a folder")
        found = [filesystem_of(path, filesystem) for path in given]
        self._filesystem = found[0][0]
        self._schema = schema
        self._open_stream_args = dict(open_stream_args or {})
        self._partitioning = partitioning
        self._include_paths = include_paths
        self._shuffle = file_shuffle(shuffle)
        provider = meta_provider or DefaultFileMetadataProvider()
        inside = [path for _, path in found]
        files = provider.expand_paths(inside, self._filesystem, partitioning, ignore_missing_paths)
        endings = self._FILE_EXTENSIONS if file_extensions is None else file_extensions
        self._files = [
            (path, size)
            for path, size in files
            if _ends(path, endings) and (partition_filter is None or partition_filter.apply(path))
        ]
        if not self._files:
            raise PlanError(
                f"no file is found in {', '.join(f'`{path}`' for path in inside)}",
                hint="look at `file_extensions`, `partition_filter` and the paths",
            )

    def _read_stream(self, f: Any, path: str) -> Iterator[Block]:
        """Yields the rows of a file, in order.

        Args:
            f: PyArrow's ``NativeFile``, which is decompressed.
            path: The file's path.
        """
        raise PlanError(
            f"class `{type(self).__name__}` does not say how a file is read",
            hint="override `_read_stream(self, f, path)`",
        )

    def _open_input_source(self, filesystem: Any, path: str, **open_args: Any) -> Any:
        """Opens a file; override it for files that are not read from first to last."""
        compression = self.resolve_compression(path, open_args)
        open_args = {key: value for key, value in open_args.items() if key != "compression"}
        return filesystem.open_input_stream(path, compression=compression, **open_args)

    def _chosen_rows(self, block: Any) -> Any:
        """The rows of a block that are read, when the columns of folders are there."""
        return block

    def resolve_compression(self, path: str, open_args: Mapping[str, Any]) -> str | None:
        """How a file is compressed: as the arguments say, or else as its name does."""
        if "compression" in open_args:
            given: str | None = open_args["compression"]
            return given
        pa = optional("pyarrow")
        try:
            detected: str = pa.Codec.detect(path).name
        except (ValueError, TypeError):
            return None
        return detected

    def input_files(self) -> list[str]:
        """The files, in the order in which they are read."""
        return [path for path, _ in self._files]

    def estimate_inmemory_data_size(self) -> int | None:
        """Bytes of all files; None where they are not known."""
        sizes = [size for _, size in self._files]
        return None if None in sizes else sum(size or 0 for size in sizes)

    def part_order(self) -> tuple[int | None, bool] | None:
        """Seed of a random order of the parts, and whether each run has another one."""
        return self._shuffle

    def get_read_tasks(
        self,
        parallelism: int,
        per_task_row_limit: int | None = None,
        data_context: Any = None,
    ) -> list[ReadTask]:
        """Neighbouring files together, in ``parallelism`` parts or as many as there are files.

        Where files are shuffled, each is a part; their order is made when the dataset is run.
        """
        files = list(self._files)
        parts = min(max(parallelism, 1), len(files)) if self._shuffle is None else len(files)
        ends = [len(files) * part // parts for part in range(parts + 1)]
        reader = copy.copy(self)
        reader._files = []
        tasks = []
        for part in range(parts):
            own = files[ends[part] : ends[part + 1]]
            paths, sizes = [path for path, _ in own], [size for _, size in own]
            size = None if None in sizes else sum(one or 0 for one in sizes)
            metadata = BlockMetadata(None, size, input_files=paths)
            read = _ReadFiles(reader, paths)
            tasks.append(ReadTask(read, metadata, self._schema, per_task_row_limit))
        return tasks


class _ReadFiles:
    """Yields the rows of files, with the values of their folders."""

    def __init__(self, source: FileBasedDatasource, paths: list[str]) -> None:
        self._source, self._paths = source, paths

    def __call__(self) -> Iterator[Any]:
        source = self._source
        for path in self._paths:
            arguments = source._open_stream_args
            with source._open_input_source(source._filesystem, path, **arguments) as file:
                for block in source._read_stream(file, path):
                    yield source._chosen_rows(_with_folders(block, path, source))


def _with_folders(block: Any, path: str, source: FileBasedDatasource) -> Any:
    """A block with the columns of its file's folders and path."""
    partitioning = source._partitioning
    if partitioning is None and not source._include_paths:
        return block
    pa = optional("pyarrow")
    table = BlockAccessor.batch_to_arrow_block(block)
    values = {} if partitioning is None else PathPartitionParser(partitioning)(path)
    types = {} if partitioning is None else partitioning.type_names()
    for name, value in values.items():
        kind = pa.type_for_alias(types.get(name, "string"))
        held = pa.scalar(None if value == HIVE_NULL else value, pa.string())
        column = pa.repeat(held, table.num_rows).cast(kind)
        if name not in table.column_names:
            table = table.append_column(name, column)
        elif table.column(name).cast(kind).combine_chunks() != column:
            raise PlanError(
                f"column `{name}` of `{path}` differs from `{value}`, which its folder says"
            )
    if source._include_paths:
        table = table.append_column("path", pa.repeat(pa.scalar(path), table.num_rows))
    return table


def _ends(path: str, extensions: Sequence[str] | None) -> bool:
    """Whether a file's name has one of the endings, in any case."""
    if extensions is None:
        return True
    endings = several("file_extensions", extensions, "a file extension")
    return path.lower().endswith(tuple(f".{one.lstrip('.').lower()}" for one in endings))
