"""Queries in SQL over datasets, data frames, tables and files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any

from raceline._session import session
from raceline.data.dataset import Dataset
from raceline.data.handle import Handle
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.sql_function import SqlFunction

__all__ = ["sql"]

_COMPRESSED = (".gz", ".zst", ".bz2", ".xz")
# Rows at most that are looked at for the type of a column whose first values are missing.
_ROWS_LOOKED_AT = 1000
# Ending of a file's name, to the function that reads such files.
_READERS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".json": "read_json",
    ".jsonl": "read_json",
}


def sql(query: str, /, *, functions: Any = None, **tables: Any) -> Dataset:
    """The result of a query in SQL.

    A table is a dataset, a pandas or Polars frame, or Arrow data: a keyword argument of its name,
    or else a variable of the caller. A name in single quotes is a file, folder or pattern, as
    ``'logs/*.parquet'`` or ``'s3://bucket/prices.csv'``, unless a table has that name.

    Nothing runs until the result is consumed; only then a column that does not exist is an error.
    Rows are in the order of the query's ``order by``, and in any order without one. Names without
    quotes are read as lower case, except that they find columns in any case. Columns of one name
    are numbered, ``id`` and ``id_1``.

    The query may call functions of Python: those of ``functions``, and variables of the caller that
    ``sql_function`` or ``udf`` made. They run in worker processes.

    Args:
        query: One ``select``, with joins, aggregates, windows, subqueries, ``with``, ``union``...
        functions: Functions by their names in the query, each as ``sql_function`` takes it. A
            table that is passed by this name is a table.
        **tables: Tables by their names in the query.

    Raises:
        PlanError: The query is no SQL, reads a table that is not there, or calls a function that
            cannot be called so.

    Example:
        >>> import raceline
        >>> fruit = raceline.from_items([{"name": "pear", "kg": 2}, {"name": "plum", "kg": 5}])
        >>> raceline.sql("select name, kg * 2 as double from fruit where kg > 2").take_all()
        [{'name': 'plum', 'double': 10}]
        >>> raceline.sql("select sum(id) from t", t=raceline.range(4)).take_all()
        [{'sum(id)': 6}]
    """
    return run_query(query, functions, tables, sys._getframe(1))


def run_query(query: str, functions: Any, tables: Mapping[str, Any], caller: FrameType) -> Dataset:
    """The result of a query.

    Args:
        query: The query.
        functions: Functions that were given by name, or a table of this name.
        tables: Tables that were given by name.
        caller: The frame whose variables may be tables and functions.

    Raises:
        PlanError: The query is no SQL, reads a table that is not there, or calls a function that
            cannot be called so.
    """
    from raceline._native import sql_tables

    if not isinstance(query, str):
        raise PlanError(f"a query must be a string, got `{query!r}`")
    if functions is not None and not isinstance(functions, Mapping):
        functions, tables = None, {**tables, "functions": functions}
    given = {name: _table(name, value) for name, value in tables.items()}
    variables: list[Mapping[str, Any]] = [caller.f_locals, caller.f_globals]
    scopes = [given, *variables]
    found: dict[str, Dataset] = {}
    for name in sql_tables(query):
        table = _in_scopes(name, scopes) or _file(name)
        if table is None:
            raise _not_found(name, scopes)
        found[name] = table
    from raceline.data.sql_scope import called_functions

    called = called_functions(query, functions or {}, variables)
    if called:
        return _with_functions(query, called, found)
    natives = [(name, table._native) for name, table in found.items()]
    return Dataset(session().sql(query, natives))


def _with_functions(
    query: str, called: Mapping[str, SqlFunction], tables: Mapping[str, Dataset]
) -> Dataset:
    """The result of a query that calls functions."""
    natives = [(name, one._native, _columns(one)) for name, one in tables.items()]
    functions = [function.native(name) for name, function in called.items()]
    result = Dataset(session().sql_with_functions(query, natives, functions))
    result._native.expect_workers(["numpy"], False)
    return result


def _columns(table: Dataset) -> Any:
    """A table without rows that has a dataset's columns, if only its first rows tell them."""
    if table._native.schema(False) is not None:
        return None
    from raceline._optional import optional
    from raceline.data.iterator import native_batches_of

    pa = optional("pyarrow")
    found = pa.schema([])
    batches = native_batches_of(table._native.limit(_ROWS_LOOKED_AT))
    try:
        for batch in batches:
            seen = pa.table(batch).schema
            found = pa.unify_schemas([found, seen], promote_options="permissive")
            if not any(pa.types.is_null(one) for one in found.types):
                break
    finally:
        batches.close()
    return found.empty_table()


def _in_scopes(name: str, scopes: list[Mapping[str, Any]]) -> Dataset | None:
    """The table of this name; SQL does not tell upper and lower case apart."""
    for scope in scopes:
        if name in scope and _is_table(scope[name]):
            return _table(name, scope[name])
    for scope in scopes:
        for other, value in scope.items():
            if other.lower() == name and _is_table(value):
                return _table(other, value)
    return None


def _is_table(value: Any) -> bool:
    """Whether something can be a table."""
    if isinstance(value, type):
        return False
    return (
        isinstance(value, Handle)
        or _is_pandas(value)
        or _is_lazy_frame(value)
        or hasattr(value, "__arrow_c_stream__")
        or hasattr(value, "__arrow_c_array__")
    )


def _is_pandas(value: Any) -> bool:
    """Whether something is a pandas frame."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def _is_lazy_frame(value: Any) -> bool:
    """Whether something is a lazy frame of Polars."""
    polars = sys.modules.get("polars")
    return polars is not None and isinstance(value, polars.LazyFrame)


def _table(name: str, value: Any) -> Dataset:
    """A dataset of what was given as a table.

    Raises:
        PlanError: It is none.
    """
    from raceline.data.memory import from_arrow, from_pandas

    if isinstance(value, Handle):
        return value if isinstance(value, Dataset) else Dataset(value._native)
    if _is_pandas(value):
        return from_pandas(value)
    if _is_lazy_frame(value):
        return from_arrow(value.collect())
    if _is_table(value):
        return from_arrow(value)
    raise PlanError(
        f"`{name}` is no table but `{type(value).__name__}`",
        hint="pass a dataset, a pandas or Polars frame, or Arrow data",
    )


def _file(name: str) -> Dataset | None:
    """The files of a path or pattern; None where the name is none."""
    from raceline.data import read

    stem = name.rstrip("/").lower()
    for ending in _COMPRESSED:
        stem = stem.removesuffix(ending)
    reader = next((one for ending, one in _READERS.items() if stem.endswith(ending)), None)
    if reader is None:
        if not any(mark in name for mark in "/*?"):
            return None
        reader = "read_parquet"
    dataset: Dataset = getattr(read, reader)(name)
    return dataset


def _not_found(name: str, scopes: list[Mapping[str, Any]]) -> PlanError:
    """The error of a name that is no table."""
    import difflib

    known = sorted(
        {
            other
            for scope in scopes
            for other, value in scope.items()
            if not other.startswith("_") and _is_table(value)
        }
    )
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        hint = f"did you mean `{near[0]}`?"
    elif name.isidentifier():
        hint = f"make it a variable, or pass it: `sql(..., {name}=dataset)`"
    else:
        hint = "paths stand in single quotes: `from 'folder/*.parquet'`"
    tables = ", ".join(f"`{one}`" for one in known) or "none"
    return PlanError(f"no table `{name}`\n  tables: {tables}", hint=hint)
