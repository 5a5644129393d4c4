"""Expressions, and predicates written as text."""

import pytest

import raceline
from raceline.data.expressions import col, lit
from raceline.data.predicate import parse_predicate
from raceline.errors import PlanError

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
        (lambda: col("a") // 2, [0.0, 1.0, -3.0]),
        (lambda: col("a") % 2, [1.0, 0.0, -1.0]),
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
    with pytest.raises(PlanError, match=r"^an expression has no truth value before it is run\n"):
        assert (col("a") > 1) and (col("b") > 1)


def test_a_replaced_column_keeps_its_position():
    replaced = raceline.from_items([{"a": 1, "b": 2}]).with_column("a", col("b") * 2)
    assert replaced.take_all() == [{"a": 4, "b": 2}]
    assert replaced.columns() == ["a", "b"]


def test_an_expression_prints_its_columns():
    assert "price" in repr(col("price") * 2)


def test_filter_takes_an_expression_first():
    assert raceline.range(3).filter(col("id") > 1).take_all() == [{"id": 2}]


@pytest.mark.parametrize("value", [object(), [1], {"a": 1}])
def test_a_literal_is_a_plain_value(value):
    with pytest.raises(TypeError, match=r"^a literal must be None, bool, int, float, str or bytes"):
        lit(value)
