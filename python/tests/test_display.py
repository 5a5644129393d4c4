"""How datasets and schemas look."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from opaque import opaque

import raceline
from raceline.data import MaterializedDataset, Schema
from raceline.errors import PlanError


def test_columns_that_are_known_without_a_run():
    assert repr(raceline.range(3).limit(2)) == (
        "shape: (?, 1)\n"
        "╭───────╮\n"
        "│ id    │\n"
        "│ ---   │\n"
        "│ int64 │\n"
        "╰───────╯\n"
        "(Dataset isn't materialized)"
    )


def test_the_rows_of_a_range_are_counted():
    assert repr(raceline.range(10**12)).startswith("shape: (1000000000000, 1)\n")


def test_a_plan_that_does_not_tell_its_columns():
    dataset = raceline.range(3).map(opaque(lambda row: row))
    assert repr(dataset) == "Map(call)\n+- Range(3)"
    dataset.set_name("three")
    assert repr(dataset) == "name: three\nMap(call)\n+- Range(3)"


def test_what_cannot_be_read_is_told_and_not_raised(tmp_path):
    file = tmp_path / "x.csv"
    file.write_text("a\n1\n")
    dataset = raceline.read_csv(file)
    file.unlink()
    assert repr(dataset) == (
        f"ReadCSV({file})\n(its columns are unknown: no such file or folder: `{file}`)"
    )


@pytest.mark.parametrize("keep", [lambda rows: rows, lambda rows: rows.materialize()])
def test_rows_that_are_there(keep):
    rows = keep(raceline.from_items([{"n": 1, "s": "a"}, {"n": None, "s": "b"}]))
    assert repr(rows) == (
        "shape: (2, 2)\n"
        "╭───────┬────────╮\n"
        "│ n     ┆ s      │\n"
        "│ ---   ┆ ---    │\n"
        "│ int64 ┆ string │\n"
        "╞═══════╪════════╡\n"
        "│ 1     ┆ a      │\n"
        "│ None  ┆ b      │\n"
        "╰───────┴────────╯\n"
        "(Showing 2 of 2 rows)"
    )


def test_ten_rows_and_twenty_columns_are_shown():
    lines = repr(raceline.range(1000).materialize()).splitlines()
    assert lines[0] == "shape: (1000, 1)"
    assert lines[-3].split() == ["│", "9", "│"]
    assert lines[-1] == "(Showing 10 of 1000 rows)"
    wide = raceline.from_arrow(pa.table({f"c{at}": [at] for at in range(30)}))
    names = repr(wide).splitlines()[2].replace("┆", "").split()[1:-1]
    assert names == [*(f"c{at}" for at in range(10)), "…", *(f"c{at}" for at in range(20, 30))]
    assert repr(wide).startswith("shape: (1, 30)\n")


def test_cells_are_short_and_on_one_line():
    rows = raceline.from_items([{"s": "x" * 100, "l": "a\nb\x1b[31m", "b": b"\0" * 100}])
    line = repr(rows).splitlines()[6]
    assert (
        line
        == "│ " + " ┆ ".join(["x" * 39 + "…", r"a\nb\x1b[31m", "b'" + r"\x00" * 9 + r"\…"]) + " │"
    )


def test_arrays_are_told_by_their_shape():
    shown = repr(raceline.from_numpy(np.zeros((1, 2, 3))))
    assert "│ ndarray(shape=(2, 3), dtype=float64) │" in shown


def test_plain_values_and_no_columns():
    values = raceline.range(2).map(lambda x: x * 2).materialize()
    assert "│ 2     │" in repr(values)
    assert repr(raceline.range(3).select_columns([])) == (
        "shape: (?, 0)\n(no columns)\n(Dataset isn't materialized)"
    )


def test_showing_runs_nothing_that_stats_would_tell():
    kept = raceline.from_items(list(range(100)))
    repr(kept)
    kept._repr_html_()
    assert kept.stats() == ""

    def fail(batch):
        raise AssertionError("it ran")

    repr(raceline.range(3).map_batches(fail, debug=True))


def test_notebooks_get_a_table_without_markup_of_the_data():
    rows = raceline.from_items([{"<b>": "<script>"}])
    rows.set_name("<i>")
    assert rows._repr_html_() == (
        "<p>name: &lt;i&gt;</p><p>shape: (1, 1)</p>"
        "<table><thead><tr><th>&lt;b&gt;<br><small>string</small></th></tr></thead>"
        "<tbody><tr><td>&lt;script&gt;</td></tr></tbody></table>"
        "<p>(Showing 1 of 1 rows)</p>"
    )
    lazy = raceline.range(3).map(opaque(lambda row: row))
    assert lazy._repr_html_() == "<pre>Map(call)\n+- Range(3)</pre>"


def test_a_schema_of_pyarrow():
    columns = pa.schema({"id": pa.int64(), "text": pa.string()})
    schema = Schema(columns)
    assert schema.names == ["id", "text"]
    assert schema.types == [pa.int64(), pa.string()]
    assert schema.base_schema == columns
    assert repr(schema) == "Column  Type\n------  ----\nid      int64\ntext    string"
    assert Schema(pa.schema({"id": pa.int64()})) == raceline.range(3).schema()
    assert Schema(pa.schema({"id": pa.int32()})) != raceline.range(3).schema()
    assert schema != columns
    with pytest.raises(PlanError, match=r"^`Schema` needs a `pyarrow.Schema`, got `int`$"):
        Schema(3)


def test_rows_in_memory_are_materialized():
    frame = pd.DataFrame({"a": [1, 2]})
    for made in (
        raceline.from_items([1, 2]),
        raceline.from_pandas(frame),
        raceline.from_numpy(np.zeros(2, dtype=np.int64)),
        raceline.from_arrow(pa.table(frame)),
        raceline.from_blocks([frame]),
    ):
        assert type(made) is MaterializedDataset
        assert 1 <= made.num_blocks() <= 2
        assert made.size_bytes() == 16
        assert type(made.limit(1)) is raceline.Dataset
    lazy = raceline.range(10)
    assert type(lazy) is raceline.Dataset
    with pytest.raises(NotImplementedError) as caught:
        lazy.num_blocks()
    assert str(caught.value) == (
        "how many batches there are is known when the dataset was run: use "
        "`materialize().num_blocks()`"
    )
    assert lazy.repartition(5).materialize().num_blocks() == 5
