"""Datasets of what is in memory already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline._session import session
from raceline.data._arguments import whole_number
from raceline.data.blocks import warn_of_blocks
from raceline.data.dataset import Dataset
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = ["from_arrow", "from_items", "from_numpy", "from_pandas", "range"]


def range(n: int, *, override_num_blocks: int | None = None) -> Dataset:
    """A dataset of one int64 column ``id``: 0, 1, ..., ``n - 1``. Nothing is held in memory.

    Args:
        n: Number of rows.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        PlanError: ``n`` is no int of at least 0.

    Example:
        >>> import raceline
        >>> raceline.range(3).take_all()
        [{'id': 0}, {'id': 1}, {'id': 2}]
    """
    rows = whole_number("n", n, 0, hint="pass the number of rows, 0 or more")
    warn_of_blocks(override_num_blocks)
    return Dataset(session().range(rows))


def from_items(items: Iterable[Any], *, override_num_blocks: int | None = None) -> Dataset:
    """A dataset of Python objects.

    Args:
        items: Dicts become rows, in which a key that others have is missing; anything else
            becomes a row of one column ``item``.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        PlanError: ``items`` is one dict, or nothing to iterate over.

    Example:
        >>> import raceline
        >>> raceline.from_items([{"a": 1}, {"a": 2, "b": "x"}]).take_all()
        [{'a': 1, 'b': None}, {'a': 2, 'b': 'x'}]
        >>> raceline.from_items(["x", "y"]).take_all()
        [{'item': 'x'}, {'item': 'y'}]
    """
    from raceline._native import rows_to_batches

    if isinstance(items, Mapping) or not isinstance(items, Iterable):
        raise PlanError(
            f"`from_items` needs a list of items, got `{type(items).__name__}`",
            hint="put a single item into a list: `from_items([...])`",
        )
    warn_of_blocks(override_num_blocks)
    rows = [item if isinstance(item, Mapping) else {"item": item} for item in items]
    return Dataset(session().from_batches("FromItems", rows_to_batches(rows)))


def from_numpy(ndarrays: np.ndarray[Any, Any] | Sequence[np.ndarray[Any, Any]]) -> Dataset:
    """A dataset of one column ``data``; of arrays of more than one dimension a tensor column.

    Args:
        ndarrays: An array, or arrays of equal type that follow each other; the first dimension
            counts the rows.

    Example:
        >>> import numpy, raceline
        >>> raceline.from_numpy(numpy.zeros((2, 4, 3))).take_batch()["data"].shape
        (2, 4, 3)
    """
    from raceline._native import columns_to_batch

    arrays = ndarrays if isinstance(ndarrays, list | tuple) else [ndarrays]
    return Dataset(
        session().from_batches("FromNumpy", [columns_to_batch({"data": one}) for one in arrays])
    )


def from_pandas(
    dfs: pd.DataFrame | Sequence[pd.DataFrame], *, override_num_blocks: int | None = None
) -> Dataset:
    """A dataset of pandas frames. The index is left out; missing values become None.

    Args:
        dfs: A frame, or frames that follow each other. Object columns of arrays become tensors.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        PlanError: Something is no frame.

    Example:
        >>> import pandas, raceline
        >>> raceline.from_pandas(pandas.DataFrame({"a": [1, 2]})).take_all()
        [{'a': 1}, {'a': 2}]
    """
    from raceline._frames import columns_of
    from raceline._native import columns_to_batch

    warn_of_blocks(override_num_blocks)
    frames: list[Any] = list(dfs) if isinstance(dfs, list | tuple) else [dfs]
    for frame in frames:
        if not hasattr(frame, "iloc"):
            raise PlanError(f"`from_pandas` needs a DataFrame, got `{type(frame).__name__}`")
    batches = [columns_to_batch(columns_of(frame)) for frame in frames]
    return Dataset(session().from_batches("FromPandas", batches))


def from_arrow(
    tables: pa.Table | bytes | Sequence[pa.Table | bytes],
    *,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of Arrow data, without a copy.

    Args:
        tables: A table, record batch, anything with ``__arrow_c_stream__``, or the bytes of an
            Arrow IPC stream; or several of them that follow each other.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        ImportError: Bytes are given and pyarrow is not installed.
        PlanError: Something is no Arrow data.

    Example:
        >>> import pyarrow, raceline
        >>> raceline.from_arrow(pyarrow.table({"a": [1, 2]})).take_all()
        [{'a': 1}, {'a': 2}]
    """
    warn_of_blocks(override_num_blocks)
    several = list(tables) if isinstance(tables, list | tuple) else [tables]
    return Dataset(session().from_batches("FromArrow", [_exporter(one) for one in several]))


def _exporter(data: Any) -> Any:
    """Something that exports Arrow data."""
    if isinstance(data, bytes):
        return optional("pyarrow").ipc.open_stream(data).read_all()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return data
    raise PlanError(
        f"`from_arrow` needs Arrow data, got `{type(data).__name__}`",
        hint="pass a pyarrow table, or the bytes of an IPC stream",
    )
