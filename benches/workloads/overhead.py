"""23: what an engine costs where there is next to nothing to do."""

from __future__ import annotations

from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import nothing

OFF = {"RACELINE_LAMBDA": "off"}

#: Rows, or columns, of the variants at full size.
SIZES = {
    "tiny tasks": 10_000,
    "ten operators, one row": 1,
    "ten operators, tiny batches": 10_000,
    "many columns": 10_000,
    "many tiny batches": 1_000_000,
    "plan": 1_000,
    "import": 1,
    "first rows": 1_000,
}

workload = Workload(
    number=23,
    name="overhead",
    question=(
        "Tiny tasks: 10,000 batches of one row through a function in workers. Ten operators: one "
        "row, then 10,000 batches of one row, through ten row functions. Many columns: 10,000, one "
        "of which is doubled. Many tiny batches: a million rows handed to a loop by ones. Plan: "
        "1,000 operators that are never run. Import: the module, against NumPy's. First rows: from "
        "the start of the process to five rows."
    ),
    variants=tuple(SIZES),
    data=nothing,
    goals=(
        Goal("tiny tasks, of Ray Data", "tiny tasks", 0.1, against=("ray",)),
        Goal(
            "one row through ten operators, of Ray Data",
            "ten operators, one row",
            0.1,
            against=("ray",),
        ),
        Goal("import, of NumPy's", "import", 0.5, against=("python",)),
        Goal("first rows compiled, of NumPy's import", "first rows", 2.0, against=("python",)),
        Goal("first rows called, of it", "first rows", 5.0, "raceline (called)", ("python",)),
    ),
    budget_seconds=15.0,
)


def size(task: Task) -> int:
    """Rows, or columns, of the task."""
    return max(int(SIZES[task.variant] * task.scale), 1)


def _same(batch: dict[str, Any]) -> dict[str, Any]:
    return batch


def _next(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"] + 1}


def _ten(rows: Any) -> Any:
    for _ in range(10):
        rows = rows.map(_next)
    return rows


def _thousand(rows: Any, count: int) -> Any:
    for _ in range(count):
        rows = rows.map(_next)
    return rows


def _ray_like(data: Any, task: Task) -> Answer:
    """The program, which both of the APIs take."""
    count = size(task)
    frame = _frame(count) if task.variant == "many columns" else None
    with task.clock():
        if task.variant == "tiny tasks":
            batches = data.range(count).map_batches(_same, batch_size=1, concurrency=2)
            return [(batches.count(),)]
        if task.variant == "ten operators, one row":
            return [(_ten(data.range(1)).take_all()[0]["id"],)]
        if task.variant == "ten operators, tiny batches":
            rows = data.range(count).map_batches(_same, batch_size=1)
            return [(int(_ten(rows).sum("id")),)]
        if task.variant == "many tiny batches":
            batches = data.range(count).iter_batches(batch_size=1)
            return [(sum(int(batch["id"][0]) for batch in batches),)]
        if task.variant == "plan":
            _thousand(data.range(10), count)
            return [(count,)]
        rows = data.from_pandas(frame).map_batches(_first_doubled)
        return [(len(rows.columns()), int(rows.sum("c0")))]


def _frame(columns: int) -> Any:
    """100 rows of so many columns."""
    import numpy as np
    import pandas as pd

    return pd.DataFrame({f"c{at}": np.arange(100) + at for at in range(columns)})


def _first_doubled(batch: dict[str, Any]) -> dict[str, Any]:
    batch["c0"] = batch["c0"] * 2
    return batch


RAY_LIKE = tuple(name for name in SIZES if name not in ("import", "first rows"))


@workload.cell("raceline (called)", variants=RAY_LIKE[:4], env=OFF)
@workload.cell("raceline", variants=RAY_LIKE)
def raceline(task: Task) -> Answer:
    """Compiled, or with the compiler off."""
    return _ray_like(engines.raceline(task).data, task)


@workload.cell("ray", variants=RAY_LIKE[:4])
def ray(task: Task) -> Answer:
    """The same program."""
    return _ray_like(engines.ray(task).data, task)


@workload.cell("ray", variants=("many tiny batches",), share=0.1)
def ray_batches(task: Task) -> Answer:
    """A tenth of the rows: its time is linear there."""
    return _ray_like(engines.ray(task).data, task)


@workload.cell("ray", variants=("plan",))
def ray_plan(task: Task) -> Answer:
    """The same program."""
    return _ray_like(engines.ray(task).data, task)


@workload.cell("polars", variants=("many columns", "plan", "ten operators, one row"))
def polars(task: Task) -> Answer:
    """Expressions."""
    pl = engines.polars(task)
    count = size(task)
    source = _frame(count) if task.variant == "many columns" else None
    with task.clock():
        if source is not None:
            frame = pl.from_pandas(source).lazy()
            doubled = frame.with_columns(pl.col("c0") * 2).collect()
            return [(doubled.width, doubled["c0"].sum())]
        frame = pl.LazyFrame({"id": [0]})
        steps = count if task.variant == "plan" else 10
        for _ in range(steps):
            frame = frame.select(pl.col("id") + 1)
        return [(steps if task.variant == "plan" else frame.collect().item(),)]


@workload.cell("daft", variants=("many columns", "plan", "ten operators, one row"))
def daft(task: Task) -> Answer:
    """Expressions."""
    module = engines.daft(task)
    count = size(task)
    source = _frame(count) if task.variant == "many columns" else None
    with task.clock():
        if source is not None:
            frame = module.from_pandas(source)
            doubled = frame.with_column("c0", module.col("c0") * 2)
            return [(len(doubled.column_names), doubled.sum("c0").to_pydict()["c0"][0])]
        frame = module.from_pydict({"id": [0]})
        steps = count if task.variant == "plan" else 10
        for _ in range(steps):
            frame = frame.select(module.col("id") + 1)
        return [(steps if task.variant == "plan" else frame.to_pydict()["id"][0],)]


@workload.cell("raceline", variants=("import",))
def raceline_import(task: Task) -> Answer:
    """`import raceline`."""
    with task.clock():
        import raceline as module
    return [(bool(module.__name__),)]


@workload.cell("raceline (called)", variants=("first rows",), env=OFF)
@workload.cell("raceline", variants=("first rows",))
def raceline_first(task: Task) -> Answer:
    """`import raceline` and five rows."""
    with task.clock():
        import raceline as rl

        rl.init(progress=False)
        rows = rl.data.range(size(task)).map(_next).take(5)
    return [(len(rows) == 5,)]


@workload.cell("python", variants=("import", "first rows"))
def numpy_import(task: Task) -> Answer:
    """`import numpy`."""
    with task.clock():
        import numpy as module
    return [(bool(module.__name__),)]
