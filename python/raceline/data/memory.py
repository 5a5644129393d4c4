"""Datasets of what is in memory already."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from raceline._frame_types import types_of_frames
from raceline._frames import columns_of, exported
from raceline._lineage import of_frames
from raceline._optional import optional
from raceline._session import session
from raceline.data._arguments import whole_number
from raceline.data.blocks import warn_of_blocks
from raceline.data.dataset import Dataset, MaterializedDataset
from raceline.data.handle import Handle
from raceline.data.in_process import Once, pieces_of, read_here
from raceline.data.ray_arguments import READ_ARGUMENTS, accepts
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "from_arrow",
    "from_blocks",
    "from_items",
    "from_numpy",
    "from_pandas",
    "range",
    "range_tensor",
]

# Bytes of tensors that `range_tensor` makes at a time, where one alone is not larger.
_TENSORS_BYTES = 8 << 20


_range = range


@accepts(READ_ARGUMENTS)
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
    warn_of_blocks(override_num_blocks, frames=2)
    return Dataset(session().range(rows))


@accepts(READ_ARGUMENTS)
def range_tensor(
    n: int,
    *,
    shape: Sequence[int] = (1,),
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of one column ``data`` of int64 tensors, each filled with the number of its row.

    They are made when they are needed, in the thread that takes the rows.

    Args:
        n: Number of rows.
        shape: Shape of each tensor.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        PlanError: ``n`` or a number of ``shape`` is no int of at least 0.

    Example:
        >>> import raceline
        >>> raceline.range_tensor(3, shape=(2, 2)).take_batch()["data"][2]
        array([[2, 2],
               [2, 2]])
    """
    rows = whole_number("n", n, 0, hint="pass the number of rows, 0 or more")
    sizes = tuple(whole_number("shape", one, 0) for one in shape)
    warn_of_blocks(override_num_blocks, frames=2)
    rows_most = max(1, _TENSORS_BYTES // max(1, 8 * math.prod(sizes)))

    def range_tensor(batch: dict[str, np.ndarray[Any, Any]]) -> Iterator[dict[str, Any]]:
        import numpy as np

        for first in _range(0, len(batch["id"]), rows_most):
            numbers = batch["id"][first : first + rows_most]
            tensors = np.empty((len(numbers), *sizes), dtype=np.int64)
            tensors[...] = numbers.reshape(-1, *(1 for _ in sizes))
            yield {"data": tensors}

    return Dataset(session().range(rows)).map_batches(range_tensor, debug=True)


@accepts(READ_ARGUMENTS)
def from_items(
    items: Iterable[Any], *, override_num_blocks: int | None = None
) -> MaterializedDataset:
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
    warn_of_blocks(override_num_blocks, frames=2)
    rows = [item if isinstance(item, Mapping) else {"item": item} for item in items]
    return MaterializedDataset(session().from_batches("FromItems", rows_to_batches(rows)))


def from_numpy(
    ndarrays: np.ndarray[Any, Any] | Sequence[np.ndarray[Any, Any]],
) -> MaterializedDataset:
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
    return MaterializedDataset(
        session().from_batches("FromNumpy", [columns_to_batch({"data": one}) for one in arrays])
    )


def from_pandas(
    dfs: pd.DataFrame | Sequence[pd.DataFrame], override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of pandas frames. The index is left out; missing values become None.

    Frames that come out of it have the same types, until the rows go through a function, a sort or
    groups: from then on, columns are Arrow's.

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
    from raceline._native import columns_to_batch

    warn_of_blocks(override_num_blocks)
    frames: list[Any] = list(dfs) if isinstance(dfs, list | tuple) else [dfs]
    for frame in frames:
        if not hasattr(frame, "iloc"):
            raise PlanError(f"`from_pandas` needs a DataFrame, got `{type(frame).__name__}`")
    batches = [columns_to_batch(columns_of(frame)) for frame in frames]
    native = session().from_batches("FromPandas", batches)
    return MaterializedDataset(of_frames(native, types_of_frames(frames)))


def from_arrow(
    tables: pa.Table | bytes | Sequence[pa.Table | bytes],
    *,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of Arrow data, without a copy.

    Args:
        tables: A table, record batch, anything with ``__arrow_c_stream__``, or the bytes of an
            Arrow IPC stream; or several of them that follow each other. A
            ``pyarrow.RecordBatchReader`` is not read before the dataset is run, and then batch by
            batch; as it can be read once, so can the dataset.
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
    if isinstance(tables, Handle):
        return Dataset(tables._native)
    several = [_exporter(one) for one in _listed(tables)]
    if any(map(_is_reader, several)):
        return read_here("from_arrow", Once("from_arrow", _read_once(several)))
    return MaterializedDataset(session().from_batches("FromArrow", several))


def from_blocks(blocks: Sequence[pa.Table | pd.DataFrame]) -> MaterializedDataset:
    """A dataset of tables and frames that follow each other, as of ``from_arrow``, ``from_pandas``.

    Args:
        blocks: PyArrow tables and pandas frames.

    Raises:
        PlanError: Something is neither.

    Example:
        >>> import pandas, pyarrow, raceline
        >>> blocks = [pyarrow.table({"a": [1]}), pandas.DataFrame({"a": [2]})]
        >>> raceline.from_blocks(blocks).take_all()
        [{'a': 1}, {'a': 2}]
    """
    from raceline._native import columns_to_batch

    several = _listed(blocks)
    if several and all(hasattr(block, "iloc") for block in several):
        return from_pandas(several)
    batches = [
        columns_to_batch(columns_of(block)) if hasattr(block, "iloc") else _exporter(block)
        for block in several
    ]
    return MaterializedDataset(session().from_batches("FromBlocks", batches))


def _listed(things: Any) -> list[Any]:
    """One thing or several as a list."""
    return list(things) if isinstance(things, list | tuple) else [things]


def _exporter(data: Any) -> Any:
    """Something that exports Arrow data."""
    if isinstance(data, bytes):
        return optional("pyarrow").ipc.open_stream(data).read_all()
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        return exported(data)
    raise PlanError(
        f"`from_arrow` needs Arrow data, got `{type(data).__name__}`",
        hint="pass a pyarrow table, or the bytes of an IPC stream",
    )


def _is_reader(data: Any) -> TypeGuard[pa.RecordBatchReader]:
    """Whether it is a reader of PyArrow."""
    arrow = sys.modules.get("pyarrow")
    return arrow is not None and isinstance(data, arrow.RecordBatchReader)


def _read_once(several: list[Any]) -> Iterator[Any]:
    """The batches of tables and readers."""
    for one in several:
        yield from pieces_of(one) if _is_reader(one) else [one]
