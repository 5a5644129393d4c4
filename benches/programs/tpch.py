"""The 22 queries of TPC-H in SQL: `tpch.py ENGINE FOLDER [QUERIES]`.

ENGINE is `raceline`, `datafusion`, `duckdb` or `polars`; FOLDER holds the eight tables, each a
file `NAME.parquet` or a folder `NAME` of such files, as `tpchgen-cli parquet -s 1 -o FOLDER` makes
them; QUERIES are numbers, as `1,3,18`, and all of them without. One line of JSON a query has the
seconds of the fastest of the repeats; the last one the geometric mean.

DuckDB's answers are kept in `FOLDER/answers.json`; another engine's are compared with them, and a
query whose answer differs has `"equal": false`. Environment: `TPCH_REPEATS` (3),
`TPCH_MEMORY_BYTES` (as the engine has it), and `TPCH_THREADS` (2).
"""

import datetime
import decimal
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TABLES = ("customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier")
QUERIES = Path(__file__).parent.parent / "tpch"
THREADS = int(os.environ.get("TPCH_THREADS", "2"))
REPEATS = int(os.environ.get("TPCH_REPEATS", "3"))
MEMORY_BYTES = os.environ.get("TPCH_MEMORY_BYTES")

# A query to its rows.
Run = Callable[[str], list[tuple[Any, ...]]]


def files_of(folder: Path, table: str) -> str:
    """The path or pattern of a table's files."""
    one = folder / f"{table}.parquet"
    return str(one if one.exists() else folder / table / "*.parquet")


def raceline_engine(folder: Path) -> Run:
    """Raceline."""
    import raceline

    memory = None if MEMORY_BYTES is None else float(MEMORY_BYTES)
    raceline.init(num_cpus=THREADS, memory=memory, progress=False)
    tables = {table: raceline.read_parquet(files_of(folder, table)) for table in TABLES}

    def run(query: str) -> list[tuple[Any, ...]]:
        rows = []
        for batch in raceline.sql(query, **tables).iter_batches(
            batch_size=None, batch_format="pyarrow"
        ):
            rows.extend(rows_of(batch))
        return rows

    return run


def datafusion_engine(folder: Path) -> Run:
    """DataFusion, called directly."""
    import datafusion

    runtime = datafusion.RuntimeEnvBuilder()
    if MEMORY_BYTES is not None:
        # The share that Raceline gives its relational engine, all of it reservable.
        runtime = runtime.with_disk_manager_os().with_fair_spill_pool(int(MEMORY_BYTES) // 2)
    config = datafusion.SessionConfig().with_target_partitions(THREADS)
    context = datafusion.SessionContext(config, runtime)
    for table in TABLES:
        context.register_parquet(table, files_of(folder, table))
    return lambda query: [row for batch in context.sql(query).collect() for row in rows_of(batch)]


def duckdb_engine(folder: Path) -> Run:
    """DuckDB."""
    import duckdb

    config: dict[str, Any] = {"threads": THREADS}
    if MEMORY_BYTES is not None:
        config["memory_limit"] = f"{int(MEMORY_BYTES)}B"
    connection = duckdb.connect(config=config)
    for table in TABLES:
        connection.read_parquet(files_of(folder, table)).create_view(table)
    return lambda query: connection.execute(query).fetchall()


def polars_engine(folder: Path) -> Run:
    """Polars: its streaming engine, behind its SQL context."""
    os.environ["POLARS_MAX_THREADS"] = str(THREADS)
    import polars

    context = polars.SQLContext(
        {table: polars.scan_parquet(files_of(folder, table)) for table in TABLES}
    )
    return lambda query: context.execute(query).collect(engine="streaming").rows()


ENGINES = {
    "raceline": raceline_engine,
    "datafusion": datafusion_engine,
    "duckdb": duckdb_engine,
    "polars": polars_engine,
}


def rows_of(batch: Any) -> list[tuple[Any, ...]]:
    """The rows of an Arrow batch or table."""
    columns = [column.to_pylist() for column in batch.columns]
    return list(zip(*columns, strict=True)) if columns else []


def plain(rows: list[tuple[Any, ...]]) -> list[list[Any]]:
    """Rows as JSON has them."""
    return [[plain_value(value) for value in row] for row in rows]


def plain_value(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, datetime.date):
        return value.isoformat()[:10]
    return value


def are_equal(rows: list[list[Any]], wanted: list[list[Any]]) -> bool:
    """Whether two answers are the same, up to the digits of averages."""
    if len(rows) != len(wanted):
        return False
    pairs = (
        (a, b) for row, other in zip(rows, wanted, strict=True) for a, b in pairs_of(row, other)
    )
    return all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-5)
        if isinstance(a, int | float) and isinstance(b, int | float)
        else a == b
        for a, b in pairs
    )


def pairs_of(row: list[Any], other: list[Any]) -> list[tuple[Any, Any]]:
    """The values of two rows, side by side."""
    return list(zip(row, other, strict=True))


def measure(run: Run, query: str) -> tuple[float, list[list[Any]]]:
    """The seconds of the fastest repeat, and the answer."""
    best, rows = math.inf, []
    for _ in range(REPEATS):
        start = time.perf_counter()
        rows = run(query)
        best = min(best, time.perf_counter() - start)
    return best, plain(rows)


def main(engine: str, folder: Path, numbers: list[int]) -> None:
    """Runs the queries and prints what they took."""
    run = ENGINES[engine](folder)
    kept = folder / "answers.json"
    answers = json.loads(kept.read_text()) if kept.exists() else {}
    seconds: list[float] = []
    for number in numbers:
        query = (QUERIES / f"q{number:02}.sql").read_text()
        line: dict[str, Any] = {"engine": engine, "query": number}
        try:
            taken, rows = measure(run, query)
        except Exception as error:  # noqa: BLE001 (what an engine cannot do is a result too)
            line["error"] = str(error).splitlines()[0]
        else:
            if engine == "duckdb":
                answers[str(number)] = rows
            wanted = answers.get(str(number))
            line |= {"seconds": round(taken, 4), "rows": len(rows)}
            line["equal"] = None if wanted is None else are_equal(rows, wanted)
            seconds.append(taken)
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
    if engine == "duckdb":
        kept.write_text(json.dumps(answers))
    mean = math.exp(sum(map(math.log, seconds)) / len(seconds)) if seconds else None
    total = {"engine": engine, "queries": len(seconds), "geometric_mean_s": mean}
    sys.stdout.write(json.dumps(total | {"sum_s": sum(seconds)}) + "\n")


if __name__ == "__main__":
    chosen = sys.argv[3].split(",") if len(sys.argv) > 3 else range(1, 23)
    main(sys.argv[1], Path(sys.argv[2]), [int(one) for one in chosen])
