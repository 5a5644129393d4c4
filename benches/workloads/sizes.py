"""2: the seed pipeline from a thousand to a hundred million rows, and other forms of functions."""

from __future__ import annotations

import math
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import nothing

SIZES = {
    "1k rows": 1_000,
    "100k rows": 100_000,
    "1M rows": 1_000_000,
    "10M rows": 10_000_000,
    "100M rows": 100_000_000,
}
#: Rows of the variants that are about the form of a function.
ROWS = 1_000_000
FORMS = ("closures", "numpy calls", "exceptions", "dicts with strings")
#: Rows beyond which Ray Data and called functions take minutes for what is known from fewer.
SMALL = ("1k rows", "100k rows", "1M rows")

OFF = {"RACELINE_LAMBDA": "off"}

workload = Workload(
    number=2,
    name="sizes",
    question=(
        "The seed pipeline at other sizes: start-up and slope. Then a million rows through "
        "functions of other forms: closures, NumPy calls, exceptions, dicts with strings."
    ),
    variants=(*SIZES, *FORMS),
    data=nothing,
    goals=(
        Goal(
            "1,000 rows, from start to result, in seconds", "1k rows", 0.2, figure="total_seconds"
        ),
        Goal(
            "peak at 100M rows, of that at 10M",
            "100M rows",
            1.1,
            against=("raceline",),
            figure="peak_bytes",
            other_variant="10M rows",
        ),
        Goal(
            "1,000 rows, from start to result, of Ray Data",
            "1k rows",
            0.1,
            "raceline",
            ("ray",),
            "total_seconds",
        ),
    ),
    budget_seconds=15.0,
)


def _seed(rl: Any, rows: int) -> int:
    from raceline.data.aggregate import Count

    counted: int = (
        rl.data.range(rows)
        .map(lambda row: {"value": row["id"] * 2})
        .filter(lambda row: row["value"] % 100 == 0)
        .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
        .groupby(lambda row: row["processed"] // 10)
        .aggregate(Count())
        .count()
    )
    return counted


@workload.cell("raceline (called)", variants=SMALL, env=OFF)
@workload.cell("raceline", variants=tuple(SIZES))
def raceline(task: Task) -> Answer:
    """Compiled, or with the compiler off."""
    rl = engines.raceline(task)
    with task.clock():
        groups = _seed(rl, int(SIZES[task.variant] * task.scale))
    return [(groups,)]


@workload.cell("ray", variants=SMALL)
def ray(task: Task) -> Answer:
    """Groups are by columns only."""
    from ray.data.aggregate import Count

    module = engines.ray(task)
    with task.clock():
        groups = (
            module.data.range(int(SIZES[task.variant] * task.scale))
            .map(lambda row: {"value": row["id"] * 2})
            .filter(lambda row: row["value"] % 100 == 0)
            .map_batches(lambda batch: {"processed": batch["value"] ** 0.5}, batch_size=1000)
            .map(lambda row: {"key": row["processed"] // 10})
            .groupby("key")
            .aggregate(Count())
            .count()
        )
    return [(groups,)]


@workload.cell("daft (expressions)", variants=tuple(SIZES))
def daft_expressions(task: Task) -> Answer:
    """Without Python functions."""
    daft = engines.daft(task)
    with task.clock():
        column = daft.col
        groups = (
            daft.range(int(SIZES[task.variant] * task.scale))
            .select((column("id") * 2).alias("value"))
            .where(column("value") % 100 == 0)
            .select((column("value").sqrt() // 10).alias("key"))
            .groupby("key")
            .agg(column("key").count().alias("count"))
            .count_rows()
        )
    return [(groups,)]


@workload.cell("duckdb (expressions)", variants=tuple(SIZES))
def duckdb(task: Task) -> Answer:
    """In SQL."""
    connection = engines.duckdb(task)
    query = f"""
        select count(distinct floor(sqrt(range * 2) / 10))
        from range({int(SIZES[task.variant] * task.scale)}) where range * 2 % 100 = 0
    """
    with task.clock():
        rows = connection.execute(query).fetchall()
    return [tuple(rows[0])]


def form(rows: Any, name: str) -> Any:
    """A dataset of either API through the functions of one form, to one integer column, `out`."""
    if name == "closures":
        factor, offset = 3, 17
        scaled = rows.map(lambda row: {"out": row["id"] * factor + offset})
        return scaled.filter(lambda row: row["out"] % factor == offset % factor)
    if name == "numpy calls":
        return rows.map_batches(_root, batch_size=4096)
    if name == "exceptions":
        return rows.map(_parsed)
    return rows.map(_named).map(lambda row: {"out": len(row["name"]) + len(row["text"])})


def _root(batch: dict[str, Any]) -> dict[str, Any]:
    import numpy as np

    return {"out": np.floor(np.sqrt(batch["id"]) * 2).astype("int64")}


def _parsed(row: dict[str, Any]) -> dict[str, Any]:
    text = str(row["id"]) if row["id"] % 10 else "none"
    try:
        return {"out": int(text)}
    except ValueError:
        return {"out": -1}


def _named(row: dict[str, Any]) -> dict[str, Any]:
    name = "user-" + str(row["id"] % 1000)
    return {"name": name, "text": name.upper() + " of " + str(row["id"])}


def _expected(number: int, name: str) -> int:
    """What the functions of a form make of a number."""
    if name == "closures":
        return number * 3 + 17
    if name == "numpy calls":
        return math.floor(math.sqrt(number) * 2)
    row = {"id": number}
    if name == "exceptions":
        return int(_parsed(row)["out"])
    named = _named(row)
    return len(named["name"]) + len(named["text"])


@workload.cell("raceline (called)", variants=FORMS, env=OFF)
@workload.cell("raceline", variants=FORMS)
def raceline_form(task: Task) -> Answer:
    """Compiled where the compiler can; else called."""
    rl = engines.raceline(task)
    with task.clock():
        total = form(rl.data.range(int(ROWS * task.scale)), task.variant).sum("out")
    return [(total,)]


@workload.cell("ray", variants=FORMS)
def ray_form(task: Task) -> Answer:
    """The same program."""
    module = engines.ray(task)
    with task.clock():
        total = form(module.data.range(int(ROWS * task.scale)), task.variant).sum("out")
    return [(int(total),)]


@workload.cell("python", variants=FORMS)
def python(task: Task) -> Answer:
    """The same in one loop of one process, without rows."""
    with task.clock():
        total = sum(_expected(number, task.variant) for number in range(int(ROWS * task.scale)))
    return [(total,)]
