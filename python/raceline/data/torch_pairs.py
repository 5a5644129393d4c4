"""Batches as pairs of features and labels, as ``to_torch`` gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.data.collate_fn import NumpyBatchCollateFn
from raceline.data.torch_batches import tensor_of
from raceline.errors import ColumnNotFoundError, PlanError

if TYPE_CHECKING:
    import torch

__all__ = ["Pairs", "dataset_of"]


class Pairs(NumpyBatchCollateFn[Any]):
    """Makes a pair of features and labels of each batch."""

    def __init__(
        self,
        label_column: str | None,
        feature_columns: Any,
        dtypes: tuple[Any, Any],
        unsqueezes: tuple[bool, bool],
    ) -> None:
        """Says which columns go where.

        Args:
            label_column: The labels.
            feature_columns: The features: a list, a list of lists, or a dict of lists.
            dtypes: Types of the labels and of the features.
            unsqueezes: Whether labels, and columns of features, get a second dimension.

        Raises:
            PlanError: The features and their types do not fit each other.
        """
        self._label_column = label_column
        self._features = feature_columns
        self._label_dtype, self._feature_dtypes = dtypes
        self._unsqueezes_labels, self._unsqueezes_features = unsqueezes
        if isinstance(feature_columns, str):
            raise PlanError("`feature_columns` must be a list or a dict of lists, got a string")
        self._check_dtypes()

    def _check_dtypes(self) -> None:
        dtypes, columns = self._feature_dtypes, self._features
        if isinstance(dtypes, Mapping):
            fits = isinstance(columns, Mapping) and set(dtypes) == set(columns)
        elif isinstance(dtypes, list | tuple):
            fits = _is_nested(columns) and len(dtypes) == len(columns)
        else:
            fits = True
        if not fits:
            raise PlanError(
                "`feature_column_dtypes` must be one type, or one for each list of columns"
            )

    def __call__(self, batch: dict[str, Any]) -> tuple[Any, Any]:
        """The features and the labels of a batch."""
        label = None
        if self._label_column is not None:
            label = _column(batch, self._label_column, self._label_dtype)
            if self._unsqueezes_labels and label.dim() == 1:
                label = label.unsqueeze(1)
        columns, dtypes = self._features, self._feature_dtypes
        if columns is None:
            columns = [name for name in batch if name != self._label_column]
        if isinstance(columns, Mapping):
            of = dtypes if isinstance(dtypes, Mapping) else dict.fromkeys(columns, dtypes)
            return {key: self._joined(batch, one, of[key]) for key, one in columns.items()}, label
        if _is_nested(columns):
            each = dtypes if isinstance(dtypes, list | tuple) else [dtypes] * len(columns)
            pairs = zip(columns, each, strict=True)
            return [self._joined(batch, one, dtype) for one, dtype in pairs], label
        return self._joined(batch, columns, dtypes), label

    def _joined(self, batch: dict[str, Any], columns: Sequence[str], dtype: Any) -> torch.Tensor:
        tensors = [_column(batch, name, dtype) for name in columns]
        if self._unsqueezes_features:
            tensors = [one.unsqueeze(1) if one.dim() == 1 else one for one in tensors]
        if len(tensors) == 1:
            return tensors[0]
        joined: torch.Tensor = optional("torch").cat(tensors, dim=1)
        return joined


def _is_nested(columns: Any) -> bool:
    """Whether it is a list of lists."""
    return isinstance(columns, list | tuple) and bool(columns) and not isinstance(columns[0], str)


def _column(batch: dict[str, Any], name: str, dtype: Any) -> torch.Tensor:
    if name not in batch:
        raise ColumnNotFoundError(
            f"there is no column `{name}`", column=name, hint=f"there are `{'`, `'.join(batch)}`"
        )
    return tensor_of(name, batch[name], dtype)


def dataset_of(batches: Iterable[Any]) -> torch.utils.data.IterableDataset[Any]:
    """A torch dataset that goes over ``batches``, each time anew."""
    torch = optional("torch")

    class BatchDataset(torch.utils.data.IterableDataset):  # type: ignore[misc, name-defined]
        """Batches of pairs of features and labels."""

        def __iter__(self) -> Iterator[Any]:
            return iter(batches)

    return BatchDataset()
