"""Tables whose values are where Python, NumPy and other languages differ."""

# ruff: noqa: RUF001  (characters that look like others are the point)

from __future__ import annotations

import datetime as dt
import math
import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

ROWS = 5
VARIANTS = ("friendly", "extreme", "missing")

_INTS = [0, 1, -1, 2, 3, 5, -7, 10, 12, 100]
_FLOATS = [0.0, 1.0, -1.5, 0.5, 1.5, 2.5, -2.5, 0.1, 3.0, -3.0, 2.675, 1.005, 0.125, 100.0, 1234.5]
_EXTREME_FLOATS = [
    *(0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -5e-324, 2.2250738585072014e-308),
    *(1.7976931348623157e308, -1.7e308, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**64),
    *(1e16, 9999999999999998.0, 1e-5, 0.0001, 1e22, 1e23, 0.1, 1 / 3, 0.30000000000000004),
    *(9007199254740993.0, 4503599627370497.5, 0.49999999999999994, 1e-7, 123456789.125, 709.9),
]
_WORDS = [
    *("", "a", "b", "ab", "abc", "Hello World", "a,b,c", " padded ", "42", "-7", "3.14", "x y"),
    *("aaa", "A", "Zz", "aXbXc", "title case words", "0", "1e3", "True"),
]
# Case mappings that change the length, depend on context or came with late versions of Unicode;
# white space of Python that is none of Unicode; digits that `int` takes; characters of two to
# four bytes; combining marks; NUL.
_EXTREME_WORDS = [
    *("İ", "i̇", "ı", "ß", "ẞ", "ſ", "K", "ŉ", "ǰ", "ΐ", "ﬁ", "ﬃ", "և", "ǅ", "ǆ", "ῼ", "ᾳ"),
    *("Σ", "ΑΣ", "ΑΣΑ", "ΑΣ.", "Α.Σ", "ΣΑΣ ΣΣ", "Α\u0301Σ", "Σ\u00ad", "aΣ\u200d", "\u02b0Σ"),
    *("\u0345", "Ꭰ", "ꭰ", "\U00010400", "\U00010d50", "\U00010d70", "ɤ", "ƛ", "\ua7cb", "\u1c89"),
    *("\x1c", "\x1fa\x1f", "\x85", "\xa0x\xa0", "\u2028a", "\u3000 ", "\u200b", "\ufeffa", "\x00"),
    *("a\x00b", "a\nb\r\nc", "a\tb", "\x0b\x0c", "é", "e\u0301", "\u0301", "日本", "\U0001f600"),
    *("👨‍👩‍👧", "🇩🇪", "\uffff", "\U0010ffff", "\ue000", "１２", "٣", "१२.५", "1_000", "_1", "1__0"),
    *("+5", " 7 ", "\u20037", "0x10", "0b1", "1e400", "-1e400", "nan", "-NaN", "Infinity", "inf"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "1_0.0_1", "1.", ".5"),
    *(".", "e5", "1e", "--1", "+ 1", "00012", "²", "½", "Ⅷ", "'", '"', "\\", "'\"", "{}", "%s"),
    *("a" * 60, "日" * 30, "ab " * 15),
]
_MICROS = [0, 1, -1, 999_999, 86_400_000_000, -86_400_000_000, 1_709_164_800_123_456]
_EXTREME_MICROS = [-62_135_596_800_000_000, 253_402_300_799_999_999, 951_782_400_000_000]
_ZONES = [None, None, None, "UTC", "+05:30", "Europe/Berlin"]

Cell = Any


def _int(rng: random.Random, variant: str, value_type: pa.DataType) -> int:
    signed = pa.types.is_signed_integer(value_type)
    bits = value_type.bit_width
    least, most = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    value = rng.choice(_INTS)
    if variant == "extreme" and rng.random() < 0.6:
        near = [least, most, least + 1, most - 1, most // 2, 2**53, 2**53 + 1, -(2**53) - 1]
        value = rng.choice([*near, 2**31, 2**32, -(2**31), 3_037_000_500, rng.randint(least, most)])
    return min(max(value, least), most)


def _float(rng: random.Random, variant: str, value_type: pa.DataType) -> float:
    value = rng.choice(_FLOATS) if rng.random() < 0.8 else round(rng.gauss(0, 50), 3)
    if variant == "extreme" and rng.random() < 0.7:
        value = rng.choice(_EXTREME_FLOATS)
        if rng.random() < 0.2:
            value = struct.unpack("d", rng.randbytes(8))[0]
            if math.isnan(value):
                # A quiet one. Of a signalling NaN, which no arithmetic makes, NumPy warns.
                value += 0.0
    if pa.types.is_float32(value_type):
        with np.errstate(all="ignore"):
            return float(np.float32(value))
    return value


def _text(rng: random.Random, variant: str, _type: pa.DataType) -> str:
    if variant != "extreme" or rng.random() < 0.3:
        return rng.choice(_WORDS)
    words = [rng.choice(_EXTREME_WORDS) for _ in range(rng.choice([1, 1, 2, 3]))]
    return rng.choice(["", "", " ", ",", "a"]).join(words)


def _bool(rng: random.Random, _variant: str, _type: pa.DataType) -> bool:
    return rng.random() < 0.5


def _instant(rng: random.Random, variant: str, value_type: pa.DataType) -> int:
    """Units since 1970."""
    micros = rng.choice([*_MICROS, rng.randrange(2_000_000_000_000_000)])
    if variant == "extreme":
        # Python has no local time before the year 1 and after 9999.
        ends = _EXTREME_MICROS if value_type.tz is None else []
        micros = rng.choice([*_MICROS, *ends, -1_000_001, rng.randrange(-(10**16), 10**16)])
    match value_type.unit:
        case "s":
            return micros // 1_000_000
        case "ms":
            return micros // 1_000
        case "us":
            return micros
    limit = 9_000_000_000_000_000
    nanos = rng.randrange(1000) if variant == "extreme" and rng.random() < 0.1 else 0
    return max(-limit, min(limit, micros)) * 1_000 + nanos


def _day(rng: random.Random, variant: str, _type: pa.DataType) -> dt.date:
    if variant == "extreme" and rng.random() < 0.4:
        return rng.choice([dt.date.min, dt.date.max, dt.date(2000, 2, 29), dt.date(1900, 3, 1)])
    return dt.date(1970, 1, 1) + dt.timedelta(days=rng.randrange(-20_000, 20_000))


_MAKERS: dict[str, Callable[[random.Random, str, pa.DataType], Cell]] = {
    "int": _int,
    "float": _float,
    "str": _text,
    "bool": _bool,
    "datetime": _instant,
    "date": _day,
}

# What the row functions find: names of columns by the kind of their values.
COLUMNS = {
    "int": ["a", "b", "c"],
    "float": ["f", "g", "h"],
    "str": ["s", "t", "u"],
    "bool": ["p", "q"],
    "datetime": ["d", "i"],
    "date": ["e"],
}

_NARROW = [pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32()]
_TEXTS = [pa.string(), pa.string(), pa.large_string(), pa.string_view()]
_UNITS = ["us", "us", "us", "ms", "s", "ns"]


def schema_of(rng: random.Random, *, dates: bool) -> pa.Schema:
    """The columns of a program, of types that vary."""
    types = {"a": pa.int64(), "b": pa.int64(), "c": rng.choice([pa.int64(), *_NARROW])}
    types |= {"f": pa.float64(), "g": pa.float64(), "h": rng.choice([pa.float64(), pa.float32()])}
    types |= {"s": pa.string(), "t": rng.choice(_TEXTS), "u": rng.choice(_TEXTS)}
    types |= {"p": pa.bool_(), "q": pa.bool_(), "e": pa.date32()}
    types |= {"d": pa.timestamp("us"), "i": pa.timestamp(rng.choice(_UNITS), rng.choice(_ZONES))}
    if not dates:
        del types["d"], types["i"], types["e"]
    if rng.random() < 0.05:
        types["c"] = pa.uint64()
    if rng.random() < 0.05:
        types["u"] = pa.dictionary(pa.int32(), pa.string())
    if dates and rng.random() < 0.05:
        types["e"] = pa.date64()
    return pa.schema(list(types.items()))


def batch_schema_of(rng: random.Random) -> pa.Schema:
    """The columns of a program over NumPy arrays: int64, float64 and bool, and others."""
    types = {"a": pa.int64(), "b": pa.int64(), "f": pa.float64(), "g": pa.float64()}
    types |= {"p": pa.bool_(), "q": pa.bool_(), "s": rng.choice(_TEXTS)}
    widths = [*_NARROW, pa.uint64(), pa.float32(), pa.float32()]
    types |= {"m": rng.choice(widths), "n": rng.choice(widths)}
    return pa.schema(list(types.items()))


def table_of(rng: random.Random, schema: pa.Schema, variant: str) -> pa.RecordBatch:
    """Some rows, now and then a slice of more, so that buffers begin anywhere."""
    rows = rng.choice([0, 1, *[ROWS] * 12])
    before = rng.choice([0, 0, 0, 1, 3, 9])
    arrays = []
    for field in schema:
        kind = _kind_of(field.type)
        nulls = 0.3 if variant == "missing" else 0.0
        if variant == "missing" and rng.random() < 0.1:
            nulls = 1.0
        cells = [
            None if rng.random() < nulls else _MAKERS[kind](rng, variant, field.type)
            for _ in range(before + rows)
        ]
        arrays.append(_array(cells, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=schema).slice(before)


def _kind_of(value_type: pa.DataType) -> str:
    if pa.types.is_integer(value_type):
        return "int"
    if pa.types.is_floating(value_type):
        return "float"
    if pa.types.is_boolean(value_type):
        return "bool"
    if pa.types.is_timestamp(value_type):
        return "datetime"
    return "date" if pa.types.is_date(value_type) else "str"


def _array(cells: list[Cell], value_type: pa.DataType) -> pa.Array:
    if pa.types.is_timestamp(value_type):
        return pa.array(cells, pa.int64()).cast(value_type)
    return pa.array(cells, value_type)


def table_source(table: pa.RecordBatch) -> str:
    """The table as Python source, every bit of it."""
    columns = []
    for field, column in zip(table.schema, table.columns, strict=True):
        if pa.types.is_timestamp(field.type):
            cells = column.cast(pa.int64()).to_pylist()
            made = f"pa.array({cells}, pa.int64()).cast({_type_source(field.type)})"
        elif pa.types.is_floating(field.type):
            cells = ", ".join(_float_source(cell) for cell in column.to_pylist())
            made = f"pa.array([{cells}], {_type_source(field.type)})"
        else:
            cells = ascii(column.to_pylist()).replace("datetime.", "dt.")
            made = f"pa.array({cells}, {_type_source(field.type)})"
        columns.append(f'    "{field.name}": {made},')
    return "pa.record_batch({\n" + "\n".join(columns) + "\n})"


def _float_source(cell: float | None) -> str:
    if cell is None or math.isfinite(cell):
        return repr(cell)
    return f'float("{cell}")'


def _type_source(value_type: pa.DataType) -> str:
    if pa.types.is_timestamp(value_type):
        zone = f', "{value_type.tz}"' if value_type.tz else ""
        return f'pa.timestamp("{value_type.unit}"{zone})'
    if pa.types.is_dictionary(value_type):
        return "pa.dictionary(pa.int32(), pa.string())"
    names = {"bool": "bool_", "float": "float32", "double": "float64"}
    name = str(value_type).split("[")[0]
    return f"pa.{names.get(name, name)}()"
