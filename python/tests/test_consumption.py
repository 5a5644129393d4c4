"""What running a dataset tells afterwards, and what it needs before."""

import sys

import pytest

import raceline
from raceline.errors import PlanError, ResourceError, UdfError


@pytest.mark.parametrize(
    "consume",
    [
        lambda rows: rows.take(2),
        lambda rows: rows.take_all(10),
        lambda rows: rows.take_batch(2),
        lambda rows: rows.to_pandas(limit=10),
        lambda rows: rows.sum("id"),
        lambda rows: rows.unique("id"),
        lambda rows: rows.take_all(),
        lambda rows: list(rows.iter_batches()),
        lambda rows: rows.materialize(),
    ],
)
def test_stats_tell_of_every_run(consume):
    rows = raceline.range(5)
    assert rows.stats() == ""
    consume(rows)
    assert "Range" in rows.stats()


def test_stats_of_a_dataset_do_not_tell_of_what_was_derived_from_it():
    rows = raceline.range(5)
    rows.limit(2).take_all()
    assert rows.stats() == ""


@pytest.mark.parametrize(
    ("demand", "text"),
    [
        ({"num_gpus": 9}, "asks for 9 of `num_gpus` for each worker, the session has 8"),
        ({"num_cpus": 3}, "asks for 3 of `num_cpus` for each worker, the session has 2"),
        ({"memory": 1e18}, "asks for 1000000000000000000 of `memory` for each worker"),
        ({"resources": {"disk": 1}}, "asks for 1 of `disk` for each worker, the session has 0"),
    ],
)
def test_resources_that_are_not_there_do_not_wait_for_the_data_to_decide(demand, text):
    compiled = raceline.range(3).map(lambda row: {"x": row["id"] + 1}, **demand)
    called = raceline.range(3).map(lambda row: {"x": str(row["id"])}, **demand)
    for dataset in (compiled, called):
        with pytest.raises(ResourceError) as caught:
            dataset.take_all()
        assert f"stage `Map(<lambda>)` {text}" in str(caught.value)


def test_types_that_are_used_as_functions():
    rows = raceline.from_items([0, 3])
    assert rows.map(lambda row: row["item"]).filter(bool).take_all() == [3]
    assert rows.map(lambda row: row["item"]).map(str).take_all() == ["0", "3"]
    assert rows.map(dict).take_all() == [{"item": 0}, {"item": 3}]
    assert rows.flat_map(list, concurrency=1).take_all() == ["item", "item"]


def test_a_class_without_call_is_still_told_of():
    class Model:
        pass

    with pytest.raises(PlanError, match=r"^class `Model` has no `__call__` method"):
        raceline.range(3).map(Model)


def leave(row):
    if row["id"] == 4:
        sys.exit(3)
    return row


def interrupt(row):
    if row["id"] == 4:
        raise KeyboardInterrupt
    return row


@pytest.mark.parametrize(
    ("fn", "raised"), [(leave, "SystemExit: 3"), (interrupt, "KeyboardInterrupt")]
)
def test_exits_and_interrupts_name_the_function_and_the_row(fn, raised):
    dataset = raceline.range(10).map(fn)
    with pytest.raises(UdfError) as caught:
        dataset.take_all()
    assert str(caught.value).startswith(f"function `{fn.__name__}` raised {raised}")
    assert caught.value.rows == (4, 4)


def test_a_batch_function_and_a_constructor_that_exit_are_named():
    class Model:
        def __init__(self):
            sys.exit(3)

        def __call__(self, batch):
            return batch

    def stop(batch):
        sys.exit(3)

    for fn in (Model, stop):
        with pytest.raises(UdfError, match=f"function `{fn.__name__}` raised SystemExit: 3"):
            raceline.range(3).map_batches(fn).take_all()
