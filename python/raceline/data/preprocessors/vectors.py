"""Vector columns: a tensor of one dimension in each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raceline._optional import optional

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["counted", "vector_column"]


def vector_column(
    matrix: np.ndarray[Any, Any], missing: np.ndarray[Any, Any] | None = None
) -> pa.ExtensionArray:
    """The rows of a matrix as tensors; null where ``missing`` is true.

    Raises:
        ValueError: The matrix has no columns.
    """
    pa = optional("pyarrow")
    rows, width = matrix.shape
    if width == 0:
        raise ValueError("a vector would have no elements: the data that was fitted had no values")
    flat = pa.array(matrix.reshape(rows * width))
    mask = None if missing is None or not missing.any() else pa.array(missing)
    storage = pa.FixedSizeListArray.from_arrays(flat, width, mask=mask)
    kind = pa.fixed_shape_tensor(flat.type, [width])
    return pa.ExtensionArray.from_storage(kind, storage)


def counted(
    rows: np.ndarray[Any, Any], codes: np.ndarray[Any, Any], shape: tuple[int, int]
) -> np.ndarray[Any, Any]:
    """How often each code comes in each row; those below 0 are not counted.

    Args:
        rows: The row of each code.
        codes: The codes.
        shape: The number of rows and that of codes.
    """
    import numpy as np

    known = codes >= 0
    places = rows[known] * shape[1] + codes[known]
    return np.bincount(places, minlength=shape[0] * shape[1]).reshape(shape)
