"""Aggregations over groups and over whole datasets."""

import math

import pytest
from opaque import opaque

import raceline
from raceline.data.aggregate import Count, Max, Mean, Min, Std, Sum
from raceline.errors import PlanError

ROWS = [
    {"k": "x", "a": 1, "b": 0.5},
    {"k": "y", "a": 2, "b": None},
    {"k": "x", "a": 3, "b": 1.5},
    {"k": None, "a": None, "b": 2.5},
]


def rows():
    return raceline.from_items(ROWS)


def by_key(dataset, key):
    return {row.pop(key): row for row in dataset.take_all()}


def test_whole_datasets():
    result = rows().aggregate(
        Count(), Count("a"), Count("a", ignore_nulls=True), Sum("a"), Min("b"), Max("k"), Mean("b")
    )
    assert result == {
        "count()": 4,
        "count(a)": 4,
        "count(a)_2": 3,
        "sum(a)": 6,
        "min(b)": 0.5,
        "max(k)": "y",
        "mean(b)": 1.5,
    }


def test_types_stay():
    assert isinstance(rows().sum("a"), int)
    assert isinstance(rows().mean("a"), float)


def test_std():
    assert rows().std("a") == pytest.approx(1.0)
    assert rows().std("a", ddof=0) == pytest.approx(math.sqrt(2 / 3))
    assert math.isnan(raceline.range(1).std("id"))


def test_one_result_is_unwrapped_and_several_are_not():
    assert rows().sum("a") == 6
    assert rows().sum(["a"]) == 6
    assert rows().select_columns(["a"]).max() == 3
    assert rows().sum(["a", "b"]) == {"sum(a)": 6, "sum(b)": 4.5}
    assert raceline.range(5).sum() == 10
    assert list(rows().min()) == ["min(k)", "min(a)", "min(b)"]


def test_missing_values():
    assert rows().sum("a", ignore_nulls=False) is None
    assert rows().aggregate(Mean("b", ignore_nulls=False)) == {"mean(b)": None}
    nothing = rows().filter(expr="a > 100")
    assert nothing.sum("a") is None
    assert nothing.std("a") is None
    assert nothing.aggregate(Count()) == {"count()": 0}
    assert raceline.from_items([{"x": math.nan}, {"x": 1.0}]).sum("x") == 1.0


def test_names():
    result = rows().aggregate(Sum("a"), Sum("a"), Sum("a", alias_name="total"))
    assert list(result) == ["sum(a)", "sum(a)_2", "total"]


def test_groups_by_column():
    groups = rows().groupby("k").aggregate(Count(), Sum("a"), Min("b"))
    assert groups.columns() == ["k", "count()", "sum(a)", "min(b)"]
    assert by_key(groups, "k") == {
        "x": {"count()": 2, "sum(a)": 4, "min(b)": 0.5},
        "y": {"count()": 1, "sum(a)": 2, "min(b)": None},
        None: {"count()": 1, "sum(a)": None, "min(b)": 2.5},
    }


@pytest.mark.parametrize("name", ["sum", "min", "max", "mean", "std"])
def test_groups_by_column_over_all_others(name):
    numbers = rows().select_columns(["k", "a", "b"])
    columns = getattr(numbers.groupby("k"), name)().columns()
    assert columns == ["k", f"{name}(a)", f"{name}(b)"]


def test_groups_by_several_columns():
    pairs = raceline.range(12).map(lambda row: {"a": row["id"] % 2, "b": row["id"] % 3})
    groups = pairs.groupby(["a", "b"]).count().sort(["a", "b"]).take_all()
    assert groups == [{"a": a, "b": b, "count()": 2} for a in range(2) for b in range(3)]


@pytest.mark.parametrize("form", [lambda f: f, opaque], ids=["maybe compiled", "in Python"])
def test_groups_by_function(form):
    groups = raceline.range(100).groupby(form(lambda row: row["id"] // 40))
    assert by_key(groups.aggregate(Count(), Max("id")), "key") == {
        0: {"count()": 40, "max(id)": 39},
        1: {"count()": 40, "max(id)": 79},
        2: {"count()": 20, "max(id)": 99},
    }
    assert groups.sum().columns() == ["key", "sum(id)"]


def test_a_function_cannot_group_into_a_column_that_exists():
    with pytest.raises(PlanError) as caught:
        raceline.from_items([{"key": 1}]).groupby(lambda row: row["key"])
    assert str(caught.value) == (
        "`groupby` of a function makes a column `key`, which exists already\n"
        '  hint: group by the column: `groupby("key")`, or rename it first'
    )


@pytest.mark.parametrize("form", [lambda f: f, opaque], ids=["maybe compiled", "in Python"])
def test_a_function_cannot_group_into_a_column_that_shows_up_in_the_run(form):
    late = raceline.range(3).map(opaque(lambda row: {"key": row["id"], "x": 1}))
    groups = late.groupby(form(lambda row: row["x"] + 1))
    with pytest.raises(ValueError, match="makes a column `key`, which exists already") as caught:
        groups.count().take_all()
    assert 'hint: group by the column: `groupby("key")`, or rename it first' in str(caught.value)


def test_nan_and_none_keys_form_one_group():
    keys = raceline.from_items([{"k": k} for k in (1.0, math.nan, None, math.nan, None, 1.0)])
    counts = keys.groupby("k").count().take_all()
    assert sorted(row["count()"] for row in counts) == [2, 4]


def test_no_key_is_one_group():
    assert raceline.range(5).groupby(None).sum("id").take_all() == [{"sum(id)": 10}]


def test_groups_of_plain_values():
    assert raceline.range(9).map(lambda x: x % 3).unique("item") in (
        [a, b, c] for a in range(3) for b in range(3) for c in range(3) if len({a, b, c}) == 3
    )
    assert raceline.range(9).map(lambda x: x * 2).sum() == 72


def test_unique():
    assert set(rows().unique("k")) == {"x", "y", None}
    assert set(rows().unique("k", ignore_nulls=True)) == {"x", "y"}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: rows().aggregate(),
            "no aggregation is given\n  hint: pass, for example, `Count()`",
        ),
        (lambda: rows().sum([]), 'there is no column to aggregate\n  hint: name one: `on="..."`'),
        (Sum, '`Sum` needs a column: `on="..."`'),
        (lambda: Sum(5), "`on` must be the name of a column, got `5`"),
        (lambda: Std("a", ddof=-1), "`ddof` must be an int of at least 0, got `-1`"),
        (
            lambda: rows().aggregate("sum"),
            "`'sum'` is no aggregation\n"
            "  hint: take one of `raceline.data.aggregate`, such as `Count()`",
        ),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(PlanError) as caught:
        make()
    assert str(caught.value) == text
