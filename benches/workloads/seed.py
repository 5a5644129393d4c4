"""1: ten million rows through lambdas, in the order in which a user would write them."""

from __future__ import annotations

from multiprocessing import get_context
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import nothing

ROWS = 10_000_000

workload = Workload(
    number=1,
    name="seed",
    question=(
        "10 million rows: a row lambda, a filter lambda, a batch lambda, groups by a lambda, "
        "counted. `raceline` compiles them; `raceline (called)` really calls them in two processes."
    ),
    variants=("10M rows",),
    data=nothing,
    goals=(
        Goal(
            "compiled, of two bare CPython processes that do the row lambdas",
            "10M rows",
            0.12,
            against=("python",),
        ),
        Goal(
            "called, of the same two processes",
            "10M rows",
            1.3,
            of="raceline (called)",
            against=("python",),
        ),
        Goal("compiled, of Ray Data", "10M rows", 1 / 200, against=("ray",)),
        Goal(
            "called, of Daft's functions",
            "10M rows",
            1 / 3,
            "raceline (called)",
            ("daft (functions)",),
        ),
    ),
)


def rows_of(task: Task) -> int:
    """How many rows the task is about."""
    return int(ROWS * task.scale)


@workload.cell("raceline (called)", env={"RACELINE_LAMBDA": "off"})
@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """Compiled, or with the compiler off."""
    from raceline.data.aggregate import Count

    rl = engines.raceline(task)
    with task.clock():
        groups = (
            rl.data.range(rows_of(task))
            .map(lambda row: {"value": row["id"] * 2})
            .filter(lambda row: row["value"] % 100 == 0)
            .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
            .groupby(lambda row: row["processed"] // 10)
            .aggregate(Count())
            .count()
        )
    return [(groups,)]


@workload.cell("ray", share=0.1)
def ray(task: Task) -> Answer:
    """A tenth of the rows: its time is linear there. Groups are by columns only."""
    from ray.data.aggregate import Count

    module = engines.ray(task)
    with task.clock():
        groups = (
            module.data.range(rows_of(task))
            .map(lambda row: {"value": row["id"] * 2})
            .filter(lambda row: row["value"] % 100 == 0)
            .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
            .map(lambda row: {"key": row["processed"] // 10})
            .groupby("key")
            .aggregate(Count())
            .count()
        )
    return [(groups,)]


@workload.cell("daft (functions)")
def daft_functions(task: Task) -> Answer:
    """The row lambdas as Python functions, each with its own return type."""
    daft = engines.daft(task)
    column, integer, boolean = daft.col, daft.DataType.int64(), daft.DataType.bool()
    with task.clock():
        groups = _daft_groups(
            daft,
            daft.range(rows_of(task))
            .select(column("id").apply(lambda value: value * 2, integer).alias("value"))
            .where(column("value").apply(lambda value: value % 100 == 0, boolean)),
        )
    return [(groups,)]


@workload.cell("daft (expressions)")
def daft_expressions(task: Task) -> Answer:
    """The same without Python functions."""
    daft = engines.daft(task)
    with task.clock():
        value = (daft.col("id") * 2).alias("value")
        groups = _daft_groups(
            daft, daft.range(rows_of(task)).select(value).where(daft.col("value") % 100 == 0)
        )
    return [(groups,)]


def _daft_groups(daft: Any, values: Any) -> int:
    processed = values.select(daft.col("value").sqrt().alias("processed"))
    keys = processed.select((daft.col("processed") // 10).alias("key"))
    groups: int = keys.groupby("key").agg(daft.col("key").count().alias("count")).count_rows()
    return groups


@workload.cell("polars (expressions)")
def polars(task: Task) -> Answer:
    """The same as expressions, streaming."""
    pl = engines.polars(task)
    with task.clock():
        value = (pl.int_range(rows_of(task), dtype=pl.Int64) * 2).alias("value")
        key = (pl.col("value").sqrt() // 10).alias("key")
        groups = (
            pl.LazyFrame()
            .select(value)
            .filter(pl.col("value") % 100 == 0)
            .group_by(key)
            .len()
            .collect(engine="streaming")
            .height
        )
    return [(groups,)]


@workload.cell("duckdb (expressions)")
def duckdb(task: Task) -> Answer:
    """The same in SQL."""
    connection = engines.duckdb(task)
    query = f"""
        select count(*) from (
            select floor(sqrt(value) / 10) as key, count(*)
            from (select range * 2 as value from range({rows_of(task)}))
            where value % 100 = 0 group by key)
    """
    with task.clock():
        groups = connection.execute(query).fetchall()[0][0]
    return [(groups,)]


def _half(bounds: tuple[int, int]) -> int:
    """The two row lambdas over a range; returns the rows that are left."""
    double = lambda row: {"value": row["id"] * 2}  # noqa: E731
    keep = lambda row: row["value"] % 100 == 0  # noqa: E731
    return sum(1 for number in range(*bounds) if keep(double({"id": number})))


@workload.cell("python", checked=False)
def python(task: Task) -> Answer:
    """The two row lambdas in two bare processes: the least an engine must do that calls them."""
    rows = rows_of(task)
    with task.clock(), get_context("fork").Pool(2) as pool:
        left = sum(pool.map(_half, [(0, rows // 2), (rows // 2, rows)]))
    return [(left,)]
