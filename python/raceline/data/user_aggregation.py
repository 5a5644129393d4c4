"""How aggregations that users write run, beside those of the engine.

Of groups: whole groups go to workers. Of a whole dataset: each batch is folded in a worker, and
what they make is combined in the user's process.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from raceline.data.aggregation import AggregateFn
from raceline.data.iterator import rows_of
from raceline.data.native_aggregate import NativeAggregate, NativeOptions
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.dataset import Dataset
    from raceline.data.reduction import Reductions

__all__ = ["aggregate_all", "aggregate_groups", "named"]

# Column of what blocks made, and columns of the results of groups.
_PARTIALS = "__raceline_partials"
_RESULT = "__raceline_result_"

Named = tuple[str, AggregateFn]


def named(aggregates: Sequence[AggregateFn]) -> list[Named]:
    """The aggregations with their names; a name that comes again gets ``_2``, ``_3``.

    Raises:
        PlanError: There are none, or one is no aggregation.
    """
    if not aggregates:
        raise PlanError("no aggregation is given", hint="pass, for example, `Count()`")
    several: list[Named] = []
    names: set[str] = set()
    for one in aggregates:
        if not isinstance(one, AggregateFn):
            raise PlanError(
                f"`{one!r}` is no aggregation",
                hint="take one of `raceline.data.aggregate`, such as `Count()`",
            )
        name, number = one.name, 1
        while name in names:
            number += 1
            name = f"{one.name}_{number}"
        names.add(name)
        several.append((name, one))
    return several


def aggregate_groups(dataset: Dataset, keys: list[str], aggregates: list[Named]) -> Dataset:
    """One row a group: the keys, then the aggregates."""
    natives = _natives(aggregates)
    users = _users(aggregates)
    if not users:
        return dataset._derive(dataset._native.aggregate(keys, natives))
    from raceline.data.grouped import GroupedData

    if not natives:
        arguments: list[Any] = [keys, users, None]
        return GroupedData(dataset, keys).map_groups(
            group_results, batch_format="pyarrow", fn_args=arguments
        )
    inner = [(f"{_RESULT}{at}", one) for at, (_, one) in enumerate(users)]
    kept = [*keys, *_columns_of(natives, keys)]
    rows = GroupedData(dataset, keys).map_groups(
        group_results, batch_format="pyarrow", fn_args=[keys, inner, kept]
    )
    results = {name: result for (name, _), (result, _) in zip(users, inner, strict=True)}
    asked = {options[-1]: options for options in natives}
    asked |= {name: ("first", result, True, {}, name) for name, result in results.items()}
    ordered = [asked[name] for name, _ in aggregates]
    return rows._derive(rows._native.aggregate(keys, ordered))


def aggregate_all(dataset: Reductions, aggregates: list[Named]) -> dict[str, Any]:
    """The aggregates of all rows, in one run."""
    natives, users = _natives(aggregates), _users(aggregates)
    rows = dataset
    if users:
        kept = _columns_of(natives, ()) if natives else None
        rows = cast("Any", dataset).map_batches(
            partial_results, batch_format="pyarrow", fn_args=[users, kept]
        )
        natives.append(("list", _PARTIALS, True, {}, _PARTIALS))
    found: dict[str, Any]
    [found] = rows_of(dataset._run_for_this(rows._native.aggregate([], natives)))
    if users:
        parts = [pickle.loads(part) for part in found[_PARTIALS] or ()]  # noqa: S301 (the user's own)
        found |= {name: _folded(one, parts, at) for at, (name, one) in enumerate(users)}
    return {name: found[name] for name, _ in aggregates}


def _folded(one: AggregateFn, parts: list[list[Any]], at: int) -> Any:
    """The result of what blocks made."""
    accumulated = [part[at] for part in parts]
    if not accumulated:
        return one._finished(one._of_nothing())
    return one._finished(functools.reduce(one._combined, accumulated))


def _natives(aggregates: list[Named]) -> list[NativeOptions]:
    return [one.options(name) for name, one in aggregates if isinstance(one, NativeAggregate)]


def _users(aggregates: list[Named]) -> list[Named]:
    return [(name, one) for name, one in aggregates if not isinstance(one, NativeAggregate)]


def _columns_of(natives: list[NativeOptions], keys: Sequence[str]) -> list[str]:
    """The columns that aggregations of the engine look at, but the keys, each once."""
    columns = [column for _, column, *_ in natives if column is not None and column not in keys]
    return list(dict.fromkeys(columns))


def partial_results(table: pa.Table, users: list[Named], kept: list[str] | None) -> dict[str, Any]:
    """What the rows of a block make, beside the columns ``kept`` of its rows, if any."""
    import cloudpickle

    part = cloudpickle.dumps([one._partial(None, table) for _, one in users])
    if kept is None:
        return {_PARTIALS: [part]}
    columns: dict[str, Any] = {name: table[name] for name in kept}
    return columns | {_PARTIALS: [part, *[None] * (table.num_rows - 1)]}


def group_results(
    table: pa.Table, keys: list[str], users: list[Named], kept: list[str] | None
) -> dict[str, Any]:
    """The results for a group: beside its keys, or beside the columns ``kept`` of its rows."""
    values = tuple(table[key][0].as_py() for key in keys)
    key = (values[0] if len(values) == 1 else values) if values else None
    results = {name: one._finished(one._partial(key, table)) for name, one in users}
    if kept is None:
        columns = {key: table[key].slice(0, 1) for key in keys}
        return columns | {name: [result] for name, result in results.items()}
    rest = [None] * (table.num_rows - 1)
    columns = {name: table[name] for name in kept}
    return columns | {name: [result, *rest] for name, result in results.items()}
