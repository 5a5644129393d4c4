"""Which columns a function looks at, and which it hands on untouched.

Columns that it does not look at need not be read from files, cross to a worker or become Python
values. What is not certain is answered by "any": a function that lets its row or batch out of
sight (passes it on, stores it, iterates over it), looks for variables by name, or runs on an
interpreter whose instructions are not known.

``RACELINE_LIVENESS=off`` in the environment turns it off: then any function may look at any column.

What calls of the function find out about its frame is not followed: a function that is called and
looks into the frames of its callers by ways that are not seen here gets fewer columns.
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
from abc import ABCMeta
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CodeType, FunctionType, MethodType, NoneType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from raceline._row_values import Use
    from raceline._udf import Kind

__all__ = ["ANY", "Liveness", "live_columns"]

_VERSIONS = ((3, 11), (3, 12), (3, 13))
_VARIABLE = "RACELINE_LIVENESS"

# inspect.CO_*, without the cost of importing inspect.
_GENERATOR = 0x20
_COROUTINE = 0x80 | 0x100 | 0x200

# Names by which code looks at variables that it does not name, or has text evaluated.
_SEEING = frozenset(
    {
        "__builtins__",
        "breakpoint",
        "currentframe",
        "dir",
        "eval",
        "evaluate",
        "exec",
        "f_back",
        "f_locals",
        "get_objects",
        "get_referrers",
        "getargvalues",
        "locals",
        "query",
        "set_trace",
        "setprofile",
        "settrace",
        "tb_frame",
        "vars",
        "_getframe",
    }
)
_SEEING_TEXT = frozenset({"_getframe", "currentframe", "f_back", "f_locals", "locals", "tb_frame"})
_SEEING_FRAMES = frozenset({"_getframe", "currentframe", "f_back", "f_locals", "tb_frame"})


class Liveness(NamedTuple):
    """What is known of a function's columns.

    Attributes:
        reads: It looks at these and no others; None is any.
        passes_others: Whether its output has all others, in their places, with what it adds
            behind them.
        passes: Output columns and the input columns that they are.
        only_written: Those that it reads only in that what they were is replaced.
    """

    reads: frozenset[str] | None
    passes_others: bool = False
    passes: tuple[tuple[str, str], ...] = ()
    only_written: frozenset[str] = frozenset()


ANY = Liveness(None)


def live_columns(
    kind: Kind,
    fn: object,
    args: Sequence[object] = (),
    kwargs: Mapping[str, object] | None = None,
    batch_format: str | None = None,
) -> Liveness:
    """Which columns a function looks at and hands on.

    Args:
        kind: What it takes and returns.
        fn: The function, or a class whose objects are called.
        args: Positional arguments after the row or batch.
        kwargs: Keyword arguments.
        batch_format: What a batch is, for ``map_batches``.

    Returns:
        What is certain. Never raises for a function, however strange.

    Example:
        >>> live_columns("map", lambda row: {"n": len(row["text"])}).reads == {"text"}
        True
        >>> live_columns("map", lambda row: print(row)) == ANY
        True
    """
    if (
        os.environ.get(_VARIABLE) == "off"
        or sys.version_info[:2] not in _VERSIONS
        or sys.implementation.name != "cpython"
    ):
        return ANY
    called = _called(fn, args, kwargs or {})
    if called is None:
        return ANY
    from raceline._column_use import follow
    from raceline._row_values import Opaque

    try:
        use = follow(*called)
        return _judged(kind, use, called.code, batch_format)
    except Opaque:
        return ANY


def _judged(kind: Kind, use: Use, code: CodeType, batch_format: str | None) -> Liveness:
    """What a use of the row means for the columns.

    Raises:
        Opaque: Nothing.
    """
    from raceline._row_values import Opaque

    reads = use.reads | use.writes
    is_mapping = kind != "map_batches" or batch_format in ("numpy", "default")
    if not is_mapping and not use.subscripts_only:
        raise Opaque
    with_row = [made for made in use.returned if made.has_row]
    if kind in ("map", "map_batches") and not code.co_flags & _GENERATOR:
        if use.returns_row or with_row:
            if use.returns_other or len(with_row) < len(use.returned) or not is_mapping:
                raise Opaque
            # Rows are put together by the order of their keys.
            if kind == "map" and (use.removes or not all(m.row_is_first for m in with_row)):
                raise Opaque
            made = {key for made in with_row for key in made.keys}
            written = (use.writes | made) - use.reads - use.seen
            return Liveness(
                frozenset(reads | use.seen | made),
                passes_others=True,
                only_written=frozenset(written),
            )
        passes = _passed(use) if is_mapping else {}
        return Liveness(
            frozenset(reads | use.seen - set(passes.values())), False, (*passes.items(),)
        )
    if use.returns_row or with_row:
        raise Opaque
    return Liveness(frozenset(reads | use.seen))


def _passed(use: Use) -> dict[str, str]:
    """Columns that are the same in all dicts that are returned, and are nowhere looked at."""
    if use.returns_other or use.writes or use.removes or not use.returned:
        return {}
    common = dict(use.returned[0].columns)
    for made in use.returned[1:]:
        common = {name: made.columns.get(name, "") for name in common if name in made.columns}
        if any(use.returned[0].columns[name] != column for name, column in common.items()):
            return {}
    held = [column for made in use.returned for column in made.columns.values()]
    named = {name: column for name, column in common.items() if column not in use.reads}
    # One that is also returned under a name of which this is not so is a column that is read.
    counts = len(use.returned)
    sources = list(named.values())
    return {
        name: column
        for name, column in named.items()
        if held.count(column) == counts * sources.count(column)
    }


class _Called(NamedTuple):
    """The code that is called with the row.

    Attributes:
        row: Position of the parameter that is the row or batch.
        strings: Parameters that are always the same string, by position.
        captured: The string that a variable of an enclosing function always is, by its name.
    """

    code: CodeType
    row: int
    strings: dict[int, str]
    captured: Callable[[str], str | None]


def _captured_string(fn: FunctionType, name: str) -> str | None:
    """The string that a variable of an enclosing function always is."""
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True))
    cell = cells.get(name)
    try:
        value = None if cell is None else cell.cell_contents
    except ValueError:  # it is not set yet
        return None
    is_shared = any(
        one is not fn and any(cell is theirs for theirs in one.__closure__ or ())
        for one in _captured_values(fn)
        if isinstance(one, FunctionType)
    )
    changes = name in _changed_names(fn.__code__)
    return value if type(value) is str and not is_shared and not changes else None


def _called(fn: object, args: Sequence[object], kwargs: Mapping[str, object]) -> _Called | None:
    """The code behind whatever is called, if it is certain."""
    before: tuple[object, ...] = ()
    named = dict(kwargs)
    if isinstance(fn, type):
        fn = _method_of(fn)
        before = (None,)
    while True:
        if type(fn) is functools.partial:
            before, named, fn = (*fn.args, *before), {**fn.keywords, **named}, fn.func
        elif type(fn) is MethodType:
            before, fn = (fn.__self__, *before), fn.__func__
        else:
            break
    if not isinstance(fn, (FunctionType, type, NoneType)):
        before, fn = (fn, *before), vars(type(fn)).get("__call__")
    if not isinstance(fn, FunctionType) or _sees_variables(fn):
        return None
    code, row = fn.__code__, len(before)
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    if row >= code.co_argcount or code.co_flags & _COROUTINE or names[row] in code.co_cellvars:
        return None
    defaults = fn.__defaults__ or ()
    values: dict[str, object] = dict(
        zip(names[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    )
    values |= {
        **(fn.__kwdefaults__ or {}),
        **dict(zip(names, (*before, None, *args), strict=False)),
    }
    values |= named
    strings = {
        position: value
        for position, name in enumerate(names)
        if position != row
        and name not in code.co_cellvars
        and type(value := values.get(name)) is str
    }
    return _Called(code, row, strings, functools.partial(_captured_string, fn))


def _method_of(fn: type) -> object:
    """``__call__`` of the objects of a class, unless they may have another one."""
    bases = [base for base in fn.__mro__ if base is not object]
    if type(fn) not in (type, ABCMeta):
        return None
    for base in bases:
        if {"__new__", "__getattribute__"} & vars(base).keys():
            return None
        for method in vars(base).values():
            code = getattr(method, "__code__", None)
            if isinstance(code, CodeType) and "__call__" in _names_of(code):
                return None
    found = [vars(base)["__call__"] for base in bases if "__call__" in vars(base)]
    return found[0] if found and type(found[0]) is FunctionType else None


def _codes(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the functions inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _names_of(code: CodeType) -> set[str]:
    """Names of attributes and variables, and texts, of all the code."""
    found: set[str] = set()
    for one in _codes(code):
        found.update(one.co_names, one.co_freevars)
        found.update(text for text in one.co_consts if type(text) is str)
    return found


def _changed_names(code: CodeType) -> set[str]:
    """Variables of enclosing functions that the code may set."""
    import dis

    return {
        instruction.argval
        for one in _codes(code)
        for instruction in dis.get_instructions(one)
        if instruction.opname in ("STORE_DEREF", "DELETE_DEREF")
    }


def _captured_values(fn: FunctionType) -> Iterator[object]:
    """What a function refers to by name."""
    for cell in fn.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it is not set yet
            continue
    for code in _codes(fn.__code__):
        for name in code.co_names:
            yield fn.__globals__.get(name, vars(builtins).get(name))
    yield from fn.__defaults__ or ()
    yield from (fn.__kwdefaults__ or {}).values()


def _sees_variables(fn: FunctionType) -> bool:
    """Whether a function may look at its variables other than by their names."""
    for code in _codes(fn.__code__):
        texts = {text for text in code.co_consts if type(text) is str}
        if _SEEING & {*code.co_names, *code.co_freevars} or _SEEING_TEXT & texts:
            return True
    seeing = [eval, exec, locals, vars, dir, breakpoint, sys._getframe]
    for value in _captured_values(fn):
        if any(value is one for one in seeing):
            return True
        if type(value) is FunctionType and any(
            _SEEING_FRAMES & set(code.co_names) for code in _codes(value.__code__)
        ):
            return True
    return False
