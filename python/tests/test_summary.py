"""`Dataset.summary` against pandas."""

import datetime
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline import errors
from raceline.data import DatasetSummary
from raceline.data.aggregate import ApproximateQuantile, Sum


def stats_of(summary, column):
    frame = summary.get_column_stats(column)
    assert list(frame.columns) == [DatasetSummary.STATISTIC_COLUMN, "value"]
    return dict(zip(frame["statistic"], frame["value"], strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_numbers_against_pandas(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, 300).astype(float)
    values[rng.random(300) < 0.1] = np.nan
    nulls = rng.random(300) < 0.1
    table = pa.table({"x": pa.array(values, mask=nulls), "i": np.arange(300) % 7})
    parts = [table.slice(first, 70) for first in range(0, 300, 70)]
    summary = raceline.from_arrow(parts).summary()
    assert summary.columns == ["x", "i"]
    for name in ("x", "i"):
        known = pd.Series(np.where(nulls, np.nan, values) if name == "x" else table["i"])
        wanted = {
            "count": 300,
            "mean": known.mean(),
            "min": known.min(),
            "max": known.max(),
            "std": known.std(ddof=0),
            "approx_quantile[0]": known.median(),
            "missing_pct": 100 * known.isna().mean(),
            "zero_pct": 100 * (known.dropna() == 0).mean(),
        }
        found = stats_of(summary, name)
        assert found.keys() == wanted.keys()
        for statistic, value in wanted.items():
            assert found[statistic] == pytest.approx(value, rel=1e-12), statistic


def test_texts_times_and_the_rest():
    table = pa.table(
        {
            "s": ["b", "a", "b", None, "c"],
            "b": pa.array([b"x"] * 5),
            "t": pa.array([3, 1, None, 2, 5], pa.timestamp("us")),
            "flag": [True, False, False, None, False],
            "none": pa.nulls(5),
            "list": [[1], [2], [3], None, [5]],
        }
    )
    summary = raceline.from_arrow(table).summary()
    assert summary.dataset_schema.names == table.schema.names
    assert stats_of(summary, "s") == {
        "approx_topk[0]": {"s": "b", "count": 2},
        "approx_topk[1]": {"s": "a", "count": 1},
        "approx_topk[2]": {"s": "c", "count": 1},
        "count": 5,
        "missing_pct": 20.0,
    }
    assert stats_of(summary, "b")["approx_topk[0]"] == {"b": b"x", "count": 5}
    times = stats_of(summary, "t")
    assert times["min"] == datetime.datetime(1970, 1, 1, 0, 0, 0, 1)
    assert times["max"] == datetime.datetime(1970, 1, 1, 0, 0, 0, 5)
    assert times.keys() == {"count", "min", "max", "missing_pct"}
    flags = stats_of(summary, "flag")
    assert (flags["mean"], flags["zero_pct"], flags["missing_pct"]) == (0.25, 75.0, 20.0)
    assert stats_of(summary, "none") == {"count": 5, "missing_pct": 100.0}
    assert stats_of(summary, "list") == {"count": 5, "missing_pct": 20.0}
    frame = summary.to_pandas()
    assert list(frame.columns) == ["statistic", *table.schema.names]
    assert frame["statistic"].tolist() == sorted(frame["statistic"])
    assert frame.set_index("statistic")["s"]["count"] == 5
    assert pd.isna(frame.set_index("statistic")["s"]["mean"])


def test_at_most_ten_values_are_listed():
    summary = raceline.from_items([{"s": f"{at:03}"} for at in range(30)]).summary()
    names = [name for name in stats_of(summary, "s") if name.startswith("approx_topk")]
    assert len(names) == 10


def test_some_columns():
    dataset = raceline.from_items([{"a": 1, "b": 2}])
    summary = dataset.summary(["b"])
    assert summary.columns == ["b"]
    assert summary.dataset_schema.names == ["a", "b"]
    assert repr(summary) == "DatasetSummary(columns=['b'])"
    with pytest.raises(errors.ColumnNotFoundError, match=r"`z`"):
        dataset.summary("z")
    with pytest.raises(ValueError, match=r"^column `a` is not in the summary$"):
        summary.get_column_stats("a")


def test_nothing_to_sum_up():
    empty = raceline.from_arrow(pa.table({"x": pa.array([], pa.int64())}))
    found = stats_of(empty.summary(), "x")
    assert found["count"] == 0
    assert all(
        value is None or math.isnan(value) for name, value in found.items() if name != "count"
    )
    nothing = raceline.from_items([]).summary()
    assert nothing.columns == []
    assert nothing.to_pandas().columns.tolist() == ["statistic"]


def test_many_columns():
    table = pa.table({f"c{at}": [at, 0] for at in range(300)})
    summary = raceline.from_arrow(table).summary()
    assert stats_of(summary, "c7")["mean"] == 3.5
    assert stats_of(summary, "c0")["zero_pct"] == 100.0


def test_other_aggregations_of_a_type():
    table = pa.table({"i": [1, 2, None], "x": [0.5, 1.5, 2.5]})
    given = {pa.int64(): lambda column: [Sum(column), ApproximateQuantile(column, [0.0, 1.0])]}
    summary = raceline.from_arrow(table).summary(override_dtype_agg_mapping=given)
    assert stats_of(summary, "i") == {
        "approx_quantile[0]": 1.0,
        "approx_quantile[1]": 2.0,
        "sum": 3,
    }
    assert stats_of(summary, "x")["mean"] == 1.5
