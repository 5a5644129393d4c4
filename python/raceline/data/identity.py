"""What a dataset is called, how large it is, and what it is run with."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, cast

from raceline._lineage import dump, is_read_again
from raceline.data.context import DataContext
from raceline.data.handle import Handle, restored
from raceline.data.iterator import native_batches_of
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["Identity"]


class Identity(Handle):
    """The part of a dataset that tells about itself."""

    __slots__ = ("_identifier", "_name")

    _identifier: str
    _name: str | None

    def _state(self) -> dict[str, Any]:
        """Its name."""
        return {"_name": self.name}

    def set_name(self, name: str | None) -> None:
        """Gives this dataset a name, for a person; what is derived of it has none.

        Args:
            name: The name, which ``repr`` shows; None takes it away.

        Raises:
            PlanError: It is no string.

        Example:
            >>> import raceline
            >>> rows = raceline.range(3)
            >>> rows.set_name("three")
            >>> rows.name
            'three'
        """
        if not isinstance(name, str | None):
            raise PlanError(f"a dataset's name must be a string, got `{name!r}`")
        self._name = name

    @property
    def name(self) -> str | None:
        """The name that ``set_name`` gave, or None.

        Example:
            >>> import raceline
            >>> raceline.range(3).name is None
            True
        """
        return getattr(self, "_name", None)

    @property
    def context(self) -> DataContext:
        """The settings that it is run with: those of the process.

        Example:
            >>> import raceline
            >>> raceline.range(3).context is raceline.data.DataContext.get_current()
            True
        """
        return DataContext.get_current()

    @staticmethod
    def copy(ds: Dataset) -> Dataset:
        """Another dataset of the same plan, which may have a name of its own.

        Args:
            ds: The dataset.

        Example:
            >>> import raceline
            >>> rows = raceline.range(3)
            >>> raceline.Dataset.copy(rows).take_all() == rows.take_all()
            True
        """
        return type(ds)(ds._native)

    def get_dataset_id(self) -> str:
        """An identifier of this object: its name, something of its own, and its number of runs.

        Example:
            >>> import raceline
            >>> rows = raceline.range(3)
            >>> rows.set_name("three")
            >>> rows.get_dataset_id().split("_")[0]
            'three'
        """
        if not hasattr(self, "_identifier"):
            import uuid

            self._identifier = uuid.uuid4().hex
        return f"{self.name or 'dataset'}_{self._identifier}_{self._native.executions()}"

    def input_files(self) -> list[str]:
        """The files that it reads, each once, without scheme; lists them, and runs nothing.

        Example:
            >>> import raceline, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     raceline.range(3).write_csv(folder)
            ...     len(raceline.read_csv(folder).input_files())
            1
            >>> raceline.range(3).input_files()
            []
        """
        return [uri.split("://", 1)[-1] for uri in self._native.input_files()]

    def has_serializable_lineage(self) -> bool:
        """Whether ``serialize_lineage`` works: all rows come of one read, and none of memory.

        Example:
            >>> import raceline
            >>> raceline.range(3).has_serializable_lineage()
            True
            >>> raceline.from_items([1]).has_serializable_lineage()
            False
        """
        return is_read_again(self._native)

    def serialize_lineage(self) -> bytes:
        """How the dataset is made, without any of its rows; ``pickle`` takes those along.

        Raises:
            PlanError: Rows come of memory, or of several reads.

        Example:
            >>> import raceline
            >>> lineage = raceline.range(3).limit(2).serialize_lineage()
            >>> raceline.Dataset.deserialize_lineage(lineage).take_all()
            [{'id': 0}, {'id': 1}]
        """
        if not self.has_serializable_lineage():
            raise PlanError(
                "a dataset whose rows come of memory, or of several others, has no lineage to "
                "serialize",
                hint="pickle the dataset, with its rows: after `materialize()` where they can be "
                "read once",
            )
        return pickle.dumps((dump(self._native), self._state()))

    @staticmethod
    def deserialize_lineage(serialized_ds: bytes) -> Dataset:
        """A dataset of what ``serialize_lineage`` returned, in this process or another one.

        Args:
            serialized_ds: As trusted as a pickle has to be: it may hold functions.

        Example:
            >>> import raceline
            >>> lineage = raceline.range(3).serialize_lineage()
            >>> raceline.Dataset.deserialize_lineage(lineage).count()
            3
        """
        from raceline.data.dataset import Dataset

        dumped, state = pickle.loads(serialized_ds)  # noqa: S301 (as said above)
        dataset = restored(Dataset, dumped, state)
        return cast("Dataset", dataset)

    def size_bytes(self) -> int:
        """Bytes that all rows take in Arrow memory; runs the dataset, and holds none of them.

        Raises:
            ImportError: pyarrow is not installed.

        Example:
            >>> import raceline
            >>> raceline.range(10).size_bytes()
            80
        """
        from raceline._frames import to_arrow

        return sum(to_arrow(batch).nbytes for batch in native_batches_of(self._native))
