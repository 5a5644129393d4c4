"""What the compiler makes of calls, strings, dicts, dates and arrays, against Python.

Each function runs on friendly and hostile values, two rows at a time: what the compiler computes
must be what Python computes, a function that raises must not be computed, and on the friendly
values it must be computed.
"""

import datetime as dt
import math
import os
import random
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest

from raceline import _native
from raceline._lambda import translate
from raceline._lambda_names import BUILTIN_NAMES, MATH_NAMES, NUMPY_NAMES

INT_MAX = 2**63 - 1
LIMIT = 3
CHOICES = frozenset({"b", "c", 2})
NAMES = frozenset({"a", "b"})
EXTREMES = {
    "a": [0, -1, 7, INT_MAX, -INT_MAX - 1, 2**53 + 1, -(2**53) - 1, None],
    "b": [1, 0, -3, 12, INT_MAX, -INT_MAX - 1, None],
    "f": [0.0, -0.0, 0.5, 1.5, 2.5, -2.675, 1e16, 1e-5, 123456.789, 5e-324, 1.7e308, 2.0**63],
    "g": [2.0, -1.0, 0.0, -0.0, 1e22, 0.1, float("nan"), float("inf"), float("-inf"), None],
    "s": ["Ab c", "", "  x\t", "a,b,,c", "12", "-7 ", "1.5e3", "1_0", "İ", "ß", "\u017f"],
    "t": ["a", "", ",", "b", "é", "日本", "e\u0301", "\U0001f600x", "\x1cz\x85", "ﬁ", "ƛ", None],
    "p": [True, False, None],
    "d": [dt.date(2024, 2, 29), dt.date(1, 1, 1), dt.date(9999, 12, 31), None],
    "m": [
        dt.datetime(2024, 2, 29, 23, 59, 58, 1),
        dt.datetime(1969, 12, 31, 1, 2, 3),
        dt.datetime(1, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),
        None,
    ],
}
EXTREMES["s"] += ["ΑΣ", None]
EXTREMES["f"] += [float("nan"), float("inf"), float("-inf"), None]
FRIENDLY = {
    "a": 5,
    "b": 3,
    "f": 2.5,
    "g": 4.0,
    "s": "Ab c",
    "t": "b",
    "p": True,
    "d": dt.date(2024, 2, 29),
    "m": dt.datetime(2024, 2, 29, 23, 59, 58, 1),
}


def same(left, right):
    """Whether two Python values are one type and, but for NaN's payload, the same bits."""
    if type(left) is not type(right):
        return False
    if type(left) is float:
        both_nan = left != left and right != right
        return both_nan or struct.pack("d", left) == struct.pack("d", right)
    if type(left) is dict:
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if type(left) is list:
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def outcome(fn, rows, kind):
    try:
        results = [fn(dict(row)) for row in rows]
    except Exception as error:
        return error
    if kind == "filter":
        return [row for row, kept in zip(rows, results, strict=True) if kept]
    return [one for many in results for one in many] if kind == "flat_map" else results


def evaluate(fn, rows, kind="map"):
    translation = translate(fn)
    if translation.program is None:
        return "declined", translation.decline
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    done, result = _native._evaluate_lambda(
        translation.program, kind, _native.columns_to_batch(columns)
    )
    return done, result.rows() if done == "ok" else result


def check(fn, kind="map", *, rounds=60, seed=0, name=None):
    """Compares a function with itself compiled."""
    friendly = [dict(FRIENDLY), dict(FRIENDLY)]
    done, found = evaluate(fn, friendly, kind)
    assert done == "ok", (name, done, found)
    counts = {"ok": 0, "trouble": 0, "declined": 0}
    rng = random.Random(seed)
    for _ in range(rounds):
        hostile = {column: rng.choice(cells) for column, cells in EXTREMES.items()}
        rows = [dict(FRIENDLY), hostile]
        done, found = evaluate(fn, rows, kind)
        counts[done] += 1
        if done == "ok":
            expected = outcome(fn, rows, kind)
            context = f"{name} on {hostile}\nPython: {expected!r}\ncompiled: {found!r}"
            assert not isinstance(expected, Exception), context
            assert same(found, expected), context
    assert counts["declined"] == 0
    return counts


def function(source):
    return eval(source, {"math": math, "np": np, "dt": dt, "LIMIT": LIMIT, "CHOICES": CHOICES})


SCALARS = [
    "abs(r['a'])", "abs(r['f'])", "abs(r['p'])", "min(r['a'], r['b'])", "max(r['f'], r['g'])",
    "max(r['a'], 0, r['b'])", "min([r['s'], r['t']])", "max((r['p'], False))", "round(r['f'])",
    "round(r['f'], 2)", "round(r['f'], 1)", "round(r['g'], 0)", "round(r['a'])",
    "round(r['a'], 3)", "round(r['f'], ndigits=1)", "round(r['f'], None)", "int(r['f'])",
    "int(r['p'])", "int(r['a'])", "int('12')", "float(r['a'])", "float(r['f'])", "float('1.5')",
    "bool(r['f'])", "bool(r['s'])", "str(r['a'])", "str(r['f'])", "str(r['g'])", "str(r['p'])",
    "str(r['s'])", "len(r['s'])", "len(r)", "len(CHOICES)",
    "len((1, 2)) + r['a']", "max(r['d'], r['d']).year",
    "min(r['m'], r['m'])", "abs(-3) + r['a']",
]  # fmt: skip
MATHS = [
    "math.sqrt(r['f'])", "math.sqrt(r['a'])", "math.floor(r['f'])", "math.ceil(r['f'])",
    "math.trunc(r['f'])", "math.floor(r['a'])", "math.fabs(r['f'])", "math.isnan(r['f'])",
    "math.isinf(r['f'])", "math.isfinite(r['f'])", "math.copysign(r['f'], r['g'])",
    "math.fmod(r['f'], r['g'])", "math.pow(r['f'], r['g'])", "math.atan2(r['f'], r['g'])",
    "math.gcd(r['a'], r['b'])", "math.log(r['f'])", "math.log(r['f'], r['g'])",
    "math.log2(r['f'])", "math.log10(r['f'])", "math.log1p(r['f'])", "math.exp(r['f'])",
    "math.expm1(r['f'])", "math.sin(r['f'])", "math.cos(r['f'])", "math.tan(r['f'])",
    "math.asin(r['f'] / 4)", "math.acos(r['f'] / 4)", "math.atan(r['f'])", "math.sinh(r['f'])",
    "math.cosh(r['f'])", "math.tanh(r['f'])", "math.degrees(r['f'])",
    "math.radians(r['f'])", "math.pi * r['f']", "math.sin(r['p'])", "math.log(r['b'])",
]  # fmt: skip
STRINGS = [
    "r['s'].lower()", "r['s'].upper()", "r['t'].upper()", "r['t'].lower()", "r['s'].strip()",
    "r['t'].strip()", "r['s'].lstrip()", "r['s'].rstrip()", "r['s'].strip('Ac')",
    "r['s'].strip(None)", "r['t'].strip(r['s'])", "r['s'].replace('b', 'xyz')",
    "r['s'].replace(r['t'], '-')", "r['s'].replace('', '-')", "r['s'].replace(r['t'], '+', 1)",
    "r['s'].replace('', '-', 2)", "r['s'].replace('b', '', -1)", "r['s'].startswith('A')",
    "r['s'].startswith(('A', 'x'))", "r['s'].endswith(r['t'])", "r['s'].endswith(('c', r['t']))",
    "r['s'].removeprefix(r['t'])", "r['s'].removesuffix('c')", "{'l': r['s'].split()}",
    "{'l': r['t'].split()}", "{'l': r['s'].split(',')}", "{'l': r['s'].split(r['t'])}",
    "{'l': r['s'].split(',', 1)}", "{'l': r['s'].split(None)}", "len(r['s'].split(','))",
    "r['s'].split(',')[0]",
    "r['s'].split(',')[-1]", "'b' in r['s'].split(',')", "bool(r['s'].split())",
    "r['s'].find('b')", "r['s'].find(r['t'])", "r['s'].count(r['t'])", "r['s'].count('')",
    "r['s'][0]", "r['t'][-1]", "r['s'][1:]", "r['t'][:1]", "r['s'][-2:]", "r['s'][::-1]",
    "r['t'][::-1]", "r['s'][::2]", "r['s'][-1:0:-2]", "r['s'][r['a']:r['b']]",
    "r['s'][r['b']::-1]", "r['s'][:r['a']]", "r['s'] + r['t']", "', '.join([r['s'], r['t']])",
    "r['t'].join((r['s'], r['s'], 'x'))", "len(r['t'])", "r['s'] == r['t']", "r['s'] != None",
]  # fmt: skip
FORMATS = [
    "f\"{r['s']}-{r['a']}\"", "f\"{r['f']}\"", "f\"{r['p']}{r['g']}\"", "f\"{r['f']:.2f}\"",
    "f\"{r['f']:.0f}\"", "f\"{r['g']:10.3f}|\"", "f\"{r['g']:010.1f}\"", "f\"{r['a']:05d}\"",
    "f\"{r['a']:8}|\"", "f\"{r['t']:4}|\"", "f\"{r['a']:.1f}\"", "f\"{r['d']} {r['m']}\"",
    "f\"{r['s']!s}\"", "f\"{r['f']:f}\"",
]  # fmt: skip
CONDITIONS = [
    "1 if r['a'] > 2 else 0", "r['a'] if r['a'] is not None else -1", "0 < r['a'] <= r['b'] < 9",
    "r['a'] in (1, 5, 2.0, True)", "r['a'] not in [1, 5, None]", "r['s'] in {'Ab c', ''}",
    "r['f'] in (2.5, 0, 9007199254740993, None)", "r['p'] in (1, 'x')", "r['t'] in CHOICES",
    "r['a'] in CHOICES", "r['s'] is None", "r['s'] == 'Ab c'", "r['a'] == r['b']",
    "r['f'] != r['g']", "not not r['a']", "not (r['s'] and r['p'])",
    "r['a'] == 2.5", "r['a'] == 'x'", "r['f'] == None", "not r['s']",
    "(r['s'] or 'none') + 'x'", "r['a'] and r['b']", "'a' in r", "'zzz' in r", "r['a'] in ()",
    "r['a'] if r['p'] else (None if 1 / r['b'] > 0 else None)", "r['d'] == r['d']", "bool(r['d'])",
    "r['m'] is not None and r['m'].year > 2000", "r['p'] == True",
    "'x' if r['a'] == 5 and (r['b'] or r['p']) else 'y'",
]  # fmt: skip
DICTS = [
    "{**r, 'k': r['a']}", "{'k': 1, **r}", "dict(r, k=r['f'])", "dict(r)", "dict(k=r['a'])",
    "r | {'k': r['a'], 'a': 1.5}", "{'k': r['a']} | r", "r.copy()",
    "{'x': r.get('a'), 'y': r.get('zzz', 7), 'z': r.get('a', 0)}", "{**r, **{'k': 2}}",
    "{'n': r.get('zzz') is None, 'v': r['s']}", "r.pop('a')",
    "{'l': r['s'].split(','), 'e': r['d']}",
]  # fmt: skip
DATES = [
    "r['d'].year", "r['d'].month", "r['d'].day", "r['m'].year", "r['m'].month", "r['m'].day",
    "r['m'].hour", "r['m'].minute", "r['m'].second", "r['m'].microsecond", "r['d'].weekday()",
    "r['m'].weekday()", "r['d'].isoweekday()", "r['d'].isoformat()", "r['m'].isoformat()",
    "str(r['d'])", "str(r['m'])", "r['m'].date()", "{'d': r['d'], 'm': r['m']}",
    "r['d'] < r['m'].date()", "r['m'] <= r['m']",
]  # fmt: skip


@pytest.mark.parametrize(
    "body", [*SCALARS, *MATHS, *STRINGS, *FORMATS, *CONDITIONS, *DICTS, *DATES]
)
def test_rows_are_pythons(body):
    counts = check(function(f"lambda r: {body}"), name=body)
    assert counts["ok"] > 0 or counts["trouble"] == sum(counts.values()), counts


@pytest.mark.parametrize("body", CONDITIONS)
def test_filters_are_pythons(body):
    check(function(f"lambda r: {body}"), "filter", name=body)


@pytest.mark.parametrize(
    "body",
    [
        "[r]",
        "[r, r]",
        "[{'x': r['a']}, {'x': r['b']}]",
        "[{'x': r['a']}, {'x': None}]",
        "[r['a'], r['b'], 1]",
        "(r['s'], 'x')",
        "[r] if r['p'] else []",
        "[] if r['a'] is None else [{'x': r['a'] + 1}, {'x': 0}]",
        "[r['a']] if r['p'] else [r['b'], 2]",
        "[{'x': r['s'], 'y': 1.5}]",
    ],
)
def test_lists_of_rows_are_pythons(body):
    check(function(f"lambda r: {body}"), "flat_map", name=body)


def clean(text, *, suffix="!", limit=3):
    if text is None:
        return "none"
    short = text.strip()[:limit]
    return short + suffix


def scale(x, factor=2, /, offset=1):
    return x * factor + offset


def grade(row):
    if row["a"] is None or row["b"] is None:
        return {"grade": "none", "sum": 0}
    total = scale(row["a"], offset=row["b"])
    if total > 10:
        return {"grade": clean("high"), "sum": total}
    return {"grade": clean("low", suffix="?"), "sum": total}


def test_helper_functions_are_followed():
    check(grade)
    check(lambda r: clean(r["s"]) + clean(r["t"], limit=1, suffix="."))
    check(lambda r: scale(r["f"], 3))


def test_statements_change_dicts_as_python_does():
    def changed(row):
        row["a"] = row.get("a") or 0
        row["x"] = row["a"]
        row |= {"y": 1}
        del row["m"]
        other = row
        other["z"] = "shared"
        copy = {**row}
        copy["only"] = 1
        row.update(w=2)
        first, second = row.pop("p"), len(copy)
        row["n"] = second if first else 0
        return row

    check(changed)


def attribute_dropped(row):
    row["s"].day  # noqa: B018
    return row["a"]


def attribute_kept(row):
    lower = row["s"].lower
    return lower()


def recursive(x):
    return recursive(x - 1) if x else 0


def looping(x):
    while x < 3:
        x += 1
    return x


@pytest.mark.parametrize(
    ("fn", "kind", "reason"),
    [
        (lambda r: recursive(r["a"]), "map", "its calls of `recursive` are too deep"),
        (lambda r: looping(r["a"]), "map", "it calls `looping`: it has a loop"),
        (lambda r: scale(r["a"], factor=2), "map",
         "it calls `scale` with arguments that do not fit"),
        (lambda r: scale(), "map", "it calls `scale` with arguments that do not fit"),
        (lambda r: r["s"].title(), "map", "it calls `.title()` of str in a way not known"),
        (lambda r: r["a"].foo, "map", "it uses the attribute `.foo`"),
        (attribute_dropped, "map", "it uses the attribute `.day`"),
        (attribute_kept, "map", "it uses the attribute `.lower`"),
        (lambda r: clean(r["s"].foo), "map", "it uses the attribute `.foo`"),
        (lambda r: (r["s"].foo, 1)[1], "map", "it uses the attribute `.foo`"),
        (lambda r: r["a"].lower(), "map", "it calls `.lower()` of int in a way not known"),
        (lambda r: abs(r["s"]), "map", "it calls `abs` of str"),
        (lambda r: abs(r["a"], 2), "map", "it calls `abs` with arguments that are not known"),
        (lambda r: max(r["a"], r["f"]), "map", "it calls `max` of int and float"),
        (lambda r: round(r["f"], -1), "map",
         "it rounds to digits that are no constant between 0 and 22"),
        (lambda r: int(r["d"]), "map", "it calls `int` of date"),
        (lambda r: math.sqrt(r["s"]), "map", "it calls `math.sqrt` of str"),
        (lambda r: math.hypot(r["f"], 1.0), "map",
         "it calls `math.hypot`, which is not known to be pure"),
        (lambda r: math.absent, "map", "it uses `math.absent`, which is not defined"),
        (lambda r: CHOICES[0], "map", "it uses a set as an operand"),
        (lambda r: r["s"].startswith(NAMES), "map", "it uses a set as an operand"),
        (lambda r: ",".join(NAMES), "map", "it calls `.join()` of str in a way not known"),
        (lambda r: min(NAMES), "map", "it calls `min` with arguments that are not known"),
        (lambda r: NAMES, "flat_map", "it returns something other than a list of rows"),
        (lambda r: math, "map", "`math` is a module, which may change"),
        (lambda r: np.sqrt(r["f"]), "map", "it calls `np.sqrt` of a scalar"),
        (lambda r: f"{r['s']!r}", "map", "it formats by `!r`, `!a` or `!s`"),
        (lambda r: f"{r['f']:e}", "map", "it formats float by `e`"),
        (lambda r: f"{r['d']:%Y}", "map", "it formats date by `%Y`"),
        (lambda r: f"{r['f']:{r['a']}}", "map", "it formats by a computed format"),
        (lambda r: r["a"][0], "map", "it takes an item of int by int"),
        (lambda r: r["a"][1:], "map", "it takes a slice of int"),
        (lambda r: r[0], "map", "it takes an item by something other than a column's name"),
        (lambda r: r["a"] in (1, float("nan")), "map",
         "it looks in a tuple of computed values"),
        (lambda r: [r["a"]], "map", "it returns a list or tuple"),
        (lambda r: r["s"].split(), "map", "it returns a list where a value is expected"),
        (lambda r: [r["s"].split()], "flat_map", "its list has lists"),
        (lambda r: r, "flat_map", "it returns something other than a list of rows"),
        (lambda r: [], "flat_map", "its list is empty"),
        (lambda r: [r, 1], "flat_map", "its list has dicts and values"),
        (lambda r: [{"x": 1}, {"y": 1}], "flat_map", "the dicts of its list have different keys"),
        (lambda r: [{"x": r["a"]}, {"x": r["s"]}], "flat_map",
         "its column `x` is int in some rows and str in others"),
        (lambda r: r.pop("a"), "filter", "it changes the row"),
        (lambda r: r.items(), "map", "it calls `.items()` of a dict in a way not known"),
        (lambda r: r["d"].replace(year=1), "map",
         "it calls `.replace()` with the keyword `year`"),
        (lambda r: dict(r["a"]), "map", "it makes a dict of something other than a dict"),
        (lambda r: str(r["s"].split()), "map", "it calls `str` of list"),
        (lambda r: (r["a"], r["b"]) == (1, 2), "map", "it uses a tuple as an operand"),
        (lambda r: print(r), "map", "it calls `print`, which is not known to be pure"),
        (lambda r: max(*r), "map", "it calls a function with unpacked arguments"),
    ],
)  # fmt: skip
def test_declines_say_what_stands_in_the_way(fn, kind, reason):
    assert evaluate(fn, [dict(FRIENDLY)], kind) == ("declined", reason)


ARRAYS = {
    "i": [5, -3, 0, INT_MAX, -INT_MAX - 1, 2**53 + 1],
    "j": [1, 2, -1, 7, 3, 0],
    "x": [2.5, -1.5, 0.0, 4.0, 1e300, 0.1],
    "y": [1.0, 2.0, -0.0, 0.5, 3.5, -2.5],
    "m": [True, False, True, True, False, False],
    "s": ["a", "b", "", "é", "x", "y"],
}
FRIENDLY_ARRAYS = {
    "i": [5, 3],
    "j": [1, 2],
    "x": [2.5, 1.5],
    "y": [1.0, 2.0],
    "m": [True, False],
    "s": ["a", "b"],
}


def check_batch(fn, columns):
    program = translate(fn).program
    assert program is not None, translate(fn).decline
    done, result = _native._evaluate_lambda(
        program, "map_batches", _native.columns_to_batch(columns)
    )
    if done != "ok":
        return done, result
    batch = {
        name: np.array(cells, dtype=object if name == "s" else None)
        for name, cells in columns.items()
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected = fn(batch)
    found = result.numpy()
    assert list(found) == list(expected)
    for name, right in expected.items():
        assert found[name].dtype == right.dtype, name
        assert same(found[name].tolist(), right.tolist()), (name, right)
    return done, result


@pytest.mark.parametrize(
    "body",
    [
        "{'o': np.where(b['m'], b['x'], 0)}",
        "{'o': np.where(b['x'] > 1, b['i'], b['j'])}",
        "{'o': np.where(b['m'], 1, 0), 'p': np.where(b['m'], b['m'], False)}",
        "{'o': np.where(b['x'] > 1, 1.5, b['i'])}",
        "{'o': np.sqrt(b['y']), 'p': np.sqrt(b['j'])}",
        "{'o': b['y'] ** 0.5}",
        "{'o': np.abs(b['i']), 'p': np.abs(b['x']), 'q': abs(b['y'])}",
        "{'o': np.minimum(b['i'], b['j']), 'p': np.maximum(b['x'], 1)}",
        "{'o': np.maximum(b['i'], 0.5), 'p': np.minimum(b['x'], b['y'])}",
        "{'o': np.clip(b['x'], 1, 2), 'p': b['i'].clip(-1, 3)}",
        "{'o': np.clip(b['i'], None, 3), 'p': b['y'].clip(0.5, None)}",
        "{'o': b['x'].astype('float32'), 'p': b['i'].astype(np.int8)}",
        "{'o': b['y'].astype(int), 'p': b['m'].astype(np.uint8), 'q': b['x'].astype(bool)}",
        "{'o': b['i'].astype(float), 'p': b['i'].astype(np.float32, copy=False)}",
        "{'o': b['y'].astype(np.int16), 'p': b['j'].astype('uint32'), 'q': b['m'].astype('int')}",
        "{'o': np.floor(b['x']), 'p': np.ceil(b['x']), 'q': np.rint(b['x'])}",
        "{'o': np.trunc(b['y']), 'p': np.square(b['y']), 'q': np.square(b['i'])}",
        "{'o': np.isnan(b['x']), 'p': np.isinf(b['x']), 'q': np.isfinite(b['i'])}",
        "{'o': np.logical_and(b['m'], b['x'] > 0), 'p': np.logical_not(b['m'])}",
        "{'o': (b['x'] > 0) & ~b['m'] | (b['i'] == 5)}",
        "{**b, 'k': b['x'] * 2}",
        "{'x': b['x'][b['m']], 's': b['s'][b['m']]}",
        "{'x': (b['x'] * 2)[b['x'] > 0] + 1, 'i': b['i'][b['x'] > 0]}",
        "{'x': b['x'][b['m']][b['y'][b['m']] > 0]}",
        "{'x': b['x'].copy(), 'y': b['y'] ** 2}",
    ],
)
def test_batches_are_numpys(body):
    fn = function(f"lambda b: {body}")
    assert check_batch(fn, FRIENDLY_ARRAYS)[0] == "ok"
    rng = random.Random(1)
    counts = {"ok": 0, "trouble": 0, "declined": 0}
    for _ in range(40):
        rows = [rng.randrange(len(ARRAYS["i"])) for _ in range(rng.choice([1, 2, 3]))]
        columns = {name: [rng.choice(cells) for _ in rows] for name, cells in ARRAYS.items()}
        if rng.random() < 0.3:
            columns["x"][0] = rng.choice([float("nan"), float("inf"), float("-inf"), -0.0])
        counts[check_batch(fn, columns)[0]] += 1
    assert counts["ok"] > 0, counts
    assert counts["declined"] == 0, counts


@pytest.mark.parametrize("given", ["int8", "int16", "int32", "uint8", "uint32", "float32"])
@pytest.mark.parametrize("wanted", ["float64", "f4", "int64", "u1", "bool", "int16"])
def test_arrays_of_other_types_are_cast(given, wanted):
    values = np.array([0, 1, 100, 7]).astype(given)
    program = translate(lambda b: {"o": b["x"].astype(wanted), "x": b["x"]}).program
    batch = _native.columns_to_batch({"x": values})
    done, result = _native._evaluate_lambda(program, "map_batches", batch)
    assert done == "ok"
    found = result.numpy()
    assert found["o"].dtype == np.dtype(wanted)
    assert found["x"].dtype == np.dtype(given)
    assert found["o"].tolist() == values.astype(wanted).tolist()


def test_values_that_are_not_used_are_evaluated():
    def fn(row):
        ratio = row["a"] / row["b"]
        if row["p"]:
            return {"ratio": ratio}
        row["s"].lower()
        return {"ratio": 0.0}

    counts = check(fn)
    assert counts["ok"] > 0 and counts["trouble"] > 0
    check(lambda r: [r["a"]] if r["a"] // r["b"] else [1], "flat_map")
    check(lambda r: (r["a"] // r["b"], True)[1], "filter")


def test_statements_change_batches():
    def fn(batch):
        keep = batch["x"] > 0
        batch["y"] = np.where(keep, batch["y"], -batch["y"])
        batch["n"] = (batch["x"] / 2).astype(np.float32)
        return batch

    assert check_batch(fn, FRIENDLY_ARRAYS)[0] == "ok"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{'o': np.sin(b['x'])}", "it calls `np.sin`, which is not known to be pure"),
        ("{'o': b['x'].sum()}", "it calls `.sum()` of an array in a way not known"),
        ("{'o': len(b['x'])}", "it calls `len` of an array"),
        ("{'o': b['x'][0]}", "it takes items of an array by other than an array of bool"),
        ("{'o': b['x'][:2]}", "it takes a slice of an array"),
        ("{'o': b['x'][b['m']], 'p': b['y']}", "its columns consist of different rows"),
        ("{'o': b['x'][b['m']] + b['y']}", "it combines arrays of different rows"),
        ("{'o': np.where(b['m'], 'a', 'b')}", "it calls `np.where(bool, str, str)`"),
        ("{'o': np.sqrt(b['m'])}", "it calls `np.sqrt(bool)`"),
        ("{'o': np.floor(b['i'])}", "it calls `np.floor(int)`"),
        ("{'o': b['x'].astype('U5')}", "it calls `.astype()` with a type that is not known"),
        ("{'o': b['s'].astype(float)}", "it calls `.astype()` of another type"),
        ("{'o': f\"{b['x']}\"}", "it formats an array"),
        ("{'o': round(b['x'])}", "it calls `round` of an array"),
        ("{'o': np.clip(b['m'], 0, 1)}", "it clips bool"),
    ],
)
def test_declines_of_batches_say_what_stands_in_the_way(body, reason):
    translation = translate(function(f"lambda b: {body}"))
    if translation.program is None:
        assert translation.decline == reason
    else:
        columns = _native.columns_to_batch(FRIENDLY_ARRAYS)
        done = _native._evaluate_lambda(translation.program, "map_batches", columns)
        assert done == ("declined", reason)


def test_floats_are_written_and_rounded_as_python_does():
    rng = random.Random(5)
    floats = [struct.unpack("d", rng.randbytes(8))[0] for _ in range(3_000)]
    floats += [rng.uniform(-1e6, 1e6) for _ in range(2_000)]
    floats += [rng.randrange(-4000, 4000) / 8 for _ in range(1_000)]
    # Those of few bits lie between two of as many digits.
    floats += [float(np.float32(rng.uniform(-100, 100))) for _ in range(5_000)]
    floats += [10.0**exponent for exponent in range(-30, 30)]
    floats = [value for value in floats if math.isfinite(value)]
    for fn in [
        lambda r: str(r["f"]),
        lambda r: round(r["f"], 2),
        lambda r: round(r["f"], 0),
        lambda r: f"{r['f']:.1f}",
        lambda r: float(str(r["f"])),
    ]:
        rows = [{"f": value} for value in floats]
        done, found = evaluate(fn, rows)
        assert done == "ok"
        assert same(found, [fn(row) for row in rows])


@pytest.mark.parametrize("name", MATH_NAMES)
def test_functions_of_math_are_the_same_library(name):
    rng = random.Random(6)
    arguments = 2 if name in ("atan2", "copysign", "fmod", "pow", "gcd") else 1
    call = f"math.{name}({', '.join(['r[0]', 'r[1]'][:arguments])})"
    fn = function("lambda r: " + call.replace("r[0]", "r['a']").replace("r[1]", "r['b']"))
    done_count = 0
    for scale_of in (1.0, 1e-3, 30.0, 1e15):
        for _ in range(200):
            row = {"a": rng.uniform(-1, 1) * scale_of, "b": rng.uniform(-1, 1) * scale_of}
            if name == "gcd":
                row = {key: int(value) for key, value in row.items()}
            done, found = evaluate(fn, [row])
            if done == "ok":
                done_count += 1
                assert same(found, outcome(fn, [row], "map")), row
    assert done_count > 100


def test_characters_that_have_a_case_are_pythons():
    upper, lower = (lambda r: r["s"].upper()), (lambda r: r["s"].lower())
    compiled = 0
    for first in range(0, 0x2_0000, 256):
        characters = [chr(code) for code in range(first, first + 256)]
        characters = [c for c in characters if not "\ud800" <= c <= "\udfff"]
        for fn in (upper, lower):
            for c in characters if first < 0x600 else [""]:
                rows = [{"s": "a" + c + "B"}]
                done, found = evaluate(fn, rows)
                if done == "ok":
                    compiled += 1
                    assert found == [fn(rows[0])], c
            rows = [{"s": c} for c in characters]
            if rows and evaluate(fn, rows)[0] == "ok":
                assert evaluate(fn, rows)[1] == [fn(row) for row in rows], hex(first)
    assert compiled > 1_000


def test_empty_batches_keep_their_types():
    columns = _native.columns_to_batch({name: [value] for name, value in FRIENDLY.items()})
    empty = columns.slice(0, 0)
    for body in ("{'l': r['s'].split(',')}", "round(r['f'], 2)", "r['d'].year", "{**r, 'k': 1}"):
        program = translate(function(f"lambda r: {body}")).program
        assert _native._evaluate_lambda(program, "map", empty)[0] == "ok"


PIPELINES = """
import datetime as dt, sys
import numpy as np
import raceline

def clean(text, limit=5):
    return text.strip()[:limit].lower()

def described(row):
    if row["id"] % 3 == 0:
        return {**row, "k": clean(row["name"]), "w": row["d"].weekday(), "m": max(row["x"], 0.0)}
    return {**row, "k": f"{row['id']:04d}", "w": -1, "m": round(row["x"], 1)}

day = dt.date(2024, 1, 1)
rows = [
    {"id": i, "name": f"  Näme {i} ", "x": i / 3 - 2, "d": day + dt.timedelta(days=i)}
    for i in range(60)
]
data = raceline.from_items(rows)
numbers = data.select_columns(["id", "x"])
for pipeline in (
    data.map(described),
    data.map(lambda r: {"parts": r["name"].split(" "), "n": len(r["name"])}),
    data.flat_map(lambda r: [{"a": r["id"]}, {"a": -r["id"]}]),
    data.flat_map(lambda r: [r] if r["id"] % 7 == 0 else []),
    data.flat_map(lambda r: [r["id"], 1]),
    data.filter(lambda r: r["name"].strip().endswith(("1", "7")) and r["d"].month in (1, 2)),
    numbers.map_batches(lambda b: {"y": np.where(b["x"] > 0, b["x"], 0), "i": b["id"] * 2}),
    numbers.map_batches(lambda b: {k: b[k][b["x"] > 0] for k in ("x", "id")}),
    numbers.map_batches(lambda b: {"x": b["x"][b["x"] > 0], "id": b["id"][b["x"] > 0]}),
    numbers.map_batches(lambda b: {"f": np.clip(b["x"], -1, 1).astype(np.float32)}),
):
    print("made", repr(str(pipeline.schema())), pipeline.take_all())
    pipeline.explain()
"""


def test_a_row_that_is_only_tested_is_no_result():
    reason = "it takes the whole row or batch as a condition"
    assert evaluate(function("lambda r: not not r"), [dict(FRIENDLY)]) == ("declined", reason)


def test_both_lanes_make_the_same():
    def printed(compiler):
        environment = {**os.environ, "RACELINE_LAMBDA": compiler}
        command = [sys.executable, "-c", PIPELINES]
        run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        lines = run.stdout.splitlines()
        made = [line for line in lines if line.startswith("made ")]
        return made, sum(line.endswith(": compiled") for line in lines)

    compiled, compiled_count = printed("on")
    interpreted, interpreted_count = printed("off")
    assert len(compiled) == 10
    assert compiled == interpreted
    # All but the one with a comprehension.
    assert (compiled_count, interpreted_count) == (9, 0)


def test_every_name_is_known_to_the_compiler():
    names = {*BUILTIN_NAMES, *(f"math.{name}" for name in MATH_NAMES)}
    names |= {f"np.{name}" for name in NUMPY_NAMES}
    batch = _native.columns_to_batch({"a": [1]})
    for name in names:
        program = (1, (), (("builtin", name), ("return",)), (False, False), ())
        done = _native._evaluate_lambda(program, "map", batch)
        assert done == ("declined", f"it uses `{name}` as an operand")
