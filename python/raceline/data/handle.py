"""What every part of a dataset stands on: the engine's handle on a plan."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["Handle"]


class Handle:
    """Holds a plan of the engine. The plan is inert; handles are never changed."""

    __slots__ = ("_native",)

    def __init__(self, native: _native.Dataset) -> None:
        """Wraps the engine's dataset; users call ``raceline.read_*`` and ``raceline.from_*``."""
        self._native = native

    def _derive(self, native: _native.Dataset) -> Self:
        """A dataset of the same class over another plan."""
        return type(self)(native)

    def _run_for_this(self, native: _native.Dataset) -> _native.Dataset:
        """Another plan, whose runs count as runs of this dataset: its ``stats`` tell of them."""
        return native.recorded_in(self._native)
