"""Random row functions: called with the columns that were found, they do the same.

``RACELINE_FUZZ_PROGRAMS`` says how many, 2,000 by default.
"""

from __future__ import annotations

import os
import random
import textwrap

from raceline._liveness import live_columns

COLUMNS = ["a", "b", "c", "d", "e"]
NAMES = [*COLUMNS, "new", "other"]
VARIABLES = ["x", "y", "row", "made"]
STAND_IN = object()


def expose(mapping):
    """A function that may do anything with what it gets."""
    mapping["b"] = sum(value for value in mapping.values() if isinstance(value, int))
    return mapping


class Writer:
    """Writes the source of a function, depth first."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def _one(self, *choices):
        return self._random.choice(choices)

    def name(self):
        return repr(self._one(*NAMES))

    def value(self, depth=0):
        if depth > 2:
            return self._one("1", "x", f"row[{self.name()}]")
        return self._one(
            lambda: f"row[{self.name()}]",
            lambda: f"row[{self.name()}]",
            lambda: self._one("0", "7", "x", "y"),
            lambda: f"({self.value(depth + 1)} + {self.value(depth + 1)})",
            lambda: f"row.get({self.name()}, 3)",
            lambda: f"row.get({self.name()})",
            lambda: f"({self.name()} in row)",
            lambda: f"({self.value(depth + 1)} if {self.value(depth + 1)} else 2)",
            lambda: f"({self.value(depth + 1)} or {self.value(depth + 1)})",
            lambda: f"made[{self.name()}]",
            lambda: f"max({self.value(depth + 1)}, 1)",
            lambda: f"[i + {self.value(depth + 1)} for i in range(2)][1]",
        )()

    def display(self):
        items = [f"{self.name()}: {self.value(1)}" for _ in range(self._random.randrange(1, 4))]
        if self._random.random() < 0.3:
            items.insert(self._one(0, 0, len(items)), "**row")
        if self._random.random() < 0.1:
            items.append("**made")
        return "{" + ", ".join(items) + "}"

    def statement(self, depth):
        simple = [
            lambda: f"x = {self.value()}",
            lambda: f"y = {self.value()}",
            lambda: f"made = {self.display()}",
            lambda: f"made = {self.display()}",
            lambda: f"made[{self.name()}] = {self.value()}",
            lambda: f"row[{self.name()}] = {self.value()}",
            lambda: f"row[{self.name()}] += 1",
            lambda: self._one("del row['c']", "y = row.pop('d')", "pass", "x, y = y, x"),
            lambda: self._one("made = {**row}", "made = row", "row |= {'new': x}", "x = len(made)"),
            lambda: f"made = row | {{{self.name()}: {self.value()}}}",
            lambda: self._one("expose(made)", "made = expose({'a': x})", "pass", "expose(row)"),
        ]
        if depth > 1 or self._random.random() < 0.7:
            return self._one(*simple)()
        block = self.block(depth + 1)
        return self._one(
            lambda: f"if {self.value()}:\n{block}",
            lambda: f"if {self.value()}:\n{block}\nelse:\n{self.block(depth + 1)}",
            lambda: f"for x in range(2):\n{block}",
            lambda: f"try:\n{block}\nexcept KeyError:\n{self.block(depth + 1)}",
            lambda: f"try:\n{block}\nfinally:\n{self.block(depth + 1)}",
            lambda: f"for y in [x, 3]:\n{block}",
        )()

    def block(self, depth):
        lines = [self.statement(depth) for _ in range(self._random.randrange(1, 3))]
        if self._random.random() < 0.3:
            lines.append(self.result())
        return textwrap.indent("\n".join(lines), "    ")

    def result(self):
        return self._one(
            lambda: "return row",
            lambda: "return made",
            lambda: f"return {self.display()}",
            lambda: f"return {self.display()}",
            lambda: f"return {{**row, {self.name()}: {self.value()}}}",
        )()

    def function(self):
        body = [self.statement(0) for _ in range(self._random.randrange(1, 5))]
        lines = ["x, y, made = 1, 2, {'a': 1}", *body, self.result()]
        return "def f(row):\n" + textwrap.indent("\n".join(lines), "    ")


def outcome(fn, row):
    try:
        return fn(row)
    except Exception as error:
        return type(error), str(error)


def by_the_engine(found, fn, row):
    """What the engine makes of a row whose unread columns stay."""
    passed = {source for _, source in found.passes}
    sent = {
        name: value if name in found.reads else STAND_IN
        for name, value in row.items()
        if name in found.reads or name in passed
    }
    answer = outcome(fn, sent)
    if not isinstance(answer, dict):
        return answer
    if not found.passes_others:
        named = dict(found.passes)
        return {
            name: row[named[name]] if value is STAND_IN else value for name, value in answer.items()
        }
    kept = {name: value for name, value in row.items() if name not in found.reads}
    beside = {name: {**kept, **answer}[name] for name in row if name in kept or name in answer}
    return {**beside, **answer}


def test_random_functions():
    programs = int(os.environ.get("RACELINE_FUZZ_PROGRAMS", "2000"))
    seen = {"others": 0, "named": 0, "reads": 0}
    rows = [
        {name: at for at, name in enumerate(COLUMNS)},
        {name: 5 - at for at, name in enumerate(reversed(COLUMNS))},
        {"b": 0, "d": 1},
    ]
    for seed in range(programs):
        source = Writer(seed).function()
        scope = {"expose": expose}
        exec(source, scope)
        fn = scope["f"]
        found = live_columns("map", fn)
        if found.reads is None:
            continue
        kind = "others" if found.passes_others else "named" if found.passes else "reads"
        seen[kind] += 1
        for row in rows:
            expected = outcome(fn, dict(row))
            answer = by_the_engine(found, fn, row)
            same = answer == expected and (
                not isinstance(answer, dict) or list(answer) == list(expected)
            )
            assert same, f"seed {seed}: {found}\n{source}\n{row}\n{expected}\n{answer}"
    assert min(seen.values()) >= programs // 200, seen
