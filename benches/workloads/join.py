"""8: lines with their orders: four kinds of join, and one with a fifth of the rows on one key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Limit, Task, Workload
from suite.datasets import skewed_orders, tpch

KINDS = {"inner": "inner", "left": "left_outer", "semi": "left_semi", "anti": "left_anti"}
SQL = {"inner": "join", "left": "left join", "semi": "semi join", "anti": "anti join"}


def _data(variant: str, scale: float) -> Path:
    return skewed_orders(scale) if variant.startswith("skewed") else tpch(scale)


workload = Workload(
    number=8,
    name="join",
    question=(
        "6 million lines joined with the two thirds of 1.5 million orders that are not on a third "
        "of the days: rows counted and a column summed. Then inner joins of as many rows of which "
        "20 % have one key, with ample memory and under a limit."
    ),
    variants=(*KINDS, "skewed", "skewed, limited"),
    data=_data,
    limits={"skewed, limited": Limit(full_bytes=300 << 20, smoke_bytes=264 << 20, smoke_scale=0.1)},
    goals=(
        Goal("inner, of the best of others", "inner", 1.3, against=("duckdb", "polars")),
        Goal("skewed, of inner", "skewed", 1.5, against=("raceline",), other_variant="inner"),
        Goal(
            "skewed, limited: peak, budget and baseline + 10 %",
            "skewed, limited",
            170 << 20,
            figure="peak_bytes",
        ),
    ),
    budget_seconds=30.0,
)


def kind(task: Task) -> str:
    """The kind of join of the task."""
    return task.variant if task.variant in KINDS else "inner"


def right_column(task: Task) -> bool:
    """Whether the rows have columns of the right side, whose customers are then counted too."""
    return kind(task) in ("inner", "left")


def sql(task: Task, lines: str, orders: str) -> str:
    """The query, for engines that take it."""
    customers = ", count(o_custkey)" if right_column(task) else ""
    return (
        f"select count(*), cast(sum(l_extendedprice) as double){customers} "
        f"from {lines} as l {SQL[kind(task)]} "
        f"(select * from {orders} where o_orderkey % 3 <> 0) as o on l_orderkey = o_orderkey"
    )


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`join`, and aggregates of all rows."""
    from raceline.data.aggregate import Count, Sum

    rl = engines.raceline(task)
    with task.clock():
        joined = _joined(rl, task, rl.col("o_orderkey") % 3 != 0)
        counts = [Count("o_custkey", ignore_nulls=True)] if right_column(task) else []
        found = joined.aggregate(Count(), Sum("l_extendedprice"), *counts)
    return [_as_floats(found.values())]


@workload.cell("ray", variants=("inner", "semi", "skewed", "skewed, limited"))
def ray(task: Task) -> Answer:
    """`join`, and aggregates of all rows."""
    from ray.data.aggregate import Count, Sum
    from ray.data.expressions import col

    module = engines.ray(task)
    with task.clock():
        joined = _joined(module, task, col("o_orderkey") % 3 != 0)
        counts = [Count("o_custkey", ignore_nulls=True)] if right_column(task) else []
        found = joined.aggregate(Count(), Sum("l_extendedprice"), *counts)
    return [_as_floats(found.values())]


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """SQL."""
    connection = engines.duckdb(task)
    with task.clock():
        query = sql(task, f"'{task.data}/lineitem/*.parquet'", f"'{task.data}/orders/*.parquet'")
        found = connection.execute(query).fetchall()[0]
    return [_as_floats(found)]


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """SQL."""
    context = engines.datafusion(task)
    for name in ("lineitem", "orders"):
        context.register_parquet(name, str(task.data / name))
    query = sql(task, "lineitem", "orders").replace("semi join", "left semi join")
    with task.clock():
        found = context.sql(query.replace("anti join", "left anti join")).to_pydict()
    return [_as_floats(column[0] for column in found.values())]


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    with task.clock():
        lines = pl.scan_parquet(str(task.data / "lineitem" / "*.parquet"))
        orders = pl.scan_parquet(str(task.data / "orders" / "*.parquet"))
        joined = lines.join(
            orders.filter(pl.col("o_orderkey") % 3 != 0),
            left_on="l_orderkey",
            right_on="o_orderkey",
            how=kind(task),
        )
        counts = [pl.col("o_custkey").count()] if right_column(task) else []
        chosen = joined.select(pl.len(), pl.col("l_extendedprice").sum(), *counts)
        found = chosen.collect(engine="streaming").row(0)
    return [_as_floats(found)]


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """Lazy frames."""
    module = engines.daft(task)
    with task.clock():
        lines = module.read_parquet(str(task.data / "lineitem" / "*.parquet"))
        orders = module.read_parquet(str(task.data / "orders" / "*.parquet"))
        joined = lines.join(
            orders.where(module.col("o_orderkey") % 3 != 0),
            left_on="l_orderkey",
            right_on="o_orderkey",
            how=kind(task),
        )
        counts = [module.col("o_custkey").count()] if right_column(task) else []
        column = module.col("l_extendedprice")
        found = joined.agg(
            module.col("l_orderkey").count(), column.sum().alias("sum"), *counts
        ).to_pydict()
    return [_as_floats(values[0] for values in found.values())]


def _joined(module: Any, task: Task, kept: Any) -> Any:
    """The join, which both of the APIs take."""
    read = module.data.read_parquet
    lines = read(str(task.data / "lineitem")).select_columns(["l_orderkey", "l_extendedprice"])
    orders = read(str(task.data / "orders")).select_columns(["o_orderkey", "o_custkey"])
    return lines.join(
        orders.filter(expr=kept),
        KINDS[kind(task)],
        8,
        on=("l_orderkey",),
        right_on=("o_orderkey",),
    )


def _as_floats(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
