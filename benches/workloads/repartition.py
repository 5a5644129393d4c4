"""7: rows of equal keys brought together in many partitions, back to Parquet files."""

from __future__ import annotations

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import tpch

PARTITIONS = (32, 256, 2048)

workload = Workload(
    number=7,
    name="repartition",
    question=(
        "The lines of TPC-H at scale factor 1, 6 million, in so many partitions by their order, "
        "written to Parquet. The curve over the partitions should be flat."
    ),
    variants=tuple(map(str, PARTITIONS)),
    data=lambda _variant, scale: tpch(scale),
    goals=(
        Goal("2,048, of 32", "2048", 1.3, against=("raceline",), other_variant="32"),
        Goal("256, of 32", "256", 1.15, against=("raceline",), other_variant="32"),
        Goal("32, of Ray Data", "32", 0.2, against=("ray",)),
        Goal("2,048, of Daft", "2048", 0.5, against=("daft",)),
    ),
    budget_seconds=60.0,
)


@workload.cell("raceline")
def raceline(task: Task) -> Answer:
    """`repartition(n, keys=…)`."""
    rl = engines.raceline(task)
    with task.clock():
        rows = rl.read_parquet(str(task.data / "lineitem"))
        rows = rows.repartition(int(task.variant), keys=["l_orderkey"])
        rows.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("ray", variants=("32",))
def ray(task: Task) -> Answer:
    """The same program."""
    module = engines.ray(task)
    with task.clock():
        rows = module.data.read_parquet(str(task.data / "lineitem"))
        rows = rows.repartition(int(task.variant), keys=["l_orderkey"])
        rows.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """`repartition(n, column)`."""
    module = engines.daft(task)
    with task.clock():
        rows = module.read_parquet(str(task.data / "lineitem" / "*.parquet"))
        rows.repartition(int(task.variant), "l_orderkey").write_parquet(task.out_folder())
    return None
