"""Runs a function compiled and interpreted, and tells where the two differ.

The interpreted lane is what a worker process runs, in this process: the engine's conversions of
rows and batches around the function itself.
"""

from __future__ import annotations

import linecache
import struct
import warnings
from functools import lru_cache
from types import FunctionType
from typing import Any, NamedTuple

import pyarrow as pa

from lambda_fuzz.program import Program
from raceline import _chain, _native, _rows
from raceline._function import FunctionError, Stopwatch, UserFunction
from raceline._lambda import Translation, translate
from raceline._udf import Call


class Outcome(NamedTuple):
    """What became of a program and a table.

    Attributes:
        status: `ok`, `trouble`, `declined` or `broken` (no `result`), or `raised` (an exception).
        result: The rows that came out; `None` where there are none.
        error: The exception, or the reason of a decline.
    """

    status: str
    result: pa.RecordBatch | None = None
    error: BaseException | str | None = None

    @property
    def num_rows(self) -> int:
        """How many rows came out."""
        return 0 if self.result is None else self.result.num_rows

    def __str__(self) -> str:
        """The outcome for a person."""
        if self.result is None:
            return f"{self.status} {self.error!r}" if self.error else self.status
        types = ", ".join(f"{field.name}: {field.type}" for field in self.result.schema)
        return f"{self.status} ({types}) {self.result.to_pylist()}"


@lru_cache(maxsize=256)
def load(program: Program) -> FunctionType:
    """The function of a program, of true bytecode; tracebacks find its source."""
    # Few names, so that a long run does not keep the source of all programs.
    name = f"<random {hash(program.source) % 1024}>"
    lines = program.source.splitlines(keepends=True)
    linecache.cache[name] = (len(program.source), None, lines, name)
    names: dict[str, Any] = {"__name__": "random_program"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(program.source, name, "exec"), names)
    return names["fn"]


@lru_cache(maxsize=256)
def translated(program: Program) -> Translation:
    """The function of a program for the compiler."""
    return translate(load(program), program.args, dict(program.kwargs))


def seen(program: Program, table: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of a table that a program is made for."""
    return table if program.column is None else table.select([program.column])


def compiled(program: Program, table: pa.RecordBatch) -> Outcome:
    """What the compiler computes."""
    translation = translated(program)
    if translation.program is None:
        return Outcome("declined", error=translation.decline)
    try:
        status, result = _native._evaluate_lambda(
            translation.program, program.kind, seen(program, table)
        )
    except BaseException as error:  # a panic, too, is the compiler's failure
        if isinstance(error, KeyboardInterrupt):
            raise
        return Outcome("broken", error=error)
    if status == "ok":
        return Outcome("ok", pa.record_batch(result))
    return Outcome(status, error=result)


def interpreted(program: Program, table: pa.RecordBatch, *, warns: bool = True) -> Outcome:
    """What Python computes. A warning counts as an exception: no compiled function warns.

    Args:
        program: The program.
        table: Its rows.
        warns: Whether a warning is raised, and not lost.
    """
    call = Call(row_is_value=translated(program).row_is_value, batch_format="numpy")
    fn = load(program)
    called: Any = fn
    if program.args or program.kwargs:
        called = lambda argument: fn(argument, *program.args, **dict(program.kwargs))  # noqa: E731
    function = UserFunction(program.kind, fn.__name__, called, call)
    [batch] = _native.value_to_batches(pa.table(seen(program, table)))
    if program.kind == "map_batches":
        part: Any = _chain.BatchFunction(function, Stopwatch())
    else:
        part = _rows.RowFunctions(function, Stopwatch(), rows_are_known=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error" if warns else "ignore")
            outputs = [pa.record_batch(output) for output in part.over(iter([batch]))]
    except FunctionError as error:
        return Outcome("raised", error=error.__cause__)
    except Exception as error:  # of rows that are none
        return Outcome("raised", error=error)
    outputs = [output for output in outputs if output.num_rows]
    if not outputs:
        return Outcome("ok")
    [result] = outputs
    return Outcome("ok", result)


def difference(found: Outcome, expected: Outcome) -> str | None:
    """In what a result of the compiler differs from Python's; `None` when it does not.

    What the compiler declines or hands back to Python is Python's by itself.
    """
    if found.status == "broken":
        return f"the compiler fails: {found.error}"
    if found.status != "ok":
        return None
    if expected.status == "raised":
        return f"Python raises {expected.error!r}"
    if found.num_rows != expected.num_rows:
        return f"{expected.num_rows} rows are {found.num_rows}"
    if found.result is None or expected.result is None:
        return None
    return _difference_of_tables(found.result, expected.result)


def _difference_of_tables(found: pa.RecordBatch, expected: pa.RecordBatch) -> str | None:
    if found.schema.names != expected.schema.names:
        return f"columns {expected.schema.names} are {found.schema.names}"
    for field, other in zip(found.schema, expected.schema, strict=True):
        cells, others = found[field.name].to_pylist(), expected[field.name].to_pylist()
        if field.metadata != other.metadata:
            return f"`{field.name}`: metadata {other.metadata} is {field.metadata}"
        # A column that has only None, or empty lists, is of no type until others come.
        is_open = pa.types.is_null(other.type) or other.type == pa.list_(pa.null())
        if field.type != other.type and not is_open:
            return f"`{field.name}`: type {other.type} is {field.type}"
        for cell, one in zip(cells, others, strict=True):
            if not same(cell, one):
                return f"`{field.name}`: {one!r} is {cell!r}"
    return None


def same(left: object, right: object) -> bool:
    """Whether two values are of one type and, but for the payload of NaN, of the same bits."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float) and isinstance(right, float):
        both_nan = left != left and right != right
        return both_nan or struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right
