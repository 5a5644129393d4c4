"""25: a thousand columns through five operators, and what of it is planning."""

from __future__ import annotations

import time
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.relations import many_columns

COLUMNS = 1_000

workload = Workload(
    number=25,
    name="columns",
    question=(
        "100,000 rows of 1,000 columns of Parquet through a filter, a new column, a dropped one, a "
        "new name for one and a choice of 900, as Arrow batches to a loop. The share of planning "
        "is what the same program takes over no row: its filter lets none pass, and no row group "
        "is read."
    ),
    variants=("five operators",),
    data=lambda _variant, scale: many_columns(max(int(100_000 * scale), 400), COLUMNS),
    goals=(
        Goal("planning, of the run", "five operators", 0.1, figure="planning_share"),
        Goal(
            "run, of the best of others",
            "five operators",
            1.3,
            against=("polars", "datafusion", "duckdb"),
        ),
    ),
    budget_seconds=40.0,
)

KEPT = ["sum", "first", *(f"c{at}" for at in range(4, 902))]


def answer(batches: Any) -> Answer:
    """Rows, columns, and the sums of two columns."""
    import pyarrow.compute as pc

    rows, columns, sums = 0, 0, [0, 0]
    for batch in batches:
        rows += batch.num_rows
        columns = batch.num_columns
        for at, name in enumerate(("sum", "c901")):
            sums[at] += pc.sum(batch[name]).as_py() or 0
    return [(rows, columns, *sums)]


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """Expressions."""
    rl = engines.raceline(task)
    col = rl.data.expressions.col

    def run(least: int) -> Answer:
        rows = rl.read_parquet(str(task.data)).filter(expr=col("c0") >= least)
        rows = rows.with_column("sum", col("c1") + col("c2")).drop_columns(["c3"])
        chosen = rows.rename_columns({"c1": "first"}).select_columns(KEPT)
        return answer(chosen.iter_batches(batch_size=None, batch_format="pyarrow"))

    import pyarrow.compute  # noqa: F401  (as the others have loaded it)

    began = time.monotonic()
    run(1_000)
    planning = time.monotonic() - began
    with task.clock():
        found = run(4)
    task.figures["planning_seconds"] = planning
    task.figures["planning_share"] = planning / task.run_seconds
    return found


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """Expressions."""
    module = engines.ray(task)
    from ray.data.expressions import col

    with task.clock():
        rows = module.data.read_parquet(str(task.data)).filter(expr=col("c0") >= 4)
        rows = rows.with_column("sum", col("c1") + col("c2")).drop_columns(["c3"])
        chosen = rows.rename_columns({"c1": "first"}).select_columns(KEPT)
        return answer(chosen.iter_batches(batch_size=None, batch_format="pyarrow"))


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    with task.clock():
        rows = pl.scan_parquet(str(task.data / "*.parquet")).filter(pl.col("c0") >= 4)
        rows = rows.with_columns(sum=pl.col("c1") + pl.col("c2")).drop("c3")
        chosen = rows.rename({"c1": "first"}).select(KEPT)
        return answer([chosen.collect(engine="streaming").to_arrow()])


def _query(rows: str) -> str:
    names = ", ".join(KEPT[2:])
    return f'select c1 + c2 as "sum", c1 as "first", {names} from {rows} where c0 >= 4'


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """SQL."""
    context = engines.datafusion(task)
    with task.clock():
        context.register_parquet("wide", str(task.data))
        stream = context.sql(_query("wide")).execute_stream()
        return answer(batch.to_pyarrow() for batch in stream)


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """SQL."""
    connection = engines.duckdb(task)
    with task.clock():
        query = _query(f"'{task.data}/*.parquet'")
        return answer(connection.execute(query).to_arrow_reader())
