"""Batches as TensorFlow tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data._arguments import column_names
from raceline.data.formats import convert_batch
from raceline.errors import ColumnNotFoundError, TensorError

if TYPE_CHECKING:
    import tensorflow as tf

    from raceline._native import Batch

__all__ = ["Part", "dataset_of", "tensors_of"]


def tensors_of(dtypes: Any) -> Callable[[Batch], dict[str, Any]]:
    """What makes tensors of a batch.

    Args:
        dtypes: Type of all tensors, or of each column's.

    Raises:
        ImportError: tensorflow is not installed.
    """
    tensorflow = optional("tensorflow")

    def convert(batch: Batch) -> dict[str, Any]:
        arrays = convert_batch(batch, "numpy", writable=True)
        return {
            name: _tensor(
                tensorflow, name, array, dtypes.get(name) if isinstance(dtypes, dict) else dtypes
            )
            for name, array in arrays.items()
        }

    return convert


def _tensor(tensorflow: Any, name: str, array: Any, dtype: Any) -> Any:
    try:
        if array.dtype.kind == "O" and len(array) and hasattr(array[0], "shape"):
            tensor = tensorflow.ragged.stack([tensorflow.convert_to_tensor(one) for one in array])
            return tensor if dtype is None else tensorflow.cast(tensor, dtype)
        tensor = tensorflow.convert_to_tensor(array)
        return tensor if dtype in (None, tensor.dtype) else tensorflow.cast(tensor, dtype)
    except (ValueError, TypeError, tensorflow.errors.InvalidArgumentError) as error:
        raise TensorError(
            f"column `{name}` cannot become a tensor of TensorFlow",
            column=name,
            hint="drop the column, or turn it into numbers or texts",
        ) from error


@dataclass(frozen=True)
class Part:
    """A member of what a ``tf.data.Dataset`` gives: one column's tensor, or a dict of several.

    Attributes:
        columns: One name, or several.
        spec: The type that the user said.
    """

    columns: str | Sequence[str]
    spec: Any

    def of(self, tensors: dict[str, Any]) -> Any:
        """The member, of the tensors of a batch.

        Raises:
            ColumnNotFoundError: There is no such column.
        """
        for name in column_names(self.columns):
            if name not in tensors:
                raise ColumnNotFoundError(
                    f"there is no column `{name}`",
                    column=name,
                    hint=f"there are `{'`, `'.join(tensors)}`",
                )
        if isinstance(self.columns, str):
            return tensors[self.columns]
        return {name: tensors[name] for name in self.columns}


def dataset_of(
    batches: Iterable[dict[str, Any]],
    parts: Sequence[Part],
    first_batch: Callable[[], Batch | None],
) -> tf.data.Dataset:
    """A dataset of tuples with these parts of each batch.

    Args:
        batches: Its batches; each iteration goes over them anew.
        parts: What it gives of each.
        first_batch: Runs for a first row, of which it has the types that the user did not say.
    """
    tensorflow = optional("tensorflow")
    if all(part.spec is not None for part in parts):
        specs = tuple(part.spec for part in parts)
    else:
        specs = _specs(tensorflow, parts, first_batch())

    def generate() -> Iterator[tuple[Any, ...]]:
        for tensors in batches:
            yield tuple(part.of(tensors) for part in parts)

    dataset: tf.data.Dataset = tensorflow.data.Dataset.from_generator(
        generate, output_signature=specs
    )
    return dataset


def _specs(tensorflow: Any, parts: Sequence[Part], first: Batch | None) -> tuple[Any, ...]:
    tensors = {} if first is None else tensors_of(None)(first)

    def spec_of(name: str) -> Any:
        tensor = tensors[name]
        if isinstance(tensor, tensorflow.RaggedTensor):
            # The rows of other batches have other lengths in every dimension.
            shape = [None] * tensor.shape.rank
            return tensorflow.RaggedTensorSpec(shape, tensor.dtype, tensor.ragged_rank)
        return tensorflow.TensorSpec([None, *tensor.shape[1:]], tensor.dtype, name)

    return tuple(
        part.spec if part.spec is not None else part.of({name: spec_of(name) for name in tensors})
        for part in parts
    )
