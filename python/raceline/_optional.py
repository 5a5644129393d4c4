"""Packages that only some calls need."""

from __future__ import annotations

import importlib
from typing import Any


def optional(name: str) -> Any:
    """The module of a package that is also an extra of ``raceline``.

    Raises:
        ImportError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'{name} is not installed: pip install "raceline[{name}]"') from error
