"""Functions of Python in queries: what may be one, where it may be called, how often, and what is
said of mistakes."""

import datetime
import pickle
import random
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from opaque import opaque

import raceline
from raceline.data.datatype import DataType
from raceline.data.expressions import col, udf
from raceline.errors import PlanError, UdfError


def add_one(number: int) -> int:
    return number + 1


@raceline.sql_function
def double(number: int) -> int:
    return number * 2


@raceline.sql_function
def keep(number: int) -> bool:
    return number % 3 != 0


@udf(DataType.int64())
def triple(numbers):
    return pc.multiply(numbers, 3)


def values(dataset, column="v"):
    return sorted((row[column] for row in dataset.take_all()), key=lambda one: (one is None, one))


# What may be a function.


def test_a_given_function():
    made = raceline.sql(
        "select add_one(id) as v from t", t=raceline.range(4), functions={"add_one": add_one}
    )
    assert values(made) == [1, 2, 3, 4]
    assert made.schema().types == [pa.int64()]


def test_functions_of_the_caller():
    own = raceline.sql_function(lambda n: n - 1, return_type=DataType.int64())  # noqa: F841
    t = raceline.range(4)  # noqa: F841
    assert values(raceline.sql("select own(id) as v from t")) == [-1, 0, 1, 2]
    assert values(raceline.sql("select double(id) as v from t")) == [0, 2, 4, 6]
    assert values(raceline.sql("select triple(id) as v from t")) == [0, 3, 6, 9]


def test_functions_of_a_dataset_and_in_any_case():
    made = raceline.range(3).sql(
        "select Add_ONE(id) as v from self", functions={"Add_One": add_one}
    )
    assert values(made) == [1, 2, 3]
    assert values(raceline.range(3).sql("select DOUBLE(id) as v from self")) == [0, 2, 4]


def test_a_table_of_the_name_functions():
    assert values(raceline.sql("select id as v from functions", functions=raceline.range(2))) == [
        0,
        1,
    ]


def test_python_calls_it_as_before():
    assert double(4) == 8
    assert double.__name__ == "double"
    assert repr(double) == "SqlFunction(double)"


def test_objects_that_workers_make():
    @udf(DataType.int64())
    class Plus:
        def __init__(self, summand):
            self.summand = summand

        def __call__(self, numbers):
            return pc.add(numbers, self.summand)

    made = raceline.range(3).sql("select plus(id) as v from self", functions={"plus": Plus(5)})
    assert values(made) == [5, 6, 7]


def test_functions_that_await():
    @udf(DataType.int64())
    async def later(numbers):
        return pc.add(numbers, 1)

    assert values(raceline.range(3).sql("select later(id) as v from self")) == [1, 2, 3]


def test_demands_reach_the_stage():
    big = raceline.sql_function(add_one, num_cpus=1000)  # noqa: F841
    with pytest.raises(raceline.errors.ResourceError, match=r"MapBatches\(big\)"):
        raceline.range(3).sql("select big(id) as v from self").take_all()


# Types.


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        (int, 3, pa.int64()),
        (float, 0.5, pa.float64()),
        (str, "a", pa.string()),
        (bytes, b"a", pa.binary()),
        (bool, True, pa.bool_()),
        (int | None, None, pa.int64()),
        (list[str], ["a", None], pa.list_(pa.string())),
        (list[list[float]], [[0.5], []], pa.list_(pa.list_(pa.float64()))),
        (datetime.date, datetime.date(2026, 1, 2), pa.date32()),
        (datetime.datetime, datetime.datetime(2026, 1, 2, 3), pa.timestamp("us")),
        (datetime.timedelta, datetime.timedelta(seconds=3), pa.duration("us")),
        (np.float32, 0.5, pa.float32()),
        (pa.int8(), 3, pa.int8()),
        (DataType.struct([("x", DataType.int64())]), {"x": 1}, pa.struct([("x", pa.int64())])),
    ],
)
def test_types_of_results(declared, value, expected):
    made = raceline.range(2).sql(
        "select f(id) as v from self",
        functions={"f": raceline.sql_function(lambda _: value, return_type=declared)},
    )
    assert made.schema().types == [expected]
    assert [row["v"] for row in made.take_all()] == [value, value]


def test_values_of_arguments_are_those_of_python():
    row = {
        "i": 1,
        "f": 0.5,
        "s": "a",
        "b": b"x",
        "l": [1, 2],
        "d": datetime.date(2026, 1, 2),
        "m": {"x": 1},
        "n": None,
    }
    told = raceline.sql_function(lambda *given: repr(given), return_type=str, called_on_null=True)  # noqa: F841
    made = raceline.from_items([row]).sql("select told(i, f, s, b, l, d, m, n) as v from self")
    assert values(made) == [repr(tuple(row.values()))]


def test_strings_of_files_are_strings(tmp_path):
    raceline.from_items([{"s": "ab"}, {"s": None}]).write_parquet(str(tmp_path))

    @raceline.sql_function
    def shout(text: str) -> str:
        return text.upper()

    made = raceline.sql(f"select s, shout(s) as v, s || shout(s) as w from '{tmp_path}/*.parquet'")
    rows = sorted(made.take_all(), key=str)
    assert rows == [{"s": "ab", "v": "AB", "w": "abAB"}, {"s": None, "v": None, "w": None}]


# Nulls.


def test_functions_are_not_called_on_null():
    calls_none = raceline.sql_function(lambda a, b: f"{a}{b}", return_type=str, called_on_null=True)  # noqa: F841
    skips_none = raceline.sql_function(lambda a, b: f"{a}{b}", return_type=str)  # noqa: F841
    rows = raceline.from_items([{"a": 1, "b": None}, {"a": 2, "b": 3}])
    made = rows.sql("select calls_none(a, b) as c, skips_none(a, b) as s from self order by a")
    assert made.take_all() == [{"c": "1None", "s": None}, {"c": "23", "s": "23"}]


def test_nan_is_a_value():
    told = raceline.sql_function(lambda a: a != a, return_type=bool)  # noqa: F841
    rows = raceline.from_items([{"a": float("nan")}, {"a": 1.0}])
    assert values(rows.sql("select told(a) as v from self")) == [False, True]


# Where calls may be.


QUERIES = [
    "select {double}(id) as a, {triple}(id) as b, id from t",
    "select {double}(id) + {double}(id) * 2 as a from t",
    "select {double}({triple}({double}(id))) as a from t",
    "select id from t where {keep}(id)",
    "select id from t where id > 10 and {keep}(id) and {double}(id) < 60",
    "select id from t where not {keep}(id) or id = 4",
    "select {double}(id) as a from t where {double}(id) > 20",
    "select {double}(id % 5) as a, count(*) as n from t group by 1",
    "select {double}(id % 5) as a, count(*) as n from t group by {double}(id % 5)",
    "select sum({double}(id)) as a, max({triple}(id)) as b from t",
    "select id % 3 as k, sum({double}(id)) as a from t group by 1 having {keep}(sum(id))",
    "select id % 3 as k, {double}(sum(id)) as a from t group by 1",
    "select id from t order by {double}(-id) limit 5",
    "select {double}(id) as a from t order by a desc limit 5",
    "select {double}(id) as a from t limit 0",
    "select distinct {double}(id % 4) as a from t",
    "select id, sum({double}(id)) over (partition by {keep}(id)) as a from t",
    "select id, row_number() over (order by {double}(-id)) as a from t",
    "select t.id, u.id as other from t join u on {double}(t.id) = {triple}(u.id)",
    "select t.id, u.id as other from t left join u on {double}(t.id) = u.id",
    "select t.id, u.id as other from t left join u on t.id = u.id and {keep}(u.id)",
    "select t.id, u.id as other from t join u on {double}(t.id + u.id) = 8",
    "select t.id, u.id as o from t join u on t.id = u.id + 1 where {keep}(t.id * u.id)",
    "select t.id, u.id as o from t full join u on {triple}(t.id) = {double}(u.id)",
    "select id from t where {double}(id) in (select {triple}(id) from u)",
    "select id from t where {double}(id) not in (select id from u)",
    "select id from t where exists (select 1 from u where u.id = {double}(t.id))",
    "select id from t where exists (select 1 from u where {double}(u.id) = t.id)",
    "select id from t where id > (select max({double}(id)) / 2 from u)",
    "select id, (select max({double}(u.id)) from u where u.id = t.id) as m from t",
    "select a from (select {double}(id) as a, id from t) x where a > 10 and id < 20",
    "with c as (select {double}(id) as a from t) select c.a, d.a as b from c join c d on c.a = d.a",
    "select {double}(id) as a from t union all select {triple}(id) from u",
    "select {double}(id) as a from t intersect select {triple}(id) from u",
    "select case when id > 5 then {double}(id) else {triple}(id) end as a from t",
    "select coalesce({double}(n), -1) as a from t",
    "select {double}(n) as a, n is null as b from t",
    "select {double}(4) as a",
    "select {double}(id) as a, x.id as b, y.id as c from t x join t y using (id)",
    "select count(*) as n from (select {double}(id) from t)",
    "select {double}(min(id)) as a from t",
    "select t.*, {double}(t.id) as a from t join u on t.id = u.id",
]

BUILT_IN = {"double": "(2 * {})", "triple": "(3 * {})", "keep": "({} % 3 <> 0)"}


def built_in(query):
    """The query with expressions of SQL in place of functions."""
    while (at := query.rfind("{")) >= 0:
        close = query.index("}", at)
        depth, end = 0, close + 1
        while True:
            depth += {"(": 1, ")": -1}.get(query[end], 0)
            if depth == 0:
                break
            end += 1
        inner = query[close + 2 : end]
        name = query[at + 1 : close]
        query = query[:at] + BUILT_IN[name].replace("{}", f"({inner})") + query[end + 1 :]
    return query


@pytest.fixture(scope="module")
def tables():
    draw = random.Random(1)
    rows = [{"id": at, "n": draw.choice([None, at])} for at in range(40)]
    return {
        "t": raceline.from_items(rows),
        "u": raceline.from_items([{"id": at} for at in range(0, 30, 2)]),
    }


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("is_known", [True, False])
def test_a_call_is_as_the_built_in_expression(query, is_known, tables):
    if not is_known:
        tables = {name: one.map(opaque(lambda row: row)) for name, one in tables.items()}
    calling = query.format(double="double", triple="triple", keep="keep")
    got = raceline.sql(calling, **tables).take_all()
    expected = raceline.sql(built_in(query), **tables).take_all()
    assert got or "limit 0" in query
    if "order by" in query and "over" not in query:
        assert [list(row.values()) for row in got] == [list(row.values()) for row in expected]
    assert sorted(map(repr, got)) == sorted(map(repr, expected))


def test_files_are_scanned_with_what_the_query_needs(tmp_path, capsys):
    raceline.from_items([{"id": at, "other": "x" * at} for at in range(20)]).write_parquet(
        str(tmp_path)
    )
    made = raceline.sql(f"select double(id) as v from '{tmp_path}' where id > 16 and keep(id)")
    assert values(made) == [34, 38]
    made.explain()
    text = capsys.readouterr().out
    assert "TableScan" in text and "double(" in text
    assert "MapBatches(keep): process: a query calls it\n" in text


def test_a_result_goes_on(tables):
    made = raceline.sql("select double(id) as v from t", **tables)
    again = raceline.sql("select triple(v) as v from made where keep(v)")
    assert values(again) == [6 * at for at in range(40) if 2 * at % 3]
    assert made.filter(expr=col("v") > 70).map(lambda row: {"v": row["v"] // 2}).count() == 4
    assert made.limit(3).count() == 3


# How often functions are called.


@pytest.fixture
def counted(tmp_path):
    """A function that leaves a byte for each call, and what tells how many there were."""
    path = tmp_path / "calls"
    path.touch()

    def once(number: int) -> int:
        with path.open("ab") as file:
            file.write(b".")
        return number

    def calls():
        count = path.stat().st_size
        path.write_bytes(b"")
        return count

    return once, calls


def test_equal_calls_are_made_once(counted):
    once, calls = counted
    same = raceline.sql_function(once)  # noqa: F841
    other = raceline.sql_function(once, deterministic=False)  # noqa: F841
    t = raceline.range(10)  # noqa: F841
    raceline.sql("select same(id) as a, same(id) + 1 as b, same(id) as c from t").take_all()
    assert calls() == 10
    raceline.sql("select other(id) as a, other(id) as b from t").take_all()
    assert calls() == 20
    raceline.sql("select same(id) as a from t where same(id) > 4").take_all()
    assert calls() == 10
    raceline.sql("select a, a + 1 as b from (select other(id) as a from t) where a > 4").take_all()
    assert calls() == 10


def test_functions_get_only_rows_that_are_needed(counted):
    once, calls = counted
    same = raceline.sql_function(once)  # noqa: F841
    t = raceline.range(100)  # noqa: F841
    assert values(raceline.sql("select same(id) as v from t where id < 7")) == list(range(7))
    assert calls() == 7
    raceline.sql("select id from t where same(id) > 3 and id < 9").take_all()
    assert calls() == 9
    raceline.sql("select same(id) as v from t limit 5").take_all()
    assert calls() == 5
    assert raceline.sql("select count(*) as n from (select same(id), id from t)").take_all() == [
        {"n": 100}
    ]
    assert calls() == 0


def test_functions_without_arguments():
    numbers = iter(range(1000))
    draw = raceline.sql_function(  # noqa: F841
        lambda: next(numbers), return_type=int, deterministic=False, concurrency=1
    )
    made = raceline.range(50).sql("select draw() as v, draw() as w from self").take_all()
    assert len({row["v"] for row in made} | {row["w"] for row in made}) == 100


def test_many_batches_stream(tmp_path):
    @raceline.sql_function
    def first(number: int) -> int:
        return number + 1

    made = raceline.range(3_000_000).sql("select first(id) as v from self")
    assert sum(1 for _ in zip(range(10), made.iter_rows(), strict=False)) == 10
    total = raceline.range(200_000).sql("select sum(first(id)) as s from self").take_all()
    assert total == [{"s": 200_000 * 200_001 // 2}]


def test_a_pickled_dataset_calls_them(tables):
    made = raceline.sql("select double(id) as v from t", **tables)
    again = pickle.loads(pickle.dumps(made))
    assert values(again) == values(made)


# What is said of mistakes.


def said(query, **arguments):
    with pytest.raises(PlanError) as caught:
        raceline.sql(query, t=raceline.range(3), **arguments).take_all()
    return str(caught.value)


def test_a_number_of_arguments_is_checked_at_once():
    with pytest.raises(PlanError) as caught:
        raceline.sql("select double(id, 3) from t", t=raceline.range(3))
    assert str(caught.value) == (
        "`double` is called with 2 arguments: too many positional arguments\n"
        "  hint: it is `double(number: int) -> int`"
    )
    assert said("select triple() as v from t").startswith(
        "`triple` is called with 0 arguments: missing a required argument: 'numbers'"
    )


def test_names_of_sql_are_refused():
    assert said("select id from t", functions={"ABS": add_one}) == (
        "SQL has a function `ABS` itself\n"
        '  hint: give yours another name: `functions={"my_ABS": ...}`'
    )
    upper = raceline.sql_function(lambda s: s, return_type=str)  # noqa: F841
    with pytest.raises(PlanError, match=r"^SQL has a function `upper` itself"):
        raceline.sql("select upper('a') as v")
    for name in ("sum", "cast", "row_number"):
        assert "itself" in said("select id from t", functions={name: add_one})


def test_types_that_nobody_tells():
    assert said("select f(id) from t", functions={"f": lambda n: n}) == (
        "the type of what `<lambda>` returns is not known\n"
        "  hint: annotate it, `-> int`, or pass it: "
        "`sql_function(..., return_type=DataType.int64())`"
    )
    with pytest.raises(PlanError, match="has the type that it was given by `udf`"):
        raceline.sql_function(triple, return_type=int)


def test_what_is_no_function():
    assert said("select f(id) from t", functions={"f": 3}).startswith(
        "`sql_function` needs a function, got `3`"
    )
    with pytest.raises(PlanError, match="decorate a class with `udf`"):
        raceline.sql_function(dict, return_type=int)

    async def later(number: int) -> int:
        return number

    with pytest.raises(PlanError, match="`later` is an `async def`"):
        raceline.sql_function(later)
    assert said("select id from t", functions={3: add_one}) == (
        "names of functions must be strings, got `3`"
    )


def test_plain_functions_of_the_caller_are_told_of():
    assert said("select add_one(id) as v from t") == (
        "`add_one` is a function of Python that queries cannot call yet\n"
        "  hint: decorate it with `sql_function`, or pass it: "
        '`functions={"add_one": add_one}`'
    )


@pytest.mark.parametrize(
    ("call", "clause"),
    [
        ("double(distinct id)", "distinct"),
        ("double(id) over ()", "over"),
        ("double(id) filter (where id > 1)", "filter"),
        ("double(*)", "*"),
        ("double(number => id)", "a named argument"),
    ],
)
def test_what_only_functions_of_sql_take(call, clause):
    assert said(f"select {call} as v from t") == (
        f"`double` is called with `{clause}`, which a function of Python does not take\n"
        "  hint: it is called with the values of a row"
    )


def test_an_unknown_function_is_one_of_sql():
    assert said("select doubel(id) as v from t").startswith(
        "the query cannot be planned: invalid function 'doubel'"
    )


def test_a_function_that_fails():
    @raceline.sql_function
    def inverse(number: int) -> float:
        return 1 / number

    made = raceline.sql("select inverse(id - 1) as v from t", t=raceline.range(3))
    with pytest.raises(ZeroDivisionError) as caught:
        made.take_all()
    assert isinstance(caught.value, UdfError)
    text = str(caught.value)
    assert "MapBatches(inverse)" in text
    assert re.search(r"in `inverse\(0\)`, for row \d of its batch", text)
    assert "return 1 / number" in text


def test_a_result_of_another_type():
    wrong = raceline.sql_function(lambda n: "x" if n == 2 else n, return_type=int)
    with pytest.raises(UdfError, match=r"`wrong\(2\)` returned `'x'`, which is no int64"):
        raceline.sql(
            "select wrong(id) as v from t", t=raceline.range(3), functions={"wrong": wrong}
        ).take_all()


def test_arrays_of_another_length():
    @udf(DataType.int64())
    def short(numbers):
        return numbers[:0]

    with pytest.raises(UdfError, match=r"`short` returned 0 values for [1-3] rows"):
        raceline.sql("select short(id) as v from t", t=raceline.range(3)).take_all()


def test_calls_that_cannot_be_made():
    t = u = raceline.range(5)

    def told(query):
        with pytest.raises(PlanError) as caught:
            raceline.sql(query, t=t, u=u, functions={"double": double, "keep": keep}).take_all()
        return str(caught.value)

    assert told("select t.id from t left join u on keep(t.id + u.id)") == (
        "`keep` cannot be called over columns of both sides of an outer join\n"
        "  hint: call it in a subquery, and use its result: `select keep(...) as x from ...`"
    )
    assert told(
        "with recursive r as (select 1 as n union all select double(n) from r where n < 9) "
        "select * from r"
    ).startswith("`double` cannot be called in the part of a query that repeats")
    assert told("select * from (values (double(1)))").startswith("`double` cannot be called")


def test_frames_are_tables():
    frame = pd.DataFrame({"x": [1, 2]})  # noqa: F841
    assert values(raceline.sql("select double(x) as v from frame")) == [2, 4]
