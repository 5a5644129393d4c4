"""Batches as NumPy, pandas, PyArrow and torch objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from raceline._frame_types import FrameTypes, with_frame_types
from raceline._optional import optional, require
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline._native import Batch

__all__ = [
    "BatchFormat",
    "arrow_table",
    "convert_batch",
    "join",
    "normal_batch_format",
    "pandas_frame",
]

#: How a batch is seen. ``"default"`` is NumPy, None is PyArrow.
BatchFormat = Literal["default", "numpy", "pandas", "pyarrow", "torch"] | None

_NORMAL = {
    "default": "numpy",
    "numpy": "numpy",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "torch": "torch",
    None: "pyarrow",
}


def normal_batch_format(batch_format: BatchFormat) -> str:
    """``numpy``, ``pandas``, ``pyarrow`` or ``torch``.

    Raises:
        ImportError: It is ``torch``, which is not installed.
        PlanError: There is no such format.

    Example:
        >>> normal_batch_format("default")
        'numpy'
    """
    if not isinstance(batch_format, str | None) or batch_format not in _NORMAL:
        raise PlanError(
            f"there is no batch format `{batch_format!r}`",
            hint='pass "numpy", "pandas", "pyarrow" or "torch"',
        )
    if batch_format == "torch":
        require("torch")
    return _NORMAL[batch_format]


def convert_batch(
    batch: Batch,
    batch_format: str,
    *,
    writable: bool = False,
    types: FrameTypes | None = None,
) -> Any:
    """A batch in a format of :func:`normal_batch_format`.

    Args:
        batch: The batch.
        batch_format: The format.
        writable: Whether NumPy arrays must be writable; views of the engine's memory are not.
            Tensors always are.
        types: Types of pandas columns, of rows that came as frames.

    Raises:
        ImportError: pandas, pyarrow or torch is needed and not installed.
    """
    if batch_format == "numpy":
        return batch.numpy(writable=writable)
    if batch_format == "torch":
        from raceline import _tensors

        return _tensors.to_torch(batch, writable=True)
    from raceline import _frames

    if batch_format == "pandas":
        return _frames.to_pandas(batch, types)
    return _frames.to_arrow(batch)


def join(parts: list[Batch]) -> Batch:
    """One batch of all the rows, in order; types that differ are united."""
    return parts[0] if len(parts) == 1 else type(parts[0]).concat(parts)


def arrow_table(batches: list[Batch], schema: object | None) -> pa.Table:
    """The batches as one table, without a copy unless their types differ.

    Args:
        batches: The batches, in order.
        schema: Has ``__arrow_c_schema__``; the columns of an empty result, where known.

    Raises:
        ImportError: pyarrow is not installed.
    """
    from raceline import _frames

    pa = optional("pyarrow")
    if not batches:
        return pa.schema([] if schema is None else schema).empty_table()
    tables = [_frames.to_arrow(batch) for batch in batches]
    if any(table.schema != tables[0].schema for table in tables):
        tables = [_frames.to_arrow(join(batches))]
    return pa.concat_tables(tables)


def pandas_frame(
    batches: list[Batch], schema: object | None, types: FrameTypes | None = None
) -> pd.DataFrame:
    """The batches as one frame of Arrow-backed columns; tensors and objects as NumPy objects.

    Args:
        batches: The batches, in order.
        schema: Has ``__arrow_c_schema__``; the columns of an empty result, where known.
        types: Types of pandas columns, of rows that came as frames.

    Raises:
        ImportError: pandas or pyarrow is not installed.
    """
    if batches:
        from raceline import _frames

        return _frames.to_pandas(join(batches), types)
    pandas, table = optional("pandas"), arrow_table([], schema)
    if types is not None:
        return with_frame_types(table, types)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pandas.ArrowDtype)
    return frame
