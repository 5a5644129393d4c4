"""Datasets that are pickled, and what a dataset tells of itself."""

import copy
import datetime
import pathlib
import pickle
import subprocess
import sys

import cloudpickle
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline.data import Dataset
from raceline.data.expressions import col, lit, when
from raceline.errors import PlanError


def again(dataset):
    return pickle.loads(pickle.dumps(dataset))


def double(batch):
    return {"id": batch["id"] * 2}


def twice(dataset):
    return dataset.union(dataset)


class Add:
    def __init__(self, amount):
        self.amount = amount

    def __call__(self, row):
        return {"id": row["id"] + self.amount}


MAY = datetime.date(2024, 5, 1)

PLANS = {
    "range": lambda: raceline.range(5),
    "items": lambda: raceline.from_items([{"a": 1}, {"a": None, "b": "x"}]),
    "numpy": lambda: raceline.from_numpy(np.arange(8).reshape(2, 2, 2)),
    "pandas": lambda: raceline.from_pandas(pd.DataFrame({"a": [1, 2]})),
    "arrow": lambda: raceline.from_arrow(pa.table({"a": [1, 2], "b": [[1], None]})),
    "columns": lambda: (
        raceline.range(5).rename_columns({"id": "n"}).with_column("m", col("n") * 2 + lit(1))
    ),
    "filter": lambda: raceline.range(9).filter(expr=col("id").is_in([1, 4]) | (col("id") > 7)),
    "cast": lambda: raceline.range(3).with_column("t", col("id").cast("string").alias("t")),
    "functions": lambda: raceline.from_items([{"t": "a b"}, {"t": None}]).with_column(
        "u", when(col("t").is_null()).then(lit("-")).otherwise(col("t").str.upper())
    ),
    "dates": lambda: raceline.from_items([{"d": MAY}, {"d": None}]).filter(
        expr=(col("d") >= lit(MAY)) & col("d").is_in([MAY])
    ),
    "lambda": lambda: raceline.range(5).map(lambda row: {"n": row["id"] + 1}),
    "batches": lambda: raceline.range(5).map_batches(double, batch_size=2),
    "class": lambda: raceline.range(5).map(Add, fn_constructor_args=[10], concurrency=1),
    "sample": lambda: raceline.range(100).random_sample(0.5, seed=3),
    "shuffle": lambda: raceline.range(100).random_shuffle(),
    "union": lambda: raceline.range(2).union(raceline.range(3), raceline.from_items([{"id": 9}])),
    "zip": lambda: raceline.range(2).zip(raceline.from_items(["a", "b"])),
    "mix": lambda: raceline.range(4).mix(raceline.range(2), weights=[2, 1]),
    "join": lambda: raceline.range(3).join(raceline.range(5), "inner", on=("id",)).sort("id"),
    "groups": lambda: raceline.range(10).groupby(lambda row: row["id"] % 3).count().sort("key"),
    "sql": lambda: raceline.range(9).sql("select sum(id) as s from self"),
    "kept": lambda: raceline.range(5).map(lambda row: {"n": row["id"]}).materialize().limit(3),
    "parts": lambda: raceline.range(10).repartition(3).limit(5),
    "shared": lambda: twice(raceline.range(2).limit(1)),
}


@pytest.mark.parametrize("make", PLANS.values(), ids=PLANS.keys())
def test_a_pickled_dataset_has_the_same_rows(make):
    dataset = make()
    other = again(dataset)
    assert str(other.take_all()) == str(dataset.take_all())
    assert type(other) is type(dataset)
    assert str(again(other.limit(1)).take_all()) == str(dataset.take(1))


def test_files_are_read_again(tmp_path):
    raceline.range(3).write_parquet(tmp_path)
    dataset = raceline.read_parquet(tmp_path).filter(expr=col("id") > 0)
    other = again(dataset)
    raceline.range(2).write_parquet(tmp_path)
    assert other.count() == 3


def test_a_kept_dataset_is_kept_where_it_arrives():
    kept = raceline.range(10).repartition(5).materialize()
    other = again(kept)
    assert type(other) is raceline.data.MaterializedDataset
    assert other.num_blocks() >= 1
    assert other.size_bytes() == kept.size_bytes() == 80
    assert other.take_all() == kept.take_all()
    empty = raceline.range(5).filter(expr=col("id") > 9).materialize()
    assert empty.columns() == again(empty).columns() == ["id"]


def test_rows_travel_to_another_process():
    dataset = raceline.from_items([{"a": 1}, {"a": 2}]).map(lambda row: {"b": row["a"] * 10})
    dataset.set_name("tens")
    program = (
        "import pickle, sys, raceline\n"
        "raceline.init(num_cpus=1, progress=False)\n"
        "dataset = pickle.load(sys.stdin.buffer)\n"
        "print(dataset.name, dataset.take_all())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=cloudpickle.dumps(dataset),
        capture_output=True,
        env={"PYTHONPATH": str(pathlib.Path(raceline.__file__).parents[1])},
        timeout=60,
    )
    assert done.stdout.decode() == "tens [{'b': 10}, {'b': 20}]\n", done.stderr.decode()


def test_a_copy_shares_the_plan():
    dataset = raceline.from_items([1, 2])
    dataset.set_name("two")
    for made in (copy.copy(dataset), copy.deepcopy(dataset)):
        assert made._native is dataset._native
        assert made.name == "two"


def test_a_deep_plan_is_pickled():
    dataset = raceline.range(3)
    for _ in range(3000):
        dataset = dataset.limit(3)
    assert again(dataset).count() == 3


def test_what_cannot_be_pickled_is_named():
    import threading

    lock = threading.Lock()
    locked = raceline.range(3).map(lambda row: row if lock else {}, debug=True)
    with pytest.raises(PlanError, match=r"the dataset cannot be pickled: .*lock"):
        pickle.dumps(locked)


def test_a_lineage_has_no_rows(tmp_path):
    raceline.range(3).write_csv(tmp_path)
    dataset = raceline.read_csv(tmp_path).map(lambda row: {"n": row["id"] + 1})
    dataset.set_name("mine")
    assert dataset.has_serializable_lineage()
    other = Dataset.deserialize_lineage(dataset.serialize_lineage())
    assert other.take_all() == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert other.name == "mine"


@pytest.mark.parametrize("name", ["items", "union", "zip", "mix", "join", "kept", "arrow"])
def test_rows_in_memory_and_several_reads_have_no_lineage(name):
    dataset = PLANS[name]()
    assert not dataset.has_serializable_lineage()
    with pytest.raises(ValueError, match="has no lineage to serialize"):
        dataset.serialize_lineage()


def test_what_this_process_iterates_over_has_no_lineage():
    """Neither what comes once nor what comes again: the rows are those of an object in memory."""
    table = pa.table({"n": [1, 2]})
    once = raceline.from_arrow(table.to_reader())
    for dataset in (once, once.map(lambda row: row).limit(1)):
        assert not dataset.has_serializable_lineage()
        with pytest.raises(PlanError) as error:
            dataset.serialize_lineage()
        assert str(error.value) == (
            "a dataset whose rows come of memory, or of several others, has no lineage to "
            "serialize\n  hint: pickle the dataset, with its rows: after `materialize()` where "
            "they can be read once"
        )
    kept = once.materialize()
    assert pickle.loads(pickle.dumps(kept)).take_all() == [{"n": 1}, {"n": 2}]
    assert raceline.range(3).map(lambda row: row, debug=True).has_serializable_lineage()


def test_a_source_of_one_s_own_has_a_lineage():
    source = raceline.data.datasource.RandomIntRowDatasource(5, num_columns=1)
    dataset = raceline.read_datasource(source)
    other = Dataset.deserialize_lineage(dataset.serialize_lineage())
    assert other.take_all() == dataset.take_all()


def test_input_files_are_those_of_all_sources(tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n")
    (tmp_path / "b.txt").write_text("x\n")
    left = raceline.read_csv(tmp_path / "a.csv")
    both = left.map(lambda row: row).union(raceline.read_text(tmp_path), left)
    assert both.input_files() == [str(tmp_path / "a.csv"), str(tmp_path / "b.txt")]
    assert raceline.range(3).input_files() == []
    with pytest.raises(FileNotFoundError):
        raceline.read_csv(tmp_path / "gone.csv").input_files()


def test_input_files_of_a_source_of_one_s_own(tmp_path):
    class Bytes(raceline.data.datasource.FileBasedDatasource):
        def _read_stream(self, f, path):
            yield {"bytes": [f.readall()]}

    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("y")
    dataset = raceline.read_datasource(Bytes(tmp_path))
    assert dataset.map(lambda row: row).input_files() == [str(tmp_path / "a"), str(tmp_path / "b")]


def test_files_of_a_source_of_one_s_own_are_shuffled_by_each_run(tmp_path):
    class Names(raceline.data.datasource.FileBasedDatasource):
        def _read_stream(self, f, path):
            yield {"name": [pathlib.Path(path).name]}

    for index in range(20):
        (tmp_path / f"{index:02}").write_text("x")
    source = Names(tmp_path, shuffle="files")
    dataset = raceline.read_datasource(source, parallelism=2)
    first, second = ([row["name"] for row in dataset.take_all()] for _ in range(2))
    assert sorted(first) == sorted(second) == [f"{index:02}" for index in range(20)]
    assert first != second


def test_an_identifier_tells_name_and_runs():
    dataset = raceline.range(3)
    name, own, runs = dataset.get_dataset_id().rsplit("_", 2)
    assert (name, runs) == ("dataset", "0")
    assert dataset.get_dataset_id() != raceline.range(3).get_dataset_id()
    dataset.set_name("three")
    dataset.take_all()
    assert dataset.get_dataset_id() == f"three_{own}_1"
