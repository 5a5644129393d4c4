"""Where the time of a run went: known times turn up in the right column."""

import asyncio
import json
import time

import numpy as np
import pytest
from opaque import opaque

import raceline

NAP_S = 0.05


def stage_of(dataset, name):
    [stage] = [stage for stage in dataset.profile().stages if name in stage.name]
    return stage


def naps(batch):
    time.sleep(NAP_S)
    return batch


def naps_and_yields(batch):
    time.sleep(NAP_S)
    yield batch


def naps_between(batch):
    yield {"id": batch["id"][:1]}
    time.sleep(NAP_S)
    yield {"id": batch["id"][1:]}


def nap_of_row(row):
    time.sleep(NAP_S / 2)
    return row


def naps_and_fails(batch):
    time.sleep(NAP_S)
    raise ValueError("no")


class Napping:
    def __init__(self):
        time.sleep(NAP_S * 4)

    def __call__(self, batch):
        return naps(batch)


class SlowToConvert:
    """Something that NumPy takes long to make an array of."""

    def __array__(self, dtype=None, copy=None):
        time.sleep(NAP_S)
        return np.zeros(2)


@pytest.mark.parametrize("options", [{"concurrency": 1}, {"debug": True}], ids=["worker", "caller"])
@pytest.mark.parametrize(
    ("method", "function", "batching"),
    [
        ("map_batches", naps, {"batch_size": 2}),
        ("map_batches", naps_and_yields, {"batch_size": 2}),
        ("map_batches", naps_between, {"batch_size": 2}),
        ("map_batches", Napping, {"batch_size": 2}),
        ("map", nap_of_row, {}),
        ("filter", nap_of_row, {}),
        ("flat_map", lambda row: [nap_of_row(row)], {}),
    ],
)
def test_a_sleep_is_time_of_the_function(method, function, batching, options):
    dataset = getattr(raceline.range(8), method)(function, **batching, **options)
    assert dataset.count() == 8
    stage = stage_of(dataset, "Map" if method != "filter" else "Filter")
    assert NAP_S * 4 <= stage.function_s
    assert stage.conversion_s < stage.function_s / 2
    assert stage.transfer_s < stage.function_s / 2
    if function is not Napping:  # a constructor is counted nowhere, and waited for where it runs
        parts_s = stage.function_s + stage.conversion_s + stage.transfer_s
        assert parts_s == pytest.approx(stage.busy_s, abs=stage.function_s / 2)


@pytest.mark.parametrize("options", [{"concurrency": 1}, {"debug": True}], ids=["worker", "caller"])
def test_making_arrays_is_conversion(options):
    def slow_to_convert(batch):
        return {"column": SlowToConvert()}

    dataset = raceline.range(8).map_batches(slow_to_convert, batch_size=2, **options)
    assert dataset.count() == 8
    stage = stage_of(dataset, "Map")
    assert NAP_S * 4 <= stage.conversion_s
    assert stage.function_s < stage.conversion_s / 2


def test_waiting_for_a_slow_stage_is_queue():
    source = raceline.range(8).map_batches(naps, batch_size=2, concurrency=1)
    dataset = source.map_batches(opaque(dict), batch_size=2, concurrency=(1, 1))
    assert dataset.count() == 8
    [_, slow, quick] = dataset.profile().stages[:3]
    assert quick.queue_s > NAP_S * 2
    assert quick.function_s < quick.queue_s
    assert slow.queue_s < slow.function_s


def test_waiting_for_room_is_queue():
    def large(batch):
        for _ in range(200):
            yield {"data": np.zeros((1 << 17, 8))}

    dataset = raceline.range(1).map_batches(large, concurrency=1)
    batches = iter(dataset.iter_batches(batch_size=1 << 17))
    next(batches)
    time.sleep(1)
    assert sum(1 for _ in batches) == 199
    stage = stage_of(dataset, "Map")
    assert stage.queue_s > 0.5
    # What waits for room is not busy.
    assert stage.busy_s < stage.queue_s + stage.function_s + stage.conversion_s + stage.transfer_s


def test_large_batches_take_time_on_their_way():
    dataset = raceline.range(1 << 22).map_batches(opaque(lambda batch: batch), concurrency=1)
    assert dataset.count() == 1 << 22
    stage = stage_of(dataset, "Map")
    assert 0 < stage.conversion_s < stage.busy_s
    assert stage.transfer_s > stage.function_s


def test_a_function_that_fails_took_its_time():
    dataset = raceline.range(2).map_batches(naps_and_fails, concurrency=1)
    with pytest.raises(ValueError, match="no"):
        dataset.take_all()
    assert stage_of(dataset, "Map").function_s >= NAP_S


def test_stages_without_python_are_only_busy():
    dataset = raceline.range(1 << 20).map(lambda row: {"id": row["id"] + 1}).sort("id")
    assert dataset.count() == 1 << 20
    stages = dataset.profile().stages
    assert all(stage.function_s is None and stage.queue_s is None for stage in stages)
    assert stages[0].busy_s > 0
    assert stages[0].output_rows == 1 << 20


def test_it_tells_of_the_last_run_as_a_table_and_as_values():
    dataset = raceline.range(4).map_batches(naps, batch_size=2, concurrency=1)
    assert not dataset.profile()
    assert repr(dataset.profile()) == "no run yet"
    assert dataset.profile().to_dict() == {"elapsed_s": 0.0, "stages": []}
    dataset.take(1)
    first = dataset.profile()
    dataset.count()
    assert first.stages[-1].name == "Limit(1)"
    assert dataset.profile().stages[-1].name.startswith("Aggregate")
    assert first.elapsed_s > NAP_S

    head, *lines, end = repr(dataset.profile()).splitlines()
    assert head.split() == [
        *("stage", "rows", "elapsed", "busy"),
        *("queue", "transfer", "conversion", "function"),
    ]
    names = [line.split("(")[0].split()[0] for line in lines]
    assert names == ["Range", "MapBatches", "Aggregate"]
    assert len(lines[1].split()) == len(head.split())
    assert end.startswith("run: 0.")
    assert json.loads(json.dumps(dataset.profile().to_dict()))["stages"][1]["function_s"] > 0.1


def test_times_of_workers_are_added_up():
    dataset = raceline.range(40).map_batches(naps, batch_size=1, concurrency=(2, 2))
    assert dataset.count() == 40
    stage = stage_of(dataset, "Map")
    assert stage.function_s >= NAP_S * 40
    assert stage.elapsed_s < stage.function_s


def test_waiting_for_async_calls_is_time_of_the_function():
    async def naps_elsewhere(batch):
        await asyncio.sleep(NAP_S)
        return batch

    dataset = raceline.range(8).map_batches(naps_elsewhere, batch_size=2, concurrency=1)
    assert dataset.count() == 8
    stage = stage_of(dataset, "Map")
    assert stage.function_s >= NAP_S
    assert stage.conversion_s < stage.function_s
