"""Iterators over a dataset, or over one's share of it, for training loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from raceline.data.context import DataContext
from raceline.data.iteration import Iteration

if TYPE_CHECKING:
    from raceline import _native
    from raceline._frame_types import FrameTypes
    from raceline._native import Batch
    from raceline.data.dataset import MaterializedDataset
    from raceline.data.epochs import Epochs, EpochSource
    from raceline.data.schema import Schema

__all__ = ["DataIterator", "Iterated"]


class Iterated(Protocol):
    """What an iterator is over: a dataset, or a share of one."""

    def schema(self) -> Schema | None:
        """Names and types of the columns."""
        ...

    def stats(self) -> str:
        """What the last run took."""
        ...

    def materialize(self) -> MaterializedDataset:
        """Its rows, kept."""
        ...

    def _first_batch(self) -> Batch | None: ...

    def _frame_types(self) -> FrameTypes | None: ...

    def _is_debugged(self) -> bool: ...


class DataIterator(Iteration):
    """Goes over a dataset any number of times; each time is an epoch.

    Made by ``Dataset.iterator``, and by ``Dataset.streaming_split`` for the consumers of one run,
    which may be in other processes: there it is pickled.

    Example:
        >>> import raceline
        >>> iterator = raceline.range(3).iterator()
        >>> [batch["id"].tolist() for batch in iterator.iter_batches(batch_size=2)]
        [[0, 1], [2]]
    """

    def __init__(self, iterated: Any, source: EpochSource | None = None) -> None:
        """Goes over a dataset; users call ``Dataset.iterator``.

        Args:
            iterated: The dataset, or what stands for a share of it.
            source: Where its epochs come from; by default from the dataset alone.
        """
        from raceline.data.epochs import DatasetEpochs, Epochs

        self._iterated: Iterated = iterated
        self._all = Epochs(DatasetEpochs(_native_of(iterated)) if source is None else source)

    def state_dict(self) -> dict[str, Any]:
        """Where the last iteration over batches is, to go on at the very next batch.

        It is a small dict that JSON can hold: the number of the epoch, rows of it that were handed
        on, what its random order depends on, and plan and files by which ``load_state_dict`` sees
        whether the dataset is the same. A batch counts when the loop gets it. Behind the last batch
        of an epoch, the state is the beginning of the next one.

        Of iterators of one ``streaming_split``, the state of any of them is that of all, taken when
        each has got as many batches, as after a step of training in which all took part; they need
        the same ``batch_size``.

        Returns:
            The state, which iterators over the same dataset take, whatever their number.

        Raises:
            PlanError: The rows of the dataset come in another order each time.

        Example:
            >>> import raceline
            >>> iterator = raceline.range(10).iterator()
            >>> for batch in iterator.iter_batches(batch_size=4):
            ...     break
            >>> iterator.state_dict()["rows"]
            4
        """
        return self._all.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Has the next iteration go on where ``state_dict`` was called; later ones are whole.

        The rest of the epoch comes in the order in which it would have come, also where it is
        shuffled, by ``local_shuffle_buffer_size``, ``random_shuffle`` or ``shuffle="files"``. What
        comes before is not computed again where that can be avoided.

        Args:
            state: What ``state_dict`` returned.

        Raises:
            PlanError: It is no such state, or that of another dataset or of other files.

        Example:
            >>> import raceline
            >>> iterator = raceline.range(10).iterator()
            >>> for batch in iterator.iter_batches(batch_size=4, local_shuffle_buffer_size=5):
            ...     break
            >>> resumed = raceline.range(10).iterator()
            >>> resumed.load_state_dict(iterator.state_dict())
            >>> rest = resumed.iter_batches(batch_size=4, local_shuffle_buffer_size=5)
            >>> [len(batch["id"]) for batch in rest]
            [4, 2]
        """
        self._all.load_state_dict(state)

    def schema(self) -> Schema | None:
        """Names and types of the columns, as of ``Dataset.schema``.

        Example:
            >>> import raceline
            >>> raceline.range(3).iterator().schema().names
            ['id']
        """
        return self._iterated.schema()

    def stats(self) -> str:
        """What the last epoch took, stage by stage; empty before the first.

        Example:
            >>> import raceline
            >>> raceline.range(3).iterator().stats()
            ''
        """
        return self._iterated.stats()

    def get_context(self) -> DataContext:
        """The settings that it is run with: those of the process.

        Example:
            >>> import raceline
            >>> iterator = raceline.range(3).iterator()
            >>> iterator.get_context() is raceline.data.DataContext.get_current()
            True
        """
        return DataContext.get_current()

    def materialize(self) -> MaterializedDataset:
        """The rows that an epoch hands on, kept as by ``Dataset.materialize``.

        Of one of several consumers it is its share of an epoch, in which all have to take part.

        Example:
            >>> import raceline
            >>> raceline.range(3).iterator().materialize().count()
            3
        """
        return self._iterated.materialize()

    def __repr__(self) -> str:
        """The dataset's, as that of an iterator."""
        return f"DataIterator({self._iterated!r})"

    def _epochs(self) -> Epochs:
        """The same ones for all iterations."""
        return self._all

    def _frame_types(self) -> FrameTypes | None:
        """Those of the dataset."""
        return self._iterated._frame_types()

    def _is_debugged(self) -> bool:
        """Whether functions of the dataset run in the thread that iterates."""
        return self._iterated._is_debugged()

    def _first_batch(self) -> Batch | None:
        """A batch of the first row, or without rows where there is none."""
        return self._iterated._first_batch()


def _native_of(dataset: Any) -> _native.Dataset:
    """The engine's handle of a dataset."""
    native: _native.Dataset = dataset._native
    return native
