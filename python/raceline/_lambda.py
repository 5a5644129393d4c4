"""Translates small Python functions for the compiler.

`translate` turns the bytecode of a function into version-neutral instructions of a stack
machine, with the immutable values that the function captured and the functions that it calls by
name. It proves nothing but that the engine knows every instruction: purity and types are judged
by the compiler, which sees the schema. An interpreter version, instruction or captured value that
is not known here means that the function runs in Python.

What the compiler takes is element-wise: functions of single values, and columns of a row or
batch. How rows are cut into batches therefore does not change the results.
"""

from __future__ import annotations

import sys
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from raceline._lambda_decline import Decline, describe_unknown, immutable
from raceline._lambda_names import known_name
from raceline._numpy_release import numpy_release
from raceline._row_use import IGNORED, uses_row_as_value

__all__ = ["Translation", "translate"]

_VERSIONS = ((3, 11), (3, 12), (3, 13))
# The release of NumPy since which arrays of int to the power 0.5 are square roots.
_ROOTS_OF_INTS = (2, 3)
# Functions that one function may call, directly or not.
_FUNCTIONS_MAX = 20

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

_LOCALS = {"LOAD_FAST": "load", "LOAD_FAST_CHECK": "load", "STORE_FAST": "store"}
_LOCAL_PAIRS = {
    "LOAD_FAST_LOAD_FAST": ("load", "load"),
    "STORE_FAST_LOAD_FAST": ("store", "load"),
    "STORE_FAST_STORE_FAST": ("store", "store"),
}
_BUILD = {
    "BUILD_LIST": "list",
    "BUILD_SLICE": "slice",
    "BUILD_STRING": "join",
    "BUILD_TUPLE": "tuple",
    "LIST_EXTEND": "list_extend",
    "MAP_ADD": "map_add",
    "UNPACK_SEQUENCE": "unpack",
}

Instruction = tuple[Any, ...]


class Translation(NamedTuple):
    """What became of a function.

    Attributes:
        program: Plain tuples for the native module: `(slots, constants, code, (row_is_value,
            int_roots), functions)`, where `int_roots` says whether NumPy takes arrays of int to
            the power 0.5 as square roots; `None` when the function runs in Python.
        decline: Why it runs in Python, in words for a person; `None` when it was translated.
        row_is_value: Whether the function uses the row itself as an operand, so that a row of a
            one-column dataset stands for its value. It is told for every function, translated
            or not.
    """

    program: (
        tuple[int, tuple[Any, ...], tuple[Instruction, ...], tuple[bool, bool], tuple[Any, ...]]
        | None
    )
    decline: str | None
    row_is_value: bool


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
        if fn.__code__.co_argcount == 0 and not fn.__code__.co_flags & _VARARGS_OR_KEYWORDS:
            raise Decline("it takes no argument")
        _check_shape(fn.__code__)
        functions = _Functions()
        writer = _Writer(fn, functions)
        writer.bind_parameters(args, kwargs or {})
        code = writer.translate(source)
        called = functions.translated()
    except Decline as decline:
        return Translation(None, str(decline), row_is_value)
    int_roots = _has_powers(code, called) and numpy_release() >= _ROOTS_OF_INTS
    flags = (row_is_value, int_roots)
    program = (fn.__code__.co_nlocals, tuple(writer.constants), code, flags, called)
    return Translation(program, None, row_is_value)


def _has_powers(code: tuple[Instruction, ...], called: tuple[Any, ...]) -> bool:
    """Whether a program, or a function that it calls, has the operator `**`."""
    bodies = (code, *(function[4][2] for function in called))
    return any(instruction[:2] == ("binary", "**") for body in bodies for instruction in body)


def _check_shape(code: CodeType) -> None:
    """Declines what is not a straight function."""
    if code.co_flags & _GENERATOR_OR_COROUTINE:
        raise Decline("it is a generator or coroutine")
    if code.co_flags & _VARARGS_OR_KEYWORDS:
        raise Decline("it takes any number of arguments")
    if code.co_cellvars:
        raise Decline(f"`{code.co_cellvars[0]}` is shared with an inner function")
    if code.co_exceptiontable:
        raise Decline("it handles exceptions")


class _Functions:
    """The functions that a function calls, and those that they call."""

    def __init__(self) -> None:
        self._functions: list[FunctionType] = []

    def index_of(self, fn: FunctionType) -> int:
        """The index of a function in the program; a function may call itself."""
        for index, known in enumerate(self._functions):
            if known is fn:
                return index
        if len(self._functions) == _FUNCTIONS_MAX:
            raise Decline(f"it calls more than {_FUNCTIONS_MAX} functions")
        self._functions.append(fn)
        return len(self._functions) - 1

    def translated(self) -> tuple[Any, ...]:
        """All of them in the form that the native module takes."""
        functions: list[Any] = []
        while len(functions) < len(self._functions):
            fn = self._functions[len(functions)]
            try:
                functions.append(_translate_called(fn, self))
            except Decline as decline:
                raise Decline(f"it calls `{fn.__name__}`: {decline}") from None
        return tuple(functions)


def _translate_called(fn: FunctionType, functions: _Functions) -> tuple[Any, ...]:
    """A function that another one calls."""
    import dis

    code = fn.__code__
    _check_shape(code)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    defaults = _defaults(fn)
    default_values = [
        (immutable(defaults[name], f"the argument `{name}`"),) if name in defaults else ()
        for name in names
    ]
    writer = _Writer(fn, functions)
    instructions = writer.translate(list(dis.get_instructions(code)))
    return (
        fn.__name__,
        names,
        default_values,
        (code.co_argcount, code.co_posonlyargcount),
        (code.co_nlocals, tuple(writer.constants), instructions),
    )


def _defaults(fn: FunctionType) -> dict[str, object]:
    """The default values of parameters."""
    positional = fn.__code__.co_varnames[: fn.__code__.co_argcount]
    values = fn.__defaults__ or ()
    named = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
    return named | (fn.__kwdefaults__ or {})


def _tests(instruction: Any) -> bool:
    """Whether an instruction takes only the truth of its operand."""
    return instruction is not None and (
        instruction.opname in _JUMP_IF or instruction.opname == "UNARY_NOT"
    )


class _Writer:
    """Writes the instructions of one function."""

    def __init__(self, fn: FunctionType, functions: _Functions) -> None:
        self._fn = fn
        self._functions = functions
        self._written: list[Instruction] = []
        # The keywords of the next call.
        self._keywords: tuple[str, ...] = ()
        # Source offsets of the instructions that jumps lead to, by index of what was written.
        self._index_of: dict[int, int] = {}
        self.constants: list[object] = []

    def bind_parameters(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Stores the values of all parameters but the first."""
        code = self._fn.__code__
        names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        positional = names[1 : code.co_argcount]
        if len(args) > len(positional):
            raise Decline("it is called with too many arguments")
        values = _defaults(self._fn)
        given = dict(zip(positional, args, strict=False))
        for name, value in kwargs.items():
            if name in given or name not in names[max(1, code.co_posonlyargcount) :]:
                raise Decline(f"it is called with an argument `{name}` that does not fit")
            given[name] = value
        values.update(given)
        for slot, name in enumerate(names):
            if slot == 0:
                continue
            if name not in values:
                raise Decline(f"it is called without its argument `{name}`")
            self._push_constant(values[name], f"the argument `{name}`")
            self._write("store", slot)

    def translate(self, source: list[Any]) -> tuple[Instruction, ...]:
        """Writes the body and resolves its jumps."""
        for instruction, following in zip(source, [*source[1:], None], strict=True):
            self._index_of[instruction.offset] = len(self._written)
            if instruction.is_jump_target:
                # Keeps what is merged into one instruction apart from what a jump skips to.
                self._write("label")
            self._translate_one(instruction)
            if instruction.opname == "TO_BOOL" and not _tests(following):
                # What is left of `not not x`.
                self._write("unary", "not")
                self._write("unary", "not")
        for instruction in self._written:
            if instruction[0] == "module":
                raise Decline(f"`{instruction[2]}` is a module, which may change")
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
                    raise Decline("it has a loop")
                instruction = (instruction[0], target, *instruction[2:])
            code.append(instruction)
        return tuple(code)

    def _write(self, *instruction: Any) -> None:
        self._written.append(instruction)

    def _push_constant(self, value: object, what: str) -> None:
        self.constants.append(immutable(value, what))
        self._write("constant", len(self.constants) - 1)

    def _push_captured(self, value: object, name: str) -> None:
        """Pushes what a name of the program stands for now."""
        known = known_name(value)
        if known is not None:
            self._write("builtin", known)
        elif type(value) is FunctionType:
            self._write("function", self._functions.index_of(value))
        elif type(value) is ModuleType:
            self._write("module", value, name)
        elif callable(value):
            raise Decline(f"it calls `{name}`, which is not known to be pure")
        else:
            self._push_constant(value, f"`{name}`")

    def _pop_constant(self) -> object:
        """Takes back the constant that was written last."""
        if not self._written or self._written[-1][0] != "constant":
            raise Decline("it builds a dict whose keys are not constant strings")
        return self.constants[self._written.pop()[1]]

    def _write_item(self, of_constant: str, of_value: str) -> None:
        """Writes an access to an item, by name where the key is a constant string."""
        last = self._written[-1] if self._written else ("",)
        if last[0] == "constant" and type(self.constants[last[1]]) is str:
            self._written.pop()
            self._write(of_constant, self.constants[last[1]])
        else:
            self._write(of_value)

    def _translate_one(self, instruction: Any) -> None:
        name, arg = instruction.opname, instruction.arg
        if name == "KW_NAMES":
            self._keywords = self._fn.__code__.co_consts[arg]
        elif name in IGNORED or name == "PUSH_NULL":
            # Null says to a call that it is none of a method: the compiler sees that itself.
            return
        elif name in _LOCALS:
            self._write(_LOCALS[name], arg)
        elif name in _LOCAL_PAIRS:
            first, second = _LOCAL_PAIRS[name]
            self._write(first, arg >> 4)
            self._write(second, arg & 15)
        elif name in ("LOAD_CONST", "RETURN_CONST"):
            if type(instruction.argval) is CodeType:
                raise Decline("it makes an inner function")
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
            or self._translate_call(instruction)
        ):
            raise Decline(describe_unknown(instruction))

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
                raise Decline(f"it uses `{symbol}`")
            self._write("binary", plain, in_place)
        elif name == "COMPARE_OP":
            if instruction.argval not in _COMPARE:
                raise Decline(f"it uses `{instruction.argval}`")
            self._write("compare", instruction.argval)
        elif name == "IS_OP":
            self._write("is", bool(arg))
        elif name == "CONTAINS_OP":
            self._write("contains", bool(arg))
        elif name == "BINARY_SUBSCR":
            self._write_item("column", "item")
        elif name == "BINARY_SLICE":
            self._write("slice", 2)
            self._write("item")
        elif name == "STORE_SUBSCR":
            self._write_item("store_column", "store_item")
        elif name == "DELETE_SUBSCR":
            self._write("delete_item")
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
                raise Decline("it builds a dict whose keys are not constant strings")
            self._write("dict_of_keys", keys)
        elif name == "DICT_UPDATE":
            self._write("dict_update", arg)
        elif name in _BUILD:
            self._write(_BUILD[name], arg)
        else:
            return False
        return True

    def _translate_call(self, instruction: Any) -> bool:
        name, arg = instruction.opname, instruction.arg
        if name in ("LOAD_ATTR", "LOAD_METHOD"):
            self._load_attribute(instruction.argval)
        elif name == "CALL":
            self._write("call", arg, self._keywords)
            self._keywords = ()
        elif name == "CALL_KW":
            self._write("call", arg, self._pop_constant())
        elif name == "FORMAT_VALUE":
            conversion, has_format = arg & 3, bool(arg & 4)
            if conversion > 1 or (conversion and has_format):
                raise Decline("it formats by `!r`, `!a` or `!s`")
            self._write("format", has_format)
        elif name == "CONVERT_VALUE":
            if arg != 1:
                raise Decline("it formats by `!r`, `!a` or `!s`")
            self._write("format", False)
        elif name in ("FORMAT_SIMPLE", "FORMAT_WITH_SPEC"):
            self._write("format", name == "FORMAT_WITH_SPEC")
        else:
            return False
        return True

    def _load_attribute(self, name: str) -> None:
        """An attribute of a module is captured as a global is; any other one is followed."""
        if not self._written or self._written[-1][0] != "module":
            self._write("attribute", name)
            return
        _, module, known_as = self._written.pop()
        name_in_full = f"{known_as}.{name}"
        if name not in vars(module):
            raise Decline(f"it uses `{name_in_full}`, which is not defined")
        self._push_captured(vars(module)[name], name_in_full)

    def _load_captured(self, instruction: Any) -> None:
        """Pushes the value that a global or closure variable has now."""
        name = instruction.argval
        if instruction.opname == "LOAD_DEREF":
            cells = self._fn.__closure__ or ()
            cell = dict(zip(self._fn.__code__.co_freevars, cells, strict=True)).get(name)
            try:
                value = cell.cell_contents if cell is not None else None
            except ValueError:
                raise Decline(f"`{name}` is not set yet") from None
            if cell is None:
                raise Decline(f"`{name}` is not a captured variable")
            self._push_captured(value, name)
            return
        of_language = getattr(self._fn, "__builtins__")  # noqa: B009  # unknown to type checkers
        if name in self._fn.__globals__:
            value = self._fn.__globals__[name]
        elif name in of_language:
            value = of_language[name]
        else:
            raise Decline(f"it uses `{name}`, which is not defined")
        self._push_captured(value, name)
