"""`max_errored_blocks`: batches and files that a run goes on without."""

import itertools
import os
import subprocess
import sys
import textwrap

import pytest
from opaque import opaque

import raceline
from raceline import errors
from raceline.data import DataContext


@pytest.fixture(autouse=True)
def context():
    context = DataContext.get_current()
    yield context
    context.max_errored_blocks = 0


def fails_for_multiples_of_seven(batch):
    if (batch["id"] % 7 == 0).any():
        raise ValueError("seven")
    return batch


def dataset(**options):
    return raceline.range(30).map_batches(fails_for_multiples_of_seven, batch_size=2, **options)


def ids(rows):
    return [row["id"] for row in rows]


@pytest.mark.parametrize("options", [{}, {"concurrency": (1, 2)}, {"debug": True}])
def test_batches_are_left_out_up_to_the_limit(context, options):
    bad = {number // 2 for number in range(0, 30, 7)}
    for limit in (len(bad), 100, -1):
        context.max_errored_blocks = limit
        tolerant = dataset(**options)
        assert ids(tolerant.take_all()) == [n for n in range(30) if n // 2 not in bad]
        assert f"left out by `max_errored_blocks`: {len(bad)} of MapBatches" in tolerant.stats()
        assert tolerant.count() == 30 - 2 * len(bad)
    for limit in (0, 1, len(bad) - 1):
        context.max_errored_blocks = limit
        with pytest.raises(ValueError, match="seven"):
            dataset(**options).take_all()


def test_a_limit_of_rows_counts_what_is_there(context):
    context.max_errored_blocks = -1

    def fails_for_sevens(row):
        if row["id"] % 7 == 0:
            raise ValueError("seven")
        return row

    # Each row is a batch of its own.
    rows = raceline.range(30).map_batches(opaque(dict), batch_size=1)
    single = rows.map_batches(
        lambda batch: fails_for_sevens({"id": batch["id"][0]}) and batch, batch_size=1
    )
    assert ids(single.take(8)) == [1, 2, 3, 4, 5, 6, 8, 9]
    assert ids(rows.map(opaque(fails_for_sevens)).limit(3).take_all()) == [1, 2, 3]


def test_what_was_yielded_before_stays(context):
    context.max_errored_blocks = 1

    def fails_late(batch):
        yield {"id": batch["id"][:1]}
        fails_for_multiples_of_seven(batch)
        yield {"id": batch["id"][1:]}

    rows = raceline.range(6).map_batches(fails_late, batch_size=2).take_all()
    assert ids(rows) == [0, 2, 3, 4, 5]


def test_rows_that_are_left_out_cost_no_batch(context):
    context.max_errored_blocks = 1
    skipping = raceline.range(30).map_batches(
        fails_for_multiples_of_seven, batch_size=2, on_error="skip"
    )
    assert ids(skipping.take_all()) == [number for number in range(30) if number % 7]
    assert "max_errored_blocks" not in skipping.stats()
    limited = raceline.range(30).map_batches(
        fails_for_multiples_of_seven, batch_size=2, on_error="skip", max_errored_rows=2
    )
    with pytest.raises(ValueError, match="seven"):
        limited.take_all()


def test_a_compiled_function_loses_the_batch_that_python_fails_for(context):
    context.max_errored_blocks = -1
    inverse = raceline.range(10).map(lambda row: {"inverse": 1 / row["id"]})
    assert 0 < inverse.count() < 10
    assert "of Map(<lambda>)" in inverse.stats()


def test_a_worker_that_dies_costs_its_batch(context):
    context.max_errored_blocks = 1

    def dies_at_three(batch):
        if 3 in batch["id"]:
            os._exit(3)
        return batch

    rows = raceline.range(8).map_batches(dies_at_three, batch_size=2, max_retries=1).take_all()
    assert ids(rows) == [0, 1, 4, 5, 6, 7]


def test_a_constructor_that_raises_ends_the_run(context):
    context.max_errored_blocks = -1

    class Unmade:
        def __init__(self):
            raise KeyError("no weights")

        def __call__(self, batch):
            return batch

    for options in ({}, {"debug": True}):
        with pytest.raises(KeyError):
            raceline.range(8).map_batches(Unmade, batch_size=2, **options).take_all()


def test_files_that_cannot_be_read_are_left_out(context, tmp_path):
    for number in range(4):
        raceline.range(5).write_parquet(str(tmp_path / f"{number}"))
    files = sorted(path for path in tmp_path.rglob("*.parquet"))
    broken = bytearray(files[2].read_bytes())
    broken[4:40] = bytes(36)
    files[2].write_bytes(broken)
    read = raceline.read_parquet([str(path) for path in files])
    with pytest.raises(errors.SourceError):
        read.take_all()
    context.max_errored_blocks = 1
    assert ids(read.take_all()) == [*range(5)] * 3
    assert "left out by `max_errored_blocks`: 1 of ReadParquet" in read.stats()


def test_each_loss_is_told_with_how_many_remain():
    program = """
        import raceline
        raceline.init(progress=False, num_cpus=1)
        raceline.data.DataContext.get_current().max_errored_blocks = 2
        def fails(batch):
            raise ValueError("no")
        dataset = raceline.range(6).map_batches(fails, batch_size=2)
        try:
            dataset.count()
        except ValueError:
            print("ended")
        raceline.data.DataContext.get_current().max_errored_blocks = -1
        print(dataset.count())
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert ended.stdout.split() == ["ended", "0"]
    lines = [line for line in ended.stderr.splitlines() if "(MapBatches(fails))" in line]
    loss = (
        "(MapBatches(fails)) function `fails` raised ValueError: no; its batch of 2 rows is left "
        "out, remaining max_errored_blocks: "
    )
    more = "(MapBatches(fails)) more than `max_errored_blocks=2` batches failed"
    assert lines == [f"{loss}1", f"{loss}0", more, *itertools.repeat(f"{loss}no limit", 3)]


@pytest.mark.parametrize("limit", [1.5, "1", True, None])
def test_a_limit_that_is_none_is_refused(context, limit):
    context.max_errored_blocks = limit
    with pytest.raises(errors.PlanError, match="`max_errored_blocks` must be an int"):
        raceline.range(3).take_all()
