"""Chains of user functions, run in this process."""

from __future__ import annotations

import pickle
import threading
from collections import UserDict
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from worker_batches import rows_of

from raceline._chain import Chain, describe
from raceline._function import FunctionError
from raceline._native import WorkerBatch, value_to_batches
from raceline._udf import dumps, function_name


def ids(rows: int) -> WorkerBatch:
    [batch] = value_to_batches({"id": np.arange(rows)})
    return batch


def run(batch: WorkerBatch, *payloads: bytes) -> list[Any]:
    return [row for output in Chain(list(payloads)).run(batch) for row in rows_of(output)]


def failure(batch: WorkerBatch, *payloads: bytes) -> tuple[str, str, int | None, str | None]:
    """Type, message, row and function of what the chain raises."""
    with pytest.raises(FunctionError) as raised:
        run(batch, *payloads)
    type_name, message, _, _, row, function = describe(raised.value)
    return type_name, message, row, function


def test_row_functions_follow_one_another() -> None:
    chain = [
        dumps("map", lambda row: {"v": row["id"] * 2}),
        dumps("filter", lambda row: row["v"] % 4 == 0),
        dumps("flat_map", lambda row: [row, {"v": -row["v"]}]),
    ]
    assert run(ids(4), *chain) == [{"v": 0}, {"v": 0}, {"v": 4}, {"v": -4}]


def test_scalars_make_plain_values() -> None:
    double = dumps("map", lambda x: x * 2, row_is_value=True)
    assert run(ids(3), double) == [0, 2, 4]
    assert run(ids(3), double, dumps("filter", lambda x: x > 0), double) == [4, 8]
    back = dumps("map", lambda x: {"x": x})
    assert run(ids(3), double, back) == [{"x": 0}, {"x": 2}, {"x": 4}]
    assert run(ids(3), double, back, double) == [0, 4, 8]


def test_a_row_is_its_value_only_where_there_is_one_column() -> None:
    [batch] = value_to_batches({"a": [1], "b": [2]})
    assert run(batch, dumps("map", lambda row: row["a"], row_is_value=True)) == [1]
    assert run(ids(4), dumps("filter", lambda x: x % 2, row_is_value=True)) == [
        {"id": 1},
        {"id": 3},
    ]


def test_a_filter_keeps_types() -> None:
    [batch] = value_to_batches({"x": np.arange(4, dtype="i1")})
    [kept] = Chain([dumps("filter", lambda row: row["x"] > 1)]).run(batch)
    assert kept.numpy()["x"].dtype == np.int8


def test_nothing_left_after_a_map_is_no_batch() -> None:
    chain = [dumps("map", lambda row: row), dumps("filter", lambda row: False)]
    assert list(Chain(chain).run(ids(3))) == []


def test_a_key_is_a_column() -> None:
    key = dumps("key", lambda row: row["id"] // 2, key_column="k")
    assert run(ids(3), key) == [{"id": 0, "k": 0}, {"id": 1, "k": 0}, {"id": 2, "k": 1}]
    type_name, message, _, _ = failure(ids(3), key, key)
    assert type_name == "ValueError"
    assert message.startswith("`groupby` of a function makes a column `k`, which exists already")


def test_a_key_of_made_rows_and_of_plain_values() -> None:
    double = dumps("map", lambda x: x * 2, row_is_value=True)
    key = dumps("key", lambda x: x % 4, row_is_value=True)
    assert run(ids(3), double, key) == [
        {"item": 0, "key": 0},
        {"item": 2, "key": 2},
        {"item": 4, "key": 0},
    ]
    twice = dumps("flat_map", lambda row: [row, row])
    odd = dumps("filter", lambda row: row["id"] % 2)
    assert run(ids(2), twice, odd, dumps("key", lambda row: -row["id"])) == [
        {"id": 1, "key": -1},
        {"id": 1, "key": -1},
    ]


def test_a_key_may_change_its_type_far_into_a_batch() -> None:
    key = dumps("key", lambda row: row["id"] if row["id"] < 1500 else row["id"] + 0.5)
    assert [row["key"] for row in run(ids(2000), key)][1499:1501] == [1499, 1500.5]


def test_rows_of_no_column_and_of_many() -> None:
    [batch] = value_to_batches({f"c{n}": [n] for n in range(1000)})
    total = dumps("map", lambda row: {"sum": sum(row.values()), "width": len(row)})
    assert run(batch, total) == [{"sum": 499500, "width": 1000}]
    assert run(ids(2), dumps("map", lambda row: {}), total) == [{"sum": 0, "width": 0}] * 2


def test_columns_may_change_from_batch_to_batch() -> None:
    chain = Chain([dumps("map", lambda row: {"sum": sum(row.values())})])
    for round_ in range(200):
        [batch] = value_to_batches({f"c{round_}": [1, 2], "x": [10, 20]})
        assert [rows_of(output) for output in chain.run(batch)] == [[{"sum": 11}, {"sum": 22}]]


def test_functions_stand_in_one_another_deeply() -> None:
    same = dumps("flat_map", lambda row: [row])
    assert run(ids(3), *[same] * 40) == [{"id": 0}, {"id": 1}, {"id": 2}]


def test_a_function_may_change_the_row_it_is_given() -> None:
    def add(row: dict[str, int]) -> dict[str, int]:
        row["more"] = row.pop("id") + 1
        return row

    keep = dumps("filter", lambda row: row.setdefault("id", 5) < 3)
    assert run(ids(5), keep, dumps("map", add)) == [{"more": 1}, {"more": 2}, {"more": 3}]


def test_arguments_reach_functions_and_constructors() -> None:
    class Adder:
        def __init__(self, a: int, b: int = 0) -> None:
            self.sum = a + b

        def __call__(self, row: dict[str, int], c: int, d: int = 0) -> dict[str, int]:
            return {"x": row["id"] + self.sum + c + d}

    payload = dumps(
        "map",
        Adder,
        fn_constructor_args=[1],
        fn_constructor_kwargs={"b": 10},
        fn_args=[100],
        fn_kwargs={"d": 1000},
    )
    assert run(ids(1), payload) == [{"x": 1111}]


@pytest.mark.parametrize("batch_format", ["numpy", "default", "pandas", "pyarrow", None])
def test_batch_formats(batch_format: str | None) -> None:
    if batch_format not in ("numpy", "default"):
        pytest.importorskip("pandas")
        pytest.importorskip("pyarrow")

    def same(batch: Any) -> Any:
        kinds = {"numpy": dict, "default": dict, "pandas": "DataFrame"}
        wanted = kinds.get(batch_format or "", "Table")
        assert type(batch) is wanted or type(batch).__name__ == wanted
        return batch

    assert run(ids(2), dumps("map_batches", same, batch_format=batch_format)) == [
        {"id": 0},
        {"id": 1},
    ]


def test_batches_are_cut_and_generators_stream() -> None:
    def sizes(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield {"n": [len(batch["id"])]}
        yield {"n": [-1]}

    rows = run(ids(5), dumps("map_batches", sizes, batch_size=2))
    assert [row["n"] for row in rows] == [2, -1, 2, -1, 1, -1]


def test_a_generator_may_reuse_its_array() -> None:
    def fill(batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        buffer = np.empty(2)
        for value in range(3):
            buffer[:] = value
            yield {"x": buffer}

    outputs = Chain([dumps("map_batches", fill)]).run(ids(1))
    assert [rows_of(output) for output in outputs] == [[{"x": float(v)}] * 2 for v in range(3)]


def test_writable_batches_on_request() -> None:
    def add(batch: dict[str, Any]) -> dict[str, Any]:
        batch["id"] += 1
        return batch

    assert run(ids(2), dumps("map_batches", add, zero_copy_batch=False)) == [{"id": 1}, {"id": 2}]
    type_name, message, _, _ = failure(ids(2), dumps("map_batches", add))
    assert (type_name, "read-only" in message) == ("ValueError", True)


# Failures.


def test_a_failure_names_function_row_and_type() -> None:
    def invert(row: dict[str, int]) -> dict[str, float]:
        return {"x": 1 / (row["id"] - 2)}

    assert failure(ids(4), dumps("map", invert)) == (
        "ZeroDivisionError",
        "division by zero",
        2,
        "invert",
    )


def test_rows_are_found_through_filters_and_flat_maps() -> None:
    odd = dumps("filter", lambda row: row["id"] % 2)
    twice = dumps("flat_map", lambda row: [row, row])
    fail = dumps("map", lambda row: {"x": 1 // (row["id"] - 5)})
    assert failure(ids(8), odd, fail)[2] == 5
    assert failure(ids(8), twice, odd, twice, fail)[2] == 5
    assert failure(ids(8), odd, dumps("flat_map", lambda row: [1 // (row["id"] - 3)]))[2] == 3
    unknown = dumps("map_batches", lambda batch: batch)
    assert failure(ids(8), unknown, fail)[2] is None


def test_what_fails_after_a_failure_is_told_apart() -> None:
    def stop(row: Any) -> Any:
        return next(iter([]))

    assert failure(ids(3), dumps("map", lambda row: row), dumps("map", stop)) == (
        "RuntimeError",
        "the function raised StopIteration",
        0,
        "stop",
    )
    # A function without frames of its own.
    assert failure(ids(3), dumps("map", lambda row: row["id"]), dumps("map", len)) == (
        "TypeError",
        "object of type 'int' has no len()",
        0,
        "len",
    )

    def broken(row: Any) -> Iterator[Any]:
        yield row
        raise OSError("half-way")

    assert failure(ids(3), dumps("flat_map", broken), dumps("filter", len))[0::3] == (
        "OSError",
        "broken",
    )


def test_the_traceback_begins_with_the_users_frame() -> None:
    def outer(row: Any) -> Any:
        return inner(row)

    def inner(row: Any) -> Any:
        raise KeyError("deep")

    with pytest.raises(FunctionError) as raised:
        run(ids(1), dumps("map", outer))
    _, message, text, pickled, _, _ = describe(raised.value)
    lines = text.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith("in outer") and lines[-1] == "KeyError: 'deep'"
    assert "/_chain.py" not in text
    assert message == "'deep'"
    assert isinstance(pickle.loads(pickled or b""), KeyError)


def test_an_exception_that_cannot_be_pickled_is_described_all_the_same() -> None:
    class Locked(Exception):
        def __init__(self, lock: Any) -> None:
            super().__init__(lock)

        def __str__(self) -> str:
            return "held"

    def fail(row: Any) -> Any:
        raise Locked(threading.Lock())

    with pytest.raises(FunctionError) as raised:
        run(ids(1), dumps("map", fail))
    type_name, message, _, pickled, _, _ = describe(raised.value)
    assert (type_name.rpartition(".")[2], message, pickled) == ("Locked", "held", None)


NONE = "None for a {}\n  hint: did you forget `return`?"
NEITHER = "`{}` for a row, which is neither a dict nor a plain value\n"
MIXED = "`{}` for one row and `{}` for another\n"
NO_ROWS = "`{}` for a row, not a list of rows\n"
NO_COLUMNS = "`{}` for a batch, not a dict of columns\n"

# What a function is, what it returned in the message, and the row.
REFUSED: list[tuple[str, Callable[[Any], Any], str, int | None]] = [
    ("map", lambda row: None, NONE.format("row"), 0),
    ("map", lambda row: [1], NEITHER.format("list"), 0),
    ("map", lambda row: np.ones(2), NEITHER.format("ndarray"), 0),
    ("map", lambda row: {"a": 1} if row["id"] < 2 else 1, MIXED.format("dict", "int"), 2),
    ("map", lambda row: 1 if row["id"] < 1 else UserDict(), MIXED.format("int", "UserDict"), 1),
    (
        "map",
        lambda row: {"a": 1} if row["id"] % 2 == 0 else np.ones(2),
        NEITHER.format("ndarray"),
        1,
    ),
    ("flat_map", lambda row: "ab", NO_ROWS.format("str"), 0),
    ("flat_map", lambda row: {"a": 1}, NO_ROWS.format("dict"), 0),
    ("flat_map", lambda row: None, NO_ROWS.format("NoneType"), 0),
    ("flat_map", lambda row: [None], NONE.format("row"), 0),
    ("filter", lambda row: np.ones(2), "`ndarray` for a row, which is neither true nor false\n", 0),
    ("map_batches", lambda batch: None, NONE.format("batch"), None),
    ("map_batches", lambda batch: [1], NO_COLUMNS.format("list"), None),
    ("map_batches", lambda batch: batch["id"], NO_COLUMNS.format("ndarray"), None),
]


@pytest.mark.parametrize(("kind", "function", "text", "row"), REFUSED)
def test_wrong_returns_say_what_to_do(
    kind: Any, function: Callable[[Any], Any], text: str, row: int | None
) -> None:
    type_name, message, at, name = failure(ids(3), dumps(kind, function))
    assert message.startswith(f"`<lambda>` returned {text}")
    assert "\n  hint: " in message
    assert (type_name, at, name) == ("ValueError", row, "<lambda>")


def test_wrong_batches_are_named_as_well() -> None:
    def nothing(batch: Any) -> Iterator[None]:
        yield None

    assert failure(ids(3), dumps("map_batches", nothing)) == (
        "ValueError",
        "`nothing` yielded None for a batch\n  hint: did you forget `return`?",
        None,
        "nothing",
    )

    def ragged(batch: Any) -> dict[str, list[int]]:
        return {"a": [1], "b": [1, 2]}

    type_name, message, _, function = failure(ids(3), dumps("map_batches", ragged))
    assert message.startswith("columns of one batch differ in length: `a` has 1, `b` has 2\n")
    assert (type_name, function) == ("ValueError", "ragged")


def test_windows_of_different_forms_are_refused() -> None:
    mixed = dumps("map", lambda row: {"a": 1} if row["id"] < 1024 else 1)
    _, message, row, _ = failure(ids(2000), mixed)
    assert message.startswith("`<lambda>` returned `dict` for one row and `int` for another\n")
    assert row == 1024


def test_many_rows_pass_in_windows() -> None:
    chain = [
        dumps("filter", lambda row: row["id"] % 2 == 1),
        dumps("map", lambda row: {"v": row["id"]} if row["id"] < 2000 else {"w": row["id"]}),
    ]
    rows = run(ids(5000), *chain)
    assert rows == [
        {"v": n, "w": None} if n < 2000 else {"v": None, "w": n} for n in range(1, 5000, 2)
    ]
    fail = dumps("map", lambda row: {"x": 1 // (row["id"] - 4321)})
    assert failure(ids(5000), chain[0], fail)[2] == 4321


def test_functions_that_multiply_rows_stream() -> None:
    explode = dumps("flat_map", lambda row: [{"n": n} for n in range(1000)])
    outputs = [output.num_rows for output in Chain([explode]).run(ids(3000))]
    assert sum(outputs) == 3_000_000
    assert len(outputs) > 1


def test_a_constructor_that_fails_is_named() -> None:
    class Broken:
        def __init__(self) -> None:
            raise RuntimeError("no model")

        def __call__(self, row: Any) -> Any:
            return row

    with pytest.raises(FunctionError) as raised:
        Chain([dumps("map", Broken)])
    type_name, message, text, *_, function = describe(raised.value)
    assert (type_name, message, function) == ("RuntimeError", "no model", "Broken")
    assert "in __init__" in text


def test_what_cannot_be_pickled_is_refused_by_name() -> None:
    lock = threading.Lock()

    def guarded(row: Any) -> Any:
        with lock:
            return row

    with pytest.raises(TypeError, match="`guarded` cannot be sent to a worker process"):
        dumps("map", guarded)


def test_names() -> None:
    from functools import partial

    class Model:
        def __call__(self, row: Any) -> Any:
            return row

    assert [function_name(f) for f in (len, Model, Model(), partial(partial(len)))] == [
        "len",
        "Model",
        "Model",
        "len",
    ]
