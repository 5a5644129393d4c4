"""The names of Ray Data's ``ray.data.exceptions``; see :mod:`raceline.exceptions`."""

from __future__ import annotations

from raceline.exceptions import (
    ExecutionTimeoutError,
    RayDataUserCodeException,
    SystemException,
    UserCodeException,
)

__all__ = [
    "ExecutionTimeoutError",
    "RayDataUserCodeException",
    "SystemException",
    "UserCodeException",
]
