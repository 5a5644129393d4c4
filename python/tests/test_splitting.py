"""Parts of a dataset, samples, several columns at once, and what a dataset tells about itself."""

import hashlib
import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline import errors
from raceline.data.expressions import col, lit


def rows(**columns):
    return raceline.from_arrow(pa.table(columns))


def in_parts(table, rows_of_a_part):
    firsts = range(0, table.num_rows, rows_of_a_part)
    return raceline.from_arrow([table.slice(first, rows_of_a_part) for first in firsts])


def ids(dataset):
    return [row["id"] for row in dataset.take_all()]


@pytest.mark.parametrize("size", [0, 1, 2, 10, 1000])
@pytest.mark.parametrize("parts", [1, 3])
def test_parts_hold_all_rows_in_order(size, parts):
    made = [ids(part) for part in raceline.range(size).split(parts)]
    assert len(made) == parts
    assert [one for part in made for one in part] == list(range(size))
    assert max(map(len, made)) - min(map(len, made)) <= 1


def test_equal_parts_leave_the_rest_out():
    made = [ids(part) for part in raceline.range(11).split(3, equal=True)]
    assert made == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


@pytest.mark.parametrize(
    "indices", [[0], [10], [99], [3], [2, 5], [2, 2, 9], [0, 10, 12], list(range(11))]
)
def test_splitting_at_rows_is_numpy_s(indices):
    made = [ids(part) for part in raceline.range(10).split_at_indices(indices)]
    assert made == [one.tolist() for one in np.split(np.arange(10), indices)]


def test_parts_are_cut_within_batches_and_run_once():
    runs = []

    def seen(batch):
        runs.append(len(batch["id"]))
        return batch

    table = pa.table({"id": range(100), "text": [str(at) for at in range(100)]})
    dataset = in_parts(table, 7).map_batches(seen, debug=True)
    parts = dataset.split_at_indices([10, 55])
    assert sum(runs) == 100
    assert [
        part.to_arrow().equals(table.slice(*cut))
        for part, cut in zip(parts, [(0, 10), (10, 45), (55, 45)], strict=True)
    ] == [True] * 3
    assert sum(runs) == 100
    assert parts[1].columns() == ["id", "text"]
    assert parts[1].map(lambda row: {"next": row["id"] + 1}).take(1) == [{"next": 11}]


@pytest.mark.parametrize(
    ("size", "proportions", "counts"),
    [
        (10, [0.2, 0.5], [2, 5, 3]),
        (10, [0.5], [5, 5]),
        (3, [0.9], [2, 1]),
        (5, [0.1, 0.1, 0.7], [1, 1, 2, 1]),
        (3, [0.05, 0.9], [1, 1, 1]),
        (4, [0.01, 0.01, 0.01], [1, 1, 1, 1]),
        (4, [0.97, 0.01, 0.01], [1, 1, 1, 1]),
    ],
)
def test_proportions(size, proportions, counts):
    parts = raceline.range(size).split_proportionately(proportions)
    assert [part.count() for part in parts] == counts


@pytest.mark.parametrize(
    ("test_size", "trained"), [(0.3, 7), (0.25, 7), (3, 7), (1, 9), (0.999, 0), (9, 1)]
)
def test_the_last_rows_are_tested_on(test_size, trained):
    train, test = raceline.range(10).train_test_split(test_size)
    assert ids(train) == list(range(trained))
    assert ids(test) == list(range(trained, 10))


def test_shuffled_parts():
    train, test = raceline.range(100).train_test_split(0.25, shuffle=True, seed=3)
    first = ids(train), ids(test)
    assert sorted(first[0] + first[1]) == list(range(100))
    assert len(first[1]) == 25
    assert first[1] != list(range(75, 100))
    assert first[0] != sorted(first[0])
    assert (ids(train), ids(test)) == first
    again = raceline.range(100).train_test_split(0.25, shuffle=True, seed=3)
    assert tuple(map(ids, again)) == first
    other = raceline.range(100).train_test_split(0.25, shuffle=True)
    assert tuple(map(ids, other)) != first
    assert [part.count() for part in raceline.range(0).train_test_split(0.5, shuffle=True)] == [
        0,
        0,
    ]


@pytest.mark.parametrize("test_size", [0.25, 15])
def test_each_value_has_its_share(test_size):
    kinds = (["a"] * 8 + ["b"] * 4 + [None] * 3) * 4
    table = pa.table({"id": range(60), "kind": kinds})
    train, test = in_parts(table, 7).train_test_split(test_size, stratify="kind")
    wanted_train, wanted_test = [], []
    frame = pd.DataFrame({"id": range(60), "kind": kinds})
    for _, group in frame.groupby("kind", dropna=False):
        tested = int(len(group) * 0.25)
        wanted_train += group["id"].tolist()[: len(group) - tested]
        wanted_test += group["id"].tolist()[len(group) - tested :]
    assert ids(train) == sorted(wanted_train)
    assert ids(test) == sorted(wanted_test)
    assert train.columns() == ["id", "kind"]


def test_parts_of_plain_values():
    train, test = raceline.range(4).map(lambda x: x * 2).train_test_split(0.5)
    assert (train.take_all(), test.take_all()) == ([0, 2], [4, 6])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda d: d.split(0), "`n` must be an int of at least 1, got `0`"),
        (lambda d: d.split_at_indices([]), "`indices` names no row to split at"),
        (
            lambda d: d.split_at_indices([-1]),
            "`indices` must be an int of at least 0, got `-1`",
        ),
        (lambda d: d.split_at_indices([5, 2]), "`indices` must not fall, got `[5, 2]`"),
        (
            lambda d: d.split_proportionately([0.5, 0.5]),
            "`proportions` must be positive numbers whose sum is below 1, got `[0.5, 0.5]`",
        ),
        (
            lambda d: d.split_proportionately([0.5, 0.0]),
            "`proportions` must be positive numbers whose sum is below 1, got `[0.5, 0.0]`",
        ),
        (
            lambda d: d.split_proportionately([]),
            "`proportions` must be positive numbers whose sum is below 1, got `[]`",
        ),
        (
            lambda d: d.limit(2).split_proportionately([0.1, 0.1]),
            "2 rows are too few for 3 parts, none of them empty",
        ),
        (
            lambda d: d.train_test_split(1.0),
            "a part to test on must be between 0 and 1, got `1.0`",
        ),
        (
            lambda d: d.train_test_split(0),
            "`test_size` must be an int of at least 1, got `0`",
        ),
        (
            lambda d: d.train_test_split(10),
            "`test_size` must be below the number of rows, 10, got `10`",
        ),
        (
            lambda d: d.train_test_split(0.5, shuffle=True, stratify="id"),
            "`stratify` excludes `shuffle`",
        ),
        (
            lambda d: d.random_sample(1.5),
            "`fraction` must be a number from 0 to 1, got `1.5`",
        ),
        (
            lambda d: d.random_sample(math.nan),
            "`fraction` must be a number from 0 to 1, got `nan`",
        ),
        (
            lambda d: d.random_sample(0.5, seed="x"),
            "`seed` must be an int of at least 0, got `'x'`",
        ),
        (
            lambda d: d.streaming_train_test_split(1.0),
            "a part to test on must be between 0 and 1, got `1.0`",
        ),
        (
            lambda d: d.streaming_train_test_split(0.5, hash_column="id"),
            '`hash_column` needs `split_type="hash"`',
        ),
        (
            lambda d: d.streaming_train_test_split(0.5, split_type="hash"),
            '`split_type="hash"` needs a `hash_column`',
        ),
        (
            lambda d: d.streaming_train_test_split(
                0.5, split_type="hash", hash_column="id", seed=1
            ),
            '`seed` needs `split_type="random"`',
        ),
        (
            lambda d: d.streaming_train_test_split(0.5, split_type="order"),
            'there is no way to split `\'order\'`\n  hint: pass "random" or "hash"',
        ),
        (
            lambda d: d.with_columns({"x": 3}),
            "`with_columns` needs expressions, got `3`\n"
            "  hint: wrap a plain value: `lit(...)`; for a function call `map_batches(...)`",
        ),
        (
            lambda d: d.with_columns([col("id").alias("x"), col("id").alias("x")]),
            "column `x` is named twice",
        ),
        (lambda d: d.set_name(3), "a dataset's name must be a string, got `3`"),
        (
            lambda d: d.add_column("x", len, batch_format="torch"),
            "`add_column` has no batch format `'torch'`\n"
            '  hint: pass "pandas", "pyarrow" or "numpy"',
        ),
        (
            lambda d: d.add_column(3, len),
            "a column's name must be a string, got `3`",
        ),
    ],
)
def test_arguments_are_refused(call, text):
    with pytest.raises(errors.PlanError) as caught:
        call(raceline.range(10))
    assert str(caught.value) == text


def test_an_expression_without_a_name():
    with pytest.raises(errors.PlanError, match=r"has no name\n  hint: give it one: `.alias"):
        raceline.range(3).with_columns(col("id") + 1)


def test_a_column_to_stratify_by_that_is_not_there():
    with pytest.raises(errors.ColumnNotFoundError, match=r"`kind`"):
        raceline.range(10).train_test_split(0.5, stratify="kind")


def test_samples_are_as_large_as_asked_for():
    dataset = in_parts(pa.table({"id": range(20_000)}), 777)
    kept = ids(dataset.random_sample(0.3))
    assert kept == sorted(set(kept))
    # Five standard deviations.
    assert abs(len(kept) - 6000) < 5 * math.sqrt(20_000 * 0.3 * 0.7)
    assert ids(dataset.random_sample(0.3)) != kept
    assert dataset.random_sample(0).take_all() == []
    assert dataset.random_sample(0).columns() == ["id"]
    assert dataset.random_sample(1).count() == 20_000


def test_a_sample_with_a_seed_does_not_depend_on_batches():
    table = pa.table({"id": range(5000)})
    wanted = ids(in_parts(table, 5000).random_sample(0.1, seed=5))
    for rows_of_a_part in (1000, 33):
        sample = in_parts(table, rows_of_a_part).random_sample(0.1, seed=5)
        assert ids(sample) == wanted
        assert ids(sample) == wanted
    assert ids(in_parts(table, 33).random_sample(0.1, seed=6)) != wanted


@pytest.mark.parametrize("seed", [None, 0, 5])
def test_parts_by_chance_while_the_dataset_runs(seed):
    dataset = in_parts(pa.table({"id": range(10_000)}), 777)
    train, test = dataset.streaming_train_test_split(0.2, seed=seed)
    trained, tested = ids(train), ids(test)
    assert sorted(trained + tested) == list(range(10_000))
    assert trained == sorted(trained)
    # Five standard deviations.
    assert abs(len(tested) - 2000) < 5 * math.sqrt(10_000 * 0.2 * 0.8)
    assert (ids(train), ids(test)) == (trained, tested)
    again = dataset.streaming_train_test_split(0.2, seed=seed)
    assert tuple(map(ids, again)) == (trained, tested)
    assert ids(dataset.streaming_train_test_split(0.2, seed=6)[1]) != tested


def test_parts_by_hash_hold_all_rows_of_a_value():
    keys = [f"user {at % 50}" for at in range(500)] + [None] * 3
    dataset = in_parts(pa.table({"id": range(503), "user": keys}), 100)
    train, test = dataset.streaming_train_test_split(0.3, split_type="hash", hash_column="user")

    def trained(key):
        digest = hashlib.blake2b(str(key).encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < 0.7 * 2**64

    assert ids(train) == [at for at, key in enumerate(keys) if trained(key)]
    assert ids(test) == [at for at, key in enumerate(keys) if not trained(key)]
    assert 0 < len(ids(test)) < 250
    with pytest.raises(errors.ColumnNotFoundError, match=r"`nobody`"):
        dataset.streaming_train_test_split(0.3, split_type="hash", hash_column="nobody")


def test_columns_at_once_see_none_of_each_other():
    dataset = rows(a=[1, 2], b=[10, 20])
    exprs = {"b": col("a"), "c": col("b"), "a": col("b") + lit(1)}
    wanted = [{"a": 11, "b": 1, "c": 10}, {"a": 21, "b": 2, "c": 20}]
    assert dataset.with_columns(exprs).take_all() == wanted
    assert dataset.with_columns(exprs).columns() == ["a", "b", "c"]
    by_name = [expr.alias(name) for name, expr in exprs.items()]
    assert dataset.with_columns(*by_name).take_all() == wanted
    assert dataset.with_columns(by_name).take_all() == wanted
    mixed = dataset.with_columns({"b": col("a")}, col("b").alias("c"))
    assert mixed.take(1) == [{"a": 1, "b": 1, "c": 10}]
    unknown = dataset.map_batches(lambda table: table, batch_format="pyarrow", debug=True)
    assert unknown.with_columns(exprs).take_all() == wanted
    assert dataset.with_columns() is dataset
    assert dataset.with_columns(col("a")).take_all() == dataset.take_all()
    with pytest.raises(errors.ColumnNotFoundError, match=r"`x`"):
        dataset.with_columns({"x": col("a"), "y": col("x")}).take_all()


@pytest.mark.parametrize("batch_format", ["pandas", "pyarrow", "numpy"])
def test_a_column_by_a_function(batch_format):
    dataset = rows(a=[1, 2], b=["x", "y"])

    def double(batch):
        if batch_format == "pyarrow":
            return [2 * one for one in batch["a"].to_pylist()]
        return batch["a"] * 2

    new = dataset.add_column("c", double, batch_format=batch_format, concurrency=1)
    assert new.take_all() == [{"a": 1, "b": "x", "c": 2}, {"a": 2, "b": "y", "c": 4}]
    replaced = dataset.add_column("a", double, batch_format=batch_format)
    assert replaced.take_all() == [{"a": 2, "b": "x"}, {"a": 4, "b": "y"}]
    assert "MapBatches(double)" in repr(replaced)


def test_names():
    dataset = raceline.range(3)
    assert dataset.name is None
    dataset.set_name("three")
    assert dataset.name == "three"
    assert repr(dataset).startswith("name: three\nshape: (3, 1)\n")
    assert dataset.limit(1).name is None
    other = raceline.Dataset.copy(dataset)
    other.set_name("other")
    assert dataset.name == "three"
    assert other.take_all() == dataset.take_all()
    dataset.set_name(None)
    assert repr(dataset).startswith("shape: (3, 1)\n")


def test_sizes():
    assert raceline.range(1000).size_bytes() == 8000
    assert rows(a=pa.array([], pa.int64())).size_bytes() == 0
    assert rows(a=pa.array([1, 2], pa.int16())).limit(1).size_bytes() == 2


def test_the_context_is_the_process_s():
    assert raceline.range(3).context is raceline.data.DataContext.get_current()
