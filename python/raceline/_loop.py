"""The source of one loop that calls neighbouring row functions, one row after the other.

Python calls Python functions much faster from its own loops than anybody else can call them, and
a row that is built and dropped inside a loop takes the memory of the row before. For a map and a
filter over two columns, of which the map makes rows with one::

    def loop(c0, c1, out, keys, o0, *, k0=k0, k1=k1, f0=f0, f1=f1, m0=m0):
        t0 = None
        for v0, v1 in zip(c0, c1):
            row = {k0: v0, k1: v1}
            row = f0(row)
            if type(row) is not t0:
                t0 = check0(row)
            flag = f1(row)
            if not flag:
                continue
            if t0 is not dict or len(row) != 1:
                out.append(row.copy() if t0 is dict else row)
                yield  # It has its place behind the values so far.
                continue
            x0 = row[m0]
            o0.append(x0)

Values are taken out of a row at once, when it is known which columns the rows have. Until then rows
go out whole, and so does a row that has other columns; it has as many when ``row[m0]`` finds
nothing. A function may change a dict that it has handed on, or hand it on again, so what goes out
whole, or from ``flat_map`` to the next function, is a copy. What is certain is not asked: a
function that ends by making a dict needs no check, and where the dict has constant keys, neither do
they.

Yield:
A loop is a generator that stops when there is something to take out: first the values, then the
rows of ``out``. Functions that only choose among the rows put ``True`` or ``False`` for each
instead of rows. Names that end in a number are of the column or the function in that position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from raceline._dict_display import Display
from raceline._function import UserFunction


class Columns(NamedTuple):
    """What a loop is made for."""

    names: tuple[str, ...]
    are_values: bool


class Step(NamedTuple):
    """A function of a loop.

    Attributes:
        display: What is certain about the dict that it returns.
    """

    function: UserFunction
    display: Display | None


class Line(NamedTuple):
    """A line of the loop, and whose it is.

    Attributes:
        step: Position of the function.
        asks_for_truth: Whether the line asks what the function returned whether it is true.
    """

    text: str
    step: int
    asks_for_truth: bool = False


def loop_lines(steps: Sequence[Step], columns: Columns, made: tuple[str, ...]) -> list[Line]:
    """The lines of the loop.

    Its globals are ``k`` of each column, ``f``, ``check`` and ``many`` of each function, ``m`` of
    each column that is made, ``only`` and ``limit``.

    Args:
        steps: The functions, in order.
        columns: Of the rows that come.
        made: Columns of the rows that are made, to take their values out. Without any, rows go
            out whole.
    """
    return _Writer(steps, columns, made).lines


class _Writer:
    def __init__(self, steps: Sequence[Step], columns: Columns, made: tuple[str, ...]) -> None:
        self.lines: list[Line] = []
        self._columns = columns
        self._made = made
        self._depth = 0
        self._step = 0
        self._made_row = False
        self._steps = steps
        self._puts_flags = all(step.function.kind in ("filter", "key") for step in steps)
        self._head()
        # The function whose rows they are.
        self._maker = 0
        for self._step, step in enumerate(steps):
            _WRITE[step.function.kind](self, self._argument(step.function))
        if self._puts_flags:
            self._write("out.append(True)")
        elif made:
            self._put_values()
        else:
            self._write(f"out.append({self._own_row()})")
        if any(step.function.kind == "flat_map" for step in steps):
            self._write(f"if len({'o0' if made else 'out'}) >= limit:")
            self._write("    yield")
        self._depth = 1
        self._write("yield")

    def _write(self, text: str, asks_for_truth: bool = False) -> None:
        self.lines.append(Line("    " * self._depth + text, self._step, asks_for_truth))

    def _head(self) -> None:
        width = max(len(self._columns.names), 1)
        cells = ", ".join(f"c{index}" for index in range(width))
        values = ", ".join(f"v{index}" for index in range(width))
        outs = [f"o{index}" for index in range(len(self._made))]
        # Looking up a variable of the function's own is faster than one of its module.
        own = [f"k{index}" for index in range(len(self._columns.names))]
        own += [f"f{index}" for index in range(len(self._steps))]
        own += [f"m{index}" for index in range(len(self._made))]
        parameters = [cells, "out", "keys", *outs, "*", *(f"{name}={name}" for name in own)]
        self._write(f"def loop({', '.join(parameters)}):")
        self._depth = 1
        for index in range(len(self._steps)):
            self._write(f"t{index} = None")
        self._write(f"for {values} in {cells if width == 1 else f'zip({cells})'}:")
        self._depth = 2
        if self._columns.are_values:
            self._write("row = v0")
        elif self._rows_are_seen():
            pairs = (f"k{index}: v{index}" for index in range(len(self._columns.names)))
            self._write(f"row = {{{', '.join(pairs)}}}")

    def _rows_are_seen(self) -> bool:
        """Whether a function is called with a row as it comes, not with its only value."""
        for step in self._steps:
            if self._argument(step.function) == "row":
                return True
            if step.function.kind in ("map", "flat_map"):
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
        if step + 1 < len(self._steps):
            self._write(f"row = {self._own_row()}")

    def _own_row(self) -> str:
        if self._is_dict(self._maker):
            return "row.copy()"
        return f"row.copy() if t{self._maker} is dict else row"

    def _is_dict(self, step: int) -> bool:
        return self._steps[step].display is not None

    def _check(self) -> None:
        self._made_row, self._maker = True, self._step
        if self._is_dict(self._step):
            return
        self._write(f"if type(row) is not t{self._step}:")
        self._write(f"    t{self._step} = check{self._step}(row)")
        if self._puts_at_once():
            # What is no dict goes out whole, so that of others nothing more is asked.
            self._write(f"    if t{self._step} is not dict:")
            for text in (f"t{self._step} = None", "out.append(row)", "yield", "continue"):
                self._write(f"        {text}")

    def _puts_at_once(self) -> bool:
        """Whether the values of rows are taken out right where these are made."""
        return bool(self._made) and self._maker == len(self._steps) - 1

    def _put_values(self) -> None:
        display, columns = self._steps[self._maker].display, range(len(self._made))
        if self._puts_made_rows_only(display):
            for index in columns:
                self._write(f"o{index}.append(row[m{index}])")
            return
        is_odd = f"len(row) != {len(self._made)}"
        if display is None and not self._puts_at_once():
            is_odd = f"t{self._maker} is not dict or {is_odd}"
        self._write(f"if {is_odd}:")
        self._put_whole()
        self._write("try:")
        for index in columns:
            self._write(f"    x{index} = row[m{index}]")
        self._write("except KeyError:")
        self._put_whole()
        for index in columns:
            self._write(f"o{index}.append(x{index})")

    def _puts_made_rows_only(self, display: Display | None) -> bool:
        """Whether rows have the columns for certain: no later function could have changed them."""
        is_last = self._maker == len(self._steps) - 1
        return is_last and display is not None and display.keys == self._made

    def _put_whole(self) -> None:
        own = "row.copy()" if self._puts_at_once() else self._own_row()
        for text in (f"out.append({own})", "yield", "continue"):
            self._write(f"    {text}")

    def _filter(self, argument: str) -> None:
        self._write(f"flag = f{self._step}({argument})")
        self._write("if not flag:", asks_for_truth=True)
        if self._puts_flags:
            self._write("    out.append(False)")
        self._write("    continue")

    def _key(self, argument: str) -> None:
        self._write(f"keys.append(f{self._step}({argument}))")


_WRITE = {
    "map": _Writer._map,
    "flat_map": _Writer._flat_map,
    "filter": _Writer._filter,
    "key": _Writer._key,
}
