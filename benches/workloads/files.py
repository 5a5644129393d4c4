"""26: what is known of a thousand files without reading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.opened import opened_in
from suite.relations import many_files

workload = Workload(
    number=26,
    name="files",
    question=(
        "1,000 Parquet files of 1,000 rows: the columns, the number of rows, and five rows, one "
        "after the other in one process, with the number of files that each of them opens. "
        "`python` reads with PyArrow what it must: the footer of one file, all footers, and one "
        "file."
    ),
    variants=("parts",),
    data=lambda _variant, scale: many_files(max(int(1_000 * scale), 10)),
    goals=(
        Goal(
            "files opened for the columns, which are those of eight",
            "parts",
            8,
            figure="schema_files",
        ),
        Goal("files opened for five rows", "parts", 8, figure="five_files"),
        Goal(
            "number of rows, of a loop over footers",
            "parts",
            1.0,
            against=("python",),
            figure="count",
        ),
        Goal("five rows, of one file read", "parts", 3.0, against=("python",), figure="five"),
    ),
    budget_seconds=40.0,
)


@contextmanager
def part(task: Task, name: str) -> Iterator[None]:
    """Measures a part, and counts the files that it opens."""
    with opened_in(task.data) as names, task.clock(name):
        yield
    task.figures[f"{name}_files"] = len(names)


def answer(columns: list[str], count: int, five: int) -> Answer:
    """What all must agree on; which five rows come is theirs to say."""
    return [(f"column {name}", 0) for name in columns] + [("count", count), ("five", five)]


def _ray_like(module: Any, task: Task) -> Answer:
    """The program, which both of the APIs take."""
    folder = str(task.data)
    with part(task, "schema"):
        columns = module.data.read_parquet(folder).schema().names
    with part(task, "count"):
        count = module.data.read_parquet(folder).count()
    with part(task, "five"):
        five = module.data.read_parquet(folder).take(5)
    return answer(columns, count, len(five))


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`schema()`, `count()`, `take(5)`."""
    return _ray_like(engines.raceline(task), task)


@workload.cell("ray")
def ray(task: Task) -> Answer:
    """The same program."""
    return _ray_like(engines.ray(task), task)


@workload.cell("python")
def python(task: Task) -> Answer:
    """A loop over footers."""
    import pyarrow.parquet as pq

    with part(task, "schema"):
        columns = pq.read_schema(next(iter(sorted(task.data.iterdir())))).names
    with part(task, "count"):
        count = sum(pq.read_metadata(path).num_rows for path in sorted(task.data.iterdir()))
    with part(task, "five"):
        first = pq.ParquetFile(next(iter(sorted(task.data.iterdir()))))
        five = next(first.iter_batches(5)).to_pylist()
    return answer(columns, count, len(five))


@workload.cell("duckdb")
def duckdb(task: Task) -> Answer:
    """SQL."""
    connection = engines.duckdb(task, ordered=True)
    files = f"'{task.data}/*.parquet'"
    with part(task, "schema"):
        described = connection.execute(f"describe from {files}").fetchall()
    with part(task, "count"):
        count = connection.execute(f"select count(*) from {files}").fetchall()[0][0]
    with part(task, "five"):
        five = connection.execute(f"from {files} limit 5").fetchall()
    return answer([row[0] for row in described], count, len(five))


@workload.cell("polars")
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    files = str(task.data / "*.parquet")
    with part(task, "schema"):
        columns = pl.scan_parquet(files).collect_schema().names()
    with part(task, "count"):
        count = pl.scan_parquet(files).select(pl.len()).collect(engine="streaming").item()
    with part(task, "five"):
        five = pl.scan_parquet(files).head(5).collect(engine="streaming").rows()
    return answer(columns, count, len(five))
