"""Expressions that stages compute: row values, downloads, windows; pivots and asof joins."""

import datetime
import http.server
import random as python_random
import threading
import typing
import uuid as python_uuid

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import raceline
from raceline.data.datatype import DataType
from raceline.data.expressions import (
    MonotonicallyIncreasingIdExpr,
    col,
    dense_rank,
    download,
    monotonically_increasing_id,
    pyarrow_udf,
    random,
    rank,
    row_number,
    uuid,
)
from raceline.errors import ColumnNotFoundError, PlanError


def test_functions_of_arrow_arrays_run_in_expressions():
    @pyarrow_udf(DataType.int64())
    def doubled(values):
        assert isinstance(values, pa.Array)
        return pc.multiply(values, 2)

    rows = raceline.range(4).with_column("n", doubled(col("id")) + 1)
    assert [row["n"] for row in rows.take_all()] == [1, 3, 5, 7]

    @pyarrow_udf(return_dtype=DataType.string())
    class Joined:
        def __init__(self, mark):
            self.mark = mark

        def __call__(self, values):
            return pc.binary_join_element_wise(pc.cast(values, pa.string()), "x", self.mark)

    rows = raceline.range(2).with_column("t", Joined("-")(col("id")))
    assert [row["t"] for row in rows.take_all()] == ["0-x", "1-x"]


def test_rows_are_numbered_in_order_whatever_the_batches():
    rows = raceline.range(10_000).map_batches(lambda batch: batch, batch_size=77)
    made = rows.with_column("n", monotonically_increasing_id())
    assert all(row["id"] == row["n"] for row in made.take_all())
    assert made.columns() == ["id", "n"]
    kept = raceline.range(100).filter(expr=monotonically_increasing_id() % 10 == 3)
    assert [row["id"] for row in kept.take_all()] == list(range(3, 100, 10))
    assert isinstance(monotonically_increasing_id(), MonotonicallyIncreasingIdExpr)
    both = (
        raceline.range(3).union(raceline.range(2)).with_column("n", monotonically_increasing_id())
    )
    assert [row["n"] for row in both.take_all()] == [0, 1, 2, 3, 4]
    assert made.limit(2).take_all() == [{"id": 0, "n": 0}, {"id": 1, "n": 1}]


def numbers(rows, expr):
    return [row["r"] for row in rows.with_column("r", expr).take_all()]


def test_random_numbers_depend_on_seed_and_place():
    small = raceline.range(5000).map_batches(lambda batch: batch, batch_size=33)
    fixed = random(seed=5, reseed_after_execution=False)
    first = numbers(raceline.range(5000), fixed)
    assert first == numbers(small, fixed) and len(set(first)) == 5000
    assert all(0 <= one < 1 for one in first)
    assert first != numbers(small, random(seed=6, reseed_after_execution=False))
    again = raceline.range(50).with_column("r", random(seed=5))
    assert again.take_all() != again.take_all()
    free = raceline.range(50).with_column("r", random())
    assert free.take_all() != free.take_all()
    pair = raceline.range(50).with_columns({"a": random(), "b": random()}).take_all()
    assert any(row["a"] != row["b"] for row in pair)
    one = raceline.range(50).with_column("a", random()).with_column("b", random()).take_all()
    assert any(row["a"] != row["b"] for row in one)
    with pytest.raises(PlanError, match=r"`seed` must be an int of at least 0"):
        random(seed=-1)


def test_uuids_are_distinct():
    keys = [row["k"] for row in raceline.range(2000).with_column("k", uuid()).take_all()]
    assert len(set(keys)) == 2000
    assert all(python_uuid.UUID(key).version == 4 for key in keys)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by the path; `/busy` fails once before it answers."""

    seen: typing.ClassVar[dict[str, int]] = {}

    def do_GET(self):
        seen = Handler.seen[self.path] = Handler.seen.get(self.path, 0) + 1
        status = 404 if self.path == "/missing" else 200
        if self.path == "/busy" and seen == 1:
            status = 503
        self.send_response(status)
        body = self.path.encode() * (1 if self.path != "/large" else 500_000)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Keeps as many connections waiting as requests come at once."""

    request_queue_size = 256


@pytest.fixture
def server():
    Handler.seen = {}
    with Server(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_what_uris_name_is_fetched(server, tmp_path):
    file = tmp_path / "a b.bin"
    file.write_bytes(b"\x00local")
    uris = [
        f"{server}/one",
        f"{server}/missing",
        None,
        str(file),
        file.as_uri(),
        str(tmp_path / "none"),
        f"{server}/busy",
        "gopher://what",
        "http://127.0.0.1:1/closed",
        "",
    ]
    rows = raceline.from_items([{"uri": uri, "n": at} for at, uri in enumerate(uris)])
    made = rows.with_column("bytes", download("uri"))
    assert made.columns() == ["uri", "n", "bytes"]
    got = made.take_all()
    assert [row["n"] for row in got] == list(range(len(uris)))
    expected = [b"/one", None, None, b"\x00local", b"\x00local", None, b"/busy", None, None, None]
    assert [row["bytes"] for row in got] == expected
    assert Handler.seen["/busy"] == 2 and Handler.seen["/missing"] == 1


def test_many_and_large_downloads_keep_their_order(server):
    rows = raceline.range(300).map(
        lambda row: {"id": row["id"], "uri": f"/x{row['id']}" if row["id"] % 50 else "/large"}
    )
    made = rows.with_columns(
        {"size": download(col("uri").str.replace_regex("^", server)).str.byte_len()}
    )
    got = made.take_all()
    assert [row["id"] for row in got] == list(range(300))
    assert [row["size"] for row in got] == [
        len(row["uri"]) if row["id"] % 50 else 3_000_000 for row in got
    ]


def test_downloads_of_what_is_no_text_are_refused():
    with pytest.raises(PlanError, match=r"^cannot download column `id` of type `Int64`"):
        raceline.range(1).with_column("b", download("id")).schema()
    with pytest.raises(ColumnNotFoundError, match="did you mean `id`"):
        raceline.range(1).with_column("b", download("ids")).take_all()


def frame(seed, rows=200):
    draw = python_random.Random(seed)
    return pd.DataFrame(
        {
            "k": [draw.choice(["a", "b", None]) for _ in range(rows)],
            "t": draw.sample(range(10 * rows), rows),
            "v": [draw.choice([None, *range(5)]) for _ in range(rows)],
        }
    ).astype({"v": "Int64"})


def test_windows_are_those_of_pandas():
    data = frame(1)
    made = (
        raceline.from_pandas(data)
        .with_columns(
            {
                "number": row_number().over("k", "t"),
                "sum": col("v").sum().over("k", "t"),
                "all": col("v").sum().over("k"),
                "mean": (col("v") * 2).mean().over("k"),
                "least": col("v").min().over(["k"]),
                "most": col("v").max().over(["k"]),
                "count": col("v").count().over("k"),
                "before": col("t").lag().over("k", "t"),
                "behind": col("t").lead(2).over("k", "t"),
                "rank": rank().over("k", "v", descending=True),
                "dense": dense_rank().over("k", "v", descending=[True]) + 0,
            }
        )
        .to_pandas()
        .sort_values("t")
    )
    data = data.sort_values("t")
    groups = data.groupby("k", dropna=False)
    filled = data.assign(v=data["v"].fillna(0)).groupby("k", dropna=False)["v"]

    def same(name, expected):
        got = [None if pd.isna(one) else float(one) for one in made[name]]
        assert got == [None if pd.isna(one) else float(one) for one in expected], name

    same("number", groups.cumcount() + 1)
    any_yet = data.assign(v=data["v"].notna()).groupby("k", dropna=False)["v"].cumsum() > 0
    same("sum", filled.cumsum().where(any_yet))
    same("all", groups["v"].transform("sum"))
    same("least", groups["v"].transform("min"))
    same("most", groups["v"].transform("max"))
    same("count", groups["v"].transform("count"))
    same("before", groups["t"].shift(1))
    same("behind", groups["t"].shift(-2))
    assert [round(one, 9) for one in made["mean"]] == [
        round(2 * one, 9) for one in groups["v"].transform("mean")
    ]
    down = data.assign(v=-data["v"].fillna(-1)).groupby("k", dropna=False)["v"]
    same("rank", down.rank(method="min"))
    same("dense", down.rank(method="dense"))


def test_windows_refuse_what_has_no_meaning():
    with pytest.raises(PlanError, match=r"^`row_number\(\)` needs an order"):
        row_number().over("k")
    with pytest.raises(PlanError, match=r"^2 directions are given for 1 keys"):
        rank().over("k", "t", descending=[True, False])
    with pytest.raises(PlanError, match="a column or an expression is needed, got `3`"):
        rank().over("k", [3])
    with pytest.raises(PlanError, match=r"`n` must be an int of at least 0"):
        col("v").lag(-1)
    odd = raceline.from_items([{'a"b': 2, "c d": 1}])
    made = odd.with_column("r", col('a"b').sum().over("c d"))
    assert made.take_all() == [{'a"b': 2, "c d": 1, "r": 2}]


@pytest.mark.parametrize("aggregate", ["sum", "mean", "min", "max", "count"])
def test_pivots_are_those_of_pandas(aggregate):
    data = frame(2).dropna(subset=["v"]).astype({"v": "int64"}).assign(d=lambda f: f["t"] % 4)
    got = raceline.from_pandas(data).pivot("d", columns="k", values="v", aggregate=aggregate)
    got = got.sort("d").to_pandas().set_index("d")
    assert list(got.columns) == ["a", "b", "None"]
    named = data.assign(k=data["k"].fillna("None"))
    expected = named.pivot_table(index="d", columns="k", values="v", aggfunc=aggregate)
    for name in got.columns:
        assert [round(one, 9) for one in got[name]] == [round(one, 9) for one in expected[name]]


def test_pivots_refuse_what_has_no_meaning():
    rows = raceline.from_items([{"a": 1, "b": "a", "c": 2}])
    with pytest.raises(PlanError, match=r"^`pivot` has no aggregate `first`"):
        rows.pivot("a", columns="b", values="c", aggregate="first")
    with pytest.raises(PlanError, match=r"^column `a` would occur twice"):
        rows.pivot("a", columns="b", values="c")
    floats = raceline.from_items([{"i": 1, "k": 0.5, "v": 1}, {"i": 1, "k": float("nan"), "v": 2}])
    assert floats.pivot("i", columns="k", values="v").take_all() == [{"i": 1, "0.5": 1, "None": 2}]


@pytest.mark.parametrize("direction", ["backward", "forward", "nearest"])
@pytest.mark.parametrize("tolerance", [None, 7])
@pytest.mark.parametrize("by", [None, "k"])
def test_asof_joins_are_those_of_pandas(direction, tolerance, by):
    left = frame(3, 120).dropna(subset=["k"]).drop(columns="v").sort_values("t")
    right = frame(4, 150).dropna(subset=["k"]).sort_values("t")
    if by is None:
        right = right.drop(columns="k")
    expected = pd.merge_asof(
        left, right, on="t", by=by, direction=direction, tolerance=tolerance
    ).sort_values(["t", "k"])
    joined = raceline.from_pandas(left).join_asof(
        raceline.from_pandas(right),
        on="t",
        by=by or (),
        direction=direction,
        tolerance=tolerance,
    )
    got = joined.to_pandas().sort_values(["t", "k"])
    assert list(got.columns) == ["k", "t", "v"]
    assert got[["k", "t"]].to_numpy().tolist() == expected[["k", "t"]].to_numpy().tolist()
    values = [[None if pd.isna(one) else int(one) for one in side["v"]] for side in (got, expected)]
    assert values[0] == values[1] and any(one is not None for one in values[0])


def test_asof_joins_of_times_nulls_and_names():
    at = datetime.datetime(2024, 1, 1)
    hour = datetime.timedelta(hours=1)
    left = raceline.from_items([{"t": at + hour, "v": 1}, {"t": None, "v": 2}])
    right = raceline.from_items([{"t": at, "v": 10}, {"t": None, "v": 20}])
    joined = left.join_asof(right, on="t", tolerance=hour, right_suffix="_r")
    assert sorted(row["v_r"] or 0 for row in joined.take_all()) == [0, 10]
    near = left.join_asof(right, on="t", tolerance=hour / 2, right_suffix="_r")
    assert [row["v_r"] for row in near.take_all()] == [None, None]
    with pytest.raises(PlanError, match=r"^both sides of the join have a column `v`"):
        left.join_asof(right, on="t")
    with pytest.raises(ColumnNotFoundError, match=r"^no column `w`"):
        left.join_asof(right, on="t", by="w")
    with pytest.raises(PlanError, match=r"^an asof join has no direction `up`"):
        left.join_asof(right, on="t", direction="up")
