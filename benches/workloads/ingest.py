"""18: a training loop that takes batches of 256 rows of 100 float columns."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import features
from suite.goals import SHUFFLE_COST

BATCH_ROWS = 256

workload = Workload(
    number=18,
    name="ingest",
    question=(
        "2.5 million rows of 100 32-bit floats, 1 GB of Parquet, to a loop as batches of 256 rows "
        "of NumPy arrays: time of an epoch, and seconds to the first batch. In the order of the "
        "files; with a local shuffle of three batches; with the files in random order. `python` "
        "cuts Arrow's own batches; `torch` is a DataLoader with two workers that do so."
    ),
    variants=("in order", "local shuffle", "files shuffled"),
    data=lambda _variant, scale: features(scale),
    goals=(
        SHUFFLE_COST,
        Goal("local shuffle, of Ray Data", "local shuffle", 0.2, against=("ray",)),
        Goal("in order, of Ray Data", "in order", 0.2, against=("ray",)),
        Goal("in order, of a loop over Arrow's batches", "in order", 1.3, against=("python",)),
    ),
    budget_seconds=60.0,
)


def epoch(task: Task, batches: Iterable[dict[str, Any]]) -> Answer:
    """Takes all batches: rows, and the sums of row numbers and of one feature."""
    rows, numbers, total = 0, 0, []
    first = None
    began = time.perf_counter()
    with task.clock():
        for batch in batches:
            first = first or time.perf_counter() - began
            rows += len(batch["row"])
            numbers += int(batch["row"].sum())
            total.append(float(batch["f07"].sum()))
    task.figures["first_batch_seconds"] = first or 0.0
    return [(rows, numbers, round(math.fsum(total), 0))]


def loop(data: Any, task: Task, **options: Any) -> Any:
    """The batches, which both of the APIs give alike."""
    if task.variant == "files shuffled":
        rows = data.read_parquet(str(task.data), shuffle="files")
        return rows.iter_batches(batch_size=BATCH_ROWS, **options)
    if task.variant == "local shuffle":
        options |= {"local_shuffle_buffer_size": 3 * BATCH_ROWS, "local_shuffle_seed": 1}
    return data.read_parquet(str(task.data)).iter_batches(batch_size=BATCH_ROWS, **options)


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`iter_batches`."""
    return epoch(task, loop(engines.raceline(task).data, task))


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """`iter_batches`, prefetching four."""
    return epoch(task, loop(engines.ray(task).data, task, prefetch_batches=4))


@workload.cell("daft", variants=("in order",))
def daft(task: Task) -> Answer:
    """Partitions as Arrow tables, cut into batches."""
    module = engines.daft(task)
    parts = module.read_parquet(str(task.data / "*.parquet")).to_arrow_iter()
    return epoch(task, cut(parts))


@workload.cell("python", variants=("in order",))
def python(task: Task) -> Answer:
    """Arrow's dataset scanner, cut into batches."""
    import pyarrow.dataset as files

    return epoch(task, cut(files.dataset(str(task.data)).to_batches(use_threads=True)))


@workload.cell("torch", variants=("in order",))
def torch(task: Task) -> Answer:
    """A DataLoader of two persistent workers that prefetch four batches each."""
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    class Rows(IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            import pyarrow.dataset as files

            info = get_worker_info()
            paths = sorted(str(path) for path in task.data.glob("*.parquet"))
            mine = paths[info.id :: info.num_workers]
            return iter(cut(files.dataset(mine).to_batches(use_threads=False)))

    loader = DataLoader(
        Rows(), batch_size=None, num_workers=2, persistent_workers=True, prefetch_factor=4
    )
    return epoch(task, loader)


def cut(parts: Iterable[Any]) -> Iterable[dict[str, Any]]:
    """Arrow batches as dicts of arrays of at most 256 rows."""
    for part in parts:
        for at in range(0, part.num_rows, BATCH_ROWS):
            some = part.slice(at, BATCH_ROWS)
            columns = zip(some.schema.names, some.columns, strict=True)
            yield {name: column.to_numpy(zero_copy_only=False) for name, column in columns}
