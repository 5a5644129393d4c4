"""Raceline: a streaming data engine for tables, media and models.

``import raceline as ray`` runs programs written for Ray Data: ``raceline.data`` is that
namespace, and its functions stand here as well: ``raceline.read_parquet(...)``.

Importing this package loads nothing else: each name is loaded at its first use.
"""

from __future__ import annotations

import importlib

TYPE_CHECKING = False  # as in `typing`, whose import would cost more than all else here
if TYPE_CHECKING:
    from typing import Any

    from raceline import data as data
    from raceline import errors as errors
    from raceline import exceptions as exceptions
    from raceline._objects import ObjectRef as ObjectRef
    from raceline._objects import get as get
    from raceline._objects import put as put
    from raceline._session import cluster_resources as cluster_resources
    from raceline._session import init as init
    from raceline._session import is_initialized as is_initialized
    from raceline._session import shutdown as shutdown
    from raceline.data.dataset import Dataset as Dataset
    from raceline.data.expressions import col as col
    from raceline.data.expressions import lit as lit
    from raceline.data.from_datasets import from_huggingface as from_huggingface
    from raceline.data.from_datasets import from_tf as from_tf
    from raceline.data.from_datasets import from_torch as from_torch
    from raceline.data.from_frames import from_daft as from_daft
    from raceline.data.from_frames import from_dask as from_dask
    from raceline.data.from_frames import from_duckdb as from_duckdb
    from raceline.data.from_frames import from_mars as from_mars
    from raceline.data.from_frames import from_modin as from_modin
    from raceline.data.from_frames import from_polars as from_polars
    from raceline.data.from_frames import from_spark as from_spark
    from raceline.data.from_refs import from_arrow_refs as from_arrow_refs
    from raceline.data.from_refs import from_numpy_refs as from_numpy_refs
    from raceline.data.from_refs import from_pandas_refs as from_pandas_refs
    from raceline.data.letters import replay as replay
    from raceline.data.memory import from_arrow as from_arrow
    from raceline.data.memory import from_blocks as from_blocks
    from raceline.data.memory import from_items as from_items
    from raceline.data.memory import from_numpy as from_numpy
    from raceline.data.memory import from_pandas as from_pandas
    from raceline.data.memory import range as range
    from raceline.data.memory import range_tensor as range_tensor
    from raceline.data.own_sources import read_datasource as read_datasource
    from raceline.data.read import read_binary_files as read_binary_files
    from raceline.data.read import read_csv as read_csv
    from raceline.data.read import read_images as read_images
    from raceline.data.read import read_json as read_json
    from raceline.data.read import read_parquet as read_parquet
    from raceline.data.read import read_text as read_text
    from raceline.data.sql import sql as sql
    from raceline.data.sql_function import sql_function as sql_function
    from raceline.errors import RacelineError as RacelineError

__version__ = "0.1.0"

# Name -> module that defines it. Submodules stand under their own name.
_HOMES = {
    "data": "raceline.data",
    "errors": "raceline.errors",
    "exceptions": "raceline.exceptions",
    "ObjectRef": "raceline._objects",
    "get": "raceline._objects",
    "put": "raceline._objects",
    "cluster_resources": "raceline._session",
    "init": "raceline._session",
    "is_initialized": "raceline._session",
    "shutdown": "raceline._session",
    "Dataset": "raceline.data.dataset",
    "RacelineError": "raceline.errors",
    "col": "raceline.data.expressions",
    "lit": "raceline.data.expressions",
    "from_arrow": "raceline.data.memory",
    "from_blocks": "raceline.data.memory",
    "from_arrow_refs": "raceline.data.from_refs",
    "from_numpy_refs": "raceline.data.from_refs",
    "from_pandas_refs": "raceline.data.from_refs",
    "from_daft": "raceline.data.from_frames",
    "from_dask": "raceline.data.from_frames",
    "from_duckdb": "raceline.data.from_frames",
    "from_mars": "raceline.data.from_frames",
    "from_modin": "raceline.data.from_frames",
    "from_polars": "raceline.data.from_frames",
    "from_spark": "raceline.data.from_frames",
    "from_huggingface": "raceline.data.from_datasets",
    "from_tf": "raceline.data.from_datasets",
    "from_torch": "raceline.data.from_datasets",
    "from_items": "raceline.data.memory",
    "from_numpy": "raceline.data.memory",
    "from_pandas": "raceline.data.memory",
    "range": "raceline.data.memory",
    "range_tensor": "raceline.data.memory",
    "read_binary_files": "raceline.data.read",
    "replay": "raceline.data.letters",
    "read_csv": "raceline.data.read",
    "read_datasource": "raceline.data.own_sources",
    "read_images": "raceline.data.read",
    "read_json": "raceline.data.read",
    "read_parquet": "raceline.data.read",
    "read_text": "raceline.data.read",
    "sql": "raceline.data.sql",
    "sql_function": "raceline.data.sql_function",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 (the keys are names)


def __getattr__(name: str) -> Any:
    """Loads a public name at its first use."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
    module = importlib.import_module(home)
    value = module if home == f"{__name__}.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted(__all__)
