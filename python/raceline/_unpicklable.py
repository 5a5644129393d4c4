"""Which of the things that a function holds cannot be pickled."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

__all__ = ["culprit"]

# A function that holds a function that holds …
_DEPTH_MAX = 5


def culprit(held: Any, depth: int = _DEPTH_MAX) -> str | None:
    """Names what ``held`` cannot be pickled for.

    Returns:
        The way to it, such as ``variable `load` → variable `lock` (a `lock`)``; None where
        nothing that it holds stands out.
    """
    if depth == 0:
        return None
    for name, value in _parts(held):
        if _can_be_pickled(value):
            continue
        inner = culprit(value, depth - 1)
        return f"{name} → {inner}" if inner else f"{name} (a `{type(value).__name__}`)"
    return None


def _parts(held: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, by the name that the user gave it."""
    match held:
        case FunctionType():
            yield from ((f"variable `{name}`", value) for name, value in _variables(held))
            parameters = inspect.signature(held).parameters.values()
            yield from ((f"default of `{each.name}`", each.default) for each in parameters)
        case MethodType():
            yield from _parts(held.__self__)
        case functools.partial():
            yield from _parts((held.func, *held.args))
            yield from ((f"argument `{name}`", value) for name, value in held.keywords.items())
        case tuple() if hasattr(held, "_fields"):
            yield from ((f"`{name}`", getattr(held, name)) for name in held._fields)
        case dict():
            yield from ((f"`{name}`", value) for name, value in held.items())
        case list() | tuple():
            yield from ((f"item {position}", value) for position, value in enumerate(held))
        case _:
            fields = getattr(held, "__dict__", {})
            yield from ((f"attribute `{name}`", value) for name, value in fields.items())


def _variables(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """What a function takes from around it, as far as it is set by now."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # it is not set yet
            yield name, cell.cell_contents
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield name, function.__globals__[name]


def _can_be_pickled(value: Any) -> bool:
    import cloudpickle

    try:
        cloudpickle.dumps(value)
    except Exception:  # noqa: BLE001 (it runs the code of any object)
        return False
    return True
