"""24: single aggregates, sorts and joins over a million rows and more."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Rows, Task, Workload
from suite.goals import MEAN, WORST
from suite.relations import keyed

ROWS = {"groupby": 1_000_000, "each": 5_000_000}


def _data(variant: str, scale: float) -> Path:
    return keyed(max(int(ROWS[variant] * scale), 40))


workload = Workload(
    number=24,
    name="relations",
    question=(
        "A million rows by a thousand keys: rows, a sum and a mean of each. Then, over five "
        "million rows, each aggregate by these keys and of all rows, a sort, and joins with a "
        "fifth as many rows, one after the other, against DataFusion called directly."
    ),
    variants=tuple(ROWS),
    data=_data,
    goals=(
        Goal("groups of a million rows, of Ray Data", "groupby", 0.05, against=("ray",)),
        Goal("each, of DataFusion, worst", "each", 1.2, against=("datafusion",), figure=WORST),
        Goal("all, of DataFusion, mean", "each", 1.2, against=("datafusion",), figure=MEAN),
    ),
    budget_seconds=60.0,
    cell_seconds=300.0,
)

#: Aggregates that are in both, with the expression of SQL for them.
AGGREGATES = {
    "count": "count(*)",
    "sum": "sum(value)",
    "min": "min(value)",
    "max": "max(value)",
    "mean": "avg(value)",
    "std": "stddev(value)",
    "quantile": "percentile_cont(value, 0.5)",
    "count_distinct": "count(distinct word)",
    "missing_pct": "100.0 * sum(case when value is null then 1 else 0 end) / count(*)",
    "zero_pct": "100.0 * sum(case when flag = 0 then 1 else 0 end) / count(flag)",
    "abs_max": "max(abs(value))",
}
JOINS = {"inner": "inner join", "left_outer": "left join", "left_semi": "left semi join"}


@workload.cell("raceline", variants=("groupby",))
def raceline(task: Task) -> Answer:
    """`groupby().aggregate()`."""
    return _groups(engines.raceline(task).data, task)


@workload.cell("ray", variants=("groupby",))
def ray(task: Task) -> Answer:
    """The same program."""
    return _groups(engines.ray(task).data, task)


def _groups(data: Any, task: Task) -> Answer:
    """The program, which both of the APIs take."""
    made = __import__(f"{data.__name__}.aggregate", fromlist=["Count"])
    with task.clock():
        rows = data.read_parquet(str(task.data / "rows"))
        found = rows.groupby("few").aggregate(made.Count(), made.Sum("id"), made.Mean("value"))
        names = ("few", "count()", "sum(id)", "mean(value)")
        return [tuple(row[name] for name in names) for row in found.take_all()]


@workload.cell("datafusion", variants=("groupby",))
def datafusion(task: Task) -> Answer:
    """SQL."""
    context = _context(task)
    with task.clock():
        found = context.sql(
            "select few, count(*) as n, sum(id) as s, avg(value) as m from rows group by few"
        ).to_pydict()
        return list(zip(*found.values(), strict=True))


@workload.cell("duckdb", variants=("groupby",))
def duckdb(task: Task) -> Answer:
    """SQL."""
    connection = engines.duckdb(task)
    with task.clock():
        return connection.execute(
            "select few, count(*), cast(sum(id) as bigint), avg(value) "
            f"from '{task.data}/rows/*.parquet' group by few"
        ).fetchall()


@workload.cell("polars", variants=("groupby",))
def polars(task: Task) -> Answer:
    """Lazy frames, streaming."""
    pl = engines.polars(task)
    with task.clock():
        rows = pl.scan_parquet(str(task.data / "rows" / "*.parquet")).group_by("few")
        found = rows.agg(pl.len(), pl.col("id").sum(), pl.col("value").mean())
        return found.collect(engine="streaming").rows()


@workload.cell("raceline", variants=("each",))
def raceline_each(task: Task) -> Answer:
    """A run for each part, whose result is an Arrow table."""
    from raceline.data import aggregate as of

    read = engines.raceline(task).data.read_parquet
    made = {
        "count": of.Count(),
        "sum": of.Sum("value"),
        "min": of.Min("value"),
        "max": of.Max("value"),
        "mean": of.Mean("value"),
        "std": of.Std("value"),
        "quantile": of.Quantile("value"),
        "count_distinct": of.CountDistinct("word"),
        "missing_pct": of.MissingValuePercentage("value"),
        "zero_pct": of.ZeroPercentage("flag"),
        "abs_max": of.AbsMax("value"),
    }
    rows, names = str(task.data / "rows"), str(task.data / "names")
    parts: dict[str, Callable[[], Any]] = {}
    for name in AGGREGATES:
        parts[f"{name} by key"] = lambda one=made[name]: (
            read(rows).groupby("few").aggregate(one).to_arrow()
        )
        parts[f"{name} of all"] = lambda one=made[name]: list(read(rows).aggregate(one).values())
    parts["sort"] = lambda: read(rows).select_columns(["id", "value"]).sort("id").to_arrow()
    for kind in JOINS:
        parts[f"join {kind}"] = lambda kind=kind: _join(read, rows, names, kind)
    return _each(task, parts)


def _join(read: Any, rows: str, names: str, kind: str) -> Any:
    left = read(rows).select_columns(["many", "id"])
    right = read(names).filter(expr="name < 40")
    return left.join(right, kind, 8, on=("many",)).to_arrow()


@workload.cell("datafusion", variants=("each",))
def datafusion_each(task: Task) -> Answer:
    """A query for each part, whose result is an Arrow table."""
    context = _context(task)
    queries = {}
    for name, text in AGGREGATES.items():
        queries[f"{name} by key"] = f"select few, {text} as x from rows group by few"
        queries[f"{name} of all"] = f"select {text} as x from rows"
    queries["sort"] = "select id, value from rows order by id"
    for kind, text in JOINS.items():
        name = "" if kind == "left_semi" else ", name"
        queries[f"join {kind}"] = (
            f"select many, id{name} from rows {text} "
            "(select many as other, name from names where name < 40) as n on many = other"
        )
    return _each(
        task,
        {
            part: lambda query=query: context.sql(query).to_arrow_table()
            for part, query in queries.items()
        },
    )


def _context(task: Task) -> Any:
    context = engines.datafusion(task)
    for name in ("rows", "names"):
        context.register_parquet(name, str(task.data / name))
    return context


def _each(task: Task, parts: dict[str, Callable[[], Any]]) -> dict[str, Rows]:
    """The answer of each part, which is timed: of large ones, rows and sums of their columns."""
    import pyarrow.compute as pc

    answers: dict[str, Rows] = {}
    # What a process does once, such as starting threads, is in no part.
    next(iter(parts.values()))()
    for part, work in parts.items():
        with task.clock(part):
            found = work()
        if isinstance(found, list):
            answers[part] = [tuple(float(one) for one in found)]
        elif part == "sort":
            ends = [found.slice(at, 1000).column(0).to_pylist() for at in (0, found.num_rows // 2)]
            answers[part] = [(found.num_rows, *ends[0], *ends[1])]
        elif part.startswith("join"):
            sums = [float(pc.sum(column).as_py()) for column in found.columns]
            answers[part] = [(found.num_rows, *sums)]
        elif part.endswith("of all"):
            answers[part] = [tuple(float(one) for one in column.to_pylist()) for column in found]
        else:
            columns = [column.to_pylist() for column in found.columns]
            answers[part] = [(key, float(value)) for key, value in zip(*columns, strict=True)]
    return answers
