"""Functions of rows and batches, for the tests of which columns they look at.

Each has the kind of transform that it is for, and what is to be found: the columns that it reads
(None: any), and what it passes (True: all others).
"""

from __future__ import annotations

import functools
import inspect
import sys
from typing import Any, NamedTuple

import numpy as np

ANY = None


class Case(NamedTuple):
    kind: str
    fn: Any
    reads: frozenset[str] | None
    passes: Any = None
    kwargs: dict[str, Any] = {}  # noqa: RUF012 (nobody changes it)

    @property
    def name(self) -> str:
        return getattr(self.fn, "__name__", type(self.fn).__name__)


CASES: list[Case] = []


def case(kind, reads, passes=None, fn=None, **kwargs):
    """Adds a function to the table."""
    reads = None if reads is None else frozenset(reads.split())

    def add(fn):
        CASES.append(Case(kind, fn, reads, passes, kwargs))
        return fn

    return add if fn is None else add(fn)


# Rows that become something else.


@case("map", "text")
def words(row):
    count = 0
    for word in row["text"].split():
        if not word:
            continue
        count += 1
    return {"count": count}


@case("map", "a score")
def branches(row):
    if row["a"] > 2:
        return {"value": row["a"]}
    if row["score"] is None:
        return {"value": -1}
    return {"value": float(row["score"])}


@case("map", "a nowhere")
def caught(row):
    try:
        return {"value": row["nowhere"]}
    except KeyError as error:
        return {"value": row["a"], "lacks": str(error)}


@case("map", "a nowhere score")
def asked(row):
    return {"a": row.get("a", 0), "is": "nowhere" in row, "score": row.get("score") or 0}


@case("map", "tags")
def comprehension(row):
    return {"long": [tag for tag in row["tags"] if len(tag) > 1]}


@case("map", "a")
def locals_and_aliases(row):
    same = row
    value, other = same["a"], 1
    row = {"x": value}
    return {"value": value + other, "kept": row["x"]}


@case("map", "", None)
def nothing(row):
    return {"n": 1}


@case("map", "text tags")
def with_statement(row):
    import contextlib

    with contextlib.suppress(ValueError):
        return {"at": row["text"].index("zz")}
    return {"at": len(row["tags"])}


@case("map", "a text")
def nested_calls(row):
    return {"joined": f"{row['a']:>4}|{row['text']!r}", "most": max(row["a"], 3, key=lambda v: -v)}


@case("map", "a")
def while_loop(row):
    n = row["a"]
    steps = 0
    while n > 0:
        n -= 1
        steps += 1
        if steps > 100:
            break
    else:
        steps += 1000
    return {"steps": steps}


@case("map", "a text")
def plain_value(row):
    return row["text"] * row["a"]


def of_column(name):
    return lambda row: {"value": row[name]}


case("map", "", {"value": "a"}, of_column("a"))
case("map", "text", None, functools.partial(lambda row, name: {"n": len(row[name])}, name="text"))
case("map", "a", None, lambda row, name="a": {"n": -row[name]})
case("map", "a", None, lambda row, *, name: {"n": -row[name]}, fn_kwargs={"name": "a"})
case("map", "a", None, lambda row, name: {"n": -row[name]}, fn_args=["a"])
case("map", "a score", None, lambda row: {"n": row["a"] if row["flag" and "score"] else 0})


# Rows that are handed on.


@case("map", "text length", True)
def sets(row):
    row["length"] = len(row["text"])
    return row


@case("map", "text length", True)
def unpacks(row):
    return {**row, "length": len(row["text"])}


@case("map", "a score text", True)
def replaces(row):
    row["a"] += 1
    row["text"] = row["text"].upper()
    if row["score"] is None:
        row["score"] = 0.5
    return row


@case("map", "a b", True)
def or_operator(row):
    return row | {"b": row["a"]}


@case("map", "a b", True)
def or_in_place(row):
    row |= {"b": row["a"]}
    return row


@case("map", "id more new", True)
def unpacks_two(row):
    more = {"more": row["id"]}
    more["new"] = 1
    return {**row, **more}


@case("map", "a first second", True)
def sets_sometimes(row):
    out = {**row}
    if row["a"] % 2:
        out["first"] = 1
    else:
        out["second"] = 2
    return out


@case("map", "id a", True)
def returns_both(row):
    if row["id"] % 2:
        return row
    return {**row, "a": 0}


case("map", "", True, lambda row: row)
case("map", "", True, lambda row: {**row})


# Rows of which some columns are handed on.


@case("map", "text", {"id": "id", "same": "small"})
def some(row):
    return {"id": row["id"], "length": len(row["text"]), "same": row["small"]}


@case("map", "a", {"x": "text", "y": "text"})
def twice(row):
    text = row["text"]
    return {"x": text, "y": text, "a": row["a"] + 1}


@case("map", "a", {"id": "id"})
def some_in_branches(row):
    if row["a"] > 2:
        return {"id": row["id"], "much": 1}
    return {"id": row["id"], "little": 1}


@case("map", "a text", {})
def other_in_branches(row):
    return {"id": row["a"]} if row["a"] > 2 else {"id": len(row["text"])}


@case("map", "a id", {})
def only_in_a_branch(row):
    made = {"a": -row["a"]}
    if row["a"] > 2:
        made["id"] = row["id"]
    return made


@case("map", "id a", {})
def shown(row):
    made = {"id": row["id"], "a": row["a"]}
    sorted(made)
    return made


@case("map", "id a", {})
def overwritten(row):
    made = {"id": row["id"], "n": -row["a"]}
    made["id"] = 7
    return made


@case("map", "id score", {})
def set_before(row):
    row["id"] = 5
    return {"id": row["id"], "score": row["score"]}


case("map", "", {"id": "id", "text": "text"}, lambda row: {"id": row["id"], "text": row["text"]})
case("map", "", {"missing": "missing"}, lambda row: {"missing": row["missing"]})

# Any column.


@case("map", ANY)
def passes_it_on(row):
    return {"n": len(repr(row))}


@case("map", ANY)
def iterates(row):
    return {name: len(name) for name in row}


@case("map", ANY)
def computed_name(row):
    return {"v": [row[name] for name in ("a", "id")]}


@case("map", ANY)
def length(row):
    return {"n": len(row)}


@case("map", ANY)
def items(row):
    return {name: str(value) for name, value in row.items()}


@case("map", ANY)
def closure(row):
    def inner():
        return row["a"]

    return {"v": inner()}


@case("map", ANY)
def evaluated(row):
    return {"v": eval("row['a']")}


evaluate_later = eval


@case("map", ANY)
def evaluated_by_another_name(row):
    return {"v": evaluate_later("row['a']", {}, {"row": {"a": 1}})}


@case("map", ANY)
def names_of_variables(row):
    return {"v": sorted(locals())}


@case("map", ANY)
def frames(row):
    return {"v": sys._getframe().f_locals["row"]["a"]}


def callers_row():
    return inspect.currentframe().f_back.f_locals["row"]["a"]


@case("map", ANY)
def frame_of_the_caller(row):
    return {"v": callers_row()}


@case("map", ANY)
def stored(row):
    kept = [row]
    return {"v": kept[0]["a"]}


@case("map", ANY)
def of_itself(row):
    row["self"] = str(dict(row))
    return row


@case("map", ANY)
def rest(row):
    return {"a": row.pop("a"), **row}


@case("map", ANY)
def removes(row):
    del row["a"]
    return row


@case("map", ANY)
def row_comes_last(row):
    return {"first": 1, **row}


@case("map", ANY)
def updated_by_a_call(row):
    more = {"k": 1}
    more.update(z=2)
    return {**row, **more}


@case("map", ANY)
def returns_a_row_or_not(row):
    return row if row["a"] > 2 else {"other": 1}


@case("map", ANY)
def matched(row):
    match row:
        case {"a": a}:
            return {"a": a}
    return {"a": 0}


@case("map", ANY)
def row_in_a_loop(row):
    out = {}
    for name in ("a", "id"):
        out[name] = row[name]
    return out


@case("map", ANY)
def any_arguments(*rows):
    return {"a": rows[0]["a"]}


def shared_name():
    name = "a"

    def change():
        nonlocal name
        name = "id"

    def read(row):
        change()
        return {"v": row[name]}

    return read


case("map", ANY, None, shared_name())


# Other kinds.


case("filter", "a", None, lambda row: row["a"] > 2)
case("filter", "score", None, lambda row: row["score"] is not None and row["score"] > 0.5)
case("filter", "", None, lambda row: False)
case("filter", "text tags", None, lambda row: len(row["text"]) > len(row["tags"]) or None)
case("filter", ANY, None, lambda row: row)


@case("flat_map", "id tags")
def tags_of(row):
    for tag in row["tags"]:
        yield {"id": row["id"], "tag": tag}


case("flat_map", "id", None, lambda row: [{"id": row["id"]}] * 2)
case("flat_map", ANY, None, lambda row: [row, row])


# Batches.


@case("map_batches", "a", {"id": "id", "x": "small"})
def some_columns(batch):
    return {"id": batch["id"], "double": batch["a"] * 2, "x": batch["small"]}


@case("map_batches", "a double", True)
def adds(batch):
    batch["double"] = batch["a"] * 2
    return batch


@case("map_batches", "a double", True)
def adds_in_front(batch):
    return {"double": batch["a"] * 2, **batch}


@case("map_batches", "a text", True)
def drops(batch):
    del batch["text"]
    taken = batch.pop("a")
    batch["a"] = taken + 1
    return batch


@case("map_batches", "a", {"id": "id", "text": "text", "missing": "missing"})
def some_of_all_types(batch):
    return {
        "missing": batch["missing"],
        "text": batch["text"],
        "id": batch["id"],
        "a": np.sqrt(batch["a"]),
    }


@case("map_batches", "a")
def in_pieces(batch):
    for start in range(0, len(batch["a"]), 2):
        yield {"a": batch["a"][start : start + 2]}


@case("map_batches", "a id")
def fewer(batch):
    large = batch["a"] > 2
    return {"id": batch["id"][large]}


@case("map_batches", "a", {"id": "id"})
def of_other_length(batch):
    return {"id": batch["id"], "a": batch["a"][:-1]}


@case("map_batches", "a", True)
def others_of_other_length(batch):
    return {**batch, "a": batch["a"][:-1]}


@case("map_batches", ANY)
def by_names(batch):
    return {name: values for name, values in batch.items() if name != "a"}


@case("map_batches", "a b", True, zero_copy_batch=False)
def in_place(batch):
    values = batch["a"]
    values += 1
    batch["b"] = values
    return batch


class Model:
    def __init__(self, factor=2):
        self.factor = factor

    def __call__(self, batch):
        return {"id": batch["id"], "y": batch["a"] * self.factor}


class Keeps(Model):
    def __call__(self, batch):
        self.last = batch
        return {"y": self.last["a"]}


class Replaced(Model):
    def __init__(self):
        self.__call__ = lambda batch: {"n": [len(batch)]}

    def __call__(self, batch):
        return {"y": batch["a"]}


class ByName(Model):
    def __init__(self):
        self.name = "a"

    def __call__(self, batch):
        return {"y": batch[self.name]}


case("map_batches", "a", {"id": "id"}, Model, concurrency=1)
case("map_batches", ANY, None, Keeps, concurrency=1)
case("map_batches", ANY, None, Replaced, concurrency=1)
case("map_batches", ANY, None, ByName, concurrency=1)
case("map_batches", "a", {"id": "id"}, Model().__call__)
case("map_batches", "a", {"id": "id"}, Model())


@case("map_batches", "a id", None, batch_format="pandas")
def frame_columns(frame):
    return {"id": frame["id"], "a": frame["a"] + 1}


@case("map_batches", ANY, None, batch_format="pandas")
def frame_attribute(frame):
    frame["b"] = frame.a + 1
    return frame


@case("map_batches", "a", None, batch_format="pyarrow")
def table_column(table):
    return {"a": table["a"].to_pylist()}


@case("map_batches", ANY, None, batch_format="pyarrow")
def table_methods(table):
    return table.select(["a"])
