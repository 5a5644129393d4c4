"""Starts each engine as its documentation advises for two CPUs and a memory limit.

- Raceline: `init(num_cpus=2)`; under a limit, a budget of it less 200 MiB for Python itself.
- Ray Data: `ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)`, an object store of
  30 % of the limit, progress bars off, and 64 tasks that warm it up before the clock starts.
- Daft: the native runner.
- Polars: `POLARS_MAX_THREADS=2`, the streaming engine, `sink_*` for writes.
- DuckDB: two threads, `memory_limit` of 80 % of the limit, a folder for spilling, and
  `preserve_insertion_order=false` where no order is asked for.
- DataFusion: two partitions, filters pushed down into Parquet, a fair spill pool of 60 % of the
  limit, as scans and batches under way are not in its account.
"""

from __future__ import annotations

import os
from typing import Any

from suite.cells import Task

#: Of every cell's process. Libraries of numerics use one thread, as engines run two workers.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "2",
    "RAY_DEDUP_LOGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "DAFT_ANALYTICS_ENABLED": "0",
    "DO_NOT_TRACK": "true",
    "DAFT_PROGRESS_BAR": "0",
}

#: What Python and the native module hold before any rows do.
_BASELINE_BYTES = 200 << 20


def raceline(task: Task) -> Any:
    """The module, initialised."""
    import raceline as module

    memory = None if task.limit_bytes is None else max(task.limit_bytes - _BASELINE_BYTES, 32 << 20)
    module.init(num_cpus=2, memory=memory, progress=False)
    return module


def ray(task: Task) -> Any:
    """The module, started, with warm workers."""
    import ray as module

    store = None if task.limit_bytes is None else max(task.limit_bytes * 3 // 10, 80 << 20)
    module.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=store,
    )
    context = module.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    nothing = module.remote(lambda: None)
    module.get([nothing.remote() for _ in range(64)])
    return module


def daft(_task: Task) -> Any:
    """The module with its native runner."""
    import daft as module

    module.set_runner_native()
    return module


def polars(_task: Task) -> Any:
    """The module."""
    import polars as module

    return module


def duckdb(task: Task, *, ordered: bool = False) -> Any:
    """A connection."""
    import duckdb as module

    settings: dict[str, Any] = {"threads": 2, "preserve_insertion_order": ordered}
    if task.limit_bytes is not None:
        settings["memory_limit"] = f"{task.limit_bytes * 8 // 10 >> 20}MiB"
    spill = task.out / "spill"
    return module.connect(config=settings | {"temp_directory": str(spill)})


def datafusion(task: Task) -> Any:
    """A context."""
    import datafusion as module

    config = (
        module.SessionConfig()
        .with_target_partitions(2)
        .set("datafusion.execution.parquet.pushdown_filters", "true")
    )
    runtime = module.RuntimeEnvBuilder().with_disk_manager_os()
    if task.limit_bytes is not None:
        runtime = runtime.with_fair_spill_pool(task.limit_bytes * 6 // 10)
    return module.SessionContext(config, runtime)


def env() -> dict[str, str]:
    """The environment of a cell, the caller's and the suite's."""
    return os.environ | ENVIRONMENT
