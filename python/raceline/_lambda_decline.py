"""Why a function is not translated, and the values that a translation may hold."""

from __future__ import annotations

from typing import Any

__all__ = ["Decline", "describe_unknown", "immutable"]

_INT64_MAX = 2**63 - 1


class Decline(Exception):
    """The reason why a function is not translated."""


def describe_unknown(instruction: Any) -> str:
    """What a person would call an instruction that is not known."""
    name = instruction.opname
    if name == "CALL_FUNCTION_EX":
        return "it calls a function with unpacked arguments"
    if name in ("GET_ITER", "FOR_ITER") or "BACKWARD" in name:
        return "it has a loop"
    if name in ("BUILD_SET", "SET_UPDATE", "LIST_APPEND"):
        return "it builds a set, or a list from other lists"
    if name in ("IMPORT_NAME", "IMPORT_FROM"):
        return "it imports a module"
    return f"the instruction `{name}` is not known"


def immutable(value: object, what: str) -> object:
    """The value in the form that the native module takes, when it is immutable.

    Subclasses are declined: they can override operators. So are strings with lone surrogates
    and ints that leave 64 bits, which the engine cannot hold.
    """
    kind = type(value)
    if value is None or kind is bool or kind is float:
        return value
    if kind is int:
        if not -_INT64_MAX - 1 <= value <= _INT64_MAX:  # type: ignore[operator]
            raise Decline(f"{what} is an int of more than 64 bits")
        return value
    if kind is str:
        try:
            value.encode()  # type: ignore[attr-defined]
        except UnicodeEncodeError:
            raise Decline(f"{what} is a string with a lone surrogate") from None
        return value
    if kind is tuple or kind is frozenset:
        return kind(immutable(item, what) for item in value)  # type: ignore[attr-defined]
    raise Decline(f"{what} is a {kind.__name__}, which may change")
