"""Packages that only some calls need."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Any


def optional(name: str) -> Any:
    """The module of a package that is also an extra of ``raceline``, or one inside it.

    Raises:
        ImportError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(_advice(name)) from error


def require(name: str) -> None:
    """Checks that such a package is there, without importing it.

    Raises:
        ImportError: It is not installed; says how to install it.
    """
    is_loaded = sys.modules.get(name) is not None
    if not is_loaded and (name in sys.modules or importlib.util.find_spec(name) is None):
        raise ImportError(_advice(name))


def is_numpy(value: Any, name: str) -> bool:
    """Whether a value is an instance of a class of NumPy; of none where NumPy is not loaded."""
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, getattr(numpy, name, ()))


def _advice(name: str) -> str:
    package = {"PIL": "pillow"}.get(module := name.partition(".")[0], module)
    return f'{package} is not installed: pip install "raceline[{package}]"'
