"""Functions that make of a batch what a training loop gets, by the kind of batch that they take."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raceline._optional import optional
from raceline.data.formats import convert_batch

if TYPE_CHECKING:
    import pyarrow as pa
    import torch

    from raceline._native import Batch

__all__ = [
    "ArrowBatchCollateFn",
    "Chunks",
    "CollateFn",
    "DefaultCollateFn",
    "NumpyBatchCollateFn",
    "PandasBatchCollateFn",
    "collated_from",
    "is_tensor_batch_type",
]

T_contra = TypeVar("T_contra", contravariant=True)
T_co = TypeVar("T_co", covariant=True)


class CollateFn(ABC, Generic[T_contra, T_co]):
    """Base of the classes below; derive from one of these, which says what batches it takes.

    It is called in a thread of its own, one batch after the other.

    Example:
        >>> import raceline
        >>> from raceline.data.collate_fn import CollateFn
        >>> issubclass(raceline.data.collate_fn.NumpyBatchCollateFn, CollateFn)
        True
    """

    @abstractmethod
    def __call__(self, batch: T_contra) -> T_co:
        """What the loop gets for ``batch``.

        Tensors in it (alone, in lists, dicts or data classes, and in those in them) are moved to
        the device of the iteration.
        """


class ArrowBatchCollateFn(CollateFn["pa.Table", T_co]):
    """Takes PyArrow tables.

    Example:
        >>> from raceline.data.collate_fn import ArrowBatchCollateFn
        >>> class Count(ArrowBatchCollateFn):
        ...     def __call__(self, batch):
        ...         return batch.num_rows
    """


class NumpyBatchCollateFn(CollateFn["dict[str, Any]", T_co]):
    """Takes dicts of writable NumPy arrays.

    Example:
        >>> from raceline.data.collate_fn import NumpyBatchCollateFn
        >>> class Sum(NumpyBatchCollateFn):
        ...     def __call__(self, batch):
        ...         return batch["id"].sum()
    """


class PandasBatchCollateFn(CollateFn[Any, T_co]):
    """Takes pandas data frames.

    Example:
        >>> from raceline.data.collate_fn import PandasBatchCollateFn
        >>> class Rows(PandasBatchCollateFn):
        ...     def __call__(self, batch):
        ...         return len(batch)
    """


class Chunks(list[Any]):
    """Tensors that are the chunks of one; they become it where they are moved to a device."""


class DefaultCollateFn(ArrowBatchCollateFn[Any]):
    """Tensors of PyArrow tables.

    Args:
        dtypes: Type of all tensors, or of each column's.
        combine_chunks: Whether a column is one tensor; else it is a list of tensors, one for each
            chunk of the table.
        num_workers: Without effect: what there is to do is a copy.

    Example:
        >>> from raceline.data.collate_fn import DefaultCollateFn
        >>> collate = DefaultCollateFn(combine_chunks=True)
        >>> collate(pa.table({"x": [1, 2]}))  # doctest: +SKIP
        {'x': tensor([1, 2])}
    """

    def __init__(
        self,
        dtypes: torch.dtype | dict[str, torch.dtype] | None = None,
        combine_chunks: bool = False,
        num_workers: int = 4,
    ) -> None:
        """Says what tensors are made."""
        self.dtypes = dtypes
        self.combine_chunks = combine_chunks
        self.num_workers = num_workers

    def __call__(self, batch: pa.Table) -> dict[str, torch.Tensor] | dict[str, list[torch.Tensor]]:
        """The tensors of a table.

        Raises:
            ImportError: torch is not installed.
            TensorError: A column holds something that is no number.
        """
        from raceline._native import value_to_batches
        from raceline.data.torch_batches import tensors_of

        parts = value_to_batches(batch.combine_chunks() if self.combine_chunks else batch)
        if self.combine_chunks and len(parts) == 1:
            return tensors_of(parts[0], self.dtypes)
        chunks: dict[str, list[torch.Tensor]] = {name: Chunks() for name in batch.column_names}
        for part in parts:
            for name, tensor in tensors_of(part, self.dtypes).items():
                chunks[name].append(tensor)
        return chunks


def collated_from(collate_fn: Callable[[Any], Any]) -> Callable[[Batch], Any]:
    """What calls ``collate_fn`` with a batch of the kind that it takes."""
    if isinstance(collate_fn, ArrowBatchCollateFn):
        return lambda batch: collate_fn(convert_batch(batch, "pyarrow"))
    if isinstance(collate_fn, PandasBatchCollateFn):
        return lambda batch: collate_fn(convert_batch(batch, "pandas"))
    return lambda batch: collate_fn(convert_batch(batch, "numpy", writable=True))


def is_tensor_batch_type(batch: Any) -> bool:
    """Whether it consists of torch tensors alone: one, or sequences and mappings of them.

    Raises:
        ImportError: torch is not installed.

    Example:
        >>> from raceline.data.collate_fn import is_tensor_batch_type
        >>> is_tensor_batch_type({"x": torch.zeros(2)})  # doctest: +SKIP
        True
    """
    torch = optional("torch")
    return _is_of(batch, torch.Tensor)


def _is_of(value: Any, kind: type) -> bool:
    if isinstance(value, kind):
        return True
    if isinstance(value, Mapping):
        return bool(value) and all(_is_of(one, kind) for one in value.values())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return bool(value) and all(_is_of(one, kind) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return bool(fields) and all(_is_of(getattr(value, one.name), kind) for one in fields)
    return False
