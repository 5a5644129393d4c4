"""Whether a function uses its row as a value: what ``range(9).map(lambda x: x * 2)`` needs to know.

The answer must not depend on whether the function can be compiled, so this reads any bytecode:
what an unknown instruction computes is not the row.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from types import FunctionType
from typing import Any

__all__ = ["IGNORED", "uses_row_as_value"]

#: Instructions that compute nothing.
IGNORED = frozenset(
    {"CACHE", "COPY_FREE_VARS", "EXTENDED_ARG", "KW_NAMES", "NOP", "PRECALL", "RESUME", "TO_BOOL"}
)
# How many operands an operator takes off the stack.
_OPERANDS = {
    "BINARY_OP": 2,
    "COMPARE_OP": 2,
    "CONTAINS_OP": 2,
    "UNARY_INVERT": 1,
    "UNARY_NEGATIVE": 1,
    "UNARY_POSITIVE": 1,
}
_DICT_BUILDERS = frozenset({"BUILD_CONST_KEY_MAP", "BUILD_MAP", "DICT_MERGE", "DICT_UPDATE"})
_LIST_BUILDERS = frozenset({"BUILD_LIST", "BUILD_TUPLE"})
# Instructions that only take off the stack, and that leave what lies there when they put on it.
_POPS = ("JUMP_", "POP_", "STORE_")
_PUSHES = ("BUILD_", "LOAD_CLOSURE", "LOAD_CONST", "LOAD_GLOBAL", "PUSH_NULL")
_ENDS = frozenset({"JUMP_FORWARD", "RAISE_VARARGS", "RERAISE", "RETURN_CONST", "RETURN_VALUE"})


class _Kind(enum.Enum):
    """What a value may be."""

    ROW = enum.auto()
    DICT = enum.auto()
    #: A list or tuple of dicts.
    DICTS = enum.auto()
    OTHER = enum.auto()


def uses_row_as_value(
    fn: FunctionType, source: Iterable[Any], args: Sequence[object], kwargs: Mapping[str, object]
) -> bool:
    """Whether the first parameter itself is an operand of arithmetic, comparison or ``in``.

    A row is a dict, so an operand beside a dict is the row and no value: ``row | {"b": 1}``,
    ``row == {"id": 1}``.

    Args:
        fn: The function.
        source: Its instructions.
        args: Positional arguments after the row.
        kwargs: Keyword arguments.
    """
    if fn.__code__.co_argcount == 0:
        return False
    import dis

    jumps = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
    tracker = _Tracker(fn, args, kwargs)
    # Stacks at the targets of forward jumps.
    expected: dict[int, list[_Kind]] = {}
    ended = False
    for instruction in source:
        arriving = expected.get(instruction.offset)
        if arriving is not None:
            tracker.join(arriving, is_reached=not ended)
        if tracker.is_value_use(instruction.opname):
            return True
        if instruction.opcode in jumps:
            effect = dis.stack_effect(instruction.opcode, instruction.arg, jump=True)
            stack = tracker.stack
            at_target = stack[:effect] if effect < 0 else stack + [_Kind.OTHER] * effect
            expected.setdefault(instruction.argval, at_target)
        tracker.apply(instruction)
        ended = instruction.opname in _ENDS
    return False


class _Tracker:
    """The stack and the local variables: what each value may be."""

    def __init__(
        self, fn: FunctionType, args: Sequence[object], kwargs: Mapping[str, object]
    ) -> None:
        self.stack: list[_Kind] = []
        self._fn = fn
        self._locals = _parameters(fn, args, kwargs)

    def join(self, arriving: list[_Kind], *, is_reached: bool) -> None:
        """Takes in the stack of a jump to here; the code before may lead here as well."""
        if not is_reached or len(arriving) != len(self.stack):
            self.stack = list(arriving)
            return
        pairs = zip(arriving, self.stack, strict=True)
        self.stack = [_joined(one, other) for one, other in pairs]

    def is_value_use(self, name: str) -> bool:
        """Whether an instruction takes the row as the value of its only column."""
        count = _OPERANDS.get(name, 0)
        operands = self.stack[len(self.stack) - count :]
        if name == "CONTAINS_OP":
            return operands[:1] == [_Kind.ROW] and operands[1:] != [_Kind.DICTS]
        return _Kind.ROW in operands and _Kind.DICT not in operands

    def apply(self, instruction: Any) -> None:
        """Follows one instruction."""
        stack, name, arg = self.stack, instruction.opname, instruction.arg or 0
        if name in ("LOAD_FAST", "LOAD_FAST_CHECK"):
            stack.append(self._local(arg))
        elif name == "LOAD_FAST_LOAD_FAST":
            stack += [self._local(arg >> 4), self._local(arg & 15)]
        elif name == "LOAD_DEREF" or (name == "LOAD_GLOBAL" and not arg & 1):
            stack.append(_kind(self._captured(instruction)))
        elif name == "COPY":
            stack += stack[-arg : len(stack) - arg + 1] or [_Kind.OTHER]
        elif name == "SWAP" and len(stack) >= arg:
            stack[-1], stack[-arg] = stack[-arg], stack[-1]
        elif name == "STORE_FAST":
            self._locals[arg] = stack.pop() if stack else _Kind.OTHER
        elif name not in IGNORED:
            self._apply_effect(instruction)

    def _apply_effect(self, instruction: Any) -> None:
        """Follows an instruction of which little more is known than how the stack grows."""
        import dis

        stack, name = self.stack, instruction.opname
        result = self._result(name, instruction.arg or 0)
        effect = dis.stack_effect(instruction.opcode, instruction.arg, jump=False)
        del stack[max(0, len(stack) + min(effect, 0)) :]
        if effect > 0:
            if stack and not name.startswith(_PUSHES):
                stack[-1] = _Kind.OTHER
            stack += [_Kind.OTHER] * effect
        if stack and not name.startswith(_POPS):
            stack[-1] = result

    def _result(self, name: str, arg: int) -> _Kind:
        """What an instruction leaves on top."""
        if name in _DICT_BUILDERS:
            return _Kind.DICT
        items = self.stack[len(self.stack) - arg :]
        if name in _LIST_BUILDERS and arg and all(item is _Kind.DICT for item in items):
            return _Kind.DICTS
        return _Kind.DICT if name == "BINARY_OP" and _Kind.DICT in self.stack[-2:] else _Kind.OTHER

    def _local(self, slot: int) -> _Kind:
        return self._locals.get(slot, _Kind.OTHER)

    def _captured(self, instruction: Any) -> object:
        """The value that a global or closure variable has now."""
        name = instruction.argval
        if instruction.opname == "LOAD_GLOBAL":
            return self._fn.__globals__.get(name)
        cells = dict(zip(self._fn.__code__.co_freevars, self._fn.__closure__ or (), strict=True))
        try:
            return cells[name].cell_contents
        except (KeyError, ValueError):  # it is shared with an inner function, or not set yet
            return None


def _parameters(
    fn: FunctionType, args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[int, _Kind]:
    """What the parameters are when the function is called, by slot."""
    code, defaults = fn.__code__, fn.__defaults__ or ()
    positional = code.co_varnames[: code.co_argcount]
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    values: dict[str, object] = {}
    values.update(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    values.update(fn.__kwdefaults__ or {})
    values.update(zip(positional[1:], args, strict=False))
    values.update(kwargs)
    kinds = {slot: _kind(values.get(name)) for slot, name in enumerate(names)}
    return kinds | {0: _Kind.ROW}


def _kind(value: object) -> _Kind:
    if isinstance(value, dict):
        return _Kind.DICT
    if isinstance(value, (list, tuple)) and value:
        return _Kind.DICTS if all(isinstance(one, dict) for one in value) else _Kind.OTHER
    return _Kind.OTHER


def _joined(one: _Kind, other: _Kind) -> _Kind:
    """What a value is that is one or the other."""
    if _Kind.ROW in (one, other):
        return _Kind.ROW
    return one if one is other else _Kind.OTHER
