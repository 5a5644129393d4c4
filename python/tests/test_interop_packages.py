"""Datasets that come from and go to packages that not every machine has.

What is not installed is skipped by name.
"""

import subprocess
import sys
import threading
import time
import types
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline.errors import PlanError, UdfError


def rows():
    return raceline.from_items(
        [
            {"a": number, "s": "x" * number, "f": number / 2 if number % 3 else None}
            for number in range(10)
        ]
    )


def tensors():
    return raceline.from_numpy(np.arange(24.0).reshape(4, 2, 3))


# -- What is not there


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("polars", lambda: raceline.range(1).to_polars()),
        ("polars", lambda: raceline.from_polars(None)),
        ("duckdb", lambda: raceline.range(1).to_duckdb()),
        ("duckdb", lambda: raceline.from_duckdb(None)),
        ("daft", lambda: raceline.range(1).to_daft()),
        ("daft", lambda: raceline.from_daft(None)),
        ("dask", lambda: raceline.range(1).to_dask()),
        ("dask", lambda: raceline.from_dask(None)),
        ("modin", lambda: raceline.range(1).to_modin()),
        ("modin", lambda: raceline.from_modin(None)),
        ("mars", lambda: raceline.range(1).to_mars()),
        ("mars", lambda: raceline.from_mars(None)),
        ("pyspark", lambda: raceline.range(1).to_spark(None)),
        ("pyspark", lambda: raceline.from_spark(None)),
        ("datasets", lambda: raceline.range(1).to_huggingface()),
        ("datasets", lambda: raceline.from_huggingface(None)),
        ("tensorflow", lambda: raceline.from_tf(None)),
    ],
)
def test_a_package_that_is_missing_is_named_with_what_installs_it(monkeypatch, package, use):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    text = f'^{package} is not installed: pip install "raceline\\[{package}\\]"$'
    with pytest.raises(ImportError, match=text):
        use()


def test_what_is_advised_can_be_installed():
    import pathlib
    import tomllib

    project = pathlib.Path(raceline.__file__).parents[2] / "pyproject.toml"
    if not project.exists():
        pytest.skip("installed without its sources")
    extras = tomllib.loads(project.read_text())["project"]["optional-dependencies"]
    needed = {"polars", "duckdb", "daft", "dask", "modin", "mars", "pyspark", "datasets"}
    assert needed | {"tensorflow", "torch", "pandas", "pyarrow"} <= extras.keys()


def test_importing_raceline_loads_none_of_them():
    text = "import sys, raceline; raceline.data; raceline.range(3).take_all(); print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    packages = {"polars", "duckdb", "daft", "dask", "datasets", "tensorflow", "pyspark", "torch"}
    assert not packages & set(run.stdout.split())


# -- PyTorch. What follows works with anything that has numbers, or can be iterated over.


class Squares:
    def __len__(self):
        return 100

    def __getitem__(self, at):
        return {"x": np.full((2, 2), at), "y": at * at}


class Stream:
    """Iterable without numbers; counts what is taken of it in this process."""

    def __init__(self, elements):
        self.elements = elements
        self.taken = 0

    def __iter__(self):
        for element in self.elements:
            self.taken += 1
            yield element


@pytest.mark.parametrize("local_read", [False, True])
@pytest.mark.filterwarnings("ignore:column `item` holds values")
def test_elements_by_number(local_read):
    ds = raceline.from_torch(Squares(), local_read=local_read)
    assert ds.count() == ds.count() == 100
    items = [row["item"] for row in ds.take_all()]
    assert [item["y"] for item in items] == [number**2 for number in range(100)]
    assert items[3]["x"].tolist() == [[3, 3], [3, 3]]


def test_only_the_elements_that_are_needed_are_read():
    class Counted(Squares):
        read = 0

        def __getitem__(self, at):
            Counted.read += 1
            return at

    assert raceline.from_torch(Counted(), local_read=True).take(3) == [
        {"item": 0},
        {"item": 1},
        {"item": 2},
    ]
    assert Counted.read <= 16


class Pair(NamedTuple):
    image: np.ndarray
    label: int


@pytest.mark.parametrize(
    "element",
    [
        {"x": np.arange(3), "y": [np.zeros((2, 2)), 1]},
        (np.arange(3), 5),
        [np.arange(3), np.arange(3)],
        Pair(np.arange(3), 5),
    ],
    ids=["dict", "tuple", "list", "named tuple"],
)
@pytest.mark.parametrize("by_number", [True, False])
def test_elements_that_hold_arrays_stay_what_they_are(element, by_number):
    given = [element] * 3 if by_number else Stream([element] * 3)
    with pytest.warns(UserWarning, match=rf"{type(element).__name__}`\): they are pickled"):
        back = raceline.from_torch(given, local_read=True).take_all()
    [_, _, row] = back
    assert type(row["item"]) is type(element)
    assert repr(row["item"]) == repr(element)
    labels = raceline.from_torch(given).map(lambda row: {"kind": type(row["item"]).__name__})
    assert labels.take(1) == [{"kind": type(element).__name__}]


def test_plain_elements_and_arrays_become_columns():
    assert raceline.from_torch([(1, 2), (3, 4)]).take_all() == [{"item": [1, 2]}, {"item": [3, 4]}]
    assert raceline.from_torch([{"a": 1}]).schema().base_schema.field("item").type == pa.struct(
        [("a", pa.int64())]
    )
    batch = raceline.from_torch([np.zeros((2, 2)), np.ones((2, 2))]).take_batch()
    assert batch["item"].shape == (2, 2, 2)


@pytest.mark.parametrize("local_read", [False, True])
def test_iterable_elements(local_read):
    ds = raceline.from_torch(Stream(range(1000)), local_read=local_read)
    assert ds.sum("item") == ds.sum("item") == sum(range(1000))


@pytest.mark.parametrize("local_read", [False, True])
def test_an_endless_iterable_is_read_as_far_as_needed(local_read):
    ds = raceline.from_torch(Stream(range(10**15)), local_read=local_read)
    assert ds.take(2) == [{"item": 0}, {"item": 1}]
    assert ds.limit(1000).count() == 1000


def test_elements_of_a_slow_iterable_are_handed_on_as_they_come():
    def slow():
        for number in range(1000):
            time.sleep(0.06)
            yield number

    stream = Stream(slow())
    assert raceline.from_torch(stream, local_read=True).take(1) == [{"item": 0}]
    assert stream.taken <= 10


def test_large_elements_come_few_at_a_time():
    stream = Stream(np.zeros((1 << 20,)) for _ in range(100))
    iterator = iter(raceline.from_torch(stream, local_read=True).iter_rows())
    next(iterator)
    assert stream.taken <= 3
    iterator.close()


def test_what_can_be_iterated_over_once():
    ds = raceline.from_torch(iter(range(1000)), local_read=True)
    assert ds.count() == 1000
    with pytest.raises(UdfError, match="`from_torch` was given rows that can be read once"):
        ds.count()


def test_the_same_iterator_again_is_refused():
    class Same:
        def __init__(self):
            self.elements = (number for number in range(1000))

        def __iter__(self):
            return self.elements

    ds = raceline.from_torch(Same(), local_read=True)
    assert ds.count() == 1000
    with pytest.raises(UdfError, match="can be read once"):
        ds.count()


def test_what_cannot_be_pickled_is_told_how_to_read():
    class Locked(Squares):
        def __init__(self):
            self.lock = threading.Lock()

    with pytest.raises(PlanError) as caught:
        raceline.from_torch(Locked())
    assert str(caught.value).startswith("`from_torch` cannot be sent to a worker process: ")
    assert caught.value.hint == "read it in this process: `from_torch(dataset, local_read=True)`"
    assert raceline.from_torch(Locked(), local_read=True).count() == 100
    with pytest.raises(PlanError, match=r"^`from_torch` needs a dataset, got `int`$"):
        raceline.from_torch(3)


def test_an_element_that_fails_is_named():
    class Broken(Squares):
        def __getitem__(self, at):
            return 1 // (at - 5)

    with pytest.raises(ZeroDivisionError) as caught:
        raceline.from_torch(Broken()).take_all()
    assert "It is element 5 of the dataset." in str(caught.value)


@pytest.mark.filterwarnings("ignore:column `item` holds values")
def test_datasets_of_torch():
    torch = pytest.importorskip("torch")
    data = torch.utils.data

    class Endless(data.IterableDataset):
        def __iter__(self):
            return iter(torch.full((2,), number) for number in range(10**12))

        def __len__(self):
            return 10**12

    items = raceline.from_torch(Endless(), local_read=True).take(3)
    assert [row["item"].tolist() for row in items] == [[0, 0], [1, 1], [2, 2]]
    pairs = data.TensorDataset(torch.arange(10), torch.arange(10) * 2)
    found = raceline.from_torch(pairs).take_all()
    assert [tuple(map(int, row["item"])) for row in found] == [(n, 2 * n) for n in range(10)]
    # Elements that are parts of one large tensor do not travel with all of it.
    parts = data.TensorDataset(torch.zeros(1000, 3), torch.arange(1000))
    [part] = raceline.from_torch(parts).take(1)
    assert part["item"][0].untyped_storage().nbytes() == part["item"][0].nbytes == 12
    images = data.Subset([torch.full((3, 4), float(n)) for n in range(10)], [7, 2])
    batch = raceline.from_torch(images).take_batch()["item"]
    assert batch.shape == (2, 3, 4)
    assert batch[:, 0, 0].tolist() == [7, 2]
    loader = data.DataLoader(pairs, batch_size=4)
    assert raceline.from_torch(loader, local_read=True).count() == 3


# -- Hugging Face


@pytest.fixture
def hf():
    return pytest.importorskip("datasets")


def letters(hf):
    return hf.Dataset.from_dict({"n": list(range(1000)), "s": [str(n) for n in range(1000)]})


def test_arrow_data_of_a_dataset_is_not_copied(hf, tmp_path):
    from test_interop import is_part_of

    in_memory = letters(hf)
    in_memory.save_to_disk(str(tmp_path / "kept"))
    for given in (in_memory, hf.load_from_disk(str(tmp_path / "kept"))):
        ds = raceline.from_huggingface(given)
        assert ds.schema(fetch_if_missing=False).names == ["n", "s"]
        assert is_part_of(ds.to_arrow(), given.data.table)
        assert ds.sum("n") == sum(range(1000))


def test_datasets_that_were_changed(hf):
    given = letters(hf)
    shuffled = raceline.from_huggingface(given.shuffle(seed=1))
    assert [row["n"] for row in shuffled.take_all()] == given.shuffle(seed=1)["n"][:]
    assert raceline.from_huggingface(given.select([5, 3])).take_all() == [
        {"n": 5, "s": "5"},
        {"n": 3, "s": "3"},
    ]
    assert raceline.from_huggingface(given.select_columns(["s"])).columns() == ["s"]
    assert raceline.from_huggingface(given.with_format("numpy", columns=["n"])).columns() == ["n"]
    assert raceline.from_huggingface(hf.Dataset.from_dict({"a": []})).take_all() == []
    nothing = raceline.from_huggingface(given.filter(lambda row: row["n"] < 0))
    assert nothing.columns() == ["n", "s"]
    assert nothing.count() == 0


def test_arrays_of_one_shape_are_tensors(hf):
    from test_interop import is_part_of

    features = hf.Features(
        {"m": hf.Array2D((2, 3), "float32"), "v": hf.Array2D((None, 3), "float32")}
    )
    arrays = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
    columns = {"m": arrays.tolist(), "v": [np.zeros((at, 3)).tolist() for at in range(1, 6)]}
    given = hf.Dataset.from_dict(columns, features=features)
    ds = raceline.from_huggingface(given)
    assert (ds.take_batch()["m"] == arrays).all()
    storage = pa.table({"m": given.data.table["m"].chunk(0).storage})
    assert is_part_of(ds.select_columns(["m"]).to_arrow(), storage)
    assert ds.take(2)[1]["v"] == [[0, 0, 0]] * 2
    for changed in (given.select([3, 1]), given.to_iterable_dataset().skip(1).take(2)):
        batch = raceline.from_huggingface(changed).take_batch()["m"]
        assert batch.shape == (2, 2, 3)
    assert (
        raceline.from_huggingface(given.select([3, 1])).take_batch()["m"] == arrays[[3, 1]]
    ).all()
    missing = hf.Dataset.from_dict(
        {"m": [arrays[0].tolist(), None]}, features=hf.Features({"m": features["m"]})
    )
    assert raceline.from_huggingface(missing).take_all()[1]["m"] is None


def test_iterable_datasets(hf):
    started = []

    def numbers():
        started.append(1)
        for number in range(10**9):
            yield {"n": number}

    given = hf.IterableDataset.from_generator(numbers)
    ds = raceline.from_huggingface(given)
    assert started == []
    assert ds.take(2) == [{"n": 0}, {"n": 1}]
    assert ds.limit(1000).count() == 1000
    few = given.filter(lambda row: row["n"] % 2 == 0).take(3)
    assert raceline.from_huggingface(few).take_all() == [{"n": 0}, {"n": 2}, {"n": 4}]
    sharded = letters(hf).to_iterable_dataset(num_shards=4)
    assert raceline.from_huggingface(sharded).sum("n") == sum(range(1000))


def test_an_iterable_dataset_that_cannot_be_pickled_is_read_here(hf):
    lock = threading.Lock()

    def numbers():
        with lock:
            yield {"n": 1}

    ds = raceline.from_huggingface(hf.IterableDataset.from_generator(numbers))
    assert ds.take_all() == ds.take_all() == [{"n": 1}]


def test_several_splits_are_refused(hf):
    splits = hf.DatasetDict({"train": letters(hf), "test": letters(hf)})
    with pytest.raises(PlanError) as caught:
        raceline.from_huggingface(splits)
    assert str(caught.value) == (
        "`from_huggingface` takes one split, and this has: `train`, `test`\n"
        '  hint: for example `from_huggingface(datasets["train"])`'
    )
    with pytest.raises(PlanError, match=r"needs a `datasets.Dataset`, got `list`"):
        raceline.from_huggingface([])


def test_to_huggingface_and_back(hf):
    made = rows().to_huggingface()
    assert made[3] == {"a": 3, "s": "xxx", "f": None}
    assert raceline.from_huggingface(made).take_all() == rows().take_all()
    assert tensors().to_huggingface()[1]["data"] == [[6, 7, 8], [9, 10, 11]]
    assert raceline.range(0).to_huggingface().column_names == ["id"]


# -- TensorFlow


def test_datasets_of_tensorflow():
    tf = pytest.importorskip("tensorflow")
    slices = tf.data.Dataset.from_tensor_slices
    assert raceline.from_tf(tf.data.Dataset.range(3)).take_all() == [{"item": n} for n in range(3)]
    given = slices({"x": np.arange(6.0).reshape(3, 2), "s": ["a", "b", "c"]})
    ds = raceline.from_tf(given)
    assert ds.count() == ds.count() == 3
    assert ds.take_batch()["x"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert [row["s"] for row in ds.take_all()] == [b"a", b"b", b"c"]
    assert raceline.from_tf(given.repeat()).limit(1000).count() == 1000
    assert raceline.from_tf(tf.data.Dataset.range(0)).take_all() == []
    with pytest.raises(PlanError, match=r"`from_tf` needs a `tf.data.Dataset`, got `int`"):
        raceline.from_tf(3)


# -- Frames


def test_dask():
    frames = pytest.importorskip("dask.dataframe")
    frame = rows().to_dask()
    assert frame["a"].sum().compute() == 45
    assert raceline.from_dask(frame).take_all() == rows().take_all()
    assert frame.compute()["s"].tolist() == ["x" * number for number in range(10)]
    assert rows().to_dask(meta=rows().to_pandas().iloc[:0]).compute().shape == (10, 3)
    assert raceline.range(0).to_dask().compute().columns.tolist() == ["id"]
    # Dask left alone makes texts of arrays.
    assert tensors().to_dask().compute()["data"][1].tolist() == [[6, 7, 8], [9, 10, 11]]
    parts = frames.from_pandas(pd.DataFrame({"a": range(10)}), npartitions=3)
    assert [row["a"] for row in raceline.from_dask(parts).take_all()] == list(range(10))
    with pytest.raises(PlanError, match="`from_dask` needs a frame of Dask, got `int`"):
        raceline.from_dask(3)


def test_large_datasets_have_several_partitions_in_dask():
    pytest.importorskip("dask.dataframe")
    frame = raceline.range(20_000_000).to_dask()
    assert 2 <= frame.npartitions <= 4
    assert frame["id"].max().compute() == 19_999_999


def test_daft():
    daft = pytest.importorskip("daft")
    frame = rows().to_daft()
    assert raceline.from_daft(frame).take_all() == rows().take_all()
    lazy = raceline.from_daft(frame.where(daft.col("a") > 6))
    assert lazy.count() == lazy.count() == 3
    assert raceline.from_daft(frame.where(daft.col("a") > 60)).columns() == ["a", "s", "f"]
    assert raceline.from_daft(tensors().to_daft()).take(1)[0]["data"].tolist() == [
        [0, 1, 2],
        [3, 4, 5],
    ]
    assert raceline.range(0).to_daft().count_rows() == 0
    with pytest.raises(PlanError, match="`from_daft` needs a frame of Daft, got `int`"):
        raceline.from_daft(3)


def test_modin():
    frames = pytest.importorskip("modin.pandas", exc_type=ImportError)
    frame = rows().to_modin()
    assert isinstance(frame, frames.DataFrame)
    assert frame["a"].sum() == 45
    assert raceline.from_modin(frame).take_all() == rows().take_all()
    with pytest.raises(PlanError, match="`from_modin` needs a frame of Modin, got `int`"):
        raceline.from_modin(3)


def test_mars(monkeypatch):
    """Mars has no release for the Pythons of today: what is known of its frames stands in."""
    frame = types.SimpleNamespace(to_pandas=lambda: pd.DataFrame({"a": [1, 2]}))
    mars = types.ModuleType("mars")
    mars.dataframe = types.ModuleType("mars.dataframe")
    mars.dataframe.DataFrame = lambda given: ("mars", given)
    monkeypatch.setitem(sys.modules, "mars", mars)
    monkeypatch.setitem(sys.modules, "mars.dataframe", mars.dataframe)
    assert raceline.from_mars(frame).take_all() == [{"a": 1}, {"a": 2}]
    kind, given = raceline.range(2).to_mars()
    assert kind == "mars"
    assert given["id"].tolist() == [0, 1]


@pytest.fixture(scope="module")
def spark():
    sql = pytest.importorskip("pyspark.sql")
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    try:
        session = builder.config("spark.driver.memory", "600m").getOrCreate()
    except Exception as error:
        pytest.skip(f"Spark needs Java: {error}")
    yield session
    session.stop()


def test_spark(spark):
    frame = rows().to_spark(spark)
    assert frame.filter("a > 7").count() == 2
    assert raceline.from_spark(frame).take_all() == rows().take_all()
    assert tensors().to_spark(spark).collect()[1]["data"] == [[6, 7, 8], [9, 10, 11]]
    assert raceline.range(0).to_spark(spark).count() == 0
    views = raceline.from_arrow(pa.table({"s": pa.array(["a" * 30], pa.string_view())}))
    assert views.to_spark(spark).collect()[0]["s"] == "a" * 30
    with pytest.raises(PlanError, match="`from_spark` needs a frame of Spark 4, got `int`"):
        raceline.from_spark(3)
    with pytest.warns(UserWarning, match="has no effect"):
        raceline.from_spark(frame, parallelism=4)
