"""Steps that call functions: compiled ones, those in this process, and those in workers."""

import numpy as np
from opaque import opaque

from chain_fuzz.state import State
from chain_fuzz.step import Step


def filter_function(rng, state):
    ints = state.of("int", "int32")
    if not ints:
        return None
    a = rng.choice(ints)
    functions = [
        lambda row: row[a] is not None and row[a] > 1,
        lambda row: row[a] is None or row[a] % 2 == 0,
        opaque(lambda row: row[a] is not None and row[a] < 5),
    ]
    at = _weighted(rng, 0.3, [0, 1], [2])
    function = functions[at]
    after = state.over([row for row in state.rows if function(row)])
    how = _called(rng) if at == 2 else {}
    return Step(
        f"filter(function {at} of {a}, {how})", lambda ds: ds.filter(function, **how), after
    )


def map_rows(rng, state):
    ints = state.of("int", "int32")
    if not ints:
        return None
    a = rng.choice(ints)
    other = rng.choice(list(state.kinds))
    kind = state.kinds[other]
    if kind == "dict":
        kind = "str"
    functions = {
        "more": (lambda row: {**row, "n": None if row[a] is None else row[a] + 1}, None),
        "few": (
            lambda row: {"n": 0 if row[a] is None else row[a] * 3, "other": row[other]},
            {"n": "int", "other": kind},
        ),
        "called": (opaque(lambda row: {**row, "n": 1}), None),
        "picked": (_picker(other), {"other": kind, "m": "int"}),
        "get": (
            lambda row: {"n": row.get("nowhere", 4), "other": row[other]},
            {"n": "int", "other": kind},
        ),
    }
    name = _weighted(rng, 0.3, ["more", "few", "get"], ["called", "picked"])
    function, kinds = functions[name]
    made = {**state.kinds, "n": "int"} if kinds is None else kinds
    rows = [function(row) for row in state.rows]
    unique = state.unique if made is not kinds and state.unique != "n" else None
    after = State(rows, made, state.is_ordered, unique, is_known=False)
    how = _called(rng) if name in ("called", "picked") else {}
    return Step(f"map({name}, {a}, {other}, {how})", lambda ds: ds.map(function, **how), after)


def _picker(other):
    def pick(row):
        values = [row[other] for _ in range(1)]
        return {"other": values[0], "m": 2}

    return pick


def map_batches(rng, state):
    choice = rng.choice(["numpy", "pandas", "pyarrow", "double", "subset", "compiled"])
    size = rng.choice([None, 1, 3, 1000])
    ints = [name for name in state.of("int") if all(row[name] is not None for row in state.rows)]
    unique = state.unique
    rows, kinds = state.rows, state.kinds
    if choice in ("numpy", "pandas") and not set(kinds.values()) <= {"tensor", "str", "dict"}:
        # What is missing in other columns changes their types there.
        choice = "pyarrow"
    if choice == "compiled":
        if not ints:
            return None
        a = rng.choice(ints)
        if any(abs(row[a]) > 2**30 for row in rows):
            return None
        options = {"batch_size": size}
        function = lambda batch: {"n": batch[a] * 2 + 1}  # noqa: E731
        rows, kinds, unique = [{"n": row[a] * 2 + 1} for row in rows], {"n": "int"}, None
    elif choice == "double":
        options = {"batch_format": "pyarrow", "batch_size": size}

        def function(table):
            import pyarrow as pa

            yield table
            yield table.slice(0, 0)
            yield pa.concat_tables([table])

        if state.is_ordered:
            return None
        rows, unique = [*rows, *rows], None
    elif choice == "subset":
        name = rng.choice(list(kinds))
        options = {"batch_format": "pyarrow", "batch_size": size}
        function = lambda table: table.select([name])  # noqa: E731
        rows = [{name: row[name]} for row in rows]
        kinds, unique = {name: kinds[name]}, unique if unique == name else None
    else:
        options = {"batch_format": choice, "batch_size": size}
        function = opaque(lambda batch: batch)
    after = State(rows, kinds, state.is_ordered, unique, is_known=False)
    options |= _called(rng) if choice != "compiled" else {}
    return Step(
        f"map_batches({choice}, {size}, {options})",
        lambda ds: ds.map_batches(function, **options),
        after,
    )


def flat_map(rng, state):
    ints = state.of("int", "int32")
    if not ints:
        return None
    a = rng.choice(ints)
    is_compiled = rng.random() < 0.6
    if is_compiled:
        function = lambda row: [{"n": row[a], "m": 0}, {"n": row[a], "m": 1}]  # noqa: E731
    else:
        function = opaque(lambda row: [{"n": row[a], "m": at} for at in range((row[a] or 0) % 3)])
    rows = [made for row in state.rows for made in function(row)]
    after = State(rows, {"n": state.kinds[a], "m": "int"}, state.is_ordered, None, is_known=False)
    how = {} if is_compiled else _called(rng)
    return Step(
        f"flat_map({is_compiled}, {a}, {how})", lambda ds: ds.flat_map(function, **how), after
    )


def encode(rng, state):
    """A column of arrays of the numbers of a row."""
    ints = state.of("int")
    if not ints or "vector" in state.kinds:
        return None
    a = rng.choice(ints)
    if any(row[a] is None for row in state.rows):
        return None
    rows = [{**row, "vector": [[row[a], 1], [0, row[a]]]} for row in state.rows]
    kinds = {**state.kinds, "vector": "tensor"}

    def made(row):
        return {**row, "vector": np.array([[row[a], 1], [0, row[a]]])}

    after = State(rows, kinds, state.is_ordered, state.unique, is_known=False)
    how = _called(rng)
    return Step(f"map(vector of {a}, {how})", lambda ds: ds.map(made, **how), after)


def _called(rng):
    """How a function is called that is not compiled: mostly in this process, which is faster."""
    return {"debug": True} if rng.random() < 0.85 else {}


def _weighted(rng, chance, usual, rare):
    return rng.choice(rare if rng.random() < chance else usual)
