"""PyArrow's file systems, for sources and sinks in Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from raceline._optional import optional
from raceline.data._arguments import path_text
from raceline.errors import PlanError, SourceNotFoundError

__all__ = ["STAGING", "files_below", "filesystem_of", "is_of_process"]

# Ray's prefix of what lies on the program's own machine.
_LOCAL = "local://"
#: Folders in which writes stage their files.
STAGING = "_raceline-"
# What has a meaning in patterns.
_WILD = re.compile(r"[*?\[]")


def filesystem_of(path: Any, filesystem: Any = None) -> tuple[Any, str]:
    """The PyArrow file system of a path, and the path in it.

    Args:
        path: A path, local or with a scheme.
        filesystem: One of PyArrow or fsspec; None is that of the path.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: The path is no string, or the file system is none.

    Example:
        >>> filesystem_of("/tmp/a.csv")[1]
        '/tmp/a.csv'
    """
    fs = optional("pyarrow.fs")
    text = path_text(path).removeprefix(_LOCAL)
    if filesystem is None:
        if "://" in text:
            try:
                found, inside = fs.FileSystem.from_uri(text)
            except ValueError as error:
                raise PlanError(
                    f"PyArrow has no file system for `{text}`: {error}",
                    hint="pass `filesystem=`, one of fsspec",
                ) from error
            return found, inside
        import os.path

        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(text))
    if not isinstance(filesystem, fs.FileSystem):
        if not hasattr(filesystem, "ls") or not hasattr(filesystem, "open"):
            raise PlanError(
                f"`filesystem` must be one of PyArrow or fsspec, got `{type(filesystem).__name__}`",
                hint="for example `pyarrow.fs.S3FileSystem(...)` or `fsspec.filesystem(...)`",
            )
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    return filesystem, text.split("://", 1)[-1]


def is_of_process(filesystem: Any) -> bool:
    """Whether only this process sees the files of a PyArrow file system.

    Example:
        >>> is_of_process(filesystem_of("/tmp")[0])
        False
    """
    fs = optional("pyarrow.fs")
    while isinstance(filesystem, fs.SubTreeFileSystem):
        filesystem = filesystem.base_fs
    inner = getattr(getattr(filesystem, "handler", None), "fs", None)
    return getattr(inner, "protocol", None) == "memory"


def files_below(filesystem: Any, root: str) -> Iterator[tuple[str, int]]:
    """Path and size of a file, or of all files below a folder that are not hidden, by path.

    A path that does not exist and has ``*``, ``?`` or ``[...]`` is a pattern; ``**`` stands for
    any number of folders.

    Raises:
        SourceNotFoundError: There is nothing.
    """
    fs = optional("pyarrow.fs")
    info = filesystem.get_file_info(root)
    if info.type == fs.FileType.File:
        yield root, info.size or 0
        return
    if info.type == fs.FileType.NotFound:
        yield from _matching(filesystem, root)
        return
    yield from _visible(filesystem, root)


def _visible(filesystem: Any, root: str) -> list[tuple[str, int]]:
    """All files below a folder that are not hidden, by path."""
    fs = optional("pyarrow.fs")
    found = []
    for one in filesystem.get_file_info(fs.FileSelector(root, recursive=True)):
        relative = _below(one.path, root)
        is_hidden = relative.startswith((".", "_")) or f"/{STAGING}" in relative
        # Some stores have objects that mark folders.
        is_file = one.type == fs.FileType.File and not one.path.endswith("/")
        if is_file and not is_hidden:
            found.append((one.path, one.size or 0))
    return sorted(found)


def _matching(filesystem: Any, pattern: str) -> list[tuple[str, int]]:
    """The files of a pattern, and those below the folders that it names."""
    kinds = optional("pyarrow.fs").FileType
    parts = pattern.split("/")
    first = next((at for at, part in enumerate(parts) if _WILD.search(part)), None)
    root = "/".join(parts[:first]) or ("/" if pattern.startswith("/") else "")
    if first is not None and filesystem.get_file_info(root).type == kinds.Directory:
        wanted = parts[first:]
        files = _visible(filesystem, root)
        taken = [one for one in files if _fits(_below(one[0], root).split("/"), wanted)]
        if taken:
            return taken
    raise SourceNotFoundError(f"`{pattern}` does not exist")


def _below(path: str, root: str) -> str:
    """A path relative to a folder that it lies in; some file systems put a slash before it."""
    return path.lstrip("/")[len(root.strip("/")) :].lstrip("/")


def _fits(names: list[str], wanted: list[str]) -> bool:
    """Whether folders and a file, or folders above it, are those of a pattern."""
    if not wanted:
        return True
    if wanted[0] == "**":
        return any(_fits(names[at:], wanted[1:]) for at in range(len(names)))
    return bool(names) and fnmatchcase(names[0], wanted[0]) and _fits(names[1:], wanted[1:])
