"""4: a grouping with about as many groups as rows, back to Parquet files."""

from __future__ import annotations

from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Limit, Task, Workload
from suite.datasets import wide_integers

#: Groups at full size, of 12.5 million rows.
GROUPS = 10_000_000

workload = Workload(
    number=4,
    name="groupby",
    question=(
        "The data of `sort` by 10 million groups, of which nearly all have one row or two: rows, a "
        "sum and a maximum of each, written to Parquet, with ample memory and under a limit."
    ),
    variants=("ample", "limited"),
    data=lambda _variant, scale: wide_integers(scale),
    limits={"limited": Limit(full_bytes=450 << 20, smoke_bytes=264 << 20, smoke_scale=0.1)},
    goals=(
        Goal(
            "ample, of the best of others",
            "ample",
            1.3,
            against=("duckdb", "polars", "datafusion"),
        ),
        Goal(
            "limited, of the best of those that finish",
            "limited",
            1.0,
            against=("duckdb", "polars", "datafusion", "daft", "ray"),
        ),
        Goal("limited, of ample", "limited", 2.0, against=("raceline",), other_variant="ample"),
        Goal(
            "limited: peak, budget and baseline + 10 %", "limited", 340 << 20, figure="peak_bytes"
        ),
    ),
    budget_seconds=60.0,
)


def groups(task: Task) -> int:
    """How many groups there may be."""
    return max(int(GROUPS * task.scale), 1)


def sql(task: Task, rows: str) -> str:
    """The query, for engines that take it."""
    return (
        f"select value_0 % {groups(task)} as number, cast(count(*) as bigint) as many, "
        f"cast(sum(value_1 % 1000) as bigint) as total, max(value_2) as most from {rows} group by 1"
    )


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """A batch lambda, as `%` of expressions is of floats in this API; `groupby().aggregate()`."""
    from raceline.data.aggregate import Count, Max, Sum

    rl = engines.raceline(task)
    with task.clock():
        found = _prepared(rl.read_parquet(str(task.data)), groups(task))
        found = found.groupby("number").aggregate(Count(), Sum("part"), Max("value_2"))
        _renamed(found).write_parquet(str(task.out / "rows"))
    return None


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """A batch lambda, as `%` of expressions is of floats in this API; `groupby().aggregate()`."""
    from ray.data.aggregate import Count, Max, Sum

    module = engines.ray(task)
    with task.clock():
        found = _prepared(module.data.read_parquet(str(task.data)), groups(task))
        found = found.groupby("number").aggregate(Count(), Sum("part"), Max("value_2"))
        _renamed(found).write_parquet(str(task.out / "rows"))
    return None


def _prepared(rows: Any, count: int) -> Any:
    """The columns that are grouped and summed, which both of the APIs make alike."""
    return rows.select_columns(["value_0", "value_1", "value_2"]).map_batches(
        lambda batch: {
            "number": batch["value_0"] % count,
            "part": batch["value_1"] % 1000,
            "value_2": batch["value_2"],
        }
    )


def _renamed(found: Any) -> Any:
    names = {"count()": "many", "sum(part)": "total", "max(value_2)": "most"}
    return found.rename_columns(names)


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """`copy (… group by) to`."""
    connection = engines.duckdb(task)
    with task.clock():
        query = sql(task, f"'{task.data}/*.parquet'")
        connection.execute(f"copy ({query}) to '{task.out}/rows.parquet' (format parquet)")
    return None


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """SQL."""
    context = engines.datafusion(task)
    context.register_parquet("rows", str(task.data))
    with task.clock():
        context.sql(sql(task, "rows")).write_parquet(str(task.out / "rows.parquet"))
    return None


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    with task.clock():
        rows = pl.scan_parquet(str(task.data / "*.parquet"))
        found = rows.group_by(number=pl.col("value_0") % groups(task)).agg(
            many=pl.len().cast(pl.Int64),
            total=(pl.col("value_1") % 1000).sum(),
            most=pl.col("value_2").max(),
        )
        found.sink_parquet(task.out / "rows.parquet", compression="snappy", engine="streaming")
    return None


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """Lazy frames."""
    module = engines.daft(task)
    with task.clock():
        column = module.col
        rows = module.read_parquet(str(task.data / "*.parquet")).select(
            (column("value_0") % groups(task)).alias("number"),
            (column("value_1") % 1000).alias("part"),
            column("value_2"),
        )
        found = rows.groupby("number").agg(
            column("part").count().alias("many"),
            column("part").sum().alias("total"),
            column("value_2").max().alias("most"),
        )
        found.write_parquet(str(task.out / "rows"))
    return None
