"""Writes of files that PyArrow opens.

Workers stage files in a folder ``_raceline-…`` below the target. When all rows are written, a
list of what is staged and what it becomes is put beside them, and the files are moved. The next
write to the target that finds such a list knows that the write was complete, and finishes it. What
a write without one has left is hidden from readers.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from raceline._optional import optional
from raceline.data.arrow_files.encoding import Encoding
from raceline.data.datasource.filesystem import STAGING, is_of_process
from raceline.data.datasource.partitioning import HIVE_NULL
from raceline.data.function import Batching, UserFunction
from raceline.data.iterator import native_batches_of
from raceline.data.save_mode import SaveMode
from raceline.errors import ColumnNotFoundError, PlanError

__all__ = ["FileWrite", "write_files"]

# Bytes of the rows of a file where their number is not bound.
_FILE_BYTES = 64 * 2**20
_LIST = "commit.json"
# What stays as it is in the name of a folder.
_PLAIN = "".join(chr(one) for one in range(32, 127) if chr(one) not in "\"#%'*/:<=>?[\\]^`{|}~")


@dataclass(frozen=True)
class FileWrite:
    """What is written, and where to.

    Attributes:
        encoding: How rows become a file.
        filesystem: PyArrow's.
        path: The folder in it.
        mode: What to do when it exists.
        partition_cols: Columns whose values become folders.
        rows: Rows of a file; None goes by bytes.
        name: The name of a file, of the write's identifier and the file's number.
        open_args: Of ``open_output_stream``.
    """

    encoding: Encoding
    filesystem: Any
    path: str
    mode: SaveMode
    partition_cols: list[str]
    rows: int | None
    name: Callable[[str, int], str]
    open_args: Mapping[str, Any]


def write_files(dataset: Any, write: FileWrite) -> None:
    """Runs a dataset into files.

    Raises:
        PlanError: The folder exists and must not, or two files would have one name.
        UdfError: A file could not be written. Then nothing is visible, as when the run is
            interrupted.
    """
    kinds = optional("pyarrow.fs").FileType
    filesystem, path = write.filesystem, write.path
    exists = filesystem.get_file_info(path).type != kinds.NotFound
    if exists and write.mode is SaveMode.IGNORE:
        return
    if exists and write.mode in (SaveMode.ERROR, SaveMode.CREATE):
        raise PlanError(f"`{path}` exists already", hint='pass `mode="append"` or `"overwrite"`')
    _finish_others(filesystem, path)
    identifier = uuid.uuid4().hex
    staging = posixpath.join(path, f"{STAGING}{identifier}")
    # Here and not by workers: one that is late finds no folder, and leaves nothing behind.
    filesystem.create_dir(staging, recursive=True)
    files: list[tuple[str, str]] = []
    try:
        files = _named(write, identifier, _staged(dataset, write, staging))
    finally:
        if not files:
            _remove(filesystem, staging)
        if not files and not exists and not _all_files(filesystem, path):
            _remove(filesystem, path)
    removed: list[str] = []
    if exists and write.mode is SaveMode.OVERWRITE:
        kept = set(dict(files).values())
        found = _all_files(filesystem, path)
        removed = [one for one in found if one not in kept and STAGING not in one[len(path) :]]
    commit = {"files": files, "removed": removed}
    if files or removed:
        filesystem.create_dir(staging, recursive=True)
        with filesystem.open_output_stream(posixpath.join(staging, _LIST)) as file:
            file.write(json.dumps(commit).encode())
        _commit(filesystem, staging, commit)


def _staged(dataset: Any, write: FileWrite, staging: str) -> list[tuple[str, str]]:
    """Path and partition folder of each staged file, in the order of the rows."""
    staging_files = UserFunction(
        "map_batches",
        _Stage(write.encoding, write.filesystem, staging, write.partition_cols, write.open_args),
        batching=Batching(write.rows, "pyarrow", bytes_max=None if write.rows else _FILE_BYTES),
        debug=is_of_process(write.filesystem),
    )
    plan = dataset._apply(staging_files)
    batches = native_batches_of(dataset._run_for_this(plan._native))
    return [(row["file"], row["folder"]) for batch in batches for row in batch.rows()]


class _Stage:
    """Writes a batch to files of names that nobody looks at, in a worker."""

    def __init__(
        self,
        encoding: Encoding,
        filesystem: Any,
        staging: str,
        partition_cols: list[str],
        open_args: Mapping[str, Any],
    ) -> None:
        self.__name__ = f"Write{encoding.file_format.upper()}"
        self._encoding = encoding
        self._filesystem = filesystem
        self._staging = staging
        self._partition_cols = partition_cols
        self._open_args = dict(open_args)

    def __call__(self, table: Any) -> dict[str, list[str]]:
        files, folders = [], []
        for folder, rows in _parts(table, self._partition_cols):
            path = posixpath.join(self._staging, uuid.uuid4().hex)
            with self._filesystem.open_output_stream(path, **self._open_args) as file:
                self._encoding.write(rows, file)
            files.append(path)
            folders.append(folder)
        return {"file": files, "folder": folders}


def _parts(table: Any, columns: list[str]) -> list[tuple[str, Any]]:
    """The rows of each partition, in their order, and its folder."""
    if not table.num_rows:
        return []
    if not columns:
        return [("", table)]
    for name in columns:
        if name not in table.column_names:
            raise ColumnNotFoundError(f"there is no column `{name}` to partition by", column=name)
    rest = table.drop_columns(columns)
    if not rest.num_columns:
        raise PlanError("all columns are partition columns, so that no column is left to write")
    rows: dict[str, list[int]] = {}
    texts = [table.column(name).cast(optional("pyarrow").string()).to_pylist() for name in columns]
    for at, values in enumerate(zip(*texts, strict=True)):
        pairs = zip(columns, values, strict=True)
        folder = "/".join(f"{_quoted(name)}={_quoted(value)}" for name, value in pairs)
        rows.setdefault(folder, []).append(at)
    return [(folder, rest.take(places)) for folder, places in rows.items()]


def _quoted(value: str | None) -> str:
    return HIVE_NULL if value is None else quote(value, safe=_PLAIN)


def _named(
    write: FileWrite, identifier: str, staged: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """What each staged file becomes."""
    files: list[tuple[str, str]] = []
    taken: set[str] = set()
    for number, (path, folder) in enumerate(staged):
        name = write.name(identifier, number)
        final = posixpath.join(write.path, folder, name)
        if final in taken:
            raise PlanError(f"two files of the write would be called `{name}`")
        taken.add(final)
        files.append((path, final))
    return files


def _commit(filesystem: Any, staging: str, commit: Mapping[str, Any]) -> None:
    """Makes staged files visible; what was done of it already stays done."""
    kinds = optional("pyarrow.fs").FileType
    for staged, final in commit["files"]:
        if filesystem.get_file_info(staged).type == kinds.NotFound:
            continue
        filesystem.create_dir(posixpath.dirname(final), recursive=True)
        if filesystem.get_file_info(final).type != kinds.NotFound:
            filesystem.delete_file(final)
        filesystem.move(staged, final)
    for path in commit["removed"]:
        if filesystem.get_file_info(path).type != kinds.NotFound:
            filesystem.delete_file(path)
    _remove(filesystem, staging)


def _finish_others(filesystem: Any, path: str) -> None:
    """Finishes the writes to a folder that were complete when they broke off."""
    fs = optional("pyarrow.fs")
    for one in filesystem.get_file_info(fs.FileSelector(path, allow_not_found=True)):
        listed = posixpath.join(one.path, _LIST)
        is_staging = posixpath.basename(one.path.rstrip("/")).startswith(STAGING)
        if is_staging and filesystem.get_file_info(listed).type == fs.FileType.File:
            with filesystem.open_input_file(listed) as file:
                commit = json.loads(file.read())
            _commit(filesystem, one.path, commit)


def _all_files(filesystem: Any, path: str) -> list[str]:
    """All files below a folder, hidden ones too."""
    fs = optional("pyarrow.fs")
    selector = fs.FileSelector(path, recursive=True, allow_not_found=True)
    found = filesystem.get_file_info(selector)
    return [one.path for one in found if one.type == fs.FileType.File]


def _remove(filesystem: Any, path: str) -> None:
    """Removes a folder, where it is there."""
    kinds = optional("pyarrow.fs").FileType
    if filesystem.get_file_info(path).type != kinds.NotFound:
        filesystem.delete_dir(path)
