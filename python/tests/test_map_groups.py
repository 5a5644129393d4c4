"""`GroupedData.map_groups` and `repartition(keys=)` against pandas and plain Python."""

import collections
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import raceline
from raceline.data.expressions import col
from raceline.errors import PlanError, UdfError


def random_table(seed, rows=400):
    rng = np.random.default_rng(seed)
    keys = rng.integers(0, 6, rows).astype(object)
    keys[rng.random(rows) < 0.1] = None
    floats = rng.integers(0, 3, rows).astype(float)
    floats[rng.random(rows) < 0.2] = math.nan
    nulls = rng.random(rows) < 0.1
    return pa.table(
        {
            "k": pa.array([None if key is None else f"key {key}" for key in keys]),
            "f": pa.array(floats, mask=nulls),
            "v": pa.array(rng.integers(-100, 100, rows)),
        }
    )


def parts_of(table, rows):
    return [table.slice(first, rows) for first in range(0, len(table), rows)]


def normal(value):
    return None if value is None or value != value else value


@pytest.mark.parametrize("rows", [17, 400])
@pytest.mark.parametrize("keys", [["k"], ["f"], ["k", "f"]])
def test_against_pandas(rows, keys):
    table = random_table(3)

    def summed(group):
        first = {key: group[key].to_pylist()[:1] for key in keys}
        return pa.table({**first, "sum": [sum(group["v"].to_pylist())], "rows": [len(group)]})

    found = (
        raceline.from_arrow(parts_of(table, rows))
        .groupby(keys)
        .map_groups(summed, batch_format="pyarrow")
        .take_all()
    )
    found = {tuple(normal(row[key]) for key in keys): (row["sum"], row["rows"]) for row in found}
    frame = table.to_pandas()
    wanted = {
        tuple(None if pd.isna(one) else one for one in key): (group["v"].sum(), len(group))
        for key, group in frame.groupby(keys, dropna=False)
    }
    assert found == wanted
    assert len(found) > 3


def test_the_rows_of_a_group_keep_their_order():
    table = random_table(5)

    def listed(group):
        return {"k": group["k"][:1], "values": [group["v"].tolist()]}

    groups = raceline.from_arrow(parts_of(table, 30)).groupby("k").map_groups(listed)
    wanted = collections.defaultdict(list)
    for row in table.to_pylist():
        wanted[row["k"]].append(row["v"])
    assert {row["k"]: row["values"] for row in groups.take_all()} == wanted


def test_batch_formats():
    rows = raceline.from_items([{"k": 1, "v": 2}, {"k": 1, "v": 4}])
    seen = {
        None: lambda group: {"kind": [type(group).__name__], "sum": [sum(group["v"].to_pylist())]},
        "pyarrow": lambda group: {"kind": [type(group).__name__], "sum": [len(group) * 3]},
        "pandas": lambda group: {"kind": [type(group).__name__], "sum": [int(group["v"].sum())]},
        "numpy": lambda group: {"kind": [type(group["v"]).__name__], "sum": [group["v"].sum()]},
        "default": lambda group: {"kind": [type(group["v"]).__name__], "sum": [group["v"].sum()]},
    }
    kinds = {None: "Table", "pyarrow": "Table", "pandas": "DataFrame"}
    for form, function in seen.items():
        found = rows.groupby("k").map_groups(function, batch_format=form).take_all()
        assert found == [{"kind": kinds.get(form, "ndarray"), "sum": 6}], form


def test_frames_begin_at_row_zero_whatever_their_columns_are_called():
    rows = raceline.from_items([{"slice": at % 2, "iloc": at} for at in range(6)])

    def told(group):
        return pd.DataFrame({"index": [list(group.index)], "sum": [group["iloc"].sum()]})

    found = rows.groupby("slice").map_groups(told, batch_format="pandas").sort("sum").take_all()
    assert found == [{"index": [0, 1, 2], "sum": 6}, {"index": [0, 1, 2], "sum": 9}]


def test_what_a_function_may_return():
    rows = raceline.range(6).map(lambda row: {"k": row["id"] % 2, "id": row["id"]})

    def yields(group):
        for value in group["id"]:
            yield {"id": [value]}

    def frames(group):
        return iter([pd.DataFrame({"id": group["id"]}), pa.table({"id": [100]})])

    def chosen(group):
        return {"id": group["id"][group["id"] > 3]}

    def ids(function):
        return sorted(rows.groupby("k").map_groups(function).take_all(), key=lambda row: row["id"])

    assert [row["id"] for row in ids(yields)] == [0, 1, 2, 3, 4, 5]
    assert [row["id"] for row in ids(frames)] == [0, 1, 2, 3, 4, 5, 100, 100]
    assert [row["id"] for row in ids(chosen)] == [4, 5]
    with pytest.raises(ValueError, match="returned `list` for a batch"):
        ids(lambda group: [{"id": group["id"]}])
    with pytest.raises(ValueError, match="returned None for a batch"):
        ids(lambda group: None)


def test_a_buffer_that_a_function_uses_again_is_no_trap():
    class Reuses:
        def __init__(self):
            self.buffer = np.zeros(1)

        def __call__(self, group):
            self.buffer[0] = group["v"].sum()
            return {"sum": self.buffer}

    rows = raceline.from_items([{"k": row % 5, "v": row} for row in range(20)])
    found = rows.groupby("k").map_groups(Reuses, concurrency=1).take_all()
    assert sorted(row["sum"] for row in found) == [30.0, 34.0, 38.0, 42.0, 46.0]


def test_classes_are_constructed_with_their_arguments():
    class Scale:
        def __init__(self, factor, offset=0):
            self.factor, self.offset = factor, offset

        def __call__(self, group, more, power=1):
            return {"v": [(group["v"].sum() * self.factor + self.offset + more) ** power]}

    rows = raceline.from_items([{"k": 0, "v": 1}, {"k": 0, "v": 2}])
    found = rows.groupby("k").map_groups(
        Scale,
        fn_constructor_args=[10],
        fn_constructor_kwargs={"offset": 1},
        fn_args=[2],
        fn_kwargs={"power": 2},
        concurrency=2,
    )
    assert found.take_all() == [{"v": 33**2}]


def test_no_key_is_one_group_and_no_row_is_none():
    everything = raceline.range(1000).groupby(None)
    assert everything.map_groups(lambda g: {"n": [len(g["id"])]}).take_all() == [{"n": 1000}]
    nothing = raceline.range(10).filter(expr=col("id") > 10)
    assert nothing.groupby(None).map_groups(lambda g: {"n": [1]}).take_all() == []
    assert nothing.groupby("id").map_groups(lambda g: {"n": [1]}).take_all() == []


def test_a_key_of_a_function_and_of_nested_values():
    halves = raceline.range(10).groupby(lambda row: row["id"] // 5)
    found = halves.map_groups(lambda g: {"key": g["key"][:1], "n": [len(g["id"])]}).take_all()
    assert sorted(map(repr, found)) == ["{'key': 0, 'n': 5}", "{'key': 1, 'n': 5}"]
    lists = raceline.from_items([{"k": [1]}, {"k": [1, 2]}, {"k": [1]}, {"k": None}])
    found = lists.groupby("k").map_groups(lambda g: {"n": [g.num_rows]}, batch_format="pyarrow")
    assert sorted(row["n"] for row in found.take_all()) == [1, 1, 2]


def test_tensors_strings_and_objects_come_whole():
    images = np.arange(24).reshape(4, 2, 3)
    rows = raceline.from_items(
        [{"k": at % 2, "image": images[at], "text": f"t{at}", "any": {1, at}} for at in range(4)]
    )

    def told(group):
        return {
            "shape": [list(group["image"].shape)],
            "text": ["".join(group["text"])],
            "any": [len(group["any"][0] | group["any"][1])],
        }

    found = sorted(rows.groupby("k").map_groups(told).take_all(), key=lambda row: row["text"])
    assert found == [
        {"shape": [2, 2, 3], "text": "t0t2", "any": 3},
        {"shape": [2, 2, 3], "text": "t1t3", "any": 2},
    ]


def test_an_error_names_the_group():
    def fails(group):
        if group["k"][0] == 3:
            raise KeyError("no such thing")
        return group

    rows = raceline.from_items([{"k": row % 5, "v": row} for row in range(20)])
    with pytest.raises(KeyError, match=r"in the group \{'k': 3\}") as caught:
        rows.groupby("k").map_groups(fails).take_all()
    assert isinstance(caught.value, UdfError)
    assert "MapGroups(fails)" in str(caught.value)
    with pytest.raises(KeyError, match=r"in the group \{'k': 3\}"):
        rows.groupby("k").map_groups(fails, debug=True).take_all()

    def kept(group):
        if group["k"][0] == 3:
            raise ValueError("as it iterates")
        yield group

    with pytest.raises(ValueError, match=r"in the group \{'k': 3\}"):
        rows.groupby("k").map_groups(kept).take_all()


def test_bad_arguments():
    rows = raceline.range(3)
    with pytest.raises(PlanError, match=r"column `id` is named twice"):
        rows.groupby(["id", "id"])
    with pytest.raises(PlanError, match=r"`num_partitions` must be an int of at least 1"):
        rows.groupby("id", 0)
    with pytest.raises(PlanError, match="`map_groups` needs a function or callable class"):
        rows.groupby("id").map_groups(3)
    with pytest.raises(PlanError, match="there is no batch format `'xml'`"):
        rows.groupby("id").map_groups(len, batch_format="xml")

    async def later(group):
        return group

    with pytest.raises(PlanError, match="`async def`, which `map_groups` does not take"):
        rows.groupby("id").map_groups(later)
    with pytest.raises(PlanError, match="no column `idd`"):
        rows.groupby("idd").map_groups(lambda g: g).take_all()


def test_many_groups_travel_together():
    rows = raceline.range(100_000).map(lambda row: {"k": row["id"] % 20_000, "id": row["id"]})
    summed = rows.groupby("k").map_groups(lambda g: {"k": g["k"][:1], "sum": [g["id"].sum()]})
    assert summed.sum("sum") == sum(range(100_000))
    assert summed.count() == 20_000


def batches_of(dataset):
    return [batch["k"].tolist() for batch in dataset.iter_batches(batch_size=None)]


@pytest.mark.parametrize("parts", [1, 3, 50])
def test_rows_of_a_key_are_in_one_part(parts):
    rows = raceline.from_arrow(parts_of(random_table(7), 13)).drop_columns("f")
    cut = rows.repartition(parts, keys=["k"])
    batches = batches_of(cut)
    assert 1 <= len(batches) <= parts
    homes = collections.defaultdict(set)
    for at, batch in enumerate(batches):
        for key in batch:
            homes[key].add(at)
    assert all(len(where) == 1 for where in homes.values())
    assert len(homes) == 7
    assert collections.Counter(map(str, cut.take_all())) == collections.Counter(
        map(str, rows.take_all())
    )


def test_parts_are_sorted():
    rows = raceline.from_items([{"k": value} for value in [3.0, None, 1.0, math.nan, 2.0, 1.0]])
    [batch] = batches_of(rows.repartition(1, keys=["k"], sort=True))
    assert batch[:4] == [1.0, 1.0, 2.0, 3.0]
    assert all(math.isnan(value) for value in batch[4:])
    assert rows.repartition(1, keys="k").take(1) == [{"k": 3.0}]


def test_shuffled_parts():
    cut = raceline.range(1000).repartition(4, shuffle=True)
    batches = [batch["id"].tolist() for batch in cut.iter_batches(batch_size=None)]
    assert [len(batch) for batch in batches] == [250] * 4
    rows = [row for batch in batches for row in batch]
    assert sorted(rows) == list(range(1000))
    assert rows != list(range(1000))
    again = [row["id"] for row in cut.take_all()]
    assert again == rows


def test_boundaries_of_a_sort_change_nothing():
    rows = raceline.range(10)
    assert rows.sort("id", True, boundaries=[3, 7.5]).take(2) == [{"id": 9}, {"id": 8}]
    with pytest.raises(PlanError, match="`boundaries` must be a list of numbers, got `\\['a'\\]`"):
        rows.sort("id", boundaries=["a"])


def test_bad_repartitions():
    rows = raceline.range(3)
    with pytest.raises(PlanError, match="`sort` goes with `keys`"):
        rows.repartition(2, sort=True)
    with pytest.raises(PlanError, match="`keys` must name a column"):
        rows.repartition(2, keys=[])
    with pytest.raises(PlanError, match="go with `num_blocks`"):
        rows.repartition(target_num_rows_per_block=2, keys=["id"])
    with pytest.raises(PlanError, match="`shuffle` must be True or False"):
        rows.repartition(2, shuffle="yes")
    with pytest.raises(PlanError, match="no column `ids`"):
        rows.repartition(2, keys=["ids"]).take_all()


TIGHT = """
import numpy as np
import raceline

raceline.init(memory=64 << 20)
rows = 600_000
data = raceline.range(rows).map_batches(
    lambda b: {"k": b["id"] % 997, "pad": np.zeros((len(b["id"]), 20), dtype=np.int64)}
)
found = data.groupby("k").map_groups(
    lambda g: {"k": g["k"][:1], "n": [len(g["k"])], "zero": [int(g["pad"].sum())]}
)
counts = {row["k"]: row["n"] for row in found.take_all()}
assert counts == {k: len(range(k, rows, 997)) for k in range(997)}, len(counts)
try:
    data.groupby(None).map_groups(lambda g: {"n": [1]}).take_all()
except raceline.errors.ResourceError as error:
    assert "group of all rows has 600000 rows" in str(error), error
else:
    raise AssertionError("it fitted")
print("done")
"""


def test_little_memory():
    done = subprocess.run(
        [sys.executable, "-c", TIGHT], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
