"""Objects by reference, as programs written for Ray pass them around.

There is no object store: a reference holds the object itself, and takes it along where it is
pickled, such as into a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar, overload

from raceline.errors import PlanError

__all__ = ["ObjectRef", "get", "put"]

T = TypeVar("T")


class ObjectRef(Generic[T]):
    """A reference to an object, made by :func:`put`; :func:`get` gives the object.

    Example:
        >>> import raceline as ray
        >>> ray.get(ray.put("a model"))
        'a model'
    """

    __slots__ = ("__weakref__", "_value")

    def __init__(self, value: T) -> None:
        """Holds the object; users call :func:`put`."""
        self._value = value

    def __repr__(self) -> str:
        """What kind of object it is."""
        return f"ObjectRef({type(self._value).__name__})"


def put(value: T) -> ObjectRef[T]:
    """A reference to an object, which is not copied.

    Args:
        value: The object.

    Raises:
        TypeError: It is a reference already.

    Example:
        >>> import raceline as ray
        >>> weights = ray.put({"bias": 2})
        >>> ray.data.range(2).map(lambda row: row["id"] + ray.get(weights)["bias"]).take_all()
        [2, 3]
    """
    if isinstance(value, ObjectRef):
        raise TypeError("`put` was given a reference: put the object itself")
    return ObjectRef(value)


@overload
def get(object_refs: ObjectRef[T], *, timeout: float | None = None) -> T: ...
@overload
def get(object_refs: Sequence[ObjectRef[T]], *, timeout: float | None = None) -> list[T]: ...
def get(object_refs: Any, *, timeout: float | None = None) -> Any:
    """The object of a reference, or the list of those of a list of references.

    Args:
        object_refs: The reference or references.
        timeout: Without effect: the objects are there.

    Raises:
        PlanError: Something is no reference.

    Example:
        >>> import raceline as ray
        >>> [table] = ray.get(ray.data.from_items([{"a": 1}]).to_arrow_refs())
        >>> table.num_rows
        1
    """
    if isinstance(object_refs, ObjectRef):
        return object_refs._value
    if not isinstance(object_refs, list | tuple):
        raise PlanError(
            f"`get` needs a reference or a list of references, got `{type(object_refs).__name__}`",
            hint="`put` makes a reference of an object",
        )
    return [get(one) if isinstance(one, ObjectRef) else _refused(one) for one in object_refs]


def values_of(refs: Any) -> list[Any]:
    """The objects of one reference or several, which may be given themselves as well."""
    several = list(refs) if isinstance(refs, list | tuple) else [refs]
    return [one._value if isinstance(one, ObjectRef) else one for one in several]


def _refused(thing: Any) -> Any:
    raise PlanError(
        f"`get` was given a list with a `{type(thing).__name__}`, which is no reference"
    )
