"""Whether a function is certain to return a dict that it has just made, and with which keys.

Most functions of rows end in ``return {"name": value}``. What such a one returns needs no check for
each row, and nobody else can hold the dict. What is not certain is answered by None: this reads the
bytecode of versions whose instructions are known, and only the simplest forms of it.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Sequence
from types import CodeType, FunctionType, MethodType
from typing import NamedTuple

__all__ = ["Display", "display_of"]

_VERSIONS = ((3, 11), (3, 12), (3, 13))
# inspect.CO_GENERATOR, CO_COROUTINE, CO_ITERABLE_COROUTINE and CO_ASYNC_GENERATOR.
_RETURNS_LATER = 0x20 | 0x80 | 0x100 | 0x200
_MAKES_DICT = frozenset({"BUILD_CONST_KEY_MAP", "BUILD_MAP"})


class Display(NamedTuple):
    """A dict that is made and returned at once.

    Attributes:
        keys: Its keys, in order, where they are always the same strings.
    """

    keys: tuple[str, ...] | None


def display_of(function: object) -> Display | None:
    """What is certain about the dict that a function returns; None when it may return another.

    Example:
        >>> display_of(lambda row: {"a": row["b"], "c": 1})
        Display(keys=('a', 'c'))
        >>> display_of(lambda row: {row["b"]: 1})
        Display(keys=None)
        >>> display_of(lambda row: row) is None
        True
    """
    function = function.__func__ if isinstance(function, MethodType) else function
    if (
        not isinstance(function, FunctionType)
        or sys.version_info[:2] not in _VERSIONS
        or sys.implementation.name != "cpython"
        or function.__code__.co_flags & _RETURNS_LATER
    ):
        return None
    source = [one for one in dis.get_instructions(function) if one.opname != "EXTENDED_ARG"]
    keys = set()
    for at, one in enumerate(source):
        if not one.opname.startswith(("RETURN", "INSTRUMENTED")):
            continue
        made = source[at - 1]
        if one.opname != "RETURN_VALUE" or one.is_jump_target or made.opname not in _MAKES_DICT:
            return None
        keys.add(_keys(function.__code__, source, at - 1))
    return Display(keys.pop() if len(keys) == 1 else None)


def _keys(code: CodeType, source: Sequence[dis.Instruction], at: int) -> tuple[str, ...] | None:
    """The keys of the dict that an instruction makes, where they are constant strings."""
    made = source[at]
    if made.is_jump_target:
        return None
    if made.opname == "BUILD_CONST_KEY_MAP":
        keys = source[at - 1].argval
    elif made.arg == 1:
        first = _first_of_two(code, source, at)
        keys = (first.argval,) if first is not None and first.opname == "LOAD_CONST" else (None,)
    else:
        return None
    known = isinstance(keys, tuple) and all(type(key) is str for key in keys)
    return tuple(dict.fromkeys(keys)) if known else None


def _first_of_two(
    code: CodeType, source: Sequence[dis.Instruction], at: int
) -> dis.Instruction | None:
    """What put the first of two values on the stack, all that there is at an instruction.

    None also where the way to the instruction may have been another than straight on.
    """
    jumps = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
    if code.co_exceptiontable or any(one.opcode in jumps for one in source[:at]):
        return None
    depth, first = 0, None
    for one in source[:at]:
        first = one if depth == 0 else first
        depth += dis.stack_effect(one.opcode, one.arg)
    return first if depth == 2 else None
