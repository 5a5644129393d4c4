"""Neighbouring row functions over batches, each as one loop: see :mod:`raceline._loop`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import length_hint
from types import GeneratorType
from typing import Any, NamedTuple

from raceline._dict_display import display_of
from raceline._function import (
    FunctionError,
    Stopwatch,
    UserFunction,
    async_hint,
    is_of_function,
)
from raceline._loop import Columns, Line, Step, loop_lines
from raceline._native import RowCollector, WorkerBatch, is_plain_value
from raceline._optional import is_numpy

# File name of the loops in tracebacks.
LOOP_FILE = "<row functions>"

# Rows whose cells are made at once, and the bytes of these; they stay in the processor's cache.
_WINDOW_ROWS = 4096
_WINDOW_BYTES = 1 << 20
# Of the first window: nobody knows yet how large the rows are that are made of it.
_FIRST_ROWS = 16
# An output has no more rows than this, and no more bytes, as far as some of its rows tell.
_OUTPUT_ROWS_MAX = 1 << 17
_OUTPUT_BYTES_MAX = 8 << 20
# Python takes up to 20 loops inside one another.
_FLAT_MAPS_MAX = 16
# With more columns than this, rows go out whole.
_COLUMNS_MAX = 64
# Loops that are kept, where the columns change from batch to batch.
_LOOPS_MAX = 64
# What is of one of these types, or of one of NumPy's scalars, is always a row, or always a value.
_DEFINITE_TYPES = (dict, int, float, str, bytes)
# What most functions make many rows as. Whether other types are iterable takes long to ask.
_MANY = frozenset({list, tuple, GeneratorType})


class RowFunctions:
    """Functions that see one row at a time, each fed by the one before it."""

    def __init__(self, first: UserFunction, stopwatch: Stopwatch, *, rows_are_known: bool) -> None:
        """Begins with one function.

        Args:
            first: The function.
            stopwatch: Measures the functions.
            rows_are_known: Whether errors say the row's position in the batch.
        """
        self._steps = [first]
        self._stopwatch = stopwatch
        self._rows_are_known = rows_are_known
        self._loops: dict[Columns, _Loop] = {}

    def takes(self, function: UserFunction) -> bool:
        """Whether the function can follow those here; then it does from now on."""
        kinds = [step.kind for step in self._steps]
        fits = "key" not in kinds and kinds.count("flat_map") < _FLAT_MAPS_MAX
        if fits:
            self._steps.append(function)
        return fits

    def over(self, batches: Iterator[WorkerBatch]) -> Iterator[WorkerBatch | FunctionError]:
        """The batches that the functions make, and the rows that one fails for and goes on.

        Raises:
            FunctionError: A function raised, or returned what it must not.
        """
        for batch in batches:
            columns = Columns(tuple(batch.names), batch.is_values)
            loop = self._loops.get(columns)
            if loop is None:
                if len(self._loops) == _LOOPS_MAX:
                    self._loops.clear()
                loop = self._loops[columns] = _Loop(self._steps, columns, self._stopwatch)
            try:
                yield from loop.over(batch)
            except FunctionError as error:
                if not self._rows_are_known:
                    error.row = None
                raise


class _Loop:
    """The loop of some functions over batches of certain columns."""

    def __init__(self, steps: list[UserFunction], columns: Columns, stopwatch: Stopwatch) -> None:
        self._steps = steps
        self._stopwatch = stopwatch
        self._key = steps[-1] if steps[-1].kind == "key" else None
        self._checks = [Check(step) for step in steps]
        displays = [display_of(step.function) if step.kind == "map" else None for step in steps]
        made_by = [at for at, step in enumerate(steps) if step.kind in ("map", "flat_map")]
        self._maker = self._checks[made_by[-1]] if made_by else None
        self._goes_on = steps[0].call.goes_on
        self._window_rows = _FIRST_ROWS
        names: dict[str, Any] = {"only": _only, "limit": _FIRST_ROWS}
        self._names = names
        # Dicts find a key faster that is the very object by which it is asked for.
        names |= {f"k{index}": sys.intern(name) for index, name in enumerate(columns.names)}
        for index, step in enumerate(steps):
            names[f"f{index}"] = step.function
            if step.kind == "flat_map" and step.call.goes_on:
                names[f"f{index}"] = partial(_whole, self._checks[index])
            names[f"check{index}"] = self._checks[index]
            names[f"many{index}"] = partial(many, step)
        self._forms = [Step(step, display) for step, display in zip(steps, displays, strict=True)]
        self._columns = columns
        self._rows_form = self._form(())
        # Takes the values out of rows, once it is known which columns these have.
        self._values_form: _Form | None = None
        self._values: list[list[Any]] = []
        self._running = self._rows_form
        self._may_see_columns = self._maker is not None
        display = displays[made_by[-1]] if made_by else None
        if display is not None and display.keys is not None:
            self._see_columns(display.keys)

    def _form(self, made: tuple[str, ...]) -> _Form:
        lines = loop_lines(self._forms, self._columns, made)
        self._names |= {f"m{index}": name for index, name in enumerate(made)}
        source = "\n".join(line.text for line in lines)
        exec(compile(source, LOOP_FILE, "exec"), self._names)  # noqa: S102  # no text of a user's
        return _Form(self._names["loop"], lines, made)

    def _see_columns(self, made: tuple[str, ...]) -> None:
        """Has the values of rows taken out from now on, which have these columns."""
        self._may_see_columns = False
        if 0 < len(made) <= _COLUMNS_MAX:
            self._values_form = self._form(tuple(map(sys.intern, made)))
            self._values = [[] for _ in made]

    def over(self, batch: WorkerBatch) -> Iterator[WorkerBatch | FunctionError]:
        """What becomes of one batch."""
        if self._maker is None:
            return self._kept(batch)
        for check in self._checks:
            check.first = None
        return self._made(batch, self._maker)

    def _kept(self, batch: WorkerBatch) -> Iterator[WorkerBatch | FunctionError]:
        flags: list[bool] = []
        keys: list[Any] = []
        for failure in self._windows(batch, flags, keys):
            if failure is not None:
                flags.append(False)
                yield failure
        if batch.wants_flags:
            yield WorkerBatch.of_flags(flags)
            return
        output = batch.filter(flags)
        if output.num_rows > 0 or self._key is None:
            yield self._with_keys(output, keys)

    def _made(self, batch: WorkerBatch, maker: Check) -> Iterator[WorkerBatch | FunctionError]:
        rows: list[Any] = []
        keys: list[Any] = []
        for values in self._values:
            values.clear()
        collector, gathered, gathered_bytes = None, 0, 0
        for failure in self._windows(batch, rows, keys):
            if failure is not None:
                yield failure
            if not rows and not (self._values and self._values[0]):
                continue
            collector = collector or RowCollector(maker.are_values)
            count, weight = self._gather(collector, rows)
            gathered += count
            gathered_bytes += weight
            if gathered >= _OUTPUT_ROWS_MAX or gathered_bytes >= _OUTPUT_BYTES_MAX:
                yield self._with_keys(self._collected(collector), keys)
                collector, gathered, gathered_bytes = None, 0, 0
        if collector is not None:
            yield self._with_keys(self._collected(collector), keys)

    def _gather(self, collector: RowCollector, rows: list[Any]) -> tuple[int, int]:
        """Takes in what the loop has put out.

        Returns:
            How many rows that are, and about how many bytes.
        """
        count = weight = 0
        if self._values and (count := len(self._values[0])):
            collector.extend_columns(self._running.made, self._values)
            weight = self._weigh(count, lambda at: sum(_weight(of[at]) for of in self._values))
            for values in self._values:
                values.clear()
        if rows:
            collector.extend(rows)
            count += len(rows)
            weight += self._weigh(len(rows), lambda at: _weight(rows[at]))
            if self._running.made:
                # A row with other columns: there may be many.
                self._values_form = None
            elif self._may_see_columns:
                self._see_columns(_columns_of(rows))
            rows.clear()
        return count, weight

    def _weigh(self, count: int, weight_at: Callable[[int], int]) -> int:
        """About the bytes of the rows. From now on, no more are made at once than fit an output."""
        weight = sum(map(weight_at, (0, count // 2, -1))) // 3 + 1
        grown = min(_WINDOW_ROWS, 8 * self._window_rows)
        self._window_rows = max(1, min(grown, _OUTPUT_BYTES_MAX // weight))
        self._names["limit"] = self._window_rows
        return weight * count

    def _collected(self, collector: RowCollector) -> WorkerBatch:
        try:
            return collector.take()
        except Exception as error:
            raise FunctionError(self._steps[-1].name) from error

    def _with_keys(self, batch: WorkerBatch, keys: list[Any]) -> WorkerBatch:
        if self._key is None:
            return batch
        name = self._key.call.key_column
        try:
            if name in batch.names:
                # The words of `Dataset.groupby`, which finds this where it knows the columns.
                raise ValueError(
                    f"`groupby` of a function makes a column `{name}`, which exists already\n"
                    f'  hint: group by the column: `groupby("{name}")`, or rename it first'
                )
            batch = batch.with_column(name, keys)
        except Exception as error:
            raise FunctionError(self._key.name) from error
        keys.clear()
        return batch

    def _windows(
        self, batch: WorkerBatch, out: list[Any], keys: list[Any]
    ) -> Iterator[FunctionError | None]:
        """Runs the loop; stops when there is something to take out of ``out``.

        Yields:
            None, or the error of a row after which the loop goes on.
        """
        start, window_rows = 0, 0
        rows_max = max(1, min(_WINDOW_ROWS, _WINDOW_BYTES // batch.row_bytes))
        while (start := start + window_rows) < batch.num_rows:
            window_rows = min(rows_max, self._window_rows) if self._maker else rows_max
            try:
                columns = batch.slice(start, window_rows).cells()
            except Exception as error:
                raise FunctionError(self._steps[0].name) from error
            cells = [iter(column) for column in columns]
            form = self._running = self._values_form or self._rows_form
            values = self._values if form.made else ()
            failure: FunctionError | None = None
            while True:
                try:
                    yield from self._stopwatch.over(form.run(*cells, out, keys, *values))
                    break
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 (only after an Exception it goes on)
                    # The iterator tells which row was taken last.
                    row = start + len(columns[0]) - length_hint(cells[0]) - 1
                    failure = self._failure(error, row)
                    if not (self._goes_on and is_of_function(failure.__cause__)):
                        raise failure from failure.__cause__
                yield failure

    def _failure(self, error: BaseException, row: int) -> FunctionError:
        """The error of a row, of the function that it comes from."""
        if isinstance(error, FunctionError):
            error.row = row
            return error
        step, cause = self._blamed(error)
        failure = FunctionError(step.name, row)
        failure.__cause__ = cause
        return failure

    def _blamed(self, error: BaseException) -> tuple[UserFunction, BaseException]:
        """The function that an exception comes from, by the line of the loop that it passed."""
        cause: BaseException = error
        if isinstance(error.__cause__, StopIteration):
            # The loop is a generator, where Python makes a RuntimeError of it.
            cause = error.__cause__
        frames = cause.__traceback__
        while frames is not None and frames.tb_frame.f_code.co_filename != LOOP_FILE:
            frames = frames.tb_next
        if frames is None:
            return self._steps[0], error
        line = self._running.lines[frames.tb_lineno - 1]
        step = self._steps[line.step]
        if line.asks_for_truth:
            cause = no_truth(step, frames.tb_frame.f_locals["flag"])
        elif cause is not error:
            cause = RuntimeError("the function raised StopIteration")
            cause.__traceback__ = frames
        return step, cause


class _Form(NamedTuple):
    """A loop that puts out rows whole, or the values of columns that they are known to have."""

    run: Callable[..., Iterator[None]]
    lines: list[Line]
    made: tuple[str, ...]


class Check:
    """Whether all that a function makes of one batch are rows, or all are plain values."""

    def __init__(self, step: UserFunction) -> None:
        self.step = step
        self.first: Any = None
        self.are_values = False

    def __call__(self, row: Any) -> type | None:
        """Checks one; its type when all of that type are alike.

        Raises:
            FunctionError: It is neither, or the first one was of the other kind.
        """
        found = type(row).__name__
        is_value = is_plain_value(row)
        if row is None:
            text, hint = "returned None for a row", "did you forget `return`?"
        elif is_value is None:
            text = f"returned `{found}` for a row, which is neither a dict nor a plain value"
            is_async = self.step.call.max_concurrency is not None
            hint = (None if is_async else async_hint(row)) or (
                'return a dict, such as `{"value": x}`; `flat_map` makes several rows of one'
            )
        elif self.first is not None and is_value != self.are_values:
            first = type(self.first).__name__
            text = f"returned `{first}` for one row and `{found}` for another"
            hint = "return a dict for every row, or a value for every row"
        else:
            self.first, self.are_values = row, is_value
            is_definite = isinstance(row, _DEFINITE_TYPES) or is_numpy(row, "generic")
            return type(row) if is_definite else None
        raise FunctionError(self.step.name) from self.step.complaint(text, hint)


def many(step: UserFunction, made: Any) -> Iterable[Any]:
    """The rows that a function made of one.

    Raises:
        FunctionError: They are none.
    """
    if type(made) in _MANY:
        usual: Iterable[Any] = made
        return usual
    if isinstance(made, Iterable) and not isinstance(made, (str, bytes, Mapping)):
        return made
    raise FunctionError(step.name) from step.complaint(
        f"returned `{type(made).__name__}` for a row, not a list of rows",
        async_hint(made) or "return a list of dicts or values, or yield them",
    )


def no_truth(step: UserFunction, flag: Any) -> ValueError:
    """What is wrong with what a filter function returned."""
    return step.complaint(
        f"returned `{type(flag).__name__}` for a row, which is neither true nor false",
        "a filter function sees one row and returns `bool`",
    )


def _whole(check: Check, row: Any) -> list[Any]:
    """All that a function makes of a row, which fails for that row alone if it fails at all."""
    made = check.step.function(row)
    # A generator may yield the same dict, changed, again.
    rows = [row.copy() if type(row) is dict else row for row in many(check.step, made)]
    for one in rows:
        check(one)
    return rows


def _weight(value: Any) -> int:
    """About the bytes that a value takes in a column."""
    if type(value) is dict:
        return sum(map(_weight, value.values()))
    if is_numpy(value, "ndarray"):
        return int(value.nbytes)
    if isinstance(value, str | bytes | bytearray):
        return len(value)
    if isinstance(value, list | tuple) and value:
        return len(value) * _weight(value[0])
    return 8


def _columns_of(rows: list[Any]) -> tuple[str, ...]:
    """The columns that all of the rows have; none where one has others, or is no dict."""
    first = rows[0]
    is_alike = type(first) is dict and all(
        type(row) is dict and row.keys() == first.keys() for row in rows
    )
    return tuple(first) if is_alike and all(type(name) is str for name in first) else ()


def _only(row: Any) -> Any:
    """The value of a row that has one, and of a plain value."""
    if type(row) is dict and len(row) == 1:
        [row] = row.values()
    return row
