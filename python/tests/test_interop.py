"""Datasets that come from and go to Arrow, Polars and DuckDB."""

import threading

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from opaque import opaque

import raceline
from raceline.errors import PlanError, UdfError


def noted(batches, rows, taken):
    """A dataset of one int64 column that notes which batches were made."""

    def numbers(_):
        for at in range(batches):
            taken.append(at)
            yield {"id": np.arange(at * rows, (at + 1) * rows)}

    return raceline.range(1).map_batches(numbers, debug=True)


def buffers(table):
    """First and last address of each buffer of a table's columns."""
    return [
        (buffer.address, buffer.address + buffer.size)
        for column in table.columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer is not None
    ]


def is_part_of(part, whole):
    """Whether all buffers of a table lie inside those of another."""
    return all(
        any(first <= start and end <= last for first, last in buffers(whole))
        for start, end in buffers(part)
    )


class Exporter:
    """Something that knows nothing but the stream interface, and counts the calls."""

    def __init__(self, table):
        self.table = table
        self.calls = 0

    def __arrow_c_stream__(self, requested_schema=None):
        self.calls += 1
        return self.table.__arrow_c_stream__(requested_schema)


# -- The stream interface


def test_a_dataset_is_an_arrow_stream_for_every_library():
    ds = raceline.range(1000).map(lambda row: {"id": row["id"], "text": str(row["id"])})
    expected = ds.to_arrow()
    assert pa.table(ds).combine_chunks().equals(expected.combine_chunks())
    assert pl.DataFrame(ds)["text"].to_list() == [str(number) for number in range(1000)]
    found = duckdb.sql("select count(*), sum(id), max(text) from ds").fetchall()
    assert found == [(1000, 499500, "999")]
    assert raceline.sql("select sum(id) as n from ds").take_all() == [{"n": 499500}]


def test_the_stream_runs_only_as_far_as_it_is_read():
    taken = []
    reader = pa.RecordBatchReader.from_stream(noted(10_000, 1000, taken).select_columns(["id"]))
    # The columns are those of the first 16 MiB.
    head = len(taken)
    assert 16 * 2**20 / 8000 <= head <= 16 * 2**20 / 8000 + 3
    for _ in range(head):
        reader.read_next_batch()
    assert reader.read_next_batch()["id"][0].as_py() == head * 1000
    assert len(taken) <= head + 3
    reader.close()


def test_a_plan_that_tells_its_columns_is_not_run_to_find_them():
    folder = []
    ds = raceline.range(10).map(lambda row: {"id": row["id"]})
    assert ds.schema(fetch_if_missing=False) is not None
    reader = pa.RecordBatchReader.from_stream(ds)
    assert ds.stats() == ""
    folder.extend(reader)
    assert sum(batch.num_rows for batch in folder) == 10
    assert "Range" in ds.stats()


def test_columns_are_found_by_one_run_however_often_a_stream_is_asked_for():
    taken = []
    ds = noted(3, 10, taken)
    for _ in range(3):
        assert pa.RecordBatchReader.from_stream(ds).schema.names == ["id"]
    assert taken == [0, 1, 2]
    assert duckdb.sql("select sum(id) from ds").fetchall() == [(435,)]


def test_types_that_change_in_the_first_rows_are_united():
    def changing(batch):
        first = int(batch["id"][0])
        if first < 4:
            return {"v": [None] * len(batch["id"])}
        return {"v": batch["id"] * (1.5 if first < 8 else 1), "w": batch["id"]}

    ds = raceline.range(12).map_batches(changing, batch_size=2)
    table = pa.table(ds)
    assert table.schema.types == [pa.float64(), pa.int64()]
    assert table["v"].to_pylist() == [None] * 4 + [6.0, 7.5, 9.0, 10.5, 8, 9, 10, 11]
    assert table["w"].to_pylist() == [None] * 4 + list(range(4, 12))


def late(columns):
    """A dataset whose rows change behind the first 16 MiB."""

    def changing(_):
        for _ in range(3):
            yield {"a": np.zeros(1 << 20)}
        yield columns

    return raceline.range(1).map_batches(changing, debug=True)


def test_rows_behind_the_first_must_fit_their_columns():
    table = pa.table(late({"a": [1, 2]}))
    assert table["a"][-1].as_py() == 2.0
    # PyArrow raises an error of its own with our text.
    for text in ("1", "x"):
        with pytest.raises(pa.ArrowInvalid) as caught:
            pa.table(late({"a": [text]}))
        assert (
            "column `a` is `double` in the first rows and `string` later\n"
            "  hint: cast it to one type, or use `to_arrow()`, which sees all rows first"
        ) in str(caught.value)
    with pytest.raises(pa.ArrowInvalid) as caught:
        pa.table(late({"b": ["x"]}))
    assert (
        "column `b` is not in the first rows, which tell the columns of a stream\n"
        "  hint: give every row the same columns, or use `to_arrow()`"
    ) in str(caught.value)


@pytest.mark.parametrize(
    "export",
    [pa.table, pl.DataFrame, lambda ds: ds.to_polars(), lambda ds: ds.to_duckdb()],
    ids=["pyarrow", "polars", "to_polars", "to_duckdb"],
)
@pytest.mark.filterwarnings("ignore:column `thing` holds values")
def test_objects_are_refused_by_name(export):
    ds = raceline.from_items([{"id": 1, "thing": threading.Event}])
    with pytest.raises(Exception, match="column `thing` holds Python objects") as caught:
        export(ds)
    assert "hint: drop it, or `map` its values to numbers, strings, lists or arrays" in str(
        caught.value
    )


def test_what_a_function_raises_reaches_the_library():
    def fail(row):
        raise ValueError("no luck")

    ds = raceline.range(3).map(fail)
    for export in (pa.table, pl.DataFrame, lambda ds: duckdb.sql("from ds").fetchall()):
        with pytest.raises(Exception, match="no luck"):
            export(ds)


def test_empty_datasets_keep_their_columns():
    for ds in (
        raceline.range(0),
        raceline.range(3).filter(opaque(lambda row: False)),
        raceline.from_arrow(pa.table({"id": pa.array([], pa.int64())})),
    ):
        assert pa.table(ds).schema.names == ["id"]
        assert ds.to_polars().shape == (0, 1)
        assert ds.to_duckdb().fetchall() == []


# -- Arrow


def test_arrow_data_is_not_copied_either_way():
    table = pa.table({"a": np.arange(1000), "s": [str(number) for number in range(1000)]})
    for given in (table, Exporter(table), table.to_batches()[0], [table]):
        ds = raceline.from_arrow(given)
        assert is_part_of(ds.to_arrow(), table)
        assert is_part_of(pa.table(ds), table)
    assert not is_part_of(pa.table({"a": np.arange(1000)}), table)
    exporter = Exporter(table)
    ds = raceline.from_arrow(exporter)
    assert ds.count() == ds.count() == 1000
    assert exporter.calls == 1


def test_a_dataset_from_a_dataset_is_the_same_plan():
    taken = []
    ds = raceline.from_arrow(noted(3, 10, taken))
    assert taken == []
    assert ds.count() == 30


def test_bytes_of_a_stream():
    sink = pa.BufferOutputStream()
    table = pa.table({"a": [1, 2]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    assert raceline.from_arrow([data, table]).take_all() == [{"a": 1}, {"a": 2}] * 2


def reader_of(batches, taken, rows=10):
    def made():
        for at in range(batches):
            taken.append(at)
            yield pa.record_batch({"id": np.arange(at * rows, (at + 1) * rows)})

    return pa.RecordBatchReader.from_batches(pa.schema({"id": pa.int64()}), made())


def test_a_reader_is_read_when_the_dataset_is_run_and_as_far_as_needed():
    taken = []
    ds = raceline.from_arrow(reader_of(1000, taken))
    assert taken == []
    assert ds.limit(25).count() == 25
    assert len(taken) <= 4


def test_looks_at_the_first_batches_leave_a_reader_whole():
    taken = []
    ds = raceline.from_arrow(reader_of(5, taken))
    assert ds.columns() == ["id"]
    assert ds.take(2) == [{"id": 0}, {"id": 1}]
    # One more may be asked for before the run is known to need none.
    assert taken in ([0], [0, 1])
    assert ds.sum("id") == sum(range(50))
    with pytest.raises(UdfError) as caught:
        ds.count()
    assert isinstance(caught.value, RuntimeError)
    assert (
        "`from_arrow` was given rows that can be read once, and an earlier run has taken them\n"
        "  hint: keep them: `dataset = dataset.materialize()`"
    ) in str(caught.value)


def test_a_reader_that_is_kept_can_be_read_again():
    ds = raceline.from_arrow(reader_of(5, [])).materialize()
    assert ds.count() == ds.count() == 50


def test_two_runs_at_a_time_do_not_share_a_reader():
    ds = raceline.from_arrow(reader_of(50, []))
    with pytest.raises(UdfError, match="can be read once"):
        ds.zip(ds).count()


@pytest.mark.parametrize("batches", [0, 1])
def test_short_readers_can_be_read_again(batches):
    ds = raceline.from_arrow(reader_of(batches, []))
    assert ds.count() == ds.count() == 10 * batches
    assert ds.to_arrow().schema == pa.schema({"id": pa.int64()})


def test_tables_and_readers_follow_each_other():
    table = pa.table({"id": [-1]})
    ds = raceline.from_arrow([table, reader_of(2, [], rows=2), table])
    assert [row["id"] for row in ds.take_all()] == [-1, 0, 1, 2, 3, -1]


def test_a_reader_in_a_query():
    ds = raceline.from_arrow(reader_of(5, []))
    assert raceline.sql("select count(*) as n from t", t=ds).take_all() == [{"n": 50}]


def test_a_reader_that_fails_is_told_of():
    def broken():
        yield pa.record_batch({"id": [1]})
        raise OSError("the line is dead")

    ds = raceline.from_arrow(
        pa.RecordBatchReader.from_batches(pa.schema({"id": pa.int64()}), broken())
    )
    with pytest.raises(OSError, match="the line is dead"):
        ds.count()


def test_blocks():
    blocks = [pa.table({"a": [1]}), pd.DataFrame({"a": [2]}), pa.record_batch({"a": [3]})]
    assert raceline.from_blocks(blocks).take_all() == [{"a": 1}, {"a": 2}, {"a": 3}]
    assert raceline.from_blocks([]).take_all() == []
    with pytest.raises(PlanError, match="needs Arrow data, got `int`"):
        raceline.from_blocks([3])


def test_tensors_of_a_range():
    ds = raceline.range_tensor(5, shape=(2, 3))
    batch = ds.take_batch(batch_size=5)["data"]
    assert batch.shape == (5, 2, 3)
    assert batch.dtype == np.int64
    assert (batch == np.arange(5).reshape(5, 1, 1)).all()
    assert raceline.range_tensor(3).take_all() == [{"data": [number]} for number in range(3)]
    assert raceline.range_tensor(2, shape=()).take_all() == [{"data": 0}, {"data": 1}]
    assert raceline.range_tensor(0).take_all() == []
    # 8 MB each, of which few are there at a time.
    large = raceline.range_tensor(10**6, shape=(1000, 1000)).limit(3)
    assert [int(row["data"][-1, -1]) for row in large.iter_rows()] == [0, 1, 2]
    for n, shape in ((-1, (1,)), (3, (2, -1)), (3, (1.5,))):
        with pytest.raises(PlanError):
            raceline.range_tensor(n, shape=shape)


# -- Polars


def test_polars_frames_are_not_copied():
    frame = pl.DataFrame({"a": range(1000), "s": [str(number) for number in range(1000)]})
    ds = raceline.from_polars(frame)
    assert is_part_of(ds.select_columns(["a"]).to_arrow(), frame.to_arrow())
    back = ds.to_polars()
    assert back.equals(frame)
    assert is_part_of(back.select("a").to_arrow(), frame.to_arrow())


def test_polars_types_survive():
    frame = pl.DataFrame(
        {
            "list": [[1, 2], None],
            "struct": [{"x": 1.5, "y": "a"}, {"x": None, "y": "b"}],
            "day": pl.Series([1, None], dtype=pl.Int32).cast(pl.Date),
            "flag": [True, None],
            "bytes": [b"\0", None],
        }
    )
    back = raceline.from_polars(frame).to_polars()
    assert back.equals(frame)
    assert back.schema == frame.schema


def test_lazy_frames_and_several():
    lazy = pl.DataFrame({"a": [1, 2]}).lazy().filter(pl.col("a") > 1)
    assert raceline.from_polars([lazy, pl.DataFrame({"a": [5]})]).take_all() == [{"a": 2}, {"a": 5}]
    with pytest.raises(PlanError, match="`from_polars` needs a frame of Polars, got `DataFrame`"):
        raceline.from_polars(pd.DataFrame({"a": [1]}))


def test_types_of_polars_that_arrow_lacks():
    nulls = pl.DataFrame({"x": [None, None], "y": ["a", "b" * 20]})
    assert raceline.from_polars(nulls).to_polars().equals(nulls)
    assert raceline.sql("select y from nulls").take(1) == [{"y": "a"}]
    for dtype, value in ((pl.Object, object()), (pl.Int128, 1)):
        with pytest.raises(PlanError) as caught:
            raceline.from_arrow(pl.DataFrame({"x": pl.Series([value], dtype=dtype)}))
        assert str(caught.value) == (
            f"column `x` is `{dtype}`, for which Arrow has no type\n"
            "  hint: cast it to one that Arrow has, or drop it"
        )


def test_tensors_become_arrays_of_polars():
    arrays = np.arange(24.0).reshape(4, 2, 3)
    frame = raceline.from_numpy(arrays).to_polars()
    assert frame.schema["data"] == pl.Array(pl.Float64, shape=(2, 3))
    assert (frame["data"].to_numpy() == arrays).all()
    limited = raceline.from_numpy(arrays).limit(3).to_polars()
    assert limited["data"].to_list() == arrays[:3].tolist()


def test_tensors_that_are_missing_or_ragged():
    rows = [{"t": np.ones((2, 2))}, {"t": None}, {"t": np.zeros((2, 2))}]
    frame = raceline.from_items(rows).to_polars()
    assert frame["t"].to_list() == [[[1, 1], [1, 1]], None, [[0, 0], [0, 0]]]
    ragged = raceline.from_items([{"t": np.ones(1)}, {"t": np.ones(2)}]).to_polars()
    assert [len(row["data"]) for row in ragged["t"].to_list()] == [1, 2]


# -- DuckDB


def test_a_relation_is_run_with_the_dataset_and_again():
    connection = duckdb.connect()
    connection.sql("create table t as select range as id from range(10)")
    ds = raceline.from_duckdb(connection.sql("from t"))
    assert ds.count() == 10
    connection.sql("insert into t values (10)")
    assert ds.count() == 11
    assert ds.take(1) == [{"id": 0}]
    assert ds.sum("id") == 55
    assert raceline.from_duckdb(connection.sql("from t where id < 0")).columns() == ["id"]
    with pytest.raises(PlanError, match="`from_duckdb` needs a relation, got `str`"):
        raceline.from_duckdb("from t")


def test_relations_of_one_connection_in_one_plan():
    connection = duckdb.connect()
    rows = 300_000
    left = raceline.from_duckdb(connection.sql(f"select range as id, 1 as x from range({rows})"))
    right = raceline.from_duckdb(connection.sql(f"select range as id, 2 as y from range({rows})"))
    assert left.union(right, left).count() == 3 * rows
    assert left.join(right, "inner", on=["id"]).sum("y") == 2 * rows
    assert left.zip(right).take(1) == [{"id": 0, "x": 1, "id_1": 0, "y": 2}]
    assert connection.sql("select 42").fetchall() == [(42,)]


def test_a_query_that_fails_is_told_of():
    ds = raceline.from_duckdb(duckdb.sql("select error('broken') as a from range(3)"))
    with pytest.raises(duckdb.Error, match="broken"):
        ds.count()


def test_a_dataset_as_a_relation_is_run_with_each_query():
    taken = []
    relation = noted(10, 100, taken).to_duckdb()
    assert relation.aggregate("sum(id) as n").fetchall() == [(499500,)]
    before = len(taken)
    assert relation.filter("id < 3").fetchall() == [(0,), (1,), (2,)]
    assert len(taken) > before


def test_a_query_that_needs_few_rows_ends_an_endless_run():
    taken = []
    relation = noted(10**12, 100_000, taken).to_duckdb()
    assert relation.limit(3).fetchall() == [(0,), (1,), (2,)]
    ended = len(taken)
    assert raceline.range(3).count() == 3
    assert len(taken) == ended < 1000


def test_a_relation_of_another_connection_and_of_tensors():
    connection = duckdb.connect()
    relation = raceline.from_numpy(np.arange(4).reshape(1, 2, 2)).to_duckdb(connection)
    assert relation.fetchall() == [(((0, 1), (2, 3)),)]
    assert connection.sql("select data[2][1] from relation").fetchall() == [(2,)]


def test_there_and_back():
    ds = raceline.range(1000)
    relation = ds.to_duckdb().aggregate("id % 10 as k, count(*) as n").order("k")
    assert raceline.from_duckdb(relation).take(2) == [{"k": 0, "n": 100}, {"k": 1, "n": 100}]
