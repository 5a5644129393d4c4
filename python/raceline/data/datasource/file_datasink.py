"""Sinks of files, of which a class says how one of them is written."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from raceline._optional import optional
from raceline.data._arguments import whole_number
from raceline.data.block import Block, BlockAccessor, Schema
from raceline.data.datasource.datasink import Datasink, TaskContext, WriteResult
from raceline.data.datasource.filename_provider import FilenameProvider, checked_name
from raceline.data.datasource.filesystem import filesystem_of
from raceline.data.save_mode import SaveMode, save_mode
from raceline.errors import PlanError

__all__ = ["BlockBasedFileDatasink", "RowBasedFileDatasink"]


class FileDatasink(Datasink[None]):
    """What sinks of files share: the folder, the mode, and the names.

    Files appear one by one, as they are written; a write that is made again replaces its file.
    """

    def __init__(
        self,
        path: str,
        *,
        filesystem: Any = None,
        try_create_dir: bool = True,
        open_stream_args: Mapping[str, Any] | None = None,
        filename_provider: FilenameProvider | None = None,
        dataset_uuid: str | None = None,
        file_format: str | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
    ) -> None:
        """Takes the folder and what the files are called.

        Args:
            path: The folder.
            filesystem: PyArrow's or fsspec's; None is that of the path.
            try_create_dir: Whether the folder is made if need be.
            open_stream_args: Of ``open_output_stream`` of the file system.
            filename_provider: What gives files their names.
            dataset_uuid: What their names begin with; None is something new.
            file_format: Their extension, without dot.
            mode: What happens when the folder exists.

        Raises:
            PlanError: There is no such mode.
        """
        self._filesystem, self._path = filesystem_of(path, filesystem)
        self._try_create_dir = try_create_dir
        self._open_stream_args = dict(open_stream_args or {})
        identifier = dataset_uuid or uuid.uuid4().hex
        self._filename_provider = filename_provider or FilenameProvider(identifier, file_format)
        self._mode = save_mode(mode)
        self._has_made_folder = False

    @property
    def path(self) -> str:
        """The folder, as the file system names it."""
        return self._path

    def is_skipped(self) -> bool:
        """Whether nothing is to be done, as the folder exists."""
        return self._mode is SaveMode.IGNORE and self._exists()

    def on_write_start(self, schema: Schema | None = None) -> None:
        """Looks at the folder, and makes or empties it.

        Raises:
            PlanError: It exists and must not.
        """
        exists = self._exists()
        if exists and self._mode in (SaveMode.ERROR, SaveMode.CREATE):
            raise PlanError(
                f"`{self._path}` exists already", hint='pass `mode="append"` or `"overwrite"`'
            )
        if exists and self._mode is SaveMode.OVERWRITE:
            self._filesystem.delete_dir_contents(self._path)
        if not exists and self._try_create_dir:
            self._filesystem.create_dir(self._path, recursive=True)
            self._has_made_folder = True

    def on_write_complete(self, write_result: WriteResult[None]) -> None:
        """Removes the folder again where it was made and nothing was written."""
        if self._has_made_folder and write_result.num_rows == 0:
            self._filesystem.delete_dir(self._path)

    def open_output_stream(self, path: str) -> Any:
        """Opens a file to write."""
        return self._filesystem.open_output_stream(path, **self._open_stream_args)

    def path_of(self, name: str, ctx: TaskContext) -> str:
        """The path of the file of that name.

        Args:
            name: What the provider gave.
            ctx: The write.

        Raises:
            PlanError: It is no name of a file.
        """
        checked_name(name)
        # A write that was cut in pieces: the later ones have files of their own.
        piece = ctx.kwargs.get("first_row", 0)
        if piece:
            stem, ending = posixpath.splitext(name)
            name = f"{stem}-{piece}{ending}"
        return posixpath.join(self._path, name)

    def _exists(self) -> bool:
        kinds = optional("pyarrow.fs").FileType
        return bool(self._filesystem.get_file_info(self._path).type != kinds.NotFound)


class RowBasedFileDatasink(FileDatasink):
    """Writes one file a row; derive a class, and override :meth:`write_row_to_file`.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> class Texts(RowBasedFileDatasink):
        ...     def write_row_to_file(self, row, file):
        ...         file.write(row["text"].encode())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     rows = raceline.from_items([{"text": "a"}, {"text": "b"}])
        ...     rows.write_datasink(Texts(folder, file_format="txt"))
        ...     sorted(file.read_text() for file in pathlib.Path(folder).glob("*.txt"))
        ['a', 'b']
    """

    def write_row_to_file(self, row: dict[str, Any], file: Any) -> None:
        """Writes a row.

        Args:
            row: The row.
            file: PyArrow's ``NativeFile``.

        Raises:
            PlanError: A class derived from this one does not override it.
        """
        raise PlanError(
            f"class `{type(self).__name__}` does not say how a row is written",
            hint="override `write_row_to_file(self, row, file)`",
        )

    def write(self, blocks: Iterable[Block], ctx: TaskContext) -> None:
        """Writes each row to its file."""
        names = self._filename_provider
        identifier = ctx.kwargs["write_uuid"]
        for block_index, block in enumerate(blocks):
            for row_index, row in enumerate(BlockAccessor.for_block(block).iter_rows()):
                name = names.get_filename_for_row(
                    row, identifier, ctx.task_idx, block_index, row_index
                )
                with self.open_output_stream(self.path_of(name, ctx)) as file:
                    self.write_row_to_file(row, file)


class BlockBasedFileDatasink(FileDatasink):
    r"""Writes one file a write; derive a class, and override :meth:`write_block_to_file`.

    Example:
        >>> import pathlib, raceline, tempfile
        >>> class Lines(BlockBasedFileDatasink):
        ...     def write_block_to_file(self, block, file):
        ...         for row in block.iter_rows():
        ...             file.write(f"{row['id']}\n".encode())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     sink = Lines(folder, file_format="txt", min_rows_per_file=3)
        ...     raceline.range(6).write_datasink(sink)
        ...     [file.read_text() for file in sorted(pathlib.Path(folder).iterdir())]
        ['0\n1\n2\n', '3\n4\n5\n']
    """

    def __init__(
        self, path: str, *, min_rows_per_file: int | None = None, **file_datasink_kwargs: Any
    ) -> None:
        """Takes the folder and what the files are called.

        Args:
            path: The folder.
            min_rows_per_file: Rows of each file but the last; None leaves it to the engine.
            **file_datasink_kwargs: ``filesystem``, ``try_create_dir``, ``open_stream_args``,
                ``filename_provider``, ``dataset_uuid``, ``file_format``, ``mode``.

        Raises:
            PlanError: A number is out of range, or there is no such mode.
        """
        super().__init__(path, **file_datasink_kwargs)
        if min_rows_per_file is not None:
            whole_number("min_rows_per_file", min_rows_per_file, 1)
        self._min_rows_per_file = min_rows_per_file

    @property
    def min_rows_per_write(self) -> int | None:
        """Rows of each file but the last."""
        return self._min_rows_per_file

    def write_block_to_file(self, block: BlockAccessor, file: Any) -> None:
        """Writes a block.

        Args:
            block: Its rows.
            file: PyArrow's ``NativeFile``.

        Raises:
            PlanError: A class derived from this one does not override it.
        """
        raise PlanError(
            f"class `{type(self).__name__}` does not say how a block is written",
            hint="override `write_block_to_file(self, block, file)`",
        )

    def write_block(self, block: BlockAccessor, block_index: int, ctx: TaskContext) -> None:
        """Writes a block to its file; override it to open the file otherwise.

        Args:
            block: Its rows.
            block_index: The number of the block in the write.
            ctx: The write.
        """
        name = self._filename_provider.get_filename_for_block(
            block.to_block(), ctx.kwargs["write_uuid"], ctx.task_idx, block_index
        )
        with self.open_output_stream(self.path_of(name, ctx)) as file:
            self.write_block_to_file(block, file)

    def write(self, blocks: Iterable[Block], ctx: TaskContext) -> None:
        """Writes all blocks as one."""
        builder = BlockAccessor.builder()
        for block in blocks:
            builder.add_block(block)
        rows = BlockAccessor.for_block(builder.build())
        if rows.num_rows():
            self.write_block(rows, 0, ctx)
