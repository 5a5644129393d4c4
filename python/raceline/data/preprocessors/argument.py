"""The arguments that a preprocessor was made with: read-only, and checked when they are given."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Generic, TypeVar, overload

from raceline.data._arguments import column_names
from raceline.errors import PlanError

__all__ = ["Argument", "arguments_of", "checked_columns", "checked_outputs"]

T = TypeVar("T")


class Argument(Generic[T]):
    """A read-only view of what the constructor keeps under the same name with a ``_`` before it.

    Example:
        >>> class Box:
        ...     size = Argument[int]()
        ...
        ...     def __init__(self, size):
        ...         self._size = size
        >>> Box(3).size
        3
    """

    def __set_name__(self, owner: type, name: str) -> None:
        """Learns its name."""
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Argument[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Argument[T] | T:
        """The value; of a class the argument itself."""
        if instance is None:
            return self
        value: T = instance.__dict__[f"_{self._name}"]
        return value

    def __set__(self, instance: object, value: T) -> None:
        """Refuses.

        Raises:
            AttributeError: Always.
        """
        raise AttributeError(
            f"`{self._name}` of `{type(instance).__name__}` cannot be changed: make another one"
        )


def arguments_of(cls: type) -> list[str]:
    """Names of a class's arguments, in the order of its constructor.

    Example:
        >>> from raceline.data.preprocessors import StandardScaler
        >>> arguments_of(StandardScaler)
        ['columns', 'output_columns']
    """
    names = inspect.signature(cls).parameters
    return [name for name in names if isinstance(getattr(cls, name, None), Argument)]


def checked_columns(columns: str | Sequence[str]) -> list[str]:
    """Columns of a preprocessor.

    Raises:
        PlanError: There are none, one comes twice, or something is no name.
    """
    names = column_names(columns)
    if not names:
        raise PlanError("`columns` names no column")
    for name in names:
        if names.count(name) > 1:
            raise PlanError(f"column `{name}` is named twice")
    return names


def checked_outputs(columns: list[str], output_columns: Sequence[str] | None) -> list[str]:
    """Names of the columns that are made, one for each column; None makes them in place.

    Raises:
        PlanError: There are not as many, or one comes twice.
    """
    if output_columns is None:
        return columns
    names = checked_columns(output_columns)
    if len(names) != len(columns):
        raise PlanError(
            f"`output_columns` has {len(names)} names for {len(columns)} columns",
            hint="give one name for each column, or leave it out to change the columns in place",
        )
    return names
