"""Names of files that are written, and which files are read as what."""

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import raceline
from raceline.data.datasource import FilenameProvider, Partitioning, PathPartitionFilter
from raceline.errors import ColumnNotFoundError, PlanError, SourceError

WRITES = {"parquet": "-0.parquet", "csv": ".csv", "json": ".json"}


def write(kind, dataset, folder, **options):
    getattr(dataset, f"write_{kind}")(folder, **options)


@pytest.mark.parametrize(("kind", "ending"), WRITES.items())
def test_files_are_named_as_ray_data_does(tmp_path, kind, ending):
    for _ in range(2):
        write(kind, raceline.range(10), tmp_path, max_rows_per_file=5)
    found = [
        re.fullmatch(r"([0-9a-f]{32})_([0-9a-f]{32})_(0{5}[01])(.*)", file.name)
        for file in tmp_path.iterdir()
    ]
    assert len(found) == 4
    assert {match[4] for match in found} == {ending}
    assert len({match[2] for match in found}) == 2
    assert sorted(match[3] for match in found) == ["000000"] * 2 + ["000001"] * 2


class Parts(FilenameProvider):
    def get_filename_for_task(self, write_uuid, task_index):
        return f"part-{write_uuid}-{task_index}"


@pytest.mark.parametrize("kind", WRITES)
def test_a_provider_names_the_files(tmp_path, kind):
    options = {"filename_provider": Parts(), "max_rows_per_file": 4}
    write(kind, raceline.range(10), tmp_path, **options)
    names = sorted(file.name for file in tmp_path.iterdir())
    assert [name.rsplit("-", 1)[1] for name in names] == ["0", "1", "2"]
    if kind != "parquet":
        return
    rows = raceline.range(4).map(lambda row: {"k": row["id"] % 2, "v": row["id"]})
    rows.write_parquet(tmp_path / "p", partition_cols="k", filename_provider=Parts())
    names = sorted(str(file.relative_to(tmp_path / "p")) for file in tmp_path.glob("p/*/*"))
    assert [name[:10] for name in names] == ["k=0/part-", "k=1/part-"] or len(names) == 2
    assert raceline.read_parquet(tmp_path / "p", file_extensions=None).count() == 4


def test_an_older_provider_names_the_files(tmp_path):
    class Older(FilenameProvider):
        def get_filename_for_block(self, block, write_uuid, task_index, block_index):
            return f"{write_uuid}_{task_index}_{block_index}.csv"

    raceline.range(3).write_csv(tmp_path, filename_provider=Older())
    [file] = tmp_path.iterdir()
    assert file.name.endswith("_0_0.csv")


@pytest.mark.parametrize(
    ("name", "mode", "text"),
    [
        ("x.csv", "append", "the file name `x.csv` lacks the write's identifier"),
        ("a/x.csv", "overwrite", "must return the name of a file, got `'a/x.csv'`"),
        (None, "overwrite", "must return the name of a file, got `None`"),
        ("same.csv", "overwrite", "two files of the write would be called `same.csv`"),
    ],
)
def test_names_that_cannot_be_are_refused_and_leave_nothing(tmp_path, name, mode, text):
    class Wrong(FilenameProvider):
        def get_filename_for_task(self, write_uuid, task_index):
            return name

    target = tmp_path / "out"
    with pytest.raises(ValueError, match=re.escape(text)):
        raceline.range(4).write_csv(
            target, filename_provider=Wrong(), mode=mode, max_rows_per_file=2
        )
    assert not target.exists()


def test_an_error_of_a_provider_is_told(tmp_path):
    class Failing(FilenameProvider):
        def get_filename_for_task(self, write_uuid, task_index):
            raise KeyError("no such day")

    with pytest.raises(PlanError, match=r"cannot name a file of the write(.|\n)*no such day"):
        raceline.range(3).write_csv(tmp_path, filename_provider=Failing())
    with pytest.raises(PlanError, match="`filename_provider` must be a `FilenameProvider`"):
        raceline.range(3).write_csv(tmp_path, filename_provider="x.csv")


def test_modes_say_what_happens_to_a_target_that_exists(tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    for mode in ("error", "create"):
        with pytest.raises(ValueError, match="exists already"):
            raceline.range(3).write_csv(empty, mode=mode)
    raceline.range(3).write_csv(empty, mode="ignore")
    assert not list(empty.iterdir())
    with pytest.raises(ValueError, match="needs a table with keys, and files have none"):
        raceline.range(3).write_csv(empty, mode="upsert")
    raceline.range(3).write_csv(empty)
    assert raceline.read_csv(empty).count() == 3


def test_an_older_argument_of_writes_warns(tmp_path):
    with pytest.warns(DeprecationWarning, match="`num_rows_per_file` is called"):
        raceline.range(4).write_csv(tmp_path, num_rows_per_file=2)
    with pytest.raises(PlanError, match="not both"):
        raceline.range(4).write_csv(tmp_path, num_rows_per_file=2, min_rows_per_file=2)


@pytest.fixture
def sales(tmp_path):
    for year, month in (("2023", "1"), ("2023", "2"), ("2024", "1")):
        folder = tmp_path / year / month
        folder.mkdir(parents=True)
        (folder / "a[1].csv").write_text("n\n1\n")
    return tmp_path


def test_folders_become_columns_by_their_order(sales):
    both = Partitioning("dir", str(sales), ["year", "month"], {"year": int})
    rows = raceline.read_csv(sales, partitioning=both).take_all()
    assert rows[2] == {"n": 1, "year": 2024, "month": "1"}
    assert raceline.read_csv(sales, partitioning=both).filter(expr="year == 2023").count() == 2
    months = Partitioning("dir", f"file://{sales}", [None, "month"])
    found = raceline.read_csv(sales, partitioning=months).take_all()
    assert found[1] == {"n": 1, "month": "2"}
    text = raceline.read_text(sales, partitioning=both).take(1)
    assert text == [{"text": "n", "year": 2023, "month": "1"}]


def test_folders_that_do_not_fit_are_refused(sales):
    few = Partitioning("dir", str(sales), ["year"])
    with pytest.raises(ValueError, match="do not fit the partitioning: they are `2023`, `1`"):
        raceline.read_csv(sales, partitioning=few).count()
    with pytest.raises(PlanError, match="there is no partitioning `'dir'`"):
        raceline.read_csv(sales, partitioning="dir")
    wrong = Partitioning("dir", str(sales), ["year", "month"], {"month": bool})
    (sales / "2024" / "x").mkdir()
    (sales / "2024" / "x" / "b.csv").write_text("n\n1\n")
    with pytest.raises(ValueError, match="month"):
        raceline.read_csv(sales, partitioning=wrong).take_all()


def test_hive_columns_have_types_and_a_base(tmp_path):
    for day in (1, 10):
        folder = tmp_path / "base=x" / f"day={day}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"n": [day]}), folder / "a.parquet")
    days = Partitioning("hive", str(tmp_path / "base=x"), field_types={"day": int})
    dataset = raceline.read_parquet(tmp_path, partitioning=days)
    assert dataset.filter(expr="day > 2").take_all() == [{"n": 10, "day": 10}]
    assert dataset.schema().types[1] == pa.int64()
    wrong = Partitioning("hive", str(tmp_path), ["day"])
    with pytest.raises(ValueError, match="they are `base`, `day`, and its columns `day`"):
        raceline.read_parquet(tmp_path, partitioning=wrong).count()
    gone = Partitioning("hive", field_types={"hour": int})
    with pytest.raises(ColumnNotFoundError):
        raceline.read_parquet(tmp_path, partitioning=gone).take_all()


def test_files_are_chosen_by_their_folders(sales):
    by_order = {"style": "dir", "base_dir": str(sales), "field_names": ["year", "month"]}
    recent = PathPartitionFilter.of(lambda values: values["year"] == "2023", **by_order)
    dataset = raceline.read_csv(sales, partition_filter=recent)
    assert len(dataset.input_files()) == 2
    assert dataset.count() == 2
    none = PathPartitionFilter.of(lambda values: False, **by_order)
    with pytest.raises(ValueError, match="`partition_filter` takes none of the 3 files"):
        raceline.read_csv(sales, partition_filter=none)
    with pytest.raises(PlanError, match="must be a `PathPartitionFilter`"):
        raceline.read_csv(sales, partition_filter=lambda path: True)


def test_missing_paths_can_be_passed_over(sales):
    paths = [sales / "gone", sales / "2024"]
    with pytest.raises(FileNotFoundError):
        raceline.read_csv(paths).count()
    assert raceline.read_csv(paths, ignore_missing_paths=True).count() == 1
    with pytest.raises(ValueError, match="none of the paths exists"):
        raceline.read_csv(sales / "gone", ignore_missing_paths=True)


def parquet(folder, **files):
    for name, columns in files.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


def test_columns_are_wide_enough_for_all_files(tmp_path):
    parquet(
        tmp_path,
        a={"n": pa.nulls(2), "f": [1, 2], "s": [{"x": 1}, None]},
        b={"n": [3], "f": [0.5], "s": [{"x": 1, "y": "z"}], "new": [True]},
    )
    dataset = raceline.read_parquet(tmp_path)
    assert dataset.take_all() == [
        {"n": None, "f": 1.0, "s": {"x": 1, "y": None}, "new": None},
        {"n": None, "f": 2.0, "s": None, "new": None},
        {"n": 3, "f": 0.5, "s": {"x": 1, "y": "z"}, "new": True},
    ]
    assert dataset.filter(expr="f < 1").count() == 1
    assert raceline.sql("select sum(f) as s, max(n) as n from t", t=dataset).take_all() == [
        {"s": 3.5, "n": 3}
    ]


def test_columns_of_text_files_are_wide_enough_for_all(tmp_path):
    (tmp_path / "a.csv").write_text("n,m\n1,\n")
    (tmp_path / "b.csv").write_text("m,n\n7,2.5\n")
    rows = raceline.read_csv(tmp_path).take_all()
    assert rows == [{"n": 1.0, "m": None}, {"n": 2.5, "m": 7}]
    (tmp_path / "a.json").write_text('{"a": null, "s": {"x": 1}}\n')
    (tmp_path / "b.json").write_text('{"a": 2, "s": {"y": 1.5}}\n')
    rows = raceline.read_json(tmp_path, file_extensions=["json"]).take_all()
    assert rows == [
        {"a": None, "s": {"x": 1, "y": None}},
        {"a": 2, "s": {"x": None, "y": 1.5}},
    ]


def test_a_file_of_another_kind_is_told_with_both_schemas(tmp_path):
    parquet(tmp_path, a={"id": [1], "t": ["x"]}, b={"id": ["one"], "t": ["x"]})
    with pytest.raises(SourceError) as caught:
        raceline.read_parquet(tmp_path).take_all()
    lines = str(caught.value).splitlines()
    assert lines[0] == "column `id` is `Utf8` in this file, not `Int64`"
    assert "  columns that are read: id: Int64, t: Utf8" in lines
    assert "  columns of the file: id: Utf8, t: Utf8" in lines
    assert caught.value.uri.endswith("b.parquet")
    # Who does not ask for the column does not care.
    assert raceline.read_parquet(tmp_path, columns=["t"]).count() == 2
    declared = raceline.read_parquet(tmp_path, schema={"id": pa.string(), "t": pa.string()})
    assert declared.take_all() == [{"id": "1", "t": "x"}, {"id": "one", "t": "x"}]


def test_declared_columns_are_what_is_read(tmp_path):
    parquet(tmp_path, a={"id": [1], "more": ["x"]}, b={"id": [2.0]})
    schema = pa.schema([("id", pa.float32()), ("late", pa.string())])
    dataset = raceline.read_parquet(tmp_path, schema=schema)
    assert dataset.take_all() == [{"id": 1.0, "late": None}, {"id": 2.0, "late": None}]
    assert dataset.schema().types == [pa.float32(), pa.string()]
    (tmp_path / "a.csv").write_text("id,zip\n1,01234\n")
    text = raceline.read_csv(tmp_path / "a.csv", schema={"id": pa.int32(), "zip": pa.string()})
    assert text.take_all() == [{"id": 1, "zip": "01234"}]
    (tmp_path / "a.json").write_text('{"id": 1, "x": 2}\n{"id": 2}\n')
    json = raceline.read_json(tmp_path / "a.json", schema={"id": pa.float64(), "z": pa.bool_()})
    assert json.take_all() == [{"id": 1.0, "z": None}, {"id": 2.0, "z": None}]


def test_a_value_that_does_not_fit_is_told_with_its_place(tmp_path):
    (tmp_path / "a.csv").write_text("id\n1\ntwo\n")
    with pytest.raises(SourceError, match="value `two` in line 3 does not fit column `id`"):
        raceline.read_csv(tmp_path, schema={"id": pa.int64()}).take_all()


def test_strict_schemas_allow_nothing_else(tmp_path):
    parquet(tmp_path, a={"id": [1], "t": ["x"]})

    def read(**schema):
        return raceline.read_parquet(tmp_path, schema=schema, strict_schema=True).take_all()

    assert read(id=pa.int64(), t=pa.string()) == [{"id": 1, "t": "x"}]
    for schema, text in (
        ({"id": pa.int64()}, "column `t` is none of those that were declared"),
        ({"id": pa.int32(), "t": pa.string()}, "column `id` is `Int64` in this file, not `Int32`"),
        (
            {"id": pa.int64(), "t": pa.string(), "u": pa.string()},
            "column `u` is missing in this file",
        ),
    ):
        with pytest.raises(SourceError, match=text):
            read(**schema)
    (tmp_path / "a.csv").write_text("id,t\n1,x\n")
    with pytest.raises(SourceError, match="column `t` is none of those that were declared"):
        raceline.read_csv(
            tmp_path / "a.csv", schema={"id": pa.int64()}, strict_schema=True
        ).take_all()
    (tmp_path / "a.json").write_text('{"id": 1, "t": 2}\n')
    with pytest.raises(SourceError, match="key `t` is none of the columns"):
        raceline.read_json(
            tmp_path / "a.json", schema={"id": pa.int64()}, strict_schema=True
        ).take_all()


def test_wrong_schemas_are_refused():
    with pytest.raises(PlanError, match="`strict_schema` needs a `schema`"):
        raceline.read_csv("x", strict_schema=True)
    with pytest.raises(PlanError, match="`schema` must be a PyArrow schema or a dict"):
        raceline.read_csv("x", schema=["a"])
    with pytest.raises(PlanError, match="`schema` is no schema"):
        raceline.read_csv("x", schema={"a": 1})


def test_line_breaks_inside_quotes_are_part_of_the_value(tmp_path):
    value = 'two\nlines, and "quotes"\n' * 20
    quoted = value.replace('"', '""')
    rows = 200_000
    with open(tmp_path / "a.csv", "w") as file:
        file.write('id,"te\nxt"\n')
        file.writelines(f'{row},"{quoted}"\n' for row in range(rows // 10))
    dataset = raceline.read_csv(tmp_path)
    assert dataset.columns() == ["id", "te\nxt"]
    assert dataset.count() == rows // 10
    lengths = dataset.map_batches(
        lambda batch: {"n": [len(text) for text in batch["te\nxt"]]}, batch_size=1000
    )
    assert lengths.min("n") == lengths.max("n") == len(value)
    assert dataset.sum("id") == sum(range(rows // 10))
