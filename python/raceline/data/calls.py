"""How the calls of a function are made: at once, again, and at what rate."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raceline._calls import RateLimit, Retry
from raceline._udf import Kind, is_callable_class
from raceline.data._arguments import whole_number
from raceline.data.compute import WorkerCount
from raceline.errors import PlanError

__all__ = ["Calls", "RateLimit", "Retry", "is_async"]

# As in Ray.
_ROWS_AT_ONCE = 16
_BATCHES_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Calls:
    """What was said about the calls of a function."""

    max_concurrency: int | None = None
    retry: Retry | None = None
    rate_limit: RateLimit | None = None

    def __post_init__(self) -> None:
        """Checks the types."""
        if self.max_concurrency is not None:
            whole_number("max_concurrency", self.max_concurrency, 1)
        if not isinstance(self.retry, Retry | None):
            raise PlanError(
                f"`retry` must be a `Retry`, got `{self.retry!r}`",
                hint="for example `retry=raceline.data.Retry(times=3)`",
            )
        if not isinstance(self.rate_limit, RateLimit | None):
            raise PlanError(
                f"`rate_limit` must be a `RateLimit`, got `{self.rate_limit!r}`",
                hint="for example `rate_limit=raceline.data.RateLimit(requests_per_s=10)`",
            )

    def at_once(self, name: str, kind: Kind, fn: Any, workers: WorkerCount) -> int | None:
        """Calls that a worker has under way at once; None for a plain function.

        Args:
            name: The function's name.
            kind: What it takes and returns.
            fn: The function.
            workers: Its workers, and what was said about their calls.

        Raises:
            PlanError: It was said twice, or the function is a plain one.
        """
        if not is_async(fn):
            if self.max_concurrency is not None:
                raise PlanError(
                    f"`max_concurrency` needs an `async def`: a worker makes one call of `{name}` "
                    "at a time",
                    hint="raise `concurrency` to have more workers",
                )
            return None
        if kind == "key":
            raise PlanError(
                f"`{name}` is an `async def`, which `groupby` does not take",
                hint="make the keys a column by `map`, and group by that",
            )
        if kind == "map_groups":
            raise PlanError(
                f"`{name}` is an `async def`, which `map_groups` does not take",
                hint="run its calls inside a plain function: `asyncio.run(...)`",
            )
        if self.max_concurrency is not None and workers.calls is not None:
            raise PlanError(
                "pass either `max_concurrency` or `max_concurrent_calls_per_actor`, not both"
            )
        usual = _BATCHES_AT_ONCE if kind == "map_batches" else _ROWS_AT_ONCE
        return self.max_concurrency or workers.calls or usual

    def decline(self, *, is_async: bool) -> str | None:
        """Why such a function is not compiled, in words for a person; None where it may be."""
        if is_async:
            return "it is an `async def`"
        if self.rate_limit is not None:
            return "it has a rate limit"
        return None if self.retry is None else "it is called again when it raises"


def is_async(fn: Callable[..., Any]) -> bool:
    """Whether a function, class or object is called by ``await`` or ``async for``."""
    call: Any = fn
    if is_callable_class(fn):
        bases = [base for base in inspect.getmro(call) if "__call__" in vars(base)]
        call = vars(bases[0])["__call__"] if bases else call
    while isinstance(call, functools.partial):
        call = call.func
    if not inspect.isroutine(call) and not isinstance(call, type):
        call = type(call).__call__  # an object that can be called
    return inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call)
