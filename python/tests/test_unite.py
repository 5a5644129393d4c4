"""Columns whose types, order or presence change from batch to batch."""

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline.errors import PlanError, SourceError


def changing(first, later, rows=4):
    """A column `x` that is `first` in the first half and `later` in the second."""

    def give(batch):
        make = first if batch["id"][0] < rows // 2 else later
        return {"id": batch["id"], "x": [make(int(i)) for i in batch["id"]]}

    return raceline.range(rows).map_batches(opaque(give), batch_size=1)


CHANGES = {
    "int then float": (changing, lambda i: i, lambda i: i / 2, [0, 1, 1.0, 1.5]),
    "float then int": (changing, lambda i: i / 2, lambda i: i, [0.0, 0.5, 2, 3]),
    "none then int": (changing, lambda i: None, lambda i: i, [None, None, 2, 3]),
}


@pytest.mark.parametrize("name", CHANGES)
def test_numbers_that_change_type_come_through_everything(name, tmp_path):
    make, first, later, values = CHANGES[name]
    rows = make(first, later)
    known = [value for value in values if value is not None]
    assert rows.count() == 4
    assert rows.sum("x") == sum(known)
    assert [row["x"] for row in rows.sort("id").take_all()] == values
    assert [row["x"] for row in rows.repartition(1).take_all()] == values
    joined = rows.map_batches(opaque(lambda batch: batch), batch_size=4)
    assert len(joined.take_batch(4)["x"]) == 4
    rows.write_parquet(str(tmp_path / "out"))
    read = raceline.read_parquet(str(tmp_path / "out")).sort("id").take_all()
    assert [row["x"] for row in read] == values


def test_types_that_do_not_unite_name_column_types_and_cure():
    rows = changing(lambda i: i, str)
    assert rows.count() == 4
    for run in (rows.sort("x").take_all, lambda: rows.repartition(2).take_all()):
        with pytest.raises(
            PlanError, match=r"`x` is `Int64` in some batches and `.*Utf8`"
        ) as caught:
            run()
        assert not isinstance(caught.value, SourceError)
        assert "float(x)" in str(caught.value)
        assert "stage:" in str(caught.value)


def test_pictures_of_other_shapes_keep_their_shape():
    def give(batch):
        shape = (2, 3) if batch["id"][0] == 0 else (3, 2)
        return {"id": batch["id"], "p": np.arange(6).reshape(1, *shape)}

    rows = raceline.range(2).map_batches(opaque(give), batch_size=1)
    joined = rows.map_batches(opaque(lambda batch: batch), batch_size=2)
    for dataset in (rows, joined, rows.sort("id"), rows.repartition(1)):
        assert [row["p"].shape for row in dataset.take_all()] == [(2, 3), (3, 2)]
        assert [row["p"].ravel().tolist() for row in dataset.take_all()] == [list(range(6))] * 2


def test_a_union_has_the_columns_of_all():
    both = raceline.range(3).union(raceline.from_items([{"id": 1, "z": 2}]))
    assert both.schema().names == ["id", "z"]
    assert both.sum("z") == 2
    rows = [(row["id"], row["z"]) for row in both.sort("id").take_all()]
    assert sorted(rows, key=str) == [(0, None), (1, 2), (1, None), (2, None)]
    lacking = raceline.range(3).union(raceline.from_items([{"z": 2}]))
    assert lacking.filter(expr="id > 0").take_all() == [{"id": 1, "z": None}, {"id": 2, "z": None}]


def test_objects_are_neither_sorted_nor_grouped_nor_compared(tmp_path):
    rows = raceline.from_items([{"n": 2**70 + i} for i in range(3)])
    for run in (
        lambda: rows.sort("n").take_all(),
        lambda: rows.max("n"),
        lambda: rows.groupby("n").count().take_all(),
    ):
        with pytest.raises(PlanError, match="column `n`: it holds Python objects"):
            run()
    changes = changing(lambda i: b"raw", lambda i: 2**70 + i)
    with pytest.raises(PlanError, match="Python object"):
        changes.write_parquet(str(tmp_path / "out"))


def test_a_long_list_column_is_repartitioned_within_the_budget():
    lists = [{"v": [0.5] * 100}] * 2_000
    batches = raceline.from_items(lists).repartition(4)
    assert [len(batch["v"]) for batch in batches.iter_batches(batch_size=None)] == [500] * 4
