"""Translates small Python functions for the compiler.

`translate` turns the bytecode of a function into version-neutral instructions of a stack
machine, with the immutable values that the function captured. It proves nothing but that the
engine knows every instruction: purity and types are judged by the compiler, which sees the
schema. An interpreter version, instruction or captured value that is not known here means that
the function runs in Python.

The functions translated are element-wise: they call nothing and take only columns out of a row
or batch. How rows are cut into batches therefore does not change their results.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from raceline._row_use import IGNORED, uses_row_as_value

__all__ = ["Translation", "translate"]

_VERSIONS = ((3, 11), (3, 12), (3, 13))
_INT64_MAX = 2**63 - 1

# inspect.CO_*, without the cost of importing inspect.
_VARARGS_OR_KEYWORDS = 0x04 | 0x08
_GENERATOR_OR_COROUTINE = 0x20 | 0x80 | 0x200

_UNARY = {
    "UNARY_NEGATIVE": "-",
    "UNARY_POSITIVE": "+",
    "UNARY_INVERT": "~",
    "UNARY_NOT": "not",
}
_BINARY = frozenset({"+", "-", "*", "/", "//", "%", "**", "&", "|", "^"})
_COMPARE = frozenset({"<", "<=", "==", "!=", ">", ">="})
_JUMP_IF = {
    "POP_JUMP_IF_TRUE": True,
    "POP_JUMP_IF_FALSE": False,
    "POP_JUMP_FORWARD_IF_TRUE": True,
    "POP_JUMP_FORWARD_IF_FALSE": False,
}
_JUMP_OR_POP = {"JUMP_IF_TRUE_OR_POP": True, "JUMP_IF_FALSE_OR_POP": False}
_JUMP_IF_NONE = {
    "POP_JUMP_IF_NONE": False,
    "POP_JUMP_IF_NOT_NONE": True,
    "POP_JUMP_FORWARD_IF_NONE": False,
    "POP_JUMP_FORWARD_IF_NOT_NONE": True,
}

Instruction = tuple[Any, ...]


class Translation(NamedTuple):
    """What became of a function.

    Attributes:
        program: Plain tuples for the native module: `(slots, constants, code, row_is_value)`;
            `None` when the function runs in Python.
        decline: Why it runs in Python, in words for a person; `None` when it was translated.
        row_is_value: Whether the function uses the row itself as an operand, so that a row of a
            one-column dataset stands for its value. It is told for every function, translated
            or not.
    """

    program: tuple[int, tuple[Any, ...], tuple[Instruction, ...], bool] | None
    decline: str | None
    row_is_value: bool


class _Decline(Exception):
    """The reason why a function is not translated."""


def translate(
    fn: object, args: tuple[object, ...] = (), kwargs: dict[str, object] | None = None
) -> Translation:
    """Translates a function that takes one row or one batch first.

    Args:
        fn: The function. Anything but a plain function is declined.
        args: Positional arguments after the row or batch.
        kwargs: Keyword arguments.

    Returns:
        The translation, or the reason for a decline. Never raises for a function, however
        strange.

    Example:
        >>> translate(lambda row: row["a"] + 1).decline is None
        True
        >>> translate(lambda row: print(row)).decline
        'it calls `print`, which is not known to be pure'
        >>> translate(lambda x: x * 2).row_is_value
        True
    """
    if type(fn) is not FunctionType:
        return Translation(None, f"it is a {type(fn).__name__} and not a plain function", False)
    if sys.version_info[:2] not in _VERSIONS or sys.implementation.name != "cpython":
        version = f"{sys.implementation.name} {sys.version_info[0]}.{sys.version_info[1]}"
        return Translation(None, f"the instructions of {version} are not known", False)
    import dis

    source = list(dis.get_instructions(fn.__code__))
    row_is_value = uses_row_as_value(fn, source, args, kwargs or {})
    try:
        _check_shape(fn.__code__)
        writer = _Writer(fn)
        writer.bind_parameters(args, kwargs or {})
        code = writer.translate(source)
    except _Decline as decline:
        return Translation(None, str(decline), row_is_value)
    program = (fn.__code__.co_nlocals, tuple(writer.constants), code, row_is_value)
    return Translation(program, None, row_is_value)


def _check_shape(code: CodeType) -> None:
    """Declines what is not a straight function of one parameter or more."""
    if code.co_flags & _GENERATOR_OR_COROUTINE:
        raise _Decline("it is a generator or coroutine")
    if code.co_flags & _VARARGS_OR_KEYWORDS:
        raise _Decline("it takes any number of arguments")
    if code.co_argcount == 0:
        raise _Decline("it takes no argument")
    if code.co_cellvars:
        raise _Decline(f"`{code.co_cellvars[0]}` is shared with an inner function")
    if code.co_exceptiontable:
        raise _Decline("it handles exceptions")


class _Writer:
    """Writes the instructions of one function."""

    def __init__(self, fn: FunctionType) -> None:
        self._fn = fn
        self._written: list[Instruction] = []
        # Source offsets of the instructions that jumps lead to, by index of what was written.
        self._index_of: dict[int, int] = {}
        self.constants: list[object] = []

    def bind_parameters(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Stores the values of all parameters but the first."""
        code = self._fn.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        positional = names[1 : code.co_argcount]
        if len(args) > len(positional):
            raise _Decline("it is called with too many arguments")
        values: dict[str, object] = {}
        defaults = self._fn.__defaults__ or ()
        if defaults:
            values.update(zip(names[: code.co_argcount][-len(defaults) :], defaults, strict=True))
        values.update(self._fn.__kwdefaults__ or {})
        given = dict(zip(positional, args, strict=False))
        for name, value in kwargs.items():
            if name in given or name not in names[max(1, code.co_posonlyargcount) :]:
                raise _Decline(f"it is called with an argument `{name}` that does not fit")
            given[name] = value
        values.update(given)
        for slot, name in enumerate(names):
            if slot == 0:
                continue
            if name not in values:
                raise _Decline(f"it is called without its argument `{name}`")
            self._push_constant(values[name], f"the argument `{name}`")
            self._write("store", slot)

    def translate(self, source: list[Any]) -> tuple[Instruction, ...]:
        """Writes the body and resolves its jumps."""
        for instruction in source:
            self._index_of[instruction.offset] = len(self._written)
            if instruction.is_jump_target:
                # Keeps what is merged into one instruction apart from what a jump skips to.
                self._write("label")
            self._translate_one(instruction)
        return self._resolve_jumps()

    def _resolve_jumps(self) -> tuple[Instruction, ...]:
        """Drops labels and turns source offsets into indices."""
        moved: list[int] = []
        kept = 0
        for instruction in self._written:
            moved.append(kept)
            kept += instruction[0] != "label"
        code: list[Instruction] = []
        for instruction in self._written:
            if instruction[0] == "label":
                continue
            if instruction[0] in ("jump", "jump_if"):
                target = moved[self._index_of[instruction[1]]]
                if target <= len(code):
                    raise _Decline("it has a loop")
                instruction = (instruction[0], target, *instruction[2:])
            code.append(instruction)
        return tuple(code)

    def _write(self, *instruction: Any) -> None:
        self._written.append(instruction)

    def _push_constant(self, value: object, what: str) -> None:
        self.constants.append(_immutable(value, what))
        self._write("constant", len(self.constants) - 1)

    def _pop_constant(self) -> object:
        """Takes back the constant that was written last."""
        if not self._written or self._written[-1][0] != "constant":
            raise _Decline("it takes an item by a computed key")
        return self.constants[self._written.pop()[1]]

    def _pop_column(self) -> str:
        name = self._pop_constant()
        if type(name) is not str:
            raise _Decline("it takes an item by something other than a column's name")
        return name

    def _translate_one(self, instruction: Any) -> None:
        name, arg = instruction.opname, instruction.arg
        if name in IGNORED:
            return
        if name == "LOAD_FAST" or name == "LOAD_FAST_CHECK":
            self._write("load", arg)
        elif name == "STORE_FAST":
            self._write("store", arg)
        elif name == "LOAD_FAST_LOAD_FAST":
            self._write("load", arg >> 4)
            self._write("load", arg & 15)
        elif name == "STORE_FAST_LOAD_FAST":
            self._write("store", arg >> 4)
            self._write("load", arg & 15)
        elif name == "STORE_FAST_STORE_FAST":
            self._write("store", arg >> 4)
            self._write("store", arg & 15)
        elif name in ("LOAD_CONST", "RETURN_CONST"):
            if type(instruction.argval) is CodeType:
                raise _Decline("it makes an inner function")
            self._push_constant(instruction.argval, "a constant")
            if name == "RETURN_CONST":
                self._write("return")
        elif name in ("LOAD_GLOBAL", "LOAD_DEREF"):
            self._load_captured(instruction)
        elif name == "RETURN_VALUE":
            self._write("return")
        elif not (
            self._translate_operator(instruction)
            or self._translate_jump(instruction)
            or self._translate_container(instruction)
        ):
            raise _Decline(_describe_unknown(instruction))

    def _translate_operator(self, instruction: Any) -> bool:
        name, arg = instruction.opname, instruction.arg
        if name in _UNARY:
            self._write("unary", _UNARY[name])
        elif name == "BINARY_OP":
            symbol = instruction.argrepr
            # "-=" and "//=", but "<<" and "@" are in neither form.
            in_place = symbol.endswith("=")
            plain = symbol[:-1] if in_place else symbol
            if plain not in _BINARY:
                raise _Decline(f"it uses `{symbol}`")
            self._write("binary", plain, in_place)
        elif name == "COMPARE_OP":
            if instruction.argval not in _COMPARE:
                raise _Decline(f"it uses `{instruction.argval}`")
            self._write("compare", instruction.argval)
        elif name == "IS_OP":
            self._write("is", bool(arg))
        elif name == "CONTAINS_OP":
            self._write("contains", bool(arg))
        elif name == "BINARY_SUBSCR":
            self._write("column", self._pop_column())
        elif name == "STORE_SUBSCR":
            self._write("store_column", self._pop_column())
        else:
            return False
        return True

    def _translate_jump(self, instruction: Any) -> bool:
        name, target = instruction.opname, instruction.argval
        if name == "JUMP_FORWARD":
            self._write("jump", target)
        elif name in _JUMP_IF:
            self._write("jump_if", target, _JUMP_IF[name])
        elif name in _JUMP_OR_POP:
            self._write("copy", 1)
            self._write("jump_if", target, _JUMP_OR_POP[name])
            self._write("pop")
        elif name in _JUMP_IF_NONE:
            self._push_constant(None, "a constant")
            self._write("is", _JUMP_IF_NONE[name])
            self._write("jump_if", target, True)
        else:
            return False
        return True

    def _translate_container(self, instruction: Any) -> bool:
        name, arg = instruction.opname, instruction.arg
        if name == "COPY":
            self._write("copy", arg)
        elif name == "SWAP":
            self._write("swap", arg)
        elif name == "POP_TOP":
            self._write("pop")
        elif name == "BUILD_MAP":
            self._write("dict", arg)
        elif name == "BUILD_CONST_KEY_MAP":
            keys = self._pop_constant()
            if type(keys) is not tuple or not all(type(key) is str for key in keys):
                raise _Decline("it builds a dict whose keys are not constant strings")
            self._write("dict_of_keys", keys)
        elif name == "DICT_UPDATE":
            self._write("dict_update", arg)
        elif name == "BUILD_TUPLE":
            self._write("tuple", arg)
        else:
            return False
        return True

    def _load_captured(self, instruction: Any) -> None:
        """Pushes the value that a global or closure variable has now."""
        name = instruction.argval
        if instruction.opname == "LOAD_DEREF":
            cells = self._fn.__closure__ or ()
            cell = dict(zip(self._fn.__code__.co_freevars, cells, strict=True)).get(name)
            try:
                value = cell.cell_contents if cell is not None else None
            except ValueError:
                raise _Decline(f"`{name}` is not set yet") from None
            if cell is None:
                raise _Decline(f"`{name}` is not a captured variable")
        elif instruction.arg & 1:
            raise _Decline(f"it calls `{name}`, which is not known to be pure")
        elif name in self._fn.__globals__:
            value = self._fn.__globals__[name]
        else:
            raise _Decline(f"it uses `{name}`, which is a built-in or not defined")
        self._push_constant(value, f"`{name}`")


def _describe_unknown(instruction: Any) -> str:
    name = instruction.opname
    if name in ("LOAD_ATTR", "LOAD_METHOD"):
        attribute = str(instruction.argval)
        return f"it uses the attribute `.{attribute}`"
    if name in ("CALL", "CALL_KW", "CALL_FUNCTION_EX", "PUSH_NULL", "KW_NAMES"):
        return "it calls a function that is not known to be pure"
    if name in ("FORMAT_VALUE", "FORMAT_SIMPLE", "FORMAT_WITH_SPEC", "BUILD_STRING"):
        return "it formats a string"
    if name in ("GET_ITER", "FOR_ITER") or "BACKWARD" in name:
        return "it has a loop"
    if name in ("BUILD_LIST", "LIST_EXTEND", "BUILD_SET"):
        return "it builds a list or set"
    if name in ("IMPORT_NAME", "IMPORT_FROM"):
        return "it imports a module"
    return f"the instruction `{name}` is not known"


def _immutable(value: object, what: str) -> object:
    """The value in the form that the native module takes, when it is immutable.

    Subclasses are declined: they can override operators. So are strings with lone surrogates
    and ints that leave 64 bits, which the engine cannot hold.
    """
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:  # type: ignore[operator]
            raise _Decline(f"{what} is an int of more than 64 bits")
        return value
    if kind is str:
        try:
            value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            raise _Decline(f"{what} is a string with a lone surrogate") from None
        return value
    if kind is tuple or kind is frozenset:
        return tuple(_immutable(item, what) for item in value)  # type: ignore[attr-defined]
    raise _Decline(f"{what} is a {kind.__name__}, which may change")
