"""Steps that change columns, or choose rows by expressions over them."""

import math

from chain_fuzz.state import State
from chain_fuzz.step import Step
from raceline.data.expressions import col, lit, when


def select(rng, state):
    names = rng.sample(list(state.kinds), rng.randrange(1, len(state.kinds) + 1))
    kinds = {name: state.kinds[name] for name in names}
    rows = [{name: row[name] for name in names} for row in state.rows]
    after = state.with_kinds(kinds, rows)
    return Step(f"select_columns({names})", lambda ds: ds.select_columns(names), after)


def drop(rng, state):
    if len(state.kinds) < 2:
        return None
    names = rng.sample(list(state.kinds), rng.randrange(1, min(3, len(state.kinds))))
    kinds = {name: kind for name, kind in state.kinds.items() if name not in names}
    rows = [{name: row[name] for name in kinds} for row in state.rows]
    after = state.with_kinds(kinds, rows)
    return Step(f"drop_columns({names})", lambda ds: ds.drop_columns(names), after)


def rename(rng, state):
    old = rng.sample(list(state.kinds), rng.randrange(1, min(4, len(state.kinds) + 1)))
    if rng.random() < 0.5:
        pairs = dict(zip(old, [*old[1:], old[0]], strict=True))
    else:
        pairs = {name: f"{name}{rng.choice(['2', 'X', ' y'])}" for name in old}
        if set(pairs.values()) & set(state.kinds):
            return None
    if any(old == new for old, new in pairs.items()):
        return None
    new = {name: pairs.get(name, name) for name in state.kinds}
    rows = [{new[name]: value for name, value in row.items()} for row in state.rows]
    kinds = {new[name]: kind for name, kind in state.kinds.items()}
    after = State(
        rows,
        kinds,
        state.is_ordered,
        new.get(state.unique) if state.unique else None,
        state.is_known,
    )
    return Step(f"rename_columns({pairs})", lambda ds: ds.rename_columns(pairs), after)


def with_column(rng, state):
    text, expr, function, kind = _value(rng, state)
    name = rng.choice([*state.kinds, "n", "m"])
    rows = [{**row, name: function(row)} for row in state.rows]
    after = state.with_kinds({**state.kinds, name: kind}, rows)
    if name == state.unique:
        after = State(rows, after.kinds, after.is_ordered, None, after.is_known)
    return Step(f"with_column({name!r}, {text})", lambda ds: ds.with_column(name, expr), after)


def _value(rng, state):
    """An expression, what it is of a row, and its kind."""
    ints, texts = state.of("int", "int32"), state.of("str", "dict")
    floats, lists = state.of("float"), state.of("list")
    choices = [("lit(5)", lit(5), lambda row: 5, "int")]
    if ints:
        a = rng.choice(ints)
        choices += [
            (f"{a} * 2", col(a) * 2, _known(lambda x: x * 2, a), "int"),
            (f"{a} - 7", col(a) - 7, _known(lambda x: x - 7, a), "int"),
            (f"{a} is null", col(a).is_null(), lambda row: row[a] is None, "bool"),
            (
                f"fill {a}",
                col(a).cast("int64").fill_null(-1),
                lambda row: -1 if row[a] is None else row[a],
                "int",
            ),
            (
                f"when {a} > 1",
                when(col(a) > 1).then("big").otherwise("small"),
                lambda row: "big" if row[a] is not None and row[a] > 1 else "small",
                "str",
            ),
            (
                f"9 // {a}",
                lit(9) // when(col(a) > 0).then(col(a)).otherwise(10),
                lambda row: 9 // row[a] if row[a] is not None and row[a] > 0 else 0,
                "int",
            ),
        ]
    if texts:
        t = rng.choice(texts)
        choices += [
            (f"upper {t}", col(t).str.upper(), _known(str.upper, t), "str"),
            (f"copy {t}", col(t), lambda row: row[t], state.kinds[t]),
        ]
    if floats:
        f = rng.choice(floats)
        choices += [
            (f"-{f}", -col(f), _known(lambda x: -x, f), "float"),
            (f"copy {f}", col(f), lambda row: row[f], "float"),
        ]
    if lists:
        one = rng.choice(lists)
        choices += [(f"len {one}", col(one).list.len().cast("int64"), _known(len, one), "int")]
    if structs := state.of("struct"):
        s = rng.choice(structs)
        choices += [(f"{s}.a", col(s).struct["a"], _known(lambda x: x["a"], s), "int")]
    return rng.choice(choices)


def _known(function, name):
    return lambda row: None if row[name] is None else function(row[name])


def filter_expr(rng, state):
    if (condition := _condition(rng, state)) is None:
        return None
    text, expr, function = condition
    after = state.over([row for row in state.rows if function(row)])
    return Step(f"filter(expr: {text})", lambda ds: ds.filter(expr=expr), after)


def filter_by_division(rng, state):
    """Behind a filter that keeps out what cannot be divided by."""
    ints = state.of("int", "int32")
    if not ints:
        return None
    a = rng.choice(ints)
    zeroless = col(a) != 0
    expr = lit(12) // col(a) > 1
    rows = [row for row in state.rows if row[a] not in (None, 0) and int(12 / row[a]) > 1]
    return Step(
        f"filter({a} != 0).filter(12 // {a} > 1)",
        lambda ds: ds.filter(expr=zeroless).filter(expr=expr),
        state.over(rows),
    )


def _condition(rng, state):
    """A condition and what it is of a row; None where it is not known."""
    choices = []
    if ints := state.of("int", "int32"):
        a = rng.choice(ints)
        n = rng.choice([-3, 0, 1, 2, 5, 12])
        choices += [
            (f"{a} > {n}", col(a) > n, _known(lambda x: x > n, a)),
            (f"{a} != {n}", col(a) != n, _known(lambda x: x != n, a)),
            (f"{a} in", col(a).is_in([n, 2]), lambda row: row[a] in (n, 2)),
            (f"{a} % 3", col(a) % 3 == 1, _known(lambda x: math.fmod(x, 3) == 1, a)),
            (f"{a} null", col(a).is_not_null(), lambda row: row[a] is not None),
        ]
    if texts := state.of("str", "dict"):
        t = rng.choice(texts)
        choices += [
            (f"{t} == a", col(t) == "a", _known(lambda x: x == "a", t)),
            (f"{t} < b", col(t) < "b", _known(lambda x: x < "b", t)),
            (f"{t} len", col(t).str.len() > 0, _known(lambda x: len(x) > 0, t)),
        ]
    if floats := state.of("float"):
        f = rng.choice(floats)
        choices += [
            (f"{f} > 1", col(f) > 1, _known(lambda x: x > 1, f)),
            (f"~ {f} <= 0", ~(col(f) <= 0), _known(lambda x: not x <= 0, f)),
            (f"{f} == 0", col(f) == 0.0, _known(lambda x: x == 0, f)),
        ]
    if bools := state.of("bool"):
        b = rng.choice(bools)
        choices += [(b, col(b), lambda row: row[b]), (f"~{b}", ~col(b), _known(lambda x: not x, b))]
    if not choices:
        return None
    text, expr, function = rng.choice(choices)
    if rng.random() < 0.4:
        more, other, also = rng.choice(choices)
        if rng.random() < 0.5:
            return f"{text} & {more}", expr & other, _both(function, also)
        return f"{text} | {more}", expr | other, _either(function, also)
    return text, expr, function


def _both(one, two):
    def both(row):
        return False if one(row) is False or two(row) is False else (one(row) and two(row))

    return both


def _either(one, two):
    return lambda row: bool(one(row)) or bool(two(row))
