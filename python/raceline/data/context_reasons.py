"""Why fields of Ray Data's ``DataContext`` have no effect here, in words for a person."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["NO_EFFECT"]

# Reason to the fields that it is the reason for.
_FIELDS: Mapping[str, str] = {
    "batches are cut by their bytes, as the memory budget allows": (
        "target_max_block_size target_min_block_size read_op_min_num_blocks "
        "streaming_read_buffer_size min_parallelism"
    ),
    "all data is in Arrow's form": (
        "enable_pandas_block batch_to_block_arrow_format pandas_block_ignore_metadata"
    ),
    "data frames always have Arrow-backed columns": ("enable_arrow_backed_pandas_conversion"),
    "types that differ are always united, and those that cannot be are an error": (
        "enforce_schemas"
    ),
    "sorts, groups, joins and shuffles choose how they work by the memory they have": (
        "shuffle_strategy default_hash_shuffle_parallelism use_disk_based_hash_shuffle "
        "shuffle_input_batch_bytes max_hash_shuffle_aggregators use_polars_sort "
        "use_polars use_push_based_shuffle use_external_hash_shuffle "
        "target_shuffle_max_block_size join_operator_actor_num_cpus_override"
    ),
    "the engine chooses how it compresses what it writes to disk in between": (
        "shuffle_compression hash_shuffle_compression"
    ),
    "shuffles do not run on GPUs": (
        "gpu_shuffle_num_actors gpu_shuffle_rmm_pool_size gpu_shuffle_spill_memory_limit "
        "gpu_shuffle_setup_timeout_s"
    ),
    "memory is shared among the stages by what they need, within `raceline.init(memory=)`": (
        "op_resource_reservation_enabled op_resource_reservation_ratio "
        "downstream_capacity_backpressure_ratio "
        "override_object_store_memory_limit_fraction default_map_logical_memory_enabled "
        "memory_usage_poll_interval_s"
    ),
    "pools have as many workers as keep pace, within `concurrency=` of each function": (
        "autoscaling_config"
    ),
    "work begins as soon as one worker is ready": ("wait_for_min_actors_s"),
    "files are not read by workers": ("isolate_read_workers"),
    "`retry=raceline.data.Retry(...)` says it of a function": (
        "retried_map_errors max_map_retries actor_task_retry_on_errors actor_init_retry_on_errors"
    ),
    "`max_retries=` says it of a function": (
        "actor_init_max_retries max_consecutive_actor_init_deaths"
    ),
    "reads and writes are made again for as long as the object store's client thinks fit": (
        "retried_io_errors write_file_retry_on_errors"
    ),
    "errors of functions are of the type that was raised, always": ("raise_original_map_exception"),
    "errors show the frames of the user's functions, and no others": (
        "log_internal_stack_trace log_internal_stack_trace_to_stdout"
    ),
    "runs are not resumed": ("checkpoint_config"),
    "arrays of more than one dimension always become tensor columns, in Arrow's own form": (
        "enable_tensor_extension_casting arrow_fixed_shape_tensor_format use_arrow_tensor_v2"
    ),
    "a column that Arrow cannot hold always travels as objects, with a warning": (
        "enable_fallback_to_arrow_object_ext_type"
    ),
    "there is one reader for each format": ("use_datasource_v2 decoding_size_estimation"),
    "object stores have no folders that would have to be made": ("s3_try_create_dir"),
    "there is no such source or sink": ("iceberg_config delta_config lance_config"),
    "progress has one form, which `enable_progress_bars` turns on and off": (
        "enable_operator_progress_bars enable_progress_bar_name_truncation "
        "enable_rich_progress_bars use_ray_tqdm print_on_execution_start"
    ),
    "`stats()` and `profile()` of a dataset tell of its last run": (
        "enable_auto_log_stats verbose_stats_logs accurate_map_phase_timing "
        "per_stage_map_timing enable_per_node_metrics "
        "enable_get_object_locations_for_metrics"
    ),
    "there are no detectors of issues that could be configured": ("issue_detectors_config"),
    "nothing is called back while a dataset runs": (
        "custom_execution_callback_classes execution_callback_classes"
    ),
    "the engine runs in this process, on one machine": (
        "scheduling_strategy scheduling_strategy_large_args large_args_threshold"
    ),
}

#: Field to reason.
NO_EFFECT: Mapping[str, str] = {
    name: reason for reason, names in _FIELDS.items() for name in names.split()
}
