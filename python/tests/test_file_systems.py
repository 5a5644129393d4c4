"""Readers over file systems of PyArrow and fsspec, and with PyArrow's own options."""

import bz2
import gzip
import json
import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as pa_dataset
import pyarrow.fs as pa_fs
import pyarrow.json as pa_json
import pyarrow.parquet as pq
import pytest

import raceline
from raceline.data import FileShuffleConfig, SaveMode
from raceline.data.datasource import FilenameProvider, Partitioning, PathPartitionFilter
from raceline.data.expressions import col, download
from raceline.errors import PlanError, SourceError, SourceNotFoundError

FILES = {
    "year=2023/a.csv": b"id,name\n1,pear\n2,\n",
    "year=2024/b.csv": b"id,name\n3,plum\n",
    "_hidden/c.csv": b"id,name\n9,no\n",
    "notes.txt": b"one\n\ntwo\r\nthree",
}


@pytest.fixture
def folder(tmp_path):
    """A folder of files, of which none is on the way to it."""
    for name, content in FILES.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(content)
    return tmp_path


@pytest.fixture
def tree(folder):
    """A file system of PyArrow that the engine does not know."""
    return pa_fs.SubTreeFileSystem(str(folder), pa_fs.LocalFileSystem())


@pytest.fixture
def memory():
    """The memory of fsspec, which workers do not see."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name, content in FILES.items():
        memory.pipe(f"/in/{name}", content)
    yield memory
    memory.rm("/", recursive=True)


def rows_by_engine(folder, **options):
    return raceline.read_csv(folder / "in", file_extensions=["csv"], **options).take_all()


def test_a_tree_of_pyarrow_reads_as_the_engine_does(folder, tree):
    read = raceline.read_csv("in", filesystem=tree, file_extensions=["csv"])
    assert read.take_all() == rows_by_engine(folder)
    assert read.input_files() == ["in/year=2023/a.csv", "in/year=2024/b.csv"]
    assert read.filter(expr=col("id") > 2).take_all() == [{"id": 3, "name": "plum", "year": "2024"}]


def test_the_memory_of_fsspec_is_read_in_the_program(folder, memory):
    for filesystem in (memory, pa_fs.PyFileSystem(pa_fs.FSSpecHandler(memory))):
        for path in ("/in", "memory://in"):
            read = raceline.read_csv(path, filesystem=filesystem, file_extensions=["csv"])
            assert read.take_all() == rows_by_engine(folder)
    lines = raceline.read_text("/in/notes.txt", filesystem=memory, drop_empty_lines=False)
    assert [row["text"] for row in lines.take_all()] == ["one", "", "two", "three"]


def test_local_file_systems_are_the_engine_s_own(folder):
    fsspec = pytest.importorskip("fsspec")
    local = fsspec.filesystem("file")
    for filesystem in (
        pa_fs.LocalFileSystem(),
        local,
        pa_fs.PyFileSystem(pa_fs.FSSpecHandler(local)),
    ):
        for path in (folder / "in", f"file://{folder}/in"):
            read = raceline.read_csv(path, filesystem=filesystem, file_extensions=["csv"])
            assert "ReadTasks" not in read._native.explain()
            assert read.take_all() == rows_by_engine(folder)


def test_names_are_no_patterns_of_a_local_file_system(folder):
    (folder / "in" / "a[1].csv").write_text("id\n5\n")
    (folder / "in" / "a1.csv").write_text("id\n6\n")
    path = str(folder / "in" / "a[1].csv")
    read = raceline.read_csv(path, filesystem=pa_fs.LocalFileSystem())
    assert read.take_all() == [{"id": 5}]


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [
        ("in/year=*/*.csv", [1, 2, 3]),
        ("in/year=2024", [3]),
        ("in/year=202[4-9]/?.csv", [3]),
        ("in/**/b.csv", [3]),
        ("in/year=*", [1, 2, 3]),
    ],
)
def test_patterns_mean_the_same(folder, tree, pattern, ids):
    for path, filesystem in ((pattern, tree), (folder / pattern, None)):
        read = raceline.read_csv(path, filesystem=filesystem, partitioning=None)
        assert [row["id"] for row in read.take_all()] == ids


def test_arguments_of_reads_mean_the_same(folder, tree):
    years = Partitioning("hive", field_types={"year": int})
    recent = PathPartitionFilter.of(lambda values: values.get("year") == "2024")
    options = {
        "partitioning": years,
        "partition_filter": recent,
        "include_paths": True,
        "ignore_missing_paths": True,
        "file_extensions": ["CSV"],
    }
    read = raceline.read_csv(["in", "gone"], filesystem=tree, **options)
    assert read.take_all() == [
        {"id": 3, "name": "plum", "year": 2024, "path": "in/year=2024/b.csv"}
    ]
    read = raceline.read_csv("in/year=2023", filesystem=tree, partitioning=None)
    assert read.take(1) == [{"id": 1, "name": "pear"}]
    declared = raceline.read_csv(
        "in", filesystem=tree, file_extensions=["csv"], schema={"id": pa.float32(), "x": pa.int8()}
    )
    assert declared.take(1) == [{"id": 1.0, "x": None, "year": "2023"}]


def test_files_are_shuffled_anew_each_time_or_by_a_seed(tree, folder):
    for number in range(12):
        (folder / f"s{number:02}.txt").write_text(f"{number}\n")
    paths = [f"s{number:02}.txt" for number in range(12)]
    read = raceline.read_text(paths, filesystem=tree, shuffle="files")
    orders = [tuple(row["text"] for row in read.take_all()) for _ in range(3)]
    assert len(set(orders)) > 1
    assert {tuple(sorted(order, key=int)) for order in orders} == {
        tuple(str(number) for number in range(12))
    }
    seeded = FileShuffleConfig(seed=3, reseed_after_execution=False)
    read = raceline.read_text(paths, filesystem=tree, shuffle=seeded)
    assert read.take_all() == read.take_all()


def test_what_is_not_there_is_an_error_that_names_it(tree):
    with pytest.raises(SourceNotFoundError, match="`in/gone` does not exist"):
        raceline.read_csv("in/gone", filesystem=tree)
    with pytest.raises(PlanError, match="no file is found in `in`"):
        raceline.read_parquet("in", filesystem=tree)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"filesystem": 3}, "`filesystem` must be one of PyArrow or fsspec, got `int`"),
        (
            {"filesystem": pa_fs.LocalFileSystem(), "storage_options": {"region": "x"}},
            "pass either `filesystem` or `storage_options`, not both",
        ),
        ({"arrow_open_stream_args": 3}, "`arrow_open_stream_args` must be a dict, got `3`"),
        (
            {"arrow_open_stream_args": {"mode": "r"}},
            "`arrow_open_stream_args` has an unknown argument `mode`",
        ),
        (
            {"arrow_open_stream_args": {"compression": "zip"}},
            "PyArrow has no compression `'zip'`",
        ),
        ({"parse_options": 3}, "`parse_options` must be `pyarrow.csv.ParseOptions`, got `int`"),
        (
            {"read_options": pa_json.ReadOptions(), "has_header": False},
            "pass either `read_options` or `has_header`, not both",
        ),
        (
            {"parse_options": pa_csv.ParseOptions(), "delimiter": ";"},
            "pass either `parse_options` or `delimiter` and `quote`, not both",
        ),
    ],
)
def test_wrong_arguments_are_refused_at_once(folder, arguments, text):
    with pytest.raises(PlanError) as caught:
        raceline.read_csv(folder / "in", **arguments)
    assert str(caught.value).startswith(text)


def test_a_wrong_keyword_is_told_with_the_nearest(folder):
    with pytest.raises(TypeError, match="unexpected keyword argument 'file_system'") as caught:
        raceline.read_csv(folder, file_system=None)
    assert "did you mean `filesystem`?" in str(caught.value)
    with pytest.warns(UserWarning, match="`use_threads` of `read_parquet` has no effect"):
        raceline.read_parquet(folder, use_threads=False)


def test_streams_are_opened_as_told(folder):
    packed = folder / "packed.data"
    packed.write_bytes(gzip.compress(b"id\n1\n2\n"))
    given = {"compression": "gzip", "buffer_size": 1024}
    read = raceline.read_csv(packed, arrow_open_stream_args=given)
    assert [row["id"] for row in read.take_all()] == [1, 2]
    read = raceline.read_binary_files(packed, arrow_open_stream_args={"compression": "gzip"})
    assert read.take_all() == [{"bytes": b"id\n1\n2\n"}]
    (folder / "a.gz").write_bytes(gzip.compress(b"x"))
    raw = raceline.read_binary_files(
        folder / "a.gz", arrow_open_stream_args={"compression": None}
    ).take_all()
    assert gzip.decompress(raw[0]["bytes"]) == b"x"
    with pytest.raises(SourceError, match=r"packed\.data` cannot be read"):
        raceline.read_text(packed, arrow_open_stream_args={"compression": "zstd"}).take_all()
    plain = raceline.read_text(
        folder / "in" / "notes.txt", arrow_open_stream_args={"buffer_size": 9}
    )
    assert "ReadTasks" not in plain._native.explain()


def test_names_tell_the_compression_on_any_file_system(folder, tree):
    zstd = pa.CompressedOutputStream(str(folder / "a.txt.zst"), "zstd")
    with zstd:
        zstd.write(b"zstd\n")
    (folder / "b.txt.gz").write_bytes(gzip.compress(b"gzip\n"))
    (folder / "c.txt.bz2").write_bytes(bz2.compress(b"bzip2\n"))
    paths = ["a.txt.zst", "b.txt.gz", "c.txt.bz2"]
    texts = [row["text"] for row in raceline.read_text(paths, filesystem=tree).take_all()]
    assert texts == ["zstd", "gzip", "bzip2"]
    texts = [row["text"] for row in raceline.read_text([folder / one for one in paths]).take_all()]
    assert texts == ["zstd", "gzip", "bzip2"]


class TestText:
    """`encoding`."""

    def test_an_encoding_says_which_characters_bytes_are(self, folder):
        text = "größe\n" * 3
        (folder / "l.txt").write_bytes(text.encode("latin-1"))
        (folder / "u.txt").write_bytes(text.encode("utf-16"))
        (folder / "s.txt").write_bytes(text.encode("utf-8-sig"))
        for name, encoding in (("l", "latin-1"), ("u", "utf-16"), ("s", "utf-8-sig")):
            read = raceline.read_text(folder / f"{name}.txt", encoding=encoding)
            assert [row["text"] for row in read.take_all()] == ["größe"] * 3

    def test_utf_8_is_the_engine_s(self, folder):
        read = raceline.read_text(folder / "in" / "notes.txt", encoding="UTF8")
        assert "ReadTasks" not in read._native.explain()

    def test_many_lines_come_whole_and_in_order(self, folder):
        lines = [f"{number} " + "ä" * (number % 400) for number in range(60_000)]
        (folder / "long.txt").write_bytes("\r\n".join(lines).encode("cp1252"))
        read = raceline.read_text(folder / "long.txt", encoding="cp1252")
        assert [row["text"] for row in read.take_all()] == lines

    def test_what_are_no_characters_is_an_error_that_names_the_file(self, folder):
        (folder / "bad.txt").write_bytes(b"ok\n\xff\n")
        for encoding in ("ascii", "utf-8"):
            with pytest.raises(SourceError, match=r"bad\.txt"):
                raceline.read_text(folder / "bad.txt", encoding=encoding).take_all()

    @pytest.mark.parametrize("encoding", ["no-such", "hex", 3, None])
    def test_what_is_no_encoding_is_refused(self, folder, encoding):
        with pytest.raises(PlanError, match="there is no encoding"):
            raceline.read_text(folder, encoding=encoding)


class TestCsv:
    """Options of `pyarrow.csv`."""

    def test_marks_alone_stay_with_the_engine(self, folder):
        (folder / "m.csv").write_text("a;b\n'x;y';2\n")
        parse = pa_csv.ParseOptions(delimiter=";", quote_char="'")
        read = raceline.read_csv(folder / "m.csv", parse_options=parse)
        assert "ReadTasks" not in read._native.explain()
        assert read.take_all() == [{"a": "x;y", "b": 2}]

    def test_pyarrow_reads_with_its_options(self, folder):
        (folder / "o.csv").write_text("# a comment\nid,name,flag\n1,NA,yes\nbroken\n2,x,no\n")
        read = raceline.read_csv(
            folder / "o.csv",
            read_options=pa_csv.ReadOptions(skip_rows=1),
            parse_options=pa_csv.ParseOptions(invalid_row_handler=skip_row),
            convert_options=pa_csv.ConvertOptions(
                strings_can_be_null=True,
                true_values=["yes"],
                false_values=["no"],
                column_types={"id": pa.float32()},
            ),
        )
        assert read.take_all() == [
            {"id": 1.0, "name": None, "flag": True},
            {"id": 2.0, "name": "x", "flag": False},
        ]

    def test_columns_without_names_are_called_the_same(self, folder, tree):
        (folder / "n.csv").write_text("1,x\n2,y\n")
        by_engine = raceline.read_csv(folder / "n.csv", has_header=False).take_all()
        assert raceline.read_csv("n.csv", has_header=False, filesystem=tree).take_all() == by_engine
        assert list(by_engine[0]) == ["column_1", "column_2"]

    def test_types_are_those_of_all_first_files(self, folder, tree):
        for name, text in (("a", "n,t\n1,\n"), ("b", "n,t\n1.5,\n")):
            (folder / f"w{name}.csv").write_text(text)
        paths = ["wa.csv", "wb.csv"]
        read = raceline.read_csv(paths, filesystem=tree).take_all()
        assert read == raceline.read_csv([folder / one for one in paths]).take_all()
        assert read == [{"n": 1.0, "t": ""}, {"n": 1.5, "t": ""}]

    def test_files_that_do_not_fit_are_told_with_both_schemas(self, folder, tree):
        for number in range(10):
            (folder / f"f{number}.csv").write_text("n\n1\n" if number < 9 else "n,more\n1,2\n")
        paths = [f"f{number}.csv" for number in range(10)]
        with pytest.raises(SourceError) as caught:
            raceline.read_csv(paths, filesystem=tree).take_all()
        for part in ("`f9.csv`", "it has a column `more`", "columns of the read: n: int64"):
            assert part in str(caught.value)
        strict = {"schema": {"n": pa.int64()}, "strict_schema": True}
        assert raceline.read_csv(paths[:9], filesystem=tree, **strict).count() == 9
        with pytest.raises(SourceError, match="it has a column `more`"):
            raceline.read_csv(paths, filesystem=tree, **strict).take_all()

    def test_a_value_of_another_type_names_the_file(self, tree, folder):
        (folder / "v.csv").write_text("n\n" + "1\n" * 900_000 + "x\n")
        with pytest.raises(OSError, match=r"`v\.csv` cannot be read") as caught:
            raceline.read_csv("v.csv", filesystem=tree).count()
        assert isinstance(caught.value, SourceError)


def skip_row(row):
    return "skip"


class TestJson:
    """Options of `pyarrow.json`, and arrays."""

    def test_lines_and_arrays_are_found(self, folder, tree):
        (folder / "l.json").write_text('{"a": 1, "t": "2024-01-01T00:00:00"}\n{"a": 2.5}\n')
        (folder / "r.json").write_text('\n [{"a": 1}, {"b": "x"}]')
        for name in ("l.json", "r.json"):
            by_engine = raceline.read_json(folder / name)
            read = raceline.read_json(name, filesystem=tree)
            assert read.take_all() == by_engine.take_all()

    def test_pyarrow_s_options_are_heeded(self, folder):
        (folder / "p.json").write_text('{"a":\n 1, "b": 2}\n{"a": 3}')
        parse = pa_json.ParseOptions(
            newlines_in_values=True,
            explicit_schema=pa.schema({"a": pa.float32()}),
            unexpected_field_behavior="ignore",
        )
        read = raceline.read_json(folder / "p.json", parse_options=parse)
        assert read.take_all() == [{"a": 1.0}, {"a": 3.0}]

    def test_files_of_many_pieces_are_read_whole(self, folder, tree):
        rows = [{"n": number, "text": "x" * 4000} for number in range(6000)]
        (folder / "big.jsonl").write_text("\n".join(map(json.dumps, rows)))
        read = raceline.read_json("big.jsonl", filesystem=tree)
        assert read.sum("n") == sum(row["n"] for row in rows)
        assert read.count() == 6000

    def test_what_is_no_object_is_an_error_that_names_the_file(self, folder, tree):
        (folder / "bad.json").write_text('[{"a": 1}, 2]')
        with pytest.raises(SourceError, match=r"`bad\.json`: element 1 of the array is no object"):
            raceline.read_json("bad.json", filesystem=tree).take_all()


class TestParquet:
    """Columns, and PyArrow's filters."""

    @pytest.fixture
    def parquet(self, tmp_path):
        table = pa.table(
            {
                "n": pa.array(range(100), pa.int64()),
                "x": [float(n) if n % 10 else float("nan") for n in range(100)],
                "s": [f"s{n % 7}" if n % 9 else None for n in range(100)],
                "b": [n % 2 == 0 for n in range(100)],
            }
        )
        for year in (2023, 2024):
            (tmp_path / f"year={year}").mkdir()
            path = tmp_path / f"year={year}" / "a.parquet"
            pq.write_table(table, path, row_group_size=10)
        return tmp_path

    def test_columns_and_folders_are_read(self, parquet):
        tree = pa_fs.SubTreeFileSystem(str(parquet), pa_fs.LocalFileSystem())
        read = raceline.read_parquet("", filesystem=tree, columns=["year", "n"])
        assert read.take(1) == [{"year": "2023", "n": 0}]
        assert read.count() == 200
        whole = raceline.read_parquet("", filesystem=tree).to_pandas()
        assert whole.to_csv() == raceline.read_parquet(parquet).to_pandas().to_csv()

    @pytest.mark.parametrize(
        ("rows", "is_ours"),
        [
            (pc.field("n") > 95, True),
            ((pc.field("n") >= 3) & ~(pc.field("s") == "s3"), True),
            ((5 > pc.field("n")) | pc.field("s").is_null(), True),
            (pc.field("b") & pc.field("s").is_valid(), True),
            (pc.field("year") == "2024", True),
            (pc.field("x") > 5, False),
            (pc.is_nan(pc.field("x")), False),
            (pc.field("n").isin([3, 4]), False),
            (pc.field("n") + 1 == 5, False),
            ((pc.field("year") == "2024") & (pc.field("x") > 90), False),
        ],
        ids=str,
    )
    def test_filters_of_pyarrow_take_the_same_rows(self, parquet, rows, is_ours):
        read = raceline.read_parquet(parquet, filter=rows)
        assert ("ReadTasks" not in read._native.explain()) is is_ours
        kinds = pa_dataset.partitioning(pa.schema({"year": pa.string()}), flavor="hive")
        theirs = pa_dataset.dataset(parquet, partitioning=kinds).to_table(filter=rows)
        found = read.to_pandas()
        assert found["n"].tolist() == theirs["n"].to_pylist()
        assert found["year"].tolist() == theirs["year"].to_pylist()
        assert 0 < len(found) < 200
        some = raceline.read_parquet(parquet, filter=rows, columns=["s"])
        assert some.columns() == ["s"]
        assert some.count() == len(found)

    def test_a_name_cannot_make_another_filter(self, tmp_path):
        name = "n'\nend: 'equal"
        pq.write_table(pa.table({name: [1, 2]}), tmp_path / "a.parquet")
        read = raceline.read_parquet(tmp_path / "a.parquet", filter=pc.field(name) == 2)
        assert read.take_all() == [{name: 2}]

    def test_our_expressions_are_filters_too(self, parquet):
        assert raceline.read_parquet(parquet, filter=col("n") > 97, columns=["n"]).count() == 4
        with pytest.raises(PlanError, match="`filter` must be an expression, got `'n > 3'`"):
            raceline.read_parquet(parquet, filter="n > 3")

    def test_what_is_no_parquet_names_the_file(self, tmp_path):
        (tmp_path / "bad.parquet").write_bytes(b"not parquet at all")
        tree = pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem())
        with pytest.raises(SourceError, match=r"`bad\.parquet` cannot be read"):
            raceline.read_parquet("bad.parquet", filesystem=tree).take_all()


def test_pictures_are_read_from_any_file_system(tmp_path):
    images = pytest.importorskip("PIL.Image")
    for name, mode, size in (("a.png", "L", (4, 3)), ("b.png", "RGBA", (2, 5))):
        images.new(mode, size, 7).save(tmp_path / name)
    tree = pa_fs.SubTreeFileSystem(str(tmp_path), pa_fs.LocalFileSystem())
    shapes = [row["image"].shape for row in raceline.read_images("", filesystem=tree).take_all()]
    assert shapes == [row["image"].shape for row in raceline.read_images(tmp_path).take_all()]
    assert shapes == [(3, 4, 1), (5, 2, 4)]
    read = raceline.read_images("", filesystem=tree, size=(6, 8), mode="RGB")
    assert read.take_batch(2)["image"].shape == (2, 6, 8, 3)
    packed = tmp_path / "c.raw"
    packed.write_bytes(gzip.compress((tmp_path / "a.png").read_bytes()))
    read = raceline.read_images(
        packed, file_extensions=None, arrow_open_file_args={"compression": "gzip"}
    )
    assert read.take_all()[0]["image"].shape == (3, 4, 1)


def test_a_pickled_dataset_takes_its_file_system_along(tree, folder):
    read = raceline.read_csv("in", filesystem=tree, file_extensions=["csv"])
    assert pickle.loads(pickle.dumps(read)).take_all() == rows_by_engine(folder)


def test_s3_with_keys_is_the_engine_s(monkeypatch):
    import os

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    from raceline.data.file_places import engine_place

    keys = {"access_key": "k", "secret_key": "s", "region": "eu-west-1"}
    place = engine_place(["bucket/a", "s3://bucket/b"], pa_fs.S3FileSystem(**keys))
    assert place.paths == ["s3://bucket/a", "s3://bucket/b"]
    assert place.storage_options == {
        "access_key_id": "k",
        "secret_access_key": "s",
        "region": "eu-west-1",
    }
    assert engine_place(["b/a"], pa_fs.S3FileSystem(anonymous=True, region="eu-west-1")) is None
    others = {"force_virtual_addressing": True}
    assert engine_place(["b/a"], pa_fs.S3FileSystem(**keys, **others)) is None
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    assert engine_place(["b/a"], pa_fs.S3FileSystem(**keys)) is None


class TestWrites:
    """Files in file systems that the engine does not know, and of PyArrow's own writers."""

    @pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
    def test_what_is_written_is_read_again(self, folder, tree, kind):
        dataset = raceline.range(10).map(lambda row: {"id": row["id"], "name": f"n{row['id']}"})
        write = getattr(dataset, f"write_{kind}")
        read = getattr(raceline, f"read_{kind}")
        write("out/deep", filesystem=tree, max_rows_per_file=4)
        names = sorted(path.name for path in (folder / "out/deep").iterdir())
        ending = "-0.parquet" if kind == "parquet" else f".{kind}"
        assert [name[-7 - len(ending) :] for name in names] == [
            f"_00000{number}{ending}" for number in range(3)
        ]
        assert read("out/deep", filesystem=tree).take_all() == dataset.take_all()
        write(folder / "engine", filesystem=pa_fs.LocalFileSystem())
        assert read(folder / "engine").take_all() == dataset.take_all()

    def test_the_memory_of_fsspec_is_written_in_the_program(self, memory):
        raceline.range(6).write_parquet("/w/x", filesystem=memory, max_rows_per_file=3)
        raceline.range(2).write_parquet("memory://w/x", filesystem=memory)
        assert raceline.read_parquet("/w/x", filesystem=memory).count() == 8
        raceline.range(1).write_parquet("/w/x", filesystem=memory, mode="overwrite")
        assert raceline.read_parquet("/w/x", filesystem=memory).take_all() == [{"id": 0}]
        assert len(memory.find("/w")) == 1

    def test_values_become_folders_as_the_engine_makes_them(self, folder, tree):
        rows = [
            {"k": "a/b=1", "n": 1, "v": 1},
            {"k": "ü%", "n": 2, "v": 2},
            {"k": None, "n": 1, "v": 3},
            {"k": "a/b=1", "n": 1, "v": 4},
        ]
        dataset = raceline.from_items(rows)
        dataset.write_csv("ours", filesystem=tree, partition_cols=["k", "n"])
        dataset.write_csv(folder / "engine", partition_cols=["k", "n"])

        def folders(root):
            return sorted(str(one.parent.relative_to(root)) for one in root.rglob("*.csv"))

        assert folders(folder / "ours") == folders(folder / "engine")
        back = raceline.read_csv("ours", filesystem=tree).sort("v").take_all()
        assert [(row["k"], row["v"]) for row in back] == [(row["k"], row["v"]) for row in rows]
        with pytest.raises(PlanError, match="no column `z` to partition by"):
            dataset.write_csv("ours", filesystem=tree, partition_cols="z")
        with pytest.raises(PlanError, match="no column is left to write"):
            dataset.select_columns(["k"]).write_csv("x", filesystem=tree, partition_cols="k")
        with pytest.raises(PlanError, match="`min_rows_per_file` cannot be kept"):
            dataset.write_csv("x", filesystem=tree, partition_cols="k", min_rows_per_file=5)
        assert not (folder / "x").exists()

    def test_modes_mean_the_same(self, folder, tree):
        target = folder / "m"
        raceline.range(3).write_csv("m", filesystem=tree, mode=SaveMode.CREATE)
        for mode in (SaveMode.CREATE, SaveMode.ERROR):
            with pytest.raises(PlanError, match="`m` exists already"):
                raceline.range(1).write_csv("m", filesystem=tree, mode=mode)
        raceline.range(1).write_csv("m", filesystem=tree, mode=SaveMode.IGNORE)
        assert raceline.read_csv(target).count() == 3
        raceline.range(2).write_csv("m", filesystem=tree, mode=SaveMode.APPEND)
        assert raceline.read_csv(target).count() == 5
        raceline.range(1).write_csv("m", filesystem=tree, mode=SaveMode.OVERWRITE)
        assert raceline.read_csv(target).count() == 1

    def test_a_run_that_fails_leaves_nothing(self, folder, tree):
        def fail(row):
            if row["id"] == 9_000:
                raise KeyError("no such thing")
            return row

        dataset = raceline.range(10_000).map(fail)
        with pytest.raises(KeyError):
            dataset.write_csv("f/new", filesystem=tree, max_rows_per_file=100)
        assert not (folder / "f/new").exists()
        raceline.range(3).write_csv("f/old", filesystem=tree)
        with pytest.raises(KeyError):
            dataset.write_csv("f/old", filesystem=tree, mode="overwrite", max_rows_per_file=100)
        assert [path.suffix for path in (folder / "f/old").iterdir()] == [".csv"]
        assert raceline.read_csv("f/old", filesystem=tree).count() == 3

    def test_a_write_that_broke_off_when_it_was_complete_is_finished(self, folder, tree):
        staging = folder / "b" / "_raceline-0"
        staging.mkdir(parents=True)
        (staging / "one").write_text("id\n7\n")
        (folder / "b" / "old.csv").write_text("id\n1\n")
        commit = {
            "files": [
                ["b/_raceline-0/gone", "b/x.csv"],
                ["b/_raceline-0/one", "b/k=1/new.csv"],
            ],
            "removed": ["b/old.csv"],
        }
        (staging / "commit.json").write_text(json.dumps(commit))
        (folder / "b" / "_raceline-1").mkdir()
        (folder / "b" / "_raceline-1" / "half").write_text("id\n5\n")
        raceline.range(1).write_csv("b", filesystem=tree)
        read = raceline.read_csv("b", filesystem=tree, partitioning=None)
        assert sorted(row["id"] for row in read.take_all()) == [0, 7]
        assert not staging.exists()
        assert (folder / "b" / "_raceline-1" / "half").exists()

    def test_names_of_a_provider_hold_and_tell_the_compression(self, folder, tree):
        class Parts(FilenameProvider):
            def get_filename_for_task(self, write_uuid, task_index):
                return f"{write_uuid}-{task_index}.csv.gz"

        raceline.range(3).write_csv("p", filesystem=tree, filename_provider=Parts())
        [file] = (folder / "p").iterdir()
        assert gzip.decompress(file.read_bytes()) == b'"id"\n0\n1\n2\n'
        raceline.range(3).write_json(folder / "z", arrow_open_stream_args={"compression": "zstd"})
        [file] = (folder / "z").iterdir()
        assert file.name.endswith(".json.zst")
        assert raceline.read_json(folder / "z").count() == 3

        class Same(FilenameProvider):
            def get_filename_for_task(self, write_uuid, task_index):
                return "same.csv"

        with pytest.raises(PlanError, match=r"would be called `same\.csv`"):
            raceline.range(3).write_csv(
                "s",
                filesystem=tree,
                filename_provider=Same(),
                mode="overwrite",
                max_rows_per_file=1,
            )
        assert not (folder / "s").exists()

    def test_arguments_of_the_writers_are_heeded(self, folder):
        dataset = raceline.range(4).map(lambda row: {"id": row["id"], "t": "a"})
        dataset.write_parquet(folder / "p", use_dictionary=["t"], row_group_size=2)
        [file] = (folder / "p").iterdir()
        metadata = pq.read_metadata(file)
        assert metadata.num_row_groups == 2
        assert metadata.row_group(0).column(0).compression == "SNAPPY"
        assert "RLE_DICTIONARY" not in metadata.row_group(0).column(0).encodings
        dataset.write_parquet(folder / "b", compression="BROTLI")
        [file] = (folder / "b").iterdir()
        assert pq.read_metadata(file).row_group(0).column(0).compression == "BROTLI"
        dataset.write_parquet(folder / "f", arrow_parquet_args_fn=lambda: {"compression": "gzip"})
        [file] = (folder / "f").iterdir()
        assert pq.read_metadata(file).row_group(0).column(0).compression == "GZIP"

        options = pa_csv.WriteOptions(include_header=False, delimiter="|")
        dataset.write_csv(folder / "c", write_options=options)
        [file] = (folder / "c").iterdir()
        assert file.read_text().splitlines()[0] == '0|"a"'
        dataset.write_csv(
            folder / "d",
            arrow_csv_args_fn=lambda: {"write_options": pa_csv.WriteOptions(delimiter=";")},
        )
        [file] = (folder / "d").iterdir()
        assert file.read_text().splitlines()[:2] == ['"id";"t"', '0;"a"']

        dataset.write_json(folder / "j", orient="split", lines=False)
        [file] = (folder / "j").iterdir()
        assert json.loads(file.read_text())["data"][3] == [3, "a"]
        dataset.write_json(folder / "k", pandas_json_args_fn=lambda: {"indent": 1, "lines": False})
        [file] = (folder / "k").iterdir()
        assert len(json.loads(file.read_text())) == 4

    @pytest.mark.parametrize(
        ("write", "text"),
        [
            (
                lambda rows, path: rows.write_parquet(path, use_dictionry=True),
                r"write_parquet\(\) got an unexpected .*\n.*did you mean `use_dictionary`",
            ),
            (
                lambda rows, path: rows.write_csv(path, write_option=None),
                r"did you mean `write_options`",
            ),
            (lambda rows, path: rows.write_json(path, orint="split"), "did you mean `orient`"),
            (lambda rows, path: rows.write_csv(path, modes="append"), "did you mean `mode`"),
        ],
    )
    def test_wrong_keywords_are_refused_at_once(self, tmp_path, write, text):
        with pytest.raises(TypeError, match=text):
            write(raceline.range(1), tmp_path / "w")
        assert not (tmp_path / "w").exists()

    def test_many_rows_become_files_of_some_size(self, folder, tree):
        raceline.range(12_000_000).write_parquet("big", filesystem=tree)
        assert len(list((folder / "big").iterdir())) == 2
        assert raceline.read_parquet(folder / "big").sum("id") == 12_000_000 * 11_999_999 // 2


def test_download_fetches_from_any_file_system(folder, tree, memory):
    rows = raceline.from_items([{"uri": "in/notes.txt"}, {"uri": "gone"}, {"uri": None}])
    for filesystem in (tree, memory):
        fetched = rows.with_column("bytes", download("uri", filesystem=filesystem))
        assert [row["bytes"] for row in fetched.take_all()] == [FILES["notes.txt"], None, None]
    path = raceline.from_items([{"uri": str(folder / "in/notes.txt")}])
    local = path.with_column("bytes", download("uri", filesystem=pa_fs.LocalFileSystem()))
    assert local.take_all()[0]["bytes"] == FILES["notes.txt"]
    with pytest.raises(PlanError, match="pass either `filesystem` or `storage_options`"):
        download("uri", filesystem=tree, storage_options={"region": "x"})


@pytest.fixture
def s3(monkeypatch):
    """The address of a local S3 server with an empty bucket."""
    import os

    server_module = pytest.importorskip("moto.server")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


def test_s3_by_the_engine_and_by_pyarrow(s3):
    keys = {"access_key": "k", "secret_key": "s", "region": "us-east-1", "scheme": "http"}
    # Who may make buckets is no matter of reading and writing files.
    by_engine = pa_fs.S3FileSystem(**keys, endpoint_override=s3, allow_bucket_creation=True)
    by_engine.create_dir("bucket")
    proxied = {"default_metadata": {"Content-Type": "text/x-rows"}}
    by_arrow = pa_fs.S3FileSystem(**keys, endpoint_override=s3, **proxied)
    for filesystem, folder in ((by_engine, "bucket/a"), (by_arrow, "s3://bucket/b")):
        raceline.range(9).write_parquet(folder, filesystem=filesystem, max_rows_per_file=5)
        read = raceline.read_parquet(folder, filesystem=filesystem, include_paths=True)
        assert read.sum("id") == 36
        paths = {row["path"].removeprefix("s3://") for row in read.take_all()}
        assert {path.rpartition("/")[0] for path in paths} == {folder.removeprefix("s3://")}
        assert ("ReadTasks" in read._native.explain()) is (filesystem is by_arrow)
    options = {"endpoint": f"http://{s3}", "region": "us-east-1"}
    options |= {"access_key_id": "k", "secret_access_key": "s"}
    raceline.range(3).write_csv(
        "s3://bucket/c", storage_options=options, arrow_open_stream_args={"compression": "gzip"}
    )
    back = raceline.read_csv("s3://bucket/c", storage_options=options)
    assert back.sum("id") == 3
    parse = pa_csv.ParseOptions(ignore_empty_lines=False)
    back = raceline.read_csv("s3://bucket/c/*.gz", storage_options=options, parse_options=parse)
    assert back.sum("id") == 3
