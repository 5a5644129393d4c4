"""6: a random shuffle of Parquet files over the whole data set, back to Parquet files."""

from __future__ import annotations

from suite import engines
from suite.cells import Answer, Goal, Limit, Task, Workload
from suite.datasets import wide_integers

workload = Workload(
    number=6,
    name="shuffle",
    question=(
        "The data of `sort`, its rows in random order over the whole, written to Parquet, with "
        "ample memory and under a limit. Where the rows of each tenth went is held against chance "
        "by a chi-square; an order that shows any trace of the old one is void."
    ),
    variants=("ample", "limited"),
    data=lambda _variant, scale: wide_integers(scale),
    limits={"limited": Limit(full_bytes=450 << 20, smoke_bytes=320 << 20, smoke_scale=0.1)},
    goals=(
        Goal("ample, of Ray Data", "ample", 0.5, against=("ray",)),
        Goal(
            "limited, of the best of those that finish",
            "limited",
            1.0,
            against=("duckdb", "polars", "ray"),
        ),
        Goal("limited, of ample", "limited", 2.0, against=("raceline",), other_variant="ample"),
        Goal(
            "limited: peak, budget and baseline + 10 %", "limited", 340 << 20, figure="peak_bytes"
        ),
    ),
    shuffled="row",
    budget_seconds=60.0,
)


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`read_parquet().random_shuffle().write_parquet()`."""
    rl = engines.raceline(task)
    with task.clock():
        rows = rl.read_parquet(str(task.data)).random_shuffle(seed=1)
        rows.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """`order by random()`."""
    connection = engines.duckdb(task, ordered=True)
    with task.clock():
        connection.execute(
            f"copy (select * from '{task.data}/*.parquet' order by random()) "
            f"to '{task.out}/rows.parquet' (format parquet)"
        )
    return None


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """All rows in memory, `sample(shuffle=True)`: it has no lazy shuffle."""
    pl = engines.polars(task)
    with task.clock():
        rows = pl.scan_parquet(str(task.data / "*.parquet")).collect(engine="streaming")
        mixed = rows.sample(fraction=1.0, shuffle=True, seed=1)
        mixed.write_parquet(task.out / "rows.parquet", compression="snappy")
    return None


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """`order by random()`."""
    context = engines.datafusion(task)
    context.register_parquet("rows", str(task.data))
    with task.clock():
        mixed = context.sql("select * from rows order by random()")
        mixed.write_parquet(str(task.out / "rows.parquet"))
    return None


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """`read_parquet().random_shuffle().write_parquet()`."""
    module = engines.ray(task)
    with task.clock():
        rows = module.data.read_parquet(str(task.data)).random_shuffle(seed=1)
        rows.write_parquet(str(task.out / "rows"))
    return None
