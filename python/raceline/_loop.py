"""The source of one loop that calls neighbouring row functions, one row after the other.

Python calls Python functions much faster from its own loops than anybody else can call them, and
a row that is built and dropped inside a loop takes the memory of the row before. For a map and a
filter over two columns::

    def loop(c0, c1, out, keys):
        put = out.append
        put_key = keys.append
        t0 = None
        for v0, v1 in zip(c0, c1):
            row = {k0: v0, k1: v1}
            row = f0(row)
            if type(row) is not t0:
                t0 = check0(row)
            flag = f1(row)
            if not flag:
                continue
            put(row.copy() if t0 is dict else row)

A function may change a dict that it has handed on, or hand it on again, so what goes out of the
loop, or from ``flat_map`` to the next function, is a copy.

Yield:
A loop is a generator that stops when there is something to take out of ``out``. Functions that
only choose among the rows put ``True`` or ``False`` for each instead of rows. Names that end in a
number are of the column or the function in that position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from raceline._function import UserFunction


class Columns(NamedTuple):
    """What a loop is made for."""

    names: tuple[str, ...]
    are_values: bool


class Line(NamedTuple):
    """A line of the loop, and whose it is.

    Attributes:
        step: Position of the function.
        asks_for_truth: Whether the line asks what the function returned whether it is true.
    """

    text: str
    step: int
    asks_for_truth: bool = False


def loop_lines(steps: Sequence[UserFunction], columns: Columns) -> list[Line]:
    """The lines of the loop.

    Its globals are ``k`` of each column, ``f``, ``check`` and ``many`` of each function, ``only``
    and ``limit``.
    """
    return _Writer(steps, columns).lines


class _Writer:
    def __init__(self, steps: Sequence[UserFunction], columns: Columns) -> None:
        self.lines: list[Line] = []
        self._columns = columns
        self._depth = 0
        self._step = 0
        self._made_row = False
        self._puts_flags = all(step.kind in ("filter", "key") for step in steps)
        self._head(steps)
        self._steps = len(steps)
        # The function whose rows they are.
        self._maker: int | None = None
        for self._step, step in enumerate(steps):
            _WRITE[step.kind](self, self._argument(step))
        if self._puts_flags:
            self._write("put(True)")
        elif self._maker is None:
            self._write("put(row)")
        else:
            self._write(f"put({self._own_row()})")
        if any(step.kind == "flat_map" for step in steps):
            self._write("if len(out) >= limit:")
            self._write("    yield")
        self._depth = 1
        self._write("yield")

    def _write(self, text: str, asks_for_truth: bool = False) -> None:
        self.lines.append(Line("    " * self._depth + text, self._step, asks_for_truth))

    def _head(self, steps: Sequence[UserFunction]) -> None:
        width = max(len(self._columns.names), 1)
        cells = ", ".join(f"c{index}" for index in range(width))
        values = ", ".join(f"v{index}" for index in range(width))
        self._write(f"def loop({cells}, out, keys):")
        self._depth = 1
        self._write("put = out.append")
        self._write("put_key = keys.append")
        for index in range(len(steps)):
            self._write(f"t{index} = None")
        self._write(f"for {values} in {cells if width == 1 else f'zip({cells})'}:")
        self._depth = 2
        if self._columns.are_values:
            self._write("row = v0")
        elif self._rows_are_seen(steps):
            pairs = (f"k{index}: v{index}" for index in range(len(self._columns.names)))
            self._write(f"row = {{{', '.join(pairs)}}}")

    def _rows_are_seen(self, steps: Sequence[UserFunction]) -> bool:
        """Whether a function is called with a row as it comes, not with its only value."""
        for step in steps:
            if self._argument(step) == "row":
                return True
            if step.kind in ("map", "flat_map"):
                return False
        return False

    def _argument(self, step: UserFunction) -> str:
        if not step.call.row_is_value or (self._columns.are_values and not self._made_row):
            return "row"
        if self._made_row:
            return "only(row)"
        return "v0" if len(self._columns.names) == 1 else "row"

    def _map(self, argument: str) -> None:
        self._write(f"row = f{self._step}({argument})")
        self._check()

    def _flat_map(self, argument: str) -> None:
        step = self._step
        self._write(f"made = f{step}({argument})")
        self._write(f"for row in made if type(made) is list else many{step}(made):")
        self._depth += 1
        self._check()
        if step + 1 < self._steps:
            self._write(f"row = {self._own_row()}")

    def _own_row(self) -> str:
        return f"row.copy() if t{self._maker} is dict else row"

    def _check(self) -> None:
        self._made_row, self._maker = True, self._step
        self._write(f"if type(row) is not t{self._step}:")
        self._write(f"    t{self._step} = check{self._step}(row)")

    def _filter(self, argument: str) -> None:
        self._write(f"flag = f{self._step}({argument})")
        self._write("if not flag:", asks_for_truth=True)
        if self._puts_flags:
            self._write("    put(False)")
        self._write("    continue")

    def _key(self, argument: str) -> None:
        self._write(f"put_key(f{self._step}({argument}))")


_WRITE = {
    "map": _Writer._map,
    "flat_map": _Writer._flat_map,
    "filter": _Writer._filter,
    "key": _Writer._key,
}
