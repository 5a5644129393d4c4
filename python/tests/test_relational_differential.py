"""Relational methods over random tables, cut in different ways, against plain Python.

Tables have missing values, NaN, both zeros, empty batches and no rows at all. One batch, many
batches and files must all give what a few lines of Python give. Joins are in `test_join.py`.
"""

import itertools
import math
import operator
import tempfile
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import raceline
from raceline.data.aggregate import Count, Max, Mean, Min, Std, Sum
from raceline.data.expressions import col

SCHEMA = pa.schema(
    {
        "k": pa.int32(),
        "s": pa.string(),
        "f": pa.float64(),
        "b": pa.bool_(),
        "t": pa.timestamp("us"),
        "row": pa.int64(),
    }
)

FLOATS = [0.0, -0.0, 1.5, -2.25, 1e300, -1e-300, float("inf"), float("-inf"), float("nan"), None]
CELLS = {
    "k": st.sampled_from([0, 1, 2, -3, 2**31 - 1, None]),
    "s": st.sampled_from(["", "a", "b", "ab", "é", "\U0001f600", "a\x00b", None]),
    "f": st.sampled_from(FLOATS),
    "b": st.sampled_from([True, False, None]),
    "t": st.sampled_from([datetime(1969, 12, 31), datetime(2024, 2, 29, 1, 2, 3), None]),
}
ROWS = st.lists(st.fixed_dictionaries(CELLS), max_size=24)
KEYS = st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=3, unique=True)
RUNS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["one batch", "many batches", "files"])
def dataset_of(request):
    """Makes a dataset of rows, cut as the parameter says."""

    def make(rows, cuts=(0,)):
        table = pa.Table.from_pylist(rows, schema=SCHEMA)
        if request.param == "one batch":
            return raceline.from_arrow(table)
        edges = sorted({0, table.num_rows, *(cut % (table.num_rows + 1) for cut in cuts)})
        pairs = list(zip([0, *edges], [*edges, table.num_rows], strict=True))
        pieces = [table.slice(first, last - first) for first, last in pairs]
        if request.param == "many batches":
            return raceline.from_arrow(pieces)
        folder = tempfile.mkdtemp(dir=request.getfixturevalue("tmp_path"))
        for at, piece in enumerate(pieces):
            pq.write_table(piece, f"{folder}/{at:03}.parquet")
        return raceline.read_parquet(folder)

    return make


CUTS = st.lists(st.integers(0, 24), max_size=4)


def numbered(rows):
    return [{**row, "row": at} for at, row in enumerate(rows)]


def is_missing(value):
    return value is None or (isinstance(value, float) and math.isnan(value))


def comparable(value):
    """A cell such that equal cells are equal and can be in a set."""
    return ("missing",) if is_missing(value) else (type(value).__name__, value)


def bag(rows):
    """Rows without order."""
    return sorted(
        (tuple(sorted((name, comparable(cell)) for name, cell in row.items())) for row in rows),
        key=repr,
    )


def group_of(row, keys):
    """What rows of one group have in common: all kinds of missing values are one."""
    return tuple(comparable(row[key]) for key in keys)


def near(left, right):
    """Whether two results of an aggregate are the same but for rounding."""
    if is_missing(left) or is_missing(right):
        return is_missing(left) and is_missing(right)
    if isinstance(left, float) or isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)
    return left == right


@RUNS
@given(rows=ROWS, cuts=CUTS, keys=KEYS, data=st.data())
def test_sort_puts_missing_values_last_either_way(dataset_of, rows, cuts, keys, data):
    rows = numbered(rows)
    down = [data.draw(st.booleans()) for _ in keys]
    found = dataset_of(rows, cuts).sort(keys, descending=down).take_all()
    assert bag(found) == bag(rows)
    for before, after in itertools.pairwise(found):
        for key, is_down in zip(keys, down, strict=True):
            one, two = before[key], after[key]
            if is_missing(one) and is_missing(two):
                continue
            assert not is_missing(one), (keys, down)
            if is_missing(two):
                break
            if one != two:
                assert (one > two) == is_down, (keys, down)
                break


def aggregate_of(name, cells, ignore_nulls):
    """An aggregate of the cells of a group, as the contract has it."""
    known = [cell for cell in cells if not is_missing(cell)]
    if name == "count":
        return len(known) if ignore_nulls else len(cells)
    if not known or (not ignore_nulls and len(known) < len(cells)):
        return None
    if name in ("min", "max"):
        return {"min": min, "max": max}[name](known)
    total = sum(known)
    if name == "sum":
        return total
    if name == "mean":
        return total / len(known)
    if len(known) < 2:
        return float("nan")
    mean = total / len(known)
    return math.sqrt(sum((cell - mean) ** 2 for cell in known) / (len(known) - 1))


AGGREGATES = {"count": Count, "sum": Sum, "min": Min, "max": Max, "mean": Mean, "std": Std}
NUMBERS = st.sampled_from([0.0, -0.0, 1.5, -2.25, 3.0, float("nan"), None])
AGGREGATE = st.tuples(st.sampled_from("kf"), st.booleans())
NUMBER_ROWS = st.lists(st.fixed_dictionaries({**CELLS, "f": NUMBERS}), max_size=24)


@RUNS
@given(rows=NUMBER_ROWS, cuts=CUTS, keys=KEYS, aggregate=AGGREGATE)
def test_groups_are_those_of_python(dataset_of, rows, cuts, keys, aggregate):
    rows, (on, ignore_nulls) = numbered(rows), aggregate
    if on in keys:
        keys = [key for key in keys if key != on] or ["s"]
    aggregates = [made(on, ignore_nulls=ignore_nulls) for made in AGGREGATES.values()]
    found = dataset_of(rows, cuts).groupby(keys).aggregate(*aggregates, Count()).take_all()
    groups = {}
    for row in rows:
        groups.setdefault(group_of(row, keys), []).append(row[on])
    assert {group_of(row, keys) for row in found} == set(groups)
    assert len(found) == len(groups)
    for row in found:
        cells = groups[group_of(row, keys)]
        assert row["count()"] == len(cells)
        for name in AGGREGATES:
            expected = aggregate_of(name, cells, ignore_nulls)
            assert near(row[f"{name}({on})"], expected), (name, cells, ignore_nulls)


@RUNS
@given(rows=NUMBER_ROWS, cuts=CUTS, aggregate=AGGREGATE)
def test_aggregates_of_all_rows_are_those_of_python(dataset_of, rows, cuts, aggregate):
    on, ignore_nulls = aggregate
    dataset = dataset_of(numbered(rows), cuts)
    cells = [row[on] for row in rows]
    for name in ("sum", "min", "max", "mean", "std"):
        found = getattr(dataset, name)(on, ignore_nulls=ignore_nulls)
        assert near(found, aggregate_of(name, cells, ignore_nulls)), (name, cells, ignore_nulls)


@RUNS
@given(rows=ROWS, cuts=CUTS, column=st.sampled_from(list(CELLS)), ignore_nulls=st.booleans())
def test_unique_has_each_value_once(dataset_of, rows, cuts, column, ignore_nulls):
    found = dataset_of(numbered(rows), cuts).unique(column, ignore_nulls=ignore_nulls)
    values = {comparable(row[column]) for row in rows}
    if ignore_nulls:
        values -= {comparable(None)}
    assert len(found) == len(values)
    assert {comparable(value) for value in found} == values


COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.ge]


@RUNS
@given(rows=ROWS, cuts=CUTS, compare=st.sampled_from(COMPARISONS), data=st.data())
def test_filters_drop_what_is_missing(dataset_of, rows, cuts, compare, data):
    rows = numbered(rows)
    column = data.draw(st.sampled_from("ksb"))
    value = data.draw(CELLS[column].filter(lambda cell: cell is not None))
    found = dataset_of(rows, cuts).filter(expr=compare(col(column), value)).take_all()
    kept = [row for row in rows if row[column] is not None and compare(row[column], value)]
    assert [row["row"] for row in found] == [row["row"] for row in kept]


@RUNS
@given(rows=ROWS, cuts=CUTS, first=st.integers(0, 30), parts=st.integers(1, 5))
def test_what_keeps_rows_keeps_each_once_and_in_order(dataset_of, rows, cuts, first, parts):
    rows = numbered(rows)
    dataset = dataset_of(rows, cuts)
    assert [row["row"] for row in dataset.limit(first).take_all()] == list(range(len(rows)))[:first]
    assert bag(dataset.repartition(parts).take_all()) == bag(rows)
    assert bag(dataset.random_shuffle(seed=first).take_all()) == bag(rows)
    split = [part.take_all() for part in dataset.split(parts)]
    assert [row["row"] for part in split for row in part] == list(range(len(rows)))
    both = dataset.union(dataset.select_columns(["k", "row"])).take_all()
    assert [row["row"] for row in both] == 2 * list(range(len(rows)))
    assert all(row["s"] is None for row in both[len(rows) :])
    beside = dataset.zip(dataset.rename_columns({"row": "other"}).select_columns(["other"]))
    assert all(row["row"] == row["other"] for row in beside.take_all())
    assert beside.count() == len(rows)
