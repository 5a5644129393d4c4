"""Rows as plain Python knows them, and the random tables that chains begin with."""

import math
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

TEXTS = ["", "a", "b", "ab", "é", "\U0001f600", "a\x00b", "A b", None]
FLOATS = [0.0, -0.0, 1.5, -2.25, 3.0, 1e300, float("inf"), float("-inf"), float("nan"), None]

# Of each kind of column: its type, and what its values are drawn from.
KINDS = {
    "int": (pa.int64(), [0, 1, 2, -3, 7, 2**40, None]),
    "int32": (pa.int32(), [0, 1, 2, -3, 2**31 - 1, None]),
    "str": (pa.string(), TEXTS),
    "dict": (pa.dictionary(pa.int32(), pa.string()), TEXTS),
    "float": (pa.float64(), FLOATS),
    "bool": (pa.bool_(), [True, False, None]),
    "list": (pa.list_(pa.int64()), [[], [1], [1, None], [3, 2, 1], None]),
    "struct": (
        pa.struct({"a": pa.int64(), "b": pa.string()}),
        [{"a": 1, "b": "x"}, {"a": None, "b": None}, {"a": 2, "b": ""}, None],
    ),
    "time": (pa.timestamp("us"), [datetime(1969, 12, 31), datetime(2024, 2, 29, 1, 2, 3), None]),
    "bytes": (pa.binary(), [b"", b"\x00\xff", None]),
    "tensor": (None, [[[1, 2], [3, 4]], [[0, -1], [5, 2**40]]]),
}
# Kinds that keys of groups, joins and sorts may be of.
KEYS = ("int", "int32", "str", "float", "bool", "time")


@dataclass(frozen=True)
class State:
    """Rows behind a part of a chain.

    Attributes:
        rows: The rows, in order.
        kinds: Kind of each column, in order.
        is_ordered: Whether the order of the rows is known.
        unique: A column of distinct numbers, if there is one.
        is_known: Whether the columns of a dataset without rows are.
    """

    rows: list
    kinds: dict = field(default_factory=dict)
    is_ordered: bool = True
    unique: str | None = "id"
    is_known: bool = True

    def over(self, rows, **changes):
        """The same columns, of other rows."""
        return replace(self, rows=rows, **changes)

    def of(self, *kinds):
        """Names of the columns of these kinds."""
        return [name for name, kind in self.kinds.items() if kind in kinds]

    def with_kinds(self, kinds, rows, **changes):
        """Other columns."""
        unique = self.unique if kinds.get(self.unique) == self.kinds.get(self.unique) else None
        return replace(self, **{"rows": rows, "kinds": kinds, "unique": unique, **changes})


def table_state(rng, rows_max=24):
    """A random table."""
    count = rng.choice([0, 1, rng.randrange(rows_max + 1), rng.randrange(rows_max + 1)])
    kinds = {"id": "int"}
    kinds |= dict(zip("kabcde", ["int32", *rng.sample(list(KINDS), 5)], strict=True))
    rows = [
        {name: at if name == "id" else rng.choice(KINDS[kind][1]) for name, kind in kinds.items()}
        for at in range(count)
    ]
    return State(rows, kinds)


def arrow_table(state):
    """The rows of a table as Arrow has them."""
    columns = {}
    for name, kind in state.kinds.items():
        values = [row[name] for row in state.rows]
        if kind == "tensor":
            tensors = np.array(values, dtype=np.int64).reshape(len(values), 2, 2)
            flat = pa.FixedSizeListArray.from_arrays(pa.array(tensors.reshape(-1)), 4)
            columns[name] = pa.ExtensionArray.from_storage(
                pa.fixed_shape_tensor(pa.int64(), (2, 2)), flat
            )
        elif kind == "dict":
            columns[name] = pa.array(values, pa.string()).dictionary_encode()
        else:
            columns[name] = pa.array(values, KINDS[kind][0])
    return pa.table(columns)


def is_missing(value):
    """Whether a cell is None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def cell(value):
    """A cell such that equal cells are equal, and NaN is, and can be hashed."""
    if isinstance(value, np.ndarray):
        return cell(value.tolist())
    if isinstance(value, np.generic):
        return cell(value.item())
    if isinstance(value, float):
        return ("float", "nan" if math.isnan(value) else value + 0.0)
    if isinstance(value, list | tuple):
        return ("list", *(cell(one) for one in value))
    if isinstance(value, dict):
        return ("dict", *((name, cell(one)) for name, one in value.items()))
    if isinstance(value, datetime):
        return ("time", value.isoformat())
    return (type(value).__name__, value)


def comparable(rows, *, in_order):
    """Rows such that equal ones are equal, sorted where their order means nothing.

    The order of columns is looked at by the schema: without rows, functions tell none.
    """
    found = [tuple((name, cell(row[name])) for name in sorted(row)) for row in rows]
    return found if in_order else sorted(found, key=repr)
