"""Which files of a folder are opened, by whatever process: the kernel tells."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPEN, _OVERFLOW, _NONBLOCK = 0x20, 0x4000, 0o4000
_HEAD = struct.Struct("iIII")


@contextmanager
def opened_in(folder: Path) -> Iterator[set[str]]:
    """The names of the files right below a folder that are opened within the block, at its end.

    Raises:
        OSError: The kernel cannot watch the folder, or lost count.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(_NONBLOCK)
    if watch < 0 or libc.inotify_add_watch(watch, os.fsencode(folder), _OPEN) < 0:
        raise OSError(ctypes.get_errno(), "the folder cannot be watched")
    names: set[str] = set()
    try:
        yield names
        for mask, name in _events(watch):
            if mask & _OVERFLOW:
                raise OSError("more files were opened than the kernel can tell of")
            names.add(name)
        names.discard("")
    finally:
        os.close(watch)


def _events(watch: int) -> Iterator[tuple[int, str]]:
    """All events that wait: their kind, and the name of the file."""
    while True:
        try:
            held = os.read(watch, 1 << 20)
        except BlockingIOError:
            return
        at = 0
        while at < len(held):
            _, mask, _, length = _HEAD.unpack_from(held, at)
            at += _HEAD.size
            yield mask, os.fsdecode(held[at : at + length].rstrip(b"\0"))
            at += length
