"""Arguments that mean something in a cluster alone are taken, and say so once."""

import warnings

import pytest

import raceline
from raceline.data import ray_arguments


@pytest.fixture(autouse=True)
def _nothing_told():
    ray_arguments._told.clear()


def told(call):
    """What `call` returns, and what it warned of: texts and files."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [(str(one.message), one.filename) for one in caught]


def test_a_placed_function_runs_and_the_warning_is_at_the_callers_line():
    dataset, warned = told(
        lambda: raceline.range(3).map(
            lambda row: row, label_selector={"zone": "a"}, runtime_env={"pip": ["x"]}
        )
    )
    assert dataset.count() == 3
    assert warned == [
        (
            "`label_selector` of `map` has no effect: all work runs on this machine",
            __file__,
        ),
        (
            "`runtime_env` of `map` has no effect: workers have the environment of this program",
            __file__,
        ),
    ]


def test_it_is_said_once_for_each_function():
    def run():
        return raceline.range(3, concurrency=2)

    assert len(told(run)[1]) == 1
    assert told(run)[1] == []
    _, warned = told(lambda: raceline.from_items([1], concurrency=2))
    assert len(warned) == 1


def test_what_asks_for_nothing_is_not_told():
    _, warned = told(lambda: raceline.range(3, parallelism=-1, num_cpus=None))
    assert warned == []


@pytest.mark.parametrize("keyword", ["parallelism", "override_num_blocks"])
def test_numbers_of_blocks_are_told_at_the_callers_line(keyword, tmp_path):
    raceline.range(3).write_parquet(tmp_path)
    reads = [
        lambda: raceline.range(3, **{keyword: 4}),
        lambda: raceline.from_items([1], **{keyword: 4}),
        lambda: raceline.read_parquet(tmp_path, **{keyword: 4}),
    ]
    for read in reads:
        dataset, warned = told(read)
        assert dataset.count() > 0
        (text, file) = warned[0]
        assert text.startswith(f"`{keyword}`")
        assert file == __file__


def test_columns_and_writes_take_them_too(tmp_path):
    dataset, warned = told(
        lambda: (
            raceline.range(3)
            .rename_columns({"id": "n"}, concurrency=2)
            .select_columns(["n"], compute="tasks")
        )
    )
    assert [text.partition(" has")[0] for text, _ in warned] == [
        "`concurrency` of `rename_columns`",
        "`compute` of `select_columns`",
    ]
    _, warned = told(
        lambda: dataset.write_csv(tmp_path, ray_remote_args={"num_cpus": 1}, try_create_dir=True)
    )
    assert [text.partition(" has")[0] for text, _ in warned] == [
        "`ray_remote_args` of `write_csv`",
        "`try_create_dir` of `write_csv`",
    ]
    assert raceline.read_csv(tmp_path).count() == 3


def test_a_keyword_that_is_none_of_them_is_an_error():
    with pytest.raises(TypeError, match="unexpected keyword argument 'label_selectr'"):
        raceline.range(3).map(lambda row: row, label_selectr=1)
