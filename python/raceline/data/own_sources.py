"""Datasets of sources of a user's own."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from raceline._session import cluster_resources, session
from raceline.data._arguments import whole_number
from raceline.data.compute import Concurrency
from raceline.data.context import DataContext
from raceline.data.dataset import Dataset
from raceline.data.datasource.datasource import Datasource, ReadTask
from raceline.data.function import Batching, Compute, Demand, Faults, UserFunction
from raceline.data.shuffling import seed_of
from raceline.errors import PlanError

__all__ = ["demand_of", "faults_of", "read_datasource"]

_MIB = 2**20
# Parts of a source whose size nobody knows, and at most of a small one.
_PARTS = 200

# What Ray's tasks may be given that means nothing on one machine, or to workers that are there.
_WITHOUT_EFFECT = frozenset(
    {"accelerator_type", "fallback_strategy", "label_selector", "max_calls", "runtime_env"}
    | {"scheduling_strategy", "retry_exceptions", "name", "_labels"}
)
_DEMANDS = ("num_cpus", "num_gpus", "memory", "resources")


def read_datasource(
    datasource: Datasource,
    *,
    parallelism: int = -1,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: int | None = None,
    compute: Compute = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    concurrency: Concurrency | None = None,
    override_num_blocks: int | None = None,
    **read_args: Any,
) -> Dataset:
    """A dataset of a source of a user's own.

    The source is asked for its parts now. When the dataset is run they are read in worker
    processes, several at once; blocks are handed on as they come, in the order of the parts. A
    part whose worker dies is read again, and the rows that were handed on are left out.

    Args:
        datasource: The source.
        parallelism: About how many parts the source is asked for; -1 goes by its size.
        num_cpus: What one worker takes, as of ``map_batches``.
        num_gpus: See above.
        memory: See above.
        compute: As of ``map_batches``.
        ray_remote_args: ``num_cpus``, ``num_gpus``, ``memory``, ``resources`` and ``max_retries``;
            others have no effect but a warning.
        concurrency: Workers at the same time, at most.
        override_num_blocks: As ``parallelism``, and goes before it.
        **read_args: Passed to ``create_reader`` of sources that have one.

    Raises:
        PlanError: It is no source, or does not say how it is read; or a number is out of range.

    Example:
        >>> import raceline
        >>> from raceline.data.datasource import RandomIntRowDatasource
        >>> raceline.read_datasource(RandomIntRowDatasource(10, num_columns=2)).count()
        10
    """
    from raceline._native import rows_to_batches

    if not isinstance(datasource, Datasource):
        raise PlanError(
            f"`read_datasource` needs a source, got `{type(datasource).__name__}`",
            hint="derive your class from `raceline.data.Datasource`",
        )
    wanted = parallelism if override_num_blocks is None else override_num_blocks
    name = "parallelism" if override_num_blocks is None else "override_num_blocks"
    if wanted != -1:
        whole_number(name, wanted, 1)
    given = {"num_cpus": num_cpus, "num_gpus": num_gpus, "memory": memory}
    demand = demand_of(ray_remote_args, compute, concurrency, given)
    tasks = _tasks_of(datasource, wanted, read_args)
    native = session().from_batches("ReadTasks", rows_to_batches([_row(one) for one in tasks]))
    order = datasource.part_order()
    if order is not None:
        seed, reseeds = order
        native = native.random_shuffle(seed_of(seed))
        native = native.reseeding() if reseeds else native
    reading = UserFunction(
        "map_batches",
        _Read(f"Read{datasource.get_name()}"),
        demand=demand,
        batching=Batching(size=1),
        faults=faults_of(ray_remote_args),
        debug=not datasource.supports_distributed_reads,
    )
    return Dataset(native)._apply(reading)


class _Read:
    """Reads the task of a batch of one."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, batch: dict[str, Any]) -> Iterator[Any]:
        import pickle

        task = pickle.loads(batch["task"][0])  # noqa: S301 (pickled by this program)
        for block in task():
            if not (isinstance(block, Mapping) or _is_arrow(block) or hasattr(block, "iloc")):
                raise TypeError(
                    f"{self.__name__} must yield PyArrow tables, data frames or dicts of columns, "
                    f"got `{type(block).__name__}`"
                )
            yield block


def demand_of(
    ray_remote_args: Mapping[str, Any] | None,
    compute: Compute,
    concurrency: Concurrency | None,
    given: Mapping[str, Any],
) -> Demand:
    """What workers take: what is given, and else what Ray's arguments of tasks say.

    Raises:
        PlanError: An amount is out of range.
        TypeError: There is no such argument.
    """
    remote = dict(ray_remote_args or {})
    for name in sorted(remote.keys() - {*_DEMANDS, "max_retries"}):
        if name not in _WITHOUT_EFFECT:
            raise TypeError(f"`ray_remote_args` has an unknown argument `{name}`")
        warnings.warn(f"`{name}` of `ray_remote_args` has no effect", stacklevel=3)
    remote |= {name: amount for name, amount in given.items() if amount is not None}
    amounts = {name: remote.get(name) for name in _DEMANDS}
    return Demand(compute, concurrency, **amounts)


def faults_of(ray_remote_args: Mapping[str, Any] | None) -> Faults:
    """How often a task whose worker dies is run again."""
    return Faults(max_retries=(ray_remote_args or {}).get("max_retries", 3))


def _tasks_of(datasource: Datasource, parallelism: int, read_args: dict[str, Any]) -> list[Any]:
    """The parts of a source."""
    source: Any = datasource
    if datasource.should_create_reader:
        source = datasource.create_reader(**read_args)
    elif read_args:
        unknown = ", ".join(f"`{name}`" for name in read_args)
        raise PlanError(
            f"`{type(datasource).__name__}` takes no arguments when it is read, got {unknown}",
            hint="pass them to its constructor",
        )
    if parallelism == -1:
        parallelism = _parts_by_size(source.estimate_inmemory_data_size())
    further = {"per_task_row_limit": None, "data_context": DataContext.get_current()}
    tasks = source.get_read_tasks(parallelism, **_accepted(source.get_read_tasks, further))
    tasks = list(tasks)
    for task in tasks:
        if not isinstance(task, ReadTask):
            raise PlanError(
                f"`get_read_tasks` of `{type(datasource).__name__}` must return read tasks, got "
                f"`{type(task).__name__}`",
                hint="wrap the function: `ReadTask(read_fn, BlockMetadata(...))`",
            )
    return tasks


def _accepted(function: Callable[..., Any], further: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments that a function takes: older sources take fewer."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return further
    return {name: value for name, value in further.items() if name in parameters}


def _parts_by_size(size_bytes: int | None) -> int:
    """How many parts a source is asked for, as Ray Data does."""
    cpus = int(cluster_resources()["CPU"])
    if size_bytes is None:
        return max(_PARTS, 2 * cpus)
    return max(min(_PARTS, size_bytes // _MIB), size_bytes // (128 * _MIB), 2 * cpus, 1)


def _row(task: ReadTask) -> dict[str, Any]:
    """A part as a row: the task, pickled, and the files that it reads."""
    import cloudpickle

    from raceline._unpicklable import culprit

    try:
        pickled = cloudpickle.dumps(task)
    except Exception as error:
        held = culprit(task.read_fn)
        told = f"{held}: {error}" if held else error
        raise PlanError(
            f"a read task cannot be sent to a worker process: {told}",
            hint="open connections and files inside the function",
        ) from error
    files = task.metadata.input_files if task.metadata is not None else None
    return {"task": pickled, "input_files": list(files or [])}


def _is_arrow(block: Any) -> bool:
    return hasattr(block, "__arrow_c_stream__") or hasattr(block, "__arrow_c_array__")
