"""Streams of rows and batches that leave a dataset."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raceline.data.formats import join

if TYPE_CHECKING:
    from raceline import _native
    from raceline._native import Batch
    from raceline.data.epochs import Epochs

__all__ = ["Repeatable", "all_rows_of", "cut", "native_batches_of", "rows_of"]

T_co = TypeVar("T_co", covariant=True)


class Repeatable(Generic[T_co]):
    """Something to iterate over any number of times; each time is an epoch, which runs the dataset.

    How far the last epoch is, and what its order depends on, is its state. See
    ``DataIterator.state_dict`` for what it is good for.

    Example:
        >>> import raceline
        >>> rows = raceline.range(2).iter_rows()
        >>> list(rows) == list(rows)
        True
    """

    def __init__(self, start: Callable[[], Iterator[T_co]], epochs: Epochs) -> None:
        """Wraps the function that starts one iteration over the next of these epochs."""
        self._start = start
        self._epochs = epochs

    def __iter__(self) -> Iterator[T_co]:
        """Begins an epoch. The run ends with it, when it is closed, or when it is dropped."""
        return self._start()

    def state_dict(self) -> dict[str, Any]:
        """Where the last iteration is: as ``DataIterator.state_dict``.

        Example:
            >>> import raceline
            >>> batches = raceline.range(10).iter_batches(batch_size=4)
            >>> first = next(iter(batches))
            >>> state = batches.state_dict()
            >>> state["epoch"], state["rows"]
            (0, 4)
        """
        return self._epochs.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Has the next iteration go on there: as ``DataIterator.load_state_dict``.

        Example:
            >>> import raceline
            >>> batches = raceline.range(10).iter_batches(batch_size=4)
            >>> first = next(iter(batches))
            >>> resumed = raceline.range(10).iter_batches(batch_size=4)
            >>> resumed.load_state_dict(batches.state_dict())
            >>> [batch["id"].tolist() for batch in resumed]
            [[4, 5, 6, 7], [8, 9]]
        """
        self._epochs.load_state_dict(state)


def native_batches_of(native: _native.Dataset) -> Generator[Batch, None, None]:
    """Runs a dataset: its batches, in order, none of them kept here."""
    stream = native.execute()
    try:
        while (batch := stream.next_batch()) is not None:
            yield batch
    finally:
        stream.close()


def rows_of(native: _native.Dataset) -> Iterator[Any]:
    """Runs a dataset: its rows, in order."""
    for batch in native_batches_of(native):
        yield from batch.rows()


def all_rows_of(native: _native.Dataset) -> list[Any]:
    """Runs a dataset: all its rows, in order, each with the columns of all batches."""
    batches = list(native_batches_of(native))
    rows = [row for batch in batches for row in batch.rows()]
    names = dict.fromkeys(name for batch in batches for name in batch.column_names)
    if all(len(batch.column_names) == len(names) for batch in batches):
        return rows
    return [{name: row.get(name) for name in names} for row in rows]


def cut(
    batches: Generator[Batch, None, None], rows: int | None, *, drop_last: bool
) -> Generator[Batch, None, None]:
    """Batches of exactly ``rows`` rows, the last one maybe shorter.

    Args:
        batches: What comes, in order; it is closed with this.
        rows: Rows of a batch; None passes on what comes, without the empty ones.
        drop_last: Whether a shorter last batch is left out.
    """
    parts: list[Batch] = []
    held = 0
    try:
        for batch in batches:
            if rows is None:
                if batch.num_rows:
                    yield batch
                continue
            first = 0
            while batch.num_rows - first >= rows - held:
                wanted = rows - held
                parts.append(batch.slice(first, wanted))
                first += wanted
                yield join(parts)
                parts, held = [], 0
            if first < batch.num_rows:
                parts.append(batch.slice(first, batch.num_rows - first))
                held += batch.num_rows - first
        if parts and not drop_last:
            yield join(parts)
    finally:
        batches.close()
