"""Queries give what DuckDB gives for them, over random tables with nulls, NaN and empty strings."""

import math
import random
from collections import Counter
from decimal import Decimal

import duckdb
import pyarrow as pa
import pytest
from opaque import opaque

import raceline

ROWS = 400


def random_table(seed, rows):
    """Keys with repetitions, numbers, text and flags, a fifth of them missing."""
    rng = random.Random(seed)

    def maybe(value):
        return None if rng.random() < 0.2 else value

    return pa.table(
        {
            "k": pa.array([maybe(rng.randrange(12)) for _ in range(rows)], pa.int64()),
            "n": pa.array([maybe(rng.randrange(-50, 50)) for _ in range(rows)], pa.int32()),
            "x": pa.array(
                [
                    maybe(rng.choice([0.5, -1.25, 3.0, 7.75, math.nan, math.inf]))
                    for _ in range(rows)
                ],
                pa.float64(),
            ),
            "s": pa.array([maybe(rng.choice(["", "a", "b", "abc", "é"])) for _ in range(rows)]),
            "b": pa.array([maybe(rng.random() < 0.5) for _ in range(rows)], pa.bool_()),
            "id": pa.array(range(rows), pa.int64()),
        }
    )


T = random_table(1, ROWS)
U = random_table(2, ROWS // 4)
EMPTY = T.slice(0, 0)

QUERIES = [
    "select * from t",
    "select k, n from t where n > 10",
    "select id from t where s = 'a' or b",
    "select id from t where not (n > 10)",
    "select id from t where s is null and x is not null",
    "select id from t where k in (1, 2, 3)",
    "select id from t where k not in (1, 2, 3)",
    "select id from t where n between -5 and 5",
    "select id from t where s like 'a%'",
    "select id, coalesce(n, 0) + 1 as m, n * 2 - k as d from t",
    "select id, case when n > 0 then 'p' when n < 0 then 'm' else 'z' end as sign from t",
    "select id, upper(s) as u, length(s) as l, s || '!' as e from t",
    "select id, abs(n) as a, nullif(k, 3) as q from t",
    "select id, n % 7 as r from t where n >= 0",
    "select id, cast(n as varchar) as v, cast(k as double) as w from t",
    "select distinct k from t",
    "select distinct k, b from t",
    "select distinct x from t",
    "select count(*) as c, count(n) as cn, count(distinct s) as ds from t",
    "select sum(n) as s, min(n) as lo, max(n) as hi, avg(n) as m from t",
    "select min(s) as lo, max(s) as hi, min(b) as lb from t",
    "select min(x) as lo, max(x) as hi from t",
    "select k, count(*) as c, sum(n) as s from t group by k",
    "select k, b, avg(n) as m from t group by k, b",
    "select x, count(*) as c from t group by x",
    "select s, max(id) as hi from t group by s having count(*) > 20",
    "select k % 3 as m, count(*) as c from t group by k % 3",
    "select k, count(distinct n) as d from t group by k",
    "select k, sum(n) filter (where b) as sb from t group by k",
    "select k, b, count(*) as c from t group by rollup (k, b)",
    "select k, b, count(*) as c from t group by grouping sets ((k), (b), ())",
    "select k, bool_or(b) as o, bool_and(b) as a from t group by k",
    "select stddev(n) as sd, var_pop(n) as vp from t",
    "select median(n) as m from t",
    "select t.id, u.id as other from t join u on t.k = u.k",
    "select t.id, u.id as other from t left join u on t.k = u.k and u.n > 0",
    "select t.id, u.id as other from t right join u on t.n = u.n",
    "select t.id, u.id as other from t full join u on t.n = u.n",
    "select t.id, u.id as other from t cross join (select id from u where id < 3) u",
    "select t.id, u.id as other from t join u on t.n < u.n where t.id < 40",
    "select t.id, u.id as other from t left join u on t.n > u.n + 80",
    "select k, t.id, u.id as other from t join u using (k) where t.id < 50",
    "select t.id from t where exists (select 1 from u where u.k = t.k and u.b)",
    "select t.id from t where not exists (select 1 from u where u.n = t.n)",
    "select t.id from t where k in (select k from u where n > 20)",
    "select t.id from t where n not in (select n from u where n is not null)",
    "select t.id from t where n not in (select n from u)",
    "select t.id from t where n > (select avg(n) from u)",
    "select t.id, (select max(u.n) from u where u.k = t.k) as m from t",
    "select t.id from t where t.n >= (select max(u.n) from u where u.k = t.k)",
    "select a.id, b.id as other from t a join t b on a.n = b.n and a.id < b.id",
    "select t.id from t join u on t.x = u.x where t.id < 30",
    "select k from t union select k from u",
    "select k from t union all select k from u",
    "select k from t intersect select k from u where n > 0",
    "select k from t except select k from u where n > 0",
    "with c as (select k, sum(n) as s from t group by k) select * from c where s > 0",
    "with c as (select k from t) select x.k, count(*) as n from c x join c y using (k) group by 1",
    "with recursive r(i) as (select 1 union all select i + 1 from r where i < 20) select i from r",
    "select id, row_number() over (partition by k order by id) as r from t",
    "select id, rank() over (order by n nulls last) as r from t",
    "select id, dense_rank() over (partition by b order by k nulls first) as r from t",
    "select id, sum(n) over (partition by k order by id) as s from t",
    "select id, avg(n) over (order by id rows between 2 preceding and 2 following) as m from t",
    "select id, lag(n) over (order by id) as a, lead(n, 2, 0) over (order by id) as b from t",
    "select id, first_value(n) over (partition by k order by id) as f from t",
    "select id, count(*) over (partition by s) as c from t",
    "select k, s / 1.0 as s from (select k, sum(n) as s from t group by k) q where s is not null",
    "select * from (values (1, 'x'), (2, null)) as v(a, b)",
    "select k, count(*) as c from (select * from t union all select * from u) group by k",
    "select sum(c) as s from (select count(*) as c from t group by k, s)",
]

ORDERED = [
    "select id, n from t order by n nulls last, id",
    "select id, n from t order by n desc nulls first, id limit 17",
    "select id, x from t order by x desc nulls last, id desc limit 20 offset 5",
    "select s, count(*) as c from t group by s order by c desc, s nulls last",
    "select k, sum(n) as total from t group by k order by k nulls first",
]


def plain(value):
    """A value that equals another engine's: numbers as floats of nine digits, NaN as text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float | Decimal):
        number = float(value)
        return "nan" if math.isnan(number) else float(f"{number:.9g}")
    return value


def wanted(query, t=T, u=U):
    connection = duckdb.connect()
    connection.register("t", t)
    connection.register("u", u)
    rows = connection.execute(query).fetchall()
    return [tuple(map(plain, row)) for row in rows]


def got(query, **tables):
    rows = raceline.sql(query, **tables).take_all()
    return [tuple(plain(value) for value in row.values()) for row in rows]


def test_there_are_queries():
    assert len(set(QUERIES + ORDERED)) >= 70


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_over_tables_in_memory(query):
    assert Counter(got(query, t=T, u=U)) == Counter(wanted(query))


@pytest.mark.parametrize("query", ORDERED)
def test_an_order(query):
    assert got(query, t=T, u=U) == wanted(query)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    for name, table in (("t", T), ("u", U)):
        for part in range(4):
            rows = table.num_rows // 4
            batch = raceline.from_arrow(table.slice(part * rows, rows))
            batch.write_parquet(str(folder / name))
    return folder


@pytest.mark.parametrize("query", QUERIES[::2])
def test_a_query_over_files(query, files):
    t, u = (raceline.read_parquet(str(files / name)) for name in "tu")
    assert Counter(got(query, t=t, u=u)) == Counter(wanted(query))


@pytest.mark.parametrize("query", QUERIES[1::2])
def test_a_query_over_what_functions_make(query):
    t, u = (
        raceline.from_arrow(table).map_batches(
            opaque(lambda batch: batch), batch_format="pyarrow", batch_size=37
        )
        for table in (T, U)
    )
    assert Counter(got(query, t=t, u=u)) == Counter(wanted(query))


@pytest.mark.parametrize("query", QUERIES[::3])
def test_a_query_over_an_empty_table(query):
    assert Counter(got(query, t=EMPTY, u=U)) == Counter(wanted(query, t=EMPTY))
