"""Batches as torch tensors, on the device where they are wanted."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.ahead import Ahead
from raceline.data.collate_fn import Chunks, CollateFn, collated_from
from raceline.data.iterator import cut
from raceline.errors import PlanError, TensorError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from raceline._frames import ArrowBatch
    from raceline._native import Batch
    from raceline.data.epochs import Epoch

__all__ = ["TorchBatches", "moved", "pinned", "tensor_of", "tensors_of"]


def tensors_of(
    batch: ArrowBatch, dtypes: torch.dtype | dict[str, torch.dtype] | None
) -> dict[str, torch.Tensor]:
    """The columns of a batch as tensors that own their memory, on the CPU.

    Raises:
        TensorError: A column holds something that is no number.
    """
    arrays = batch.numpy(writable=True)
    return {
        name: tensor_of(name, array, dtypes.get(name) if isinstance(dtypes, dict) else dtypes)
        for name, array in arrays.items()
    }


def tensor_of(name: str, array: np.ndarray, dtype: torch.dtype | None) -> torch.Tensor:
    """A column's array as a tensor over the same memory.

    Raises:
        TensorError: It holds something that is no number.
    """
    if array.dtype.kind not in "biufc":
        what = "values of different shapes or kinds" if array.dtype.kind == "O" else array.dtype
        raise TensorError(
            f"column `{name}` cannot become a tensor: it holds {what}",
            column=name,
            hint="drop the column, or pass `collate_fn`",
        )
    tensor: torch.Tensor = optional("torch").as_tensor(array, dtype=dtype)
    return tensor


class TorchBatches:
    """How the batches of an iteration become tensors."""

    def __init__(
        self,
        dtypes: torch.dtype | dict[str, torch.dtype] | None,
        device: str | torch.device | None,
        collate_fn: Callable[[Any], Any] | CollateFn[Any, Any] | None,
        *,
        pin_memory: bool,
    ) -> None:
        """Checks what is asked for.

        Raises:
            ImportError: torch is not installed.
            PlanError: Both ``collate_fn`` and ``dtypes`` are given, or ``collate_fn`` cannot be
                called.
        """
        if collate_fn is not None and dtypes is not None:
            raise PlanError("pass either `collate_fn` or `dtypes`, not both")
        if collate_fn is not None and not callable(collate_fn):
            raise PlanError(f"`collate_fn` must be a function, got `{collate_fn!r}`")
        torch = optional("torch")
        if device is None or device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = torch.device(device)
        self._pins = pin_memory and _can_pin(torch)
        self._is_custom = collate_fn is not None
        if collate_fn is not None:
            self._collated = collated_from(collate_fn)
        else:
            self._collated = lambda batch: tensors_of(batch, dtypes)

    def pipeline(
        self, rows: int | None, ahead: int, *, drop_last: bool
    ) -> Callable[[Epoch], Generator[tuple[int, Any], None, None]]:
        """What makes tensors of an epoch: functions and transfers each in a thread of their own.

        Args:
            rows: Rows of a batch.
            ahead: Batches that each thread runs ahead; 0 does all in the thread that iterates.
            drop_last: Whether a shorter last batch is left out.
        """
        transfers = self._pins or self._device.type != "cpu"

        def run(epoch: Epoch) -> Generator[tuple[int, Any], None, None]:
            items: Any = self._collate(cut(epoch.batches(), rows, drop_last=drop_last))
            last: Any = items
            try:
                if ahead and (transfers or self._is_custom):
                    last = items = Ahead(items, ahead, epoch.cancel)
                if transfers or self._is_custom:
                    last = self._transfer(items)
                    if ahead and transfers:
                        last = Ahead(last, ahead, items.close)
                yield from last
            finally:
                last.close()
                items.close()

        return run

    def _collate(
        self, batches: Generator[Batch, None, None]
    ) -> Generator[tuple[int, Any], None, None]:
        try:
            for batch in batches:
                yield batch.num_rows, self._collated(batch)
        finally:
            batches.close()

    def _transfer(self, items: Any) -> Generator[tuple[int, Any], None, None]:
        for rows, value in items:
            ready = pinned(value) if self._pins else value
            yield rows, moved(ready, self._device, non_blocking=self._pins)


def _can_pin(torch: Any) -> bool:
    if torch.cuda.is_available():
        return True
    warnings.warn(
        "`pin_memory` has no effect: there is no GPU that would copy from it", stacklevel=4
    )
    return False


def pinned(value: Any) -> Any:
    """``value`` with the tensors in it in pinned memory."""
    return _mapped(value, lambda tensor: tensor.pin_memory())


def moved(value: Any, device: torch.device, *, non_blocking: bool) -> Any:
    """``value`` with the tensors in it on ``device``.

    ``Chunks`` of a tensor become it.
    """
    return _mapped(value, lambda tensor: tensor.to(device, non_blocking=non_blocking))


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """``value`` with ``change`` applied to the tensors in it; the rest stays as it is."""
    torch = optional("torch")

    def deeper(one: Any) -> Any:
        return _mapped(one, change)

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, Mapping):
        changed = {name: deeper(one) for name, one in value.items()}
        return changed if type(value) is dict else _alike(value, changed)
    if isinstance(value, list | tuple):
        if isinstance(value, Chunks) and value:
            return change(value[0] if len(value) == 1 else torch.cat(value))
        members = [deeper(one) for one in value]
        if hasattr(value, "_fields"):
            return type(value)(*members)
        return tuple(members) if isinstance(value, tuple) else members
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [one.name for one in dataclasses.fields(value) if one.init]
        return dataclasses.replace(value, **{one: deeper(getattr(value, one)) for one in fields})
    return value


def _alike(value: Mapping[Any, Any], changed: dict[Any, Any]) -> Any:
    """A mapping of the class of ``value``, where that can be made of a dict."""
    try:
        return type(value)(changed)  # type: ignore[call-arg]
    except TypeError:
        return changed
