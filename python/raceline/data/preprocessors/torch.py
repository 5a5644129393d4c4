"""Transforms of pictures by TorchVision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from raceline._optional import optional, require
from raceline.data.preprocessors.argument import Argument, checked_columns, checked_outputs
from raceline.data.preprocessors.serialization import (
    SerializablePreprocessor,
    SerializablePreprocessorBase,
)

__all__ = ["TorchVisionPreprocessor"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.torch_vision")
class TorchVisionPreprocessor(SerializablePreprocessorBase):
    """Applies a transform of TorchVision, or any function that gives tensors, to columns.

    Example:
        >>> import raceline
        >>> def halved(image):
        ...     return image / 2
        >>> images = raceline.read_images("images", size=(32, 32))  # doctest: +SKIP
        >>> TorchVisionPreprocessor(["image"], halved).transform(images)  # doctest: +SKIP
    """

    columns = Argument[list[str]]()
    torchvision_transform = Argument[Callable[[Any], Any]]()
    output_columns = Argument[list[str]]()
    batched = Argument[bool]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        transform: Callable[[Any], Any],
        output_columns: Sequence[str] | None = None,
        batched: bool = False,
    ) -> None:
        """Makes a preprocessor.

        Args:
            columns: Columns of arrays, such as pictures of height x width x channels.
            transform: Gets a tensor, or where it refuses one, an array; returns a tensor.
            output_columns: Names of the columns that are made; None replaces the arrays.
            batched: Whether it gets all arrays of a batch as one, which must be of one shape.

        Raises:
            ImportError: torch is not installed.
            PlanError: The names do not fit.
        """
        super().__init__()
        require("torch")
        self._columns = checked_columns(columns)
        self._output_columns = checked_outputs(self._columns, output_columns)
        self._torchvision_transform = transform
        self._batched = batched

    def __repr__(self) -> str:
        """As it was made."""
        return (
            f"TorchVisionPreprocessor(columns={self._columns!r}, "
            f"output_columns={self._output_columns!r}, "
            f"transform={self._torchvision_transform!r}, batched={self._batched})"
        )

    def _transform_numpy(self, np_data: dict[str, Any]) -> dict[str, Any]:
        made = dict(np_data)
        for name, output in zip(self._columns, self._output_columns, strict=True):
            arrays = np_data[name]
            if self._batched:
                made[output] = self._transformed(arrays)
            else:
                made[output] = [self._transformed(one) for one in arrays]
        return made

    def _transformed(self, array: Any) -> Any:
        """What the transform makes of one array.

        Raises:
            ValueError: It gave no tensor.
        """
        torch = optional("torch")
        try:
            tensor = self._torchvision_transform(torch.tensor(array))
        except TypeError:
            # Such as `ToTensor`, which wants an array.
            tensor = self._torchvision_transform(array)
        if not isinstance(tensor, torch.Tensor):
            raise ValueError(
                f"the transform must give a `torch.Tensor`, got `{type(tensor).__name__}`"
            )
        return tensor.numpy()
