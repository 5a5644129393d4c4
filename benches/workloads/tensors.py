"""27: tensors of Parquet files as torch tensors, to a training loop."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.goals import SHUFFLE_COST
from suite.relations import tensors

BATCH_ROWS = 256

workload = Workload(
    number=27,
    name="tensors",
    question=(
        "40,000 rows of a label and a tensor of 3 by 32 by 32 floats, 490 MB of Parquet, to a loop "
        "as torch tensors of 256 rows: time of an epoch, and seconds to the first batch. In the "
        "order of the files, and with a local shuffle of four batches. `torch` is a DataLoader "
        "with two workers, each of which reads every other file with PyArrow."
    ),
    variants=("in order", "local shuffle"),
    data=lambda _variant, scale: tensors(max(int(40_000 * scale), 320)),
    goals=(
        Goal("in order, of a DataLoader of two workers", "in order", 0.5, against=("torch",)),
        SHUFFLE_COST,
        Goal("in order, of Ray Data", "in order", 0.2, against=("ray",)),
    ),
    budget_seconds=60.0,
)


def epoch(task: Task, batches: Iterable[Any]) -> Answer:
    """Takes all batches: rows, the sum of the labels, and that of the first number of each."""
    rows, labels, total, first = 0, 0, 0.0, None
    began = time.perf_counter()
    with task.clock():
        for batch in batches:
            first = first or time.perf_counter() - began
            rows += len(batch["label"])
            labels += int(batch["label"].sum())
            total += float(batch["pixels"][:, 0, 0, 0].double().sum())
    task.figures["first_batch_seconds"] = first or 0.0
    return [(rows, labels, round(total, 3))]


def _ray_like(data: Any, task: Task) -> Answer:
    """The program, which both of the APIs take."""
    options: dict[str, Any] = {"batch_size": BATCH_ROWS, "device": "cpu"}
    if task.variant == "local shuffle":
        options |= {"local_shuffle_buffer_size": 4 * BATCH_ROWS, "local_shuffle_seed": 1}
    return epoch(task, data.read_parquet(str(task.data)).iter_torch_batches(**options))


@workload.cell("raceline", needs=("torch",))
def raceline(task: Task) -> Answer:
    """`iter_torch_batches`."""
    return _ray_like(engines.raceline(task).data, task)


@workload.cell("ray", needs=("torch",))
def ray(task: Task) -> Answer:
    """The same program."""
    return _ray_like(engines.ray(task).data, task)


@workload.cell("torch", variants=("in order",))
def torch(task: Task) -> Answer:
    """A DataLoader of two persistent workers that prefetch four batches each."""
    import torch as module
    from torch.utils.data import DataLoader, IterableDataset, get_worker_info

    class Rows(IterableDataset):  # type: ignore[misc]
        def __iter__(self) -> Any:
            import pyarrow.parquet as pq

            info = get_worker_info()
            paths = sorted(task.data.glob("*.parquet"))
            for path in paths[info.id :: info.num_workers]:
                for batch in pq.ParquetFile(path).iter_batches(BATCH_ROWS, use_threads=False):
                    yield {
                        "label": module.from_numpy(batch["label"].to_numpy().copy()),
                        "pixels": module.from_numpy(batch["pixels"].to_numpy_ndarray().copy()),
                    }

    loader = DataLoader(
        Rows(), batch_size=None, num_workers=2, persistent_workers=True, prefetch_factor=4
    )
    return epoch(task, loader)
