"""What every part of a dataset stands on: the engine's handle on a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["Handle", "restored"]


class Handle:
    """Holds a plan of the engine. The plan is inert; handles are never changed."""

    __slots__ = ("_native",)

    def __init__(self, native: _native.Dataset) -> None:
        """Wraps the engine's dataset; users call ``raceline.read_*`` and ``raceline.from_*``."""
        self._native = native

    def _derive(self, native: _native.Dataset) -> Self:
        """A dataset of the same class over another plan."""
        return type(self)(native)

    def __reduce__(self) -> tuple[Any, ...]:
        """The dataset as the calls that made it; rows in memory and functions travel along."""
        from raceline._lineage import dump

        return restored, (type(self), dump(self._native), self._state())

    def __copy__(self) -> Self:
        """Another dataset of the same plan; nothing is pickled for it."""
        made = type(self)(self._native)
        for name, value in self._state().items():
            setattr(made, name, value)
        return made

    def __deepcopy__(self, memo: Any) -> Self:
        """The same as a shallow copy: plans never change."""
        return self.__copy__()

    def _state(self) -> dict[str, Any]:
        """What it has besides its plan: attributes by name."""
        return {}

    def _run_for_this(self, native: _native.Dataset) -> _native.Dataset:
        """Another plan, whose runs count as runs of this dataset: its ``stats`` tell of them."""
        return native.recorded_in(self._native)


def restored(kind: type[Handle], dumped: bytes, state: dict[str, Any]) -> Handle:
    """A dataset that was pickled.

    Args:
        kind: Its class.
        dumped: How its plan was made.
        state: Attributes that it has besides.
    """
    from raceline._lineage import load

    handle = kind(load(dumped))
    for name, value in state.items():
        setattr(handle, name, value)
    return handle
