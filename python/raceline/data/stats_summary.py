"""What runs took, as Ray Data's programs read it: operator by operator, and added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["DatasetStatsSummary", "OperatorStatsSummary", "StatsSummary", "list_stats_summaries"]


@dataclass(frozen=True, slots=True)
class StatsSummary:
    """An amount over several batches, or pieces of work. The least and the most are not kept.

    Attributes:
        sum: All of it.
        count: Over how many.
    """

    sum: float
    count: int

    @property
    def mean(self) -> float:
        """The share of each; 0 where there is none."""
        return self.sum / self.count if self.count else 0.0

    def to_dict(self) -> dict[str, float]:
        """The same as plain values.

        Example:
            >>> StatsSummary(10, 4).to_dict()
            {'mean': 2.5, 'sum': 10, 'count': 4}
        """
        return {"mean": self.mean, "sum": self.sum, "count": self.count}


@dataclass(frozen=True, slots=True)
class OperatorStatsSummary:
    """What one operator took; those that run together are one, joined by ``->``.

    Attributes:
        operator_name: Its name, as ``stats()`` has it.
        time_total_s: Seconds from its first piece of work to its end.
        wall_time: Seconds in which it worked, over its pieces of work.
        function_body_time: Seconds in which Python functions ran; None where it called none.
        total_input_num_rows: Rows taken in.
        output_num_rows: Rows handed out, over batches.
        output_size_bytes: Bytes of these.
    """

    operator_name: str
    time_total_s: float
    wall_time: StatsSummary
    function_body_time: StatsSummary | None
    total_input_num_rows: int
    output_num_rows: StatsSummary
    output_size_bytes: StatsSummary

    @property
    def num_rows_per_s(self) -> float:
        """Rows handed out in a second; 0 where it took no time.

        Example:
            >>> rows, work = StatsSummary(100, 1), StatsSummary(0.5, 1)
            >>> OperatorStatsSummary("Range", 2.0, work, None, 0, rows, rows).num_rows_per_s
            50.0
        """
        return self.output_num_rows.sum / self.time_total_s if self.time_total_s else 0.0


@dataclass(frozen=True, slots=True)
class DatasetStatsSummary:
    """What one run took.

    Attributes:
        operators_stats: Its operators, inputs before what consumes them.
        time_total_s: Seconds that it took.

    Example:
        >>> import raceline
        >>> rows = raceline.range(10)
        >>> len(rows.take_all())
        10
        >>> rows.get_stats_summary().operators_stats[-1].output_num_rows.sum
        10
    """

    operators_stats: list[OperatorStatsSummary]
    time_total_s: float

    @classmethod
    def of_run(cls, run: tuple[float, Sequence[dict[str, Any]]]) -> DatasetStatsSummary:
        """Of the seconds of a run and of what the engine tells of its stages."""
        elapsed_s, stages = run
        return cls([_operator(**stage) for stage in stages], elapsed_s)

    @property
    def num_rows_per_s(self) -> float:
        """Rows that the run gave in a second; 0 before any run.

        Example:
            >>> import raceline
            >>> raceline.range(10).get_stats_summary().num_rows_per_s
            0.0
        """
        if not self.operators_stats or not self.time_total_s:
            return 0.0
        return self.operators_stats[-1].output_num_rows.sum / self.time_total_s

    def get_total_wall_time(self) -> float:
        """Seconds from the beginning to the end.

        Example:
            >>> import raceline
            >>> raceline.range(10).get_stats_summary().get_total_wall_time()
            0.0
        """
        return self.time_total_s

    def get_total_time_all_blocks(self) -> float:
        """Seconds in which operators worked, added up over what ran at the same time.

        Example:
            >>> import raceline
            >>> raceline.range(10).get_stats_summary().get_total_time_all_blocks()
            0
        """
        return sum(one.wall_time.sum for one in self.operators_stats)


def _operator(
    name: str, input_rows: int, output_rows: int, elapsed_s: float, **rest: Any
) -> OperatorStatsSummary:
    """What the engine tells of a stage, by its names."""
    tasks, batches, function_s = rest["tasks"], rest["output_batches"], rest["function_s"]
    return OperatorStatsSummary(
        name,
        elapsed_s,
        StatsSummary(rest["busy_s"], tasks),
        None if function_s is None else StatsSummary(function_s, tasks),
        input_rows,
        StatsSummary(output_rows, batches),
        StatsSummary(rest["output_bytes"], batches),
    )


def list_stats_summaries() -> list[DatasetStatsSummary]:
    """What runs of this session took, in the order in which they ended; also those that failed.

    They are kept while ``DataContext.enable_stats_summary_collection`` is True: the latest 1,000,
    until ``raceline.shutdown()``. What a dataset does to learn its columns is a run as well.

    Example:
        >>> import raceline
        >>> context = raceline.data.DataContext.get_current()
        >>> context.enable_stats_summary_collection = True
        >>> len(raceline.range(10).take_all())
        10
        >>> raceline.data.list_stats_summaries()[-1].operators_stats[-1].output_num_rows.sum
        10
        >>> context.enable_stats_summary_collection = False
    """
    from raceline._session import has_session, session

    if not has_session():
        return []
    return [DatasetStatsSummary.of_run(run) for run in session().ended_runs()]
