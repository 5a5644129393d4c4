"""Elements of datasets that stay what they are on their way through the engine."""

from __future__ import annotations

import functools
from typing import Any

from raceline._optional import is_numpy

__all__ = ["weight", "whole"]

# About the bytes of a pixel of a picture that is no array yet.
_PIXEL_BYTES = 4
# A list of more values than this is weighed by their number.
_MANY = 256


def whole(element: Any) -> Any:
    """The element; a tuple, list or dict that holds arrays is to be pickled as it is.

    The engine would make lists of such arrays, and they would come back as lists.
    """
    element = _compact(element)
    if isinstance(element, tuple | list | dict) and _holds_arrays(element):
        return _pickled_as(type(element))(element)
    return element


class _Pickled:
    """Something that Arrow has no type for, and that is the value itself when it is unpickled."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self.value,)


def _itself(value: Any) -> Any:
    return value


@functools.cache
def _pickled_as(kind: type) -> type[_Pickled]:
    """A class by the name of another, which warnings show."""
    return type(kind.__name__, (_Pickled,), {"__module__": kind.__module__})


def _compact(element: Any) -> Any:
    """The element with tensors that hold no more memory than they show.

    One that is a view of a larger tensor would be pickled with all of that.
    """
    if _is_tensor(element):
        is_view = element.untyped_storage().nbytes() > element.nbytes
        return element.clone() if is_view else element
    if isinstance(element, tuple):
        parts = map(_compact, element)
        return type(element)._make(parts) if hasattr(element, "_make") else tuple(parts)
    if isinstance(element, list):
        return list(map(_compact, element))
    if type(element) is dict:
        return {name: _compact(value) for name, value in element.items()}
    return element


def _holds_arrays(value: Any) -> bool:
    """Whether there is an array of at least one dimension in it."""
    if isinstance(value, dict):
        return any(map(_holds_arrays, value.values()))
    if isinstance(value, tuple | list):
        return any(map(_holds_arrays, value))
    return (is_numpy(value, "ndarray") or _is_tensor(value)) and value.ndim > 0


def _is_tensor(value: Any) -> bool:
    """Whether it is a tensor of torch."""
    return hasattr(value, "untyped_storage")


def weight(value: Any) -> int:
    """About the bytes of a value."""
    if isinstance(value, dict):
        return sum(map(weight, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(weight, value)) if len(value) <= _MANY else 8 * len(value)
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if is_numpy(value, "ndarray") or _is_tensor(value):
        return int(value.nbytes)
    if hasattr(value, "getbands"):  # a picture of Pillow's
        width, height = value.size
        return _PIXEL_BYTES * int(width) * int(height)
    return 8
