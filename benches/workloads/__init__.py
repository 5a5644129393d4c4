"""The workloads, one a module, which is imported when it is needed."""

from __future__ import annotations

from importlib import import_module

from suite.cells import Workload

#: In the order in which they are run. Each module has its workload as `workload`.
NAMES = (
    "seed",
    "sizes",
    "tpch",
    "groupby",
    "sort",
    "shuffle",
    "repartition",
    "join",
    "images",
    "jsonl",
    "csv",
    "ingest",
    "access",
    "pressure",
    "overhead",
    "workers",
    "relations",
    "columns",
    "files",
    "tensors",
)


def find(name: str) -> Workload:
    """A workload by its name.

    Raises:
        LookupError: There is none of that name.
    """
    if name not in NAMES:
        raise LookupError(f"no workload {name}; there are {', '.join(NAMES)}")
    found: Workload = import_module(f"workloads.{name}").workload
    return found
