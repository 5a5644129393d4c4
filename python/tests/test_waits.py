"""Who waits on what, and how long a run may take."""

from __future__ import annotations

import itertools
import pathlib
import re
import time
from collections.abc import Iterator

import pytest

import raceline
from raceline.data import DataContext
from raceline.errors import ExecutionTimeoutError, PlanError, RacelineError

CHAIN = (
    r"the consumer has waited for a batch of `(?P<stage>[^`]*)` for [\d.]+ s\n"
    r"[ raceline:]*`(?P=stage)` has been at a batch of \d+ rows for [\d.]+ s "
    r"in worker process (?P<pid>\d+)"
)


@pytest.fixture
def context() -> Iterator[DataContext]:
    """The settings, set back afterwards."""
    context = DataContext.get_current()
    names = ("execution_timeout_s", "execution_no_progress_timeout_s", "stall_report_s")
    kept = {name: getattr(context, name) for name in names}
    yield context
    for name, value in kept.items():
        setattr(context, name, value)


def stuck(batch: dict[str, object]) -> dict[str, object]:
    """Never ends, and cannot be compiled."""
    while True:
        time.sleep(1)


def running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_a_run_without_progress_fails_and_names_what_is_stuck(context: DataContext) -> None:
    context.execution_no_progress_timeout_s = 1.0
    dataset = raceline.range(10).map_batches(stuck)
    began = time.monotonic()
    with pytest.raises(ExecutionTimeoutError) as caught:
        dataset.take_all()
    assert 1 <= time.monotonic() - began < 20
    error = caught.value
    assert isinstance(error, RacelineError)
    assert isinstance(error, TimeoutError)
    assert str(error).startswith("nothing has moved for `1 s`")
    assert error.detail is not None
    chain = re.search(CHAIN, error.detail)
    assert chain is not None, error.detail
    assert chain["stage"] == "MapBatches(stuck)"
    deadline = time.monotonic() + 10
    while running(int(chain["pid"])):
        assert time.monotonic() < deadline, "the worker is ended with the run"
        time.sleep(0.05)


def test_a_whole_run_has_its_time(context: DataContext) -> None:
    context.execution_timeout_s = 1.0
    context.execution_no_progress_timeout_s = None

    def slow(batch: dict[str, object]) -> dict[str, object]:
        time.sleep(0.05)
        return batch

    dataset = raceline.range(100_000).map_batches(slow, batch_size=10)
    with pytest.raises(ExecutionTimeoutError, match="the run has not ended within `1 s`"):
        for _ in dataset.iter_batches(batch_size=None):
            pass
    context.execution_timeout_s = None
    assert raceline.range(5).take_all()[-1] == {"id": 4}


def test_time_between_batches_is_no_wait(context: DataContext) -> None:
    context.execution_no_progress_timeout_s = 0.5
    batches = iter(raceline.range(3_000_000).iter_batches(batch_size=1_000_000))
    rows = 0
    for batch in batches:
        rows += len(batch["id"])
        time.sleep(0.8)
    assert rows == 3_000_000


def test_stderr_tells_who_waits_on_what(
    context: DataContext, capfd: pytest.CaptureFixture[str]
) -> None:
    context.stall_report_s = 0.5
    context.execution_no_progress_timeout_s = 2.5
    with pytest.raises(ExecutionTimeoutError):
        raceline.range(10).map_batches(stuck).take_all()
    told = capfd.readouterr().err
    assert re.search(r"raceline: nothing has moved for \d+ s:\nraceline:   " + CHAIN, told), told
    heads = [line for line in told.splitlines() if "nothing has moved" in line]
    assert 2 <= len(heads) <= 3, "told again when it has been twice as long"


def test_nothing_is_told_of_a_consumer_that_takes_its_time(
    context: DataContext, capfd: pytest.CaptureFixture[str]
) -> None:
    context.stall_report_s = 0.3
    batches = iter(raceline.range(200_000_000).iter_batches(batch_size=10))
    next(batches)
    time.sleep(1.0)
    assert sum(len(batch["id"]) for batch in itertools.islice(batches, 10)) == 100
    assert "nothing has moved" not in capfd.readouterr().err


def test_stats_tell_of_a_run_while_it_runs() -> None:
    dataset = raceline.range(200_000_000)
    batches = iter(dataset.iter_batches(batch_size=1_000))
    next(batches)
    stats = dataset.stats()
    assert "run so far: " in stats
    assert "who waits on what:\n    the consumer has not asked for a batch for " in stats
    del batches
    assert "who waits on what" not in dataset.stats()


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), "1", True])
def test_times_that_are_none_are_refused(context: DataContext, seconds: object) -> None:
    context.execution_timeout_s = seconds  # type: ignore[assignment]
    with pytest.raises(PlanError) as caught:
        raceline.range(1).take_all()
    assert str(caught.value) == (
        f"`execution_timeout_s` must be a number of seconds above 0, got `{seconds!r}`\n"
        "  hint: None sets no limit"
    )


def test_long_times_are_no_limit(context: DataContext) -> None:
    context.execution_timeout_s = float("inf")
    context.execution_no_progress_timeout_s = 1e300
    assert raceline.range(2).take_all() == [{"id": 0}, {"id": 1}]
