"""15: nested JSON lines to flat Parquet, and a key that only later rows have."""

from __future__ import annotations

from pathlib import Path

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import late_keys, nested_orders


def _data(variant: str, scale: float) -> Path:
    return late_keys(scale) if variant == "late key" else nested_orders(scale)


workload = Workload(
    number=15,
    name="jsonl",
    question=(
        "A million orders with a customer and lines inside as JSON lines: keep the finished ones, "
        "take four fields and two nested ones, write Parquet. And mails of which later ones have a "
        "key that the first ones lack: count rows and those that have it."
    ),
    variants=("nested", "late key"),
    data=_data,
    goals=(
        Goal(
            "nested, of the best of DuckDB and Polars", "nested", 1.3, against=("duckdb", "polars")
        ),
    ),
    budget_seconds=60.0,
)

NESTED = ("nested",)
LATE = ("late key",)

FLAT = "key, status, total, comment, customer.key as customer, customer.nation as nation"


@workload.cell("raceline", variants=NESTED)
def raceline(task: Task) -> Answer:
    """A filter expression, and a row lambda that takes the fields out."""
    rl = engines.raceline(task)
    with task.clock():
        (
            rl.read_json(str(task.data))
            .filter(expr=rl.col("status") == "F")
            .select_columns(["key", "status", "total", "comment", "customer"])
            .map(
                lambda row: {
                    "key": row["key"],
                    "status": row["status"],
                    "total": row["total"],
                    "comment": row["comment"],
                    "customer": row["customer"]["key"],
                    "nation": row["customer"]["nation"],
                }
            )
            .write_parquet(str(task.out / "rows"))
        )
    return None


@workload.cell("duckdb", variants=NESTED)
def duckdb(task: Task) -> Answer:
    """`read_json` and `copy`."""
    connection = engines.duckdb(task)
    with task.clock():
        connection.execute(
            f"copy (select {FLAT} from read_json('{task.data}/*.jsonl') where status = 'F') "
            f"to '{task.out}/rows.parquet' (format parquet)"
        )
    return None


@workload.cell("polars", variants=NESTED)
def polars(task: Task) -> Answer:
    """`scan_ndjson` and `sink_parquet`."""
    pl = engines.polars(task)
    with task.clock():
        customer = pl.col("customer").struct
        (
            pl.scan_ndjson(str(task.data / "*.jsonl"))
            .filter(pl.col("status") == "F")
            .select(
                "key",
                "status",
                "total",
                "comment",
                customer.field("key").alias("customer"),
                customer.field("nation").alias("nation"),
            )
            .sink_parquet(task.out / "rows.parquet", compression="snappy", engine="streaming")
        )
    return None


@workload.cell("daft", variants=NESTED)
def daft(task: Task) -> Answer:
    """`read_json` and `write_parquet`."""
    module = engines.daft(task)
    with task.clock():
        column = module.col
        (
            module.read_json(str(task.data / "*.jsonl"))
            .where(column("status") == "F")
            .select(
                "key",
                "status",
                "total",
                "comment",
                column("customer").get("key").alias("customer"),
                column("customer").get("nation").alias("nation"),
            )
            .write_parquet(str(task.out / "rows"))
        )
    return None


@workload.cell("ray", variants=NESTED)
def ray(task: Task) -> Answer:
    """Batches of Arrow tables, as its guides advise for speed."""
    import pyarrow as pa
    import pyarrow.compute as pc

    def flat(table: pa.Table) -> pa.Table:
        kept = table.filter(pc.equal(table["status"], "F"))
        columns = {name: kept[name] for name in ("key", "status", "total", "comment")}
        columns["customer"] = pc.struct_field(kept["customer"], "key")
        columns["nation"] = pc.struct_field(kept["customer"], "nation")
        return pa.table(columns)

    module = engines.ray(task)
    with task.clock():
        rows = module.data.read_json(str(task.data), lines=True)
        rows.map_batches(flat, batch_format="pyarrow").write_parquet(str(task.out / "rows"))
    return None


@workload.cell("raceline", variants=LATE)
def raceline_late(task: Task) -> Answer:
    """The columns are named, as the first rows do not show all of them."""
    from raceline.data.aggregate import Count

    rl = engines.raceline(task)
    with task.clock():
        mails = rl.read_json(str(task.data)).select_columns(["number", "score", "late"])
        found = mails.aggregate(Count(), Count("late", ignore_nulls=True))
    return [tuple(found.values())]


@workload.cell("duckdb", variants=LATE)
def duckdb_late(task: Task) -> Answer:
    """All rows are looked at for the columns."""
    connection = engines.duckdb(task)
    with task.clock():
        found = connection.execute(
            f"select count(*), count(late) from read_json('{task.data}/*.jsonl', sample_size = -1)"
        ).fetchall()
    return [tuple(found[0])]


@workload.cell("polars", variants=LATE)
def polars_late(task: Task) -> Answer:
    """All rows are looked at for the columns."""
    pl = engines.polars(task)
    with task.clock():
        mails = pl.scan_ndjson(str(task.data / "*.jsonl"), infer_schema_length=None)
        found = mails.select(rows=pl.len(), late=pl.col("late").count()).collect(engine="streaming")
    return [tuple(found.row(0))]


@workload.cell("daft", variants=LATE)
def daft_late(task: Task) -> Answer:
    """As it finds the columns."""
    module = engines.daft(task)
    with task.clock():
        mails = module.read_json(str(task.data / "*.jsonl"))
        counted = mails.agg(module.col("number").count(), module.col("late").count()).to_pydict()
    return [tuple(column[0] for column in counted.values())]


@workload.cell("ray", variants=LATE)
def ray_late(task: Task) -> Answer:
    """As it finds the columns."""
    module = engines.ray(task)
    with task.clock():
        mails = module.data.read_json(str(task.data), lines=True)
        late = mails.filter(lambda row: isinstance(row.get("late"), str)).count()
        found = (mails.count(), late)
    return [found]
