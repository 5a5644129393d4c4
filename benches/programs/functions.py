"""What a worker costs: `functions.py copy|identity|ping|calls|pool|busy ARGUMENT ...`."""

import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def copy(mebibytes: int) -> tuple[float, str]:
    """Copies 8 MiB after 8 MiB from one part of memory to another."""
    source = np.ones(256 << 20, "u1")
    target = np.ones(256 << 20, "u1")
    step = 8 << 20
    started = time.perf_counter()
    for first in range(0, mebibytes << 20, step):
        at = first % source.nbytes
        target[at : at + step] = source[at : at + step]
    return time.perf_counter() - started, f"{mebibytes} MiB"


def identity(kind: str, mebibytes: int) -> tuple[float, str]:
    """Columns that lie in memory, through one worker and back."""
    import pyarrow as pa

    import raceline

    raceline.init(progress=False, num_cpus=2)
    if kind == "float64":
        columns = {f"c{index}": np.ones(1 << 20) for index in range(8)}
    else:
        images = np.ones((444, 224, 224, 3), "u1")
        columns = {"image": pa.FixedShapeTensorArray.from_numpy_ndarray(images)}
    table = raceline.from_arrow(pa.table(columns))
    passes = mebibytes // 64
    moved = table.union(*[table] * (passes - 1)).map_batches(same, batch_size=None, concurrency=1)
    started = time.perf_counter()
    batches = moved.iter_batches(batch_size=None, batch_format="pyarrow")
    rows = sum(batch.num_rows for batch in batches)
    return time.perf_counter() - started, f"{passes * 64} MiB in {rows} rows"


def same(batch: Any) -> Any:
    """Returns its input; the loop keeps it from being compiled."""
    for _ in os.sep:
        pass
    return batch


def ping(count: int) -> tuple[float, str]:
    """A byte to a process and back over a Unix socket, `count` times."""
    here, there = socket.socketpair()
    if os.fork() == 0:
        here.close()
        while byte := there.recv(1):
            there.send(byte)
        os._exit(0)
    there.close()
    started = time.perf_counter()
    for _ in range(count):
        here.send(b"x")
        here.recv(1)
    seconds = time.perf_counter() - started
    here.close()
    os.wait()
    return seconds, str(count)


def calls(count: int) -> tuple[float, str]:
    """`count` batches of one row through one worker, one at a time."""
    import raceline
    from raceline.data import ActorPoolStrategy

    raceline.init(progress=False, num_cpus=2)
    strategy = ActorPoolStrategy(size=1, max_tasks_in_flight_per_actor=1)

    def run(rows: int) -> int:
        dataset = raceline.range(rows).map_batches(same, batch_size=1, compute=strategy)
        return sum(1 for _ in dataset.iter_batches(batch_size=None, batch_format="pyarrow"))

    run(10)
    started = time.perf_counter()
    run(count)
    return time.perf_counter() - started, str(count)


def pool() -> tuple[float, str]:
    """From the start of a run to four workers at work; the template is not yet started."""
    import raceline

    raceline.init(progress=False, num_cpus=4)

    def begin(batch: Any) -> Any:
        now = time.time()
        time.sleep(0.5)
        return {"pid": np.array([os.getpid()]), "at": np.array([now])}

    started = time.time()
    dataset = raceline.range(4).map_batches(begin, batch_size=1, concurrency=4)
    rows = dataset.take_all()
    if len({row["pid"] for row in rows}) != 4:
        raise RuntimeError("not four workers")
    return max(row["at"] for row in rows) - started, "4 workers"


def busy(bytes_each: int, seconds_each: float) -> tuple[float, str]:
    """The part of its time that a slow actor works while input remains, in place of seconds."""
    import raceline

    raceline.init(progress=False, num_cpus=2)
    width = max(bytes_each // 8, 1)

    class Slow:
        def __init__(self) -> None:
            self.first = 0.0
            self.worked = 0.0

        def __call__(self, batch: Any) -> Any:
            began = time.perf_counter()
            self.first = self.first or began
            while time.perf_counter() - began < seconds_each:
                pass
            ended = time.perf_counter()
            self.worked += ended - began
            return {"busy": np.array([self.worked / (ended - self.first)])}

    def wide(batch: Any) -> Any:
        return {"values": np.ones((len(batch["id"]), width))}

    dataset = raceline.range(400).map_batches(wide, batch_size=1)
    shares = dataset.map_batches(Slow, batch_size=1, concurrency=1).take_all()
    share = shares[-1]["busy"]
    return float(share), "of its time"


MODES: dict[str, Callable[..., tuple[float, str]]] = {
    "copy": lambda mebibytes: copy(int(mebibytes)),
    "identity": lambda kind, mebibytes: identity(kind, int(mebibytes)),
    "ping": lambda count: ping(int(count)),
    "calls": lambda count: calls(int(count)),
    "pool": pool,
    "busy": lambda bytes_each, seconds_each: busy(int(bytes_each), float(seconds_each)),
}

measured, answer = MODES[sys.argv[1]](*sys.argv[2:])
sys.stdout.write(f"{measured} {answer}\n")
