"""Expressions, and predicates written as text."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import raceline
from raceline.data import expressions
from raceline.data.datatype import DataType
from raceline.data.expressions import (
    coalesce,
    col,
    if_else,
    lit,
    star,
    udf,
    unnest,
    when,
)
from raceline.data.predicate import parse_predicate
from raceline.errors import ColumnNotFoundError, PlanError

ROWS = [
    {"a": 1, "b": 0.5, "s": "x", "n": None, "p.q": 1},
    {"a": 2, "b": -1.5, "s": "yy", "n": True, "p.q": 2},
    {"a": -7, "b": 2.5, "s": None, "n": False, "p.q": 3},
]


def values_of(expr):
    return [row["v"] for row in raceline.from_items(ROWS).with_column("v", expr).take_all()]


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (lambda: col("a") + 1, [2, 3, -6]),
        (lambda: 1 + col("a"), [2, 3, -6]),
        (lambda: col("a") - col("b"), [0.5, 3.5, -9.5]),
        (lambda: 10 - col("a"), [9, 8, 17]),
        (lambda: col("a") * 2, [2, 4, -14]),
        (lambda: 2 * col("b"), [1.0, -3.0, 5.0]),
        (lambda: col("a") / 2, [0, 1, -3]),
        (lambda: col("b") / 2, [0.25, -0.75, 1.25]),
        (lambda: 3 / col("b"), [6.0, -2.0, 1.2]),
        (lambda: -col("a"), [-1, -2, 7]),
        (lambda: col("a").negate(), [-1, -2, 7]),
        (lambda: col("a") == 2, [False, True, False]),
        (lambda: col("a") != 2, [True, False, True]),
        (lambda: col("a") < 2, [True, False, True]),
        (lambda: col("a") <= 2, [True, True, True]),
        (lambda: col("a") >= 1, [True, True, False]),
        (lambda: col("a") > 1, [False, True, False]),
        (lambda: (col("a") > 0) & (col("b") > 0), [True, False, False]),
        (lambda: (col("a") > 1) | (col("b") > 0), [True, True, True]),
        (lambda: ~(col("a") > 1), [True, False, True]),
        (lambda: col("n") & (col("a") > 0), [None, True, False]),
        (lambda: col("n") | (col("a") > 0), [True, True, False]),
        (lambda: col("s").is_null(), [False, False, True]),
        (lambda: col("s").is_not_null(), [True, True, False]),
        (lambda: col("s") == "x", [True, False, None]),
        (lambda: col("a").is_in([1, -7]), [True, False, True]),
        (lambda: col("a").not_in([1, -7]), [False, True, False]),
        (lambda: col("a").cast("float64"), [1.0, 2.0, -7.0]),
        (lambda: col("a").cast("string"), ["1", "2", "-7"]),
        (lambda: col("a").alias("other"), [1, 2, -7]),
        (lambda: col("a") // 2, [0, 1, -3]),
        (lambda: col("a") % 2, [1, 0, -1]),
        (lambda: col("b") // 1, [0.0, -2.0, 2.0]),
        (lambda: 7 % col("a"), [0, 1, 0]),
        (lambda: (lit(2**60 + 1) + col("a")) // 2, [2**59 + 1, 2**59 + 1, 2**59 - 3]),
        (lambda: (lit(2**60 + 1) + col("a")) % 10, [8, 9, 0]),
        (lambda: when(col("a") > 1).then("more").otherwise(col("s")), ["x", "more", None]),
        (lambda: when(col("a") > 1).then(1).when(col("a") > 0).then(0), [0, 1, None]),
        (lambda: if_else(col("n"), 1, 2), [2, 1, 2]),
        (lambda: coalesce(col("n"), col("a") > 1), [False, True, False]),
        (lambda: coalesce(None, col("s"), "none"), ["x", "yy", "none"]),
        (lambda: col("s").fill_null("-"), ["x", "yy", "-"]),
        (lambda: col("b").cast("int64", safe=False), [0, -1, 2]),
        (lambda: col("a").cast("uint8", safe=False), [1, 2, 249]),
        (lambda: lit([1, 2]).list.get(1) + col("a"), [3, 4, -5]),
        (lambda: lit(datetime.date(2024, 2, 29)).dt.year(), [2024] * 3),
        (lambda: lit(decimal.Decimal("1.5")) > col("a"), [True, False, True]),
        (lambda: col("a").is_in(lit([2, 5])), [False, True, False]),
        (lambda: col("a") ** 2, [1, 4, 49]),
        (lambda: col("b").power(2), [0.25, 2.25, 6.25]),
        (lambda: col("a").abs(), [1, 2, 7]),
        (lambda: col("a").sign(), [1, 1, -1]),
        (lambda: col("b").ceil(), [1.0, -1.0, 3.0]),
        (lambda: col("b").floor(), [0.0, -2.0, 2.0]),
        (lambda: col("b").round(), [0.0, -2.0, 2.0]),
        (lambda: col("b").trunc(), [0.0, -1.0, 2.0]),
        (lambda: col("b").ln().is_nan(), [False, True, False]),
        (lambda: (col("a") * 0).cos(), [1.0, 1.0, 1.0]),
        (lambda: col("s").is_in(["x", None]), [True, False, True]),
        (lambda: col("s").is_in(["x"]), [True, False, False]),
        (lambda: col("s").not_in(["x"]), [False, True, True]),
        (lambda: lit("c"), ["c", "c", "c"]),
        (lambda: lit(None), [None, None, None]),
        (lambda: col("p.q") + 0, [1, 2, 3]),
    ],
)
def test_values(expr, expected):
    assert values_of(expr()) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a > 1", [2]),
        ("a == 1 or a == 2", [1, 2]),
        ("not a > 1 and b > 0", [1, -7]),
        ("a in [1, -7]", [1, -7]),
        ("a not in (1, -7)", [2]),
        ("0 < a < 2", [1]),
        ("-7 == a", [-7]),
        ("s == 'x'", [1]),
        ("is_null(s)", [-7]),
        ("is_valid(s) and a + 1 > 2", [2]),
        ("is_in(a, [2])", [2]),
        ("p.q >= 2", [2, -7]),
        (" a\t> 1 ", [2]),
    ],
)
def test_text(text, kept):
    assert [row["a"] for row in raceline.from_items(ROWS).filter(expr=text).take_all()] == kept


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("__import__('os')", "__import__('os')"),
        ("a > f(1)", "f(1)"),
        ("[x for x in a]", "[x for x in a]"),
        ("a in b", "b"),
        ("a is None", "a is None"),
        ("a if b else c", "a if b else c"),
        ("a[0] > 1", "a[0]"),
        ("is_in(a, values=[1])", "is_in(a, values=[1])"),
    ],
)
def test_text_outside_the_grammar_is_refused(text, part):
    with pytest.raises(PlanError) as caught:
        parse_predicate(text)
    assert str(caught.value) == (
        f"the predicate `{text}` holds `{part}`, which is not supported\n"
        "  hint: use an expression of `col`, or a function: `filter(lambda row: ...)`"
    )


def test_text_that_is_no_expression():
    with pytest.raises(PlanError, match=r"^cannot read the predicate `a >`: "):
        parse_predicate("a >")


def test_an_expression_has_no_truth_value():
    for kind in (PlanError, TypeError):
        with pytest.raises(kind, match=r"^an expression has no truth value before it is run\n"):
            assert (col("a") > 1) and (col("b") > 1)


def test_a_replaced_column_keeps_its_position():
    replaced = raceline.from_items([{"a": 1, "b": 2}]).with_column("a", col("b") * 2)
    assert replaced.take_all() == [{"a": 4, "b": 2}]
    assert replaced.columns() == ["a", "b"]


def test_an_expression_prints_its_columns():
    assert "price" in repr(col("price") * 2)


def test_filter_takes_an_expression_first():
    assert raceline.range(3).filter(col("id") > 1).take_all() == [{"id": 2}]


@pytest.mark.parametrize("value", [object(), [object()], 2**70])
def test_a_literal_is_a_value_that_the_engine_has_a_type_for(value):
    with pytest.raises((TypeError, PlanError), match=r"^a literal (must be|int must fit)"):
        lit(value)


def test_a_tree_is_printed_and_compared():
    expr = (col("x") + 1) * col("y").abs()
    assert repr(expr) == (
        "MUL\n"
        "    ├── left: ADD\n"
        "    │   ├── left: COL('x')\n"
        "    │   └── right: LIT(1)\n"
        "    └── right: abs()\n"
        "        └── arg0: COL('y')"
    )
    assert expr.structurally_equals((col("x") + 1) * col("y").abs())
    for other in [(col("x") + 2) * col("y").abs(), (col("x") + 1) * col("y").sign(), lit(1), 3]:
        assert not expr.structurally_equals(other)
    assert not col("a").is_in([1]).structurally_equals(col("a").is_in([2]))
    assert expr.op is expressions.Operation.MUL
    assert isinstance(expr.left.left, expressions.ColumnExpr)
    assert expr.alias("z").name == "z" and expr.name is None and col("x").name == "x"


def test_deep_trees_are_no_trouble():
    expr = col("id")
    for _ in range(300):
        expr = expr + 1
    assert repr(expr).count("ADD") == 300
    assert expr.structurally_equals(expr + 0) is False
    assert raceline.range(1).with_column("id", expr).take_all() == [{"id": 300}]


def test_types_are_told_for_a_schema():
    schema = pa.schema([pa.field("a", pa.int32(), nullable=False), pa.field("s", pa.string())])
    assert (col("a") / 2.0).get_type(schema) == pa.float64()
    assert col("s").str.len().get_type(schema) == DataType.int32()
    assert not (col("a") + 1).nullable(schema) and col("s").nullable(schema)
    assert col("s").alias("t").to_field(schema) == pa.field("t", pa.string())
    assert [e.name for e in star().expand_projection(schema)] == ["a", "s"]
    with pytest.raises(ColumnNotFoundError, match="did you mean `a`"):
        col("A").get_type(schema)
    with pytest.raises(PlanError, match=r"^expression `str.upper\(a\)` does not fit its columns"):
        col("a").str.upper().get_type(schema)


def test_expressions_of_pyarrow_mean_the_same():
    table = pa.table({"a": [1, 2, None, 4], "s": ["x", None, "y", "x"]})
    for expr in [
        (col("a") > 1) & ~(col("s") == "x"),
        col("a").is_in([1, 4]) | col("s").is_null(),
        col("a").not_in([1]) & col("a").is_not_null(),
        (col("a") * 2 - 1).cast(DataType.float64()) >= lit(3.0),
    ]:
        kept = raceline.from_arrow(table).filter(expr=expr).take_all()
        assert kept == table.filter(expr.to_pyarrow()).to_pylist()
    with pytest.raises(TypeError, match=r"^PyArrow has no expression for `str.upper"):
        col("s").str.upper().to_pyarrow()


@pytest.mark.parametrize(
    ("values", "target", "text"),
    [
        ([1.5], DataType.int64(), "1.5 is not exact as Int64"),
        ([300], "uint8", "300"),
        ([2**53 + 1], DataType.float64(), "9007199254740993 is not exact as Float64"),
        (["x"], "int32", "x"),
        (
            [datetime.datetime(2024, 1, 1, 12)],
            DataType.temporal("date32"),
            "is not exact as Date32",
        ),
    ],
)
def test_safe_casts_refuse_what_they_would_change(values, target, text):
    rows = raceline.from_items([{"v": value} for value in values])
    with pytest.raises(PlanError, match=text):
        rows.with_column("v", col("v").cast(target)).take_all()


def test_casts_take_every_kind_of_type():
    rows = raceline.from_items([{"v": 1}, {"v": None}])
    for target, expected in [
        (DataType.float32(), pa.float32()),
        (DataType.from_numpy("int16"), pa.int16()),
        (DataType(str), pa.string()),
        (DataType.temporal("timestamp", "ms"), pa.timestamp("ms")),
        ("timestamp[us]", pa.timestamp("us")),
    ]:
        assert rows.with_column("v", col("v").cast(target)).schema().types == [expected]
    with pytest.raises(ValueError, match="unknown type `int65`"):
        col("v").cast("int65")
    with pytest.raises(PlanError, match=r"from Int64 to Struct"):
        rows.with_column("v", col("v").cast(DataType.struct([("x", DataType.int8())]))).schema()


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (lambda: col("s").str.match_regex("("), "parameter `pattern` of `str.match_regex`"),
        (lambda: col("s").str.repeat(-1), "`n` of `str.repeat` must be at least 0"),
        (lambda: col("s").str.lpad(3, "ab"), "must be one character"),
        (lambda: col("s").str.extract("(a)"), "must name its groups"),
        (lambda: col("s").str.replace_regex("a", r"\2"), "names group 2"),
        (lambda: col("s").str.split(""), "must not be empty"),
        (lambda: col("s").dt.floor("eon"), "must be one of nanosecond"),
        (lambda: col("s").dt.strftime("%Q"), "is no format of dates: `%Q`"),
        (lambda: col("s").list[::0], "`step` of `list.slice` must not be 0"),
        (lambda: col("s").json.get("a[x"), "is no path like `a.b\\[0\\]`: `a\\[x`"),
        (lambda: coalesce(), "needs a value at least"),
        (lambda: unnest(col("s")).alias("t"), "cannot have the one name `t`"),
        (lambda: col(3), "a column's name must be a string"),
    ],
)
def test_wrong_parameters_are_found_where_they_are_written(made, text):
    with pytest.raises(PlanError, match=text):
        made()


@pytest.mark.parametrize(
    ("expr", "text"),
    [
        (lambda: col("a").str.upper(), "`str.upper` is not defined for Int64"),
        (lambda: col("s").list.len(), "`list.len` is not defined for Utf8"),
        (lambda: col("a").dt.year(), "`dt.year` is not defined for Int64"),
        (lambda: col("s").struct["x"], "`struct.field` is not defined for Utf8"),
        (lambda: col("s") - 1, "s - Int64"),
        (lambda: col("nn"), "did you mean `n`"),
    ],
)
def test_wrong_types_are_found_before_the_run(expr, text):
    rows = raceline.from_items(ROWS)
    with pytest.raises(PlanError, match=text):
        rows.with_column("v", expr()).schema()
    with pytest.raises(PlanError, match=text):
        rows.filter(expr=expr().is_null()).schema()


def test_what_grows_beyond_memory_is_an_error():
    rows = raceline.from_items([{"s": "abcd"}])
    with pytest.raises(PlanError, match=r"^expression `.*str.repeat"):
        rows.with_column("s", col("s").str.repeat(2**40)).take_all()


def test_unnest_and_star():
    rows = raceline.from_items([{"p": {"x": 1, "y": "a"}, "q": 0}, {"p": None, "q": 1}])
    made = rows.with_columns(star(), unnest("p"), (col("q") + 1).alias("r"))
    assert made.drop_columns("p").take_all() == [
        {"q": 0, "x": 1, "y": "a", "r": 1},
        {"q": 1, "x": None, "y": None, "r": 2},
    ]
    with pytest.raises(PlanError, match="has no fields"):
        rows.with_columns(unnest(col("q")))


def test_predicates_over_functions_filter_files(tmp_path):
    rows = [{"s": text, "n": at} for at, text in enumerate(["aa", "ab", None, "b"])]
    raceline.from_items(rows).write_parquet(str(tmp_path))
    kept = raceline.read_parquet(str(tmp_path)).filter(
        expr=col("s").str.starts_with("a") & (col("n").cast("float64") > 0)
    )
    assert kept.take_all() == [{"s": "ab", "n": 1}]
    assert "filter=" in kept._native.explain()


def test_json_url_and_embeddings():
    text = '{"a": {"x.y": [1, {"b": "t"}]}, "n": null}'
    rows = raceline.from_items([{"j": text, "u": "http://h/p?q=%20a#f"}, {"j": "{", "u": "no"}])
    j, u = col("j").json, col("u").url
    made = rows.with_columns(
        {
            "a": j.get("$.a['x.y'][1].b"),
            "b": j.get("a['x.y']"),
            "c": j.get("n"),
            "d": u.host(),
            "e": u.parameter("q"),
            "f": u.port(),
        }
    )
    first, second = made.select_columns(list("abcdef")).take_all()
    assert list(first.values()) == ["t", '[1,{"b":"t"}]', None, "h", " a", 80]
    assert set(second.values()) == {None}
    vectors = raceline.from_numpy(np.array([[3.0, 4.0], [0.0, 0.0]], dtype="float32"))
    e = col("data").embedding
    made = vectors.with_columns({"n": e.norm(), "d": e.dot([1, 2]), "c": e.cosine([3, 4])})
    first, second = made.drop_columns("data").take_all()
    assert (first["n"], first["d"], round(first["c"], 12)) == (5.0, 11.0, 1.0)
    assert second["n"] == 0 and np.isnan(second["c"])
    with pytest.raises(PlanError, match="vectors of 2 and 3 numbers"):
        vectors.with_column("d", e.dot([1, 2, 3])).take_all()


@udf(DataType.int64())
def plus(left, right, times=1):
    return pc.add(left, pc.multiply(right, times))


@udf(return_dtype=DataType.float64())
class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, values):
        return values.to_numpy(zero_copy_only=False) * self.by


def test_functions_of_users_run_inside_expressions():
    rows = raceline.range(5).map_batches(lambda batch: batch, batch_size=2)
    made = rows.with_column("v", plus(col("id"), col("id") + 1, times=10) * 2 + plus(1, col("id")))
    assert [row["v"] for row in made.take_all()] == [
        (i + 10 * (i + 1)) * 2 + 1 + i for i in range(5)
    ]
    assert made.columns() == ["id", "v"]
    scaled = raceline.range(3).with_columns(
        Scale(3.0)(col("id")).alias("a"), Scale(0.5)(plus(col("id"), 1)).alias("b")
    )
    assert [tuple(row.values()) for row in scaled.take_all()] == [
        (0, 0.0, 0.5),
        (1, 3.0, 1.0),
        (2, 6.0, 1.5),
    ]
    replaced = raceline.from_items([{"a": 1, "b": 2}]).with_column("a", plus(col("a"), col("b")))
    assert replaced.take_all() == [{"a": 3, "b": 2}]
    kept = raceline.range(6).filter(expr=plus(col("id"), col("id")) > 6)
    assert kept.take_all() == [{"id": 4}, {"id": 5}]


def test_functions_of_users_return_arrays():
    @udf(DataType.int64())
    def shorter(values):
        return values[:1]

    @udf(DataType.int64())
    def nothing(values):
        return None

    @udf(DataType.tensor((2,), DataType.int64()))
    def pairs(values):
        return np.stack([values.to_numpy()] * 2, axis=1)

    rows = raceline.range(3).repartition(1)
    with pytest.raises(TypeError, match="`shorter` returned 1 values for 3 rows"):
        rows.with_column("v", shorter(col("id"))).take_all()
    with pytest.raises(TypeError, match="`nothing` must return an array of PyArrow"):
        rows.with_column("v", nothing(col("id"))).take_all()
    made = rows.with_column("v", pairs(col("id"))).take_batch()
    assert made["v"].tolist() == [[0, 0], [1, 1], [2, 2]]
    with pytest.raises(PlanError, match="needs an expression among its arguments"):
        plus(1, 2)
    with pytest.raises(PlanError, match="is not possible here"):
        plus(col("id"), 1).get_type(pa.schema([("id", pa.int64())]))
