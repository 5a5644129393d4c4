"""Which NumPy is installed, without importing it."""

from __future__ import annotations

import functools
import os.path
import re
import sys

__all__ = ["numpy_release"]

_VERSION = re.compile(r"""^(?:short_)?version\s*=\s*["'](\d+)\.(\d+)""", re.MULTILINE)


@functools.cache
def numpy_release() -> tuple[int, int]:
    """The major and minor number of NumPy's version; `(0, 0)` where they are not known.

    Example:
        >>> numpy_release() >= (1, 26)
        True
    """
    loaded = sys.modules.get("numpy")
    if loaded is not None:
        major, minor = loaded.__version__.split(".")[:2]
        return (int(major), int(minor))
    import importlib.util

    spec = importlib.util.find_spec("numpy")
    if spec is None or spec.origin is None:
        return (0, 0)
    try:
        with open(os.path.join(os.path.dirname(spec.origin), "version.py")) as file:
            text = file.read()
    except OSError:
        return (0, 0)
    found = _VERSION.search(text)
    return (0, 0) if found is None else (int(found[1]), int(found[2]))
