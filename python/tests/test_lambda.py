"""Translation of functions: what is understood, what is declined and why."""

import subprocess
import sys

import pytest

import raceline
from raceline import _native
from raceline._lambda import translate

LIMIT = 10
BIG = 2**63
CHANGING = [1]
EXTRA = {"b": 1}
ROWS = [{"id": 1}]


def code_of(fn):
    translation = translate(fn)
    assert translation.decline is None
    return translation.program[2]


def test_a_lambda_becomes_instructions_and_captured_values():
    slots, constants, code, flags, functions = translate(lambda row: row["a"] + LIMIT).program
    assert functions == ()
    assert slots == 1
    assert flags == (False, False)
    assert code == (
        ("load", 0),
        ("column", "a"),
        ("constant", len(constants) - 1),
        ("binary", "+", False),
        ("return",),
    )
    assert constants[-1] == LIMIT


def test_closures_and_defaults_are_captured():
    def make(factor):
        return lambda row, offset=3: row["a"] * factor + offset

    program = translate(make(7)).program
    assert {3, 7} <= {value for value in program[1] if type(value) is int}


def test_call_arguments_fill_parameters():
    def scale(row, factor, *, offset):
        return row["a"] * factor + offset

    assert translate(scale, (2,), {"offset": 1}).decline is None
    assert translate(scale, (2,)).decline == "it is called without its argument `offset`"
    assert translate(scale, (2, 3)).decline == "it is called with too many arguments"
    assert (
        translate(scale, (2,), {"wrong": 1}).decline
        == "it is called with an argument `wrong` that does not fit"
    )


def test_jumps_lead_forward_to_instructions():
    code = code_of(lambda row: 1 if row["a"] > 0 and row["b"] else 2)
    for index, instruction in enumerate(code):
        if instruction[0] in ("jump", "jump_if"):
            assert index < instruction[1] < len(code)


def test_statements_are_followed():
    def fn(batch):
        batch["new"] = batch["a"] * 2
        return batch

    assert ("store_column", "new") in code_of(fn)


def test_a_key_that_depends_on_the_row_is_the_one_of_its_way():
    program = translate(lambda row: row["a" if row["c"] else "b"]).program
    batch = _native.columns_to_batch({"a": [1, 2], "b": [3, 4], "c": [True, False]})
    done, result = _native._evaluate_lambda(program, "map", batch)
    assert (done, result.rows()) == ("ok", [1, 4])


@pytest.mark.parametrize(
    ("fn", "reason"),
    [
        (len, "it is a builtin_function_or_method and not a plain function"),
        (lambda row: print(row), "it calls `print`, which is not known to be pure"),
        (lambda row: f"{row!r}", "it formats by `!r`, `!a` or `!s`"),
        (lambda row: row["a"] + BIG, "`BIG` is an int of more than 64 bits"),
        (lambda row: row["a"] in CHANGING, "`CHANGING` is a list, which may change"),
        (lambda row: row["a"] << 2, "it uses `<<`"),
        (
            lambda row: undefined + row["a"],  # noqa: F821
            "it uses `undefined`, which is not defined",
        ),
        (lambda: 1, "it takes no argument"),
        (lambda *rows: rows, "it takes any number of arguments"),
        (lambda row: (yield row), "it is a generator or coroutine"),
        ((lambda row: lambda: row), "`row` is shared with an inner function"),
        (lambda row: "\ud800" + row["s"], "a constant is a string with a lone surrogate"),
    ],
)
def test_declines_name_the_reason(fn, reason):
    translation = translate(fn)
    assert translation.program is None
    assert translation.decline == reason


def test_loops_and_handlers_are_declined():
    def loop(row):
        total = 0
        while total < row["a"]:
            total += 1
        return total

    def handler(row):
        try:
            return row["a"] / row["b"]
        except ZeroDivisionError:
            return 0.0

    assert translate(loop).decline == "it has a loop"
    assert translate(handler).decline == "it handles exceptions"


@pytest.mark.parametrize(
    ("fn", "expected"),
    [
        (lambda x: x * 2, True),
        (lambda x: 1 < x < 3, True),
        (lambda x: -x, True),
        (lambda x: x in (1, 2), True),
        (lambda x: abs(x * 2), True),
        (lambda x: (x if LIMIT else 6) * 2, True),
        (lambda x: x, False),
        (lambda row: row["a"] * 2, False),
        (lambda row: "a" in row, False),
        (lambda row: row is None, False),
        (lambda row: row.get("a") + 1, False),
        (lambda row: len(row) + 1, False),
        (lambda row: f"{row}" + "!", False),
        (lambda row: (5 if row["a"] else 6) * 2, False),
        (lambda row: row | {"b": 1}, False),
        (lambda row: {"b": 1, **row} | row, False),
        (lambda row: row | {"b": row["a"] + 1}, False),
        (lambda row: row | EXTRA, False),
        (lambda row: row == {"id": 1}, False),
        (lambda row: row != EXTRA, False),
        (lambda row: row in [{"id": 1}, {"id": 2}], False),
        (lambda row: row not in ROWS, False),
        (lambda row: (row | {"b": 1} | {"c": 2}) == row, False),
        (lambda x: x in {1: "a"}, True),
        (lambda x: {"value": x * 2}, True),
        (lambda x: x | 1, True),
        (lambda x: x == 1, True),
        (lambda x: x in [1, 2], True),
        (lambda x: [x * 2, {}], True),
    ],
)
def test_the_row_is_its_value_when_it_is_an_operand(fn, expected):
    assert translate(fn).row_is_value is expected


def test_an_operand_beside_a_dict_argument_is_the_row():
    def merged(row, extra, *, more=None):
        row |= extra
        return row | (more or {})

    assert translate(merged, ({"b": 1},)).row_is_value is False
    assert translate(merged, (), {"extra": {"b": 1}}).row_is_value is False
    assert translate(merged, (4,)).row_is_value is True


def test_rows_of_one_column_merge_and_compare():
    rows = raceline.range(3)
    extra = {"b": 1}
    assert rows.map(lambda row: row | {"b": 1}).take(1) == [{"id": 0, "b": 1}]
    assert rows.map(lambda row: row | extra).take(1) == [{"id": 0, "b": 1}]
    assert rows.filter(lambda row: row == {"id": 1}).take_all() == [{"id": 1}]
    assert rows.filter(lambda row: row != {"id": 1}).take_all() == [{"id": 0}, {"id": 2}]
    assert rows.filter(lambda row: row in [{"id": 1}]).take_all() == [{"id": 1}]
    assert rows.filter(lambda x: x == 1).take_all() == [{"id": 1}]


def test_translation_imports_no_numpy():
    source = (
        "import sys; from raceline._lambda import translate; translate(lambda x: x + 1);"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True)
