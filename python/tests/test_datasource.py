"""Sources of a user's own."""

import itertools
import os
import pathlib
import signal
import time

import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline.data import Datasource, ReadTask
from raceline.data.block import BlockMetadata
from raceline.data.datasource import (
    DummyOutputDatasink,
    FileBasedDatasource,
    Partitioning,
    PathPartitionFilter,
    PathPartitionParser,
    RandomIntRowDatasource,
    Reader,
)
from raceline.errors import PlanError, UdfError
from raceline.testing import check_datasource


class Numbers(Datasource):
    """The numbers below `rows`, in parts; what a block is, and what reading does, is told."""

    def __init__(self, rows, block=lambda values: {"n": values}, before=lambda: None):
        self.rows, self.block, self.before = rows, block, before
        self.asked = None

    def get_read_tasks(self, parallelism, per_task_row_limit=None, data_context=None):
        self.asked = (parallelism, per_task_row_limit, data_context)
        ends = [self.rows * part // parallelism for part in range(parallelism + 1)]

        def read(first, last, block, before):
            for value in range(first, last):
                before()
                yield block([value])

        return [
            ReadTask(
                lambda first=first, last=last, block=self.block, before=self.before: read(
                    first, last, block, before
                ),
                BlockMetadata(num_rows=last - first),
                per_task_row_limit=per_task_row_limit,
            )
            for first, last in itertools.pairwise(ends)
        ]


def numbers(dataset):
    return [row["n"] for row in dataset.take_all()]


@pytest.mark.parametrize(
    "block",
    [
        lambda values: {"n": values},
        lambda values: pa.table({"n": values}),
        lambda values: pa.RecordBatch.from_pydict({"n": values}),
        lambda values: pd.DataFrame({"n": values}),
    ],
    ids=["dict", "table", "record batch", "frame"],
)
def test_blocks_of_all_kinds_come_in_the_order_of_the_parts(block):
    source = Numbers(20, block)
    assert numbers(raceline.read_datasource(source, parallelism=3)) == list(range(20))
    check_datasource(source)


def test_a_source_is_told_what_is_wanted():
    source = Numbers(20)
    raceline.read_datasource(source, override_num_blocks=7)
    assert source.asked == (7, None, raceline.data.DataContext.get_current())
    raceline.read_datasource(source)
    assert source.asked[0] == 200
    sized = Numbers(20)
    sized.estimate_inmemory_data_size = lambda: 10 * 2**20
    raceline.read_datasource(sized)
    assert sized.asked[0] == 10


def test_blocks_are_handed_on_as_they_come(tmp_path):
    """The source waits after its first blocks until one of them was taken."""
    taken = tmp_path / "taken"

    def wait():
        begun = len(list(tmp_path.iterdir()))
        while begun >= 4 and not taken.exists():
            time.sleep(0.01)
        (tmp_path / str(begun)).touch()

    rows = iter(raceline.read_datasource(Numbers(6, before=wait), parallelism=1).iter_rows())
    assert next(rows) == {"n": 0}
    taken.touch()
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]


def test_a_source_that_never_ends_is_read_as_far_as_needed():
    class Endless(Datasource):
        def get_read_tasks(self, parallelism, per_task_row_limit=None, data_context=None):
            def count():
                value = 0
                while True:
                    yield {"n": [value]}
                    value += 1

            return [ReadTask(count, BlockMetadata())]

    assert numbers(raceline.read_datasource(Endless()).limit(5)) == [0, 1, 2, 3, 4]


def test_transforms_follow_a_source():
    dataset = raceline.read_datasource(Numbers(10), parallelism=4)
    assert dataset.filter(lambda row: row["n"] % 2).sum("n") == 25
    assert dataset.count() == 10


def test_tasks_run_in_workers_and_a_worker_that_dies_is_replaced(tmp_path):
    mark = tmp_path / "mark"

    def die_once():
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    assert numbers(raceline.read_datasource(Numbers(8, before=die_once), parallelism=2)) == list(
        range(8)
    )
    pids = Numbers(4, lambda _: {"n": [os.getpid()]})
    assert os.getpid() not in numbers(raceline.read_datasource(pids))


def test_an_error_of_a_task_names_the_source_and_keeps_its_type():
    def fail():
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError, match="gone") as caught:
        raceline.read_datasource(Numbers(4, before=fail)).count()
    assert isinstance(caught.value, UdfError)
    assert "ReadNumbers" in caught.value.stage


def test_a_row_limit_cuts_a_task():
    task = ReadTask(
        lambda: [{"n": [1, 2]}, {"n": [3, 4]}, {"n": [5]}],
        BlockMetadata(),
        per_task_row_limit=3,
    )
    assert [pa.table(block).to_pydict()["n"] for block in task()] == [[1, 2], [3]]


def test_older_sources_are_read():
    class OldReader(Reader):
        def __init__(self, rows):
            self.rows = rows

        def estimate_inmemory_data_size(self):
            return None

        def get_read_tasks(self, parallelism):
            return Numbers(self.rows).get_read_tasks(parallelism)

    class Old(Datasource):
        def create_reader(self, rows):
            return OldReader(rows)

    class Older(Datasource):
        def prepare_read(self, parallelism, rows):
            return Numbers(rows).get_read_tasks(parallelism)

    class Short(Datasource):
        def get_read_tasks(self, parallelism):
            return Numbers(4).get_read_tasks(parallelism)

    assert numbers(raceline.read_datasource(Old(), rows=3)) == [0, 1, 2]
    assert numbers(raceline.read_datasource(Older(), parallelism=2, rows=3)) == [0, 1, 2]
    assert numbers(raceline.read_datasource(Short())) == [0, 1, 2, 3]


def test_a_source_without_parts_has_no_rows():
    class Nothing(Datasource):
        def get_read_tasks(self, parallelism, per_task_row_limit=None, data_context=None):
            return []

    assert raceline.read_datasource(Nothing()).take_all() == []


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (lambda: raceline.read_datasource(object()), "`read_datasource` needs a source"),
        (
            lambda: raceline.read_datasource(Datasource()),
            "class `Datasource` does not say how it is read",
        ),
        (lambda: raceline.read_datasource(Numbers(1), parallelism=0), "`parallelism` must be"),
        (
            lambda: raceline.read_datasource(Numbers(1), colour="red"),
            "`Numbers` takes no arguments when it is read, got `colour`",
        ),
        (lambda: ReadTask(3, BlockMetadata()), "a read task needs a function, got `3`"),
    ],
)
def test_wrong_arguments_are_refused_at_once(read, text):
    with pytest.raises(PlanError, match=f"^{text}"):
        read()


def test_what_is_no_read_task_or_block_is_refused():
    class Bare(Datasource):
        def get_read_tasks(self, parallelism, per_task_row_limit=None, data_context=None):
            return [list]

    with pytest.raises(PlanError, match="must return read tasks, got `type`"):
        raceline.read_datasource(Bare())
    with pytest.raises(TypeError, match=r"must yield PyArrow tables.* got `int`"):
        raceline.read_datasource(Numbers(2, lambda _: 3)).count()
    whole = ReadTask(lambda: pa.table({"n": [1]}), BlockMetadata())
    with pytest.raises(TypeError, match="must return or yield blocks, got `Table`"):
        list(whole())


def test_unknown_arguments_of_ray_are_refused_and_idle_ones_warn():
    with pytest.raises(TypeError, match="unknown argument `num_cpu`"):
        raceline.read_datasource(Numbers(1), ray_remote_args={"num_cpu": 1})
    with pytest.warns(UserWarning, match="`runtime_env` of `ray_remote_args` has no effect"):
        raceline.read_datasource(Numbers(1), ray_remote_args={"runtime_env": {}, "num_cpus": 1})


def test_random_rows_are_the_same_in_each_run():
    dataset = raceline.read_datasource(RandomIntRowDatasource(50, num_columns=3), parallelism=4)
    rows = dataset.take_all()
    assert len(rows) == 50
    assert list(rows[0]) == ["c_0", "c_1", "c_2"]
    assert rows == dataset.take_all()
    assert len({row["c_0"] for row in rows}) == 50
    check_datasource(RandomIntRowDatasource(0, num_columns=1))


class Lines(FileBasedDatasource):
    """Lines of text files."""

    _FILE_EXTENSIONS = ("txt", "txt.gz")

    def _read_stream(self, f, path):
        yield {"line": f.readall().decode().splitlines()}


@pytest.fixture
def folder(tmp_path):
    for year, month in ((2023, 1), (2023, 2), (2024, 1)):
        part = tmp_path / f"year={year}" / f"month={month}"
        part.mkdir(parents=True)
        (part / "a.txt").write_text(f"{year}-{month}\n")
    (tmp_path / "_hidden.txt").write_text("hidden\n")
    (tmp_path / "notes.md").write_text("other\n")
    return tmp_path


def test_files_are_found_and_read(folder):
    source = Lines(str(folder))
    rows = raceline.read_datasource(source, parallelism=2).take_all()
    assert [row["line"] for row in rows] == ["2023-1", "2023-2", "2024-1"]
    assert [pathlib.Path(path).name for path in source.input_files()] == ["a.txt"] * 3
    assert source.estimate_inmemory_data_size() == 21
    check_datasource(source)


def test_files_are_decompressed_by_their_names(tmp_path):
    import gzip

    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    rows = raceline.read_datasource(Lines(tmp_path)).take_all()
    assert [row["line"] for row in rows] == ["one", "two"]


def test_folders_become_columns_and_choose_files(folder):
    source = Lines(
        str(folder),
        partitioning=Partitioning("hive", field_types={"year": int}),
        partition_filter=PathPartitionFilter.of(lambda values: values["month"] == "1"),
        include_paths=True,
    )
    rows = raceline.read_datasource(source).take_all()
    assert [(row["line"], row["year"], row["month"]) for row in rows] == [
        ("2023-1", 2023, "1"),
        ("2024-1", 2024, "1"),
    ]
    assert rows[0]["path"].endswith("year=2023/month=1/a.txt")


def test_a_column_that_contradicts_its_folder_is_refused(folder):
    class Years(Lines):
        def _read_stream(self, f, path):
            yield {"year": ["1999"]}

    source = Years(str(folder), partitioning=Partitioning("hive"))
    with pytest.raises(ValueError, match=r"column `year` of .* differs from `2023`"):
        raceline.read_datasource(source).count()


def test_missing_files_are_an_error_unless_they_may_be(folder):
    with pytest.raises(FileNotFoundError):
        Lines([str(folder), str(folder / "gone.txt")])
    source = Lines([str(folder), str(folder / "gone.txt")], ignore_missing_paths=True)
    assert raceline.read_datasource(source).count() == 3
    with pytest.raises(ValueError, match="no file is found"):
        Lines(str(folder), file_extensions=["csv"])


@pytest.mark.parametrize(
    ("parser", "path", "values"),
    [
        (PathPartitionParser.of(), "s3://b/year=2024/m=a%2Fb/f.csv", {"year": "2024", "m": "a/b"}),
        (PathPartitionParser.of(), "f=1.csv", {}),
        (PathPartitionParser.of(base_dir="/data/x=1"), "/data/x=1/y=2/f.csv", {"y": "2"}),
        (PathPartitionParser.of(base_dir="s3://b/in"), "b/in/y=2/f.csv", {"y": "2"}),
        (PathPartitionParser.of(base_dir="elsewhere"), "data/y=2/f.csv", {}),
        (PathPartitionParser.of("dir", "b", ["y", None, "d"]), "b/1/2/3/f", {"y": "1", "d": "3"}),
        (PathPartitionParser.of("dir", "b", ["y"]), "b/f", {}),
    ],
)
def test_paths_are_parsed(parser, path, values):
    assert parser(path) == values


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Partitioning("dirs"), "there is no partition style `'dirs'`"),
        (lambda: Partitioning("dir"), 'partitions of style "dir" need `field_names`'),
        (lambda: Partitioning("hive", field_names=[None]), 'only partitions of style "dir" pass'),
        (lambda: Partitioning("hive", field_types={"a": list}), "partition column `a` cannot be"),
        (
            lambda: Partitioning("hive", field_names=["a"], field_types={"b": int}),
            "`field_types` names `b`, which is not in `field_names`",
        ),
        (
            lambda: PathPartitionParser.of(field_names=["b", "a"])("a=1/b=2/f"),
            "the folders of `a=1/b=2/f` name the columns `a`, `b`, and the partitioning `b`, `a`",
        ),
        (
            lambda: PathPartitionParser.of("dir", "x", ["a"])("x/1/2/f"),
            "`x/1/2/f` lies in 2 folders, and the partitioning has 1 columns: `a`",
        ),
    ],
)
def test_partitionings_that_do_not_fit_are_refused(make, text):
    with pytest.raises(PlanError) as caught:
        make()
    assert str(caught.value).startswith(text)


def test_a_partitioning_is_known_to_pyarrow(tmp_path):
    import pyarrow.dataset

    (tmp_path / "2024").mkdir()
    pa.parquet = pytest.importorskip("pyarrow.parquet")
    pa.parquet.write_table(pa.table({"n": [1]}), tmp_path / "2024" / "a.parquet")
    scheme = Partitioning("dir", field_names=["year"], field_types={"year": int})
    found = pyarrow.dataset.dataset(tmp_path, partitioning=scheme.to_pyarrow(), format="parquet")
    assert found.to_table().to_pylist() == [{"n": 1, "year": 2024}]


def test_sources_and_sinks_are_called_by_their_classes_or_as_they_say():
    class Mine(Numbers):
        def get_name(self):
            return "my own"

    class CountDatasink(DummyOutputDatasink):
        pass

    assert RandomIntRowDatasource(1, 1).get_name() == "RandomIntRow"
    assert CountDatasink().get_name() == "Count"
    assert "Readmy own" in raceline.read_datasource(Mine(2))._native.explain()


class TestConformance:
    """`check_datasource` finds what is broken."""

    def check(self, source, text):
        with pytest.raises(AssertionError, match=text):
            check_datasource(source, parallelism=2)

    def test_wrong_metadata(self):
        source = Numbers(4)
        tasks = source.get_read_tasks(2)
        tasks[1].metadata.num_rows = 7
        source.get_read_tasks = lambda parallelism: tasks
        self.check(source, "part 1 has 2 rows, and its metadata says 7")

    def test_rows_that_change(self):
        self.check(Numbers(4, lambda _: {"n": [time.monotonic_ns()]}), "gives other rows when")

    def test_rows_of_a_process(self):
        self.check(Numbers(4, lambda _: {"n": [os.getpid()]}), "depend on the process that reads")

    def test_parts_that_depend_on_their_number(self):
        source = Numbers(4)
        source.get_read_tasks = lambda parallelism: Numbers(parallelism).get_read_tasks(1)
        with pytest.raises(AssertionError, match="the source has other rows, or another order"):
            check_datasource(source)

    def test_what_cannot_be_pickled(self):
        import threading

        lock = threading.Lock()
        self.check(Numbers(4, before=lambda: lock.locked()), "part 0 cannot be pickled")
