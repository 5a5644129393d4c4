"""The names that Ray gives errors, so that ``except`` clauses of Ray programs work.

They are bases of what Raceline raises, see :mod:`raceline.errors`, which tells more of each.
"""

from __future__ import annotations

__all__ = [
    "ActorDiedError",
    "OutOfMemoryError",
    "RayActorError",
    "RayError",
    "RaySystemError",
    "RayTaskError",
    "TaskCancelledError",
    "UserCodeException",
    "WorkerCrashedError",
]


class RayError(Exception):
    """Base of the errors of a run; wrong arguments are built-in errors, as in Ray.

    Example:
        >>> import raceline
        >>> def fail(row):
        ...     raise KeyError("price")
        >>> try:
        ...     raceline.range(1).map(fail).take_all()
        ... except raceline.exceptions.RayError as error:
        ...     print(isinstance(error, KeyError))
        True
    """


class RayTaskError(RayError):
    """Work on rows failed: a user's function raised, or a file could not be read or written.

    Attributes:
        cause: The exception of the user's function, where there is one and it could be restored.
    """

    cause: BaseException | None = None


class UserCodeException(RayError):
    """A user's function failed."""


class RayDataUserCodeException(UserCodeException):
    """A user's function that was given to a dataset failed."""


class TaskCancelledError(RayError):
    """The execution was cancelled."""


class WorkerCrashedError(RayError):
    """A worker died, or could not be started."""


class RayActorError(RayError):
    """A worker that holds an object of a user's class died, or could not be started."""


class ActorDiedError(RayActorError):
    """A worker that holds an object of a user's class died."""


class OutOfMemoryError(RayError):
    """Memory ran out."""


class RaySystemError(RayError):
    """A fault that is none of the user's program."""


class SystemException(Exception):
    """A fault that is none of the user's program."""


class ExecutionTimeoutError(Exception):
    """An execution took too long without progress."""
