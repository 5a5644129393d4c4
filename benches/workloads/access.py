"""20: looking into a large data set without reading all of it."""

from __future__ import annotations

from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import kilobytes

PARTS = ("schema", "count", "first five", "1,000 numbers")

workload = Workload(
    number=20,
    name="access",
    question=(
        "A million rows of 1 KB in 16 Parquet files: the columns, the number of rows, the first "
        "five rows, and the 1,000 rows of given numbers, one after the other in one process."
    ),
    variants=("parts",),
    data=lambda _variant, scale: kilobytes(scale),
    goals=(
        Goal("number of rows, in seconds", "parts", 0.05, figure="count"),
        Goal("1,000 numbers, of DuckDB", "parts", 1.3, "raceline", ("duckdb",), "1,000 numbers"),
    ),
    budget_seconds=60.0,
)


def wanted(task: Task) -> list[int]:
    """1,000 numbers of rows, spread over all files."""
    import random

    rows = max(int(1_000_000 * task.scale) // 16, 100) * 16
    chosen = random.Random(20).sample(range(rows), min(1_000, rows))  # noqa: S311
    return sorted(chosen)


def answer(columns: list[str], count: int, first: list[Any], found: list[Any]) -> Answer:
    """What all engines must agree on; which five rows come first is theirs to say."""
    rows = [(f"column {name}", 0) for name in columns]
    rows += [("count", count), ("first", len(first)), ("found", len(found)), ("sum", sum(found))]
    return rows


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """A filter expression for the numbers. The others have loaded Arrow's library by now, too."""
    import pyarrow  # noqa: F401

    rl = engines.raceline(task)
    numbers = wanted(task)
    folder = str(task.data)
    with task.clock("schema"):
        columns = rl.read_parquet(folder).columns()
    with task.clock("count"):
        count = rl.read_parquet(folder).count()
    with task.clock("first five"):
        first = [row["id"] for row in rl.read_parquet(folder).limit(5).take_all()]
    with task.clock("1,000 numbers"):
        found = rl.read_parquet(folder).filter(expr=rl.col("id").is_in(numbers)).to_arrow()
    return answer(columns, count, first, found["id"].to_pylist())


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """SQL; the numbers as a table that is joined, which is its fastest way."""
    import pyarrow as pa

    connection = engines.duckdb(task, ordered=True)
    connection.register("numbers", pa.table({"id": wanted(task)}))
    files = f"'{task.data}/*.parquet'"
    with task.clock("schema"):
        described = connection.execute(f"describe from {files}").fetchall()
    with task.clock("count"):
        counted = connection.execute(f"select count(*) from {files}").fetchall()
    with task.clock("first five"):
        first = connection.execute(f"from {files} limit 5").fetchall()
    with task.clock("1,000 numbers"):
        found = connection.execute(f"from {files} semi join numbers using (id)").to_arrow_table()
    return answer(
        [row[0] for row in described],
        counted[0][0],
        [row[0] for row in first],
        found["id"].to_pylist(),
    )


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    numbers = wanted(task)
    files = str(task.data / "*.parquet")
    with task.clock("schema"):
        columns = pl.scan_parquet(files).collect_schema().names()
    with task.clock("count"):
        count = pl.scan_parquet(files).select(pl.len()).collect(engine="streaming").item()
    with task.clock("first five"):
        first = pl.scan_parquet(files).head(5).collect(engine="streaming")["id"].to_list()
    with task.clock("1,000 numbers"):
        chosen = pl.scan_parquet(files).filter(pl.col("id").is_in(numbers))
        found = chosen.collect(engine="streaming")["id"].to_list()
    return answer(columns, count, first, found)


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """SQL."""
    context = engines.datafusion(task)
    numbers = ", ".join(map(str, wanted(task)))
    with task.clock("schema"):
        context.register_parquet("rows", str(task.data))
        columns = context.table("rows").schema().names
    with task.clock("count"):
        count = context.sql("select count(*) as n from rows").to_pydict()["n"][0]
    with task.clock("first five"):
        first = context.sql("select * from rows limit 5").to_pydict()["id"]
    with task.clock("1,000 numbers"):
        query = f"select * from rows where id in ({numbers})"
        found = context.sql(query).to_pydict()["id"]
    return answer(columns, count, first, found)


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """Expressions."""
    module = engines.daft(task)
    numbers = wanted(task)
    files = str(task.data / "*.parquet")
    with task.clock("schema"):
        columns = module.read_parquet(files).column_names
    with task.clock("count"):
        count = module.read_parquet(files).count_rows()
    with task.clock("first five"):
        first = module.read_parquet(files).limit(5).to_pydict()["id"]
    with task.clock("1,000 numbers"):
        chosen = module.read_parquet(files).where(module.col("id").is_in(numbers))
        found = chosen.to_arrow()["id"].to_pylist()
    return answer(columns, count, first, found)


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """A filter expression for the numbers."""
    module = engines.ray(task)
    from ray.data.expressions import col

    numbers = wanted(task)
    folder = str(task.data)
    with task.clock("schema"):
        columns = module.data.read_parquet(folder).columns()
    with task.clock("count"):
        count = module.data.read_parquet(folder).count()
    with task.clock("first five"):
        first = [row["id"] for row in module.data.read_parquet(folder).limit(5).take_all()]
    with task.clock("1,000 numbers"):
        chosen = module.data.read_parquet(folder).filter(expr=col("id").is_in(numbers))
        found = [row["id"] for row in chosen.take_all()]
    return answer(columns, count, first, found)
