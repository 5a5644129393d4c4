"""Random functions on random tables: compiled is interpreted, bit for bit, and exception for
exception.

`RACELINE_FUZZ_PROGRAMS` sets the number of programs, 2,000 by default, and `RACELINE_FUZZ_SEED`
the first seed, 0 by default. A failure shows the smallest program and table that still fail.
"""

import os
import random

import pyarrow as pa
import pytest
from lambda_fuzz import arrays, rows
from lambda_fuzz.corpus import CORPUS
from lambda_fuzz.lanes import Outcome, compiled, difference, interpreted, load, same, seen
from lambda_fuzz.program import Program
from lambda_fuzz.shrink import shrink
from lambda_fuzz.tables import VARIANTS, batch_schema_of, schema_of, table_of, table_source

import raceline

PROGRAMS = int(os.environ.get("RACELINE_FUZZ_PROGRAMS", "2000"))
SEED = int(os.environ.get("RACELINE_FUZZ_SEED", "0"))

# What makes programs of each family.
FAMILIES = {f"rows: {family}": (rows.row_program, family) for family in rows.FAMILIES} | {
    "rows: flat_map": (rows.row_program, "flat_map"),
    "rows: values": (rows.row_program, "values"),
    **{f"arrays: {family}": (arrays.array_program, family) for family in arrays.FAMILIES},
}
# Below this, the suite would look at too little: what does not compile agrees by itself.
LEAST_SHARES = {
    "rows: core": 0.45,
    "rows: constants": 0.5,
    "rows: builtins": 0.5,
    "rows: strings": 0.45,
    "rows: slices": 0.4,
    "rows: formats": 0.45,
    "rows: math": 0.5,
    "rows: dates": 0.25,
    "rows: helpers": 0.4,
    "rows: rows": 0.5,
    "rows: mixed": 0.35,
    "rows: flat_map": 0.15,
    "rows: values": 0.7,
    "arrays: core": 0.6,
    "arrays: numpy": 0.7,
    "arrays: casts": 0.5,
    "arrays: mixed": 0.15,
    "arrays: masks": 0.5,
    "arrays: dicts": 0.6,
}
SHOWN_MAX = 5


class Share:
    """How many programs of a family there were, and what became of them."""

    def __init__(self):
        self.programs = self.compiled = self.computed = self.tables = 0

    def __str__(self):
        return (
            f"{self.programs} programs, {self.compiled / self.programs:.0%} compiled, "
            f"{self.computed} of {self.tables} tables computed"
        )


SHARES = {}


def program_of(family, seed):
    """A program of a family and its tables; the same for one version of Python."""
    rng = random.Random(f"{family} {seed}")
    make, name = FAMILIES[family]
    program = make(rng, name)
    of_arrays = program.kind == "map_batches"
    if of_arrays:
        schema = batch_schema_of(rng)
    else:
        asks_for_dates = any(f'row["{name}"]' in program.source for name in "die")
        schema = schema_of(rng, dates=asks_for_dates or rng.random() < 0.2)
    variants = VARIANTS[:2] if of_arrays and rng.random() < 0.9 else VARIANTS
    return program, [table_of(rng, schema, variant) for variant in variants]


def differs(program, table):
    found = compiled(program, table)
    if found.status in ("trouble", "declined"):
        return False
    return difference(found, interpreted(program, table)) is not None


def report(family, seed, program, table):
    """The smallest program that still fails, with all that is needed to run it."""
    return f"{family!r}, seed {seed}, {described(*shrink(program, table, differs))}"


def described(program, table):
    found, expected = compiled(program, table), interpreted(program, table)
    return (
        f"{program.kind}: {difference(found, expected)}\n"
        f"{program.source}\n{table_source(table)}\nPython: {expected}\ncompiled: {found}"
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_compiled_is_interpreted(family):
    share = SHARES[family] = Share()
    failures = []
    for seed in range(SEED, SEED + max(1, PROGRAMS // len(FAMILIES))):
        program, tables = program_of(family, seed)
        statuses = set()
        for table in tables:
            found = compiled(program, table)
            statuses.add(found.status)
            assert found.status != "declined" or found.error, program.source
            share.tables += 1
            if found.status in ("trouble", "declined"):
                continue
            share.computed += 1
            expected = interpreted(program, table)
            if difference(found, expected) is not None and len(failures) < SHOWN_MAX:
                failures.append(report(family, seed, program, table))
        share.programs += 1
        share.compiled += statuses != {"declined"}
    assert not failures, "\n\n".join(failures)


def test_the_corpus_is_pythons():
    failures = []
    for program, table in CORPUS:
        found, expected = compiled(program, table), interpreted(program, table)
        if difference(found, expected) is not None:
            failures.append(described(program, table))
    assert not failures, "\n\n".join(failures)


def one_by_one(batches):
    return [batch.slice(row, 1) for batch in batches for row in range(batch.num_rows)]


def pipeline(programs, table):
    """What comes out of functions one after the other, row by row, in whichever lanes they run."""
    dataset = raceline.from_arrow(pa.table(seen(programs[0], table)))
    for program in programs:
        given = {"fn_args": program.args, "fn_kwargs": dict(program.kwargs)}
        if program.kind == "map_batches":
            given["batch_size"] = 1
        dataset = getattr(dataset, program.kind)(load(program), **given)
    try:
        tables = list(dataset.iter_batches(batch_format="pyarrow", batch_size=None))
    except raceline.errors.UdfError as error:
        return error.__cause__
    return one_by_one(batch for table in tables for batch in table.to_batches())


def step_by_step(programs, row):
    """What becomes of one row: what Python computes."""
    for program in programs:
        outcome = interpreted(program, row, warns=False)
        row = outcome.result
        if row is None:
            break
    return outcome


def check_pipeline(programs, table, context):
    found = pipeline(programs, table)
    expected = [step_by_step(programs, row) for row in one_by_one([table])]
    sources = "\n".join(program.source for program in programs)
    context = f"{context}\n{sources}\n{table_source(table)}\n{found}"
    if isinstance(found, BaseException):
        # Workers are many: which of the rows that raise comes first is theirs.
        raised = [(type(one.error), str(one.error)) for one in expected]
        assert (type(found), str(found)) in raised, f"{context}\n{raised}"
        return
    assert all(one.status == "ok" for one in expected), f"{context}\n{expected}"
    rows = one_by_one(one.result for one in expected if one.result is not None)
    assert len(found) == len(rows), context
    for one, other in zip(found, rows, strict=True):
        # Rows that come together have their columns in one order.
        is_alike = sorted(one.schema.names) == sorted(other.schema.names)
        same = one.select(other.schema.names) if is_alike else one
        assert difference(Outcome("ok", same), Outcome("ok", other)) is None, context


@pytest.mark.parametrize("family", FAMILIES)
def test_pipelines_give_what_python_gives_or_raise_it(family):
    for seed in range(SEED, SEED + max(1, PROGRAMS // len(FAMILIES) // 10)):
        program, tables = program_of(family, seed)
        if program.kind == "key":
            continue
        check_pipeline([program], tables[seed % len(tables)], f"{family!r}, seed {seed}")


@pytest.mark.parametrize("family", ["core", "rows", "mixed"])
def test_neighbours_give_what_python_gives_or_raise_it(family):
    for seed in range(SEED, SEED + max(1, PROGRAMS // 200)):
        rng = random.Random(f"neighbours {family} {seed}")
        of_kind = {"map": [], "filter": []}
        while not all(of_kind.values()):
            program = rows.row_program(rng, family)
            if program.kind in of_kind and program.column is None:
                of_kind[program.kind].append(program)
        table = table_of(rng, schema_of(rng, dates=False), rng.choice(VARIANTS))
        programs = [of_kind["filter"][0], of_kind["map"][0]]
        check_pipeline(programs, table, f"neighbours {family}, seed {seed}")


def test_all_that_differs_is_found():
    program = Program("map", "fn = lambda row: row")
    table = pa.record_batch({"a": [1, 2]})
    expected = interpreted(program, table)
    assert difference(compiled(program, table), expected) is None
    for other in [
        {"b": [1, 2]},
        {"a": [1]},
        {"a": [1, None]},
        {"a": [1.0, 2.0]},
        {"a": pa.array([1, 2], pa.int32())},
        {"a": [1, 3]},
        {"a": [True, True]},
        {"a": [1, 2], "b": [1, 2]},
    ]:
        assert difference(Outcome("ok", pa.record_batch(other)), expected) is not None
    assert difference(Outcome("ok"), expected) is not None
    assert difference(Outcome("broken", error=ValueError()), expected) is not None
    raises = interpreted(Program("map", 'fn = lambda row: row["b"]'), table)
    assert isinstance(raises.error, KeyError)
    assert difference(Outcome("ok", table), raises) is not None
    assert not any(map(same, [0.0, 1, True, "1", None, 1.0], [-0.0, 1.0, 1, 1, 0.0, 1]))
    assert same(float("nan"), float("nan"))


def test_failures_become_small():
    source = (
        "def fn(row):\n    x = row['a'] * 2 + len('abc')\n    if x:\n        return {'y': 1 // x}\n"
    )
    table = pa.record_batch({"a": [1, 0, 5], "b": [1, 2, 3]})
    program, table = shrink(
        Program("map", source), table, lambda program, _table: "len(" in program.source
    )
    assert program.source == "def fn(row):\n    len()"
    assert table.num_rows == 1
    assert table.num_columns == 1


def test_a_good_share_is_compiled(capsys):
    if not SHARES:
        pytest.skip("no family was run")
    with capsys.disabled():
        for family, share in SHARES.items():
            print(f"\n{family:20}{share}", end="")
    for family, share in SHARES.items():
        if share.programs >= 50:
            least = LEAST_SHARES[family]
            assert share.compiled >= least * share.programs, f"{family}: {share}"
            assert share.computed >= least * share.tables / 2, f"{family}: {share}"
