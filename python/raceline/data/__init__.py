"""The names of Ray Data's ``ray.data``: sources, the dataset, strategies and settings.

Aggregations stand in ``raceline.data.aggregate``, expressions in ``raceline.data.expressions``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from raceline.data import aggregate as aggregate
from raceline.data import exceptions as exceptions
from raceline.data import expressions as expressions
from raceline.data.calls import RateLimit, Retry
from raceline.data.compute import ActorPoolStrategy, TaskPoolStrategy
from raceline.data.context import DataContext
from raceline.data.data_iterator import DataIterator
from raceline.data.dataset import Dataset, MaterializedDataset
from raceline.data.execution import ExecutionOptions, ExecutionResources
from raceline.data.grouped import GroupedData
from raceline.data.memory import (
    from_arrow,
    from_blocks,
    from_items,
    from_numpy,
    from_pandas,
    range,
    range_tensor,
)
from raceline.data.read import (
    read_binary_files,
    read_csv,
    read_images,
    read_json,
    read_parquet,
    read_text,
)
from raceline.data.save_mode import SaveMode
from raceline.data.schema import Schema
from raceline.data.shaping import MixStoppingCondition
from raceline.data.shuffling import FileShuffleConfig, RandomSeedConfig
from raceline.data.sql import sql
from raceline.data.sql_function import sql_function
from raceline.data.summary import DatasetSummary

if TYPE_CHECKING:
    from raceline.data.datasource import (
        BlockBasedFileDatasink,
        Datasink,
        Datasource,
        ReadTask,
        RowBasedFileDatasink,
    )
    from raceline.data.from_datasets import from_huggingface, from_tf, from_torch
    from raceline.data.from_frames import (
        from_daft,
        from_dask,
        from_duckdb,
        from_mars,
        from_modin,
        from_polars,
        from_spark,
    )
    from raceline.data.from_refs import from_arrow_refs, from_numpy_refs, from_pandas_refs
    from raceline.data.own_sources import read_datasource
    from raceline.data.preprocessor import Preprocessor
    from raceline.data.stats_summary import list_stats_summaries

# Ray's other name of the settings.
DatasetContext = DataContext
# Ray's name of the type of a node's id.
NodeIdStr = str
# And of the iterators.
DatasetIterator = DataIterator

# What few programs use is loaded at its first use: names by the module that has them, and modules.
_HOMES = {
    "BlockBasedFileDatasink": "datasource",
    "Datasink": "datasource",
    "Datasource": "datasource",
    "Preprocessor": "preprocessor",
    "ReadTask": "datasource",
    "RowBasedFileDatasink": "datasource",
    "from_arrow_refs": "from_refs",
    "from_daft": "from_frames",
    "from_dask": "from_frames",
    "from_duckdb": "from_frames",
    "from_huggingface": "from_datasets",
    "from_mars": "from_frames",
    "from_modin": "from_frames",
    "from_numpy_refs": "from_refs",
    "from_pandas_refs": "from_refs",
    "from_polars": "from_frames",
    "from_spark": "from_frames",
    "from_tf": "from_datasets",
    "from_torch": "from_datasets",
    "list_stats_summaries": "stats_summary",
    "read_datasource": "own_sources",
}
_MODULES = ("collate_fn", "datasource", "preprocessors")

__all__ = [
    "ActorPoolStrategy",
    "BlockBasedFileDatasink",
    "DataContext",
    "DataIterator",
    "Dataset",
    "DatasetContext",
    "DatasetIterator",
    "DatasetSummary",
    "Datasink",
    "Datasource",
    "ExecutionOptions",
    "ExecutionResources",
    "FileShuffleConfig",
    "GroupedData",
    "MaterializedDataset",
    "MixStoppingCondition",
    "NodeIdStr",
    "Preprocessor",
    "RandomSeedConfig",
    "RateLimit",
    "ReadTask",
    "Retry",
    "RowBasedFileDatasink",
    "SaveMode",
    "Schema",
    "TaskPoolStrategy",
    "from_arrow",
    "from_arrow_refs",
    "from_blocks",
    "from_daft",
    "from_dask",
    "from_duckdb",
    "from_huggingface",
    "from_items",
    "from_mars",
    "from_modin",
    "from_numpy",
    "from_numpy_refs",
    "from_pandas",
    "from_pandas_refs",
    "from_polars",
    "from_spark",
    "from_tf",
    "from_torch",
    "list_stats_summaries",
    "range",
    "range_tensor",
    "read_binary_files",
    "read_csv",
    "read_datasource",
    "read_images",
    "read_json",
    "read_parquet",
    "read_text",
    "sql",
    "sql_function",
]


def __getattr__(name: str) -> Any:
    """Loads a name at its first use."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    return value


def __dir__() -> list[str]:
    """All names, loaded or not."""
    return sorted({*globals(), *__all__, *_MODULES})
