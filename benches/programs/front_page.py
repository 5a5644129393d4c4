"""Range, two row lambdas, a batch lambda, a grouped count: `front_page.py ENGINE ROWS`.

ENGINE is `raceline`, `ray`, `daft` or `python`: the last is two bare processes that do the two row
lambdas and nothing else, the least that any engine must do that really calls them.
"""

import os
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context

os.environ.setdefault("RAY_DEDUP_LOGS", "0")


def raceline_groups(rows: int) -> int:
    """Counts the groups by Raceline."""
    import raceline

    raceline.init(progress=False)
    from raceline.data.aggregate import Count

    return (
        raceline.data.range(rows)
        .map(lambda row: {"value": row["id"] * 2})
        .filter(lambda row: row["value"] % 100 == 0)
        .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
        .groupby(lambda row: row["processed"] // 10)
        .aggregate(Count())
        .count()
    )


def ray_groups(rows: int) -> int:
    """Counts the groups by Ray Data, which groups by columns only."""
    import ray
    from ray.data.aggregate import Count

    ray.init(logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    return (
        ray.data.range(rows)
        .map(lambda row: {"value": row["id"] * 2})
        .filter(lambda row: row["value"] % 100 == 0)
        .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
        .map(lambda row: {"key": row["processed"] // 10})
        .groupby("key")
        .aggregate(Count())
        .count()
    )


def daft_groups(rows: int) -> int:
    """Counts the groups by Daft, with the row lambdas as Python functions."""
    import daft

    column = daft.col
    integer, boolean = daft.DataType.int64(), daft.DataType.bool()
    return (
        daft.range(rows)
        .select(column("id").apply(lambda value: value * 2, integer).alias("value"))
        .where(column("value").apply(lambda value: value % 100 == 0, boolean))
        .select(column("value").sqrt().alias("processed"))
        .select((column("processed") // 10).alias("key"))
        .groupby("key")
        .agg(column("key").count().alias("count"))
        .count_rows()
    )


def python_half(bounds: tuple[int, int]) -> int:
    """The two row lambdas over a range, in one process; returns the rows that are left."""
    double = lambda row: {"value": row["id"] * 2}  # noqa: E731
    keep = lambda row: row["value"] % 100 == 0  # noqa: E731
    return sum(1 for number in range(*bounds) if keep(double({"id": number})))


def python_rows(rows: int) -> int:
    """The two row lambdas in two processes."""
    halves = [(0, rows // 2), (rows // 2, rows)]
    with get_context("fork").Pool(2) as pool:
        return sum(pool.map(python_half, halves))


ENGINES: dict[str, Callable[[int], int]] = {
    "raceline": raceline_groups,
    "ray": ray_groups,
    "daft": daft_groups,
    "python": python_rows,
}

if __name__ == "__main__":
    started = time.perf_counter()
    answer = ENGINES[sys.argv[1]](int(sys.argv[2]))
    sys.stdout.write(f"{time.perf_counter() - started} {answer}\n")
