"""Random functions of rows."""

from __future__ import annotations

import random

from lambda_fuzz.grammar import Writer
from lambda_fuzz.program import Program, is_python
from lambda_fuzz.row_grammar import CONSTANTS, FAMILIES, GRAMMAR, KINDS, RETURNED, WORDS
from lambda_fuzz.tables import COLUMNS

_PRELUDE = """\
import math

K = 4
BIG = 2**62
F = -0.75
W = "Ab"
NAME = "a"
CHOICES = (1, 4, None, "a")
WORDS = frozenset({"a", "ab", "日本"})
"""
_HELPERS = {
    "h_int": ("x, y=<small>", "int", {"x": "int", "y": "int"}),
    "h_float": ("x, *, scale=2.0", "float", {"x": "float", "scale": "float"}),
    "h_str": ('s, suffix="!"', "str", {"s": "str", "suffix": "str"}),
    "h_bool": ("x, limit=1", "bool", {"x": "int", "limit": "float"}),
}


def row_program(rng: random.Random, family: str) -> Program:
    """A random function of rows that has to do with a family of features."""
    while not is_python(program := _any_row_program(rng, family)):
        pass
    return program


def _any_row_program(rng: random.Random, family: str) -> Program:
    kind = rng.choices(["map", "filter", "key"], [10, 2, 1])[0]
    if family == "flat_map":
        kind, family = "flat_map", rng.choice(["core", "core", "mixed"])
    if family == "values":
        return _value_program(rng)
    return _Function(rng, kind, family).program()


def _value_program(rng: random.Random) -> Program:
    """A function of a row of one column that is used as its value."""
    column = rng.choice(["a", "f", "s", "p", "c"])
    kind = next(kind for kind, names in COLUMNS.items() if column in names)
    leaves = {**CONSTANTS, **WORDS, kind: ["x", "x", "x", *CONSTANTS[kind]]}
    leaves |= {
        "any": ["x"],
        "column": ["x"],
        "parts": ["x"],
        "digits": ["x"],
        "datetime": ["x"],
        "date": ["x"],
        "moment": ["x"],
    }
    writer = Writer(rng, GRAMMAR, leaves, {"core": 1.0, "constants": 0.3, "builtins": 0.1})
    action = rng.choice(["map", "map", "filter"])
    result = "bool" if action == "filter" else rng.choice(KINDS)
    body = writer.write(result, rng.randint(1, 3))
    if action == "map" and rng.random() < 0.3:
        body = f'{{"x": {body}}}'
    return Program(action, f"{_PRELUDE}fn = lambda x: {body}\n", column)


class _Function:
    """Writes one function."""

    def __init__(self, rng: random.Random, kind: str, family: str) -> None:
        self._rng, self._kind, self._family = rng, kind, family
        self._features = {"core": 1.0, "rare": 0.02, **FAMILIES[family]}
        self._guarded = rng.random() < 0.25
        self._uses_dicts = family in ("rows", "mixed")
        leaves = {kind: self._columns(kind) for kind in COLUMNS}
        for name, constants in CONSTANTS.items():
            leaves[name] += rng.choices(constants, k=3)
        leaves["int"] += ["row[NAME]", *rng.choices(['row["absent"]', "row[NAME]"], [1, 30])]
        leaves["any"] = ["<int>", "<float>", "<str>", "<bool>"]
        leaves["column"] = [f'row["{name}"]' for name in "abcfghstupq"]
        leaves["moment"] = ["<datetime>", "<date>"]
        leaves["parts"] = ["<str>.split()"]
        self._writer = Writer(rng, GRAMMAR, {**leaves, **WORDS}, self._features)
        self._depth = rng.choice([1, 1, 2, 2, 3])
        self._variables: list[tuple[str, str]] = []

    def _columns(self, kind: str) -> list[str]:
        leaves = [f'row["{name}"]' for name in COLUMNS[kind] for _ in range(2)]
        if self._guarded and kind in CONSTANTS:
            constant = CONSTANTS[kind][1]
            leaves = [f"({leaf} if {leaf} is not None else {constant})" for leaf in leaves]
        return leaves

    def program(self) -> Program:
        prelude = _PRELUDE
        if self._features.get("helpers"):
            prelude += "".join(self._helper(name) for name in _HELPERS)
        form = self._rng.random()
        if form < 0.4:
            return Program(self._kind, f"{prelude}fn = lambda row: {self._returned()}\n")
        if form < 0.55:
            return self._with_captured(prelude)
        lines = "\n".join(self._body())
        return Program(self._kind, f"{prelude}def fn(row):\n{lines}\n")

    def _with_captured(self, prelude: str) -> Program:
        """A function with values from around it, from defaults and from its caller."""
        rng, writer = self._rng, self._writer
        kind, name = rng.choice(KINDS), "k"
        value = writer.fill(rng.choice(CONSTANTS[kind]), 0)
        writer.add_leaf(kind, name)
        if rng.random() < 0.4:
            body = "\n".join(f"    {line}" for line in self._body())
            made = (
                f"def make({name}):\n    def fn(row):\n{body}\n    return fn\nfn = make({value})\n"
            )
            return Program(self._kind, prelude + made)
        body = "\n".join(self._body())
        if rng.random() < 0.5:
            source = f"{prelude}def fn(row, {name}={value}):\n{body}\n"
            return Program(self._kind, source)
        star = rng.choice(["", "*, "])
        given = ((), ((name, 3),)) if star or rng.random() < 0.5 else ((2.5,), ())
        return Program(self._kind, f"{prelude}def fn(row, {star}{name}):\n{body}\n", None, *given)

    def _helper(self, name: str) -> str:
        rng = self._rng
        parameters, result, kinds = _HELPERS[name]
        leaves = {kind: [rng.choice(constants)] for kind, constants in CONSTANTS.items()} | WORDS
        writer = Writer(rng, GRAMMAR, {**leaves, "any": ["0"], "column": ["None"]}, {"core": 1.0})
        for parameter, kind in kinds.items():
            writer.add_leaf(kind, parameter)
        # What a helper computes with and never sees: the row and dates.
        parameters = writer.fill(parameters, 0)
        body = writer.write(result, rng.randint(1, 2))
        if rng.random() < 0.4:
            test, other = writer.write("bool", 1), writer.write(result, 1)
            lines = f"    if {test}:\n        return {other}\n    return {body}\n"
            return f"def {name}({parameters}):\n{lines}"
        if rng.random() < 0.3:
            return f"{name} = lambda {parameters}: {body}\n"
        return f"def {name}({parameters}):\n    return {body}\n"

    def _body(self) -> list[str]:
        """Statements that end in a return."""
        rng, writer = self._rng, self._writer
        lines = []
        for index in range(rng.choice([0, 1, 1, 2])):
            lines += self._statement(f"v{index}", rng.choice(KINDS))
        shape = self._shape()
        if rng.random() < 0.5:
            lines.append(f"    if {self._condition()}:")
            lines += [f"    {line}" for line in self._ending(shape)]
            if rng.random() < 0.2:
                lines.append(f"    elif {self._condition()}:")
                lines += [f"    {line}" for line in self._ending(shape)]
        if rng.random() < 0.1:
            # A value that is computed for the exception that it may raise, if for anything.
            lines.append(f"    w = {writer.write(rng.choice(KINDS), 1)}")
        return lines + self._ending(shape)

    def _statement(self, name: str, kind: str) -> list[str]:
        """Sets a local variable, which later expressions use."""
        rng, writer = self._rng, self._writer
        lines = [f"    {name} = {writer.write(kind, self._depth)}"]
        shape = rng.random()
        if shape < 0.2 and kind in ("int", "float"):
            lines.append(
                f"    {name} {rng.choice(['+=', '-=', '*=', '//='])} {writer.write(kind, 1)}"
            )
        elif shape < 0.3 and kind == "str":
            lines.append(f"    {name} += {writer.write(kind, 1)}")
        elif shape < 0.5:
            lines.append(f"    if {self._condition()}:")
            lines.append(f"        {name} = {writer.write(kind, 1)}")
            if rng.random() < 0.5:
                lines += ["    else:", f"        {name} = {writer.write(kind, 1)}"]
        elif shape < 0.6:
            lines[0] = lines[0].replace(f"{name} =", f"{name} = {name}b =")
        elif shape < 0.65:
            lines.append(f"    {name}, {name}b = {writer.write(kind, 1)}, {name}")
        elif shape < 0.68 and kind == "bool":
            lines.append(f"    assert {name}")
        writer.add_leaf(kind, name)
        if rng.random() < 0.8:
            self._variables.append((name, kind))
        return lines

    def _condition(self) -> str:
        return self._writer.write(self._rng.choice(["bool", "bool", "bool", "any"]), 1)

    def _shape(self) -> list[tuple[str, str]]:
        """Names and kinds of what all ways through the function return."""
        rng = self._rng
        names = rng.sample(["x", "y", "a", "s", "z"], rng.randint(1, 3))
        kinds = [*KINDS, *RETURNED.get(self._family, [])]
        return [*self._variables, *((name, rng.choice(kinds)) for name in names)]

    def _items(self, shape: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """An expression for each name of a shape; variables are returned as they are."""
        value = self._writer.write
        names = [name for name, _ in self._variables]
        return [(name, name if name in names else value(kind, self._depth)) for name, kind in shape]

    def _returned(self) -> str:
        rng = self._rng
        if self._kind == "filter":
            return self._writer.write(rng.choice(["bool", "bool", "bool", "any"]), self._depth)
        if self._kind == "key":
            return self._writer.write(rng.choice(KINDS), self._depth)
        if self._kind == "flat_map":
            return self._rows()
        if rng.random() < 0.2:
            return self._writer.write(rng.choice(KINDS), self._depth)
        return self._dict(self._shape())

    def _rows(self) -> str:
        """Constant lists of rows."""
        rng, shape = self._rng, self._shape()
        rows = [rng.choice(["row", self._dict(shape), self._dict(shape)]) for _ in range(3)]
        one, two, three = rows
        made = rng.choice([f"[{one}, {two}]", f"[{two}]", f"[{one}, {two}, {three}]", f"({one},)"])
        if rng.random() < 0.1:
            return f"[{self._writer.write('int', 2)}, {self._writer.write('int', 1)}]"
        if rng.random() < 0.2:
            return f"{made} if {self._condition()} else {rng.choice(['[]', f'[{three}]', made])}"
        return made

    def _dict(self, shape: list[tuple[str, str]]) -> str:
        """An expression that is a dict of that shape, or one of a row's columns as well."""
        rng = self._rng
        items = self._items(shape)
        pairs = ", ".join(f'"{name}": {value}' for name, value in items)
        keywords = ", ".join(f"{name}={value}" for name, value in items)
        forms = [f"{{{pairs}}}", f"{{{pairs}}}", f"{{**row, {pairs}}}", f"{{{pairs}, **row}}"]
        if self._uses_dicts:
            forms += [f"dict({keywords})", f"dict(row, {keywords})", f"row | {{{pairs}}}"]
            forms += [
                f"{{**row}} | {{{pairs}}}",
                f"dict({{{pairs}}})",
                f"dict(**row, n={items[0][1]})",
            ]
            forms += [f"{{{pairs}, **{{{pairs}}}}}", "{**row}", "dict(row)", "row.copy()"]
        return rng.choice(forms)

    def _ending(self, shape: list[tuple[str, str]]) -> list[str]:
        """Statements that return a value of that shape."""
        rng, writer = self._rng, self._writer
        if self._kind != "map":
            return [f"    return {self._returned()}"]
        items = self._items(shape)
        if len(items) == 1 and items[0][0] == "x":
            return [f"    return {items[0][1]}"]
        form = rng.random()
        if form < 0.3:
            return [f"    return {self._dict(shape)}"]
        if form < 0.65:
            sets = [f'    row["{name}"] = {value}' for name, value in items]
            if rng.random() < 0.15:
                sets.append(f'    row["a"] += {writer.write("int", 1)}')
            if rng.random() < 0.1:
                sets.append(f"    return {self._dict(shape)}")
            return [*sets, "    return row"]
        starts = ["row", "row", "row", "{}", "{**row}", '{"s": row["s"]}']
        if self._uses_dicts:
            starts += ["dict(row)", "row.copy()", "dict()"]
        sets = [f'    out["{name}"] = {value}' for name, value in items]
        if rng.random() < 0.1:
            sets.insert(0, f"    alias = {rng.choice(['out', 'row', '{**out}'])}")
            sets.append(f'    alias["x"] = {writer.write("int", 1)}')
        if self._uses_dicts and rng.random() < 0.1:
            sets.append(
                rng.choice(["    out.update(x=1)", '    out.pop("x", None)', "    del out['a']"])
            )
        return [
            f"    out = {rng.choice(starts)}",
            *sets,
            f"    return {rng.choice(['out', 'out', 'out', 'row'])}",
        ]
