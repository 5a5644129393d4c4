"""Workers that are killed at random: nothing is lost, doubled or left."""

import os
import pathlib
import random
import signal
import sys
import threading
import time

import numpy as np
import pytest

import raceline

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ROWS = 1_000_000
KILLS = 500


def children(pid):
    """Processes that ``pid`` started, dead ones that nobody reaped too."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, task.read_text().split())
        except OSError:
            continue  # the thread ended while we looked
    return found


def workers():
    """The workers of this process: what its templates forked."""
    return [worker for template in children(os.getpid()) for worker in children(template)]


class Killer(threading.Thread):
    """Kills random workers until there were enough, or it is told to stop."""

    def __init__(self, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.kills = 0
        self.stopped = threading.Event()

    def run(self):
        while self.kills < KILLS and not self.stopped.wait(self.random.uniform(0, 0.02)):
            if alive := workers():
                try:
                    os.kill(self.random.choice(alive), signal.SIGKILL)
                except ProcessLookupError:
                    continue
                self.kills += 1


def in_two_parts(batch):
    """Two outputs for one batch, so that a worker may die between them."""
    middle = len(batch["id"]) // 2
    yield {"id": batch["id"][:middle], "double": batch["id"][:middle] * 2}
    time.sleep(0.01)
    yield {"id": batch["id"][middle:], "double": batch["id"][middle:] * 2}


class InTwoParts:
    def __call__(self, batch):
        yield from in_two_parts(batch)


@pytest.mark.parametrize("function", [in_two_parts, InTwoParts])
def test_killed_workers_lose_and_double_nothing(function):
    raceline.shutdown()
    raceline.init(num_cpus=4, progress=False)
    pool = {"concurrency": 4}
    dataset = raceline.range(ROWS).map_batches(
        function, batch_size=1000, max_retries=10_000, **pool
    )
    killer = Killer(seed=7)
    killer.start()
    try:
        parts = list(dataset.iter_batches(batch_size=None))
    finally:
        killer.stopped.set()
        killer.join()
    assert killer.kills == KILLS
    ids = np.concatenate([part["id"] for part in parts])
    doubles = np.concatenate([part["double"] for part in parts])
    assert np.array_equal(ids, np.arange(ROWS))
    assert np.array_equal(doubles, 2 * ids)
    deadline = time.monotonic() + 5
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers() == []
    raceline.shutdown()
