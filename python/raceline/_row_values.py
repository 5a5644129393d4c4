"""What is followed through a function that sees a row: values, and what is done with the row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias


class Opaque(Exception):
    """The function may look at any column."""


class Other:
    """Whatever is of no interest."""


class Row:
    """The row or batch."""


class Const(NamedTuple):
    """A string, or a tuple of strings."""

    value: Any


class Column(NamedTuple):
    """A column of the row, as it is."""

    name: str


class MadeDict(NamedTuple):
    """A dict that the function makes by the instruction at this offset."""

    site: int


class Method(NamedTuple):
    """A method of the row."""

    name: str


OTHER, ROW = Other(), Row()
Value: TypeAlias = Other | Row | Const | Column | MadeDict | Method


@dataclass
class Made:
    """What a dict holds that the function makes.

    Attributes:
        has_row: Whether all of the row was put into it.
        row_is_first: Whether that was before anything else.
        keys: Names of everything else.
        columns: Columns of the row, as they are, by the name under which it always holds them.
        is_known: Whether nothing else was done with it.
    """

    has_row: bool = False
    row_is_first: bool = True
    keys: set[str] = field(default_factory=set)
    columns: dict[str, str] = field(default_factory=dict)
    is_known: bool = True


@dataclass
class Use:
    """What a function does with its row or batch.

    Attributes:
        seen: Columns that it took out of the row.
        reads: Those of them whose value it looked at, and what it asked for otherwise.
        writes: Columns that it set.
        removes: Whether it removed any.
        returns_row: Whether it returns the row itself.
        returned: The dicts that it returns.
        returns_other: Whether it returns anything else.
        subscripts_only: Whether it only took columns out of the row.
    """

    seen: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)
    writes: set[str] = field(default_factory=set)
    removes: bool = False
    returns_row: bool = False
    returned: list[Made] = field(default_factory=list)
    returns_other: bool = False
    subscripts_only: bool = True


IGNORED = frozenset(
    {
        "CACHE",
        "COPY_FREE_VARS",
        "EXTENDED_ARG",
        "KW_NAMES",
        "MAKE_CELL",
        "NOP",
        "PRECALL",
        "RERAISE",
        "RESUME",
    }
)
# Instructions that use what they take off the stack, and put on so many values that are not the
# row.
PLAIN = {
    "BEFORE_WITH": 2,
    "BINARY_OP": 1,
    "BINARY_SLICE": 1,
    "BUILD_LIST": 1,
    "BUILD_SET": 1,
    "BUILD_SLICE": 1,
    "BUILD_STRING": 1,
    "BUILD_TUPLE": 1,
    "CALL_FUNCTION_EX": 1,
    "CALL_INTRINSIC_1": 1,
    "CALL_KW": 1,
    "CHECK_EXC_MATCH": 1,
    "COMPARE_OP": 1,
    "CONTAINS_OP": 1,
    "CONVERT_VALUE": 1,
    "DELETE_ATTR": 0,
    "DICT_MERGE": 0,
    "END_FOR": 0,
    "FORMAT_SIMPLE": 1,
    "FORMAT_VALUE": 1,
    "FORMAT_WITH_SPEC": 1,
    "GET_ITER": 1,
    "IMPORT_FROM": 1,
    "IMPORT_NAME": 1,
    "IS_OP": 1,
    "LIST_APPEND": 0,
    "LIST_EXTEND": 0,
    "LIST_TO_TUPLE": 1,
    "LOAD_ASSERTION_ERROR": 1,
    "LOAD_BUILD_CLASS": 1,
    "LOAD_CLOSURE": 1,
    "MAKE_FUNCTION": 1,
    "MAP_ADD": 0,
    "POP_EXCEPT": 0,
    "PUSH_EXC_INFO": 2,
    "PUSH_NULL": 1,
    "SET_ADD": 0,
    "SET_FUNCTION_ATTRIBUTE": 1,
    "SET_UPDATE": 0,
    "STORE_ATTR": 0,
    "STORE_DEREF": 0,
    "STORE_GLOBAL": 0,
    "STORE_SLICE": 0,
    "TO_BOOL": 1,
    "UNARY_INVERT": 1,
    "UNARY_NEGATIVE": 1,
    "UNARY_NOT": 1,
    "UNARY_POSITIVE": 1,
    "WITH_EXCEPT_START": 1,
    "YIELD_VALUE": 1,
}
JUMPS = frozenset({"JUMP_ABSOLUTE", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "JUMP_FORWARD"})
ENDS = frozenset({"RAISE_VARARGS", "RERAISE", "RETURN_CONST", "RETURN_VALUE"})
