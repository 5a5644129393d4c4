"""Streams of rows and batches that leave a dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from raceline._optional import optional
from raceline.data.formats import convert_batch, join
from raceline.errors import PlanError

if TYPE_CHECKING:
    import torch

    from raceline import _native
    from raceline._native import Batch

__all__ = ["Repeatable", "batches_of", "cut", "native_batches_of", "rows_of", "torch_batches_of"]

T_co = TypeVar("T_co", covariant=True)


class Repeatable(Generic[T_co]):
    """Something to iterate over any number of times; each time runs the dataset again.

    Example:
        >>> import raceline
        >>> rows = raceline.range(2).iter_rows()
        >>> list(rows) == list(rows)
        True
    """

    def __init__(self, start: Callable[[], Iterator[T_co]]) -> None:
        """Wraps the function that starts one iteration."""
        self._start = start

    def __iter__(self) -> Iterator[T_co]:
        """Starts an iteration. The run ends with it, when it is closed, or when it is dropped."""
        return self._start()


def native_batches_of(native: _native.Dataset) -> Iterator[Batch]:
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


def cut(batches: Iterator[Batch], rows: int | None, *, drop_last: bool) -> Iterator[Batch]:
    """Batches of exactly ``rows`` rows, the last one maybe shorter.

    Args:
        batches: What comes, in order.
        rows: Rows of a batch; None passes on what comes, without the empty ones.
        drop_last: Whether a shorter last batch is left out.
    """
    parts: list[Batch] = []
    held = 0
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


def batches_of(
    native: _native.Dataset, rows: int | None, batch_format: str, *, drop_last: bool
) -> Iterator[Any]:
    """Runs a dataset: its batches, cut to ``rows`` and in ``batch_format``."""
    for batch in cut(native_batches_of(native), rows, drop_last=drop_last):
        yield convert_batch(batch, batch_format)


class TorchConversion:
    """How batches become tensors."""

    def __init__(
        self,
        dtypes: torch.dtype | dict[str, torch.dtype] | None,
        device: str | torch.device,
        collate_fn: Callable[[dict[str, Any]], Any] | None,
        *,
        pin_memory: bool,
    ) -> None:
        """Checks what is asked for.

        Raises:
            ImportError: torch is not installed.
            PlanError: Both ``collate_fn`` and ``dtypes`` are given.
        """
        if collate_fn is not None and dtypes is not None:
            raise PlanError("pass either `collate_fn` or `dtypes`, not both")
        torch = self._torch = optional("torch")
        self._dtypes = dtypes
        self._collate_fn = collate_fn
        self._pin_memory = pin_memory
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)

    def __call__(self, batch: dict[str, Any]) -> Any:
        """The tensors of one batch of writable NumPy arrays.

        Raises:
            TypeError: A column holds something that is no number.
        """
        if self._collate_fn is not None:
            return self._collate_fn(batch)
        return {name: self._tensor(name, array) for name, array in batch.items()}

    def _tensor(self, name: str, array: Any) -> torch.Tensor:
        if array.dtype.kind not in "biufc":
            raise TypeError(
                f"column `{name}` of type `{array.dtype}` cannot become a tensor: drop it, or "
                "pass `collate_fn`"
            )
        dtype = self._dtypes.get(name) if isinstance(self._dtypes, dict) else self._dtypes
        tensor = self._torch.as_tensor(array, dtype=dtype)
        if self._pin_memory:
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=self._pin_memory)


def torch_batches_of(
    native: _native.Dataset, rows: int | None, conversion: TorchConversion, *, drop_last: bool
) -> Iterator[Any]:
    """Runs a dataset: its batches, cut to ``rows``, as tensors."""
    for batch in cut(native_batches_of(native), rows, drop_last=drop_last):
        yield conversion(convert_batch(batch, "numpy", writable=True))
