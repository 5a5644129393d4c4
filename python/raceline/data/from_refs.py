"""Datasets of what references stand for, as programs written for Ray make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline._objects import ObjectRef, values_of
from raceline.data.dataset import Dataset
from raceline.data.memory import from_arrow, from_numpy, from_pandas

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

__all__ = ["from_arrow_refs", "from_numpy_refs", "from_pandas_refs"]


def from_pandas_refs(dfs: ObjectRef[pd.DataFrame] | Sequence[ObjectRef[pd.DataFrame]]) -> Dataset:
    """As ``from_pandas``, of references to frames.

    Args:
        dfs: A reference, or several, made by ``raceline.put``.

    Raises:
        PlanError: Something is no frame.

    Example:
        >>> import pandas, raceline as ray
        >>> ray.data.from_pandas_refs([ray.put(pandas.DataFrame({"a": [1]}))]).take_all()
        [{'a': 1}]
    """
    return from_pandas(values_of(dfs))


def from_numpy_refs(
    ndarrays: ObjectRef[np.ndarray[Any, Any]] | Sequence[ObjectRef[np.ndarray[Any, Any]]],
) -> Dataset:
    """As ``from_numpy``, of references to arrays.

    Args:
        ndarrays: A reference, or several, made by ``raceline.put``.

    Example:
        >>> import numpy, raceline as ray
        >>> ray.data.from_numpy_refs([ray.put(numpy.arange(2))]).take_all()
        [{'data': 0}, {'data': 1}]
    """
    return from_numpy(values_of(ndarrays))


def from_arrow_refs(
    tables: ObjectRef[pa.Table | bytes] | Sequence[ObjectRef[pa.Table | bytes]],
) -> Dataset:
    """As ``from_arrow``, of references to tables or bytes.

    Args:
        tables: A reference, or several, made by ``raceline.put``.

    Raises:
        PlanError: Something is no Arrow data.

    Example:
        >>> import pyarrow, raceline as ray
        >>> ray.data.from_arrow_refs(ray.put(pyarrow.table({"a": [1]}))).take_all()
        [{'a': 1}]
    """
    return from_arrow(values_of(tables))
