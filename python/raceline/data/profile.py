"""Where the time of a run went, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Profile", "StageProfile"]

_HEADS = ("stage", "rows", "elapsed", "busy", "queue", "transfer", "conversion", "function")


@dataclass(frozen=True, slots=True)
class StageProfile:
    """Where the time of one stage went, in seconds, and what it moved.

    All but ``elapsed_s`` is added up over what ran at the same time. Where Python functions are
    called, ``transfer_s``, ``conversion_s`` and ``function_s`` are about ``busy_s`` together; the
    last four are None where none was. Workers tell theirs at the end of a batch: of one that is
    cut short by a limit, only ``busy_s`` is known. Constructors are not counted. A function that
    is debugged is busy as well while it waits for its thread.

    Attributes:
        name: The stage, as ``stats()`` names it.
        input_rows: Rows taken in.
        output_rows: Rows handed out.
        output_bytes: Bytes of these, as Arrow data.
        output_batches: Batches handed out.
        tasks: Pieces of work that ended: parts of the source, or batches.
        elapsed_s: From its first piece of work to its end.
        busy_s: It worked.
        queue_s: Its workers waited: for a batch, and for room for what they had made.
        transfer_s: Batches were packed, sent and unpacked between engine and workers.
        conversion_s: Batches became what the functions take, and what they returned batches.
        function_s: The functions ran. The loop that calls a row function is counted here, and of
            an ``async def`` all the time in which its calls were waited for.
        copied_bytes: So much of the batches, on their way to workers and back, was copied to memory
            that both see. None where no batch went to a worker.
        passed_bytes: So much of them was there already and was not copied: pixels of
            ``read_images``, large columns of which a batch was put together, and what a function
            returns as it got it.
    """

    name: str
    input_rows: int
    output_rows: int
    output_bytes: int
    output_batches: int
    tasks: int
    elapsed_s: float
    busy_s: float
    queue_s: float | None
    transfer_s: float | None
    conversion_s: float | None
    function_s: float | None
    copied_bytes: int | None
    passed_bytes: int | None

    def _row(self) -> list[str]:
        parts = (self.queue_s, self.transfer_s, self.conversion_s, self.function_s)
        times = (self.elapsed_s, self.busy_s, *parts)
        return [self.name, f"{self.output_rows}", *map(_seconds, times)]


class Profile:
    """Where the time of a run went; printed, it is a table of seconds. False before any run.

    Attributes:
        elapsed_s: Seconds that the run took.
        stages: Its stages, inputs before what consumes them.

    Example:
        >>> import raceline
        >>> raceline.range(3).profile()
        no run yet
    """

    __slots__ = ("elapsed_s", "stages")

    def __init__(self, elapsed_s: float, stages: Sequence[StageProfile]) -> None:
        """Made by ``Dataset.profile``."""
        self.elapsed_s = elapsed_s
        self.stages = list(stages)

    def __bool__(self) -> bool:
        """Whether there was a run."""
        return bool(self.stages)

    def __repr__(self) -> str:
        """A table, one line a stage."""
        if not self.stages:
            return "no run yet"
        rows = [list(_HEADS), *(stage._row() for stage in self.stages)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for name, *cells in rows:
            numbers = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
            lines.append("  ".join((name.ljust(widths[0]), *numbers)).rstrip())
        return "\n".join([*lines, f"run: {_seconds(self.elapsed_s)} s"])

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON or a log.

        Example:
            >>> import raceline
            >>> raceline.range(3).profile().to_dict()
            {'elapsed_s': 0.0, 'stages': []}
        """
        return {"elapsed_s": self.elapsed_s, "stages": [asdict(stage) for stage in self.stages]}


def _seconds(time_s: float | None) -> str:
    return "" if time_s is None else f"{time_s:.3f}"
