"""Datasets that are read from objects of this process, batch by batch, while they are run.

What reads them runs in the thread that takes the rows, and only when it needs the next batch, so
that no more than a batch is held beside the engine's queues.
"""

from __future__ import annotations

import itertools
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from raceline._lineage import OF_THIS_PROCESS
from raceline._session import session
from raceline.data.dataset import Dataset
from raceline.data.whole_values import weight

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Begin", "Once", "Runs", "chunks", "gone", "pieces_of", "read_here"]

#: Begins one run: an iterator of what a batch function may return.
Begin = Callable[[], Iterator[Any]]

# Elements of the first list, and of later ones, each of which may have twice as many.
_CHUNK_ROWS_FIRST = 16
_CHUNK_ROWS = 256
_CHUNK_BYTES = 8 << 20
# Pieces of what comes once that are kept.
_KEPT = 4
# A slow source is not waited for any longer than this before what came is handed on.
_CHUNK_S = 0.1


def read_here(name: str, begin: Begin) -> Dataset:
    """A dataset of the batches that ``begin`` makes, called anew for each run.

    Args:
        name: What plans and errors call it.
        begin: Begins one run.
    """

    def read(_: Any) -> Iterator[Any]:
        yield from begin()

    read.__name__ = name
    setattr(read, OF_THIS_PROCESS, True)
    return Dataset(session().range(1)).map_batches(read, debug=True)


class Once:
    """Pieces that come once; the first few are kept for runs that need no others.

    Such a run is ``schema`` or ``take``, for which the engine may ask for a piece or two more than
    it needs.
    """

    def __init__(self, name: str, pieces: Iterator[Any]) -> None:
        """Takes the pieces, and the name of the function that was given them."""
        self._name = name
        self._pieces = pieces
        self._kept: list[Any] = []
        self._is_taken = False
        self._lock = threading.Lock()

    def __call__(self) -> Iterator[Any]:
        """One run.

        Raises:
            RuntimeError: An earlier run took more than the first few pieces.
        """
        for at in itertools.count():
            piece, is_last_kept = self._piece(at)
            yield from piece
            if is_last_kept:
                break
        yield from self._pieces

    def _piece(self, at: int) -> tuple[list[Any], bool]:
        """The piece at a place, if there is one, and whether the others are this run's alone."""
        with self._lock:
            if self._is_taken:
                raise RuntimeError(gone(self._name))
            if at < len(self._kept):
                return [self._kept[at]], False
            piece = list(itertools.islice(self._pieces, 1))
            if at < _KEPT:
                self._kept += piece
            elif piece:
                self._is_taken = True
                self._kept.clear()
            return piece, at >= _KEPT or not piece


class Runs:
    """Runs over an iterable: each begins anew where that is possible."""

    def __init__(
        self, name: str, source: Iterable[Any], pieces: Callable[[Iterator[Any]], Iterator[Any]]
    ) -> None:
        """Takes the iterable.

        Args:
            name: The function that was given it.
            source: The iterable.
            pieces: Makes pieces of its elements.
        """
        self._name = name
        self._source = source
        self._pieces = pieces
        self._once = Once(name, pieces(source)) if isinstance(source, Iterator) else None
        self._last: Callable[[], object] = lambda: None

    def __call__(self) -> Iterator[Any]:
        """One run.

        Raises:
            RuntimeError: The iterable gives the same iterator again, which was read.
        """
        if self._once is not None:
            return self._once()
        elements = iter(self._source)
        if elements is self._last():
            raise RuntimeError(gone(self._name))
        self._last = _remembered(elements)
        return self._pieces(elements)


def pieces_of(reader: pa.RecordBatchReader) -> Iterator[Any]:
    """The batches of a reader; where there is none, no rows of its columns."""
    is_empty = True
    with reader:
        for batch in reader:
            is_empty = False
            yield batch
        if is_empty:
            yield reader.schema.empty_table()


def gone(name: str) -> str:
    """What is wrong with a second run over what comes once."""
    return (
        f"`{name}` was given rows that can be read once, and an earlier run has taken them\n"
        "  hint: keep them: `dataset = dataset.materialize()`"
    )


def chunks(elements: Iterable[Any]) -> Iterator[list[Any]]:
    """Lists of neighbouring elements, of some megabytes or of what comes in a tenth of a second."""
    chunk: list[Any] = []
    rows, held_bytes, end_s = _CHUNK_ROWS_FIRST, 0, monotonic() + _CHUNK_S
    for element in elements:
        chunk.append(element)
        held_bytes += weight(element)
        if len(chunk) == rows or held_bytes >= _CHUNK_BYTES or monotonic() >= end_s:
            yield chunk
            chunk, rows = [], min(2 * rows, _CHUNK_ROWS)
            held_bytes, end_s = 0, monotonic() + _CHUNK_S
    if chunk:
        yield chunk


def _remembered(thing: object) -> Callable[[], object]:
    """Gives the object as long as somebody holds it; holds it itself where it must."""
    try:
        return cast("Callable[[], object]", weakref.ref(thing))
    except TypeError:
        return lambda: thing
