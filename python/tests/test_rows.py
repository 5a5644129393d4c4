"""Row functions, plain values, and what leaves a dataset row by row."""

import functools

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.data import ActorPoolStrategy, TaskPoolStrategy


class Add:
    """A callable class; counts the calls of one object."""

    def __init__(self, amount, *, times=1):
        self.amount = amount
        self.times = times

    def __call__(self, row):
        return {"id": row["id"] + self.amount * self.times}


class Identity:
    def __call__(self, row):
        return row


def test_the_quick_check():
    assert raceline.range(1000).map(lambda x: x * 2).take(5) == [0, 2, 4, 6, 8]


def test_a_map_to_dicts():
    doubled = raceline.range(1000).map(lambda x: {"value": x["id"] * 2})
    assert doubled.take(3) == [{"value": 0}, {"value": 2}, {"value": 4}]
    assert doubled.count() == 1000


@pytest.mark.parametrize("form", [lambda f: f, opaque], ids=["maybe compiled", "in Python"])
def test_plain_values_go_through_further_functions(form):
    values = raceline.range(10).map(form(lambda row: row["id"] * 0.5))
    assert values.take(2) == [0.0, 0.5]
    assert values.filter(form(lambda x: x > 3.5)).take_all() == [4.0, 4.5]
    assert values.map(form(lambda x: {"x": x})).take(1) == [{"x": 0.0}]
    assert values.flat_map(opaque(lambda x: [x, x])).take(4) == [0.0, 0.0, 0.5, 0.5]
    assert values.columns() == ["item"]


def test_plain_values_may_be_strings():
    assert raceline.range(3).map(lambda row: f"#{row['id']}").take_all() == ["#0", "#1", "#2"]


def test_order_is_kept_across_batches_and_workers():
    count = 20_000
    kept = raceline.range(count).map(opaque(lambda row: row), concurrency=2)
    assert [row["id"] for row in kept.iter_rows()] == list(range(count))


def test_flat_map_takes_lists_generators_and_nothing():
    def repeat(row):
        for _ in range(row["id"]):
            yield {"id": row["id"]}

    assert [row["id"] for row in raceline.range(4).flat_map(repeat).take_all()] == [
        1,
        2,
        2,
        3,
        3,
        3,
    ]
    assert raceline.range(4).flat_map(lambda row: []).take_all() == []


def test_filter_takes_any_truth():
    assert raceline.range(4).filter(opaque(lambda row: row["id"] % 2)).count() == 2
    assert raceline.range(4).filter(opaque(lambda row: None)).count() == 0


def test_rows_may_lack_keys_and_hold_none():
    rows = raceline.range(3).map(
        opaque(lambda row: {"a": row["id"]} if row["id"] else {"b": None, "c": "x"})
    )
    assert rows.take_all() == [
        {"b": None, "c": "x", "a": None},
        {"b": None, "c": None, "a": 1},
        {"b": None, "c": None, "a": 2},
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"fn_constructor_args": [10]},
        {"fn_constructor_args": [5], "fn_constructor_kwargs": {"times": 2}},
        {"fn_constructor_args": [10], "concurrency": 2},
        {"fn_constructor_args": [10], "concurrency": (1, 2)},
        {"fn_constructor_args": [10], "concurrency": (1, 2, 2)},
        {"fn_constructor_args": [10], "compute": ActorPoolStrategy(size=2)},
        {"fn_constructor_args": [10], "compute": ActorPoolStrategy(min_size=1, max_size=2)},
        {"fn_constructor_args": [10], "compute": "actors", "num_cpus": 0.5},
        {"fn_constructor_args": [10], "num_gpus": 0.5},
    ],
    ids=str,
)
def test_a_class_is_constructed_in_its_workers(arguments):
    added = raceline.range(100).map(Add, **arguments)
    assert [row["id"] for row in added.take_all()] == list(range(10, 110))


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"concurrency": 1},
        {"compute": TaskPoolStrategy(2)},
        {"compute": "tasks"},
        {"compute": ActorPoolStrategy(size=2)},
        {"num_cpus": 2},
        {"memory": 1_000_000},
    ],
    ids=str,
)
def test_a_function_runs_in_any_pool(arguments):
    added = raceline.range(100).map(opaque(lambda row: {"id": row["id"] + 1}), **arguments)
    assert [row["id"] for row in added.take_all()] == list(range(1, 101))


def test_an_object_that_can_be_called_is_a_function():
    assert raceline.range(1).map(Add(3)).take_all() == [{"id": 3}]


def test_partial_methods_and_builtins_are_functions():
    def add(row, amount):
        return {"id": row["id"] + amount}

    assert raceline.range(1).map(functools.partial(add, amount=2)).take_all() == [{"id": 2}]
    assert raceline.range(1).map(Add(3).__call__).take_all() == [{"id": 3}]
    assert raceline.range(2).map(len).take_all() == [1, 1]


def test_functions_get_extra_arguments():
    added = raceline.range(2).map(
        lambda row, a, b: {"id": row["id"] + a * b}, fn_args=[2], fn_kwargs={"b": 5}
    )
    assert added.take_all() == [{"id": 10}, {"id": 11}]


def test_gpus_are_pinned():
    def device(row):
        import os

        return {"gpu": os.environ["CUDA_VISIBLE_DEVICES"]}

    devices = {row["gpu"] for row in raceline.range(4).map(device, num_gpus=1).take_all()}
    assert devices
    assert devices <= {str(index) for index in range(8)}


def test_take_show_and_limits(capsys):
    rows = raceline.range(5)
    assert len(rows.take()) == 5
    assert rows.take(0) == []
    assert rows.take_all(limit=5) == rows.take(9)
    with pytest.raises(ValueError, match=r"^the dataset has more than the allowed 4 rows$"):
        rows.take_all(limit=4)
    rows.show(2)
    assert capsys.readouterr().out == "{'id': 0}\n{'id': 1}\n"


def test_take_stops_the_run_early():
    slow = raceline.range(10_000_000_000).map(opaque(lambda row: row))
    assert slow.take(1) == [{"id": 0}]


def test_iterating_twice_runs_twice():
    rows = raceline.range(3).iter_rows()
    assert list(rows) == list(rows) == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_breaking_out_of_an_iteration_leaves_a_usable_session():
    for row in raceline.range(10_000_000).map(opaque(lambda row: row)).iter_rows():
        if row["id"] == 3:
            break
    assert raceline.range(2).count() == 2


def test_rows_hold_python_values():
    items = [
        {"i": 1, "f": 0.5, "s": "x", "b": b"y", "t": True, "n": None, "l": [1, 2], "d": {"k": 1}}
    ]
    assert raceline.from_items(items).take_all() == items
    assert [type(value) for value in raceline.from_items(items).take(1)[0].values()] == [
        type(value) for value in items[0].values()
    ]


def test_arrays_in_rows_stay_arrays():
    row = raceline.range(1).map(lambda row: {"a": np.full((2, 3), row["id"])}).take(1)[0]
    assert row["a"].shape == (2, 3)


def test_columns_order_and_rows_are_shaped():
    rows = raceline.from_items([{"a": 2, "b": "x"}, {"a": 1, "b": "y"}, {"a": None, "b": "z"}])
    assert rows.select_columns(["b", "a"]).columns() == ["b", "a"]
    assert rows.select_columns("b").take(1) == [{"b": "x"}]
    assert rows.drop_columns(["a"]).columns() == ["b"]
    assert rows.drop_columns([]).columns() == ["a", "b"]
    assert rows.rename_columns({"b": "name"}).columns() == ["a", "name"]
    assert rows.rename_columns(["x", "y"]).columns() == ["x", "y"]
    assert [row["a"] for row in rows.sort("a").take_all()] == [1, 2, None]
    assert [row["a"] for row in rows.sort("a", descending=True).take_all()] == [2, 1, None]
    assert rows.limit(1).count() == 1
    assert rows.limit(0).take_all() == []


def test_sort_by_several_columns():
    rows = raceline.from_items([{"a": i % 2, "b": i} for i in range(4)])
    ordered = rows.sort(["a", "b"], descending=[False, True]).take_all()
    assert [(row["a"], row["b"]) for row in ordered] == [(0, 2), (0, 0), (1, 3), (1, 1)]


def test_union_follows_the_order_of_its_inputs():
    parts = [raceline.range(2), raceline.range(1)]
    both = raceline.range(3).union(*parts)
    assert [row["id"] for row in both.take_all()] == [0, 1, 2, 0, 1, 0]
    assert raceline.range(3).union(parts).count() == 6


def test_repartition_keeps_the_rows_in_order():
    parts = list(raceline.range(10).repartition(3).iter_batches(batch_size=None))
    assert len(parts) == 3
    assert [value for part in parts for value in part["id"]] == list(range(10))


def test_materialized_rows_are_not_computed_again():
    def stamp(row):
        import uuid

        return {"stamp": uuid.uuid4().hex}

    stamps = raceline.range(3).map(stamp)
    assert stamps.take_all() != stamps.take_all()
    kept = stamps.materialize()
    assert kept.take_all() == kept.take_all()
    assert kept.count() == 3


def test_a_dataset_is_true_and_has_no_length_and_no_iterator():
    assert raceline.range(0)
    with pytest.raises(AttributeError, match=r"use `count\(\)`$"):
        len(raceline.range(3))
    with pytest.raises(TypeError, match=r"use `iter_rows\(\)` or `iter_batches\(\)`$"):
        iter(raceline.range(3))


def test_explain_names_the_lane_of_each_function(capsys):
    compiled = raceline.range(3).map(lambda row: {"x": row["id"] + 1})
    compiled.filter(opaque(lambda row: True)).explain()
    text = capsys.readouterr().out
    assert "Logical Plan" in text
    assert "Physical Plan" in text
    assert "compiled" in text
    assert "process" in text


def test_stats_tell_of_the_last_run():
    rows = raceline.range(1000).map(opaque(lambda row: row))
    assert rows.stats() == ""
    rows.take_all()
    assert "1000" in rows.stats().replace(",", "")
