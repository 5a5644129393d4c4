"""Steps by the order and the places of rows."""

import functools
import math

import raceline
from chain_fuzz.state import KEYS, State, is_missing
from chain_fuzz.step import Step
from raceline.data.expressions import monotonically_increasing_id
from raceline.data.expressions import random as random_number


def limit(rng, state):
    if not state.is_ordered:
        return None
    rows = rng.choice([0, 1, 2, 5, 10, 100])
    return Step(f"limit({rows})", lambda ds: ds.limit(rows), state.over(state.rows[:rows]))


def sort(rng, state):
    """By some columns, and the distinct one, so that there is one order."""
    if state.unique is None:
        return None
    names = [name for name in state.of(*KEYS) if name != state.unique]
    keys = [*rng.sample(names, rng.randrange(min(3, len(names) + 1))), state.unique]
    down = [rng.random() < 0.5 for _ in keys]
    if any(
        isinstance(row[key], float) and math.isnan(row[key]) for key in keys for row in state.rows
    ):
        # How None and NaN stand to one another is told nowhere.
        return None
    rows = list(state.rows)
    for key, is_down in reversed(list(zip(keys, down, strict=True))):
        missing = [row for row in rows if is_missing(row[key])]
        there = [row for row in rows if not is_missing(row[key])]
        rows = sorted(there, key=lambda row: row[key], reverse=is_down)
        rows = rows + missing
    after = state.over(rows, is_ordered=True)
    return Step(f"sort({keys}, {down})", lambda ds: ds.sort(keys, descending=down), after)


def repartition(rng, state):
    number = rng.choice([1, 2, 3, 7, 50])
    if rng.random() < 0.5:
        return Step(f"repartition({number})", lambda ds: ds.repartition(number), state)
    strict = rng.random() < 0.5
    return Step(
        f"repartition(rows={number}, {strict})",
        lambda ds: ds.repartition(target_num_rows_per_block=number, strict=strict),
        state,
    )


def shuffle(rng, state):
    """The order is that of as many numbers."""
    seed = rng.randrange(3)
    window = rng.choice([None, None, 1, 4])
    rows = state.rows
    if state.is_ordered:
        rows = [rows[at] for at in _places(len(rows), seed, window)]
    return Step(
        f"random_shuffle({seed}, {window})",
        lambda ds: ds.random_shuffle(seed=seed, window_rows=window),
        state.over(rows),
    )


def by_place(rng, state):
    """Columns of, and choices by, the places of rows."""
    if not state.is_ordered:
        return None
    seed, choice = rng.randrange(3), rng.randrange(4)
    count = len(state.rows)
    if choice == 0:
        kept = _sample(count, seed)
        rows = [row for at, row in enumerate(state.rows) if at in kept]
        return Step(
            f"random_sample({seed})",
            lambda ds: ds.random_sample(0.5, seed=seed),
            state.over(rows, is_known=False),
        )
    name = rng.choice([*state.kinds, "place"])
    if choice == 1:
        expr = random_number(seed=seed, reseed_after_execution=False)
        values, kind = _numbers(count, seed), "float"
    elif choice == 2:
        expr, values, kind = monotonically_increasing_id(), list(range(count)), "int"
    else:
        expr = monotonically_increasing_id() % 3 == 1
        rows = [row for at, row in enumerate(state.rows) if at % 3 == 1]
        return Step("filter(place % 3)", lambda ds: ds.filter(expr=expr), state.over(rows))
    rows = [{**row, name: value} for row, value in zip(state.rows, values, strict=True)]
    after = state.with_kinds({**state.kinds, name: kind}, rows)
    if name == state.unique or choice == 2:
        after = State(rows, after.kinds, True, name if choice == 2 else None, state.is_known)
    return Step(f"with_column({name}, {expr})", lambda ds: ds.with_column(name, expr), after)


@functools.cache
def _places(count, seed, window):
    shuffled = raceline.range(count).random_shuffle(seed=seed, window_rows=window)
    return [row["id"] for row in shuffled.take_all()]


@functools.cache
def _numbers(count, seed):
    fixed = random_number(seed=seed, reseed_after_execution=False)
    return [row["r"] for row in raceline.range(count).with_column("r", fixed).take_all()]


@functools.cache
def _sample(count, seed):
    return {row["id"] for row in raceline.range(count).random_sample(0.5, seed=seed).take_all()}


def materialize(rng, state):
    del rng
    return Step("materialize()", lambda ds: ds.materialize(), state)
