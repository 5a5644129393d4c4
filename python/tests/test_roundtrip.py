"""Random tables cross to worker processes and back, and hold what they held.

The expected values are the Python values that a table was made of. `RACELINE_FUZZ_CASES` sets the
number of tables of each format, 12 by default; a failure names the seed of its table.
"""

import datetime as dt
import decimal
import math
import os
import random

import numpy as np
import pyarrow as pa
import pytest

import raceline

CASES = int(os.environ.get("RACELINE_FUZZ_CASES", "12"))


def same(value):
    """The value itself, by a function that no compiler sees through."""
    return [value][-1:][0]


def text(random):
    return "".join(random.choices("ab é\0漢🦀", k=random.choice([0, 1, 5, 13, 40])))


def moment(random, unit):
    microseconds = random.randrange(-(10**15), 10**15)
    step = {"s": 10**6, "ms": 1000, "us": 1, "ns": 1}[unit]
    return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=microseconds // step * step)


def timestamps(random):
    unit = random.choice(["s", "ms", "us", "ns"])
    zone = random.choice([None, dt.UTC])
    value_type = pa.timestamp(unit, None if zone is None else "UTC")
    return value_type, lambda: moment(random, unit).replace(tzinfo=zone)


def durations(random):
    unit = random.choice(["s", "ms", "us", "ns"])
    return pa.duration(unit), lambda: moment(random, unit) - dt.datetime(1970, 1, 1)


def times(random):
    unit = random.choice(["s", "ms", "us", "ns"])
    value_type = pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    return value_type, lambda: moment(random, unit).time()


def decimals(random):
    digits = random.choice([5, 20, 38, 60])
    value_type = pa.decimal128(digits, 2) if digits <= 38 else pa.decimal256(digits, 2)
    most = 10 ** (digits - 3)
    return value_type, lambda: decimal.Decimal(random.randrange(-most, most)).scaleb(
        -2, decimal.Context(prec=76)
    )


def integers(random):
    bits = random.choice([8, 16, 32, 64])
    if random.random() < 0.3:
        return getattr(pa, f"uint{bits}")(), lambda: random.randrange(2**bits)
    return getattr(pa, f"int{bits}")(), lambda: random.randrange(
        -(2 ** (bits - 1)), 2 ** (bits - 1)
    )


def floats(random):
    value_type = random.choice([pa.float32(), pa.float64()])
    special = [0.0, -0.0, math.inf, -math.inf, 1e-3, 2.5]
    return value_type, lambda: float(np.float32(random.choice([*special, random.gauss(0, 1e6)])))


def texts(random):
    return random.choice([pa.string(), pa.large_string(), pa.string_view()]), lambda: text(random)


def binaries(random):
    kind = random.choice([pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(4)])
    if kind == pa.binary(4):
        return kind, lambda: random.randbytes(4)
    return kind, lambda: random.randbytes(random.choice([0, 3, 30]))


def dictionaries(random):
    words = ["", "one", "two", "漢字"]
    return pa.dictionary(pa.int8(), pa.string()), lambda: random.choice(words)


def dates(random):
    return pa.date32(), lambda: moment(random, "s").date()


SCALARS = [
    lambda random: (pa.bool_(), lambda: random.random() < 0.5),
    lambda random: (pa.null(), lambda: None),
    integers,
    floats,
    texts,
    binaries,
    dates,
    times,
    timestamps,
    durations,
    decimals,
    dictionaries,
]


def lists(random, depth):
    value_type, value = values(random, depth - 1)
    if random.random() < 0.3:
        return pa.list_(value_type, 3), lambda: [value() for _ in range(3)]
    make = random.choice([pa.list_, pa.large_list])
    return make(value_type), lambda: [value() for _ in range(random.choice([0, 0, 1, 4]))]


def structs(random, depth):
    fields = {f"f{index}": values(random, depth - 1) for index in range(random.randint(1, 3))}
    value_type = pa.struct([(name, value_type) for name, (value_type, _) in fields.items()])
    return value_type, lambda: {name: value() for name, (_, value) in fields.items()}


def maps(random, depth):
    value_type, value = values(random, depth - 1)
    words = ["a", "b", "c"]
    return pa.map_(pa.string(), value_type), lambda: [
        (word, value()) for word in random.sample(words, random.randint(0, 3))
    ]


def values(random, depth):
    """A type, and what makes a value of it, null now and then."""
    nested = [lists, structs, maps] if depth > 0 else []
    make = random.choice(SCALARS + nested * 2)
    value_type, value = make(random, depth) if make in nested else make(random)
    nulls = random.choice([0, 0, 0.3])
    return value_type, lambda: None if random.random() < nulls else value()


def table_of(random):
    """A table and the values of its columns."""
    rows = random.choice([0, 1, 3, 50, 200])
    columns, fields = {}, []
    for index in range(random.randint(1, 4)):
        value_type, value = values(random, 2)
        columns[f"c{index}"] = [value() for _ in range(rows)]
        fields.append(pa.field(f"c{index}", value_type))
    arrays = [pa.array(columns[field.name], field.type) for field in fields]
    table = pa.table(arrays, schema=pa.schema(fields))
    first = random.randrange(rows + 1)
    cut = pa.concat_tables([table.slice(0, first), table.slice(first)])
    return cut, columns


def crossed(table, random, batch_format):
    """What comes back from workers that hand on what they were given."""
    dataset = raceline.from_arrow(table)
    batch_size = random.choice([None, 1, 7, 64])
    return dataset.map_batches(same, batch_format=batch_format, batch_size=batch_size)


def plain(value):
    """Values of one meaning in one form: NumPy's as Python's, pairs of maps as lists."""
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, np.datetime64 | np.timedelta64):
        return plain(pa.scalar(value).as_py())
    if isinstance(value, np.generic):
        return plain(value.item())
    return value


@pytest.mark.parametrize("seed", range(CASES))
def test_arrow_tables_come_back_of_the_same_types(seed):
    source = random.Random(seed)
    table, columns = table_of(source)
    dataset = crossed(table, source, "pyarrow")
    batches = list(dataset.iter_batches(batch_format="pyarrow", batch_size=None))
    assert sum(batch.num_rows for batch in batches) == table.num_rows
    for batch in batches:
        assert batch.schema.types == table.schema.types
    for name, expected in columns.items():
        found = [value for batch in batches for value in batch[name].to_pylist()]
        assert plain(found) == plain(expected), (seed, name, table.schema)


@pytest.mark.parametrize("seed", range(CASES))
def test_rows_come_back_with_the_same_values(seed):
    source = random.Random(1000 + seed)
    table, columns = table_of(source)
    rows = raceline.from_arrow(table).map(lambda row: {**same(row)}).take_all()
    assert len(rows) == table.num_rows
    for name, expected in columns.items():
        assert plain([row[name] for row in rows]) == plain(expected), (seed, name, table.schema)


WORDS = pa.dictionary(pa.int8(), pa.string())


@pytest.mark.parametrize(
    "type_",
    [
        pa.struct([("word", WORDS)]),
        pa.struct([("words", pa.list_(WORDS, 2)), ("inner", pa.struct([("word", WORDS)]))]),
        pa.list_(pa.struct([("word", WORDS)]), 2),
        pa.map_(pa.string(), WORDS),
        WORDS,
    ],
    ids=str,
)
def test_dictionaries_that_hold_nothing_come_back(type_):
    # Below a null, PyArrow leaves keys that point to nothing.
    for table in (
        pa.table({"a": pa.array([None] * 3, type_)}),
        pa.table({"a": pa.array([], type_)}),
    ):
        dataset = raceline.from_arrow(table)
        rows = table.to_pylist()
        assert dataset.map(lambda row: {**same(row)}).take_all() == rows
        assert dataset.map_batches(same, batch_format="pyarrow").take_all() == rows


@pytest.mark.parametrize("seed", range(CASES))
def test_pandas_frames_come_back_with_the_same_values(seed):
    source = random.Random(2000 + seed)
    table, columns = table_of(source)
    rows = crossed(table, source, "pandas").take_all()
    for name, expected in columns.items():
        assert plain([row[name] for row in rows]) == plain(expected), (seed, name, table.schema)


@pytest.mark.parametrize("seed", range(CASES))
def test_tensors_come_back_of_the_same_types_and_shapes(seed):
    source = random.Random(3000 + seed)
    generator = np.random.default_rng(seed)
    dtype = source.choice([np.uint8, np.int16, np.int64, np.float16, np.float32, np.float64, bool])
    rows, shape = source.choice([1, 5, 40]), source.choice([(3,), (2, 3), (1, 0, 2), (4, 2, 3)])
    fixed = generator.integers(0, 2, (rows, *shape)).astype(dtype)
    shapes = [tuple(generator.integers(0, 4, len(shape))) for _ in range(rows)]
    ragged = [generator.integers(0, 2, one).astype(dtype) for one in shapes]
    dataset = raceline.from_items(
        [{"fixed": one, "ragged": other} for one, other in zip(fixed, ragged, strict=True)]
    )
    batch_size = source.choice([None, 1, 7])
    through = dataset.map_batches(same, batch_size=batch_size).map(lambda row: {**same(row)})
    found = through.take_all()
    assert len(found) == rows
    for row, one, other in zip(found, fixed, ragged, strict=True):
        for name, expected in (("fixed", one), ("ragged", other)):
            assert row[name].dtype == expected.dtype, (seed, name)
            assert row[name].shape == expected.shape, (seed, name)
            np.testing.assert_array_equal(row[name], expected)
