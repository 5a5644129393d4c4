"""How many workers there are, what each is given, and what happens when one cannot start."""

import os
import pathlib
import threading
import time

import numpy as np
import pytest

import raceline
from raceline.data import ActorPoolStrategy, TaskPoolStrategy
from raceline.errors import PlanError, UdfError


class Who:
    """Adds the worker's process, after some work."""

    def __init__(self, started=0.0):
        time.sleep(started)

    def __call__(self, batch, takes=0.01):
        time.sleep(takes)
        return {"id": batch["id"], "pid": np.full(len(batch["id"]), os.getpid())}


def who(batch):
    return Who()(batch)


def workers_of(function, batches=40, **options):
    """How many workers took part, once the rows were found to be whole and in order."""
    rows = raceline.range(batches * 4).map_batches(function, batch_size=4, **options)
    parts = list(rows.iter_batches(batch_size=None))
    assert np.concatenate([part["id"] for part in parts]).tolist() == list(range(batches * 4))
    return len(set(np.concatenate([part["pid"] for part in parts]).tolist()))


def children(pid):
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def workers_alive():
    return [worker for template in children(os.getpid()) for worker in children(template)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "`size` must be an int of at least 1, got `0`"),
        ({"size": True}, "`size` must be an int of at least 1, got `True`"),
        ({"size": 2, "min_size": 1}, "`size` excludes `min_size`, `max_size` and `initial_size`"),
        ({"size": 2, "max_size": 2}, "`size` excludes `min_size`, `max_size` and `initial_size`"),
        ({"size": 2, "initial_size": 2}, "`size` excludes"),
        ({"min_size": 3, "max_size": 2}, "`min_size` 3 is above `max_size` 2"),
        ({"max_size": 2, "initial_size": 3}, "`initial_size` 3 is not between"),
        ({"min_size": 2, "initial_size": 1}, "`initial_size` 1 is not between"),
        (
            {"max_tasks_in_flight_per_actor": 0},
            "`max_tasks_in_flight_per_actor` must be an int of at least 1, got `0`",
        ),
    ],
)
def test_sizes_that_do_not_fit_together(options, said):
    with pytest.raises(PlanError) as raised:
        ActorPoolStrategy(**options)
    assert str(raised.value).startswith(said)


def test_threads_in_a_worker_are_told_of():
    with pytest.warns(UserWarning, match="has no effect") as told:
        ActorPoolStrategy(size=2, enable_true_multi_threading=True)
    assert [(one.filename, str(one.message)) for one in told] == [
        (
            __file__,
            "`enable_true_multi_threading` has no effect: a worker runs one call of a plain "
            "function at a time; ask for more workers, or pass an `async def`",
        )
    ]


def test_a_task_pool_has_a_worker_or_more():
    with pytest.raises(PlanError, match="`size` must be an int of at least 1, got `0`"):
        TaskPoolStrategy(size=0)


@pytest.mark.parametrize("concurrency", [True, 1.5, (1,), (1, 2, 3, 4), ("a", 2)])
def test_a_concurrency_that_is_none(concurrency):
    with pytest.raises(PlanError, match="`concurrency` must be an int, `\\(min, max\\)`"):
        raceline.range(1).map_batches(Who, concurrency=concurrency)


@pytest.mark.parametrize(
    ("function", "options", "most"),
    [
        (who, {"compute": TaskPoolStrategy(size=1)}, 1),
        (who, {"concurrency": 1}, 1),
        (who, {"concurrency": 3, "num_cpus": 0.5}, 3),
        (who, {}, 2),
        (who, {"num_cpus": 2}, 1),
        (Who, {"concurrency": 2}, 2),
        (Who, {"compute": ActorPoolStrategy(size=1)}, 1),
        (Who, {"concurrency": (1, 3), "num_cpus": 0.5}, 3),
        (Who, {"concurrency": (1, 2, 2)}, 2),
        (Who, {"compute": "actors"}, 2),
        (Who, {"compute": ActorPoolStrategy(max_size=2, max_tasks_in_flight_per_actor=1)}, 2),
        (Who, {"compute": ActorPoolStrategy(size=2, max_tasks_in_flight_per_actor=8)}, 2),
    ],
)
def test_a_pool_is_as_wide_as_was_said_and_as_the_cpus_allow(function, options, most):
    assert workers_of(function, **options) == most


def test_ten_thousand_workers_are_as_many_as_fit():
    assert workers_of(who, concurrency=10_000) == 2
    assert workers_of(Who, concurrency=10_000) <= 2


def test_constructors_run_side_by_side(tmp_path):
    class Meets:
        def __init__(self, folder):
            (folder / str(os.getpid())).touch()
            deadline = time.monotonic() + 30
            while len(list(folder.iterdir())) < 4:
                assert time.monotonic() < deadline, "the others are not constructed meanwhile"
                time.sleep(0.01)

        def __call__(self, batch):
            return batch

    rows = raceline.range(100).map_batches(
        Meets, concurrency=4, num_cpus=0, fn_constructor_args=[tmp_path]
    )
    assert rows.count() == 100


def test_a_pool_grows_to_full_width_at_once_when_batches_wait():
    options = {"concurrency": (1, 4), "num_cpus": 0, "fn_constructor_args": [0.5]}
    assert workers_of(Who, batches=60, fn_kwargs={"takes": 0.1}, **options) == 4


def test_a_constructor_that_raises_says_so_once_and_leaves_no_worker(capfd):
    class Model:
        def __init__(self):
            raise FileNotFoundError("no weights")

        def __call__(self, batch):
            return batch

    before = set(workers_alive())
    with pytest.raises(UdfError) as raised:
        raceline.range(100).map_batches(Model, concurrency=4, num_cpus=0).count()
    assert isinstance(raised.value, FileNotFoundError)
    assert 'raise FileNotFoundError("no weights")' in str(raised.value)
    assert str(raised.value).count("no weights") + capfd.readouterr().err.count("no weights") <= 3
    deadline = time.monotonic() + 30
    while set(workers_alive()) - before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert set(workers_alive()) <= before
    assert raceline.range(3).count() == 3


def test_a_pool_without_work_shrinks_and_grows_again():
    def pausing(batch):
        if batch["id"][0] == 400:
            time.sleep(4)
        return batch

    rows = raceline.range(800).map_batches(pausing, batch_size=4, concurrency=1, num_cpus=0.1)
    rows = rows.map_batches(
        Who, batch_size=4, concurrency=(1, 4), num_cpus=0, fn_kwargs={"takes": 0.02}
    )
    alive, run = [], threading.Thread(target=rows.materialize)
    run.start()
    while run.is_alive():
        alive.append(len(workers_alive()))
        time.sleep(0.05)
    run.join()
    fewest = alive.index(min(alive[len(alive) // 3 : -20]), len(alive) // 3)
    assert alive[fewest] <= 2, f"the one that pauses and the one that is kept: {alive}"
    assert max(alive[:fewest]) == 5, alive
    assert max(alive[fewest:]) >= 4, alive


def test_stages_of_different_speed_keep_order_and_share_the_cpus():
    def fast(batch):
        return {"id": batch["id"] + 1}

    class Slow:
        def __call__(self, batch):
            end = time.perf_counter() + 0.01
            while time.perf_counter() < end:
                pass
            return {"id": batch["id"] * 2}

    rows = raceline.range(800).map_batches(fast, batch_size=4, compute=TaskPoolStrategy())
    ids = [row["id"] for row in rows.map_batches(Slow, batch_size=4).take_all()]
    assert ids == [2 * (row + 1) for row in range(800)]
