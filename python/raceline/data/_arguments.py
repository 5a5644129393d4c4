"""Arguments, checked at the call, so that an error names them and not the engine's insides."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raceline._optional import optional
from raceline.errors import PlanError

__all__ = [
    "column_names",
    "distinct_names",
    "opening_arguments",
    "path_text",
    "several",
    "storage_texts",
    "whole_number",
]

# The engine counts rows in 64 bits with sign.
_MOST = 2**63 - 1


def whole_number(name: str, value: Any, least: int, *, hint: str | None = None) -> int:
    """An int of at least ``least``, as the engine can hold it.

    Raises:
        PlanError: It is no int, a bool, or out of range.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PlanError(f"`{name}` must be an int of at least {least}, got `{value!r}`", hint=hint)
    if value > _MOST:
        raise PlanError(f"`{name}` must be at most {_MOST}, got `{value}`")
    return value


def several(name: str, values: Any, what: str) -> list[str]:
    """One string or several, as a list.

    Args:
        name: The argument.
        values: Its value.
        what: What one of the strings is, such as "a column".

    Raises:
        PlanError: Something is no string.
    """
    if isinstance(values, str):
        return [values]
    if not isinstance(values, Iterable):
        raise PlanError(f"`{name}` must be {what} or a list of these, got `{values!r}`")
    texts = list(values)
    for text in texts:
        if not isinstance(text, str):
            raise PlanError(f"{what} must be a string, got `{text!r}`")
    return texts


def column_names(names: str | Sequence[str], name: str = "columns") -> list[str]:
    """One name of a column or several, as a list.

    Raises:
        PlanError: Something is no string.
    """
    return several(name, names, "a column's name")


def distinct_names(names: str | Sequence[str], name: str = "columns") -> list[str]:
    """Names of columns, each of which may come once.

    Raises:
        PlanError: Something is no string, or comes twice.
    """
    several = column_names(names, name)
    twice = [one for one, times in Counter(several).items() if times > 1]
    if twice:
        raise PlanError(f"column `{twice[0]}` is named twice")
    return several


def path_text(path: Any) -> str:
    """A path as a string.

    Raises:
        PlanError: It is none.
    """
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise PlanError(f"a path must be a string, got `{path!r}`")
    return text


def opening_arguments(given: Any, name: str = "arrow_open_stream_args") -> dict[str, Any]:
    """Arguments with which PyArrow opens a file, of which ``buffer_size`` changes no row.

    Raises:
        PlanError: It is no dict, or PyArrow has no such argument or compression.
    """
    if not isinstance(given, Mapping | None):
        raise PlanError(f"`{name}` must be a dict, got `{given!r}`")
    arguments = dict(given or {})
    for argument in arguments:
        if argument not in ("buffer_size", "compression"):
            raise PlanError(
                f"`{name}` has an unknown argument `{argument}`",
                hint="pass `compression` or `buffer_size`",
            )
    compression = arguments.get("compression")
    if compression is not None:
        try:
            is_there = optional("pyarrow").Codec.is_available(compression)
        except (TypeError, ValueError):
            is_there = False
        if not is_there:
            raise PlanError(
                f"PyArrow has no compression `{compression!r}`",
                hint='for example "gzip", "zstd", "bz2", or None for none',
            )
    return arguments


def storage_texts(options: Mapping[str, str] | None) -> dict[str, str]:
    """Options of a store.

    Raises:
        PlanError: It is no mapping of strings to strings.
    """
    if not isinstance(options, Mapping | None):
        raise PlanError(f"`storage_options` must be a dict of strings, got `{options!r}`")
    texts = dict(options or {})
    for name, value in texts.items():
        if not isinstance(name, str) or not isinstance(value, str):
            # The value itself may be a secret.
            raise PlanError(
                f"`storage_options` must be a dict of strings, got `{name!r}` of type "
                f"`{type(value).__name__}`"
            )
    return texts
