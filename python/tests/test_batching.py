"""How the input of batch functions is cut: by rows, bytes and cost."""

import random

import numpy as np
import pyarrow as pa
import pytest
from opaque import opaque

import raceline
from raceline.data import ActorPoolStrategy
from raceline.data.expressions import col
from raceline.errors import ColumnNotFoundError, PlanError


def sizes(batch):
    """What a batch is, as one row."""
    return {
        "rows": [len(batch["id"])],
        "first": [int(batch["id"][0])],
        "bytes": [int(sum(column.nbytes for column in batch.values()))],
    }


def cut(costs, rows_max=None, cost_max=None):
    """Where batches must end, in the plainest way: their rows."""
    batches, rows, cost = [], 0, 0
    for one in costs:
        if rows and (rows == rows_max or (cost_max is not None and cost + one > cost_max)):
            batches, rows, cost = [*batches, rows], 0, 0
        rows, cost = rows + 1, cost + one
        if cost_max is not None and cost >= cost_max:
            batches, rows, cost = [*batches, rows], 0, 0
    return [*batches, rows] if rows else batches


def rows_of(dataset):
    return [row["rows"] for row in dataset.take_all()]


def test_batches_hold_as_many_rows_as_their_bytes_allow():
    seen = raceline.range(1000).map_batches(sizes, batch_bytes=100 * 8 + 7)
    assert [(row["rows"], row["bytes"]) for row in seen.take_all()] == [(100, 800)] * 10


def test_bytes_and_rows_bound_a_batch_together():
    numbers = raceline.range(10)
    assert rows_of(numbers.map_batches(sizes, batch_bytes=800, batch_size=4)) == [4, 4, 2]
    assert rows_of(numbers.map_batches(sizes, batch_bytes=24, batch_size=4)) == [3, 3, 3, 1]


def test_a_row_beyond_the_bound_is_a_batch():
    lengths = [10, 5000, 10, 10]
    texts = raceline.from_items([{"id": at, "t": "x" * n} for at, n in enumerate(lengths)])
    seen = texts.map_batches(lambda batch: {"rows": [len(batch["id"])]}, batch_bytes=100)
    assert rows_of(seen) == [1, 1, 2]


def test_batches_are_cut_the_same_however_rows_come():
    dice = random.Random(7)
    lengths = [dice.choice([0, 3, 40, 700]) for _ in range(500)]
    rows = [{"id": at, "text": "x" * length} for at, length in enumerate(lengths)]
    table = pa.Table.from_pylist(rows)
    expected = cut([8 + 4 + length for length in lengths], cost_max=2000)
    pieces = [table.slice(first, 37) for first in range(0, 500, 37)]
    for dataset in (raceline.from_arrow(table), raceline.from_arrow(pieces)):
        seen = dataset.map_batches(
            opaque(lambda batch: {"rows": [len(batch["id"])]}), batch_bytes=2000
        )
        assert rows_of(seen) == expected


def test_batches_are_cut_by_a_column_of_costs():
    dice = random.Random(3)
    tokens = [dice.randrange(0, 300) for _ in range(700)]
    rows = [{"id": at, "tokens": count} for at, count in enumerate(tokens)]
    dataset = raceline.from_items(rows)
    for rows_max in (None, 5):
        seen = dataset.map_batches(
            sizes, batch_by="tokens", batch_cost=1000, batch_size=rows_max
        ).take_all()
        assert [row["rows"] for row in seen] == cut(tokens, rows_max, 1000)
        firsts = np.cumsum([0] + [row["rows"] for row in seen])[:-1]
        assert [row["first"] for row in seen] == firsts.tolist()


def test_a_cost_is_any_expression_of_numbers():
    seen = raceline.range(6).map_batches(sizes, batch_by=col("id") * 0.5 + 1, batch_cost=3)
    assert rows_of(seen) == cut([1, 1.5, 2, 2.5, 3, 3.5], cost_max=3) == [2, 1, 1, 1, 1]


def test_order_and_rows_are_kept_in_a_pool_behind_other_stages():
    numbers = raceline.range(20_000).filter(expr=col("id") % 3 != 0)
    kept = numbers.map_batches(
        opaque(lambda batch: batch),
        batch_by=col("id") % 17,
        batch_cost=100,
        batch_bytes=300,
        compute=ActorPoolStrategy(size=2),
    )
    assert [row["id"] for row in kept.take_all()] == [n for n in range(20_000) if n % 3]


def test_bounds_hold_between_neighbouring_functions_too():
    doubled = raceline.range(100).map_batches(opaque(lambda batch: batch), batch_size=100)
    assert rows_of(doubled.map_batches(sizes, batch_bytes=56)) == [7] * 14 + [2]
    narrowed = raceline.range(100).map_batches(opaque(lambda batch: batch), batch_bytes=8)
    assert rows_of(narrowed.map_batches(sizes, batch_size=60)) == [60, 40]
    rows = raceline.range(100).map(opaque(lambda row: row))
    assert rows_of(rows.map_batches(sizes, batch_bytes=400)) == [50, 50]
    kept = raceline.range(100).filter(opaque(lambda row: row["id"] % 3 != 0))
    assert rows_of(kept.map_batches(sizes, batch_size=30)) == [30, 30, 6]
    ragged = raceline.from_items([{"id": at} for at in range(10)]).map_batches(opaque(dict))
    assert rows_of(ragged.map_batches(sizes, batch_size=4)) == [4, 4, 2]


def test_a_batch_that_is_cut_by_cost_is_run_again_whole(tmp_path):
    import os

    def dies_once(batch):
        mark = tmp_path / "died"
        if 7 in batch["id"].tolist() and not mark.exists():
            mark.touch()
            os._exit(1)
        return {"rows": [len(batch["id"])]}

    seen = raceline.range(20).map_batches(dies_once, batch_by=col("id"), batch_cost=20)
    assert rows_of(seen) == cut(list(range(20)), cost_max=20)


def test_a_failing_row_is_left_out_alone():
    def picky(batch):
        if 7 in batch["id"].tolist():
            raise ValueError("seven")
        return batch

    kept = raceline.range(20).map_batches(picky, batch_bytes=64, on_error="skip")
    assert [row["id"] for row in kept.take_all()] == [n for n in range(20) if n != 7]


@pytest.mark.parametrize(("cost", "text"), [(None, "null"), (-1.0, "-1"), (float("nan"), "NaN")])
def test_a_cost_that_is_none_is_an_error_with_its_row(cost, text):
    rows = raceline.from_items([{"id": at, "cost": 1.0 if at != 2 else cost} for at in range(4)])
    with pytest.raises(PlanError, match=rf"^a row costs `{text}`") as error:
        rows.map_batches(sizes, batch_by="cost", batch_cost=2).take_all()
    assert (error.value.stage, error.value.rows) == ("MapBatches(sizes)", (2, 2))


def test_what_cannot_be_a_cost_is_refused_before_anything_runs():
    rows = raceline.from_items([{"id": 1, "text": "x"}])
    with pytest.raises(PlanError, match=r"^cost `text` is of type `Utf8`, not a number"):
        rows.map_batches(sizes, batch_by="text", batch_cost=2).take_all()
    with pytest.raises(ColumnNotFoundError, match="did you mean `text`"):
        rows.map_batches(sizes, batch_by="txt", batch_cost=2).take_all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch_bytes": 0}, "`batch_bytes` must be an int of at least 1, got `0`"),
        ({"batch_bytes": 1.5}, "`batch_bytes` must be an int of at least 1, got `1.5`"),
        ({"batch_by": "id"}, "`batch_by` and `batch_cost` go together"),
        ({"batch_cost": 3}, "`batch_by` and `batch_cost` go together"),
        ({"batch_by": 3, "batch_cost": 3}, "`batch_by` must be a column's name or an expression"),
        ({"batch_by": "id", "batch_cost": 0}, "`batch_cost` must be a positive number, got `0`"),
        ({"batch_by": "id", "batch_cost": "9"}, "`batch_cost` must be a positive number"),
        ({"batch_by": "id", "batch_cost": 10**400}, "`batch_cost` must be a positive number"),
        (
            {"batch_by": "id", "batch_cost": float("inf")},
            "`batch_cost` must be a positive number, got `inf`",
        ),
    ],
)
def test_bounds_that_make_no_sense_are_refused_at_the_call(options, text):
    with pytest.raises(PlanError) as error:
        raceline.range(1).map_batches(sizes, **options)
    assert str(error.value).startswith(text)


def test_explain_says_why_such_a_function_is_not_compiled():
    plan = raceline.range(3).map_batches(lambda b: {"id": b["id"] + 1}, batch_bytes=16)
    assert "process: its batches are cut by weight" in _explained(plan)


def _explained(dataset):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as out:
        dataset.explain()
    return out.getvalue()


def test_auto_finds_a_size_and_the_next_run_begins_with_it():
    import re
    import time

    def slow(batch):
        time.sleep(0.003)
        return {"rows": [len(batch["id"])]}

    def found(rows):
        dataset = raceline.range(rows).map_batches(slow, batch_size="auto", concurrency=2)
        sizes = rows_of(dataset)
        assert sum(sizes) == rows
        text = re.search(r"fastest batches so far: ([\d,]+) rows", dataset.stats())
        return sizes, int(text[1].replace(",", ""))

    sizes, first = found(60_000)
    assert first > 256
    assert set(sizes[:5]) == {256}
    # Few rows are shared among the workers all the same.
    sizes, again = found(2_000)
    assert again == first
    assert len(sizes) >= 2


def test_auto_keeps_order_and_waits_for_no_batch_to_fill():
    numbers = raceline.range(10).map(opaque(lambda row: row))
    same = numbers.map_batches(opaque(lambda batch: batch), batch_size="auto")
    assert [row["id"] for row in same.take_all()] == list(range(10))
    many = raceline.range(100_000).map_batches(
        opaque(lambda batch: batch), batch_size="auto", compute=ActorPoolStrategy(size=2)
    )
    assert [row["id"] for row in many.iter_rows()] == list(range(100_000))


def test_auto_goes_with_no_other_bound():
    with pytest.raises(PlanError, match=r'^`batch_size="auto"` goes with no other bound'):
        raceline.range(1).map_batches(sizes, batch_size="auto", batch_bytes=10)
