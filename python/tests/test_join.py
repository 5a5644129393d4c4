"""Joins: against a naive one in Python, and what Ray's users expect of names, types and errors."""

import datetime
import decimal
import math
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opaque import opaque

import raceline
from raceline.errors import ColumnNotFoundError, PlanError

KINDS = [
    "inner",
    "left_outer",
    "right_outer",
    "full_outer",
    "left_semi",
    "right_semi",
    "left_anti",
    "right_anti",
]


def is_missing(key):
    return key is None or (isinstance(key, float) and math.isnan(key))


def naive(kind, left, right):
    """The join of rows with key `k` and number `l`, and with key `k` and number `r`."""

    def equal(one, other):
        return not is_missing(one["k"]) and not is_missing(other["k"]) and one["k"] == other["k"]

    pairs = [(one, other) for one in left for other in right if equal(one, other)]
    with_partner = {id(row) for pair in pairs for row in pair}
    if "semi" in kind or "anti" in kind:
        side = left if kind.startswith("left") else right
        return [row for row in side if (id(row) in with_partner) == ("semi" in kind)]
    rows = [{**one, "r": other["r"]} for one, other in pairs]
    if kind in ("left_outer", "full_outer"):
        rows += [{**row, "r": None} for row in left if id(row) not in with_partner]
    if kind in ("right_outer", "full_outer"):
        alone = [row for row in right if id(row) not in with_partner]
        rows += [{"k": row["k"], "l": None, "r": row["r"]} for row in alone]
    return rows


def seen(rows):
    """Rows without order; NaN and None alike."""
    cells = (
        tuple((name, None if is_missing(row[name]) else row[name]) for name in sorted(row))
        for row in rows
    )
    return Counter(cells)


def dataset(values, kind, name):
    keys = pa.array(values, type=kind)
    return raceline.from_arrow(pa.table({"k": keys, name: pa.array(range(len(values)))}))


DAY = datetime.date(2024, 2, 29)
FAMILIES = {
    "int": ([pa.int8(), pa.int32(), pa.int64()], st.integers(0, 4)),
    "float": ([pa.float32(), pa.float64()], st.sampled_from([0.0, -0.0, 0.5, math.nan, math.inf])),
    "string": (
        [pa.string(), pa.large_string(), pa.string_view()],
        st.sampled_from(["", "a", "é", "longer than twelve bytes"]),
    ),
    "date": ([pa.date32(), pa.date64()], st.sampled_from([DAY, DAY + datetime.timedelta(days=1)])),
    "decimal": (
        [pa.decimal128(6, 2), pa.decimal128(12, 4)],
        st.sampled_from([decimal.Decimal("1.50"), decimal.Decimal("-2.25")]),
    ),
    "time": (
        [pa.timestamp("s"), pa.timestamp("us")],
        st.sampled_from([datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 2)]),
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_join_is_the_naive_one(family, data):
    types, values = FAMILIES[family]
    sides = [
        (
            data.draw(st.lists(st.none() | values, max_size=8)),
            data.draw(st.sampled_from(types)),
            name,
        )
        for name in ("l", "r")
    ]
    rows = [[{"k": key, name: at} for at, key in enumerate(keys)] for keys, _, name in sides]
    left, right = (dataset(*side) for side in sides)
    kind = data.draw(st.sampled_from(KINDS))
    found = left.join(right, kind, on=("k",)).take_all()
    assert seen(found) == seen(naive(kind, *rows))


USERS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Alan"}, {"id": None, "name": "?"}]
ORDERS = [{"user": 2, "item": "tape"}, {"user": 2, "item": "pen"}, {"user": 3, "item": "cup"}]


def users():
    return raceline.from_items(USERS)


def orders():
    return raceline.from_items(ORDERS)


def test_columns_are_those_of_both_sides_without_the_keys_of_the_right():
    joined = users().join(orders(), "full_outer", 4, on=["id"], right_on=["user"])
    assert joined.columns() == ["id", "name", "item"]
    rows = sorted(joined.take_all(), key=str)
    assert rows == [
        {"id": 1, "name": "Ada", "item": None},
        {"id": 2, "name": "Alan", "item": "pen"},
        {"id": 2, "name": "Alan", "item": "tape"},
        {"id": 3, "name": None, "item": "cup"},
        {"id": None, "name": "?", "item": None},
    ]


def test_the_default_key_is_id():
    assert raceline.range(4).join(raceline.range(2), "left_anti", 1).take_all() == [
        {"id": 2},
        {"id": 3},
    ]


def test_suffixes_tell_columns_apart():
    one = raceline.from_items([{"id": 1, "v": "left"}])
    other = raceline.from_items([{"id": 1, "v": "right"}])
    both = one.join(other, "inner", 1, left_suffix="_l", right_suffix="_r").take_all()
    assert both == [{"id": 1, "v_l": "left", "v_r": "right"}]
    right = one.join(other, "inner", 1, right_suffix="_r")
    assert right.take_all() == [{"id": 1, "v": "left", "v_r": "right"}]
    assert right.select_columns(["v_r"]).take_all() == [{"v_r": "right"}]
    assert right.select_columns(["v"]).take_all() == [{"v": "left"}]
    with pytest.raises(ValueError, match=r"^both sides of the join have a column `v`") as raised:
        one.join(other, "inner", 1).take_all()
    assert isinstance(raised.value, PlanError)
    assert one.join(other, "left_semi", 1).take_all() == [{"id": 1, "v": "left"}]


def test_only_needed_columns_of_files_are_read(tmp_path):
    for name in ("one", "other"):
        table = pa.table({"id": [1, 2], "x": [1.0, 2.0], f"of_{name}": ["a", "b"]})
        raceline.from_arrow(table).write_parquet(str(tmp_path / name))
    one = raceline.read_parquet(str(tmp_path / "one"))
    other = raceline.read_parquet(str(tmp_path / "other"))
    joined = one.join(other, "inner", right_suffix="_r").select_columns(["of_other"])
    assert sorted(row["of_other"] for row in joined.take_all()) == ["a", "b"]
    assert joined.count() == 2


def test_functions_may_stand_on_either_side_and_behind():
    left = raceline.range(1000).map(opaque(lambda row: {"id": row["id"], "a": row["id"] * 2}))
    right = raceline.range(500).map(opaque(lambda row: {"id": row["id"] * 3, "b": -row["id"]}))
    joined = left.join(right, "inner", 8).map(opaque(lambda row: {"s": row["a"] + row["b"]}))
    assert joined.sum("s") == sum(2 * row - row // 3 for row in range(0, 1000, 3))


def test_a_join_with_itself():
    numbers = raceline.range(100)
    assert numbers.join(numbers, "inner", 2).count() == 100
    assert numbers.join(numbers.filter(expr="id > 90"), "right_semi", 2).count() == 9


def test_an_empty_side():
    nothing = users().filter(expr="id > 10")
    for kind in KINDS:
        expected = naive(kind, [], [{"k": 1, "r": 0}])
        right = raceline.from_items([{"k": 1, "r": 0}])
        left = raceline.from_items([{"k": 1, "l": 0}]).filter(expr="k > 1")
        assert left.join(right, kind, 1, on=("k",)).take_all() == expected
    assert nothing.join(orders(), "inner", 1, right_on=("user",)).count() == 0
    unknown = orders().flat_map(opaque(lambda row: []))
    rows = users().join(unknown, "left_outer", 1).take_all()
    assert seen(rows) == seen(USERS)


def test_wrong_arguments_are_named():
    for arguments, message in [
        ({"on": "id"}, "`on` must be a list or tuple of columns, got `'id'`"),
        ({"on": ()}, "`on` names no column"),
        ({"on": ("id",), "right_on": ("a", "b")}, "`on` names 1 columns and `right_on` 2"),
        ({"join_type": "outer"}, "`join_type` is `'outer'`"),
        ({"num_partitions": 0}, "`num_partitions` must be an int of at least 1, got `0`"),
        ({"left_suffix": 1}, "`left_suffix` must be a string, got `1`"),
        ({"ds": [1]}, "`join` takes a dataset, got `[1]`"),
    ]:
        given = {"ds": orders(), "join_type": "inner", "num_partitions": 1, **arguments}
        with pytest.raises(PlanError) as raised:
            users().join(**given)
        assert str(raised.value).startswith(message), arguments


def test_wrong_keys_are_named_when_asked_or_when_run():
    with pytest.raises(ColumnNotFoundError, match="no column `user`"):
        users().join(users(), "inner", 1, on=("id",), right_on=("user",), validate_schemas=True)
    texts = raceline.from_items([{"id": "1"}])
    joined = users().join(texts, "inner", 1)
    with pytest.raises(ValueError, match="cannot join `id` of type `Int64` with `id` of type"):
        joined.take_all()
    lists = raceline.from_items([{"id": [1]}])
    with pytest.raises(ValueError, match="lists, structs, maps and tensors are no keys"):
        lists.join(lists, "inner", 1).take_all()


def test_explain_tells_the_join(capsys):
    users().join(orders(), "left_outer", 1, on=("id",), right_on=("user",)).explain()
    assert "stage 2: Join(left_outer, id = user)" in capsys.readouterr().out
