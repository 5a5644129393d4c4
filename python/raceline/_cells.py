"""The Python half of the conversions of single values: instants, times and decimals.

Called by the native module with whole columns; ``None`` is null on both sides.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NANOS_PER_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DECIMAL_DIGITS_MAX = 38


def from_instants(values: NDArray[Any], zone: str | None) -> list[Any]:
    """Values of a ``datetime64`` or ``timedelta64`` array, aware when there is a zone.

    A column of nanoseconds that microseconds cannot express comes as NumPy scalars.
    """
    unit = np.datetime_data(values.dtype)[0]
    if unit != "D":
        micros = values.astype(f"{values.dtype.kind}8[us]")
        nulls = np.isnat(values)
        if unit == "ns" and ((micros.astype(values.dtype) != values) & ~nulls).any():
            return [None if null else value for value, null in zip(values, nulls, strict=True)]
        values = micros
    cells: list[Any] = values.tolist()
    if zone is None:
        return cells
    local = _zone_of(zone)
    return [
        None if cell is None else cell.replace(tzinfo=dt.UTC).astimezone(local) for cell in cells
    ]


def _zone_of(name: str) -> dt.tzinfo:
    if name.upper() in ("UTC", "Z"):
        return dt.UTC
    if name[0] in "+-":
        hours, minutes = int(name[1:3]), int(name[-2:]) if len(name) > 3 else 0
        offset = dt.timedelta(hours=hours, minutes=minutes)
        return dt.timezone(-offset if name[0] == "-" else offset)
    return ZoneInfo(name)


def from_times(counts: list[int | None], unit: str) -> list[dt.time | None]:
    """Times of day from counts of ``unit`` since midnight."""
    nanos_per_unit = _NANOS_PER_UNIT[unit]
    times: list[dt.time | None] = []
    for count in counts:
        if count is None:
            times.append(None)
            continue
        micros, rest = divmod(count * nanos_per_unit, 1_000)
        if rest:
            raise ValueError(
                f"a time of day of {count} ns has nanoseconds, which `datetime.time` cannot hold\n"
                "  hint: cast the column to microseconds first"
            )
        times.append((dt.datetime.min + dt.timedelta(microseconds=micros)).time())
    return times


def to_utc(cells: list[dt.datetime | None]) -> tuple[list[Any], str | None] | None:
    """Naive datetimes as they are, or aware ones in UTC with the name of the first one's zone.

    ``None`` when naive and aware ones are mixed, or one has nanoseconds.
    """
    present = [cell for cell in cells if cell is not None]
    aware = [cell.utcoffset() is not None for cell in present]
    if any(getattr(cell, "nanosecond", 0) for cell in present) or any(aware) != all(aware):
        return None
    if not any(aware):
        return [_plain(cell) for cell in cells], None
    utc = [None if cell is None else cell.astimezone(dt.UTC) for cell in cells]
    naive = [None if cell is None else _plain(cell).replace(tzinfo=None) for cell in utc]
    return naive, _zone_name(present[0])


def _plain(cell: dt.datetime | None) -> Any:
    """``cell`` without the subclass (``pandas.Timestamp``)."""
    if cell is None or type(cell) is dt.datetime:
        return cell
    return dt.datetime.combine(cell.date(), cell.timetz())


def _zone_name(cell: dt.datetime) -> str:
    zone = cell.tzinfo
    name = getattr(zone, "key", None) or getattr(zone, "zone", None)
    if name:
        return str(name)
    offset = cell.utcoffset() or dt.timedelta()
    minutes, rest = divmod(int(offset.total_seconds()), 60)
    if not isinstance(zone, dt.timezone) or minutes == 0 or rest:
        return "UTC"
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def to_micros_of_day(cells: Sequence[dt.time | None]) -> list[int | None] | None:
    """Microseconds since midnight; ``None`` when a time has a zone."""
    micros: list[int | None] = []
    for cell in cells:
        if cell is None:
            micros.append(None)
        elif cell.tzinfo is not None:
            return None
        else:
            seconds = (cell.hour * 60 + cell.minute) * 60 + cell.second
            micros.append(seconds * 1_000_000 + cell.microsecond)
    return micros


def to_scaled_integers(
    cells: Sequence[Decimal | None],
) -> tuple[list[int | None], int, int] | None:
    """Decimals as integers of one scale, with precision and scale.

    ``None`` when one is infinite or not a number, or more than 38 digits would be needed.
    """
    whole = scale = 0
    parts: list[tuple[int, int] | None] = []
    for cell in cells:
        if cell is None:
            parts.append(None)
            continue
        sign, digits, exponent = cell.as_tuple()
        if not isinstance(exponent, int):
            return None
        scale = max(scale, -exponent)
        whole = max(whole, len(digits) + exponent)
        value = int("".join(map(str, digits)) or "0")
        parts.append((-value if sign else value, exponent))
    precision = max(whole + scale, scale, 1)
    if precision > _DECIMAL_DIGITS_MAX:
        return None
    integers = [None if part is None else part[0] * int(10 ** (part[1] + scale)) for part in parts]
    return integers, precision, scale
