"""Batches as torch tensors, and tensors as columns.

torch is optional: batches become tensors only where it is asked for, and columns are tensors only
where the user has imported it.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from raceline._optional import optional

if TYPE_CHECKING:
    import numpy as np

    from raceline._frames import ArrowBatch

# Kinds of NumPy arrays of numbers; torch has tensors of most of them.
_NUMBERS = "biufc"


def to_torch(batch: ArrowBatch, *, writable: bool) -> dict[str, Any]:
    """A dict of column name to tensor, on the CPU.

    Columns that torch has no tensor for, such as strings, times and tensors of different shapes,
    are NumPy arrays. Missing numbers are NaN, as in NumPy batches.

    Args:
        batch: The batch.
        writable: Whether tensors own their memory. Others share the batch's, which is read-only;
            since torch knows no such tensors, writing to one ends the process.

    Raises:
        ImportError: torch is not installed.
    """
    torch = optional("torch")
    arrays = batch.numpy(writable=writable)
    return {name: _tensor(torch, array) for name, array in arrays.items()}


def _tensor(torch: Any, array: np.ndarray) -> Any:
    if array.dtype.kind not in _NUMBERS:
        return array
    try:
        return torch.from_dlpack(array)
    except (BufferError, RuntimeError, TypeError):
        pass  # older versions take neither read-only arrays nor every type this way
    with warnings.catch_warnings():
        # That an array is read-only is what the caller wants.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return torch.from_numpy(array)
        except TypeError:  # unsigned numbers, for older versions of torch
            return array


def is_tensor(value: Any) -> bool:
    """Whether it is a tensor of torch, which only code that imports torch can have made."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def without_tensors(columns: dict[Any, Any]) -> dict[Any, Any]:
    """The columns with NumPy arrays in place of tensors, those in lists included.

    A tensor on the CPU shares its memory with its array; one on a device is copied from it.

    Raises:
        TypeError: NumPy has no such numbers.
    """
    if "torch" not in sys.modules:
        return columns
    return {name: _without_tensors(name, values) for name, values in columns.items()}


def _without_tensors(name: Any, values: Any) -> Any:
    if is_tensor(values):
        return _array(name, values)
    if isinstance(values, list) and any(is_tensor(value) for value in values):
        return [_array(name, value) if is_tensor(value) else value for value in values]
    return values


def _array(name: Any, tensor: Any) -> np.ndarray:
    try:
        array: np.ndarray = tensor.detach().cpu().resolve_conj().resolve_neg().numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"column `{name}` is a tensor that NumPy cannot hold: {tensor.dtype}, {tensor.layout}\n"
            "  hint: return it dense, and as `float()`"
        ) from error
    return array
