"""Values are taken out of rows as they are made: the batch is what whole rows would have made."""

import collections
import math

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opaque import opaque
from worker_batches import from_rows, from_values, rows_of

import raceline
from raceline._chain import Chain
from raceline._native import RowCollector
from raceline._udf import Call, Given

MANY = 5000


def run(batch, *steps):
    """The rows that functions make of a batch, each a pair of its kind and itself."""
    chain = Chain([Given(kind, "step", function, Call()) for kind, function in steps])
    return list(chain.run(batch))


def ids(count):
    return from_rows([{"id": number} for number in range(count)])


def table_of(batches):
    return pa.Table.from_batches([pa.record_batch(batch) for batch in batches])


def same(value, other):
    if isinstance(value, float) and isinstance(other, float):
        return value == other or (math.isnan(value) and math.isnan(other))
    return type(value) is type(other) and value == other


def assert_made(rows):
    """A function that returns these rows makes the batch that they make by themselves."""
    [made] = run(ids(len(rows)), ("map", lambda row: rows[row["id"]]))
    whole = from_rows(rows)
    assert pa.record_batch(made).schema == pa.record_batch(whole).schema
    for row, other in zip(rows_of(made), rows_of(whole), strict=True):
        assert row.keys() == other.keys()
        assert all(same(row[name], other[name]) for name in row)


VALUES = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, 2**63, -(2**63), 2**70]),
    st.floats(width=32),
    st.booleans(),
    st.none(),
    st.text(max_size=2),
    st.lists(st.integers(0, 3), max_size=2),
)
ROW = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


@st.composite
def rows_that_may_change(draw):
    """Rows of one form or of many, with enough before the others that their form is known."""
    kinds = draw(st.lists(VALUES, min_size=1, max_size=3))
    alike = dict(zip("abc", kinds, strict=False))
    rows = [dict(alike)] * draw(st.sampled_from([0, 1, 16, 17, 40]))
    for row in draw(st.lists(ROW, max_size=4)):
        rows = [*rows, row, *[dict(alike)] * draw(st.integers(0, 20))]
    return rows


@settings(max_examples=300, deadline=None)
@given(rows_that_may_change())
@pytest.mark.filterwarnings("ignore:column .* holds values that no Arrow type can hold")
def test_rows_that_change_make_the_same_batch(rows):
    if rows:
        assert_made(rows)


@pytest.mark.parametrize(
    "values",
    [
        [1] * 20 + [2**63],
        [1] * 20 + [2.5],
        [1] * 20 + [None],
        [1] * 20 + [True],
        [1.5] * 20 + [7],
        [1.5] * 20 + [None],
        [float("nan")] * 20 + [1],
        [1.5] * 20 + [2**60],
        [None] * 20 + [1],
        ["a"] * 20 + [None],
        [2**70, *[1] * 20],
    ],
    ids=lambda values: f"{values[0]} {values[-1]}",
)
@pytest.mark.filterwarnings("ignore:column .* holds values that no Arrow type can hold")
def test_numbers_that_are_not_alone_make_the_same_batch(values):
    assert_made([{"x": value} for value in values])


@pytest.mark.parametrize("last", [2**63, 2.5, True, "a"])
@pytest.mark.filterwarnings("ignore:column .* holds values that no Arrow type can hold")
def test_so_do_plain_values(last):
    values = [*range(20), last]
    [made] = run(ids(len(values)), ("map", lambda row: values[row["id"]]))
    assert pa.record_batch(made).schema == pa.record_batch(from_values(values)).schema
    assert rows_of(made) == rows_of(from_values(values))


def test_a_row_with_other_columns_keeps_its_place():
    def step(row):
        made = {"a": row["id"]}
        if row["id"] % 1000 == 999:
            made["b"] = -1
        if row["id"] % 1000 == 500:
            made = {"c": row["id"]}
        return made

    table = table_of(run(ids(MANY), ("map", step)))
    assert table.to_pylist() == [
        {"a": None, "b": None, "c": at}
        if at % 1000 == 500
        else {"a": at, "b": -1 if at % 1000 == 999 else None, "c": None}
        for at in range(MANY)
    ]


@pytest.mark.parametrize("kind", ["map", "flat_map"])
@pytest.mark.parametrize(
    "odd",
    [
        lambda at: collections.OrderedDict(a=at),
        lambda at: collections.UserDict(a=at),
        lambda at: collections.defaultdict(int, b=at),
        lambda at: {},
        lambda at: {"b": at},
    ],
)
def test_what_is_no_plain_dict_keeps_its_place(odd, kind):
    rows = [odd(at) if at in (40, 41, 90) else {"a": at} for at in range(100)]
    [made] = run(
        ids(100), (kind, lambda row: rows[row["id"]] if kind == "map" else [rows[row["id"]]])
    )
    names = ["a", "b"] if "b" in odd(0) else ["a"]
    assert rows_of(made) == [{name: dict(row).get(name) for name in names} for row in rows]


def test_a_filter_may_change_the_rows_that_pass():
    def change(row):
        if row["a"] == 4000:
            row["b"] = 1
        if row["a"] == 4001:
            del row["a"]
        return True

    made = table_of(run(ids(MANY), ("map", lambda row: {"a": row["id"]}), ("filter", change)))
    rows = made.to_pylist()
    assert len(rows) == MANY
    assert rows[3999:4003] == [
        {"a": 3999, "b": None},
        {"a": 4000, "b": 1},
        {"a": None, "b": None},
        {"a": 4002, "b": None},
    ]


def test_a_key_function_sees_whole_rows():
    [made] = run(
        ids(100),
        ("map", lambda row: {"a": row["id"], "b": 2}),
        ("key", lambda row: row["a"] + len(row)),
    )
    assert rows_of(made)[99] == {"a": 99, "b": 2, "key": 101}


def test_flat_map_puts_out_the_values_of_dicts_that_come_again():
    def step(row):
        shared = {"a": 0, "b": "x"}
        for number in range(3):
            shared["a"] = row["id"] * 3 + number
            yield shared

    table = table_of(run(ids(MANY), ("flat_map", step)))
    assert table.column("a").to_pylist() == list(range(3 * MANY))


def test_a_dict_that_is_kept_and_changed_later_went_out_as_it_was():
    kept = {"a": 0}

    def step(row):
        kept["a"] = row["id"]
        return kept

    [made] = run(ids(100), ("map", step))
    assert rows_of(made) == [{"a": at} for at in range(100)]


def test_more_columns_than_are_taken_out_go_out_whole():
    made = raceline.range(50).map(opaque(lambda row: {f"c{at}": row["id"] for at in range(70)}))
    assert made.take_all()[49] == {f"c{at}": 49 for at in range(70)}


def test_rows_that_fail_leave_the_others_in_order():
    def step(row):
        if row["id"] % 7 == 0:
            raise ValueError(row["id"])
        return {"a": row["id"], "b": 1}

    made = raceline.range(2000).map(step, on_error="skip").take_all()
    assert made == [{"a": at, "b": 1} for at in range(2000) if at % 7]


def test_a_missing_column_is_the_functions_own_error():
    def step(row):
        return {"a": row["absent"] if row["id"] > 50 else row["id"]}

    with pytest.raises(raceline.errors.UdfError, match="KeyError: 'absent'"):
        raceline.range(100).map(step).take_all()


def test_large_rows_are_made_a_few_at_a_time():
    held = []

    def step(row):
        held.append(len(row["text"]))
        return {"n": len(row["text"])}

    batch = from_rows([{"text": "x" * 300_000} for _ in range(20)])
    assert 300_000 <= batch.row_bytes <= 300_100
    [made] = run(batch, ("map", step))
    assert rows_of(made) == [{"n": 300_000}] * 20


def test_a_collector_refuses_what_are_no_columns():
    collector = RowCollector(are_values=False)
    with pytest.raises(ValueError, match="`a` has 1, `b` has 2"):
        collector.extend_columns(("a", "b"), [[1], [1, 2]])
    with pytest.raises(TypeError, match="plain values have no columns"):
        RowCollector(are_values=True).extend_columns(("a",), [[1]])
