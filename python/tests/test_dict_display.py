"""Which functions are certain to return a new dict, and with which keys."""

import functools
import random

import pytest
from lambda_fuzz.lanes import load
from lambda_fuzz.rows import row_program
from lambda_fuzz.tables import VARIANTS, schema_of, table_of

from raceline._dict_display import Display, display_of


def with_statements(row):
    total = row["a"] + 1
    total += len(row)
    return {"total": total}


def in_two_ways(row):
    if row["a"]:
        return {"x": 1, "y": 2}
    return {"x": row["a"], "y": 3}


def in_two_ways_with_other_keys(row):
    if row["a"]:
        return {"x": 1, "y": 2}
    return {"x": 1, "z": 2}


def on_one_way_only(row):  # noqa: RET503
    if row["a"]:
        return {"x": 1, "y": 2}


def after_a_loop(row):
    for _ in range(3):
        pass
    return {"x": 1, "y": 2}


def in_a_handler(row):
    try:
        return {"x": row["a"], "y": 2}
    except KeyError:
        return None


def that_is_named(row):
    made = {"x": 1, "y": 2}
    return made  # noqa: RET504


def generator(row):
    yield row
    return {"x": 1, "y": 2}


async def coroutine(row):
    return {"x": 1, "y": 2}


class Callable:
    def __call__(self, row):
        return {"x": 1, "y": row}


KNOWN = [
    (lambda row: {"a": row["b"], "c": 1}, ("a", "c")),
    (lambda row: {"a": row["b"] * 2}, ("a",)),
    (lambda row: {"a": row["b"](1, key=2)}, ("a",)),
    (lambda row: {"a": 1, "b": 2, "a": 3}, ("a", "b")),  # noqa: F601
    (with_statements, ("total",)),
    (in_two_ways, ("x", "y")),
    (after_a_loop, ("x", "y")),
    (Callable().__call__, ("x", "y")),
]
NEW_WITH_UNKNOWN_KEYS = [
    lambda row: {row["a"]: 1},
    lambda row: {row["a"]: 1, "b": 2},
    lambda row: {1: 1, 2: 2},
    lambda row: {1: row},
    lambda row: {},
    lambda row: {"a": 1 if row["a"] else 2},
    in_two_ways_with_other_keys,
]
UNCERTAIN = [
    lambda row: row,
    lambda row: {"a": 1} if row["a"] else None,
    lambda row: dict(row),
    on_one_way_only,
    in_a_handler,
    that_is_named,
    generator,
    coroutine,
    Callable(),
    Callable,
    functools.partial(after_a_loop),
    len,
]


@pytest.mark.parametrize(("function", "keys"), KNOWN)
def test_constant_keys_are_known(function, keys):
    assert display_of(function) == Display(keys)


@pytest.mark.parametrize("function", NEW_WITH_UNKNOWN_KEYS)
def test_other_keys_are_not(function):
    assert display_of(function) == Display(None)


@pytest.mark.parametrize("function", UNCERTAIN)
def test_what_may_return_something_else_is_not_certain(function):
    assert display_of(function) is None


@pytest.mark.parametrize("family", ["core", "strings", "helpers", "rows", "mixed"])
def test_random_functions_return_what_is_certain(family):
    certain = returned = 0
    for seed in range(100):
        rng = random.Random(f"{family} {seed}")
        program = row_program(rng, family)
        display = display_of(load(program))
        if display is None:
            continue
        certain += 1
        table = table_of(rng, schema_of(rng, dates=True), VARIANTS[0])
        for row in table.to_pylist():
            try:
                made = load(program)(row, *program.args, **dict(program.kwargs))
            except Exception:
                continue
            returned += 1
            assert type(made) is dict, program.source
            assert display.keys in (None, tuple(made)), program.source
    assert certain > 3
    assert returned > 10
