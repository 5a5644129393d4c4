"""5: an external sort of Parquet files by a random key, back to Parquet files."""

from __future__ import annotations

from pathlib import Path

from suite import engines
from suite.cells import Answer, Goal, Limit, Task, Workload
from suite.datasets import wide_integers

workload = Workload(
    number=5,
    name="sort",
    question=(
        "1 GB of ten 64-bit columns in 32 Parquet files, sorted by a random key and written to "
        "Parquet, with ample memory and under a limit for the whole process tree."
    ),
    variants=("ample", "limited"),
    data=lambda _variant, scale: wide_integers(scale),
    limits={"limited": Limit(full_bytes=450 << 20, smoke_bytes=320 << 20, smoke_scale=0.1)},
    goals=(
        Goal(
            "ample, of the best of the others",
            "ample",
            1.0,
            against=("duckdb", "polars", "datafusion"),
        ),
        Goal(
            "limited, of the best of those that finish",
            "limited",
            1.0,
            against=("duckdb", "polars", "datafusion", "daft", "ray"),
        ),
        Goal(
            "limited: peak, budget and baseline + 10 %", "limited", 340 << 20, figure="peak_bytes"
        ),
    ),
    sorted_by="key",
    budget_seconds=60.0,
)


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`read_parquet().sort().write_parquet()`."""
    rl = engines.raceline(task)
    with task.clock():
        rl.read_parquet(str(task.data)).sort("key").write_parquet(str(task.out / "rows"))
    return None


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """`copy (… order by key) to`, one file."""
    connection = engines.duckdb(task, ordered=True)
    with task.clock():
        connection.execute(
            f"copy (select * from '{task.data}/*.parquet' order by key) "
            f"to '{task.out}/rows.parquet' (format parquet)"
        )
    return None


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """`scan_parquet().sort().sink_parquet()`, streaming."""
    pl = engines.polars(task)
    with task.clock():
        pl.scan_parquet(str(task.data / "*.parquet")).sort("key").sink_parquet(
            task.out / "rows.parquet", compression="snappy", engine="streaming"
        )
    return None


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """`copy (… order by key) to`."""
    context = engines.datafusion(task)
    context.register_parquet("rows", str(task.data))
    with task.clock():
        context.sql("select * from rows order by key").write_parquet(str(task.out / "rows.parquet"))
    return None


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """`read_parquet().sort().write_parquet()`."""
    module = engines.daft(task)
    with task.clock():
        module.read_parquet(str(task.data / "*.parquet")).sort("key").write_parquet(_folder(task))
    return None


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """`read_parquet().sort().write_parquet()`."""
    module = engines.ray(task)
    with task.clock():
        module.data.read_parquet(str(task.data)).sort("key").write_parquet(_folder(task))
    return None


def _folder(task: Task) -> str:
    return str(Path(task.out) / "rows")
