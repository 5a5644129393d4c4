"""Types of pandas columns, which rows that came as frames keep as Ray Data keeps the frames."""

import datetime
import decimal
import pickle

import numpy as np
import pandas as pd
import pytest

import raceline
from raceline.data.expressions import col, monotonically_increasing_id

PLAIN = {"a": "int64", "s": "str", "f": "float64", "b": "bool"}
ARROW = {"a": "int64[pyarrow]", "s": "string[pyarrow]", "f": "double[pyarrow]"}
ARROW |= {"b": "bool[pyarrow]"}


def frame():
    return pd.DataFrame(
        {"a": [3, 1, 2], "s": ["x", None, "z"], "f": [1.5, None, 2.5], "b": [True, False, True]}
    )


def types(made):
    return {name: str(kind) for name, kind in made.dtypes.items()}


COLUMNS = {
    "int8": pd.array([1, -2, 3], "int8"),
    "float32": np.array([1.5, np.nan, 3], "float32"),
    "nullable": pd.array([2**60 + 1, None, 3], "Int64"),
    "nullable bool": pd.array([True, None, False], "boolean"),
    "text": ["a", None, "b"],
    "objects": pd.Series(["a", None, "b"], dtype=object),
    "integers as objects": pd.Series([2**60 + 1, None, 3], dtype=object),
    "arrow": pd.array(["a", None, "b"], "string[pyarrow]"),
    "category": pd.Categorical(["x", None, "y"], categories=["y", "x", "z"]),
    "time": pd.to_datetime(["2024-01-01", None, "2024-01-03"]),
    "zoned": pd.to_datetime(["2024-01-01", None, "2024-01-03"]).tz_localize("Europe/Berlin"),
    "span": pd.to_timedelta(["1D", None, "3h"]),
    "date": [datetime.date(2024, 1, 1), None, datetime.date(2024, 1, 3)],
    "decimal": [decimal.Decimal("1.25"), None, decimal.Decimal("2.50")],
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_frame_comes_back_as_it_went_in(name):
    given = pd.DataFrame({name: COLUMNS[name], "n": [1, 2, 3]})
    dataset = raceline.from_pandas(given)
    pd.testing.assert_frame_equal(dataset.to_pandas(), given)
    parts = list(dataset.iter_batches(batch_size=2, batch_format="pandas"))
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), given)


KEPT = {
    "limit": lambda rows: rows.limit(2),
    "filter": lambda rows: rows.filter(expr=col("a") > 1),
    "nothing left": lambda rows: rows.filter(expr=col("a") > 10),
    "random_shuffle": lambda rows: rows.random_shuffle(seed=1),
    "repartition": lambda rows: rows.repartition(2),
    "materialize": lambda rows: rows.materialize(),
    "union": lambda rows: rows.union(rows.limit(1)),
    "rename": lambda rows: rows.rename_columns({"a": "c"}).rename_columns({"c": "a"}),
    "select": lambda rows: rows.select_columns(["a", "s", "f", "b"]),
    "pickled": lambda rows: pickle.loads(pickle.dumps(rows.limit(3))),
    "materialized and pickled": lambda rows: pickle.loads(pickle.dumps(rows.materialize())),
    "drop": lambda rows: rows.with_column("d", col("a")).drop_columns(["d"]),
}
LOST = {
    "map": lambda rows: rows.map(lambda row: row),
    "map_batches": lambda rows: rows.map_batches(lambda batch: batch, batch_format="pandas"),
    "filter by a function": lambda rows: rows.filter(lambda row: row["a"] > 1),
    "sort": lambda rows: rows.sort("a"),
    "union with others": lambda rows: rows.union(
        raceline.from_items([{"a": 1, "s": "", "f": 1.0, "b": True}])
    ),
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        *((change, PLAIN) for change in KEPT.values()),
        *((change, ARROW) for change in LOST.values()),
    ],
    ids=[*KEPT, *LOST],
)
def test_types_after_a_change(change, expected):
    changed = change(raceline.from_pandas(frame()))
    assert types(changed.to_pandas()) == expected
    if changed.count():
        assert types(changed.take_batch(1, batch_format="pandas")) == expected
        first = next(iter(changed.iterator().iter_batches(batch_format="pandas")))
        assert types(first) == expected
        [reference, *_] = changed.to_pandas_refs()
        assert types(raceline.get(reference)) == expected


def test_new_columns_have_types_of_pandas_too():
    dataset = raceline.from_pandas(frame()).with_column("d", col("a") * 2)
    dataset = dataset.with_column("i", monotonically_increasing_id()).with_column("a", col("f"))
    assert types(dataset.to_pandas()) == PLAIN | {"d": "int64", "i": "int64", "a": "float64"}


def test_functions_get_frames_with_them():
    def told(batch):
        return pd.DataFrame({"was": [str(batch.dtypes["a"])] * len(batch), "a": batch["a"]})

    dataset = raceline.from_pandas(frame()).map_batches(told, batch_format="pandas")
    assert dataset.unique("was") == ["int64"]
    # Between functions, rows are Arrow's, as in Ray Data.
    assert dataset.map_batches(told, batch_format="pandas").unique("was") == ["int64[pyarrow]"]
    debugged = raceline.from_pandas(frame()).map_batches(told, batch_format="pandas", debug=True)
    assert debugged.unique("was") == ["int64"]


def test_frames_of_different_types_share_some():
    other = frame().assign(a=pd.array([1, 2, 3], "int32"))
    dataset = raceline.from_pandas([frame(), other])
    assert types(dataset.to_pandas()) == PLAIN
    assert types(raceline.from_pandas([]).to_pandas()) == {}
    assert types(raceline.data.from_blocks([frame(), frame()]).to_pandas()) == PLAIN


def test_shares_of_a_split_have_them():
    [share] = raceline.from_pandas(frame()).streaming_split(1)
    for one in (share, pickle.loads(pickle.dumps(share))):
        first = next(iter(one.iter_batches(batch_format="pandas")))
        assert types(first) == PLAIN
