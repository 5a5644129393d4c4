"""24: what it costs to run a function in a worker process, against what the machine can do."""

from __future__ import annotations

import os
import time
from typing import Any

from suite import engines
from suite.cells import STARTED, Answer, Goal, Task, Workload
from suite.datasets import nothing

#: Mebibytes there and back, or batches.
SIZES = {
    "float64": 4_096,
    "tensor": 4_096,
    "round trip": 20_000,
    "four workers": 4,
    "slow actor": 400,
}

#: Seconds that the slow actor takes for a batch.
ACTOR_SECONDS = 0.005

workload = Workload(
    number=24,
    name="workers",
    question=(
        "4 GiB of floats, and of image tensors, through one worker and back, against `memcpy` of "
        "as much; 20,000 batches of one row, one at a time, against a byte there and back over a "
        "socket; four workers at work after the first input, against `import numpy`; 400 batches "
        "of an actor of 5 ms, against the actor alone."
    ),
    variants=tuple(SIZES),
    data=nothing,
    goals=(
        Goal("floats, of memcpy", "float64", 5.0, against=("python",)),
        Goal("tensors, of memcpy", "tensor", 6.7, against=("python",)),
        Goal("a batch of one row, of a round trip", "round trip", 3.0, against=("python",)),
        Goal("four workers at work, of import numpy", "four workers", 1.0, against=("python",)),
        Goal("a slow actor, of the actor alone", "slow actor", 1.03, against=("python",)),
    ),
    budget_seconds=15.0,
)

MOVED = ("float64", "tensor")

# All columns cross to the worker, though the function looks at none.
ALL_CROSS = {"RACELINE_LIVENESS": "off"}


def size(task: Task) -> int:
    """Mebibytes, or batches, of the task."""
    return max(int(SIZES[task.variant] * task.scale), 64 if task.variant in MOVED else 4)


def _same(batch: Any) -> Any:
    for _ in os.sep:  # A loop, so that it is not compiled.
        pass
    return batch


@workload.cell("raceline", variants=MOVED, env=ALL_CROSS)
def move(task: Task) -> Answer:
    """Columns that lie in memory, through one worker and back."""
    import numpy as np
    import pyarrow as pa

    rl = engines.raceline(task)
    if task.variant == "float64":
        columns = {f"c{index}": np.ones(1 << 20) for index in range(8)}
    else:
        images = np.ones((444, 224, 224, 3), "u1")
        columns = {"image": pa.FixedShapeTensorArray.from_numpy_ndarray(images)}
    table = rl.from_arrow(pa.table(columns))
    passes = size(task) // 64
    many = table.union(*[table] * (passes - 1)) if passes > 1 else table
    moved = many.map_batches(_same, batch_size=None, concurrency=1)
    with task.clock():
        batches = moved.iter_batches(batch_size=None, batch_format="pyarrow")
        rows = sum(batch.num_rows for batch in batches)
    return [(rows // passes > 0, size(task) // 64)]


@workload.cell("python", variants=MOVED)
def copy(task: Task) -> Answer:
    """8 MiB after 8 MiB from one part of memory to another."""
    import numpy as np

    source, target = np.ones(256 << 20, "u1"), np.ones(256 << 20, "u1")
    step = 8 << 20
    with task.clock():
        for first in range(0, size(task) << 20, step):
            at = first % source.nbytes
            target[at : at + step] = source[at : at + step]
    return [(bool(target[0]), size(task) // 64)]


@workload.cell("raceline", variants=("round trip",))
def calls(task: Task) -> Answer:
    """Batches of one row through one worker, one at a time."""
    rl = engines.raceline(task)
    strategy = rl.data.ActorPoolStrategy(size=1, max_tasks_in_flight_per_actor=1)

    def run(rows: int) -> int:
        dataset = rl.range(rows).map_batches(_same, batch_size=1, compute=strategy)
        return sum(1 for _ in dataset.iter_batches(batch_size=None, batch_format="pyarrow"))

    run(10)
    with task.clock():
        count = run(size(task))
    return [(count > 0,)]


@workload.cell("python", variants=("round trip",))
def ping(task: Task) -> Answer:
    """A byte to a process and back over a Unix socket."""
    import socket

    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        while byte := there.recv(1):
            there.send(byte)
        os._exit(0)
    there.close()
    with task.clock():
        for _ in range(size(task)):
            here.send(b"x")
            here.recv(1)
    here.close()
    os.wait()
    return [(True,)]


@workload.cell("raceline", variants=("four workers",))
def pool(task: Task) -> Answer:
    """From the start of the first run, whose input is there at once, to four workers at work."""
    import numpy as np

    import raceline as rl

    rl.init(progress=False, num_cpus=4)

    def begin(batch: Any) -> Any:
        now = time.monotonic()
        time.sleep(0.5)
        return {"pid": np.array([os.getpid()]), "at": np.array([now])}

    numbers = rl.range(4).map_batches(begin, batch_size=1, concurrency=4)
    started = time.monotonic()
    rows = numbers.take_all()
    at_work = max(row["at"] for row in rows)
    task.run_seconds = at_work - started
    task.total_seconds = at_work - float(os.environ.get(STARTED, started))
    return [(len({row["pid"] for row in rows}) == 4,)]


@workload.cell("python", variants=("four workers",))
def numpy_import(task: Task) -> Answer:
    """`import numpy`."""
    with task.clock():
        import numpy as module
    return [(bool(module.__name__),)]


class Actor:
    """An actor that computes for as long as it is told, and says when."""

    def __call__(self, batch: Any) -> Any:
        """When it began and when it ended, by the machine's clock."""
        import numpy as np

        began = time.monotonic()
        while time.monotonic() < began + ACTOR_SECONDS:
            pass
        return {"began": np.array([began]), "ended": np.array([time.monotonic()])}


@workload.cell("raceline", variants=("slow actor",))
def busy(task: Task) -> Answer:
    """Large batches from another worker, from the actor's first call to the end of its last."""
    import numpy as np

    rl = engines.raceline(task)

    def wide(batch: Any) -> Any:
        return {"values": np.ones((len(batch["id"]), 250_000))}

    large = rl.range(size(task)).map_batches(wide, batch_size=1)
    calls = large.map_batches(Actor, batch_size=1, concurrency=1).take_all()
    return _busy(task, calls)


@workload.cell("python", variants=("slow actor",))
def alone(task: Task) -> Answer:
    """The actor without an engine."""
    actor = Actor()
    return _busy(task, [actor(None) for _ in range(size(task))])


def _busy(task: Task, calls: list[Any]) -> Answer:
    """What the calls took, from the first to the last."""
    import numpy as np

    first, last = (
        np.min([call["began"] for call in calls]),
        np.max([call["ended"] for call in calls]),
    )
    task.run_seconds = float(last - first)
    task.total_seconds = task.run_seconds
    return [(len(calls),)]
