"""Checks of sources and sinks of a user's own, for their tests.

They raise an ``AssertionError`` that says which part of the contract is broken.
"""

from __future__ import annotations

import os
import pickle
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from raceline.data.block import Block, BlockAccessor, Schema
from raceline.data.datasource import Datasink, Datasource, ReadTask, TaskContext, WriteResult
from raceline.data.memory import from_arrow
from raceline.data.own_sources import read_datasource

__all__ = ["check_datasink", "check_datasource"]

_PARALLELISMS = (1, 3, 16)
# Rows that are given to a sink, in so many blocks.
_ROWS, _BLOCKS = 60, 6


def check_datasource(datasource: Datasource, *, parallelism: int | None = None) -> None:
    """Checks a source: its parts, what they tell of themselves, and that they can be read again.

    The whole source is read several times.

    Args:
        datasource: The source.
        parallelism: Parts to ask for; None tries several numbers.

    Raises:
        AssertionError: The source breaks the contract.

    Example:
        >>> from raceline.data.datasource import RandomIntRowDatasource
        >>> check_datasource(RandomIntRowDatasource(10, num_columns=2), parallelism=3)
    """
    size = datasource.estimate_inmemory_data_size()
    _check(
        size is None or (isinstance(size, int) and size >= 0),
        f"`estimate_inmemory_data_size` must be None or an int of at least 0, got `{size!r}`",
    )
    name = datasource.get_name()
    _check(isinstance(name, str) and name, f"`get_name` must be a string, got `{name!r}`")
    found: list[Any] | None = None
    for parts in _PARALLELISMS if parallelism is None else (parallelism,):
        tasks = datasource.get_read_tasks(parts)
        _check(isinstance(tasks, list), f"`get_read_tasks({parts})` must be a list")
        rows = [row for number, task in enumerate(tasks) for row in _rows_of(task, number)]
        _check(
            found is None or rows == found,
            f"the source has other rows, or another order, in {len(tasks)} parts than in fewer",
        )
        found = rows
        read = [_plain(row) for row in _run(datasource, parts)]
        _check(
            read == rows,
            f"a run of the source gives {len(read)} rows, which differ from the {len(rows)} rows "
            "of its parts: do they depend on the process that reads them?",
        )


def check_datasink(
    sink_factory: Callable[[], Datasink[Any]],
    *,
    read: Callable[[Datasink[Any]], Iterable[dict[str, Any]]] | None = None,
) -> None:
    """Checks a sink: that it can be sent to workers, and its commit.

    Each case has a sink of its own: a run that succeeds, one without rows, one that fails after
    some writes, and one of which a worker is killed just after it has written.

    Args:
        sink_factory: Makes a sink, with a target of its own each time.
        read: Gets a sink that was used, and returns the rows that a reader of its target sees. With
            it, the rows themselves are checked: all of them after a success, each once although a
            worker was killed, and none after a failure. They have columns ``id`` (int64) and
            ``text`` (string).

    Raises:
        AssertionError: The sink breaks the contract.

    Example:
        >>> from raceline.data.datasource import DummyOutputDatasink
        >>> check_datasink(DummyOutputDatasink)
    """
    table = _table(_ROWS)
    expected = Counter((row["id"], row["text"]) for row in table.to_pylist())
    with tempfile.TemporaryDirectory() as folder:
        for case, fault, rows in (
            ("a run that succeeds", None, table),
            ("a run without rows", None, table.slice(0, 0)),
            ("a run whose worker is killed after a write", "kill", table),
            ("a run that fails", "raise", table),
        ):
            sink = sink_factory()
            _check_pickles(sink)
            probe = _Probe(sink, fault, os.path.join(folder, case))
            dataset = from_arrow(rows).repartition(_BLOCKS)
            failed = _outcome(probe, dataset)
            _check_calls(case, probe, failed=failed, should_fail=fault == "raise")
            if not failed:
                _check(
                    probe.rows == rows.num_rows,
                    f"{case}: `on_write_complete` was told of {probe.rows} rows of {rows.num_rows}",
                )
            if read is not None:
                wanted = Counter() if failed or not rows.num_rows else expected
                seen = Counter((row["id"], row["text"]) for row in read(sink))
                if seen != wanted:
                    raise AssertionError(f"{case}: {_difference(seen, wanted)}")


class _Probe(Datasink[Any]):
    """A sink that sees how another one is called, and fails on purpose."""

    def __init__(self, sink: Datasink[Any], fault: str | None, mark: str) -> None:
        self.sink, self.fault, self.mark = sink, fault, mark
        self.calls: list[str] = []
        self.rows = 0

    def __getstate__(self) -> dict[str, Any]:
        # Writes run on copies, which must not need what the program's own object has seen.
        return {**vars(self), "calls": []}

    def on_write_start(self, schema: Schema | None = None) -> None:
        self.calls.append("start")
        self.sink.on_write_start(schema)

    def write(self, blocks: Iterable[Block], ctx: TaskContext) -> Any:
        returned = self.sink.write(blocks, ctx)
        if self.fault == "raise" and ctx.task_idx == _BLOCKS // 2:
            raise _FaultError("on purpose")
        if self.fault == "kill" and ctx.task_idx == _BLOCKS // 2 and self._is_first():
            os.kill(os.getpid(), signal.SIGKILL)
        return returned

    def on_write_complete(self, write_result: WriteResult[Any]) -> None:
        self.calls.append("complete")
        self.rows = write_result.num_rows
        self.sink.on_write_complete(write_result)

    def on_write_failed(self, error: BaseException) -> None:
        self.calls.append("failed")
        self.sink.on_write_failed(error)

    @property
    def min_rows_per_write(self) -> int | None:
        return _ROWS // _BLOCKS

    def _is_first(self) -> bool:
        """Whether no other worker was here before."""
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return False
        return True


class _FaultError(Exception):
    """What a write raises on purpose."""


def _rows_of(task: Any, number: int) -> list[Any]:
    """The rows of a part, which is read twice, once from a copy."""
    import cloudpickle

    what = f"part {number}"
    _check(isinstance(task, ReadTask), f"{what} must be a `ReadTask`, got `{type(task).__name__}`")
    try:
        copy = pickle.loads(cloudpickle.dumps(task))  # noqa: S301 (made here)
    except Exception as error:
        raise AssertionError(f"{what} cannot be pickled: {error}") from error
    blocks = [BlockAccessor.for_block(block) for block in task()]
    rows = [_plain(row) for block in blocks for row in block.iter_rows()]
    again = [_plain(row) for block in copy() for row in BlockAccessor.for_block(block).iter_rows()]
    _check(rows == again, f"{what} gives other rows when it is read again")
    known = task.metadata.num_rows
    _check(
        known is None or known == len(rows),
        f"{what} has {len(rows)} rows, and its metadata says {known}",
    )
    if task.schema is not None:
        for block in blocks:
            _check(
                block.schema().equals(task.schema),
                f"{what} has the columns\n{block.schema()}\nand declares\n{task.schema}",
            )
    return rows


def _run(datasource: Datasource, parts: int) -> list[Any]:
    rows: list[Any] = read_datasource(datasource, parallelism=parts).take_all()
    return rows


def _plain(row: dict[str, Any]) -> Any:
    """A row that can be compared: without missing columns, arrays as lists."""
    import numpy as np

    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in row.items()
        if value is not None
    }


def _table(rows: int) -> Any:
    import pyarrow as pa

    return pa.table({"id": range(rows), "text": [f"text {row}" for row in range(rows)]})


def _outcome(probe: _Probe, dataset: Any) -> bool:
    """Writes; whether it failed on purpose."""
    try:
        dataset.write_datasink(probe)
    except _FaultError:
        return True
    return False


def _check_pickles(sink: Datasink[Any]) -> None:
    import cloudpickle

    try:
        pickle.loads(cloudpickle.dumps(sink))  # noqa: S301 (made here)
    except Exception as error:
        raise AssertionError(f"the sink cannot be pickled: {error}") from error


def _check_calls(case: str, probe: _Probe, *, failed: bool, should_fail: bool) -> None:
    wanted = ["start", "failed" if should_fail else "complete"]
    _check(
        failed == should_fail and probe.calls == wanted,
        f"{case}: the calls were {probe.calls}, and should be {wanted}",
    )


def _difference(seen: Counter[Any], wanted: Counter[Any]) -> str:
    """How rows differ, in words."""
    missing, surplus = wanted - seen, seen - wanted
    return (
        f"{missing.total()} rows are missing and {surplus.total()} are too many, such as "
        f"{next(iter(missing or surplus))}"
    )


def _check(holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(message)
