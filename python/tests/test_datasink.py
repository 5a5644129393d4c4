"""Sinks of a user's own."""

import itertools
import json
import os
import pathlib
import sqlite3

import pyarrow as pa
import pytest

import raceline
from raceline.data import Datasink, SaveMode
from raceline.data.datasource import (
    BlockBasedFileDatasink,
    DummyOutputDatasink,
    FilenameProvider,
    RowBasedFileDatasink,
)
from raceline.errors import PlanError, UdfError
from raceline.testing import check_datasink


class Recorder(Datasink):
    """Remembers how it was called; `fails` says in which call it raises."""

    def __init__(self, fails=None, least=None):
        self.fails, self.least = fails, least
        self.calls = []
        self.pid = os.getpid()

    def fail_in(self, call):
        self.calls.append(call)
        if self.fails == call:
            raise LookupError(f"in {call}")

    def on_write_start(self, schema=None):
        self.schema = schema
        self.fail_in("start")

    def write(self, blocks, ctx):
        if self.fails == "write" and ctx.task_idx == 2:
            raise LookupError("in write")
        tables = list(blocks)
        return ctx.task_idx, [table.num_rows for table in tables], os.getpid(), ctx.kwargs

    def on_write_complete(self, write_result):
        self.result = write_result
        self.fail_in("complete")

    def on_write_failed(self, error):
        self.error = error
        self.fail_in("failed")

    @property
    def min_rows_per_write(self):
        return self.least


def test_a_sink_sees_each_row_once_and_then_the_results():
    sink = Recorder()
    raceline.range(100).repartition(5).write_datasink(sink)
    assert sink.calls == ["start", "complete"]
    assert sink.schema.names == ["id"]
    assert (sink.result.num_rows, sink.result.size_bytes) == (100, 800)
    assert [(task, rows) for task, rows, _, _ in sink.result.write_returns] == [
        (task, [20]) for task in range(5)
    ]
    assert len({kwargs["write_uuid"] for *_, kwargs in sink.result.write_returns}) == 1
    assert os.getpid() not in {pid for _, _, pid, _ in sink.result.write_returns}


def test_rows_of_a_write_can_be_asked_for():
    sink = Recorder(least=30)
    raceline.range(100).write_datasink(sink)
    assert [rows for _, rows, _, _ in sink.result.write_returns] == [[30], [30], [30], [10]]


def test_large_writes_are_whole():
    sink = Recorder(least=1_000_000)
    raceline.range(2_500_000).write_datasink(sink)
    assert [rows for _, rows, _, _ in sink.result.write_returns] == [
        [1_000_000],
        [1_000_000],
        [500_000],
    ]


def test_small_batches_are_written_together():
    sink = Recorder()
    raceline.range(1000).write_datasink(sink)
    assert [rows for _, rows, _, _ in sink.result.write_returns] == [[1000]]


def test_a_sink_gets_columns_that_only_a_run_tells():
    sink = Recorder()
    raceline.range(3).map(lambda row: {"text": str(row) + "!"}).write_datasink(sink)
    assert sink.schema == pa.schema([("text", pa.string())])
    assert sink.result.num_rows == 3


def test_a_dataset_without_rows_is_written_too():
    sink = Recorder()
    raceline.range(3).map(lambda row: {"a": [1]}).limit(0).write_datasink(sink)
    assert sink.calls == ["start", "complete"]
    assert sink.schema is None
    assert sink.result.write_returns == []


@pytest.mark.parametrize("call", ["start", "write", "complete"])
def test_a_failure_is_told_and_raised(call):
    sink = Recorder(fails=call)
    with pytest.raises(LookupError, match=f"in {call}") as caught:
        raceline.range(100).repartition(5).write_datasink(sink)
    assert sink.calls == [*(["start", "complete"] if call == "complete" else ["start"]), "failed"]
    assert sink.error is caught.value
    assert isinstance(caught.value, UdfError) == (call == "write")


def test_a_failure_of_the_start_is_raised_as_it_is():
    sink = Recorder(fails="start")
    with pytest.raises(LookupError, match="in start") as caught:
        raceline.range(3).map(lambda row: {"a": [row["id"]]}).write_datasink(sink)
    assert type(caught.value) is LookupError
    assert sink.error is caught.value


def test_a_failure_before_the_sink_is_told():
    sink = Recorder()
    with pytest.raises(ZeroDivisionError):
        raceline.range(3).map(lambda row: {"a": 1 / row["id"]}).write_datasink(sink)
    assert sink.calls[-1] == "failed"
    assert isinstance(sink.error, ZeroDivisionError)


def test_a_sink_can_write_in_the_program_s_own_process():
    class Here(Recorder):
        supports_distributed_writes = False

    sink = Here()
    raceline.range(10).write_datasink(sink)
    assert {pid for _, _, pid, _ in sink.result.write_returns} == {os.getpid()}


def test_an_older_sink_is_told_no_columns():
    class Older(Recorder):
        def on_write_start(self):
            self.calls.append("start")

    sink = Older()
    raceline.range(3).map(lambda row: {"a": [1]}).write_datasink(sink)
    assert sink.calls == ["start", "complete"]


def test_what_is_no_sink_is_refused():
    with pytest.raises(PlanError, match=r"^`write_datasink` needs a sink, got `str`"):
        raceline.range(3).write_datasink("folder")
    with pytest.raises(PlanError, match="class `Datasink` does not say how it writes"):
        raceline.range(3).write_datasink(Datasink())


def test_statistics_tell_of_the_write():
    dataset = raceline.range(3)
    dataset.write_datasink(DummyOutputDatasink())
    assert "WriteDummyOutput" in dataset.stats()


class Jsons(BlockBasedFileDatasink):
    """One JSON list a file."""

    def write_block_to_file(self, block, file):
        file.write(json.dumps(list(block.iter_rows())).encode())


class Texts(RowBasedFileDatasink):
    """One file a row."""

    def write_row_to_file(self, row, file):
        file.write(str(row["id"]).encode())


def contents(folder):
    files = sorted(pathlib.Path(folder).iterdir())
    return [row["id"] for file in files for row in json.loads(file.read_text())]


def test_files_of_blocks_are_named_by_their_order(tmp_path):
    raceline.range(50).write_datasink(Jsons(tmp_path, file_format="json", min_rows_per_file=10))
    names = sorted(file.name for file in tmp_path.iterdir())
    assert [name.rsplit("_", 1)[1] for name in names] == [f"{at:06}.json" for at in range(5)]
    assert len({name.rsplit("_", 1)[0] for name in names}) == 1
    assert contents(tmp_path) == list(range(50))


def test_files_of_rows_are_named_by_their_order(tmp_path):
    raceline.range(3).write_datasink(Texts(tmp_path, file_format="txt", dataset_uuid="d"))
    files = sorted(tmp_path.iterdir())
    assert [file.read_text() for file in files] == ["0", "1", "2"]
    assert files[2].name.startswith("d_")
    assert files[2].name.endswith("_000000_000000_000002.txt")


def test_files_have_the_names_that_are_given(tmp_path):
    class Named(FilenameProvider):
        def get_filename_for_task(self, write_uuid, task_index):
            return f"part-{task_index}.json"

    sink = Jsons(tmp_path, filename_provider=Named(), min_rows_per_file=2)
    raceline.range(4).write_datasink(sink)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["part-0.json", "part-1.json"]

    class Wrong(FilenameProvider):
        def get_filename_for_task(self, write_uuid, task_index):
            return "../elsewhere.json"

    with pytest.raises(PlanError, match=r"must return the name of a file, got `'../elsewhere"):
        raceline.range(4).write_datasink(Jsons(tmp_path, filename_provider=Wrong()))


def test_modes_of_file_sinks(tmp_path):
    target = tmp_path / "out"

    def write(rows, mode):
        raceline.range(rows).write_datasink(Jsons(target, file_format="json", mode=mode))

    write(2, SaveMode.CREATE)
    assert contents(target) == [0, 1]
    for mode in (SaveMode.CREATE, "error"):
        with pytest.raises(ValueError, match="exists already"):
            write(3, mode)
    write(3, "ignore")
    assert contents(target) == [0, 1]
    write(1, "append")
    assert sorted(contents(target)) == [0, 0, 1]
    write(3, "overwrite")
    assert contents(target) == [0, 1, 2]
    with pytest.raises(ValueError, match="there is no save mode `replace`"):
        write(1, "replace")
    with pytest.raises(ValueError, match="needs a table with keys, and files have none"):
        write(1, "upsert")


def test_a_folder_that_was_made_for_nothing_is_removed(tmp_path):
    raceline.range(0).write_datasink(Jsons(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    raceline.range(0).write_datasink(Jsons(tmp_path))
    assert tmp_path.exists()


def test_a_file_sink_that_ignores_does_not_run_the_dataset(tmp_path):
    def fail(row):
        raise AssertionError("it was run")

    raceline.range(3).map(fail).write_datasink(Jsons(tmp_path, mode="ignore"))


class Sqlite(Datasink):
    """A table that is filled at the end, by what the writes left in files."""

    def __init__(self, path):
        self.path = str(path)

    def write(self, blocks, ctx):
        name = f"{self.path}.{ctx.kwargs['write_uuid']}.{ctx.task_idx}"
        rows = [row for block in blocks for row in block.to_pylist()]
        pathlib.Path(name).write_text(json.dumps(rows))
        return name

    def on_write_complete(self, write_result):
        with sqlite3.connect(self.path) as database:
            database.execute("create table rows (id, text)")
            for name in write_result.write_returns:
                rows = json.loads(pathlib.Path(name).read_text())
                database.executemany("insert into rows values (:id, :text)", rows)


class AtOnce(Sqlite):
    """A table that is filled by each write, which is wrong."""

    def on_write_start(self, schema=None):
        with sqlite3.connect(self.path) as database:
            database.execute("create table rows (id, text)")

    def write(self, blocks, ctx):
        with sqlite3.connect(self.path, timeout=30) as database:
            for block in blocks:
                database.executemany("insert into rows values (:id, :text)", block.to_pylist())

    def on_write_complete(self, write_result):
        pass


def rows_of(sink):
    if not os.path.exists(sink.path):
        return []
    with sqlite3.connect(sink.path) as database:
        found = database.execute("select id, text from rows").fetchall()
    return [{"id": key, "text": text} for key, text in found]


class TestConformance:
    """`check_datasink` finds what is broken."""

    def factory(self, tmp_path, kind):
        count = itertools.count()
        return lambda: kind(tmp_path / str(next(count)))

    def test_a_sink_that_keeps_the_contract_passes(self, tmp_path):
        check_datasink(self.factory(tmp_path, Sqlite), read=rows_of)
        check_datasink(DummyOutputDatasink)

    def test_a_sink_that_shows_rows_too_early_is_found(self, tmp_path):
        text = r"a run whose worker is killed after a write: 0 rows are missing and \d+ are too"
        with pytest.raises(AssertionError, match=text):
            check_datasink(self.factory(tmp_path, AtOnce), read=rows_of)

    def test_a_sink_that_cannot_be_pickled_is_found(self):
        class Open(DummyOutputDatasink):
            def __init__(self):
                super().__init__()
                self.file = open(os.devnull, "w")  # noqa: SIM115

        with pytest.raises(AssertionError, match="the sink cannot be pickled"):
            check_datasink(Open)

    def test_files_of_blocks_are_written_once_though_a_worker_dies(self, tmp_path):
        sink = self.factory(tmp_path, lambda path: Jsons(path, file_format="json"))
        text = "a run that fails: 0 rows are missing"  # as files appear one by one

        def read(sink):
            folder = pathlib.Path(sink.path)
            files = folder.iterdir() if folder.exists() else []
            return [row for file in files for row in rows_in(file.read_text())]

        def rows_in(text):
            # A worker may have been ended in the middle of a file.
            return json.loads(text) if text.endswith("]") else [{"id": None, "text": text}]

        with pytest.raises(AssertionError, match=text):
            check_datasink(sink, read=read)
