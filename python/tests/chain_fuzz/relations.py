"""Steps that bring rows together: of several datasets, or of groups."""

import pickle

import raceline
from chain_fuzz.columns import filter_expr, select, with_column
from chain_fuzz.functions import filter_function
from chain_fuzz.places import by_place, limit
from chain_fuzz.state import KEYS, State, arrow_table, cell, is_missing, table_state
from chain_fuzz.step import Step
from raceline.data.aggregate import Count, Max, Min, Sum
from raceline.data.expressions import col, monotonically_increasing_id, row_number


def union(rng, state):
    """With other columns of the same rows, or with another table."""
    if rng.random() < 0.6:
        step = None
        while step is None:
            step = rng.choice([select, filter_expr, filter_function, with_column, limit, by_place])(
                rng, state
            )
        other, text, apply = step.after, step.text, step.apply
    else:
        other = table_state(rng)
        text, apply = f"table of {len(other.rows)}", None
        made = _of_table(rng, other)
    if not (state.is_known and other.is_known) and set(state.kinds) != set(other.kinds):
        # Each row has the columns of its own input then, and what names others is an error.
        return None
    if any(not (one.rows or one.is_known) for one in (state, other)):
        return None
    kinds = dict(state.kinds)
    for name, kind in other.kinds.items():
        old = kinds.setdefault(name, kind)
        if {old, kind} == {"int", "int32"}:
            kinds[name] = "int"
        elif {old, kind} == {"str", "dict"}:
            kinds[name] = "str"
        elif old != kind:
            return None
    if any(
        kinds[name] != state.kinds.get(name) or name not in other.kinds
        for name in kinds
        if kinds[name] == "tensor"
    ):
        return None
    rows = [{name: row.get(name) for name in kinds} for row in [*state.rows, *other.rows]]
    after = State(
        rows,
        kinds,
        state.is_ordered and other.is_ordered,
        None,
        state.is_known and other.is_known,
    )
    return Step(f"union({text})", lambda ds: ds.union(apply(ds) if apply else made), after)


def _of_table(rng, state):
    """A dataset of other rows, in batches."""
    table = arrow_table(state)
    half = table.num_rows // 2
    return raceline.from_arrow([table.slice(0, half), table.slice(half), table.slice(0, 0)])


def zip_rows(rng, state):
    if not state.is_ordered or "z" in state.kinds or not state.kinds:
        return None
    name = rng.choice(list(state.kinds))
    rows = [{**row, "z": row[name]} for row in state.rows]
    after = state.with_kinds({**state.kinds, "z": state.kinds[name]}, rows)
    return Step(
        f"zip({name})",
        lambda ds: ds.zip(ds.select_columns([name]).rename_columns({name: "z"})),
        after,
    )


def group(rng, state):
    keys = rng.sample(state.of(*KEYS), min(len(state.of(*KEYS)), rng.randrange(1, 3)))
    ints = [name for name in state.of("int", "int32") if name not in keys]
    if not keys or not ints or {"rows", "sum", "least", "most"} & set(keys):
        return None
    on = rng.choice(ints)
    groups = {}
    for row in state.rows:
        key = tuple(cell(None if is_missing(row[name]) else row[name]) for name in keys)
        groups.setdefault(key, []).append(row)
    rows = []
    for members in groups.values():
        values = [row[on] for row in members if row[on] is not None]
        made = {name: members[0][name] for name in keys}
        made["rows"], made["sum"] = len(members), sum(values) if values else None
        made["least"], made["most"] = min(values, default=None), max(values, default=None)
        rows.append(
            {name: None if name in keys and is_missing(one) else one for name, one in made.items()}
        )
    kinds = {name: state.kinds[name] for name in keys}
    kinds |= {"rows": "int", "sum": "int", "least": state.kinds[on], "most": state.kinds[on]}
    aggregates = [
        Count(alias_name="rows"),
        Sum(on, alias_name="sum"),
        Min(on, alias_name="least"),
        Max(on, alias_name="most"),
    ]
    after = State(rows, kinds, False, None, state.is_known)
    return Step(
        f"groupby({keys}).aggregate({on})",
        lambda ds: ds.groupby(keys).aggregate(*aggregates),
        after,
    )


def join(rng, state):
    kind = rng.choice([*JOINS, "left_semi", "left_anti", "right_semi", "right_anti"])
    keys = state.of("int", "int32", "str", "bool", "time")
    if not keys or len(state.rows) > 200:
        return None
    key = rng.choice(keys)
    others = [name for name in state.kinds if name != key]
    if any(name.endswith("_r") for name in state.kinds):
        return None
    picked = [key, *rng.sample(others, min(2, len(others)))]
    wanted = rng.randrange(4)
    right = [{f"{name}_r": row[name] for name in picked} for row in state.rows[wanted:]]
    is_partial = wanted > 0
    if is_partial and not state.is_ordered:
        return None
    kept_right = {f"{name}_r": state.kinds[name] for name in picked}
    pairs = [
        (one, two)
        for one in state.rows
        for two in right
        if one[key] is not None and one[key] == two[f"{key}_r"]
    ]
    rows, kinds = _joined(kind, state, right, pairs, (key, kept_right))
    after = State(rows, kinds, False, None, state.is_known)
    renamed = {name: f"{name}_r" for name in picked}

    def apply(ds):
        other = ds.select_columns(picked).rename_columns(renamed)
        if is_partial:
            other = other.with_column("place", monotonically_increasing_id())
            other = other.filter(expr=col("place") >= wanted).drop_columns(["place"])
        return ds.join(other, kind, on=[key], right_on=[f"{key}_r"])

    return Step(f"join({kind}, {key}, {picked}, {wanted})", apply, after)


JOINS = {
    "inner": (False, False),
    "left_outer": (True, False),
    "right_outer": (False, True),
    "full_outer": (True, True),
}


def _joined(kind, state, right, pairs, names):
    key, kept_right = names
    if kind in ("left_semi", "left_anti"):
        there = {id(one) for one, _ in pairs}
        rows = [row for row in state.rows if (id(row) in there) == (kind == "left_semi")]
        return rows, state.kinds
    if kind in ("right_semi", "right_anti"):
        there = {id(two) for _, two in pairs}
        return [row for row in right if (id(row) in there) == (kind == "right_semi")], kept_right
    keeps_left, keeps_right = JOINS[kind]
    kinds = {**state.kinds, **{name: one for name, one in kept_right.items() if name != f"{key}_r"}}
    rows = [{**two, **one} for one, two in pairs]
    if keeps_left:
        there = {id(one) for one, _ in pairs}
        rows += [row for row in state.rows if id(row) not in there]
    if keeps_right:
        there = {id(two) for _, two in pairs}
        rows += [{**two, key: two[f"{key}_r"]} for two in right if id(two) not in there]
    return [{name: row.get(name) for name in kinds} for row in rows], kinds


def window(rng, state):
    """Numbers within groups, by the distinct column."""
    keys = state.of("int", "int32", "str", "bool")
    if state.unique is None or not keys or not state.is_known:
        return None
    key, unique = rng.choice(keys), state.unique
    counts = {}
    numbers = {}
    for row in sorted(state.rows, key=lambda row: row[unique]):
        counts[row[key]] = counts.get(row[key], 0) + 1
        numbers[row[unique]] = counts[row[key]]
    rows = [{**row, "nth": numbers[row[unique]]} for row in state.rows]
    after = state.with_kinds({**state.kinds, "nth": "int"}, rows, is_ordered=False)
    expr = row_number().over(partition_by=key, order_by=unique)
    return Step(f"row_number({key})", lambda ds: ds.with_column("nth", expr), after)


def query(rng, state):
    """In SQL, over the dataset."""
    ints = state.of("int", "int32")
    if not ints or not state.is_known:
        return None
    a = rng.choice(ints)
    quoted = a.replace('"', '""')
    rows = [row for row in state.rows if row[a] is not None and row[a] > 0]
    text = f'select * from self where "{quoted}" > 0'
    return Step(f"sql({text})", lambda ds: ds.sql(text), state.over(rows, is_ordered=False))


def pickled(rng, state):
    """A copy of the dataset, by way of a pickle."""
    del rng
    if not state.is_known:
        return None
    return Step("pickle", lambda ds: pickle.loads(pickle.dumps(ds)), state)
