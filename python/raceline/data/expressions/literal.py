"""Plain values as the engine's literals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["engine_literal"]

_PLAIN = (bool, int, float, str, bytes)


def engine_literal(value: Any) -> _native.Expr:
    """The engine's literal of a value.

    Args:
        value: None, bool, int (of 64 bits), float, str, bytes, a scalar of NumPy; a date, time,
            timedelta or decimal; a list, dict or array of these.

    Raises:
        TypeError: The value is none of these.
    """
    from raceline import _native

    if value is None or type(value) in _PLAIN or (hasattr(value, "item") and _is_scalar(value)):
        return _native.lit(value)
    if isinstance(value, _PLAIN):
        return _native.lit(value)
    try:
        [batch] = _native.rows_to_batches([{"value": value}])
        return _native.lit_of(batch)
    except (TypeError, ValueError) as error:
        raise TypeError(
            "a literal must be None, bool, int, float, str or bytes, a date, time or decimal, or "
            f"a list or dict of these, got `{type(value)}`"
        ) from error


def _is_scalar(value: Any) -> bool:
    """Whether something of NumPy is one value, and no date."""
    return (
        getattr(value, "shape", None) == ()
        and getattr(value, "dtype", None) is not None
        and (value.dtype.kind not in "mM")
    )
