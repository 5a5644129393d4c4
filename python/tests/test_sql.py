"""Queries in SQL: what can be a table, what comes out, and what is said of mistakes."""

import datetime
import re

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from opaque import opaque

import raceline
from raceline.errors import ColumnNotFoundError, PlanError

FRUIT = [
    {"name": "pear", "kg": 2, "Price": 1.5},
    {"name": "plum", "kg": 5, "Price": 0.5},
    {"name": "fig", "kg": None, "Price": 4.0},
]


@pytest.fixture
def fruit():
    return raceline.from_items(FRUIT)


def test_a_query_over_a_keyword():
    result = raceline.sql(
        "select name, kg from t where kg >= 2 order by kg desc", t=pd.DataFrame(FRUIT)
    )
    assert result.take_all() == [{"name": "plum", "kg": 5.0}, {"name": "pear", "kg": 2.0}]


def test_variables_of_the_caller_are_tables(fruit):
    rows = raceline.sql("select count(*) as n from fruit").take_all()
    assert rows == [{"n": 3}]


GLOBAL_TABLE = pa.table({"x": [1, 2]})


def test_globals_of_the_caller_are_tables():
    assert raceline.sql('select sum(x) as s from "GLOBAL_TABLE"').take_all() == [{"s": 3}]
    assert raceline.sql("select sum(x) as s from global_table").take_all() == [{"s": 3}]


def test_keywords_go_before_variables(fruit):
    assert raceline.sql("select count(*) as n from fruit", fruit=raceline.range(7)).take_all() == [
        {"n": 7}
    ]


def test_variables_that_are_no_tables_are_passed_over():
    GLOBAL_TABLE = "text"  # noqa: N806, F841
    assert raceline.sql("select sum(x) as s from global_table").take_all() == [{"s": 3}]


@pytest.mark.parametrize(
    "table",
    [
        pa.table({"a": [1, 2]}),
        pa.record_batch({"a": [1, 2]}),
        pd.DataFrame({"a": [1, 2]}),
        pl.DataFrame({"a": [1, 2]}),
        pl.LazyFrame({"a": [1, 2]}),
        raceline.from_items([{"a": 1}, {"a": 2}]),
    ],
    ids=lambda table: type(table).__name__,
)
def test_tables_of_many_kinds(table):
    assert raceline.sql("select sum(a) as s from t", t=table).take_all() == [{"s": 3}]


def test_the_dataset_is_self(fruit):
    assert fruit.sql("select name from self where kg = 2").take_all() == [{"name": "pear"}]


def test_the_dataset_joins_others(fruit):
    colours = [{"name": "plum", "colour": "blue"}]
    joined = fruit.sql(
        "select self.name, colour from self join c using (name)", c=raceline.from_items(colours)
    )
    assert joined.take_all() == colours


def test_columns_are_found_in_any_case(fruit):
    rows = fruit.sql(
        "select PRICE, self.price + 1 as more from self where price > 1 order by price"
    )
    assert rows.take_all() == [{"Price": 1.5, "more": 2.5}, {"Price": 4.0, "more": 5.0}]


def test_names_that_the_query_makes_are_its_own(fruit):
    rows = fruit.sql("select kg as price from self where kg is not null order by price desc")
    assert rows.take_all() == [{"price": 5}, {"price": 2}]


def test_computed_columns_are_named_by_their_text(fruit):
    assert fruit.sql("select sum(kg), count(*), max(kg) + 1 from self").take_all() == [
        {"sum(kg)": 7, "count(*)": 3, "max(kg) + 1": 6}
    ]


def test_columns_of_one_name_are_numbered():
    t, s = raceline.range(2), raceline.range(2)
    joined = raceline.sql("select * from t join s on t.id = s.id order by t.id", t=t, s=s)
    assert joined.take_all() == [{"id": 0, "id_1": 0}, {"id": 1, "id_1": 1}]


def test_files_are_tables(tmp_path, fruit):
    fruit.write_parquet(str(tmp_path / "parquet"))
    fruit.write_csv(str(tmp_path / "csv"))
    fruit.write_json(str(tmp_path / "json"))
    for pattern in ("parquet/*.parquet", "parquet/", "csv/*.csv", "json/*.json"):
        query = f"select name from '{tmp_path}/{pattern}' where kg > 2"
        assert raceline.sql(query).take_all() == [{"name": "plum"}], pattern


def test_files_join_tables(tmp_path, fruit):
    fruit.write_parquet(str(tmp_path))
    query = f"""
        select f.name, t.id from t join '{tmp_path}/*.parquet' f on t.id = f.kg order by 2
    """
    assert raceline.sql(query, t=raceline.range(10)).take_all() == [
        {"name": "pear", "id": 2},
        {"name": "plum", "id": 5},
    ]


def test_hive_folders_are_columns(tmp_path, fruit):
    fruit.write_parquet(str(tmp_path), partition_cols=["name"])
    table = raceline.read_parquet(str(tmp_path))
    query = "select name, kg from t where name <> 'fig' order by name"
    assert raceline.sql(query, t=table).take_all() == [
        {"name": "pear", "kg": 2},
        {"name": "plum", "kg": 5},
    ]


def test_a_dataset_with_a_function_is_a_table():
    squares = raceline.range(100).map(opaque(lambda row: {"id": row["id"], "sq": row["id"] ** 2}))
    rows = raceline.sql("select sum(sq) as s, count(*) as n from t where id < 10", t=squares)
    assert rows.take_all() == [{"s": 285, "n": 10}]


def test_a_dataset_with_a_function_joins_itself():
    twos = raceline.range(5).map(opaque(lambda row: {"a": row["id"] // 2}))
    rows = raceline.sql("select count(*) as n from t x join t y on x.a = y.a", t=twos)
    assert rows.take_all() == [{"n": 9}]


def test_what_a_function_makes_is_no_schema_before_it_runs():
    made = raceline.range(3).map(opaque(lambda row: {"x": row["id"]}))
    result = raceline.sql("select x from t order by x desc limit 2", t=made)
    assert result.schema(fetch_if_missing=False) is None
    assert result.take_all() == [{"x": 2}, {"x": 1}]


def test_a_function_that_makes_no_rows_gives_an_empty_result():
    nothing = raceline.range(3).flat_map(opaque(lambda row: []))
    assert raceline.sql("select x from t", t=nothing).take_all() == []
    assert raceline.sql("select count(*) as n from t", t=nothing).take_all() == [{"n": 0}]


def test_results_go_on_through_functions_and_queries(fruit):
    first = fruit.sql("select name, kg from self where kg is not null")
    second = raceline.sql("select name, kg * 10 as g from first", first=first)
    third = second.map(opaque(lambda row: {"n": len(row["name"]), "g": row["g"]}))
    fourth = raceline.sql("select n, sum(g) as g from third group by n", third=third)
    assert fourth.take_all() == [{"n": 4, "g": 70}]


def test_the_schema_is_known_without_a_run(fruit):
    result = fruit.sql("select kg, name || '!' as loud, kg > 2 as heavy from self")
    assert result.columns() == ["kg", "loud", "heavy"]
    types = dict(result.schema(fetch_if_missing=False).columns())
    assert types == {"kg": "int64", "loud": "string", "heavy": "bool"}


def test_the_result_of_no_rows_has_its_columns(fruit):
    result = fruit.sql("select name, kg from self where kg > 100")
    batches = list(result.iter_batches(batch_format="pyarrow"))
    assert result.count() == 0
    assert [batch.column_names for batch in batches] in ([], [["name", "kg"]])


def test_results_are_counted_limited_and_written(tmp_path, fruit):
    result = fruit.sql("select name, kg from self order by kg nulls first")
    assert result.count() == 3
    assert result.take(1) == [{"name": "fig", "kg": None}]
    result.write_parquet(str(tmp_path))
    assert raceline.read_parquet(str(tmp_path)).take_all() == result.take_all()


def test_a_limit_above_goes_into_the_query(capsys):
    result = raceline.range(1_000_000).sql("select id from self order by id desc").limit(2)
    assert result.take_all() == [{"id": 999_999}, {"id": 999_998}]
    result.explain()
    assert "stage 1: Sql(select id from self order by id desc)" in capsys.readouterr().out


def test_types_come_out_as_python_has_them():
    query = """
        select 1::decimal(10, 2) as d, date '2024-02-29' as day,
               timestamp '2024-02-29 12:00:00' as t, [1, 2] as l,
               {'a': 'x'} as s, null as n, cast('ab' as bytea) as b
    """
    row = raceline.sql(query).take_all()[0]
    assert row["day"] == datetime.date(2024, 2, 29)
    assert row["t"] == datetime.datetime(2024, 2, 29, 12)
    assert list(row["l"]) == [1, 2]
    assert row["s"] == {"a": "x"}
    assert row["n"] is None
    assert row["b"] == b"ab"
    assert float(row["d"]) == 1.0


def test_strings_of_a_query_are_plain_strings(tmp_path, fruit):
    fruit.write_parquet(str(tmp_path))
    result = raceline.sql(
        "select name, array_agg(name) as l from t group by name",
        t=raceline.read_parquet(str(tmp_path)),
    )
    batch = next(iter(result.iter_batches(batch_format="pyarrow")))
    assert batch.schema.field("name").type == pa.string()
    assert batch.schema.field("l").type == pa.list_(pa.string())


def test_windows(fruit):
    rows = fruit.sql("""
        select name, rank() over (order by "Price" desc) as r,
               sum(kg) over (order by name rows unbounded preceding) as s
        from self order by name
    """).take_all()
    assert rows == [
        {"name": "fig", "r": 1, "s": None},
        {"name": "pear", "r": 2, "s": 2},
        {"name": "plum", "r": 3, "s": 7},
    ]


def test_explain_shows_the_plan(tmp_path, capsys):
    raceline.range(10).write_parquet(str(tmp_path))
    table = raceline.read_parquet(str(tmp_path))
    raceline.sql("select count(*) as n from t where id > 3", t=table).explain()
    text = capsys.readouterr().out
    assert (
        "-------- Relational Plan --------\nSql(select count(*) as n from t where id > 3)\n" in text
    )
    assert "TableScan: t projection=[id]" in text
    assert "stage 0: Sql(select count(*) as n from t where id > 3)" in text
    assert "stage 1" not in text


def test_columns_that_are_not_read_do_not_come():
    wide = raceline.range(10).map(opaque(lambda row: {"a": row["id"], "b": "x" * 10}))
    # Its columns are known by what is declared to follow.
    table = wide.union(raceline.from_items([{"a": 1, "b": "y"}])).select_columns(["a", "b"])
    assert raceline.sql("select sum(a) as s from t", t=table).take_all() == [{"s": 46}]


def test_csv_is_read_by_our_reader(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,\n2,b\n")
    query = f"select count(y) as n, sum(x) as s from '{tmp_path}/a.csv'"
    assert raceline.sql(query).take_all() == [{"n": 2, "s": 3}]


def test_files_of_one_table_are_held_to_its_columns(tmp_path):
    for name in "abcdefgh":  # as many as are looked at for the columns
        raceline.from_items([{"a": 1}]).write_parquet(str(tmp_path / name))
    raceline.from_items([{"a": 1, "b": 2}]).write_parquet(str(tmp_path / "i"))
    with pytest.raises(raceline.errors.SourceError, match="column `b` is none of those"):
        raceline.sql(f"select a from '{tmp_path}/*/*.parquet'").take_all()


def test_files_that_a_run_may_lose_are_read_by_our_reader(tmp_path):
    raceline.from_items([{"a": 1}, {"a": 2}]).write_parquet(str(tmp_path))
    (tmp_path / "zzz.parquet").write_bytes(b"PAR1 and nothing else")
    table = raceline.read_parquet(str(tmp_path))
    context = raceline.data.DataContext.get_current()
    context.max_errored_blocks = 1
    try:
        assert raceline.sql("select sum(a) as s from t", t=table).take_all() == [{"s": 3}]
    finally:
        context.max_errored_blocks = 0
    with pytest.raises(raceline.errors.SourceError, match="not a Parquet file"):
        raceline.sql("select sum(a) as s from t", t=table).take_all()


# What is said of mistakes.


def said(query, **tables):
    with pytest.raises(PlanError) as caught:
        raceline.sql(query, **tables).take_all()
    return str(caught.value)


def test_a_syntax_error_is_shown_in_its_place():
    assert said("select a\n  fromm t") == (
        "the query is not valid SQL: expected end of statement, found `t`\n"
        "  2 |   fromm t\n"
        "              ^"
    )


def test_text_that_does_not_end():
    assert said("select 'a from t") == (
        "the query is not valid SQL: unterminated string literal\n"
        "  1 | select 'a from t\n"
        "             ^"
    )


def test_an_unknown_table(fruit):
    text = said("select * from fruits", fruit=fruit)
    assert re.fullmatch(
        r"no table `fruits`\n  tables: .*`fruit`.*\n  hint: did you mean `fruit`\?", text
    )
    assert said("select * from zzz").endswith(
        "hint: make it a variable, or pass it: `sql(..., zzz=dataset)`"
    )
    assert said("select * from a.b").endswith(
        "hint: paths stand in single quotes: `from 'folder/*.parquet'`"
    )


def test_an_unknown_column(fruit):
    with pytest.raises(ColumnNotFoundError) as caught:
        raceline.sql("select nam from fruit").take_all()
    assert str(caught.value) == (
        "no column `nam`\n  columns: `name`, `kg`, `Price`\n  hint: did you mean `name`?"
    )


def test_an_unknown_column_behind_a_function():
    made = raceline.range(3).map(opaque(lambda row: {"x": row["id"]}))
    with pytest.raises(ColumnNotFoundError, match="no column `y`"):
        raceline.sql("select y from made", made=made).take_all()


def test_an_ambiguous_column():
    t = s = raceline.range(2)
    assert said("select id from t join s on t.id = s.id", t=t, s=s) == (
        "column `id` is in more than one table\n  hint: name its table: `table.id`"
    )


def test_an_unknown_function(fruit):
    assert said("select summ(kg) from fruit", fruit=fruit).startswith(
        "the query cannot be planned: invalid function 'summ'"
    )


def test_what_is_no_query():
    assert said("drop table t") == (
        "`DROP` is no query\n  hint: write a query: `select ...`; datasets are written by "
        "`write_parquet` and its kin, and explained by `explain`"
    )
    assert said("  ") == "the query is empty\n  hint: write a query: `select ... from ...`"
    assert said("select 1; select 2") == (
        "2 statements are given, one query is wanted\n  hint: run them one by one"
    )
    assert said("insert into t values (1)", t=raceline.range(1)).startswith("`INSERT` is no query")


def test_what_is_no_table():
    assert said("select * from t", t=[1, 2]) == (
        "`t` is no table but `list`\n"
        "  hint: pass a dataset, a pandas or Polars frame, or Arrow data"
    )
    with pytest.raises(PlanError, match=r"^a query must be a string, got `3`$"):
        raceline.sql(3)


def test_columns_of_objects_are_refused():
    class Thing:
        pass

    made = raceline.from_items([{"a": 1, "thing": Thing()}])
    assert raceline.sql("select a from made").take_all() == [{"a": 1}]
    assert said("select thing from t", t=made) == (
        "cannot query column `thing`: it holds Python objects\n  hint: make a column of numbers or "
        "strings of it first, e.g. by `float(x)` or `str(x)`"
    )


def test_a_value_that_fails_is_told():
    table = raceline.from_items([{"s": "1"}, {"s": "x"}])
    with pytest.raises(PlanError, match="relational work failed on a value") as caught:
        raceline.sql("select cast(s as int) as v from t", t=table).take_all()
    assert "Cannot cast string 'x' to value of Int32 type" in str(caught.value)
    assert said("select cast('x' as int) as v") == (
        "the query cannot be planned: cast error: Cannot cast string 'x' to value of Int32 type"
    )
