"""The functions of Python, ``math`` and NumPy that the compiler knows, found by identity.

A name that a program has bound to something else is therefore never taken for the function.
"""

from __future__ import annotations

import builtins
import functools
import math
import sys
from types import BuiltinFunctionType

__all__ = ["BUILTIN_NAMES", "MATH_NAMES", "NUMPY_NAMES", "known_name"]

#: Built-in functions and types.
BUILTIN_NAMES = (
    "abs",
    "bool",
    "dict",
    "float",
    "int",
    "len",
    "max",
    "min",
    "round",
    "str",
)
#: Functions of ``math`` that are exact, or those of the C library.
MATH_NAMES = (
    "acos",
    "asin",
    "atan",
    "atan2",
    "ceil",
    "copysign",
    "cos",
    "cosh",
    "degrees",
    "exp",
    "expm1",
    "fabs",
    "floor",
    "fmod",
    "gcd",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log10",
    "log1p",
    "log2",
    "pow",
    "radians",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
)
#: Functions of NumPy that are exact for each element, and types of elements.
NUMPY_NAMES = (
    "absolute",
    "ceil",
    "clip",
    "floor",
    "isfinite",
    "isinf",
    "isnan",
    "logical_and",
    "logical_not",
    "logical_or",
    "maximum",
    "minimum",
    "rint",
    "sqrt",
    "square",
    "trunc",
    "where",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "float32",
    "float64",
)


def known_name(value: object) -> str | None:
    """The compiler's name of a function or type, ``None`` for one that it does not know.

    Example:
        >>> known_name(abs), known_name(math.sqrt), known_name(print)
        ('abs', 'math.sqrt', None)
    """
    name = _python_names().get(id(value))
    if name is None and "numpy" in sys.modules:
        name = _numpy_names().get(id(value))
    return name


# Names by identity: the objects live as long as their modules.
@functools.cache
def _python_names() -> dict[int, str]:
    names = {id(getattr(builtins, name)): name for name in BUILTIN_NAMES}
    for name in MATH_NAMES:
        function = getattr(math, name, None)
        # What another library has put there is not what it seems.
        if type(function) is BuiltinFunctionType and function.__module__ == "math":
            names[id(function)] = f"math.{name}"
    return names


@functools.cache
def _numpy_names() -> dict[int, str]:
    import numpy as np

    names: dict[int, str] = {}
    for name in NUMPY_NAMES:
        # NumPy 1 calls its bool `bool_`, and has no `bool`.
        value = getattr(np, "bool_" if name == "bool" else name, None)
        is_element = isinstance(value, type) and issubclass(value, np.generic)
        is_function = isinstance(value, np.ufunc) or getattr(value, "__module__", "") == "numpy"
        if is_element or is_function:
            names[id(value)] = f"np.{name}"
    return names
