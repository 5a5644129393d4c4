"""The compiler against Python: random functions on random values, bit for bit.

What the compiler computes must be what Python computes, and a function that raises in Python
must never be computed. What the compiler hands back to Python (`trouble`) or refuses
(`declined`) is sound by itself; a floor on how much it computes keeps the test honest.
"""

import random
import struct
import warnings

import numpy as np
import pytest

from raceline import _native
from raceline._lambda import translate

INT_MAX = 2**63 - 1
INTS = [0, 1, -1, 2, 3, -7, 10, 1000]
EXTREME_INTS = [*INTS, INT_MAX, -INT_MAX - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**62]
FLOATS = [0.0, -0.0, 1.0, -1.5, 0.1, 2.5, 1e10, -3.0]
EXTREME_FLOATS = [*FLOATS, float("nan"), float("inf"), float("-inf"), 5e-324, 1.7e308, 2.0**63]
STRINGS = ["", "a", "b", "ab", "é", "日本", "\U0001f600", "\uffff", "A"]
BOOLS = [True, False]
COLUMNS = {"a": "int", "b": "int", "f": "float", "g": "float", "s": "str", "t": "str", "p": "bool"}
ROWS = 5


def make_columns(rng, variant):
    """A few rows: friendly, extreme, or extreme with nulls."""
    values = {
        "int": INTS if variant == "friendly" else EXTREME_INTS,
        "float": FLOATS if variant == "friendly" else EXTREME_FLOATS,
        "str": STRINGS,
        "bool": BOOLS,
    }
    columns = {}
    for name, kind in COLUMNS.items():
        cells = [rng.choice(values[kind]) for _ in range(ROWS)]
        if variant == "nulls":
            # The first cell stays, so that the column keeps its type.
            cells[1:] = [None if rng.random() < 0.3 else cell for cell in cells[1:]]
        columns[name] = cells
    return columns


class Generator:
    """Random expressions, mostly of fitting types."""

    def __init__(self, rng, operand):
        self.rng = rng
        self.operand = operand

    def number(self, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.15:
            if rng.random() < 0.7:
                name = rng.choice("aabbffggp")
                return f'{self.operand}["{name}"]'
            return rng.choice(["0", "1", "2", "-3", "7", "2.5", "0.1", "True", "K", "F"])
        shape = rng.random()
        if shape < 0.1:
            return f"(-{self.number(depth - 1)})"
        if shape < 0.14:
            return f"(~{self.number(depth - 1)})"
        if shape < 0.22 and self.operand == "row":
            condition = self.truth(depth - 1)
            return f"({self.number(depth - 1)} if {condition} else {self.number(depth - 1)})"
        if shape < 0.28:
            return f"({self.number(depth - 1)} ** {rng.choice(['2', '3', '0.5', '-1', '2.0'])})"
        op = rng.choice(["+", "-", "*", "/", "//", "%", "+", "-", "*", "&", "|", "^"])
        return f"({self.number(depth - 1)} {op} {self.number(depth - 1)})"

    def text(self, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.6:
            return rng.choice(['row["s"]', 'row["t"]', '"a"', '"é"', "S"])
        return f"({self.text(depth - 1)} + {self.text(depth - 1)})"

    def truth(self, depth):
        rng = self.rng
        shape = rng.random()
        compare = rng.choice(["<", "<=", "==", "!=", ">", ">="])
        if self.operand == "batch":
            if depth > 0 and shape < 0.4:
                op = rng.choice("&|^")
                return f"({self.truth(depth - 1)} {op} {self.truth(depth - 1)})"
            return f"({self.number(1)} {compare} {self.number(1)})"
        if depth > 0 and shape < 0.35:
            op = rng.choice(["and", "or"])
            return f"({self.truth(depth - 1)} {op} {self.truth(depth - 1)})"
        if shape < 0.42:
            return f"(not {self.truth(max(0, depth - 1))})"
        if shape < 0.52:
            column = rng.choice("abfgstp")
            return f'(row["{column}"] is {rng.choice(["None", "not None"])})'
        if shape < 0.58:
            return f"({self.number(1)} in (1, 2, 7))"
        if shape < 0.64:
            return f"({self.text(1)} in {self.text(1)})"
        if shape < 0.76:
            return f"({self.text(1)} {compare} {self.text(1)})"
        if shape < 0.82:
            return f"({self.number(0)} < {self.number(0)} <= {self.number(0)})"
        if shape < 0.88:
            return rng.choice(['row["a"]', 'row["f"]', 'row["s"]', 'row["p"]'])
        return f"({self.number(1)} {compare} {self.number(1)})"

    def any(self, depth):
        shape = self.rng.random()
        if shape < 0.65:
            return self.number(depth)
        if shape < 0.8 or self.operand == "batch":
            return self.truth(depth)
        return self.text(depth)


def make_function(source):
    return eval(source, {"K": 5, "F": -0.5, "S": "日"})


def same(left, right):
    """Whether two Python values are one type and, but for NaN's payload, the same bits."""
    if type(left) is not type(right):
        return False
    if type(left) is float:
        both_nan = left != left and right != right
        return both_nan or struct.pack("d", left) == struct.pack("d", right)
    return left == right


def rows_of(columns):
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def interpret(fn, kind, columns):
    """What Python computes, or the exception."""
    try:
        results = [fn(row) for row in rows_of(columns)]
    except Exception as error:
        return error
    if kind == "filter":
        return [row for row, kept in zip(rows_of(columns), results, strict=True) if kept]
    return results


def check_rows(source, kind, columns):
    """Runs both and compares; returns what the compiler did."""
    fn = make_function(source)
    program = translate(fn).program
    if program is None:
        # The interpreter folds constants: `(-2.5) ** 0.5` is complex, `7 // 0` stays.
        return "declined"
    done, result = _native._evaluate_lambda(program, kind, _native.columns_to_batch(columns))
    if done != "ok":
        return done
    expected = interpret(fn, kind, columns)
    context = f"{kind}: {source}\non {columns}\nPython: {expected!r}\ncompiled: {result.rows()!r}"
    assert not isinstance(expected, Exception), context
    found = result.rows()
    if kind == "key":
        found = [row["key"] for row in found]
    assert len(found) == len(expected), context
    for left, right in zip(found, expected, strict=True):
        if isinstance(right, dict):
            assert list(left) == list(right), context
            assert all(same(left[name], right[name]) for name in right), context
        else:
            assert same(left, right), context
    return done


@pytest.mark.parametrize("seed", range(4))
def test_row_functions_are_pythons(seed):
    rng = random.Random(seed)
    generator = Generator(rng, "row")
    counts = {"ok": 0, "trouble": 0, "declined": 0}
    for _ in range(400):
        kind = rng.choice(["map", "map", "filter", "key"])
        depth = rng.randint(0, 3)
        if kind == "filter":
            body = generator.truth(depth)
        elif kind == "map" and rng.random() < 0.6:
            body = f'{{"x": {generator.any(depth)}, "y": {generator.any(1)}}}'
            if rng.random() < 0.3:
                body = f'{{**row, "a": {generator.any(depth)}, "z": {generator.any(0)}}}'
        else:
            body = generator.any(depth)
        for variant in ("friendly", "extreme", "nulls"):
            counts[check_rows(f"lambda row: {body}", kind, make_columns(rng, variant))] += 1
    assert counts["ok"] > 300, counts


def check_batch(source, columns):
    fn = make_function(source)
    program = translate(fn).program
    if program is None:
        return "declined"
    done, result = _native._evaluate_lambda(
        program, "map_batches", _native.columns_to_batch(columns)
    )
    if done != "ok":
        return done
    context = f"{source}\non {columns}\ncompiled: {result.rows()!r}"
    with warnings.catch_warnings():
        # A warning, too, is something that only Python gives.
        warnings.simplefilter("error")
        expected = fn({name: np.array(cells) for name, cells in columns.items()})
    found = result.numpy()
    assert list(found) == list(expected), context
    for name, right in expected.items():
        left = found[name]
        assert left.dtype == right.dtype, f"{name}: {context}"
        for one, other in zip(left.tolist(), right.tolist(), strict=True):
            assert same(one, other), f"{name}: {right!r}: {context}"
    return done


@pytest.mark.parametrize("seed", range(2))
def test_batch_functions_are_numpys(seed):
    rng = random.Random(1000 + seed)
    generator = Generator(rng, "batch")
    counts = {"ok": 0, "trouble": 0, "declined": 0}
    for _ in range(300):
        depth = rng.randint(0, 3)
        body = f'{{"x": {generator.any(depth)}, "y": {generator.any(1)}}}'
        for variant in ("friendly", "extreme"):
            columns = make_columns(rng, variant)
            del columns["s"], columns["t"]
            counts[check_batch(f"lambda batch: {body}", columns)] += 1
    assert counts["ok"] > 50, counts


def test_null_columns_go_to_python():
    columns = {"a": [1, None]}
    program = translate(lambda batch: {"a": batch["a"]}).program
    batch = _native.columns_to_batch(columns)
    assert _native._evaluate_lambda(program, "map_batches", batch)[0] == "trouble"


def test_guards_keep_rows_from_trouble():
    columns = {"a": [4, 1, 0, None], "b": [2, 0, 0, 1]}
    source = (
        'lambda row: {"q": row["a"] // row["b"] if row["b"] != 0 and row["a"] is not None else -1}'
    )
    assert check_rows(source, "map", columns) == "ok"


def test_statements_and_locals():
    def fn(row):
        x = row["a"] * 2
        if x > 5:
            row["z"] = x
            return row
        row["z"] = 0 - x
        return row

    columns = {"a": [1, 2, 3, 4]}
    program = translate(fn).program
    done, result = _native._evaluate_lambda(program, "map", _native.columns_to_batch(columns))
    assert done == "ok"
    assert result.rows() == [fn(row) for row in rows_of(columns)]


def test_the_row_as_its_value():
    program = translate(lambda x: x * 2).program
    batch = _native.columns_to_batch({"id": [1, 2, 3]})
    done, result = _native._evaluate_lambda(program, "map", batch)
    assert (done, result.rows()) == ("ok", [2, 4, 6])
