"""Conversions between batches and torch tensors, by the names that Ray Data gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline._tensors import without_tensors
from raceline.data.collate_fn import DefaultCollateFn
from raceline.data.torch_batches import moved, pinned, tensor_of
from raceline.data.torch_pairs import Pairs

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import torch

__all__ = [
    "arrow_batch_to_tensors",
    "concat_tensors_to_device",
    "convert_ndarray_batch_to_torch_tensor_batch",
    "convert_ndarray_to_torch_tensor",
    "convert_table_to_torch_tensor",
    "convert_tensors_to_numpy",
    "move_tensors_to_device",
    "pin_tensors_to_memory",
]


def arrow_batch_to_tensors(
    batch: pa.Table,
    dtypes: torch.dtype | dict[str, torch.dtype] | None = None,
    combine_chunks: bool = False,
    pin_memory: bool = False,
    threadpool: Any = None,
) -> dict[str, Any]:
    """The columns of a table as tensors, for an ``ArrowBatchCollateFn``.

    Args:
        batch: The table.
        dtypes: Type of all tensors, or of each column's.
        combine_chunks: Whether a column is one tensor; else it is a list of tensors, one for each
            chunk, which are joined where they are moved to a device.
        pin_memory: Whether they are in pinned memory.
        threadpool: Without effect.

    Example:
        >>> arrow_batch_to_tensors(pa.table({"x": [1, 2]}), combine_chunks=True)  # doctest: +SKIP
        {'x': tensor([1, 2])}
    """
    del threadpool
    tensors = DefaultCollateFn(dtypes, combine_chunks)(batch)
    return dict(pinned(tensors)) if pin_memory else dict(tensors)


def convert_ndarray_to_torch_tensor(
    ndarray: np.ndarray,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
    pin_memory: bool = False,
) -> torch.Tensor:
    """An array as a tensor, which shares its memory where it stays on the CPU.

    Args:
        ndarray: The array, of numbers.
        dtype: Type of the tensor; by default that of the array.
        device: Where it goes.
        pin_memory: Whether it is in pinned memory.

    Raises:
        TensorError: It holds something that is no number.

    Example:
        >>> convert_ndarray_to_torch_tensor(np.arange(2))  # doctest: +SKIP
        tensor([0, 1])
    """
    tensor = tensor_of("array", ndarray, dtype)
    if pin_memory:
        tensor = pinned(tensor)
    return tensor if device is None else tensor.to(device)


def convert_ndarray_batch_to_torch_tensor_batch(
    ndarrays: np.ndarray | dict[str, np.ndarray],
    dtypes: torch.dtype | dict[str, torch.dtype] | None = None,
    device: str | torch.device | None = None,
    pin_memory: bool = False,
) -> torch.Tensor | dict[str, torch.Tensor]:
    """An array, or each of a dict, as :func:`convert_ndarray_to_torch_tensor` has it.

    Args:
        ndarrays: The array, or a dict of arrays.
        dtypes: Type of all tensors, or of each column's.
        device: Where they go.
        pin_memory: Whether they are in pinned memory.

    Example:
        >>> batch = {"x": np.arange(2)}  # doctest: +SKIP
        >>> convert_ndarray_batch_to_torch_tensor_batch(batch)  # doctest: +SKIP
        {'x': tensor([0, 1])}
    """
    if not isinstance(ndarrays, Mapping):
        return convert_ndarray_to_torch_tensor(ndarrays, _of(dtypes, None), device, pin_memory)
    return {
        name: convert_ndarray_to_torch_tensor(array, _of(dtypes, name), device, pin_memory)
        for name, array in ndarrays.items()
    }


def _of(dtypes: Any, name: str | None) -> Any:
    """The type of one column."""
    return dtypes.get(name) if isinstance(dtypes, Mapping) else dtypes


def convert_table_to_torch_tensor(
    data_batch: pd.DataFrame,
    columns: Sequence[Any] | None = None,
    column_dtypes: Any = None,
    unsqueeze: bool = True,
) -> torch.Tensor | list[torch.Tensor]:
    """Columns of a data frame, joined to one tensor; or a tensor for each list of columns.

    Args:
        data_batch: The frame.
        columns: Columns, or lists of them; by default all.
        column_dtypes: Type of the tensor, or of each.
        unsqueeze: Whether columns of numbers have a second dimension, along which they are joined.

    Example:
        >>> convert_table_to_torch_tensor(pd.DataFrame({"a": [1], "b": [2]}))  # doctest: +SKIP
        tensor([[1, 2]])
    """
    import numpy as np

    arrays = {str(name): np.asarray(column) for name, column in data_batch.items()}
    features, _ = Pairs(None, columns, (None, column_dtypes), (False, unsqueeze))(arrays)
    tensors: torch.Tensor | list[torch.Tensor] = features
    return tensors


def concat_tensors_to_device(
    tensor_sequence: Sequence[torch.Tensor],
    device: str | torch.device | None = None,
    non_blocking: bool = False,
) -> torch.Tensor:
    """The tensors joined to one, on a device.

    Args:
        tensor_sequence: One tensor or more.
        device: Where it goes; by default where the first one is.
        non_blocking: Whether the copy from pinned memory may still be under way.

    Example:
        >>> concat_tensors_to_device([torch.ones(1), torch.zeros(1)])  # doctest: +SKIP
        tensor([1., 0.])
    """
    joined: torch.Tensor = optional("torch").cat(list(tensor_sequence))
    return joined if device is None else joined.to(device, non_blocking=non_blocking)


def move_tensors_to_device(
    batch: Any, device: str | torch.device | None = None, non_blocking: bool = False
) -> Any:
    """The same with all tensors in it on a device.

    Args:
        batch: A tensor, or lists, tuples, dicts and data classes with tensors in them.
        device: Where they go; by default they stay where they are.
        non_blocking: Whether copies from pinned memory may still be under way.

    Example:
        >>> move_tensors_to_device({"x": torch.ones(1)}, "cpu")  # doctest: +SKIP
        {'x': tensor([1.])}
    """
    if device is None:
        return batch
    return moved(batch, optional("torch").device(device), non_blocking=non_blocking)


def pin_tensors_to_memory(batch: Any) -> Any:
    """The same with all tensors in it in pinned memory; needs a GPU.

    Args:
        batch: As of :func:`move_tensors_to_device`.

    Example:
        >>> pin_tensors_to_memory(torch.ones(1)).is_pinned()  # doctest: +SKIP
        True
    """
    return pinned(batch)


def convert_tensors_to_numpy(batch: Any) -> Any:
    """A tensor, or those of a dict, as NumPy arrays.

    Args:
        batch: A tensor, or a dict of tensors.

    Example:
        >>> convert_tensors_to_numpy({"x": torch.ones(1)})  # doctest: +SKIP
        {'x': array([1.], dtype=float32)}
    """
    if isinstance(batch, Mapping):
        return without_tensors(dict(batch))
    return without_tensors({"tensor": batch})["tensor"]
