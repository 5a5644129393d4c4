"""The distinct values of columns, and values as their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.preprocessors.columns import column_of, is_missing, plain
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["Ids", "codes_of", "ids_of", "is_list", "items_of", "value_counts"]

#: A value to its id.
Ids = dict[Any, int]


def value_counts(
    dataset: Dataset, columns: Sequence[str], *, items: bool, missing: bool = False
) -> dict[str, Counter[Any]]:
    """How often each value comes, found in one run over the columns; None counts missing ones.

    Only the distinct values are held in memory.

    Args:
        dataset: What is run.
        columns: The columns.
        items: Whether the values of a list count, not the list as a whole, which is a tuple here.
        missing: Whether columns may have missing values.

    Raises:
        ColumnNotFoundError: A column does not exist.
        PlanError: A column has missing values, or values of a kind that cannot be counted.
    """
    counters: dict[str, Counter[Any]] = {name: Counter() for name in columns}
    batches = dataset.select_columns(list(columns))
    for table in batches.iter_batches(batch_size=None, batch_format="pyarrow"):
        for name, counter in counters.items():
            column = column_of(table, name)
            if is_list(column.type):
                if column.null_count:
                    counter[None] += column.null_count
                    column = column.drop_null()
                if not items:
                    counter.update(tuple(one) for one in column.to_pylist())
                    continue
                column = optional("pyarrow.compute").list_flatten(column)
            _count(counter, plain(column), name)
    for name, counter in counters.items():
        if not missing and None in counter:
            raise PlanError(
                f"column `{name}` has missing values, which have no id",
                column=name,
                hint="fill them first, for example by `SimpleImputer`, or filter such rows out",
            )
    return counters


def _count(counter: Counter[Any], column: pa.ChunkedArray, name: str) -> None:
    """Adds the values of a column."""
    pa, compute = optional("pyarrow"), optional("pyarrow.compute")
    gone = compute.sum(is_missing(column)).as_py() or 0
    if gone:
        counter[None] += gone
        column = column.filter(compute.invert(is_missing(column)))
    try:
        found = compute.value_counts(column)
    except pa.ArrowNotImplementedError as error:
        raise PlanError(
            f"values of type `{column.type}` of column `{name}` cannot be told apart", column=name
        ) from error
    values, counts = found.field("values").to_pylist(), found.field("counts").to_pylist()
    for value, count in zip(values, counts, strict=True):
        counter[value] += count


def ids_of(counter: Mapping[Any, int], most: int | None = None) -> Ids:
    """Ids from 0: of all values in their order, or of the most frequent ones, those first.

    Args:
        counter: How often each value comes.
        most: How many of the most frequent ones; of equally frequent ones those seen first.

    Raises:
        PlanError: The values have no order.

    Example:
        >>> ids_of({"b": 1, "a": 2, "c": 3})
        {'a': 0, 'b': 1, 'c': 2}
        >>> ids_of({"b": 1, "a": 2, "c": 3}, 2)
        {'c': 0, 'a': 1}
    """
    if most is not None:
        return {one: at for at, (one, _) in enumerate(Counter(counter).most_common(most))}
    try:
        return {one: at for at, one in enumerate(sorted(counter))}
    except TypeError as error:
        raise PlanError(f"the values have no order: {error}") from error


def codes_of(
    column: pa.ChunkedArray, id_of: Mapping[Any, int] | Callable[[Hashable], int]
) -> np.ndarray[Any, Any]:
    """The id of each value, -1 where it has none or is missing. A list is one value, a tuple.

    Args:
        column: The values.
        id_of: The ids, or a function that gives the id of a value.
    """
    import numpy as np

    ids: Callable[[Any], int] = (
        (lambda value: id_of.get(value, -1)) if isinstance(id_of, Mapping) else id_of
    )
    if is_list(column.type):
        values = column.to_pylist()
        return np.array([-1 if one is None else ids(tuple(one)) for one in values], dtype=np.int64)
    if len(column) == 0:
        return np.zeros(0, dtype=np.int64)
    encoded = plain(column).combine_chunks().dictionary_encode()
    if hasattr(encoded, "chunks"):
        encoded = encoded.combine_chunks()
    distinct = encoded.dictionary.to_pylist()
    table = [-1 if one is None or one != one else ids(one) for one in distinct]
    places = encoded.indices.fill_null(len(distinct)).to_numpy(zero_copy_only=False)
    codes: np.ndarray[Any, Any] = np.array([*table, -1], dtype=np.int64)[places]
    return codes


def items_of(
    column: pa.ChunkedArray,
) -> tuple[np.ndarray[Any, Any], pa.ChunkedArray, np.ndarray[Any, Any]]:
    """The items of the lists of a column; a value that is no list is an item by itself.

    Returns:
        The row of each item, the items, and whether each row is missing.
    """
    import numpy as np

    compute = optional("pyarrow.compute")
    column = plain(column)
    if not is_list(column.type):
        return np.arange(len(column)), column, is_missing(column).to_numpy()
    rows = compute.list_parent_indices(column).to_numpy()
    return rows, plain(compute.list_flatten(column)), column.is_null().to_numpy()


def is_list(kind: pa.DataType) -> bool:
    """Whether values of a type are lists or vectors."""
    types = optional("pyarrow").types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )
