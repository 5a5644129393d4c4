"""All aggregations against pandas, over groups and whole datasets, and those that users write."""

import collections
import datetime
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raceline
from raceline.data.aggregate import (
    AbsMax,
    AggregateFn,
    AggregateFnV2,
    ApproximateQuantile,
    ApproximateTopK,
    AsList,
    Count,
    CountDistinct,
    ListEncodingMode,
    Max,
    Mean,
    Min,
    MissingValuePercentage,
    Quantile,
    Std,
    Sum,
    Unique,
    ValueCounter,
    VectorizedAggregateFnV2,
    ZeroPercentage,
)
from raceline.errors import PlanError, UdfError


def random_table(seed, rows=300):
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, rows).astype(float)
    values[rng.random(rows) < 0.15] = math.nan
    keys = rng.integers(0, 5, rows).astype(float)
    keys[rng.random(rows) < 0.1] = math.nan
    return pa.table(
        {
            "k": pa.array(keys, mask=rng.random(rows) < 0.1),
            "x": pa.array(values, mask=rng.random(rows) < 0.1),
            "i": pa.array(rng.integers(-1000, 1000, rows)),
            "s": pa.array([f"s{one}" for one in rng.integers(0, 6, rows)]),
        }
    )


def parts_of(table, rows):
    return [table.slice(first, rows) for first in range(0, len(table), rows)]


ALL = [
    AbsMax("x"),
    AbsMax("i"),
    AbsMax("x", ignore_nulls=False),
    Quantile("x", q=0.3),
    Quantile("i"),
    Quantile("x", ignore_nulls=False, alias_name="whole quantile"),
    AsList("i"),
    AsList("x", ignore_nulls=True),
    Unique("x"),
    Unique("x", ignore_nulls=True),
    Unique("s"),
    CountDistinct("x"),
    CountDistinct("x", ignore_nulls=False),
    ValueCounter("s"),
    MissingValuePercentage("x"),
    ZeroPercentage("x"),
    ZeroPercentage("x", ignore_nulls=False),
    ApproximateTopK("s", k=2),
]


def wanted_of(frame):
    """The results of ``ALL``, in order, by pandas."""
    x, i, s = frame["x"], frame["i"], frame["s"]
    there = x.dropna()
    whole = len(there) == len(x)
    top = sorted(s.value_counts().items(), key=lambda pair: (-pair[1], pair[0]))[:2]
    distinct = [float(one) for one in sorted(there.unique())]
    missing = [None] if len(there) < len(x) else []
    counts = collections.Counter(s)
    percent = lambda part, of: 100 * part / of if of else None  # noqa: E731
    return [
        there.abs().max() if len(there) else None,
        i.abs().max(),
        there.abs().max() if whole else None,
        there.quantile(0.3) if len(there) else None,
        i.quantile(0.5),
        there.quantile(0.5) if whole else None,
        sorted(i),
        sorted(there),
        distinct + missing,
        distinct,
        sorted(s.unique()),
        len(distinct),
        len(distinct) + len(missing),
        {"values": sorted(counts), "counts": [counts[one] for one in sorted(counts)]},
        percent(len(x) - len(there), len(x)),
        percent((there == 0).sum(), len(there)),
        percent((there == 0).sum(), len(x)),
        [{"s": value, "count": count} for value, count in top],
    ]


def check(found, wanted):
    assert len(found) == len(wanted) == len(ALL)
    for aggregate, value, expected in zip(ALL, found, wanted, strict=True):
        if isinstance(aggregate, AsList):
            value = sorted(value)
        if isinstance(expected, float):
            assert value == pytest.approx(expected, rel=1e-12), aggregate
        else:
            assert value == expected, aggregate


@pytest.mark.parametrize("rows", [7, 100, 300])
def test_whole_datasets_against_pandas(rows):
    table = random_table(1)
    found = raceline.from_arrow(parts_of(table, rows)).aggregate(*ALL)
    check(list(found.values()), wanted_of(table.to_pandas()))


@pytest.mark.parametrize("rows", [7, 300])
def test_groups_against_pandas(rows):
    table = random_table(2)
    groups = raceline.from_arrow(parts_of(table, rows)).groupby("k").aggregate(*ALL)
    found = {row.pop("k"): list(row.values()) for row in groups.take_all()}
    wanted = dict(iter(table.to_pandas().groupby("k", dropna=False)))
    wanted = {None if pd.isna(key) else key: frame for key, frame in wanted.items()}
    assert found.keys() == wanted.keys()
    assert len(found) == 6
    for key, values in found.items():
        check(values, wanted_of(wanted[key]))


def test_names_are_those_of_ray():
    names = [
        AbsMax("x").name,
        Quantile("x").name,
        AsList("x").name,
        Unique("x").name,
        CountDistinct("x").name,
        ValueCounter("x").name,
        MissingValuePercentage("x").name,
        ZeroPercentage("x").name,
        ApproximateQuantile("x", [0.5]).name,
        ApproximateTopK("x", 3).name,
        Count("x").name,
        Count().name,
    ]
    assert names == [
        "abs_max(x)",
        "quantile(x)",
        "list(x)",
        "unique(x)",
        "count_distinct(x)",
        "value_counter(x)",
        "missing_pct(x)",
        "zero_pct(x)",
        "approx_quantile(x)",
        "approx_topk(x)",
        "count(x)",
        "count()",
    ]
    assert Quantile("x", alias_name="median").name == "median"


def test_nothing_but_missing_values_and_no_rows():
    missing = raceline.from_arrow(pa.table({"x": pa.array([None, math.nan], pa.float64())}))
    found = missing.aggregate(
        AbsMax("x"),
        Quantile("x"),
        AsList("x", ignore_nulls=True),
        Unique("x"),
        CountDistinct("x"),
        MissingValuePercentage("x"),
        ZeroPercentage("x"),
        ApproximateQuantile("x", [0.5]),
        ApproximateTopK("x", 3),
    )
    assert list(found.values()) == [None, None, [], [None], 0, 100.0, None, None, []]
    nothing = missing.filter(expr="x > 0")
    found = nothing.aggregate(
        AbsMax("x"),
        Quantile("x"),
        AsList("x"),
        Unique("x"),
        CountDistinct("x"),
        ValueCounter("x"),
        MissingValuePercentage("x"),
        ApproximateQuantile("x", [0.5]),
        ApproximateTopK("x", 3),
        Count("x"),
    )
    assert list(found.values()) == [None, None, None, None, 0, None, None, None, None, 0]


def test_a_list_keeps_nan_and_any_type():
    rows = raceline.from_arrow(
        pa.table(
            {
                "x": [1.0, math.nan, None],
                "d": pa.array([[1], None, [2, 3]]),
                "t": pa.array([1, 2, 3], pa.timestamp("us")),
            }
        )
    )
    found = rows.aggregate(AsList("x"), AsList("d"), Unique("d"), Unique("t"))
    # A list has any order.
    assert sorted(map(str, found["list(x)"])) == ["1.0", "None", "nan"]
    assert sorted(map(str, found["list(d)"])) == ["None", "[1]", "[2, 3]"]
    assert found["unique(d)"] == [[1], [2, 3], None]
    assert [one.microsecond for one in found["unique(t)"]] == [1, 2, 3]


def test_tensors_in_lists():
    images = np.arange(12).reshape(3, 2, 2)
    rows = raceline.from_numpy(images)
    found = rows.aggregate(AsList("data"))["list(data)"]
    assert np.array_equal(np.array(sorted(found, key=lambda one: one[0, 0])), images)


def test_items_of_lists():
    rows = raceline.from_items([{"x": ["a", "b"]}, {"x": ["b"]}, {"x": []}, {"x": None}])
    found = rows.aggregate(
        Unique("x", encode_lists=ListEncodingMode.FLATTEN),
        Unique("x", encode_lists=ListEncodingMode.HASH),
        ApproximateTopK("x", k=1, encode_lists=True),
    )
    assert list(found.values()) == [
        ["a", "b"],
        [[], ["a", "b"], ["b"], None],
        [{"x": "b", "count": 2}],
    ]


def test_least_int_and_decimals():
    rows = raceline.from_arrow(
        pa.table(
            {
                "i": pa.array([-(2**63)]),
                "u": pa.array([2**64 - 1], pa.uint64()),
                "d": pa.array(["-1.50"]).cast(pa.decimal128(5, 2)),
                "b": [True],
            }
        )
    )
    with pytest.raises(PlanError, match=r"`abs_max\(i\)` exceeds 64 bits"):
        rows.aggregate(AbsMax("i"))
    found = rows.aggregate(AbsMax("u"), AbsMax("d"), AbsMax("b"), Quantile("d"))
    assert [str(one) for one in found.values()] == [str(2**64 - 1), "1.50", "1", "-1.5"]


def test_bounds_of_files_are_those_of_their_rows(tmp_path):
    day = datetime.date(2026, 1, 1)
    table = pa.table(
        {
            "i": pa.array([5, None, -7, 2**62], pa.int64()),
            "u": pa.array([2**64 - 1, 0, None, 3], pa.uint64()),
            "small": pa.array([-128, 127, None, 0], pa.int8()),
            "f": [math.nan, 1.5, -0.0, None],
            "f32": pa.array([math.inf, math.nan, -1.0, 2.0], pa.float32()),
            "zero": [0.0, 1.0, 0.5, 2.0],
            "nan": [math.nan, math.nan, None, math.nan],
            "none": pa.array([None] * 4, pa.int32()),
            "day": [day, None, day + datetime.timedelta(9), day],
            "time": pa.array([1, None, -5, 3], pa.timestamp("us", "UTC")),
            "text": ["b", "a", None, "c"],
            "flag": [True, None, False, True],
        }
    )
    for part in range(3):
        rows = table.slice(part, 2)
        pq.write_table(rows, tmp_path / f"{part}.parquet", row_group_size=1)
    read = raceline.read_parquet(str(tmp_path))
    parts = [table.slice(part, 2) for part in range(3)]
    kept = raceline.from_arrow(pa.concat_tables(parts))
    asked = [one(name) for name in table.column_names for one in (Min, Max)]
    assert read.aggregate(*asked) == kept.aggregate(*asked)
    for name in table.column_names:
        for ignored in (True, False):
            assert read.min(name, ignored) == kept.min(name, ignored), name
            assert read.max(name, ignored) == kept.max(name, ignored), name
    assert str(read.min("zero")) == "0.0"
    assert read.filter(expr="i < 6").max("i") == 5
    assert read.limit(1).max("i") == 5


def test_approximate_quantiles_are_close():
    values = np.random.default_rng(3).normal(size=20_000)
    rows = raceline.from_numpy(values).rename_columns({"data": "x"})
    fractions = [0.0, 0.01, 0.5, 0.9, 1.0]
    [found] = rows.aggregate(ApproximateQuantile("x", fractions)).values()
    ranks = np.searchsorted(np.sort(values), found) / len(values)
    assert np.abs(ranks - fractions).max() < 0.01
    [coarse] = rows.aggregate(ApproximateQuantile("x", fractions, quantile_precision=50)).values()
    assert coarse != found


def test_frequent_values_of_many():
    # A few values are frequent among more rare ones than are counted at a time.
    values = [f"rare {at}" for at in range(3000)] + ["a"] * 900 + ["b"] * 700 + ["c"] * 500
    np.random.default_rng(0).shuffle(values)
    rows = raceline.from_items([{"x": value} for value in values])
    [exact] = rows.aggregate(ApproximateTopK("x", k=3)).values()
    assert exact == [{"x": "a", "count": 900}, {"x": "b", "count": 700}, {"x": "c", "count": 500}]
    [found] = rows.aggregate(ApproximateTopK("x", k=3, log_capacity=6)).values()
    assert [one["x"] for one in found] == ["a", "b", "c"]
    assert 900 <= found[0]["count"] < 1100


def test_bad_arguments():
    with pytest.raises(PlanError, match="`q` must be a number from 0 to 1, got `2`"):
        Quantile("x", q=2)
    with pytest.raises(PlanError, match="`quantiles` must be a list of numbers"):
        ApproximateQuantile("x", [])
    with pytest.raises(PlanError, match="`k` must be an int of at least 1"):
        ApproximateTopK("x", 0)
    with pytest.raises(PlanError, match="`log_capacity` must be at most 26"):
        ApproximateTopK("x", 1, log_capacity=40)
    with pytest.raises(PlanError, match="`encode_lists` must be a `ListEncodingMode`"):
        Unique("x", encode_lists="items")
    with pytest.raises(PlanError, match="`Quantile` needs a column"):
        Quantile()
    texts = raceline.from_items([{"x": "a"}])
    with pytest.raises(PlanError, match="cannot compute `quantile` of column `x`"):
        texts.aggregate(Quantile("x"))
    with pytest.raises(PlanError, match="no column `y`"):
        texts.aggregate(Unique("y"))


class SumOfSquares(AggregateFnV2):
    def __init__(self, on, ignore_nulls=True):
        super().__init__(f"squares({on})", lambda: 0.0, on=on, ignore_nulls=ignore_nulls)

    def aggregate_block(self, block):
        values = block[self.get_target_column()].to_pylist()
        there = [one for one in values if one is not None and one == one]
        if not there or (not self._ignore_nulls and len(there) < len(values)):
            return None
        return sum(one * one for one in there)

    def combine(self, current_accumulator, new):
        return current_accumulator + new

    def finalize(self, accumulator):
        return round(accumulator, 6)


class Widest(VectorizedAggregateFnV2):
    def __init__(self):
        super().__init__("widest", dict, on="s", ignore_nulls=False)

    def aggregate_block(self, block):
        return {"text": max(block["s"].to_pylist(), key=lambda one: (len(one), one))}

    def combine(self, current_accumulator, new):
        return max(current_accumulator, new, key=lambda one: (len(one["text"]), one["text"]))


def rows_and_greatest():
    return AggregateFn(
        init=lambda key: (0, -(10**9)),
        accumulate_row=lambda found, row: (found[0] + 1, max(found[1], row["i"])),
        merge=lambda one, other: (one[0] + other[0], max(one[1], other[1])),
        name="rows and greatest",
        finalize=list,
    )


@pytest.mark.parametrize("rows", [7, 300])
def test_aggregations_of_users_over_whole_datasets(rows):
    table = random_table(4)
    frame = table.to_pandas()
    dataset = raceline.from_arrow(parts_of(table, rows))
    wanted = {
        "squares(x)": pytest.approx((frame["x"] ** 2).sum()),
        "widest": {"text": "s5"},
        "rows and greatest": [300, frame["i"].max()],
    }
    users = [SumOfSquares("x"), Widest(), rows_and_greatest()]
    assert dataset.aggregate(*users) == wanted
    mixed = dataset.aggregate(Count(), users[0], Sum("i"), *users[1:])
    assert list(mixed) == ["count()", "squares(x)", "sum(i)", "widest", "rows and greatest"]
    assert mixed == {**wanted, "count()": 300, "sum(i)": frame["i"].sum()}
    assert dataset.aggregate(SumOfSquares("x", ignore_nulls=False)) == {"squares(x)": None}


@pytest.mark.parametrize("mixed", [False, True])
def test_aggregations_of_users_over_groups(mixed):
    table = random_table(5)
    users = [SumOfSquares("x"), Widest(), rows_and_greatest()]
    natives = [Count(), Mean("i"), Std("i"), Min("s"), Max("k")] if mixed else []
    groups = raceline.from_arrow(parts_of(table, 40)).groupby(["k", "s"])
    found = groups.aggregate(users[0], *natives, *users[1:])
    names = ["squares(x)", *(one.name for one in natives), "widest", "rows and greatest"]
    assert found.take(1)[0].keys() == dict.fromkeys(["k", "s", *names]).keys()
    found = {(row["k"], row["s"]): row for row in found.take_all()}
    wanted = {
        (None if pd.isna(k) else k, s): frame
        for (k, s), frame in table.to_pandas().groupby(["k", "s"], dropna=False)
    }
    assert {(normal(k), s) for k, s in found} == wanted.keys()
    for (k, s), row in found.items():
        frame = wanted[normal(k), s]
        there = frame["x"].dropna()
        assert row["squares(x)"] == (pytest.approx((there**2).sum()) if len(there) else None)
        assert row["widest"] == {"text": s}
        assert row["rows and greatest"] == [len(frame), frame["i"].max()]
        if mixed:
            assert row["count()"] == len(frame)
            assert row["mean(i)"] == pytest.approx(frame["i"].mean())


def normal(key):
    return None if key is None or key != key else key


def test_an_aggregation_of_functions_gets_its_key():
    keys = AggregateFn(
        init=lambda key: [key],
        accumulate_block=lambda found, block: [*found, block.num_rows],
        merge=lambda one, other: one + other,
        name="seen",
    )
    rows = raceline.from_items([{"a": 1, "b": "x"}, {"a": 1, "b": "x"}])
    assert rows.groupby("a").aggregate(keys).take_all() == [{"a": 1, "seen": [1, 2]}]
    assert rows.repartition(1).aggregate(keys) == {"seen": [None, 2]}
    pairs = AggregateFn(lambda key: repr(key), lambda a, b: a, "pair", lambda found, row: found)
    assert rows.groupby(["a", "b"]).aggregate(pairs).take_all()[0]["pair"] == "(1, 'x')"


def test_aggregations_of_users_of_no_rows():
    nothing = raceline.range(10).filter(expr="id > 10")
    assert nothing.aggregate(SumOfSquares("id")) == {"squares(id)": 0.0}
    assert nothing.groupby("id").aggregate(SumOfSquares("id")).take_all() == []


def test_errors_of_aggregations_of_users():
    rows = raceline.from_items([{"a": 1}, {"a": 2}])
    with pytest.raises(KeyError, match="nope") as caught:
        rows.aggregate(SumOfSquares("nope"))
    assert isinstance(caught.value, UdfError)
    with pytest.raises(KeyError, match=r"in the group \{'a': [12]\}"):
        rows.groupby("a").aggregate(SumOfSquares("nope")).take_all()
    with pytest.raises(PlanError, match="exactly one of `accumulate_row` and `accumulate_block`"):
        AggregateFn(init=lambda key: 0, merge=max, name="none")
    with pytest.raises(TypeError, match="abstract"):
        AggregateFnV2("x", int, on=None, ignore_nulls=True)
    with pytest.raises(PlanError, match="`3` is no aggregation"):
        rows.aggregate(3)
    with pytest.raises(PlanError, match="the name of an aggregation must be a string"):
        AggregateFn(int, max, 3, lambda found, row: found)


def test_all_are_aggregations():
    for one in [*ALL, Sum("x"), Count(), SumOfSquares("x"), rows_and_greatest()]:
        assert isinstance(one, AggregateFn)
    assert Sum("x").get_target_column() == "x"
    assert SumOfSquares("x").get_agg_name() == "SumOfSquares"
