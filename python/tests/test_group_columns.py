"""`with_column` of groups: aggregates, windows and functions within a group, as pandas has them."""

import random

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from opaque import opaque

import raceline
from raceline.data.datatype import DataType
from raceline.data.expressions import col, dense_rank, rank, row_number, udf
from raceline.errors import PlanError, UdfError


def frame(seed, rows=300):
    """Random rows; `k` has None, `f` None and NaN, which are one key."""
    draw = random.Random(seed)
    return pd.DataFrame(
        {
            "k": [draw.choice(["a", "b", None]) for _ in range(rows)],
            "f": [draw.choice([0.5, -0.0, 0.0, None, float("nan")]) for _ in range(rows)],
            "t": draw.sample(range(10 * rows), rows),
            "v": [draw.choice([1.5, 2.0, -3.0, float("nan")]) for _ in range(rows)],
        }
    )


def rows_of(data):
    """The rows as a dataset of several batches, with NaN and null both among the missing ones."""
    table = pa.table(
        {
            "k": pa.array(data["k"], from_pandas=True),
            "f": pa.array([None if at % 2 and f != f else f for at, f in enumerate(data["f"])]),
            "t": pa.array(data["t"]),
            "v": pa.array(
                [None if at % 3 == 0 and v != v else v for at, v in enumerate(data["v"])]
            ),
        }
    )
    return raceline.from_arrow([table.slice(at, 50) for at in range(0, len(data), 50)])


def column(dataset, name="w"):
    """The column, in the order of `t`, missing values as None."""
    rows = sorted(dataset.take_all(), key=lambda row: row["t"])
    return [None if row[name] is None or row[name] != row[name] else row[name] for row in rows]


def same(got, expected):
    expected = [None if pd.isna(one) else one for one in expected]
    assert len(got) == len(expected)
    for one, other in zip(got, expected, strict=True):
        assert one == other or one == pytest.approx(other)


KEYS = [["k"], ["f"], ["k", "f"], []]


def grouped(data, keys):
    """Groups of pandas; of all rows without keys."""
    data = data.sort_values("t")
    by = keys or [np.zeros(len(data))]
    return data, data.groupby(by, dropna=False)


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("aggregate", ["sum", "mean", "min", "max", "count"])
def test_aggregates_are_those_of_the_group(keys, aggregate):
    data = frame(1)
    made = rows_of(data).groupby(keys or None).with_column("w", getattr(col("v"), aggregate)())
    data, groups = grouped(data, keys)
    of_all_missing = {"min_count": 1} if aggregate == "sum" else {}
    same(column(made), groups["v"].transform(aggregate, **of_all_missing))


@pytest.mark.parametrize("keys", KEYS)
def test_aggregates_are_parts_of_expressions(keys):
    data = frame(2)
    spread = (col("t") - col("t").mean()) / (col("t").max() - col("t").min() + 1)
    made = rows_of(data).groupby(keys or None).with_column("w", spread)
    data, groups = grouped(data, keys)
    t = groups["t"]
    expected = (data["t"] - t.transform("mean")) / (t.transform("max") - t.transform("min") + 1)
    same(column(made), expected)


@pytest.mark.parametrize("keys", KEYS)
def test_windows_look_at_the_group(keys):
    data = frame(3)
    groups = rows_of(data).groupby(keys or None)
    data, expected = grouped(data, keys)
    by_t = {"order_by": "t"}
    same(column(groups.with_column("w", row_number().over(**by_t))), expected.cumcount() + 1)
    same(column(groups.with_column("w", col("t").lag().over(**by_t))), expected["t"].shift(1))
    same(column(groups.with_column("w", col("t").lead(2).over(**by_t))), expected["t"].shift(-2))
    same(column(groups.with_column("w", col("t").sum().over(**by_t))), expected["t"].cumsum())
    same(column(groups.with_column("w", col("t").max().over(**by_t))), expected["t"].cummax())
    parity = data.assign(p=data["t"] % 4)
    by = keys or [np.zeros(len(data))]
    ranks = parity.groupby(by, dropna=False)["p"]
    same(column(groups.with_column("w", rank().over(order_by=col("t") % 4))), ranks.rank("min"))
    dense = dense_rank().over(order_by=col("t") % 4)
    same(column(groups.with_column("w", dense)), ranks.rank("dense"))
    same(
        column(groups.with_column("w", col("t").sum().over(partition_by=col("t") % 4))),
        parity.groupby([*by, "p"], dropna=False)["t"].transform("sum"),
    )


@pytest.mark.parametrize("keys", KEYS)
def test_functions_get_whole_groups(keys):
    data = frame(4)

    @udf(DataType.int64())
    def behind_most(values, summand):
        return pc.add(pc.subtract(pc.max(values), values), summand)

    groups = rows_of(data).groupby(keys or None)
    made = groups.with_column("w", behind_most(col("t") * 2, 1) + 1)
    data, expected = grouped(data, keys)
    t = 2 * expected["t"].transform("max") - 2 * data["t"] + 2
    same(column(made), t)


def test_objects_get_rows_in_order_and_arguments_of_the_group():
    @udf(DataType.float64())
    class Cumulative:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, values):
            return self.factor * np.cumsum(values.to_numpy())

    rows = raceline.range(1000).with_column("k", col("id") % 7)
    ids = pd.Series(range(1000))
    groups = rows.groupby("k")
    made = groups.with_column("w", Cumulative(2)(col("id"))).to_pandas().sort_values("id")
    assert made["w"].tolist() == (2 * ids.groupby(ids % 7).cumsum()).tolist()
    # A window may change the order of rows, but not what the group is.
    beside = groups.with_column("w", Cumulative(2)(col("id") * 0 + col("id").max())).to_pandas()
    most = ids.groupby(ids % 7).transform("max")
    assert sorted(beside["w"]) == sorted(2.0 * most.groupby(ids % 7).cumsum())


def test_a_column_is_replaced_in_its_place_behind_a_function():
    rows = raceline.range(4).map(opaque(lambda row: {"k": row["id"] % 2, "v": row["id"], "x": 0}))
    made = rows.groupby("k").with_column("v", col("v") - col("v").min()).sort(["k", "v"])
    assert made.take_all() == [
        {"k": 0, "v": 0, "x": 0},
        {"k": 0, "v": 2, "x": 0},
        {"k": 1, "v": 0, "x": 0},
        {"k": 1, "v": 2, "x": 0},
    ]


def test_expressions_of_a_row_are_as_without_groups():
    rows = raceline.from_items([{"k": 1, "v": 1}, {"k": 2, "v": 5}])
    found = rows.groupby("k").with_column("w", col("v") * 2).sort("k").take_all()
    assert found == [{"k": 1, "v": 1, "w": 2}, {"k": 2, "v": 5, "w": 10}]


def test_what_has_no_meaning():
    rows = raceline.range(3)
    groups = rows.groupby("id")
    with pytest.raises(PlanError, match=r"^`row_number\(\)` needs an order"):
        groups.with_column("w", row_number())
    with pytest.raises(PlanError, match=r"^`lag\(id\)` needs an order"):
        groups.with_column("w", col("id").lag() + 1)
    with pytest.raises(PlanError, match=r"^`with_column` needs an expression, got `3`"):
        groups.with_column("w", 3)
    with pytest.raises(PlanError) as caught:
        rows.with_column("w", col("id") / col("id").sum())
    assert str(caught.value) == (
        "`sum` is of many rows, and nothing says of which\n"
        '  hint: say it, `.over(partition_by="key")` or `.over()` of all, or use it in '
        "`with_column` of groups"
    )


def test_a_function_that_fails_names_the_group():
    @udf(DataType.int64())
    def fail(values):
        raise ValueError(f"{len(values)} values")

    rows = raceline.range(6).with_column("k", col("id") * 0 + 4)
    with pytest.raises(ValueError, match="6 values") as caught:
        rows.groupby("k").with_column("w", fail(col("id"))).take_all()
    assert isinstance(caught.value, UdfError)
    assert "in the group" in str(caught.value)
