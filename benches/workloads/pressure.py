"""21: large rows that grow tenfold before a slow consumer."""

from __future__ import annotations

import time
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Limit, Task, Workload
from suite.datasets import megabytes

ROWS = 400
#: What the slow stage takes for a row.
ROW_SECONDS = 0.02

workload = Workload(
    number=21,
    name="pressure",
    question=(
        "400 rows of 1 MB; a function makes each ten times as large, an actor takes 20 ms a row "
        "and returns one number: 4 GB pass through under a limit of 1 GB for the process tree. "
        "`python` is the slow stage alone."
    ),
    variants=("limited",),
    data=lambda _variant, scale: megabytes(scale),
    limits={"limited": Limit(full_bytes=1 << 30, smoke_bytes=768 << 20, smoke_scale=0.1)},
    goals=(
        Goal("time, of the slowest stage alone", "limited", 1.1, against=("python",)),
        Goal("peak, budget and baseline + 10 %", "limited", 970 << 20, figure="peak_bytes"),
    ),
    budget_seconds=60.0,
    cell_seconds=60.0,
)


def inflate(batch: dict[str, Any]) -> dict[str, Any]:
    """Each payload ten times over, as a row of a matrix."""
    import numpy as np

    large = np.stack([np.frombuffer(payload * 10, np.uint8) for payload in batch["payload"]])
    return {"id": np.asarray(batch["id"]), "large": large}


class Slow:
    """An actor that takes its time."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The first byte of each payload and its length."""
        time.sleep(ROW_SECONDS * len(batch["id"]))
        large = batch["large"]
        return {
            "id": batch["id"],
            "first": large[:, 0].astype("int64"),
            "bytes": (batch["id"] * 0 + large.shape[1]),
        }


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """Batches of four rows and of two, an actor pool of one."""
    rl = engines.raceline(task)
    with task.clock():
        rows = (
            rl.read_parquet(str(task.data))
            .map_batches(inflate, batch_size=4)
            .map_batches(Slow, batch_size=2, concurrency=1)
            .take_all()
        )
    return [tuple(int(row[name]) for name in ("id", "first", "bytes")) for row in rows]


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """The same program."""
    module = engines.ray(task)
    with task.clock():
        rows = (
            module.data.read_parquet(str(task.data))
            .map_batches(inflate, batch_size=4)
            .map_batches(Slow, batch_size=2, concurrency=1)
            .take_all()
        )
    return [tuple(int(row[name]) for name in ("id", "first", "bytes")) for row in rows]


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """Batch functions; small batches, as its guide advises for large rows."""
    import numpy as np

    module = engines.daft(task)
    binary, integer = module.DataType.binary(), module.DataType.int64()

    @module.func.batch(return_dtype=binary, batch_size=4)
    def larger(payload: Any) -> Any:
        return [bytes(one) * 10 for one in payload.to_pylist()]

    @module.cls(max_concurrency=1)
    class Sleeper:
        @module.method.batch(return_dtype=integer, batch_size=2)
        def first(self, large: Any) -> Any:
            values = large.to_pylist()
            time.sleep(ROW_SECONDS * len(values))
            return np.array([one[0] * 100_000_000 + len(one) for one in values])

    sleeper = Sleeper()
    with task.clock():
        rows = (
            module.read_parquet(str(task.data / "*.parquet"))
            .select(module.col("id"), larger(module.col("payload")).alias("large"))
            .select(module.col("id"), sleeper.first(module.col("large")).alias("found"))
            .to_pydict()
        )
    found = zip(rows["id"], rows["found"], strict=True)
    return [(number, *divmod(both, 100_000_000)) for number, both in found]


@workload.cell("python", checked=False)
def python(task: Task) -> Answer:
    """The slow stage alone."""
    rows = max(int(ROWS * task.scale) // 8, 1) * 8
    with task.clock():
        for _ in range(rows // 2):
            time.sleep(ROW_SECONDS * 2)
    return [(rows,)]
