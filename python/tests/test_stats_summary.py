"""What runs took, operator by operator, and the list of runs that ended."""

import os

import pytest
from opaque import opaque

import raceline
from raceline.data import DataContext, list_stats_summaries
from raceline.errors import UdfError


@pytest.fixture
def collected(monkeypatch):
    """A session whose runs are remembered from now on."""
    raceline.shutdown()
    monkeypatch.setattr(DataContext.get_current(), "enable_stats_summary_collection", True)
    yield
    raceline.shutdown()


def test_an_operator_tells_rows_bytes_and_times():
    rows = raceline.range(1000).map_batches(
        opaque(lambda batch: {"x": batch["id"]}), batch_size=100
    )
    assert len(rows.take_all()) == 1000
    for summary in (rows.get_stats_summary(), rows.get_stats_summary(detail=True)):
        read, called = summary.operators_stats
        assert read.operator_name == "Range"
        assert read.function_body_time is None
        assert called.total_input_num_rows == 1000
        assert called.output_num_rows.sum == 1000
        assert called.output_num_rows.mean == 1000 / called.output_num_rows.count
        assert 8000 <= called.output_size_bytes.sum < 16_000
        assert called.output_size_bytes.to_dict()["sum"] == called.output_size_bytes.sum
        assert 0 < called.function_body_time.sum <= called.wall_time.sum
        assert called.num_rows_per_s > 0
        assert 0 < called.time_total_s <= summary.time_total_s == summary.get_total_wall_time()
        assert summary.get_total_time_all_blocks() >= called.wall_time.sum
        assert summary.num_rows_per_s == pytest.approx(1000 / summary.time_total_s)


def test_a_dataset_that_was_not_run_has_no_operators():
    summary = raceline.range(3).get_stats_summary()
    assert (summary.operators_stats, summary.time_total_s, summary.num_rows_per_s) == ([], 0.0, 0.0)


def test_runs_are_listed_as_they_end(collected, tmp_path):
    raceline.range(1).write_parquet(str(tmp_path / "a"))
    raceline.range(2).map(lambda row: {"x": row["id"]}).take_all()
    first, second = list_stats_summaries()
    assert first.operators_stats[0].output_num_rows.sum == 1
    assert second.operators_stats[-1].output_num_rows.sum == 2


def test_a_run_that_fails_is_listed(collected):
    def fail(batch):
        raise ValueError("no")

    with pytest.raises(UdfError):
        raceline.range(2).map_batches(opaque(fail)).take_all()
    assert len(list_stats_summaries()) == 1


def test_nothing_is_listed_unless_asked_for():
    raceline.shutdown()
    assert list_stats_summaries() == []
    raceline.range(2).take_all()
    assert list_stats_summaries() == []


def test_a_fork_has_no_runs_of_its_parent(collected):
    rows = raceline.range(2)
    rows.take_all()
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        told = f"{len(list_stats_summaries())} {len(rows.get_stats_summary().operators_stats)}"
        os.write(write, told.encode())
        os._exit(0)
    assert os.read(read, 100) == b"0 0"
    assert os.waitpid(pid, 0)[1] == 0
    assert len(list_stats_summaries()) == 1
