"""How a dataset was made, so that it can be pickled: the calls of the engine, recorded.

A plan of the engine is a value of Rust. What travels is the list of calls that made it: those of
the session and of the engine's datasets, with what was passed to them.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from raceline._frame_types import FrameTypes, types_after
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native

__all__ = [
    "OF_THIS_PROCESS",
    "Recorded",
    "dump",
    "is_read_again",
    "load",
    "make_expression",
    "of_frames",
    "recorded_session",
]

#: Attribute of functions that give the rows of an object of this process.
OF_THIS_PROCESS = "__raceline_of_this_process__"

# Calls whose result is the rows themselves.
_OF_ROWS = frozenset({"dead_letters", "materialize"})
# Plans that Ray Data does not serialize as lineage.
_OF_SEVERAL = frozenset({"join", "mix", "sql", "sql_with_functions", "union", "zip"})


class Step:
    """A call that made a plan."""

    __slots__ = ("arguments", "frame_types", "method", "owner")

    def __init__(self, owner: Step | None, method: str, arguments: tuple[Any, ...]) -> None:
        """Takes the step of the dataset that was called (None of the session), and the call."""
        self.owner = owner
        self.method = method
        self.arguments = arguments
        #: Types of columns that came as pandas frames.
        self.frame_types: FrameTypes | None = None


class Recorded:
    """A dataset or session of the engine that remembers how its plans are made."""

    __slots__ = ("plain", "step")

    def __init__(self, plain: Any, step: Step | None) -> None:
        """Takes the object, and the step that made it; None of a session."""
        self.plain = plain
        self.step = step

    def __getattr__(self, name: str) -> Any:
        """A method, whose result is recorded if it is a dataset."""
        method = getattr(self.plain, name)
        return _Method(self, name, method) if callable(method) else method


class _Method:
    """A method of a recorded object."""

    __slots__ = ("_method", "_name", "_owner")

    def __init__(self, owner: Recorded, name: str, method: Callable[..., Any]) -> None:
        self._owner, self._name, self._method = owner, name, method

    def __call__(self, *arguments: Any) -> Any:
        result = self._method(*(_plain(one) for one in arguments))
        if not _is_of_engine(result, "Dataset"):
            return result
        if self._name == "recorded_in":
            return Recorded(result, self._owner.step)
        owner = self._owner.step
        if self._name in _OF_ROWS:
            step = Step(None, self._name, (result,))
        else:
            step = Step(owner, self._name, arguments)
        if owner is not None:
            step.frame_types = types_after(owner.frame_types, self._name, arguments)
        return Recorded(result, step)


def of_frames(native: _native.Dataset, types: FrameTypes) -> _native.Dataset:
    """A plan whose rows came as pandas frames with columns of ``types``."""
    _step_of(native).frame_types = types
    return native


def recorded_session(session: _native.Session) -> _native.Session:
    """A session whose datasets remember how they were made."""
    return cast("_native.Session", Recorded(session, None))


class _Plan(NamedTuple):
    """Stands for the plan of a step, by its number."""

    number: int


class _Rows(NamedTuple):
    """Stands for Arrow data: the bytes of an IPC stream."""

    stream: bytes


def dump(native: _native.Dataset) -> bytes:
    """How a plan was made; see :func:`load`.

    Raises:
        ImportError: It holds rows, and PyArrow is not installed.
        PlanError: Something of it cannot be pickled.
    """
    import cloudpickle

    from raceline._unpicklable import culprit

    calls: list[tuple[int | None, str, Any, FrameTypes | None]] = []
    steps = _in_order(_step_of(native))
    numbers = {id(step): number for number, step in enumerate(steps)}
    for step in steps:
        if step.method in _OF_ROWS:
            rows = ("Materialized", _all_rows(step.arguments[0]))
            calls.append((None, "from_batches", rows, step.frame_types))
            continue
        owner = None if step.owner is None else numbers[id(step.owner)]
        arguments = _outward(step.arguments, numbers)
        calls.append((owner, step.method, arguments, step.frame_types))

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # it has no stubs
        """Takes the batches that literals are made of."""

        def reducer_override(self, obj: Any) -> Any:
            if _is_of_engine(obj, "Batch"):
                return _batch, (_rows_of(obj),)
            return super().reducer_override(obj)

    target = io.BytesIO()
    try:
        Pickler(target).dump(calls)
    except Exception as error:
        held = culprit(calls)
        told = f"{held}: {error}" if held else error
        raise PlanError(f"the dataset cannot be pickled: {told}") from error
    return target.getvalue()


def load(dumped: bytes) -> _native.Dataset:
    """The plan, made again in this process's session."""
    import pickle

    from raceline._session import session

    made: list[Any] = []
    for owner, method, arguments, types in pickle.loads(dumped):  # noqa: S301 (as who unpickles it)
        target = session() if owner is None else made[owner]
        plan = getattr(target, method)(*_inward(arguments, made))
        made.append(plan if types is None else of_frames(plan, types))
    return cast("_native.Dataset", made[-1])


def is_read_again(native: _native.Dataset) -> bool:
    """Whether all rows of a plan are those of one source, and none of them travel with it."""
    for step in _in_order(_step_of(native)):
        if step.method in _OF_SEVERAL or step.method in _OF_ROWS:
            return False
        if step.method == "from_batches" and step.arguments[0] != "ReadTasks":
            return False
        if step.method == "udf" and _is_of_this_process(step.arguments[0]):
            return False
    return True


def _is_of_this_process(options: dict[str, Any]) -> bool:
    """Whether a function gives the rows of an object that this process holds."""
    given = options.get("given")
    return given is not None and hasattr(given.function, OF_THIS_PROCESS)


def make_expression(method: str, *arguments: Any) -> _native.Expr:
    """An expression of the engine, made again of how it was made."""
    from raceline import _native

    if method in ("case", "col", "lit", "lit_of"):
        return cast("_native.Expr", getattr(_native, method)(*arguments))
    owner, *given = arguments
    return cast("_native.Expr", getattr(owner, method)(*given))


def _step_of(native: Any) -> Step:
    step: Step | None = native.step if isinstance(native, Recorded) else None
    if step is None:
        raise PlanError("the dataset cannot be pickled: nobody knows how it was made")
    return step


def _is_of_engine(value: Any, kind: str) -> bool:
    module = sys.modules.get("raceline._native")
    return module is not None and isinstance(value, getattr(module, kind))


def _plain(value: Any) -> Any:
    """What the engine takes for an argument, in which datasets may be recorded ones."""
    if isinstance(value, Recorded):
        return value.plain
    if type(value) in (list, tuple) and any(
        isinstance(one, Recorded | list | tuple) for one in value
    ):
        return type(value)(_plain(one) for one in value)
    return value


def _steps_in(value: Any) -> list[Step]:
    """The steps of the datasets in an argument."""
    if isinstance(value, Recorded):
        return [_step_of(value)]
    if isinstance(value, list | tuple):
        return [step for one in value for step in _steps_in(one)]
    return []


def _in_order(last: Step) -> list[Step]:
    """A step and all that it stands on, those first; without recursion, as plans may be deep."""
    found: dict[int, Step] = {}
    open_steps = [(last, False)]
    while open_steps:
        step, is_ready = open_steps.pop()
        if id(step) in found:
            continue
        if is_ready:
            found[id(step)] = step
            continue
        below = _steps_in(step.arguments)
        open_steps.append((step, True))
        open_steps += [(one, False) for one in below]
        if step.owner is not None:
            open_steps.append((step.owner, False))
    return list(found.values())


def _outward(value: Any, numbers: dict[int, int]) -> Any:
    """An argument as it travels."""
    if isinstance(value, Recorded):
        return _Plan(numbers[id(_step_of(value))])
    if type(value) in (list, tuple):
        return type(value)(_outward(one, numbers) for one in value)
    is_arrow = hasattr(value, "__arrow_c_stream__") or hasattr(value, "__arrow_c_array__")
    return _rows_of(value) if is_arrow else value


def _inward(value: Any, made: list[Any]) -> Any:
    """An argument as it was passed."""
    if isinstance(value, _Plan):
        return made[value.number]
    if isinstance(value, _Rows):
        import pyarrow as pa

        table = pa.ipc.open_stream(value.stream).read_all()
        # A table without rows may have no batches, which would lose its columns.
        return table if table.num_rows else pa.RecordBatch.from_pylist([], table.schema)
    if type(value) in (list, tuple):
        return type(value)(_inward(one, made) for one in value)
    return value


def _batch(rows: _Rows) -> _native.Batch:
    """A batch of the engine."""
    from raceline._native import columns_to_batch

    table = _inward(rows, [])
    return columns_to_batch(dict(zip(table.schema.names, table.columns, strict=True)))


def _all_rows(native: _native.Dataset) -> list[_Rows]:
    """The rows of a kept dataset, or its columns where there are none."""
    from raceline._optional import optional
    from raceline.data.iterator import native_batches_of

    rows = [_rows_of(batch) for batch in native_batches_of(native)]
    schema = native.schema(False)
    if rows or schema is None:
        return rows
    return [_rows_of(optional("pyarrow").schema(schema).empty_table())]


def _rows_of(data: Any) -> _Rows:
    from raceline._optional import optional

    pa = optional("pyarrow")
    table = data if isinstance(data, pa.Table) else pa.table(data)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return _Rows(sink.getvalue().to_pybytes())
