"""How many workers run a function: Ray's compute strategies."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

from raceline.data._arguments import whole_number
from raceline.data.context import DataContext
from raceline.errors import PlanError

__all__ = ["ActorPoolStrategy", "ComputeStrategy", "TaskPoolStrategy", "WorkerCount"]

#: ``n``, ``(least, most)`` or ``(least, most, at the start)``.
Concurrency = int | tuple[int, int] | tuple[int, int, int]


class ComputeStrategy:
    """Base of the strategies."""


@dataclass(frozen=True)
class TaskPoolStrategy(ComputeStrategy):
    """Runs a plain function in workers that keep no state.

    Args:
        size: At most this many workers; None is bounded by the session's resources alone.

    Raises:
        PlanError: ``size`` is less than 1.

    Example:
        >>> TaskPoolStrategy(size=2).size
        2
    """

    size: int | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        if self.size is not None:
            whole_number("size", self.size, 1)


@dataclass(frozen=True, kw_only=True)
class ActorPoolStrategy(ComputeStrategy):
    """Runs a callable class, constructed once a worker, or a plain function, in a pool.

    How many workers there are, between the bounds, follows the load: more as soon as batches wait
    for them, fewer when they have nothing to do. There are never more than the session's
    resources allow.

    Args:
        size: Exactly this many workers; excludes the next three.
        min_size: At least this many workers; 1 by default.
        max_size: At most this many workers; None is bounded by the session's resources alone.
        initial_size: Workers that are started before the first batch; ``min_size`` by default.
        max_tasks_in_flight_per_actor: Batches that one worker may have: the one that it works on
            and those that wait in it, so that it need not wait for them. None is two, and one
            for batches that take longer than a second; an ``async def`` gets more.
        max_concurrent_calls_per_actor: For an ``async def`` what ``max_concurrency`` is: calls
            that one worker has under way at once. A plain function is called one call at a time;
            for it this is half of ``max_tasks_in_flight_per_actor``, where that is not given.
        enable_true_multi_threading: Without effect; True warns. One call of a plain function runs
            in a worker at a time: more workers, or an ``async def``, do more at once.

    Raises:
        PlanError: The sizes do not fit together: 1 <= min <= initial <= max must hold.

    Example:
        >>> ActorPoolStrategy(min_size=1, max_size=4).max_size
        4
    """

    size: int | None = None
    min_size: int | None = None
    max_size: int | None = None
    initial_size: int | None = None
    max_tasks_in_flight_per_actor: int | None = None
    max_concurrent_calls_per_actor: int | None = None
    enable_true_multi_threading: bool | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        sizes = ("size", "min_size", "max_size", "initial_size")
        per_actor = ("max_tasks_in_flight_per_actor", "max_concurrent_calls_per_actor")
        for name in (*sizes, *per_actor):
            if (value := getattr(self, name)) is not None:
                whole_number(name, value, 1)
        least, most = self.min_size or 1, self.max_size
        if self.size is not None and (self.min_size or most or self.initial_size):
            raise PlanError("`size` excludes `min_size`, `max_size` and `initial_size`")
        if most is not None and least > most:
            raise PlanError(f"`min_size` {least} is above `max_size` {most}")
        start = self.initial_size or least
        if start < least or (most is not None and start > most):
            raise PlanError(f"`initial_size` {start} is not between `min_size` and `max_size`")
        if self.enable_true_multi_threading:
            warnings.warn(
                "`enable_true_multi_threading` has no effect: a worker runs one call of a plain "
                "function at a time; ask for more workers, or pass an `async def`",
                stacklevel=3,
            )


@dataclass(frozen=True, slots=True)
class WorkerCount:
    """How many workers a function gets.

    Attributes:
        start: Workers that are started before the first batch; 0 starts them when needed.
        least: Workers that are kept without work.
        most: At most this many; None is bounded by the session's resources alone.
        in_flight: Batches that one of them may have; None leaves it to the engine.
        calls: Calls that one of them has under way at once, where that was said.
    """

    start: int = 0
    least: int = 0
    most: int | None = None
    in_flight: int | None = None
    calls: int | None = None

    def batches(self, *, is_async: bool) -> int | None:
        """Batches that a worker may have; None leaves it to the engine."""
        if self.in_flight is not None or self.calls is None or is_async:
            return self.in_flight
        return 2 * self.calls

    @classmethod
    def resolve(
        cls,
        compute: ComputeStrategy | Literal["tasks", "actors"] | None,
        concurrency: Concurrency | None,
        *,
        stateful: bool,
    ) -> WorkerCount:
        """The count that Ray's two ways to ask for it mean.

        Args:
            compute: A strategy or its name.
            concurrency: Number or range of workers.
            stateful: Whether the function is a class.

        Raises:
            PlanError: Both are given, or they do not fit the function.
        """
        if compute is not None and concurrency is not None:
            raise PlanError("pass either `compute` or `concurrency`, not both")
        if concurrency is not None:
            compute = _strategy_of(concurrency, stateful=stateful)
        elif compute == "tasks":
            compute = TaskPoolStrategy()
        elif compute == "actors" or (compute is None and stateful):
            compute = ActorPoolStrategy()
        match compute:
            case None:
                return cls()
            case TaskPoolStrategy(size) if not stateful:
                return cls(most=size)
            case TaskPoolStrategy():
                raise PlanError(
                    "a class cannot run in a task pool, as its objects are kept",
                    hint="leave `compute` out, or pass `ActorPoolStrategy(...)`",
                )
            case ActorPoolStrategy():
                least = compute.size or compute.min_size or 1
                start, most = compute.initial_size or least, compute.size or compute.max_size
                calls = compute.max_concurrent_calls_per_actor
                return cls(start, least, most, _in_flight(compute), calls)
        raise PlanError(
            f"`compute` must be a strategy, got `{compute!r}`",
            hint="pass `ActorPoolStrategy(...)` or `TaskPoolStrategy(...)`",
        )


def _in_flight(pool: ActorPoolStrategy) -> int | None:
    """Batches that a worker of a pool may have: as it says, or else as the context does."""
    if pool.max_tasks_in_flight_per_actor is not None:
        return pool.max_tasks_in_flight_per_actor
    most = DataContext.get_current().max_tasks_in_flight_per_actor
    return None if most is None else whole_number("max_tasks_in_flight_per_actor", most, 1)


def _strategy_of(concurrency: Concurrency, *, stateful: bool) -> ComputeStrategy:
    """The strategy that a ``concurrency`` argument stands for."""
    match concurrency:
        case bool():
            pass
        case int(size):
            whole_number("concurrency", size, 1)
            return ActorPoolStrategy(size=size) if stateful else TaskPoolStrategy(size)
        case (int(least), int(most)):
            return ActorPoolStrategy(min_size=least, max_size=most)
        case (int(least), int(most), int(start)):
            return ActorPoolStrategy(min_size=least, max_size=most, initial_size=start)
    raise PlanError(
        f"`concurrency` must be an int, `(min, max)` or `(min, max, initial)`, got "
        f"`{concurrency!r}`"
    )
