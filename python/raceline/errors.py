"""The errors that Raceline raises.

Every error derives from :class:`RacelineError` and from the built-in class a Python programmer
would expect (``ValueError``, ``OSError``, ``FileNotFoundError`` ...), and those of a run from what
Ray raises there, see :mod:`raceline.exceptions`. What the engine knows about the place of the fault
stands in attributes and in the text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raceline import exceptions as rays
from raceline._exceptions import unpack

__all__ = [
    "CancelledError",
    "ColumnNotFoundError",
    "ExecutionTimeoutError",
    "ExpressionTruthError",
    "InternalError",
    "PlanError",
    "RacelineError",
    "ResourceError",
    "SourceError",
    "SourceNotFoundError",
    "SourcePermissionError",
    "TensorError",
    "UdfError",
    "udf_error_class",
]


class RacelineError(Exception):
    """Base of all errors of Raceline.

    Attributes:
        stage: Name of the stage that failed, or None.
        uri: File or object that was read or written, or None.
        column: Column that is at fault, or None.
        rows: First and last row, counted from 0 in ``uri`` or in the stage's input, or None.
        hint: What to do about it, or None.
        detail: More facts, such as the traceback of a user's function, or None.

    Example:
        >>> import raceline
        >>> try:
        ...     raceline.range(-1)
        ... except raceline.errors.RacelineError as error:
        ...     print(type(error).__name__, "/", error.hint)
        PlanError / pass the number of rows, 0 or more
    """

    stage: str | None = None
    uri: str | None = None
    column: str | None = None
    rows: tuple[int, int] | None = None
    hint: str | None = None
    detail: str | None = None

    def __init__(self, text: str, **place: Any) -> None:
        """Makes an error.

        Args:
            text: What happened, for a person.
            **place: Any of the attributes of the class.
        """
        super().__init__(text)
        self._text = text
        for name, value in place.items():
            if not hasattr(RacelineError, name):
                raise TypeError(f"RacelineError has no attribute `{name}`")
            setattr(self, name, value)

    def __str__(self) -> str:
        """The text; the hint follows on its own line where the text does not hold it."""
        if self.hint is None or self.hint in self._text:
            return self._text
        return f"{self._text}\n  hint: {self.hint}"


class PlanError(RacelineError, ValueError):
    """The program asks for something that cannot be: a wrong argument, type or combination."""


class ExpressionTruthError(PlanError, TypeError):
    """An expression where Python wants true or false: before ``and``, ``or``, ``not`` or ``if``.

    Example:
        >>> from raceline.data.expressions import col
        >>> try:
        ...     bool(col("a") > 1)
        ... except TypeError as error:
        ...     print(type(error).__name__)
        ExpressionTruthError
    """


class ColumnNotFoundError(PlanError):
    """A column does not exist; the hint names the nearest ones."""


class SourceError(RacelineError, rays.RayTaskError, OSError):
    """Reading or writing failed, or a file holds something other than it should."""


class SourceNotFoundError(SourceError, FileNotFoundError):
    """A path does not exist."""


class SourcePermissionError(SourceError, PermissionError):
    """Access to a path was refused."""


class TensorError(RacelineError, TypeError, RuntimeError):
    """A column of a batch cannot become a tensor."""


class UdfError(RacelineError, rays.RayDataUserCodeException, rays.RayTaskError):
    """A user's function failed.

    What is raised derives from the type of the user's own exception as well, so that
    ``except ValueError`` works. The user's exception is the ``__cause__``.
    """


class ResourceError(
    RacelineError, rays.OutOfMemoryError, rays.WorkerCrashedError, rays.ActorDiedError
):
    """Memory, disk, CPUs, GPUs or workers ran out or were never there.

    A worker that is killed from outside was often killed for lack of memory, so these are one class
    where Ray has several.
    """


class ExecutionTimeoutError(RacelineError, rays.ExecutionTimeoutError, TimeoutError):
    """A run took longer than :class:`raceline.data.DataContext` allows.

    ``detail`` tells who waits on what.
    """


class CancelledError(RacelineError, rays.TaskCancelledError):
    """The execution was cancelled."""


class InternalError(RacelineError, rays.RaySystemError, rays.SystemException):
    """A fault of Raceline itself: please report it."""


_CLASSES: dict[str, type[RacelineError]] = {
    "plan": PlanError,
    "column_not_found": ColumnNotFoundError,
    "not_found": SourceNotFoundError,
    "permission_denied": SourcePermissionError,
    "source": SourceError,
    "udf": UdfError,
    "resource": ResourceError,
    "timeout": ExecutionTimeoutError,
    "cancelled": CancelledError,
    "internal": InternalError,
}

# Raised inside a generator these would end or restart it, not fail it.
_CONTROL_FLOW = (StopIteration, StopAsyncIteration)


_UDF_CLASSES: dict[type[BaseException], type[UdfError]] = {}


def udf_error_class(exc_type: type[BaseException]) -> type[UdfError]:
    """The class of the error that stands for an exception of a user's function.

    Args:
        exc_type: Type of the user's exception.

    Returns:
        A class derived from :class:`UdfError` and ``exc_type``; :class:`UdfError` alone where
        that cannot be: exceptions that are not errors, and types that forbid subclasses.

    Example:
        >>> issubclass(udf_error_class(KeyError), KeyError)
        True
        >>> udf_error_class(KeyboardInterrupt) is UdfError
        True
    """
    if exc_type not in _UDF_CLASSES:
        _UDF_CLASSES[exc_type] = _derived(exc_type)
    return _UDF_CLASSES[exc_type]


def _derived(exc_type: type[BaseException]) -> type[UdfError]:
    """A new class of both, where there can be one."""
    if not issubclass(exc_type, Exception) or issubclass(exc_type, _CONTROL_FLOW):
        return UdfError
    if issubclass(exc_type, UdfError):
        return exc_type
    try:
        return type(
            f"UdfError({exc_type.__name__})",
            (UdfError, exc_type),
            {"__module__": __name__, "__doc__": UdfError.__doc__},
        )
    except Exception:  # noqa: BLE001 (a metaclass or `__init_subclass__` of the user's refuses)
        return UdfError


def build(
    kind: str, text: str, fields: Mapping[str, Any], exception: bytes | BaseException | None
) -> RacelineError:
    """Makes the error of an engine failure; called by the native module.

    Args:
        kind: Kind of the failure: ``plan``, ``column_not_found``, ``not_found``,
            ``permission_denied``, ``source``, ``udf``, ``resource``, ``timeout``, ``cancelled``,
            ``internal``.
        text: The whole text for a person.
        fields: Attributes of :class:`RacelineError` that are known.
        exception: The user's exception, as pickled by a worker of this session where it comes
            from one, or None.

    Returns:
        The error, its ``__cause__`` set where the user's exception could be restored.
    """
    place = {name: value for name, value in fields.items() if hasattr(RacelineError, name)}
    cls = _CLASSES.get(kind, InternalError)
    cause = unpack(exception) if isinstance(exception, bytes) else exception
    if cause is None or cls is not UdfError:
        return cls(text, **place)
    error = _made(udf_error_class(type(cause)), cause)
    error.cause = cause
    error.__dict__.update(vars(cause))
    error.__dict__.update(place)
    error.args = (text,)
    error._text = text
    error.__cause__ = cause
    return error


def _made(cls: type[UdfError], cause: BaseException) -> UdfError:
    """An error of the class, or a plain one where nothing but the class's own code can make it.

    The user's own `__init__` may want any arguments; it ran in the worker already. A group is made
    of its members, so that ``except*`` finds them.
    """
    members = (cause.message, cause.exceptions) if isinstance(cause, ExceptionGroup) else ()
    for make in (cls.__new__, BaseException.__new__):
        try:
            return make(cls, *members)
        except Exception:  # noqa: BLE001, S112 (a user's `__new__`, and types made in C, refuse)
            continue
    return UdfError.__new__(UdfError)
