"""Random chains of methods: what comes out is what plain Python makes of the same rows.

Each chain runs over one batch, over many, some of them empty, and over files; its rows, their
number, their columns, the first of them, and the rest from there must be those of Python.
`RACELINE_FUZZ_CHAINS` sets the number of chains, 60 by default, and `RACELINE_FUZZ_SEED` the first
seed, 0 by default. A failure shows the smallest chain and table that still fail.
"""

import os
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chain_fuzz.chains import chain_of, problem_of, shrunk, told

import raceline
from raceline.data.expressions import col, download, lit
from raceline.errors import ColumnNotFoundError, PlanError

CHAINS = int(os.environ.get("RACELINE_FUZZ_CHAINS", "60"))
SEED = int(os.environ.get("RACELINE_FUZZ_SEED", "0"))
TESTS = os.path.dirname(__file__)

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import raceline
from test_chain_fuzz import check
raceline.init(num_cpus=1, memory=64 << 20, progress=False)
check(int(sys.argv[2]), int(sys.argv[3]))
"""


def check(first, count):
    """Fails with what is wrong with the first chain that is."""
    looked_at = 0
    for seed in range(first, first + count):
        table, seeds = chain_of(seed)
        if problem_of(table, seeds) is not None:
            raise AssertionError(f"seed {seed}:\n{told(*shrunk(table, seeds))}")
        looked_at += 1
    assert looked_at == count > 0


def test_chains_give_the_rows_of_python():
    check(SEED, CHAINS)


def test_chains_give_the_rows_of_python_with_one_cpu_and_little_memory():
    first, count = SEED + CHAINS, max(1, CHAINS // 4)
    arguments = [sys.executable, "-c", PROGRAM, TESTS, str(first), str(count)]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def test_a_filter_does_not_see_rows_that_one_before_it_drops(tmp_path):
    pq.write_table(pa.table({"k": [1, 0, 2, None, 5, 0]}), tmp_path / "a.parquet")
    rows = raceline.read_parquet(str(tmp_path))
    large = lit(10) // col("k") > 2
    zeroless = rows.filter(expr=col("k") != 0)
    assert zeroless.filter(expr=large).take_all() == [{"k": 1}, {"k": 2}]
    assert zeroless.rename_columns({"k": "n"}).filter(expr=lit(10) // col("n") > 2).count() == 2
    assert rows.filter(expr=(col("k") != 0) & large).count() == 2
    with pytest.raises(PlanError, match="Divide by zero"):
        rows.filter(expr=large).filter(expr=col("k") != 0).take_all()


def test_a_filter_of_folders_fails_only_for_rows_that_are_left(tmp_path):
    for folder, number in (("0", 0), ("x", 1), ("5", 1)):
        (tmp_path / f"p={folder}").mkdir()
        pq.write_table(pa.table({"n": [number]}), tmp_path / f"p={folder}" / "a.parquet")
    ones = raceline.read_parquet(str(tmp_path)).filter(expr=col("n") == 1)
    assert ones.filter(expr=col("p") != "x").filter(
        expr=lit(10) // col("p").cast("int64") == 2
    ).take_all() == [{"n": 1, "p": "5"}]


@pytest.mark.parametrize("debug", [True, False])
def test_rows_that_are_kept_and_are_none_have_any_columns(debug):
    none = raceline.range(0).map(lambda row: {**row, "x": [row]}, debug=debug)
    for rows in (none, none.materialize()):
        chosen = rows.select_columns(["x"]).filter(expr=col("x").is_null()).sort("x")
        assert chosen.take_all() == []
        assert rows.union(raceline.range(1)).take_all() == [{"id": 0}]
        assert rows.columns() is None
    kept = raceline.range(3).filter(expr=col("id") > 5).materialize()
    assert kept.columns() == ["id"]
    with pytest.raises(ColumnNotFoundError):
        kept.select_columns(["x"]).take_all()


def test_columns_that_are_null_in_a_batch_take_the_types_of_the_others():
    pieces = [pa.table({"n": [1, 2], "l": [[1], [2, 3]]}), pa.table({"n": [None], "l": [None]})]
    rows = raceline.range(2).map_batches(
        lambda batch: pieces[batch["id"][0]], batch_size=1, debug=True
    )
    n, items = col("n"), col("l")
    made = rows.with_columns(
        {
            "a": -n,
            "b": n // 2,
            "c": n % 2,
            "d": n + n,
            "e": n.abs(),
            "f": items.list.len(),
            "g": items.list[0],
        }
    )
    assert [list(row.values())[2:] for row in made.take_all()] == [
        [-1, 0, 1, 2, 1, 1, 1],
        [-2, 1, 0, 4, 2, 2, 2],
        [None] * 7,
    ]
    assert {str(made.to_arrow().schema.field(name).type) for name in "abcde"} == {"int64"}


def test_numbers_beside_missing_tensors_and_lists_stay_what_they_are():
    large = 2**60 + 1
    lists = pa.array([[1, large]], pa.list_(pa.int64(), 2)).take(pa.array([0, None]))
    tensors = pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.int64(), (2,)), lists)
    rows = raceline.from_arrow(pa.table({"t": tensors, "l": lists}))
    for found in (rows.take_all(), rows.map(lambda row: dict(row)).take_all()):
        assert [type(cell) for cell in found[1].values()] == [type(None)] * 2
        assert found[0]["t"].tolist() == [1, large] and found[0]["t"].dtype == "int64"
        assert found[0]["l"] == [1, large]
    [batch] = rows.iter_batches(batch_size=2)
    assert batch["t"][0].tolist() == batch["l"][0].tolist() == [1, large]
    keys = raceline.from_arrow(pa.table({"k": [0, 1]}))
    left = raceline.from_arrow(pa.table({"k": [0], "t": tensors.slice(0, 1)}))
    joined = keys.join(left, "left_outer", on=["k"]).sort("k").take_all()
    assert joined[0]["t"].tolist() == [1, large] and joined[1]["t"] is None


def test_counting_finds_names_that_do_not_exist():
    with pytest.raises(ColumnNotFoundError):
        raceline.range(4).repartition(2, keys=["nothing"]).count()
    with pytest.raises(ColumnNotFoundError):
        raceline.range(4).with_column("bytes", download("nothing")).count()
