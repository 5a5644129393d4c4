"""16: CSV to partitioned Parquet."""

from __future__ import annotations

from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import flights

workload = Workload(
    number=16,
    name="csv",
    question=(
        "10 million flights as CSV (dates, missing numbers, quoted text with commas and quotes): "
        "drop those without a delay, derive a speed, write Parquet in folders by carrier."
    ),
    variants=("partitioned",),
    data=lambda _variant, scale: flights(scale),
    goals=(
        Goal("of the best of DuckDB and Polars", "partitioned", 1.3, against=("duckdb", "polars")),
    ),
    budget_seconds=60.0,
)


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """Expressions."""
    rl = engines.raceline(task)
    with task.clock():
        speed = rl.col("distance") / rl.col("air_time") * 60
        (
            rl.read_csv(str(task.data))
            .filter(expr=rl.col("delay").is_not_null())
            .with_column("speed", speed)
            .write_parquet(str(task.out / "rows"), partition_cols="carrier")
        )
    return None


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """`read_csv` and a partitioned `copy`."""
    connection = engines.duckdb(task)
    with task.clock():
        connection.execute(
            "copy (select *, distance / air_time * 60 as speed "
            f"from read_csv('{task.data}/*.csv') where delay is not null) "
            f"to '{task.out}/rows' (format parquet, partition_by (carrier))"
        )
    return None


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """`scan_csv` and a partitioned sink."""
    pl = engines.polars(task)
    with task.clock():
        rows = (
            pl.scan_csv(str(task.data / "*.csv"), try_parse_dates=True)
            .filter(pl.col("delay").is_not_null())
            .with_columns(speed=pl.col("distance") / pl.col("air_time") * 60)
        )
        rows.sink_parquet(
            pl.PartitionBy(task.out / "rows", key="carrier"),
            compression="snappy",
            engine="streaming",
            mkdir=True,
        )
    return None


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """`read_csv` and a partitioned write."""
    module = engines.daft(task)
    with task.clock():
        column = module.col
        (
            module.read_csv(str(task.data / "*.csv"), allow_variable_columns=False)
            .where(column("delay").not_null())
            .with_column("speed", column("distance") / column("air_time") * 60)
            .write_parquet(str(task.out / "rows"), partition_cols=["carrier"])
        )
    return None


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """Arrow batches, as its guides advise for speed."""
    import pyarrow.compute as pc

    def derive(table: Any) -> Any:
        kept = table.filter(pc.is_valid(table["delay"]))
        hours = pc.divide(kept["distance"].cast("double"), kept["air_time"])
        return kept.append_column("speed", pc.multiply(hours, 60.0))

    module = engines.ray(task)
    with task.clock():
        rows = module.data.read_csv(str(task.data))
        rows.map_batches(derive, batch_format="pyarrow").write_parquet(
            str(task.out / "rows"), partition_cols=["carrier"]
        )
    return None
