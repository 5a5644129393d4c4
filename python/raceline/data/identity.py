"""What a dataset is called, how large it is, and what it is run with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raceline.data.context import DataContext
from raceline.data.handle import Handle
from raceline.data.iterator import native_batches_of
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["Identity"]


class Identity(Handle):
    """The part of a dataset that tells about itself."""

    __slots__ = ("_name",)

    _name: str | None

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
