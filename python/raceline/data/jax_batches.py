"""Batches as JAX arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.formats import convert_batch
from raceline.errors import PlanError, TensorError

if TYPE_CHECKING:
    import numpy as np

    from raceline._native import Batch

__all__ = ["arrays_of"]

Paddings = float | Mapping[str, float] | None


def arrays_of(
    dtypes: Any,
    collate_fn: Callable[[dict[str, Any]], Any] | None,
    padded: tuple[int | None, Paddings],
) -> Callable[[Batch], Any]:
    """What makes arrays of a batch.

    Args:
        dtypes: Type of all arrays, or of each column's.
        collate_fn: Makes what is returned, instead.
        padded: Rows up to which a batch is filled, and by what.

    Raises:
        ImportError: jax is not installed.
        PlanError: Arguments exclude each other.
    """
    rows, paddings = padded
    if collate_fn is not None:
        if dtypes is not None or paddings is not None:
            raise PlanError("pass either `collate_fn`, or `dtypes` and `paddings`")
        return lambda batch: collate_fn(convert_batch(batch, "numpy", writable=True))
    if paddings is not None and rows is None:
        raise PlanError("`paddings` needs a `batch_size` to fill batches up to")
    numpy = optional("jax").numpy

    def convert(batch: Batch) -> dict[str, Any]:
        arrays = convert_batch(batch, "numpy", writable=True)
        filled = {name: _filled(name, array, rows, paddings) for name, array in arrays.items()}
        return {
            name: numpy.asarray(
                array, dtype=dtypes.get(name) if isinstance(dtypes, Mapping) else dtypes
            )
            for name, array in filled.items()
        }

    return convert


def _filled(name: str, array: np.ndarray, rows: int | None, paddings: Paddings) -> np.ndarray:
    if array.dtype.kind not in "biufc":
        raise TensorError(
            f"column `{name}` cannot become a JAX array: it holds {array.dtype}",
            column=name,
            hint="drop the column, or pass `collate_fn`",
        )
    value = paddings.get(name) if isinstance(paddings, Mapping) else paddings
    if value is None or rows is None or len(array) == rows:
        return array
    import numpy as np

    rest = np.full((rows - len(array), *array.shape[1:]), value, dtype=array.dtype)
    return np.concatenate([array, rest])
