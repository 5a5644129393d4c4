"""A program: a module of Python source that defines `fn`."""

from __future__ import annotations

import warnings
from typing import NamedTuple


class Program(NamedTuple):
    """A random program.

    Attributes:
        kind: `map`, `filter`, `flat_map`, `key` or `map_batches`.
        source: A module that defines `fn`.
        column: The only column of the table when the row is its value; else all are.
        args: Arguments of each call, after the row or batch.
        kwargs: Names and values of its keyword arguments.
    """

    kind: str
    source: str
    column: str | None = None
    args: tuple[object, ...] = ()
    kwargs: tuple[tuple[str, object], ...] = ()


def is_python(program: Program) -> bool:
    """Whether this version of Python takes the source: before 3.12, f-strings nest badly."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(program.source, "<random>", "exec")
    except SyntaxError:
        return False
    return True
