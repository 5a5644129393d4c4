"""Arguments that are refused at the call, and arguments that were once taken for others."""

import pandas
import pyarrow
import pytest

import raceline
from raceline.data.expressions import col
from raceline.errors import ColumnNotFoundError, PlanError

MOST = 2**63 - 1
STRINGS = "`storage_options` must be a dict of strings, got"


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda rows: raceline.range(2**64), f"`n` must be at most {MOST}, got `{2**64}`"),
        (lambda rows: rows.limit(2**64), f"`limit` must be at most {MOST}, got `{2**64}`"),
        (lambda rows: rows.take(2**64), f"`limit` must be at most {MOST}, got `{2**64}`"),
        (
            lambda rows: rows.map_batches(len, batch_size=2**64),
            f"`batch_size` must be at most {MOST}, got `{2**64}`",
        ),
        (
            lambda rows: rows.filter(expr=col("id") < 2**70),
            f"a literal int must fit into 64 bits, got `{2**70}`",
        ),
        (
            lambda rows: rows.filter(expr=f"id < {2**70}"),
            f"a literal int must fit into 64 bits, got `{2**70}`",
        ),
        (lambda rows: rows.union(5), "`union` takes datasets, got `5`"),
        (
            lambda rows: rows.groupby(5),
            "`key` must be a column's name or a list of these, got `5`",
        ),
        (lambda rows: rows.groupby(["id", 5]), "a column's name must be a string, got `5`"),
        (lambda rows: rows.sum(5), "`on` must be a column's name or a list of these, got `5`"),
        (
            lambda rows: rows.sort("id", descending=None),
            "`descending` must be True or False, got `None`",
        ),
        (
            lambda rows: rows.sort("id", descending="yes"),
            "`descending` must be True or False, got `'yes'`",
        ),
        (
            lambda rows: raceline.read_parquet("s3://b", storage_options={"endpoint": 5}),
            f"{STRINGS} `'endpoint'` of type `int`",
        ),
        (
            lambda rows: rows.write_parquet("s3://b", storage_options={"endpoint": 5}),
            f"{STRINGS} `'endpoint'` of type `int`",
        ),
        (lambda rows: raceline.read_csv("a", storage_options="x"), f"{STRINGS} `'x'`"),
        (lambda rows: rows.write_parquet(5), "a path must be a string, got `5`"),
        (lambda rows: raceline.read_text(b"a"), "a path must be a string, got `b'a'`"),
        (
            lambda rows: raceline.read_text("a", file_extensions=5),
            "`file_extensions` must be a file extension or a list of these, got `5`",
        ),
        (
            lambda rows: rows.iter_batches(batch_size=True),
            "`batch_size` must be an int of at least 1, got `True`\n"
            "  hint: pass None to take batches as they come",
        ),
        (lambda rows: rows.take_batch(0), "`batch_size` must be an int of at least 1, got `0`"),
        (
            lambda rows: raceline.from_items({"a": 1}),
            "`from_items` needs a list of items, got `dict`\n"
            "  hint: put a single item into a list: `from_items([...])`",
        ),
        (
            lambda rows: raceline.from_items(5),
            "`from_items` needs a list of items, got `int`\n"
            "  hint: put a single item into a list: `from_items([...])`",
        ),
    ],
)
def test_what_is_refused_at_the_call(call, text):
    with pytest.raises(PlanError) as caught:
        call(raceline.range(3))
    assert str(caught.value) == text


def test_the_largest_numbers_are_taken():
    rows = raceline.range(3)
    assert raceline.range(MOST).count() == MOST
    assert rows.limit(MOST).count() == 3
    assert rows.take_all(MOST) == rows.take_all()
    assert len(rows.map_batches(lambda batch: batch, batch_size=MOST).take_all()) == 3


def test_one_string_is_one_column_and_one_extension(tmp_path):
    raceline.from_items([{"abc": 1, "d": 2}]).write_csv(tmp_path)
    raceline.from_items([{"abc": 1, "d": 2}]).write_parquet(tmp_path)
    read = raceline.read_parquet(tmp_path, columns="abc", file_extensions="parquet")
    assert read.take_all() == [{"abc": 1}]
    assert raceline.read_csv(tmp_path, file_extensions="csv").count() == 1


TWICE = "column `a` comes twice"


def test_columns_of_one_name_are_refused():
    frame = pandas.DataFrame([[1, 2]], columns=["a", "a"])
    with pytest.raises(PlanError, match=f"^{TWICE} in a data frame") as caught:
        raceline.from_pandas(frame)
    assert caught.value.column == "a"
    with pytest.raises(PlanError, match=r"^column `1` comes twice in a data frame"):
        raceline.from_pandas(pandas.DataFrame([[1, 2]], columns=[1, "1"]))
    table = pyarrow.table([[1], [2]], names=["a", "a"])
    for data in (table, table.to_batches()[0]):
        with pytest.raises(PlanError) as caught:
            raceline.from_arrow(data)
        assert str(caught.value) == f"{TWICE}\n  hint: give each column a name of its own"


@pytest.mark.parametrize("batch_format", ["pandas", "pyarrow"])
def test_columns_of_one_name_are_refused_from_a_function(batch_format):
    def twice(batch):
        if batch_format == "pandas":
            return pandas.DataFrame([[1, 2]], columns=["a", "a"])
        return pyarrow.table([[1], [2]], names=["a", "a"])

    dataset = raceline.range(1).map_batches(twice, batch_format=batch_format)
    with pytest.raises(PlanError, match=f"function `twice` raised PlanError: {TWICE}"):
        dataset.take_all()


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.select_columns(["nope"]),
        lambda rows: rows.drop_columns(["nope"]),
        lambda rows: rows.rename_columns({"nope": "x"}),
        lambda rows: rows.sort("nope"),
        lambda rows: rows.sort("nope").limit(2),
        lambda rows: rows.with_column("x", col("nope") + 1),
        lambda rows: rows.union(rows.select_columns(["nope"])),
    ],
)
def test_a_count_does_not_hide_a_wrong_column(change, tmp_path):
    raceline.range(3).write_parquet(tmp_path)
    for rows in (raceline.range(3), raceline.read_parquet(tmp_path)):
        with pytest.raises(ColumnNotFoundError, match=r"`nope`"):
            change(rows).count()
    assert raceline.read_parquet(tmp_path).sort("id").select_columns("id").count() == 3
