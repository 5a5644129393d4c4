"""The functions of the namespaces mean what PyArrow's kernels mean, on random columns."""

import datetime
import random
import sys
import unicodedata
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import raceline
from raceline.data.expressions import col

LETTERS = "aAbB zZ09_.-\t\n\u00a0éÉßİ\u0131ǅ中文٣½Ⅷ🙂\u0301\u200b"
ZONES = [None, "UTC", "Europe/Berlin", "America/New_York"]


def texts(seed, rows=400):
    draw = random.Random(seed)
    made = ["".join(draw.choices(LETTERS, k=draw.randrange(9))) for _ in range(rows)]
    made += [None, "", "aa", "aaa", "a,b", " a b ", "Hello World", "abcabc"]
    return pa.array(made, pa.string())


def evaluate(values, expr):
    """The expression over the column ``s``, in several batches."""
    half = len(values) // 2
    table = pa.table({"s": pa.chunked_array([values[:half], values[half:]])})
    rows = raceline.from_arrow(table).with_column("s", expr)
    batches = list(rows.iter_batches(batch_format="pyarrow", batch_size=None))
    return pa.concat_tables(batches).column("s").combine_chunks()


def check(values, expr, expected):
    got = evaluate(values, expr)
    if isinstance(expected, pa.ChunkedArray):
        expected = expected.combine_chunks()
    assert got.type == expected.type
    if got.equals(expected):
        return
    pairs = zip(values.to_pylist(), got.to_pylist(), expected.to_pylist(), strict=True)
    assert not [(value, a, b) for value, a, b in pairs if a != b][:5]


S = col("s").str
TEXT_CASES = {
    "len": (S.len(), pc.utf8_length),
    "byte_len": (S.byte_len(), pc.binary_length),
    "upper": (S.upper(), pc.utf8_upper),
    "lower": (S.lower(), pc.utf8_lower),
    "capitalize": (S.capitalize(), pc.utf8_capitalize),
    "title": (S.title(), pc.utf8_title),
    "swapcase": (S.swapcase(), pc.utf8_swapcase),
    "reverse": (S.reverse(), pc.utf8_reverse),
    "is_alpha": (S.is_alpha(), pc.utf8_is_alpha),
    "is_alnum": (S.is_alnum(), pc.utf8_is_alnum),
    "is_digit": (S.is_digit(), pc.utf8_is_digit),
    "is_decimal": (S.is_decimal(), pc.utf8_is_decimal),
    "is_numeric": (S.is_numeric(), pc.utf8_is_numeric),
    "is_space": (S.is_space(), pc.utf8_is_space),
    "is_lower": (S.is_lower(), pc.utf8_is_lower),
    "is_upper": (S.is_upper(), pc.utf8_is_upper),
    "is_title": (S.is_title(), pc.utf8_is_title),
    "is_printable": (S.is_printable(), pc.utf8_is_printable),
    "is_ascii": (S.is_ascii(), pc.string_is_ascii),
    "starts_with": (S.starts_with("a"), lambda a: pc.starts_with(a, "a")),
    "starts_with_case": (
        S.starts_with("É", ignore_case=True),
        lambda a: pc.starts_with(a, "É", ignore_case=True),
    ),
    "ends_with": (S.ends_with("b"), lambda a: pc.ends_with(a, "b")),
    "ends_with_case": (
        S.ends_with("aa", ignore_case=True),
        lambda a: pc.ends_with(a, "aa", ignore_case=True),
    ),
    "contains": (S.contains("a."), lambda a: pc.match_substring(a, "a.")),
    "contains_case": (
        S.contains("AB", ignore_case=True),
        lambda a: pc.match_substring(a, "AB", ignore_case=True),
    ),
    "match": (S.match("_a%"), lambda a: pc.match_like(a, "_a%")),
    "match_case": (
        S.match("%B_", ignore_case=True),
        lambda a: pc.match_like(a, "%B_", ignore_case=True),
    ),
    "match_regex": (S.match_regex(r"^\w+$"), lambda a: pc.match_substring_regex(a, r"^\w+$")),
    "match_regex_class": (
        S.match_regex(r"[\d\s]\b"),
        lambda a: pc.match_substring_regex(a, r"[\d\s]\b"),
    ),
    "find": (S.find("b"), lambda a: pc.find_substring(a, "b")),
    "find_regex": (S.find_regex("[bB]"), lambda a: pc.find_substring_regex(a, "[bB]")),
    "count": (S.count("a"), lambda a: pc.count_substring(a, "a")),
    "count_overlap": (S.count("aa"), lambda a: pc.count_substring(a, "aa")),
    "count_regex": (S.count_regex("a+"), lambda a: pc.count_substring_regex(a, "a+")),
    "slice": (S.slice(1, 3), lambda a: pc.utf8_slice_codeunits(a, 1, 3)),
    "slice_from": (S.slice(2), lambda a: pc.utf8_slice_codeunits(a, 2)),
    "slice_end": (S.slice(-3, -1), lambda a: pc.utf8_slice_codeunits(a, -3, -1)),
    "slice_step": (S.slice(0, 6, 2), lambda a: pc.utf8_slice_codeunits(a, 0, 6, 2)),
    "slice_back": (S.slice(4, 0, -2), lambda a: pc.utf8_slice_codeunits(a, 4, 0, -2)),
    "replace": (S.replace("a", "🙂"), lambda a: pc.replace_substring(a, "a", "🙂")),
    "replace_some": (
        S.replace("a", "", max_replacements=1),
        lambda a: pc.replace_substring(a, "a", "", max_replacements=1),
    ),
    "replace_regex": (
        S.replace_regex("(a|b)+", r"<\1>"),
        lambda a: pc.replace_substring_regex(a, "(a|b)+", r"<\1>"),
    ),
    "replace_slice": (
        S.replace_slice(1, 2, "xy"),
        lambda a: pc.utf8_replace_slice(a, 1, 2, "xy"),
    ),
    "replace_slice_end": (
        S.replace_slice(-2, -1, ""),
        lambda a: pc.utf8_replace_slice(a, -2, -1, ""),
    ),
    "split": (S.split("a"), lambda a: pc.split_pattern(a, "a")),
    "split_some": (
        S.split("a", max_splits=1, reverse=True),
        lambda a: pc.split_pattern(a, "a", max_splits=1, reverse=True),
    ),
    "split_regex": (S.split_regex("[aA]+"), lambda a: pc.split_pattern_regex(a, "[aA]+")),
    "split_whitespace": (S.split_whitespace(), pc.utf8_split_whitespace),
    "split_whitespace_some": (
        S.split_whitespace(max_splits=1),
        lambda a: pc.utf8_split_whitespace(a, max_splits=1),
    ),
    "extract": (
        S.extract("(?P<first>[ab])(?P<second>[AB])?"),
        lambda a: pc.extract_regex(a, "(?P<first>[ab])(?P<second>[AB])?"),
    ),
    "repeat": (S.repeat(3), lambda a: pc.binary_repeat(a, 3)),
    "center": (S.center(6, "*"), lambda a: pc.utf8_center(a, 6, "*")),
    "lpad": (S.lpad(6, "é"), lambda a: pc.utf8_lpad(a, 6, "é")),
    "rpad": (S.rpad(6), lambda a: pc.utf8_rpad(a, 6)),
    "pad": (S.pad(5, "-", side="both"), lambda a: pc.utf8_center(a, 5, "-")),
    "strip": (S.strip(), pc.utf8_trim_whitespace),
    "lstrip": (S.lstrip(), pc.utf8_ltrim_whitespace),
    "rstrip": (S.rstrip("a é"), lambda a: pc.utf8_rtrim(a, "a é")),
}


@pytest.mark.parametrize("name", TEXT_CASES)
@pytest.mark.parametrize("layout", [pa.string(), pa.large_string()], ids=str)
def test_texts(name, layout):
    expr, kernel = TEXT_CASES[name]
    values = texts(zlib.crc32(name.encode()))
    if name.startswith("split_whitespace"):
        # PyArrow takes a run of white space at the end apart.
        values = pc.utf8_rtrim_whitespace(values)
    values = values.cast(layout)
    expected = kernel(values)
    if name in ("split", "split_some", "split_regex", "extract") or name.startswith("split_w"):
        expected = expected.cast(evaluate(values[:1], expr).type)
    check(values, expr, expected)


def test_texts_of_other_layouts():
    plain = pa.array(["ab", None, "ab", "c"])
    for values in (plain.cast(pa.string_view()), plain.dictionary_encode()):
        assert evaluate(values, S.upper()).to_pylist() == ["AB", None, "AB", "C"]
    assert evaluate(pa.nulls(3), S.upper()).to_pylist() == [None] * 3
    assert evaluate(pa.array([b"ab", None]), S.byte_len()).to_pylist() == [2, None]


ALL = [chr(at) for at in range(sys.maxunicode + 1) if not 0xD800 <= at <= 0xDFFF]
# Those that were there when Python's own tables were made.
ASSIGNED = [one for one in ALL if unicodedata.category(one) not in ("Cn", "Co")]


@pytest.mark.parametrize(
    "name",
    [
        "upper",
        "lower",
        "swapcase",
        "title",
        "is_alpha",
        "is_alnum",
        "is_digit",
        "is_decimal",
        "is_numeric",
        "is_space",
        "is_lower",
        "is_upper",
        "is_title",
        "is_printable",
        "strip",
    ],
)
def test_every_code_point(name):
    expr, kernel = TEXT_CASES[name]
    values = pa.array(ASSIGNED)
    assert len(values) > 140_000
    got, expected = evaluate(values, expr).to_pylist(), kernel(values).to_pylist()
    differ = [value for value, a, b in zip(ASSIGNED, got, expected, strict=True) if a != b]
    # The tables of PyArrow and of the engine are not of the same year.
    assert len(differ) <= 10, [hex(ord(one)) for one in differ]


def times(unit, zone, seed):
    draw = random.Random(seed)
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    # Rules of zones are known up to 2037, and PyArrow refuses times that clocks leapt over.
    least, most = (-(2**32), 2**33) if zone in (None, "UTC") else (0, 2**31 - 10**7)
    seconds = [draw.randrange(least, most) for _ in range(200)] + [86401]
    ticks = [one * per_second + draw.randrange(per_second) for one in seconds]
    return pa.array([*ticks, None], pa.timestamp(unit, zone))


D = col("s").dt
PARTS = ["year", "month", "day", "hour", "minute", "second"]
UNITS = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parts_of_times(unit, zone):
    values = times(unit, zone, 7)
    for part in PARTS:
        check(values, getattr(D, part)(), getattr(pc, part)(values))


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("unit", ["s", "us", "ns"])
@pytest.mark.parametrize("way", ["floor", "ceil", "round"])
def test_rounded_times(unit, zone, way):
    values = times(unit, zone, 8)
    for to in UNITS:
        expected = getattr(pc, f"{way}_temporal")(values, unit=to)
        check(values, getattr(D, way)(to), expected)


def test_rounding_where_clocks_change():
    noon = datetime.datetime(2024, 3, 31, 10, 30, tzinfo=datetime.UTC)
    values = pa.array([noon], pa.timestamp("us", "Europe/Berlin"))
    day = evaluate(values, D.floor("day")).to_pylist()[0]
    assert day.isoformat() == "2024-03-31T00:00:00+01:00"


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_times_as_text(unit, zone):
    values = times(unit, zone, 9)
    for form in ("%Y-%m-%dT%H:%M:%S", "%d.%m.%y", "%H%%%M", "%T", "%j"):
        check(values, D.strftime(form), pc.strftime(values, format=form))


def test_dates():
    values = pa.array([datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31)])
    check(values, D.year(), pc.year(values))
    check(values, D.strftime("%Y/%m/%d"), pc.strftime(values, format="%Y/%m/%d"))
    for way in ("floor", "ceil", "round"):
        expected = getattr(pc, f"{way}_temporal")(values, unit="month")
        check(values, getattr(D, way)("month"), expected)


L = col("s").list


def lists(seed):
    draw = random.Random(seed)
    item = [None, *range(-3, 4)]
    made = [draw.choices(item, k=draw.randrange(6)) for _ in range(100)]
    return pa.array([*made, None, []], pa.list_(pa.int64()))


def test_lists():
    values = lists(3)
    check(values, L.len(), pc.list_value_length(values))
    plain = values.to_pylist()
    for expr, one in [
        (L.slice(1, 3), lambda v: v[1:3]),
        (L[::2], lambda v: v[::2]),
        (L[-2:], lambda v: v[-2:]),
        (L[::-1], lambda v: v[::-1]),
        (L.sort(), lambda v: sorted(v, key=lambda x: (x is None, x or 0))),
        (
            L.sort(order="descending", null_placement="at_start"),
            lambda v: sorted(v, key=lambda x: (x is not None, -(x or 0))),
        ),
    ]:
        expected = [None if one_list is None else one(one_list) for one_list in plain]
        assert evaluate(values, expr).to_pylist() == expected
    pairs = pa.array([[1, 2], [3, None], None], pa.list_(pa.int64()))
    check(pairs, L.get(1), pc.list_element(pairs, 1))
    assert evaluate(pairs, L[-2]).to_pylist() == [1, 3, None]


@pytest.mark.parametrize(
    "layout", [pa.list_(pa.int32(), 2), pa.large_list(pa.int32()), pa.list_(pa.int32())], ids=str
)
def test_lists_of_any_layout(layout):
    values = pa.array([[2, 1], None, [3, 4]], layout)
    assert evaluate(values, L.len()).to_pylist() == [2, None, 2]
    assert evaluate(values, L.get(0)).to_pylist() == [2, None, 3]
    assert evaluate(values, L.sort()).to_pylist() == [[1, 2], None, [3, 4]]
    nested = pa.array([[[1], None, [2, 3]], None, []], pa.list_(pa.list_(pa.int8())))
    assert evaluate(nested, L.flatten()).to_pylist() == [[1, 2, 3], None, []]


def test_structs_maps_and_arrays():
    structs = pa.array([{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}])
    assert evaluate(structs, col("s").struct["x"]).to_pylist() == [1, None, None]
    assert evaluate(structs, col("s").struct.field_by_index(1)).to_pylist() == ["a", None, "b"]
    maps = pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int64()))
    assert evaluate(maps, col("s").map.keys()).to_pylist() == [["k", "l"], None, []]
    assert evaluate(maps, col("s").map.values()).to_pylist() == [[1, None], None, []]
    tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(np.arange(12).reshape(2, 3, 2))
    got = evaluate(tensors, col("s").arr.to_list()).to_pylist()
    assert got == [[[0, 1], [2, 3], [4, 5]], [[6, 7], [8, 9], [10, 11]]]
