"""Programs that differed once, and traps that were laid by hand: they always run."""

# ruff: noqa: RUF001  (characters that look like others are the point)

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import pyarrow as pa

from lambda_fuzz.program import Program

Case = tuple[Program, pa.RecordBatch]


def _rows(source: str, kind: str = "map", **columns: list[Any] | pa.Array) -> Case:
    """A function of rows: an expression over `row`, or a module that defines `fn`."""
    module = source if "fn" in source or "\n" in source else f"fn = lambda row: {source}"
    return Program(kind, f"import math\n{module}\n"), pa.record_batch(columns)


def _arrays(source: str, **columns: list[Any] | pa.Array) -> Case:
    """A function of NumPy batches: an expression over `batch`, or a module that defines `fn`."""
    module = source if "fn" in source else f"fn = lambda batch: {source}"
    return Program("map_batches", f"import numpy as np\n{module}\n"), pa.record_batch(columns)


_CASED = [
    *("İ", "ß", "ſ", "ŉ", "ǰ", "ﬁ", "ΑΣ", "ΑΣΑ", "Α.Σ", "Σ", "Α\u0301Σ", "ǅ", "ῼ", "\u0345"),
    *("ɤ", "ƛ", "\u1c89", "\u1c8a", "\ua7cb", "\ua7da", "\U00010d50", "\U00010d70", "Ꭰ", "ꭰ"),
    *("e\u0301", "\x00a", "", "日本", "Σ\U00010d4e", "A\u0897Σ"),
]
_SPACED = [
    *("\x1c a \x1f", "\x85a\x85", "\xa0a\u3000", "\u200ba\u200b", "\ufeffa", "\u180ea", " a\x00 "),
    *("\u2028a\u2029", "a\x0bb\x0cc", "", "   ", "a  b", ",a,,b,", "a"),
]
_NUMBERS = [
    *("42", " -7 ", "1_000", "_1", "1__0", "+5", "+ 5", "٣", "１２", "0x10", "", "1e3", "1.", ".5"),
    *("nan", "-inf", "Infinity", "1e400", "9223372036854775807", "9223372036854775808", "²", "0_0"),
    *("1_0.0_1", "१२.५", "\u20037\x1c", "1\x00", "infinit", "+nan", "1e-400", "0" * 30 + "1"),
]
_REALS = [
    *(0.0, -0.0, 0.5, 1.5, 2.5, -0.5, -2.5, 2.675, 1.005, 1e16, 9999999999999998.0, 1e-5, 1e22),
    *(
        math.nan,
        math.inf,
        -math.inf,
        5e-324,
        1.7976931348623157e308,
        0.1,
        1 / 3,
        2.0**63,
        -(2.0**63),
    ),
    *(0.49999999999999994, 4503599627370497.5, 123456789.125, 1e23, 0.0001, 1e15, -1e15, 5.015),
]
_WHOLES = [0, 1, -1, 7, -7, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 5, 15, 25, -5, -15, 10**18]
_MOMENTS = [
    *(dt.datetime(1970, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), dt.datetime.min),
    *(dt.datetime.max, dt.datetime(2000, 2, 29, 12), dt.datetime(1900, 3, 1, 0, 0, 0, 1)),
]


def _each(sources: list[str], **column: list[Any]) -> list[Case]:
    """Each function on each value alone: one in trouble would hide the others."""
    [(name, values)] = column.items()
    return [_rows(source, **{name: [value]}) for source in sources for value in values]


_TEXT = [
    *_each(['row["s"].lower()', 'row["s"].upper()', 'len(row["s"].upper())'], s=_CASED),
    *_each(['row["s"][::-1]', 'row["s"][-1:]', 'row["s"][:-1]', 'row["s"][1:]'], s=_CASED),
    *_each(['row["s"].strip()', 'row["s"].split()[0]', 'len(row["s"].split())'], s=_SPACED),
    *_each(['row["s"].lstrip()', 'len(row["s"].split(","))', 'row["s"].strip(" a")'], s=_SPACED),
    *_each(['row["s"].replace("", "-")', 'row["s"].replace("a", "", 1)'], s=_SPACED),
    *_each(['row["s"].startswith("")', 'row["s"].endswith(("", "b"))', 'len(row["s"])'], s=_SPACED),
    *_each(['int(row["s"])', 'float(row["s"])', 'bool(row["s"])', "f\"{row['s']!r}\""], s=_NUMBERS),
]
_ARITHMETIC = [
    *_each(['str(row["f"])', 'round(row["f"])', 'round(row["f"], 2)', 'int(row["f"])'], f=_REALS),
    *_each(["f\"{row['f']:.2f}\"", "f\"{row['f']}\"", "f\"{row['f']:10.3e}\""], f=_REALS),
    *_each(["f\"{row['f']:g}\"", "f\"{row['f']:,.1f}\"", "f\"{row['f']:.1%}\""], f=_REALS),
    *_each(['math.floor(row["f"])', 'math.ceil(row["f"])', 'math.sqrt(row["f"])'], f=_REALS),
    *_each(['math.log(row["f"])', 'math.exp(row["f"])', 'math.isnan(row["f"])'], f=_REALS),
    *_each(['abs(row["f"])', 'min(row["f"], 0.0)', 'max(0.0, row["f"])', '-row["f"]'], f=_REALS),
    *_each(['row["f"] // 0.1', 'row["f"] % -3', 'row["f"] ** 0.5', 'row["f"] ** 2'], f=_REALS),
    *_each(['row["f"] in (0, 1.5)', 'row["f"] == 2**53', 'bool(row["f"])'], f=_REALS),
    *_each(['min(row["f"], 1)', 'max(0, row["f"])', 'math.copysign(1.0, row["f"])'], f=_REALS),
    *_each(
        ['abs(row["a"])', '-row["a"]', 'row["a"] // -3', 'row["a"] % -3', '~row["a"]'], a=_WHOLES
    ),
    *_each(['round(row["a"], -1)', 'float(row["a"])', 'row["a"] / 3', 'row["a"] ** 2'], a=_WHOLES),
    *_each(["f\"{row['a']:,}\"", "f\"{row['a']:#x}\"", "f\"{row['a']:06d}\""], a=_WHOLES),
    *_each(['str(row["a"])', "f\"{row['a']:.2f}\"", 'math.sqrt(row["a"])'], a=_WHOLES),
    *_each(['row["a"] in {1, 2.0, True}', 'row["a"] == 9007199254740992.0'], a=_WHOLES),
    *_each(['min(row["a"], True)', 'max(row["a"], 1.0)', 'int(row["a"] / 2)'], a=_WHOLES),
    *_each(['row["p"] + 1', '-row["p"]', 'abs(row["p"])', 'str(row["p"])'], p=[True, False]),
    *_each(['row["p"] & True', 'row["p"] * 2.5', 'round(row["p"])', "f\"{row['p']:d}\""], p=[True]),
]
_DATES = [
    *_each([f'row["d"].{part}' for part in ("year", "month", "day", "hour")], d=_MOMENTS),
    *_each([f'row["d"].{part}' for part in ("minute", "second", "microsecond")], d=_MOMENTS),
    *_each(['row["d"].weekday()', 'row["d"].isoweekday()', 'row["d"].isoformat()'], d=_MOMENTS),
]
_STATEMENTS = [
    # A dict of many names is one dict, a copy is another.
    _rows('def fn(row):\n    r = row\n    r["x"] = 1\n    return row', a=[1, 2]),
    _rows('def fn(row):\n    r = {**row}\n    r["x"] = 1\n    return row', a=[1, 2]),
    _rows('def fn(row):\n    r = dict(row)\n    row["x"] = 1\n    return r', a=[1, 2]),
    _rows('def fn(row):\n    r = {}\n    q = r\n    q["x"] = row["a"]\n    return r', a=[1, 2]),
    _rows(
        'def fn(row):\n    row["a"] = row["a"] + 1\n    row["b"] = row["a"]\n    return row', a=[1]
    ),
    _rows('def fn(row):\n    row["a"] += 1\n    return {"a": row["a"]}', a=[1, None]),
    # A key keeps its first place.
    _rows('{"b": 1, **row, "a": 2}', a=[0], b=[0]),
    _rows('dict(row, a=row["b"])', a=[0], b=[5]),
    _rows("dict(**row, a=1)", a=[0]),
    _rows('row | {"b": 2, "a": row["a"] + 1}', a=[0]),
    # A helper sees the row itself.
    _rows(
        'def h(r):\n    r["x"] = 1\n    return r["a"]\n'
        'def fn(row):\n    y = h(row)\n    return {**row, "y": y}',
        a=[3],
    ),
    _rows("def h(x, y=7):\n    return x - y\nfn = lambda row: h(y=row['a'], x=1) + h(9)", a=[3]),
    # What is not used can raise.
    _rows('def fn(row):\n    y = 1 // row["a"]\n    return row', a=[0, 1]),
    _rows('def fn(row):\n    y = row["s"][5]\n    return row', s=["abc"]),
    _rows('def fn(row):\n    int(row["s"])\n    return row', s=["x"]),
    _rows(
        'def fn(row):\n    y = row["d"].year\n    return row',
        d=pa.array([None], pa.timestamp("us")),
    ),
    # The first of equal ones, of its own type.
    _rows("min(1, row['p'])", p=[True]),
    _rows("max(row['f'], -0.0)", f=[0.0]),
    _rows("min(row['f'], row['g'])", f=[math.nan, 1.0], g=[1.0, math.nan]),
    _rows("row['a'] or row['b']", a=[0, None, 3], b=[None, 5, 6]),
    _rows("row['a'] and row['b']", a=[0, None, 3], b=[None, 5, 6]),
    _rows("1 < row['a'] < row['b']", "filter", a=[2, 1, 2], b=[None, None, 3]),
    _rows("row['a'] if row['a'] is not None and row['a'] > 0 else -1", a=[None, 0, 4]),
    _rows("row['s'] in ('a', None, 1)", "filter", s=["a", None, "1"]),
    _rows("row['f'] in (float('nan'), 1.0)", "filter", f=[math.nan, 1.0]),
    _rows("row.get('a', 1)", a=[None, 2]),
    _rows("row.get('b', row['a'])", a=[1, 2]),
    _rows("row.get('b')", "filter", a=[1, 2]),
    _rows("[row, {**row, 'a': 5}]", "flat_map", a=[1, 2]),
    _rows("def fn(row):\n    row['a'] = 9\n    return [row, row]", "flat_map", a=[1, 2]),
    _rows("[{'x': row['a']}, {'x': row['f']}]", "flat_map", a=[1], f=[2.0]),
    _rows("[row] if row['a'] else []", "flat_map", a=[1, 0, 2]),
    _rows("[row] * row['a']", "flat_map", a=[1, 0, 2]),
    _rows("row['a']", "flat_map", a=[1]),
]
_DIFFERED = [
    *[
        _rows(source, a=[5, 0, None])
        for source in ("not not row", "{'x': not not row['a']}", "[not not row['a'], 1][0]")
    ],
    _rows("not not row['a']", "filter", a=[5, 0, None]),
    _rows("row['s'].split()", s=["a b", ""]),
    _rows("row['s'].split()", "key", s=["a b", ""]),
    _rows("def fn(row):\n    1 .month\n    return 'z'", a=[1]),
    _rows("def fn(row):\n    row['a'].month\n    return row", a=[1]),
    _rows("def fn(row):\n    x = row['d'].lower\n    return row", d=[dt.date(2000, 1, 1)]),
    _rows("f\"{0.1 * row['f']}\"", f=[2.0**53, 1 + 2.0**-17, 1099511627776.03125]),
    _rows("{'x': row['a'] if row['p'] else 0.5}", p=[True, False], a=[-(2**63), 1]),
]
_NAMES = [
    # Names that mean something else than they seem to.
    _rows("abs = lambda x: 7\nfn = lambda row: abs(row['a'])", a=[-1]),
    _rows("len = str.upper\nfn = lambda row: len(row['s'])", s=["ab"]),
    _rows("def fn(row, max=min):\n    return max(row['a'], 3)", a=[5]),
    _rows("class math:\n    sqrt = abs\nfn = lambda row: math.sqrt(row['a'])", a=[-4]),
    _rows("from math import sqrt, floor as f\nfn = lambda row: f(sqrt(row['a']))", a=[10]),
    _rows("import math as m\nfn = lambda row: m.pi * row['f']", f=[2.0]),
    _rows("import math\nmath = 3\nfn = lambda row: math + row['a']", a=[2]),
    _rows("def fn(row):\n    str = row['a']\n    return str + 1", a=[2]),
    _rows("int = float\nfn = lambda row: int(row['a'])", a=[2]),
    _rows("dict = lambda **k: {'y': 0}\nfn = lambda row: dict(x=row['a'])", a=[2]),
    _rows(
        "class A(int):\n    __add__ = max\nK = A(1)\nfn = lambda row: K + row['a']",
        a=[2],
    ),
    _rows("K = [1]\nfn = lambda row: row['a'] in K", "filter", a=[1, 2]),
    _rows("def h(x):\n    return h(x - 1) if x > 0 else 0\nfn = lambda row: h(row['a'])", a=[3]),
    _rows("def h(x):\n    global N\n    N = x\n    return x\nfn = lambda row: h(row['a'])", a=[3]),
    _rows(
        "def h(x, out=[]):\n    out.append(x)\n    return len(out)\nfn = lambda row: h(row['a'])",
        a=[3, 4],
    ),
    _rows("def h(x):\n    return\nfn = lambda row: {'x': h(row['a']), **row}", a=[3]),
    _rows("def h(x, y):\n    return x\nfn = lambda row: h(row['a'])", a=[3]),
    _rows("def h(x):\n    return x\nfn = lambda row: h(row['a'], x=1)", a=[3]),
    _rows("def h(x):\n    x += 1\n    return x\nfn = lambda row: h(row['a']) + row['a']", a=[3]),
    _rows("def h(x):\n    return lambda y: x + y\nfn = lambda row: h(row['a'])(1)", a=[3]),
    _rows("def h(r):\n    return r\nfn = lambda row: {**h(row), 'x': 1}", a=[3]),
    _rows(
        "def h(r):\n    r = dict(r)\n    r['x'] = 1\ndef fn(row):\n    h(row)\n    return row",
        a=[3],
    ),
    _rows("def h(r, x):\n    r['x'] = x\ndef fn(row):\n    h(row, 2)\n    return row", a=[3]),
    _rows(
        "def h(a):\n    if a > 2:\n        return 'big'\nfn = lambda row: {'x': h(row['a'])}",
        a=[3, 1],
    ),
    _rows(
        "def h(a, /, b=2, *, c=3):\n    return a + b * c\nfn = lambda row: h(row['a'], c=row['a'])",
        a=[3],
    ),
    _rows(
        "h = lambda a: a * 2\ng = lambda a: h(a) + 1\nfn = lambda row: g(h(row['a']))", a=[2**61]
    ),
    _rows("def make(h):\n    return lambda row: h(row['a'])\nfn = make(abs)", a=[-3]),
    _rows(
        "def make(h):\n    return lambda row: h(row['a'])\nfn = make(lambda x: x or 5)", a=[0, None]
    ),
]
_DICTS = [
    _rows(
        "def fn(row):\n    if row['a'] > 1:\n        row['b'] = 1\n    return row",
        a=[1, 2],
        b=[5, 6],
    ),
    _rows("def fn(row):\n    if row['a'] > 1:\n        row['z'] = 1\n    return row", a=[1, 2]),
    _rows(
        "def fn(row):\n    r = row if row['a'] > 1 else {**row}\n    r['a'] = 0\n    return row",
        a=[1, 2],
    ),
    _rows("def fn(row):\n    del row['a']\n    row['a'] = 1\n    return row", a=[1], b=[2]),
    _rows("def fn(row):\n    x = row.pop('a')\n    row['x'] = x\n    return row", a=[1], b=[2]),
    _rows("def fn(row):\n    row.update(b=row['a'], c=3)\n    return row", a=[1], b=[2]),
    _rows("def fn(row):\n    row.update({'c': 3}, b=1)\n    return row", a=[1], b=[2]),
    _rows("def fn(row):\n    row |= {'c': row['a']}\n    return row", a=[1], b=[2]),
    _rows(
        "def fn(row):\n    old = row\n    row = {**row, 'c': 1}\n    old['a'] = 9\n    return row",
        a=[1],
    ),
    _rows("def fn(row):\n    x = [row, row]\n    row['a'] = 9\n    return x", "flat_map", a=[1]),
    _rows(
        "def fn(row):\n    x = [{**row}, row]\n    row['a'] = 9\n    return x", "flat_map", a=[1]
    ),
    _rows(
        "[{**row, 'i': 0}, {**row, 'i': 1}] if row['a'] else [{**row, 'i': 2}]",
        "flat_map",
        a=[1, 0],
    ),
    _rows("[{'x': row['a']}, {'x': None}]", "flat_map", a=[1, 0]),
    _rows("[{'x': 1 // row['a']}] if row['a'] else []", "flat_map", a=[1, 0]),
    _rows("[row['a'], row['b']]", "flat_map", a=[1, 0], b=[2, None]),
    _rows("[row['a'], 'x']", "flat_map", a=[1, 0]),
    _rows("[]", "flat_map", a=[1, 0]),
    _rows("[None]", "flat_map", a=[1, 0]),
    _rows("({'x': row['a']}, {'y': row['a']})", "flat_map", a=[1, 0]),
    _rows("'ab'", "flat_map", a=[1, 0]),
    _rows("{'x': row.get('a') is None, 'y': row.get('zz'), 'z': len(row)}", a=[1, None]),
    _rows("{}", a=[1]),
    _rows("{'x': None}", a=[1]),
    _rows("{'x': {'y': row['a']}}", a=[1]),
    _rows("{'x': (row['a'], 1)}", a=[1]),
    _rows("{'x': [row['a'], 1]}", a=[1]),
    _rows("{1: row['a']}", a=[1]),
    _rows("{'x': row}", a=[1]),
]
_SMALL = pa.array([1, -128, 127], pa.int8())
_NUMPY = [
    _arrays('{"x": batch["a"] + batch["a"]}', a=[2**63 - 1, 1]),
    _arrays('{"x": np.abs(batch["a"])}', a=[-(2**63), -1]),
    _arrays('{"x": batch["a"] // batch["b"]}', a=[-(2**63), 7], b=[-1, -2]),
    _arrays('{"x": batch["a"] // batch["b"]}', a=[7], b=[0]),
    _arrays('{"x": batch["a"] % batch["b"]}', a=[-7, 7], b=[3, -3]),
    _arrays('{"x": batch["f"] // batch["g"]}', f=[1.0, -0.0, 7.5], g=[0.1, 1.0, -2.0]),
    _arrays('{"x": batch["f"] % batch["g"]}', f=[1.0, -0.0, 7.5], g=[math.inf, 1.0, -2.0]),
    _arrays('{"x": np.sqrt(batch["f"])}', f=[4.0, -0.0, math.nan]),
    _arrays('{"x": np.sqrt(batch["f"])}', f=[-1.0]),
    _arrays(
        '{"x": np.where(batch["p"], batch["a"], batch["f"])}', p=[True], a=[2**53 + 1], f=[0.5]
    ),
    _arrays('{"x": np.where(batch["p"], 1, 2.5)}', p=[True, False]),
    _arrays('{"x": np.where(batch["a"], 1, 0)}', a=[0, 5]),
    _arrays('{"x": batch["f"].astype(np.int64)}', f=[1.9, -1.9]),
    _arrays('{"x": batch["f"].astype(np.int64)}', f=[math.nan]),
    _arrays('{"x": batch["f"].astype(np.int64)}', f=[2.0**63]),
    _arrays('{"x": batch["f"].astype(np.int64)}', f=[-(2.0**63)]),
    _arrays('{"x": batch["f"].astype(np.float32)}', f=[1e300]),
    _arrays('{"x": batch["a"].astype(np.int8)}', a=[300, -129]),
    _arrays('{"x": batch["a"].astype(bool)}', a=[0, 2]),
    _arrays('{"x": batch["a"].clip(0, 2.5)}', a=[-1, 9]),
    _arrays('{"x": np.clip(batch["f"], 2, -2)}', f=[0.0, 5.0]),
    _arrays('{"x": np.clip(batch["f"], 0.0, 1.0)}', f=[math.nan, -0.0, 7.0]),
    _arrays('{"x": np.maximum(batch["f"], 0.0)}', f=[math.nan, -0.0, -1.0]),
    _arrays('{"x": batch["m"] + batch["m"], "y": batch["m"] * 2}', m=_SMALL),
    _arrays('{"x": batch["m"] + 300}', m=_SMALL),
    _arrays('{"x": batch["m"] / 2, "y": np.sqrt(batch["m"] * 0)}', m=_SMALL),
    _arrays('{"x": -batch["m"], "y": np.abs(batch["m"])}', m=_SMALL),
    _arrays('{"x": batch["m"] * 0.1}', m=pa.array([1.5, 3.3], pa.float32())),
    _arrays('{"x": batch["m"] < batch["a"]}', m=pa.array([2**64 - 1], pa.uint64()), a=[-1]),
    _arrays('{"x": batch["m"] + batch["a"]}', m=pa.array([2**64 - 1], pa.uint64()), a=[-1]),
    _arrays('{"x": batch["p"] + batch["q"], "y": batch["p"] * 3}', p=[True, False], q=[True, True]),
    _arrays('{"x": batch["p"] - batch["q"]}', p=[True], q=[True]),
    _arrays('{"x": -batch["p"]}', p=[True]),
    _arrays('{"x": ~batch["p"], "y": ~batch["a"]}', p=[True], a=[5]),
    _arrays('{"x": batch["a"][batch["p"]]}', a=[1, 2, 3], p=[True, False, True]),
    _arrays('{"x": batch["a"][batch["p"]], "y": batch["a"]}', a=[1, 2, 3], p=[True, False, True]),
    _arrays('{"x": batch["a"][batch["a"]]}', a=[0, 1, 1]),
    _arrays('{"x": batch["a"] / batch["a"].sum()}', a=[1, 2, 3]),
    _arrays('{"x": batch["a"] - batch["a"].mean(), "y": batch["a"]}', a=[1, 2, 3]),
    _arrays('{"x": batch["a"] ** -1}', a=[1, 2]),
    _arrays('{"x": batch["a"] ** batch["b"]}', a=[3, 7], b=[41, 2]),
    _arrays('{"x": batch["f"] ** 0.5, "y": batch["f"] ** 2}', f=[2.0, -0.0]),
    _arrays('{"x": batch["a"] << 64}', a=[1]),
    _arrays(
        'def fn(batch):\n    x = batch["a"] * 2\n    y = x\n    y += 1\n    return {"x": x}', a=[1]
    ),
    _arrays('def fn(batch):\n    x = batch["a"]\n    x += 1\n    return {"x": x}', a=[1]),
    _arrays('def fn(batch):\n    b = {**batch}\n    b["x"] = b["a"] > 1\n    return batch', a=[1]),
]
CORPUS: list[Case] = [
    *_TEXT,
    *_ARITHMETIC,
    *_DATES,
    *_STATEMENTS,
    *_DIFFERED,
    *_NAMES,
    *_DICTS,
    *_NUMPY,
]
