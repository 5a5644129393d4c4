"""Chains: drawn by seeds, run in several ways, compared, and made smaller where they fail."""

import itertools
import random
import tempfile

import pyarrow.parquet as pq

import raceline
from chain_fuzz.drawing import drawn
from chain_fuzz.state import arrow_table, comparable, table_state

STEPS_MAX = 7
ROWS_MAX = 200


def steps_of(seeds, state):
    """The steps that numbers stand for, over the rows of a table."""
    steps = []
    for seed in seeds:
        step = drawn(random.Random(seed), state)
        if len(step.after.rows) > ROWS_MAX:
            continue
        steps.append(step)
        state = step.after
    return steps, state


def chain_of(seed):
    """The table of a seed, and numbers that stand for steps."""
    rng = random.Random(seed)
    table = table_state(rng)
    return table, [rng.randrange(2**32) for _ in range(rng.randrange(1, STEPS_MAX + 1))]


def sources(table, folder):
    """The same rows: as one batch, as many, and in files."""
    arrow = arrow_table(table)
    rows = arrow.num_rows
    edges = [0, 0, rows // 3, rows // 3, rows // 2, rows]
    pieces = [arrow.slice(a, b - a) for a, b in itertools.pairwise(edges)]
    for at, piece in enumerate(pieces):
        pq.write_table(piece, f"{folder}/{at}.parquet", row_group_size=3)
    yield "one", raceline.from_arrow(arrow)
    yield "many", raceline.from_arrow(pieces)
    yield "files", raceline.read_parquet(folder)


def problem_of(table, seeds, which=None):
    """What is wrong with a chain; None if nothing is."""
    steps, state = steps_of(seeds, table)
    expected = comparable(state.rows, in_order=state.is_ordered)
    with tempfile.TemporaryDirectory() as folder:
        for name, dataset in sources(table, folder):
            if which is not None and name != which:
                continue
            try:
                for step in steps:
                    dataset = step.apply(dataset)
                problem = looked_at(dataset, state, expected, random.Random(sum(seeds)))
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
            if problem is not None:
                return name, problem
    return None


def looked_at(dataset, state, expected, rng):
    """What is wrong with a dataset that should have some rows."""
    found = dataset.take_all()
    got = comparable(found, in_order=state.is_ordered)
    if got != expected:
        return f"rows: {_difference(got, expected)}"
    if (count := dataset.count()) != len(expected):
        return f"count: {count}, not {len(expected)}"
    names = dataset.columns()
    if state.is_known and names != list(state.kinds):
        return f"columns: {names}, not {list(state.kinds)}"
    if not state.is_ordered:
        return None
    first = rng.randrange(len(expected) + 2)
    few = comparable(dataset.take(first), in_order=True)
    if few != expected[:first]:
        return f"take({first}): {_difference(few, expected[:first])}"
    if expected:
        name = rng.choice(list(state.kinds))
        one = comparable(dataset.select_columns([name]).take_all(), in_order=True)
        only = [tuple(pair for pair in row if pair[0] == name) for row in expected]
        if one != only:
            return f"select {name}: {_difference(one, only)}"
    rows = _rest(dataset, first)
    if rows is not None:
        rest = comparable(rows, in_order=True)
        if rest != expected[first:]:
            return f"rest from {first}: {_difference(rest, expected[first:])}"
    return None


def _rest(dataset, first):
    """The rows behind some, by the state of an iteration; None where there is none."""
    iterator = dataset.iterator()
    rows = iter(iterator.iter_rows())
    for _ in range(first):
        if next(rows, None) is None:
            break
    try:
        state = iterator.state_dict()
    except ValueError:
        return None
    rows.close()
    if state["epoch"] > 0:
        return []
    other = dataset.iterator()
    other.load_state_dict(state)
    return list(other.iter_rows())


def _difference(got, expected):
    for at, (one, two) in enumerate(zip(got, expected, strict=False)):
        if one != two:
            return f"{len(got)} and {len(expected)} rows; row {at} is\n    {one}\n  not\n    {two}"
    return f"{len(got)} rows, not {len(expected)}"


def shrunk(table, seeds):
    """A smaller chain that fails as well."""
    which, _ = problem_of(table, seeds)
    smaller = True
    while smaller:
        smaller = False
        for at in range(len(seeds)):
            fewer = seeds[:at] + seeds[at + 1 :]
            if problem_of(table, fewer, which):
                seeds, smaller = fewer, True
                break
        else:
            for at in range(len(table.rows)):
                less = table.over(table.rows[:at] + table.rows[at + 1 :])
                if problem_of(less, seeds, which):
                    table, smaller = less, True
                    break
    return table, seeds


def told(table, seeds):
    """A chain and what is wrong with it, for people."""
    which, problem = problem_of(table, seeds) or (None, None)
    steps, _ = steps_of(seeds, table)
    lines = [f"  .{step.text}" for step in steps]
    rows = [f"    {row}" for row in table.rows]
    return "\n".join([f"table ({which}) {table.kinds}", *rows, *lines, f"  {problem}"])
