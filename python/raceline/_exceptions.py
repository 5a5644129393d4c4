"""How an exception of a user's function travels from a worker to the user's process."""

from __future__ import annotations

import pickle
from typing import Any

__all__ = ["pack", "unpack"]

# An exception that holds more is told by its text alone.
_BYTES_MAX = 1 << 20


def pack(error: BaseException) -> bytes | None:
    """The exception as bytes.

    One that pickle cannot read again, as its constructor wants other arguments than it keeps,
    travels as its type and fields.

    Returns:
        The bytes; None where neither can be pickled, or it takes more than 1 MiB.
    """
    import cloudpickle

    fields = (type(error), error.args, vars(error))
    for form in (error, fields, fields[:2]):
        try:
            packed: bytes = cloudpickle.dumps(form)
            if len(packed) > _BYTES_MAX:
                continue
            pickle.loads(packed)  # noqa: S301 (made on the line before)
        except Exception:  # noqa: BLE001, S112 (it runs the code of any object in the exception)
            continue
        return packed
    return None


def unpack(packed: bytes) -> BaseException | None:
    """The exception that a worker of this session packed.

    Returns:
        The exception, without traceback; None where its type cannot be found here.
    """
    try:
        form: Any = pickle.loads(packed)  # noqa: S301 (from a worker of this session)
        if isinstance(form, tuple):
            form = _rebuilt(*form)
    except Exception:  # noqa: BLE001 (it runs the user's code; the text says all without it)
        return None
    return form if isinstance(form, BaseException) else None


def _rebuilt(
    cls: type[BaseException], args: tuple[Any, ...], fields: dict[str, Any] | None = None
) -> BaseException:
    """An exception of its type and fields; its constructor does not run again."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(fields or {})
    return error
