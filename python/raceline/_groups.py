"""A function that is called for whole groups, as a worker runs it.

The engine sends many groups at once: each is a row of their batch. What the function returns for
small groups goes back together.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raceline._chain import BatchFunction
from raceline._function import FunctionError, Stopwatch, UserFunction
from raceline._native import WorkerBatch, join_batches

# Bytes of outputs that are held to go back together.
_TOGETHER_BYTES = 1 << 20

# Larger outputs go back by themselves.
_SMALL_BYTES = 1 << 16


class GroupFunction(BatchFunction):
    """A function that sees groups."""

    def __init__(self, function: UserFunction, stopwatch: Stopwatch) -> None:
        super().__init__(function, stopwatch)
        self._is_frame = function.call.batch_format == "pandas"
        self._is_sliced = self._is_frame or function.call.batch_format in ("pyarrow", None)
        self._argument: Any = None

    def over(self, batches: Iterator[WorkerBatch]) -> Iterator[WorkerBatch | FunctionError]:
        """The batches that the function returns.

        Raises:
            FunctionError: It raised, or returned what it must not; a note names the group.
        """
        for batch in batches:
            held: list[WorkerBatch] = []
            held_bytes = 0
            for output in self._outputs_of(batch):
                output_bytes = output.row_bytes * output.num_rows
                is_small = output_bytes <= _SMALL_BYTES
                if held and (not is_small or held_bytes >= _TOGETHER_BYTES):
                    yield from join_batches(held)
                    held, held_bytes = [], 0
                if is_small:
                    # What the function returned it may change in its next call.
                    held.append(output.own())
                    held_bytes += output_bytes
                else:
                    yield output
            yield from join_batches(held)

    def _outputs_of(self, batch: WorkerBatch) -> Iterator[WorkerBatch]:
        rows, lengths = batch.groups()
        # Data frames and tables are made of all groups at once: each by itself takes a while.
        whole = super().argument(rows) if self._is_sliced else None
        first = 0
        for length in lengths:
            group = rows.slice(first, length)
            self._argument = None if whole is None else self._piece(whole, first, length)
            first += length
            try:
                yield from self._outputs(group)
            except FunctionError as error:
                if error.__cause__ is not None:
                    error.__cause__.add_note(f"  in the group {self._key_of(group)}")
                raise

    def _key_of(self, group: WorkerBatch) -> str:
        """The key of a group, for a person: ``{'user': 3}``."""
        first = dict(zip(group.names, group.slice(0, 1).cells(), strict=True))
        keys = {name: first[name][0] for name in self._called.call.group_keys}
        return repr(keys) if keys else "of all rows"

    def argument(self, batch: WorkerBatch) -> Any:
        """A group in the form that the function asked for."""
        argument, self._argument = self._argument, None
        return super().argument(batch) if argument is None else argument

    def _piece(self, whole: Any, first: int, rows: int) -> Any:
        """Some rows of a data frame or a table, as if there were no others."""
        if self._is_frame:
            return whole.iloc[first : first + rows].reset_index(drop=True)
        return whole.slice(first, rows)

    def is_stream(self, returned: Any) -> bool:
        """Any iterator makes batches; what can be iterated over again is none."""
        return isinstance(returned, Iterator)
