"""Reading and writing files of this machine."""

import gzip
import json
import pathlib
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pa_fs
import pyarrow.parquet as pq
import pytest
from PIL import Image

import raceline
from raceline.data import SaveMode
from raceline.data.expressions import col
from raceline.errors import PlanError, SourceError


@pytest.fixture
def folder(tmp_path):
    """Three Parquet files of ten rows each, in two hive partitions."""
    for index in range(3):
        part = tmp_path / f"year={2020 + index % 2}"
        part.mkdir(exist_ok=True)
        table = pa.table({"id": range(index * 10, index * 10 + 10), "s": [f"s{index}"] * 10})
        pq.write_table(table, part / f"{index}.parquet", row_group_size=5)
    return tmp_path


def ids(dataset):
    return [row["id"] for row in dataset.iter_rows()]


def test_a_folder_is_read_in_the_order_of_its_paths_with_hive_partitions(folder):
    dataset = raceline.read_parquet(folder)
    assert ids(dataset) == [*range(10), *range(20, 30), *range(10, 20)]
    assert dataset.take(1) == [{"id": 0, "s": "s0", "year": "2020"}]
    assert dataset.columns() == ["id", "s", "year"]
    assert dataset.count() == 30


def test_partitions_can_be_left_out(folder):
    assert raceline.read_parquet(folder, partitioning=None).columns() == ["id", "s"]


@pytest.mark.parametrize(
    "paths",
    [
        lambda folder: str(folder / "year=2020"),
        lambda folder: folder / "year=2020",
        lambda folder: [folder / "year=2020" / "0.parquet", folder / "year=2020" / "2.parquet"],
        lambda folder: str(folder / "year=2020" / "*.parquet"),
        lambda folder: str(folder / "*" / "[02].parquet"),
        lambda folder: f"file://{folder}/year=2020",
    ],
    ids=["string", "path", "list", "glob", "deep glob", "url"],
)
def test_paths_come_in_many_forms(folder, paths):
    assert ids(raceline.read_parquet(paths(folder))) == [*range(10), *range(20, 30)]


def test_columns_filters_and_limits_reach_the_files(folder):
    dataset = raceline.read_parquet(folder, columns=["s", "id"])
    assert dataset.columns()[:2] == ["s", "id"]
    assert ids(dataset.filter(expr=col("id") >= 28)) == [28, 29]
    assert ids(dataset.filter(expr="id >= 28 and s == 's2'").select_columns(["id"])) == [28, 29]
    assert dataset.limit(3).count() == 3
    assert dataset.filter(expr=col("year") == "2021").count() == 10


def test_hidden_files_and_other_extensions_are_skipped(folder):
    (folder / "_SUCCESS").write_text("")
    (folder / ".crc").write_text("x")
    (folder / "notes.txt").write_text("x")
    assert raceline.read_parquet(folder).count() == 30


def test_paths_can_be_included(folder):
    row = raceline.read_parquet(folder, include_paths=True).take(1)[0]
    assert row["path"].endswith("year=2020/0.parquet")
    assert row["path"].startswith("/")


@pytest.mark.parametrize("rows", [None, col("s") != "s2", pc.field("s") != "s2"])
@pytest.mark.parametrize(
    "filesystem", [None, pa_fs.SubTreeFileSystem("/", pa_fs.LocalFileSystem())]
)
def test_paths_are_beside_the_columns_that_are_named(folder, rows, filesystem):
    options = {"include_paths": True, "filter": rows, "filesystem": filesystem}
    read = raceline.read_parquet(folder, columns=["id"], **options)
    assert read.columns() == ["id", "path"]
    assert read.count() == (30 if rows is None else 20)
    assert read.take(1)[0]["path"].endswith("year=2020/0.parquet")
    read = raceline.read_parquet(folder, columns=["path", "id"], **options)
    assert read.columns() == ["path", "id"]


def test_csv(tmp_path):
    (tmp_path / "a.csv").write_text('i,f,s,d\n1,0.5,"x, y",2024-01-02\n2,,z,2024-01-03\n')
    rows = raceline.read_csv(tmp_path).take_all()
    assert [row["i"] for row in rows] == [1, 2]
    assert [row["f"] for row in rows] == [0.5, None]
    assert [row["s"] for row in rows] == ["x, y", "z"]


def test_csv_without_header_and_with_other_separators(tmp_path):
    (tmp_path / "a.csv").write_text("1;'x;y'\n2;z\n")
    dataset = raceline.read_csv(tmp_path / "a.csv", delimiter=";", quote="'", has_header=False)
    assert dataset.columns() == ["column_1", "column_2"]
    assert [row["column_2"] for row in dataset.take_all()] == ["x;y", "z"]


def test_compressed_files_are_known_by_their_names(tmp_path):
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"i\n1\n2\n"))
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(b'{"i": 3}\n'))
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"four\n"))
    assert raceline.read_csv(tmp_path / "a.csv.gz").sum("i") == 3
    assert raceline.read_json(tmp_path / "b.jsonl.gz").take_all() == [{"i": 3}]
    assert raceline.read_text(tmp_path / "c.txt.gz").take_all() == [{"text": "four"}]


def test_json_lines_and_arrays(tmp_path):
    rows = [{"a": 1, "b": {"c": [1, 2]}}, {"a": 2, "b": None}]
    (tmp_path / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "array.json").write_text(json.dumps(rows, indent=2))
    for name in ("lines.jsonl", "array.json"):
        assert raceline.read_json(tmp_path / name).take_all() == rows
    assert raceline.read_json(tmp_path / "lines.jsonl", lines=True).count() == 2


def test_text(tmp_path):
    (tmp_path / "a.txt").write_bytes("eins\r\n\nzwei\ndrüü".encode())
    texts = [row["text"] for row in raceline.read_text(tmp_path).take_all()]
    assert texts == ["eins", "zwei", "drüü"]
    kept = raceline.read_text(tmp_path, drop_empty_lines=False).take_all()
    assert [row["text"] for row in kept] == ["eins", "", "zwei", "drüü"]


def test_binary_files(tmp_path):
    for name in ("b", "a"):
        (tmp_path / name).write_bytes(name.encode() * 3)
    rows = raceline.read_binary_files(tmp_path, include_paths=True).take_all()
    assert [row["bytes"] for row in rows] == [b"aaa", b"bbb"]
    assert [pathlib.Path(row["path"]).name for row in rows] == ["a", "b"]


def save_images(folder, sizes):
    for index, (width, height) in enumerate(sizes):
        Image.new("RGB", (width, height), (index * 10, 0, 255)).save(folder / f"{index}.png")


def test_images_keep_their_sizes_or_are_resized(tmp_path):
    save_images(tmp_path, [(4, 3), (8, 5)])
    shapes = [row["image"].shape for row in raceline.read_images(tmp_path).take_all()]
    assert shapes == [(3, 4, 3), (5, 8, 3)]
    resized = raceline.read_images(tmp_path, size=(2, 6), mode="RGB")
    batch = resized.take_batch()
    assert batch["image"].shape == (2, 2, 6, 3)
    assert batch["image"].dtype == np.uint8
    assert batch["image"][1, 0, 0].tolist() == [10, 0, 255]


def test_images_reach_functions(tmp_path):
    save_images(tmp_path, [(4, 3)] * 5)

    def brightness(batch):
        return {"blue": [int(image[..., 2].mean()) for image in batch["image"]]}

    dataset = raceline.read_images(tmp_path, include_paths=True).map_batches(brightness)
    assert dataset.take_all() == [{"blue": 255}] * 5


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_what_is_written_is_read_back(tmp_path, kind):
    dataset = raceline.from_items([{"i": i, "f": i / 4, "s": f"s{i}"} for i in range(100)])
    getattr(dataset, f"write_{kind}")(tmp_path / "out")
    files = list((tmp_path / "out").iterdir())
    assert {file.suffix for file in files} == {f".{kind}"}
    assert getattr(raceline, f"read_{kind}")(tmp_path / "out").take_all() == dataset.take_all()


def test_parquet_options(tmp_path):
    raceline.range(100).write_parquet(
        tmp_path, compression="zstd", row_group_size=10, max_rows_per_file=50
    )
    files = sorted(tmp_path.glob("*.parquet"))
    assert len(files) == 2
    metadata = pq.ParquetFile(files[0]).metadata
    assert metadata.num_row_groups == 5
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_min_rows_per_file_joins_batches(tmp_path):
    raceline.range(100).repartition(10).write_parquet(tmp_path, min_rows_per_file=40)
    sizes = [pq.ParquetFile(file).metadata.num_rows for file in tmp_path.glob("*.parquet")]
    assert sum(sizes) == 100
    assert sum(size < 40 for size in sizes) <= 1


def test_partition_columns_become_folders(tmp_path):
    rows = raceline.range(10).map(lambda row: {"id": row["id"], "even": row["id"] % 2})
    rows.write_parquet(tmp_path, partition_cols=["even"])
    assert sorted(part.name for part in tmp_path.iterdir()) == ["even=0", "even=1"]
    assert raceline.read_parquet(tmp_path / "even=1").sum("id") == 25
    back = raceline.read_parquet(tmp_path)
    assert sorted(back.unique("even")) == ["0", "1"]


def test_tensors_survive_parquet(tmp_path):
    raceline.from_numpy(np.arange(12).reshape(2, 2, 3)).write_parquet(tmp_path)
    back = raceline.read_parquet(tmp_path).take_batch()["data"]
    assert back.tolist() == np.arange(12).reshape(2, 2, 3).tolist()


def test_save_modes(tmp_path):
    target = tmp_path / "out"

    def write(rows, mode):
        raceline.range(rows).write_parquet(target, mode=mode)
        return raceline.read_parquet(target).count()

    assert write(1, SaveMode.CREATE) == 1
    assert write(2, SaveMode.APPEND) == 3
    assert write(4, "ignore") == 3
    assert write(5, SaveMode.OVERWRITE) == 5
    for mode in (SaveMode.ERROR, "create"):
        with pytest.raises(PlanError, match="out"):
            write(1, mode)
    assert raceline.read_parquet(target).count() == 5


def test_writing_streams_through_functions(tmp_path):
    raceline.range(5000).map_batches(
        lambda batch: {"id": batch["id"], "twice": batch["id"] * 2}, batch_size=500
    ).write_parquet(tmp_path)
    assert raceline.read_parquet(tmp_path).sum("twice") == 5000 * 4999


def test_counting_parquet_files_reads_only_their_footers(folder, monkeypatch):
    for file in folder.rglob("*.parquet"):
        content = bytearray(file.read_bytes())
        footer = int.from_bytes(content[-8:-4], "little")
        content[4 : len(content) - footer - 8] = bytes(len(content) - footer - 12)
        file.write_bytes(content)
    assert raceline.read_parquet(folder).count() == 30


class Bomb:
    """Leaves a mark where it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path(self.mark),))


@pytest.mark.parametrize("nested", [False, True])
def test_files_and_tables_are_never_unpickled(tmp_path, nested):
    mark = tmp_path / "mark"
    item = pa.field("x", pa.large_binary(), metadata={"ARROW:extension:name": "raceline.object"})
    pickled = pickle.dumps(Bomb(str(mark)))
    field, value = (pa.field("x", pa.list_(item)), [pickled]) if nested else (item, pickled)
    table = pa.Table.from_arrays([pa.array([value], field.type)], schema=pa.schema([field]))
    pq.write_table(table, tmp_path / "bomb.parquet")
    for dataset in (raceline.read_parquet(tmp_path / "bomb.parquet"), raceline.from_arrow(table)):
        [row] = dataset.take_all()
        assert (row["x"][0] if nested else row["x"]) == pickled
    assert not mark.exists()


def write_lines(path, *objects):
    path.write_text("".join(json.dumps(one) + "\n" for one in objects))
    return path


def test_no_fraction_inside_json_is_cut_off(tmp_path):
    whole, part = {"a": {"b": 1}, "l": [1]}, {"a": {"b": 1.75}, "l": [2.75]}
    path = write_lines(tmp_path / "a.jsonl", *[whole] * 1500, part)
    rows = raceline.read_json(path).take_all()
    assert (rows[0], rows[-1]) == (whole, part)
    others = first_files(tmp_path, whole)
    with pytest.raises(SourceError, match=r"a value does not fit .*(?s:.*)a\.jsonl(?s:.*)`1\.75`"):
        raceline.read_json([*others, path]).take_all()


def first_files(folder, row):
    """As many files as are looked at for the columns of a read."""
    return [write_lines(folder / f"first{index}.jsonl", row) for index in range(8)]


def test_keys_and_types_that_json_shows_late_are_found(tmp_path):
    path = write_lines(
        tmp_path / "a.jsonl", *[{"a": 1, "n": None}] * 1500, {"a": 1, "n": 2, "z": 5}
    )
    dataset = raceline.read_json(path)
    assert sorted(dataset.columns()) == ["a", "n", "z"]
    assert dataset.take_all()[-1] == {"a": 1, "n": 2, "z": 5}
    others = first_files(tmp_path, {"a": 1, "n": 1})
    with pytest.raises(SourceError, match=r"key `z` .*(?s:.*)a\.jsonl"):
        raceline.read_json([*others, path]).take_all()
    assert raceline.read_json([*others, path]).select_columns(["a"]).sum("a") == 1509


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,a\n1,2\n")
    with pytest.raises(SourceError, match=r"column `a` occurs twice(?s:.*)a\.csv"):
        raceline.read_csv(path).take_all()


def test_json_columns_keep_the_order_of_their_keys(tmp_path):
    (tmp_path / "a.json").write_text('{"user": "a", "age": 3}\n{"zip": 1, "age": 4, "user": "b"}\n')
    assert raceline.read_json(tmp_path / "a.json").columns() == ["user", "age", "zip"]
    (tmp_path / "b.json").write_text('[{"z": 1, "a": [{"y": 2}]}]')
    assert raceline.read_json(tmp_path / "b.json").columns() == ["z", "a"]


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_column_that_only_a_later_file_has_is_not_lost(tmp_path, kind):
    for name in "12345678":
        getattr(raceline.from_arrow(pa.table({"a": [1]})), f"write_{kind}")(tmp_path / name)
    part = raceline.from_arrow(pa.table({"a": [2], "new": [3]}))
    getattr(part, f"write_{kind}")(tmp_path / "9")
    read = getattr(raceline, f"read_{kind}")(tmp_path)
    with pytest.raises(raceline.errors.SourceError, match="column `new` is none of") as caught:
        read.take_all()
    assert f"{tmp_path}/9/" in str(caught.value)
    assert read.select_columns(["a"]).take_all() == [{"a": 1}] * 8 + [{"a": 2}]
    both = getattr(raceline, f"read_{kind}")([tmp_path / "9", tmp_path / "1"])
    assert both.take_all() == [{"a": 2, "new": 3}, {"a": 1, "new": None}]
