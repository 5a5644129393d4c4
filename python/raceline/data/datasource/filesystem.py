"""PyArrow's file systems, for sources and sinks in Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raceline._optional import optional
from raceline.data._arguments import path_text

__all__ = ["files_below", "filesystem_of"]

# Ray's prefix of what lies on the program's own machine.
_LOCAL = "local://"


def filesystem_of(path: Any, filesystem: Any = None) -> tuple[Any, str]:
    """The PyArrow file system of a path, and the path in it.

    Args:
        path: A path, local or with a scheme.
        filesystem: One of PyArrow or fsspec; None is that of the path.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: The path is no string.

    Example:
        >>> filesystem_of("/tmp/a.csv")[1]
        '/tmp/a.csv'
    """
    fs = optional("pyarrow.fs")
    text = path_text(path).removeprefix(_LOCAL)
    if filesystem is None:
        if "://" in text:
            found, inside = fs.FileSystem.from_uri(text)
            return found, inside
        import os.path

        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(text))
    if not isinstance(filesystem, fs.FileSystem):
        filesystem = fs.PyFileSystem(fs.FSSpecHandler(filesystem))
    return filesystem, text.split("://", 1)[-1]


def files_below(filesystem: Any, root: str) -> Iterator[tuple[str, int]]:
    """Path and size of a file, or of all files below a folder that are not hidden, by path.

    Raises:
        FileNotFoundError: There is nothing.
    """
    fs = optional("pyarrow.fs")
    info = filesystem.get_file_info(root)
    if info.type == fs.FileType.NotFound:
        raise FileNotFoundError(root)
    if info.type == fs.FileType.File:
        yield root, info.size or 0
        return
    found = filesystem.get_file_info(fs.FileSelector(root, recursive=True))
    for one in sorted(found, key=lambda one: str(one.path)):
        relative = one.path[len(root.rstrip("/")) :].lstrip("/")
        if one.type == fs.FileType.File and not relative.startswith((".", "_")):
            yield one.path, one.size or 0
