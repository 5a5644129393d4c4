"""3: the 22 queries of TPC-H in SQL."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Limit, Rows, Task, Workload
from suite.datasets import tpch
from suite.goals import MEAN, WORST

QUERIES = Path(__file__).parent.parent / "tpch"

#: What holds of decimals and not of doubles, whose sums differ in their last digits: bounds that
#: are sums, and a sum that is compared with itself, added up in another order.
DOUBLES = {
    "0.06 - 0.01": "0.05",
    "0.06 + 0.01": "0.07",
    "sum(l_extendedprice * (1 - l_discount)) as total_revenue": (
        "round(sum(l_extendedprice * (1 - l_discount)), 2) as total_revenue"
    ),
}

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")

workload = Workload(
    number=3,
    name="tpch",
    question=(
        "The 22 queries of TPC-H in SQL over Parquet, one after the other in one process: at scale "
        "factor 1, and at 10 under a limit. Numbers are doubles. Each query's answer is compared."
    ),
    variants=("SF1", "SF10, limited"),
    data=lambda variant, scale: tpch(scale if variant == "SF1" else scale * 10),
    limits={
        "SF10, limited": Limit(full_bytes=2 << 30, smoke_bytes=512 << 20, smoke_scale=0.02),
    },
    goals=(
        Goal("of DataFusion, geometric mean", "SF1", 1.05, against=("datafusion",), figure=MEAN),
        Goal(
            "of the better of DuckDB and Polars, geometric mean",
            "SF1",
            1.3,
            against=("duckdb", "polars"),
            figure=MEAN,
        ),
        Goal(
            "of the better of DuckDB and Polars, each query",
            "SF1",
            3.0,
            against=("duckdb", "polars"),
            figure=WORST,
        ),
        Goal("queries that do not finish", "SF10, limited", 0, figure="unanswered"),
    ),
    budget_seconds=60.0,
    cell_seconds=420.0,
)


def all_queries(task: Task, ask: Callable[[str], Rows]) -> Answer:
    """Times each query; one that an engine refuses is a failure of its own."""
    answers: dict[str, Rows] = {}
    for path in sorted(QUERIES.glob("q*.sql")):
        query = path.read_text()
        for written, meant in DOUBLES.items():
            query = query.replace(written, meant)
        try:
            with task.clock(path.stem):
                rows = ask(query)
        except Exception as error:  # noqa: BLE001 -- what an engine cannot do is a result
            task.parts.pop(path.stem, None)
            task.failures[path.stem] = str(error).strip().splitlines()[0][:200]
        else:
            answers[path.stem] = [tuple(_plain(value) for value in row) for row in rows]
    task.figures["unanswered"] = len(task.failures)
    return answers


def _plain(value: Any) -> Any:
    """A value as JSON has it; dates as text, times of midnight as dates."""
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    return value


def _files(task: Task, table: str) -> str:
    return f"{task.data}/{table}/*.parquet"


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`sql` over datasets of files."""
    rl = engines.raceline(task)
    tables = {table: rl.read_parquet(str(task.data / table)) for table in TABLES}

    def ask(query: str) -> Rows:
        return _rows(rl.sql(query, **tables).to_arrow())

    return all_queries(task, ask)


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """Views over the files."""
    connection = engines.duckdb(task)
    for table in TABLES:
        connection.execute(f"create view {table} as from '{_files(task, table)}'")
    return all_queries(task, lambda query: connection.execute(query).fetchall())


@workload.cell("datafusion")
def datafusion(task: Task) -> Answer:
    """Registered files."""
    context = engines.datafusion(task)
    for table in TABLES:
        context.register_parquet(table, str(task.data / table))
    return all_queries(task, lambda query: _rows(context.sql(query).to_arrow_table()))


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Its SQL context over lazy frames, streaming."""
    pl = engines.polars(task)
    context = pl.SQLContext({table: pl.scan_parquet(_files(task, table)) for table in TABLES})

    def ask(query: str) -> Rows:
        return context.execute(query).collect(engine="streaming").rows()

    return all_queries(task, ask)


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """`sql` over data frames."""
    module = engines.daft(task)
    tables = {table: module.read_parquet(_files(task, table)) for table in TABLES}
    return all_queries(task, lambda query: _rows(module.sql(query, **tables).to_arrow()))


def _rows(table: Any) -> Rows:
    """The rows of an Arrow table."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
