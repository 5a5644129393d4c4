"""Settings of the process that Ray Data programs know as ``DataContext``."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import Any, ClassVar

from raceline.data.context_reasons import NO_EFFECT
from raceline.data.execution import ExecutionOptions
from raceline.data.settings import Settings
from raceline.errors import PlanError

__all__ = ["DataContext", "ShuffleStrategy"]

# Counts of the engine have 64 bits.
_NO_LIMIT = 2**64 - 1

# What takes longer has no limit.
_SECONDS_MOST = 1000 * 365 * 86400

_MIB = 1 << 20


class ShuffleStrategy(str, Enum):  # noqa: UP042 (printed as Ray's is)
    """Ray's ways to shuffle, for ``DataContext.shuffle_strategy``, which has no effect."""

    SORT_SHUFFLE_PULL_BASED = "sort_shuffle_pull_based"
    SORT_SHUFFLE_PUSH_BASED = "sort_shuffle_push_based"
    HASH_SHUFFLE = "hash_shuffle"
    SHUFFLE_V2 = "shuffle_v2"
    GPU_SHUFFLE = "gpu_shuffle"


@dataclass
class DataContext(Settings):
    """The settings of this process. They are asked for when a dataset is run.

    Those of Ray that change nothing here are taken, and say why when they are first changed. Any
    other attribute is taken silently, as is anything by ``set_config``.

    Attributes:
        enable_progress_bars: Whether a session that is started later shows progress on stderr.
            ``raceline.init(progress=...)`` wins. The environment variable
            ``RAY_DATA_DISABLE_PROGRESS_BARS=1`` turns it off.
        execution_options: How datasets are run.
        max_errored_blocks: How many batches that functions fail for, and files or parts of files
            that cannot be read, a run goes on without, all together; a negative number sets no
            limit. Each is told on stderr, and counted by ``stats()``.
        execution_no_progress_timeout_s: Seconds without that anything moves, after which a run
            that somebody waits for fails with :class:`raceline.errors.ExecutionTimeoutError`;
            the time that passes between two batches in the program itself does not count. None
            sets no limit.
        execution_timeout_s: Seconds that a whole run may take, until it fails with the same error
            when its next batch is asked for. None sets no limit.
        stall_report_s: Seconds without that anything moves, after which stderr tells who waits on
            what, as ``stats()`` does at any time. None tells nothing.
        max_tasks_in_flight_per_actor: How many batches a worker of a pool may have, where its
            ``ActorPoolStrategy`` does not say. It is asked for when the function is given.
        enable_stats_summary_collection: Whether ``raceline.data.list_stats_summaries`` tells of the
            runs that begin now.

    Example:
        >>> context = DataContext.get_current()
        >>> context.execution_options.preserve_order
        True
        >>> context.set_config("team", "vision")
        >>> context.get_config("team")
        'vision'
        >>> context.remove_config("team")
    """

    # What is asked for.
    enable_progress_bars: bool = field(
        default_factory=lambda: os.environ.get("RAY_DATA_DISABLE_PROGRESS_BARS", "0") == "0"
    )
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)
    max_errored_blocks: int = 0
    execution_no_progress_timeout_s: float | None = 1800.0
    execution_timeout_s: float | None = None
    stall_report_s: float | None = 30.0
    max_tasks_in_flight_per_actor: int | None = None
    enable_stats_summary_collection: bool = False

    # Blocks.
    target_max_block_size: int | None = 128 * _MIB
    target_min_block_size: int = _MIB
    read_op_min_num_blocks: int = 200
    streaming_read_buffer_size: int = 32 * _MIB
    enable_pandas_block: bool = True
    batch_to_block_arrow_format: bool = True
    enable_arrow_backed_pandas_conversion: bool = True
    enforce_schemas: bool = False
    pandas_block_ignore_metadata: bool = False

    # Shuffles.
    shuffle_strategy: ShuffleStrategy = ShuffleStrategy.SHUFFLE_V2
    default_hash_shuffle_parallelism: int = 200
    shuffle_compression: str | None = "zstd"
    use_disk_based_hash_shuffle: bool = False
    shuffle_input_batch_bytes: int = 1024 * _MIB
    max_hash_shuffle_aggregators: int | None = None
    use_polars_sort: bool = False
    gpu_shuffle_num_actors: int | None = None
    gpu_shuffle_rmm_pool_size: int | str | None = "auto"
    gpu_shuffle_spill_memory_limit: int | str | None = "auto"
    gpu_shuffle_setup_timeout_s: float = 120

    # Execution.
    op_resource_reservation_enabled: bool = True
    op_resource_reservation_ratio: float = 0.5
    downstream_capacity_backpressure_ratio: float | None = 2.0
    override_object_store_memory_limit_fraction: float | None = None
    autoscaling_config: Any = None
    wait_for_min_actors_s: float = -1
    isolate_read_workers: bool = False
    default_map_logical_memory_enabled: bool = False
    memory_usage_poll_interval_s: float | None = 1

    # Faults.
    retried_map_errors: bool | list[str] = False
    max_map_retries: int = 0
    actor_task_retry_on_errors: bool | list[type[BaseException]] = False
    actor_init_retry_on_errors: bool | list[type[BaseException]] = False
    actor_init_max_retries: int = 3
    max_consecutive_actor_init_deaths: int = 0
    retried_io_errors: list[str] = field(
        default_factory=lambda: [
            "AWS Error INTERNAL_FAILURE",
            "AWS Error NETWORK_CONNECTION",
            "AWS Error SLOW_DOWN",
            "AWS Error UNKNOWN (HTTP status 503)",
            "AWS Error SERVICE_UNAVAILABLE",
        ]
    )
    raise_original_map_exception: bool = False
    log_internal_stack_trace: bool = False
    checkpoint_config: Any = None

    # Formats.
    enable_tensor_extension_casting: bool = True
    arrow_fixed_shape_tensor_format: Any = "V2"
    enable_fallback_to_arrow_object_ext_type: bool | None = None
    use_datasource_v2: bool = True
    decoding_size_estimation: bool = True
    s3_try_create_dir: bool = False
    iceberg_config: Any = None
    delta_config: Any = None
    lance_config: Any = None

    # Progress and statistics.
    enable_operator_progress_bars: bool = True
    enable_progress_bar_name_truncation: bool = True
    enable_rich_progress_bars: bool = False
    use_ray_tqdm: bool = True
    print_on_execution_start: bool = True
    enable_auto_log_stats: bool = False
    verbose_stats_logs: bool = False
    accurate_map_phase_timing: bool = False
    per_stage_map_timing: bool = False
    enable_per_node_metrics: bool = False
    enable_get_object_locations_for_metrics: bool = False
    issue_detectors_config: Any = None
    custom_execution_callback_classes: list[type] = field(default_factory=list)
    execution_callback_classes: list[type] = field(default_factory=list)

    # Deprecated in Ray Data.
    use_push_based_shuffle: bool = False
    use_polars: bool = False
    use_arrow_tensor_v2: bool = True
    write_file_retry_on_errors: list[str] = field(default_factory=list)
    min_parallelism: int = 200
    scheduling_strategy: Any = "SPREAD"
    scheduling_strategy_large_args: Any = "DEFAULT"
    large_args_threshold: int = 50 * _MIB
    hash_shuffle_compression: str | None = None
    use_external_hash_shuffle: bool = False
    target_shuffle_max_block_size: int | None = 1024 * _MIB
    log_internal_stack_trace_to_stdout: bool = False
    join_operator_actor_num_cpus_override: float | None = None

    _configs: dict[str, Any] = field(default_factory=dict, repr=False)

    _no_effect: ClassVar[Mapping[str, str]] = NO_EFFECT
    _current: ClassVar[DataContext | None] = None

    @staticmethod
    def get_current() -> DataContext:
        """The settings of this process.

        Example:
            >>> DataContext.get_current() is DataContext.get_current()
            True
        """
        if DataContext._current is None:
            DataContext._current = DataContext()
        return DataContext._current

    @staticmethod
    @contextmanager
    def current(context: DataContext) -> Iterator[DataContext]:
        """Makes other settings those of the process, in all of its threads, for a while.

        Args:
            context: What ``get_current`` returns inside.

        Example:
            >>> patient = DataContext.get_current().copy()
            >>> patient.max_errored_blocks = 10
            >>> with DataContext.current(patient):
            ...     print(DataContext.get_current().max_errored_blocks)
            10
            >>> DataContext.get_current().max_errored_blocks
            0
        """
        before = DataContext._current
        DataContext._current = context
        try:
            yield context
        finally:
            DataContext._current = before

    def copy(self) -> DataContext:
        """The same settings as an object of its own.

        Example:
            >>> DataContext.get_current().copy() is DataContext.get_current()
            False
        """
        return copy.deepcopy(self)

    def get_config(self, key: str, default: Any = None) -> Any:
        """What ``set_config`` kept under a key.

        Args:
            key: The key.
            default: What is returned where nothing was kept.

        Example:
            >>> DataContext().get_config("team", "none")
            'none'
        """
        return self._configs.get(key, default)

    def set_config(self, key: str, value: Any) -> None:
        """Keeps a value for the program's own use.

        Args:
            key: The key.
            value: Anything.

        Example:
            >>> context = DataContext()
            >>> context.set_config("team", "vision")
            >>> context.get_config("team")
            'vision'
        """
        self._configs[key] = value

    def remove_config(self, key: str) -> None:
        """Forgets a value; without one, nothing.

        Args:
            key: The key.

        Example:
            >>> DataContext().remove_config("team")
        """
        self._configs.pop(key, None)

    def _errored_blocks_most(self) -> int:
        """`max_errored_blocks` as the engine takes it.

        Raises:
            PlanError: It is no int.
        """
        most = self.max_errored_blocks
        if not isinstance(most, int) or isinstance(most, bool):
            raise PlanError(f"`max_errored_blocks` must be an int, got `{most!r}`")
        return min(most, _NO_LIMIT) if most >= 0 else _NO_LIMIT

    def _timeouts(self) -> tuple[timedelta | None, timedelta | None, timedelta | None]:
        """The times of a run as the engine takes them: all of it, without progress, untold.

        Raises:
            PlanError: One is no number of seconds above 0.
        """
        names = ("execution_timeout_s", "execution_no_progress_timeout_s", "stall_report_s")
        run, no_progress, report = (_time(name, getattr(self, name)) for name in names)
        return run, no_progress, report


def _time(name: str, seconds: float | None) -> timedelta | None:
    """A number of seconds as the engine takes it; more than a thousand years is no limit."""
    if seconds is None:
        return None
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not seconds > 0:
        raise PlanError(
            f"`{name}` must be a number of seconds above 0, got `{seconds!r}`",
            hint="None sets no limit",
        )
    return timedelta(seconds=seconds) if seconds < _SECONDS_MOST else None
