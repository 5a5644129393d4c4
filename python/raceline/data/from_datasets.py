"""Datasets of the datasets of PyTorch, Hugging Face and TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline._session import session
from raceline.data.blocks import warn_of_blocks
from raceline.data.dataset import Dataset
from raceline.data.in_process import Runs, chunks, read_here
from raceline.data.memory import from_arrow
from raceline.data.plain_columns import array_tensors
from raceline.data.whole_values import whole
from raceline.errors import PlanError

if TYPE_CHECKING:
    import datasets
    import tensorflow
    import torch

__all__ = ["from_huggingface", "from_tf", "from_torch"]

# Rows that a dataset of Hugging Face's reads at a time.
_ARROW_ROWS = 256


def from_torch(
    dataset: torch.utils.data.Dataset[Any] | Iterable[Any], local_read: bool = False
) -> Dataset:
    """A dataset of one column ``item``: the elements of a PyTorch dataset.

    Elements are read when the dataset is run: those of one with ``len()`` by its numbers and by
    several workers, those of an iterable one by one worker. Arrays and tensors become a tensor
    column; a tuple or dict that holds some stays what it is, and is pickled.

    Args:
        dataset: The dataset, or anything to iterate over.
        local_read: Whether it is read in the thread that takes the rows; else it must be picklable.

    Raises:
        PlanError: There is nothing to iterate over, or it cannot be pickled.

    Example:
        >>> import raceline
        >>> squares = [number**2 for number in range(4)]  # or a `torch.utils.data.Dataset`
        >>> raceline.from_torch(squares).take(2)
        [{'item': 0}, {'item': 1}]
    """
    if not hasattr(dataset, "__iter__") and not hasattr(dataset, "__getitem__"):
        raise PlanError(f"`from_torch` needs a dataset, got `{type(dataset).__name__}`")
    source: Any = dataset
    if _has_numbers(source):
        return _in_workers(
            lambda: Dataset(session().range(len(source))).map_batches(
                _Numbered(source), debug=local_read
            )
        )
    if local_read:
        return read_here("from_torch", Runs("from_torch", source, _items))
    return _in_workers(
        lambda: Dataset(session().range(1)).map_batches(_Elements(source), concurrency=1)
    )


def from_huggingface(
    dataset: datasets.Dataset | datasets.IterableDataset,
    parallelism: int = -1,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    """A dataset of the rows of a Hugging Face dataset.

    The Arrow data of a ``datasets.Dataset`` is used as it is, without a copy: what lies in files is
    not read before it is needed. Arrays of one shape, as of ``Array2D``, are tensors. A dataset
    that was shuffled, filtered or sorted is gathered batch by batch. A ``datasets.IterableDataset``
    is read by one worker whenever the dataset is run, or in the thread that takes the rows, where
    it cannot be pickled.

    Args:
        dataset: The dataset, with one split.
        parallelism: Ray's older name of ``override_num_blocks``.
        concurrency: Without effect: one worker reads.
        override_num_blocks: Without effect but a warning: batches are cut by bytes.

    Raises:
        ImportError: datasets or pyarrow is not installed.
        PlanError: It has several splits, or is something else.

    Example:
        >>> import datasets, raceline  # doctest: +SKIP
        >>> letters = datasets.Dataset.from_dict({"letter": ["a", "b"]})  # doctest: +SKIP
        >>> raceline.from_huggingface(letters).take_all()  # doctest: +SKIP
        [{'letter': 'a'}, {'letter': 'b'}]
    """
    warn_of_blocks(override_num_blocks if parallelism == -1 else parallelism)
    hf = optional("datasets")
    given: Any = dataset
    if isinstance(given, hf.DatasetDict | hf.IterableDatasetDict):
        splits = ", ".join(f"`{name}`" for name in given)
        raise PlanError(
            f"`from_huggingface` takes one split, and this has: {splits}",
            hint=f'for example `from_huggingface(datasets["{next(iter(given), "train")}"])`',
        )
    if isinstance(given, hf.IterableDataset):
        rows = given.with_format("arrow")
        try:
            return Dataset(session().range(1)).map_batches(_Tables(rows), concurrency=1)
        except PlanError:  # it holds what cannot be sent to a worker
            return read_here("from_huggingface", lambda: _tables(rows))
    if not isinstance(given, hf.Dataset):
        raise PlanError(
            f"`from_huggingface` needs a `datasets.Dataset`, got `{type(given).__name__}`"
        )
    rows = given.with_format("arrow", columns=given.format["columns"])
    if getattr(given, "_indices", None) is None or not len(given):
        return from_arrow(array_tensors(rows[:]).replace_schema_metadata(None))
    return read_here("from_huggingface", lambda: _tables(rows))


def from_tf(dataset: tensorflow.data.Dataset) -> Dataset:
    """A dataset of the elements of a TensorFlow dataset, read in the thread that takes the rows.

    Elements that are dicts become rows; others become rows of one column ``item``.

    Args:
        dataset: The dataset; it is read whenever the result is run.

    Raises:
        ImportError: tensorflow is not installed.
        PlanError: It is no ``tf.data.Dataset``.

    Example:
        >>> import raceline, tensorflow as tf  # doctest: +SKIP
        >>> raceline.from_tf(tf.data.Dataset.range(2)).take_all()  # doctest: +SKIP
        [{'item': 0}, {'item': 1}]
    """
    if not isinstance(dataset, optional("tensorflow").data.Dataset):
        raise PlanError(f"`from_tf` needs a `tf.data.Dataset`, got `{type(dataset).__name__}`")
    return read_here("from_tf", lambda: _columns(dataset.as_numpy_iterator()))


class _Numbered:
    """Reads the elements of some numbers."""

    __name__ = "from_torch"

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __call__(self, batch: dict[str, Any]) -> Iterator[Any]:
        yield from _items(self._read(batch["id"].tolist()))

    def _read(self, numbers: list[int]) -> Iterator[Any]:
        for number in numbers:
            try:
                element = self._dataset[number]
            except Exception as error:
                error.add_note(f"It is element {number} of the dataset.")
                raise
            yield element


class _Elements:
    """Reads all elements."""

    __name__ = "from_torch"

    def __init__(self, dataset: Iterable[Any]) -> None:
        self._dataset = dataset

    def __call__(self, _: Any) -> Iterator[Any]:
        yield from _items(self._dataset)


class _Tables:
    """Reads all rows of a dataset of Hugging Face's."""

    __name__ = "from_huggingface"

    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def __call__(self, _: Any) -> Iterator[Any]:
        yield from _tables(self._rows)


def _has_numbers(dataset: Any) -> bool:
    """Whether elements are found by their numbers, and not one after the other."""
    return (
        hasattr(dataset, "__getitem__")
        and hasattr(dataset, "__len__")
        and not isinstance(dataset, Mapping)
        and not _is_iterable_style(dataset)
    )


def _is_iterable_style(dataset: Any) -> bool:
    """Whether it is one of torch's iterable datasets, some of which have a length as well."""
    return any(
        base.__module__.startswith("torch.") and base.__name__ == "IterableDataset"
        for base in type(dataset).__mro__
    )


def _in_workers(make: Any) -> Dataset:
    """What is made of a dataset that workers read.

    Raises:
        PlanError: It cannot be pickled.
    """
    try:
        made: Dataset = make()
    except PlanError as error:
        raise PlanError(
            str(error).partition("\n  hint:")[0],
            hint="read it in this process: `from_torch(dataset, local_read=True)`",
        ) from error
    return made


def _items(elements: Iterable[Any]) -> Iterator[dict[str, list[Any]]]:
    for chunk in chunks(map(whole, elements)):
        yield {"item": chunk}


def _columns(elements: Iterable[Any]) -> Iterator[dict[str, list[Any]]]:
    """Columns of elements of one structure."""
    for chunk in chunks(elements):
        if isinstance(chunk[0], Mapping):
            yield {name: [row[name] for row in chunk] for name in chunk[0]}
        else:
            yield {"item": list(map(whole, chunk))}


def _tables(rows: Any) -> Iterator[Any]:
    """The rows of a dataset of Hugging Face's that gives Arrow tables."""
    for table in rows.iter(batch_size=_ARROW_ROWS):
        yield array_tensors(table).replace_schema_metadata(None)
