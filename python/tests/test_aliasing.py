"""Functions that change what they were given or have handed on, and hand it on again."""

import asyncio

import numpy as np
import pytest

import raceline
from raceline.data import Retry

POLICIES = [{}, {"on_error": "skip"}, {"retry": Retry(times=1)}, {"debug": True}]


def same_dict(row):
    for number in range(3):
        row["id"] = number
        yield row


async def same_dict_async(row):
    for number in range(3):
        row["id"] = number
        await asyncio.sleep(0)
        yield row


SHARED: dict[str, int] = {}


def one_dict_for_all(row):
    SHARED["id"] = row["id"] * 2 + len(str(row))
    return SHARED


def same_buffer(batch):
    buffer = np.zeros(2)
    for number in range(3):
        buffer[:] = number
        yield {"a": buffer}


def increment(row):
    row["id"] += hash(0) + 1
    return row


@pytest.mark.parametrize("how", POLICIES, ids=str)
def test_a_generator_may_yield_one_dict_again_and_again(how):
    rows = raceline.range(2).flat_map(same_dict, **how).take_all()
    assert [row["id"] for row in rows] == [0, 1, 2, 0, 1, 2]


def test_an_async_generator_may_too():
    rows = raceline.range(2).flat_map(same_dict_async).take_all()
    assert [row["id"] for row in rows] == [0, 1, 2, 0, 1, 2]


def test_a_function_may_return_one_dict_for_all_rows():
    length = len(str({"id": 0}))
    rows = raceline.range(3).map(one_dict_for_all).take_all()
    assert [row["id"] for row in rows] == [length, 2 + length, 4 + length]


def test_a_row_that_comes_twice_is_changed_once_each():
    rows = raceline.range(2).flat_map(lambda row: [row] * (2 + hash(0)))
    assert [row["id"] for row in rows.map(increment).take_all()] == [1, 1, 2, 2]


@pytest.mark.parametrize("how", [{}, {"on_error": "skip"}, {"retry": Retry(times=1)}], ids=str)
def test_batches_that_are_held_do_not_change_with_their_buffer(how):
    rows = raceline.range(2).map_batches(same_buffer, batch_size=2, **how).take_all()
    assert [row["a"] for row in rows] == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("batch_format", ["numpy", "pandas"])
def test_a_call_that_is_made_again_gets_what_the_first_one_got(tmp_path, batch_format):
    def fails_once(batch):
        batch["id"] += 1
        if not (tmp_path / "called").exists():
            (tmp_path / "called").touch()
            raise ValueError("once")
        return batch

    rows = raceline.range(2).map_batches(
        fails_once,
        batch_size=2,
        batch_format=batch_format,
        zero_copy_batch=False,
        retry=Retry(times=1, backoff_s=0.01),
    )
    assert [row["id"] for row in rows.take_all()] == [1, 2]


def test_a_row_with_a_list_that_is_made_again_too(tmp_path):
    def fails_once(row):
        row["items"].append(3)
        if not (tmp_path / "called").exists():
            (tmp_path / "called").touch()
            raise ValueError("once")
        return row

    rows = raceline.from_items([{"items": [1, 2]}])
    rows = rows.map(fails_once, retry=Retry(times=1, backoff_s=0.01))
    assert rows.take_all() == [{"items": [1, 2, 3]}]


def test_declared_columns_are_kept_to_beside_other_functions():
    rows = raceline.from_items([{"a": 1, "b": 2}])
    alone = rows.filter(lambda row: len(row) == 1, reads=["a"]).filter(lambda row: hash(row["b"]))
    assert alone.take_all() == [{"a": 1, "b": 2}]
