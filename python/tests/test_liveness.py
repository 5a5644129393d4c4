"""Columns that functions look at: what is found, and that it changes no result."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from live_functions import CASES

import raceline
from raceline._liveness import live_columns

pa = pytest.importorskip("pyarrow")


@pytest.fixture(scope="module", autouse=True)
def no_compiler():
    """Functions that the compiler takes are called, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RACELINE_LAMBDA", "off")
        raceline.shutdown()
        yield
    raceline.shutdown()


def table(rows=7):
    many = range(rows)
    return pa.table(
        {
            "id": pa.array(many, pa.int64()),
            "a": pa.array([at % 5 for at in many], pa.int64()),
            "text": pa.array([f"word {at}" * (at % 3) for at in many]),
            "tags": pa.array([["x", "yy"][: at % 3] for at in many], pa.list_(pa.string())),
            "score": pa.array([None if at % 3 == 0 else at / 10 for at in many], pa.float64()),
            "flag": pa.array([None if at == 4 else at % 2 == 0 for at in many], pa.bool_()),
            "missing": pa.array([None] * rows, pa.int64()),
            "empty": pa.array([b""] * rows, pa.binary()),
            "small": pa.array(many, pa.int16()),
            "half": pa.array([at / 2 for at in many], pa.float32()),
            "unsigned": pa.array([at + 2**63 for at in many], pa.uint64()),
            "large": pa.array([str(at) for at in many], pa.large_string()),
            "at": pa.array([datetime.datetime(2020, 1, 1 + at) for at in many], pa.timestamp("ms")),
            "gaps": pa.array([None if at == 1 else at for at in many], pa.int32()),
            "code": pa.array([str(at % 2) for at in many]).dictionary_encode(),
            "parts": pa.array([{"p": at} for at in many]),
        }
    )


def with_tensors(rows=7):
    images = np.arange(rows * 12, dtype=np.uint8).reshape(rows, 2, 2, 3)
    columns = {"image": images, "v": np.arange(rows) / 2}
    return raceline.range(rows).map_batches(lambda batch: columns, batch_size=rows).materialize()


def outcome(monkeypatch, dataset, case, switch):
    """Schema and rows of a run, or its error."""
    monkeypatch.setenv("RACELINE_LIVENESS", switch)
    try:
        made = getattr(dataset, case.kind)(case.fn, **case.kwargs)
        batches = list(made.iter_batches(batch_format="pyarrow", batch_size=None))
        table = pa.concat_tables(batches, promote_options="permissive") if batches else None
        # As text, since NaN is not equal to itself.
        return None if table is None else (str(table.schema), repr(table.to_pylist()))
    except Exception as error:
        cause = error.__cause__ or error
        return type(error).__name__, str(cause), getattr(error, "rows", None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_what_is_found(case):
    args, kwargs = case.kwargs.get("fn_args", ()), case.kwargs.get("fn_kwargs")
    batch_format = case.kwargs.get("batch_format", "numpy")
    found = live_columns(case.kind, case.fn, args, kwargs, batch_format)
    assert found.reads == case.reads
    assert found.passes_others is (case.passes is True)
    assert dict(found.passes) == (case.passes if isinstance(case.passes, dict) else {})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_results_are_the_same(case, monkeypatch):
    if case.kwargs.get("batch_format") == "pandas":
        pytest.importorskip("pandas")
    dataset = raceline.data.from_arrow(table())
    off = outcome(monkeypatch, dataset, case, "off")
    assert outcome(monkeypatch, dataset, case, "on") == off


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_results_are_the_same_from_files(case, monkeypatch, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    if case.kwargs.get("batch_format") == "pandas":
        pytest.importorskip("pandas")
    pq.write_table(table(), tmp_path / "t.parquet")
    dataset = raceline.data.read_parquet(str(tmp_path))
    off = outcome(monkeypatch, dataset, case, "off")
    assert outcome(monkeypatch, dataset, case, "on") == off


def same_in_both(monkeypatch, make):
    """The schema and rows of what `make` gives, once with the columns found and once without."""
    found = []
    for switch in ("off", "on"):
        monkeypatch.setenv("RACELINE_LIVENESS", switch)
        made = make()
        batches = [batch.slice(0) for batch in made.iter_batches(batch_format="pyarrow")]
        united = pa.concat_tables(batches)
        found.append((str(united.schema), repr(united.to_pylist())))
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("kind", ["map", "map_batches"])
def test_columns_of_tensors_are_handed_on(kind, monkeypatch):
    same_in_both(monkeypatch, lambda: getattr(with_tensors(), kind)(lambda x: {**x, "w": x["v"]}))
    same_in_both(
        monkeypatch, lambda: getattr(with_tensors(), kind)(lambda x: {"i": x["image"], "w": x["v"]})
    )


def test_a_batch_of_nothing_but_what_is_read_may_become_more_rows(monkeypatch):
    made = same_in_both(
        monkeypatch,
        lambda: raceline.range(5).map_batches(lambda b: {**b, "id": np.repeat(b["id"], 2)}),
    )
    assert made[1].count("id") == 10


def test_chains_in_one_worker(monkeypatch):
    def adds(row):
        return {**row, "b": row["a"] + row["id"]}

    def uses(row):
        return {"c": row["b"] * 2, "d": row["small"]}

    def odd(row):
        return row["id"] % 2 == 1

    def ends(batch):
        return {"id": batch["id"], "sum": batch["b"] + batch["a"]}

    def dataset():
        return raceline.data.from_arrow(table())

    same_in_both(monkeypatch, lambda: dataset().map(adds).map(uses))
    same_in_both(monkeypatch, lambda: dataset().map(adds).map(lambda row: {**row, "b": row["b"]}))
    same_in_both(monkeypatch, lambda: dataset().filter(odd).map(uses_a))
    same_in_both(monkeypatch, lambda: dataset().filter(odd).map(adds))
    same_in_both(monkeypatch, lambda: dataset().filter(odd).filter(lambda row: row["a"] > 1))
    same_in_both(monkeypatch, lambda: dataset().map(adds).filter(odd))
    same_in_both(monkeypatch, lambda: dataset().map(adds).map_batches(ends, batch_size=2))
    same_in_both(
        monkeypatch, lambda: dataset().groupby(lambda row: row["a"] % 2).count().sort("key")
    )


def uses_a(row):
    return {"c": row["a"] * 2}


def test_values_stay_values(monkeypatch):
    def values():
        return raceline.range(6).map(lambda row: str(row["id"]))

    assert "'item': '01'" in same_in_both(monkeypatch, lambda: values().map(lambda s: "0" + s))[1]
    same_in_both(monkeypatch, lambda: values().filter(lambda s: s > "2"))
    same_in_both(monkeypatch, lambda: values().map(lambda s: {"n": 1}))


def test_a_row_is_not_its_value_because_one_column_is_read():
    two = raceline.data.from_items([{"a": 1, "b": 2}])
    assert two.map(lambda row: row["a"] + len("x")).take_all() == [2]
    with pytest.raises(TypeError, match="unsupported operand"):
        two.map(lambda x: x + len("x")).take_all()


def test_functions_that_fail_for_rows(monkeypatch):
    def inverse(row):
        return {**row, "inverse": 12 / row["a"]}

    def some(row):
        return {"id": row["id"], "inverse": 12 / row["a"]}

    def dataset():
        return raceline.data.from_arrow(table())

    for fn in (inverse, some):
        made = same_in_both(monkeypatch, lambda fn=fn: dataset().map(fn, on_error="skip"))
        assert made[1].count("inverse") == 5
        letters = dataset().map(fn, on_error="dead_letter")
        assert letters.count() == 5
        found = [letter["input"] for letter in letters.dead_letters().take_all()]
        rows = sorted(found, key=lambda row: row["id"])
        assert rows == [row for row in table().to_pylist() if row["a"] == 0]
        with pytest.raises(ZeroDivisionError) as raised:
            dataset().map(fn).take_all()
        assert raised.value.rows in ((0, 0), (5, 5))
    kept = same_in_both(
        monkeypatch, lambda: dataset().filter(lambda row: 12 / row["a"] > 4, on_error="skip")
    )
    assert kept[1].count("'id'") == 3


def test_dead_letters_of_files_hold_whole_rows(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(table(), tmp_path / "t.parquet")
    made = raceline.data.read_parquet(str(tmp_path)).map(
        lambda row: {"n": 1 / row["a"]}, on_error="dead_letter"
    )
    assert made.count() == 5
    [first, _] = made.dead_letters().take_all()
    assert first["input"] == table().to_pylist()[0]


def test_a_map_of_more_rows_than_one_answer(monkeypatch):
    rows = 300_000
    ids = np.arange(rows)
    dataset = raceline.data.from_arrow(pa.table({"id": ids, "other": ids * 2}))
    made = dataset.map(lambda row: {**row, "n": row["id"] + len("x")})
    for at, batch in enumerate(made.iter_batches(batch_size=1000)):
        expected = np.arange(at * 1000, (at + 1) * 1000)
        assert (batch["other"] == expected * 2).all()
        assert (batch["n"] == expected + 1).all()


def test_a_worker_that_dies_loses_no_column(tmp_path):
    flag = tmp_path / "died"

    def dies_once(row):
        import os

        if row["id"] == 70_000 and not os.path.exists(flag):
            open(flag, "w").close()
            os._exit(3)
        return {**row, "n": row["id"] + 1}

    ids = np.arange(100_000)
    dataset = raceline.data.from_arrow(pa.table({"id": ids, "other": ids * 2}))
    rows = dataset.map(dies_once).take_all()
    assert rows == [{"id": at, "other": at * 2, "n": at + 1} for at in range(100_000)]
    assert flag.exists()


# Files.


def test_a_broken_column_is_not_read(tmp_path, capsys):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), path, compression="none")
    column = pq.ParquetFile(path).metadata.row_group(0).column(1)
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start : start + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    path.write_bytes(data)
    dataset = raceline.data.read_parquet(str(path))
    assert dataset.map(lambda row: {"c": row["a"] + len("x")}).take_all() == [{"c": 2}, {"c": 3}]
    made = dataset.map_batches(lambda batch: {"c": batch["a"] + 1})
    assert made.take_all() == [{"c": 2}, {"c": 3}]
    assert dataset.map(lambda row: {"n": 1}).count() == 2
    assert dataset.filter(lambda row: row["a"] > 1).select_columns(["a"]).take_all() == [{"a": 2}]
    with pytest.raises(raceline.errors.SourceError):
        dataset.filter(lambda row: row["a"] > 1).take_all()
    made.explain()
    assert "ReadParquet" in (text := capsys.readouterr().out)
    assert "columns=[a]" in text


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_rows_are_counted_when_no_column_is_looked_at(form, tmp_path, monkeypatch):
    made = raceline.range(10).map_batches(lambda batch: {**batch, "b": batch["id"]})
    getattr(made, f"write_{form}")(str(tmp_path / "t"))

    def rows():
        return getattr(raceline.data, f"read_{form}")(str(tmp_path / "t"))

    def one(row):
        return {"n": 1}

    for of_rows in (
        lambda: rows().map(one),
        lambda: rows().limit(7).map(one),
        lambda: rows().repartition(3).map(one),
        lambda: rows().filter(lambda row: True).map(one),
        lambda: rows().map(lambda row: row).map_batches(lambda b: {"n": [1, 1]}, batch_size=4),
        lambda: rows().map_batches(lambda b: {"n": [1]}, batch_size=3),
        lambda: rows().map_batches(lambda b: {"n": [1]}, batch_size=3, batch_format="pyarrow"),
    ):
        same_in_both(monkeypatch, of_rows)


def test_images_are_not_decoded_for_their_paths(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    dataset = raceline.data.read_images(str(tmp_path), include_paths=True)
    rows = dataset.map(lambda row: {"name": row["path"].rsplit("/", 1)[1]}).take_all()
    assert rows == [{"name": "broken.png"}]
    with pytest.raises(raceline.errors.SourceError):
        dataset.map(lambda row: {"name": row["path"], "n": row["image"].size}).take_all()


def test_lines_of_text_are_counted_when_none_is_looked_at(tmp_path):
    (tmp_path / "t.txt").write_text("a\n\nb\nc\n")
    assert raceline.data.read_text(str(tmp_path)).map(lambda row: {"n": 1}).count() == 3


def test_keys_that_appear_later_are_still_an_error(tmp_path, monkeypatch):
    # The columns are those of the first eight files.
    for at in range(8):
        (tmp_path / f"{at}.json").write_text('{"a": 1}\n')
    (tmp_path / "8.json").write_text('{"a": 2, "b": 3}\n')
    found = []
    for switch in ("off", "on"):
        monkeypatch.setenv("RACELINE_LIVENESS", switch)
        with pytest.raises(raceline.errors.SourceError) as raised:
            raceline.data.read_json(str(tmp_path)).map(lambda row: {"b": row.get("b")}).take_all()
        found.append(str(raised.value))
    assert found[0] == found[1]


def test_columns_that_the_first_file_lacks_are_still_an_error(tmp_path, monkeypatch):
    # The columns are those of the first eight files.
    for at in range(8):
        (tmp_path / f"{at}.csv").write_text("a\n1\n")
    (tmp_path / "8.csv").write_text("a,b\n2,3\n")
    found = []
    for switch in ("off", "on"):
        monkeypatch.setenv("RACELINE_LIVENESS", switch)
        with pytest.raises(raceline.errors.SourceError) as raised:
            raceline.data.read_csv(str(tmp_path)).map(lambda row: {"b": "b" in row}).take_all()
        # Types of columns that are not read are not looked for.
        found.append(str(raised.value).replace("a: Utf8", "a: Int64"))
    assert found[0] == found[1]


# Declared columns.


def opaque_keys(row):
    return {"keys": list(row)}


def test_declared_columns_are_all_that_a_function_gets(monkeypatch):
    monkeypatch.setenv("RACELINE_LIVENESS", "off")
    dataset = raceline.data.from_arrow(table(3))
    assert dataset.map(opaque_keys, reads=["text", "id"]).take(1) == [{"keys": ["id", "text"]}]
    assert dataset.map(opaque_keys, reads=[]).take(1) == [{"keys": []}]
    made = dataset.map(lambda row: {**row, "n": 1}, reads=["id"])
    assert made.take(1) == [{"id": 0, "n": 1}]
    made = dataset.flat_map(lambda row: [{"k": key} for key in row], reads=["a"])
    assert made.take_all() == [{"k": "a"}] * 3
    made = dataset.map_batches(lambda frame: frame * 2, batch_format="pandas", reads=["a", "id"])
    assert made.take(2) == [{"id": 0, "a": 0}, {"id": 2, "a": 2}]
    kept = dataset.filter(lambda row: max(row.values()) > 1, reads=["a", "id"])
    assert kept.take_all() == table(3).to_pylist()[2:]


def test_a_column_that_is_not_declared_is_told_of():
    dataset = raceline.data.from_arrow(table(3))
    with pytest.raises(KeyError) as raised:
        dataset.map(lambda row: {"v": row["text"], "n": str(row)}, reads=["a"]).take_all()
    assert "KeyError: 'text'\n" in str(raised.value)
    hint = "  hint: the function gets the columns of `reads` only: add `text`"
    assert hint in str(raised.value)


def test_declared_columns_must_exist(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(table(), tmp_path / "t.parquet")
    for dataset in (
        raceline.data.from_arrow(table()),
        raceline.data.read_parquet(str(tmp_path)),
    ):
        with pytest.raises(raceline.errors.ColumnNotFoundError, match="`txt`") as raised:
            dataset.map(opaque_keys, reads=["txt"]).take_all()
        assert "text" in str(raised.value)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        ("text", "`reads` must be a list of columns, got `'text'`"),
        (3, "`reads` must be a list of columns, got `3`"),
        (["text", 3], "`reads` names columns, got `3`"),
    ],
)
def test_reads_must_be_names(reads, message):
    with pytest.raises(raceline.errors.PlanError) as raised:
        raceline.range(3).map(opaque_keys, reads=reads)
    assert str(raised.value).splitlines()[0] == message


def test_reads_does_not_fit_a_row_that_is_a_value():
    with pytest.raises(raceline.errors.PlanError) as raised:
        raceline.range(3).map(lambda x: x * 2, reads=["id"])
    assert str(raised.value).splitlines()[0] == (
        "`reads` does not fit `<lambda>`, which uses its row as a value"
    )
    with pytest.raises(raceline.errors.PlanError, match="need `fn`"):
        raceline.range(3).filter(expr="id > 1", reads=["id"])


def test_people_are_told(capsys):
    dataset = raceline.data.from_arrow(table(3))
    dataset.map(lambda row: {**row, "n": len(row["text"])}).map_batches(
        lambda batch: {"id": batch["id"], "m": batch["n"] * 2}, batch_size=2
    ).filter(opaque_keys, reads=["m"]).explain()
    lines = capsys.readouterr().out.splitlines()
    endings = [line.rsplit("; reads ", 1)[1] for line in lines if "; reads " in line]
    assert endings == ["text; passes all others", "n; passes id", "m"]
