"""Where a write of files goes, and who writes them: the engine, or PyArrow in workers."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data._arguments import opening_arguments, path_text, storage_texts
from raceline.data.file_places import arrow_place, engine_place
from raceline.data.save_mode import SaveMode, save_mode
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.datasource.filename_provider import FilenameProvider

__all__ = ["OwnWriter", "Target"]

# Endings of compressed files.
_ENDINGS = {"gzip": "gz", "brotli": "br", "zstd": "zst", "bz2": "bz2", "lz4": "lz4"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where files go.

    Attributes are the arguments of the ``write_*`` methods.
    """

    path: str | os.PathLike[str]
    filesystem: Any
    storage_options: Mapping[str, str] | None
    mode: SaveMode | str
    filename_provider: FilenameProvider | None

    def names(self) -> Callable[[str, int], str] | None:
        """What a provider calls the files; None where there is none.

        Raises:
            PlanError: It is no provider.
        """
        provider = self.filename_provider
        if provider is None:
            return None
        from raceline.data.datasource.filename_provider import FilenameProvider, checked_name

        if not isinstance(provider, FilenameProvider):
            raise PlanError(
                "`filename_provider` must be a `FilenameProvider`, got "
                f"`{type(provider).__name__}`",
                hint="derive your class from `raceline.data.datasource.FilenameProvider`",
            )
        kind = type(provider)
        is_older = kind.get_filename_for_task is FilenameProvider.get_filename_for_task
        adds = save_mode(self.mode) is SaveMode.APPEND

        def name(write_uuid: str, index: int) -> str:
            if is_older:
                given = provider.get_filename_for_block(None, write_uuid, index, 0)
            else:
                given = provider.get_filename_for_task(write_uuid, index)
            return checked_name(given, write_uuid if adds else None)

        return name


class OwnWriter:
    """Arguments of PyArrow's and pandas' own writers; none where the engine may write."""

    def __init__(
        self,
        arguments: Mapping[str, Any],
        arguments_fn: Callable[[], Mapping[str, Any]] | None,
        open_args: Mapping[str, Any] | None,
    ) -> None:
        """Takes what a ``write_*`` method got."""
        self._arguments = arguments
        self._arguments_fn = arguments_fn
        self._open_args = opening_arguments(open_args)

    def write(self, dataset: Any, target: Target, options: dict[str, Any]) -> None:
        """Runs a dataset into files.

        Args:
            dataset: The dataset.
            target: Where they go.
            options: Of the format and its files, as the engine takes them.
        """
        path, mode = path_text(target.path), save_mode(target.mode)
        storage_options = storage_texts(target.storage_options)
        if target.filesystem is not None and storage_options:
            raise PlanError("pass either `filesystem` or `storage_options`, not both")
        names = target.names()
        place = None
        if target.filesystem is not None:
            place = engine_place([path], target.filesystem)
        is_asked = bool(self._arguments or self._arguments_fn)
        is_foreign = target.filesystem is not None and place is None
        if is_asked or is_foreign or self._open_args.get("compression") is not None:
            self._write_by_arrow(dataset, target, options, names)
            return
        if place is not None:
            [path], storage_options = place
        import uuid

        named = {"dataset_id": uuid.uuid4().hex} if names is None else {"names": names}
        engine_mode = "error" if mode is SaveMode.CREATE else mode.value
        shared = {"path": path, "mode": engine_mode, "storage_options": storage_options}
        dataset._native.write(shared | named | options)

    def _write_by_arrow(
        self,
        dataset: Any,
        target: Target,
        options: dict[str, Any],
        names: Callable[[str, int], str] | None,
    ) -> None:
        """Has PyArrow write the files."""
        from raceline.data.arrow_files.encoding import Encoding
        from raceline.data.arrow_files.sink import FileWrite, write_files
        from raceline.data.datasource.filesystem import filesystem_of

        least, most = options["min_rows_per_file"], options["max_rows_per_file"]
        if least is not None and options["partition_cols"]:
            raise PlanError(
                "`min_rows_per_file` cannot be kept for each partition where PyArrow writes",
                hint="pass `max_rows_per_file`, or write to a local folder or S3 without "
                "arguments of PyArrow",
            )
        path = path_text(target.path)
        if target.filesystem is None:
            filesystem, [inside] = arrow_place([path], storage_texts(target.storage_options))
        else:
            filesystem, inside = filesystem_of(path, target.filesystem)
        arguments = dict(self._arguments)
        if options["format"] == "parquet":
            arguments.setdefault("compression", options["compression"])
            if options["row_group_size"] is not None:
                arguments["row_group_size"] = options["row_group_size"]
        write = FileWrite(
            Encoding(options["format"], arguments, self._arguments_fn),
            filesystem,
            inside.rstrip("/") or inside,
            save_mode(target.mode),
            options["partition_cols"],
            most if most is not None else least,
            names or self._plain_names(options["format"]),
            {"compression": self._compression(names), **self._open_args},
        )
        write_files(dataset, write)

    def _compression(self, names: Callable[[str, int], str] | None) -> str | None:
        """How files are compressed where nothing says it: as the names of a provider do."""
        if names is None:
            return None
        import uuid

        pa = optional("pyarrow")
        try:
            detected: str = pa.Codec.detect(names(uuid.uuid4().hex, 0)).name
        except (ValueError, TypeError):
            return None
        return detected

    def _plain_names(self, file_format: str) -> Callable[[str, int], str]:
        """Names as the engine gives them, with the ending of compressed files."""
        import uuid

        dataset_id = uuid.uuid4().hex
        ending = {"parquet": "-0.parquet"}.get(file_format, f".{file_format}")
        compression = self._open_args.get("compression")
        if compression is not None:
            ending += f".{_ENDINGS.get(compression, compression)}"
        return lambda write_id, number: f"{dataset_id}_{write_id}_{number:06}{ending}"
