"""A user's function as the engine takes it: its code, its arguments, its workers."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from raceline._frame_types import FrameTypes
from raceline._session import check_amount
from raceline._udf import Call, Given, Kind, dumps, function_name, is_callable_class
from raceline.data._arguments import whole_number
from raceline.data.calls import Calls, is_async
from raceline.data.compute import ComputeStrategy, Concurrency, WorkerCount
from raceline.data.expressions import Expr, col
from raceline.data.formats import BatchFormat, normal_batch_format
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native
    from raceline._lambda import Translation

__all__ = ["Arguments", "Batching", "Demand", "Faults", "OnError", "UserFunction"]

# Ten years.
_TIMEOUT_MOST_S = 10 * 366 * 24 * 3600

# Environment variable that has all functions run in the thread that waits for the run.
_DEBUG_VARIABLE = "RACELINE_DEBUG"

Compute = ComputeStrategy | Literal["tasks", "actors"] | None
OnError = Literal["raise", "skip", "dead_letter"]


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the function gets besides its row or batch, and its class when it is constructed."""

    args: Sequence[Any] | None = None
    kwargs: Mapping[str, Any] | None = None
    constructor_args: Sequence[Any] | None = None
    constructor_kwargs: Mapping[str, Any] | None = None

    def of_calls(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments of each call."""
        return tuple(self.args or ()), dict(self.kwargs or {})

    def any_of_constructor(self) -> bool:
        """Whether the constructor gets anything."""
        return bool(self.constructor_args or self.constructor_kwargs)


@dataclass(frozen=True, slots=True)
class Demand:
    """What one worker takes, and how many of them there are."""

    compute: Compute = None
    concurrency: Concurrency | None = None
    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: int | None = None
    resources: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Checks the amounts."""
        fixed = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "memory": self.memory}
        for name, amount in {**fixed, **(self.resources or {})}.items():
            check_amount(name, amount)


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens when a function fails or its worker dies."""

    max_retries: int = 3
    on_error: OnError = "raise"
    max_errored_rows: int | None = None

    def __post_init__(self) -> None:
        """Checks the policy."""
        whole_number("max_retries", self.max_retries, 0)
        if self.on_error not in get_args(OnError):
            raise PlanError(
                f"there is no error policy `{self.on_error!r}`",
                hint='pass `on_error="raise"`, `"skip"` or `"dead_letter"`',
            )
        if self.max_errored_rows is None:
            return
        whole_number("max_errored_rows", self.max_errored_rows, 0, hint="None sets no limit")
        if self.on_error == "raise":
            raise PlanError(
                "`max_errored_rows` needs a policy that leaves rows out",
                hint='pass `on_error="skip"` or `on_error="dead_letter"` as well',
            )


@dataclass(frozen=True, slots=True)
class Batching:
    """How a batch function sees its batches."""

    size: int | Literal["auto"] | None = None
    format: BatchFormat = "numpy"
    zero_copy: bool | None = None
    timeout_s: float | None = None
    bytes_max: int | None = None
    by: Expr | str | None = None
    cost: float | None = None

    def timeout(self) -> float | None:
        """Seconds that a worker may take for a batch; None sets no limit.

        Raises:
            PlanError: It is no positive number of at most ten years.
        """
        limit = self.timeout_s
        if limit is None:
            return None
        is_number = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if not is_number or not 0 < limit <= _TIMEOUT_MOST_S:
            raise PlanError(
                f"`timeout_s` must be a positive number of seconds, got `{limit!r}`",
                hint="pass None to set no limit",
            )
        return float(limit)

    def may_be_views(self) -> bool:
        """Whether the function may get views of the engine's memory.

        By default it does, but for tensors, which would let it write there.
        """
        return self.format != "torch" if self.zero_copy is None else bool(self.zero_copy)

    def bounds(self) -> dict[str, Any]:
        """The bounds of a batch as the engine takes them.

        Raises:
            PlanError: A bound is no number of the right kind, or what it bounds is not told.
        """
        hint = "pass None to set no bound"
        if self.bytes_max is not None:
            whole_number("batch_bytes", self.bytes_max, 1, hint=hint)
        if (self.by is None) != (self.cost is None):
            raise PlanError(
                "`batch_by` and `batch_cost` go together",
                hint='for example `batch_by="tokens", batch_cost=4096`',
            )
        is_auto = self.size == "auto"
        if is_auto and (self.bytes_max is not None or self.by is not None):
            raise PlanError(
                '`batch_size="auto"` goes with no other bound',
                hint="leave it out: `batch_bytes` and `batch_cost` bound a batch by themselves",
            )
        return {
            "batch_fastest": is_auto,
            "batch_size": self.rows(),
            "batch_bytes": self.bytes_max,
            "batch_by": self._cost_of_a_row(),
            "batch_cost": self._cost_of_a_batch(),
        }

    def _cost_of_a_row(self) -> _native.Expr | None:
        if self.by is None:
            return None
        if not isinstance(self.by, Expr | str):
            raise PlanError(
                f"`batch_by` must be a column's name or an expression, got `{self.by!r}`",
                hint='for example `batch_by="tokens"` or `batch_by=col("tokens") + 2`',
            )
        return (col(self.by) if isinstance(self.by, str) else self.by)._native

    def _cost_of_a_batch(self) -> float | None:
        most = self.cost
        if most is None:
            return None
        is_number = isinstance(most, int | float) and not isinstance(most, bool)
        if not is_number or not 0 < most <= sys.float_info.max:
            raise PlanError(f"`batch_cost` must be a positive number, got `{most!r}`")
        return float(most)

    def rows(self) -> int | None:
        """Rows of a batch; None is what the engine cuts or finds.

        Raises:
            PlanError: The size is no int of at least 1.
        """
        if self.size is None or self.size == "auto":
            return None
        hint = "pass None to take batches as they come"
        return whole_number("batch_size", self.size, 1, hint=hint)


@dataclass(frozen=True, slots=True)
class UserFunction:
    """A user's function or callable class with all that was said about it."""

    kind: Kind
    fn: Callable[..., Any]
    arguments: Arguments = field(default_factory=Arguments)
    demand: Demand = field(default_factory=Demand)
    batching: Batching = field(default_factory=Batching)
    faults: Faults = field(default_factory=Faults)
    calls: Calls = field(default_factory=Calls)
    debug: bool = False
    reads: Sequence[str] | None = None
    group_keys: Sequence[str] = ()

    def native_options(
        self, translation: Translation, types: FrameTypes | None = None
    ) -> dict[str, Any]:
        """The function as the engine takes it, with what :meth:`translated` gave.

        Args:
            translation: What that gave.
            types: Types of pandas columns, of rows that came as frames.

        Raises:
            PlanError: The arguments do not fit it, or it cannot be sent to a worker.
        """
        stateful = is_callable_class(self.fn)
        workers = WorkerCount.resolve(
            self.demand.compute, self.demand.concurrency, stateful=stateful
        )
        at_once = self._at_once(workers)
        bounds, batch_format = self.batching.bounds(), normal_batch_format(self.batching.format)
        columns = self._columns(translation)
        call = self._call(bounds["batch_size"], translation, at_once)
        if batch_format == "pandas":
            call = call._replace(frame_types=types)
        options = {
            "kind": self.kind,
            "name": self.name,
            # The engine would see all columns, and the function is to see those of `reads`.
            "program": translation.program if self.reads is None else None,
            "decline": translation.decline if self.reads is None else "`reads` is given",
            "stateful": stateful,
            **bounds,
            "batch_format": batch_format,
            "num_cpus": self.demand.num_cpus,
            "num_gpus": self.demand.num_gpus,
            "memory": self.demand.memory,
            "resources": dict(self.demand.resources or {}),
            "concurrency_max": workers.most,
            "workers_start": workers.start,
            "workers_least": workers.least,
            "in_flight_max": workers.batches(is_async=at_once is not None),
            "max_concurrency": at_once,
            "is_rate_limited": self.calls.rate_limit is not None,
            "preloads": self.preloads,
            "max_retries": self.faults.max_retries,
            "timeout_s": self.batching.timeout() if at_once is None else None,
            "on_error": self.faults.on_error,
            "max_errored_rows": self.faults.max_errored_rows,
            **columns,
        }
        if self.is_debugged:
            # It runs in the thread that waits for the run, with what that has.
            options |= {"num_cpus": 0.0, "num_gpus": None, "memory": None, "resources": {}}
            given = Given(self.kind, self.name, self.fn, call._replace(rate_limit=None))
            return {**options, "is_rate_limited": False, "given": given}
        return {**options, "payload": self._payload(call)}

    @property
    def _is_of_batches(self) -> bool:
        return self.kind in ("map_batches", "map_groups")

    @property
    def preloads(self) -> list[str]:
        """Modules that its workers have from the start.

        Workers for rows do without NumPy and are there sooner, unless the program has it.
        """
        return ["numpy"] if self._is_of_batches or "numpy" in sys.modules else []

    @property
    def is_debugged(self) -> bool:
        """Whether it runs in the thread that waits for the run: an ``async def`` never does."""
        is_asked = self.debug or os.environ.get(_DEBUG_VARIABLE, "0") not in ("", "0")
        return is_asked and not is_async(self.fn)

    def _columns(self, translation: Translation) -> dict[str, Any]:
        """The columns that the function looks at and hands on, as the engine takes them."""
        if self.reads is not None:
            return {"reads": self._declared(translation), "reads_declared": True}
        limit = self.calls.rate_limit
        if limit is not None and limit.tokens is not None:
            return {}  # Tokens are counted in the row or batch that the function gets.
        is_opaque = self.is_debugged or is_async(self.fn) or self.kind == "map_groups"
        if translation.row_is_value or is_opaque:
            return {}
        from raceline._liveness import live_columns

        batch_format = normal_batch_format(self.batching.format)
        found = live_columns(self.kind, self.fn, *self.arguments.of_calls(), batch_format)
        return {
            "reads": None if found.reads is None else set(found.reads),
            "only_written": set(found.only_written),
            "passes": list(found.passes) or None,
            "passes_others": found.passes_others,
        }

    def _declared(self, translation: Translation) -> set[str]:
        """The columns that the user says the function reads."""
        reads = self.reads
        if isinstance(reads, (str, bytes)) or not isinstance(reads, Iterable):
            raise PlanError(
                f"`reads` must be a list of columns, got `{reads!r}`",
                hint='for example `reads=["text"]`',
            )
        names = list(reads)
        for name in names:
            if not isinstance(name, str):
                raise PlanError(f"`reads` names columns, got `{name!r}`")
        if translation.row_is_value and self.kind != "map_batches":
            raise PlanError(
                f"`reads` does not fit `{self.name}`, which uses its row as a value",
                hint="use the row as a dict: `row[name]`",
            )
        return set(names)

    @property
    def name(self) -> str:
        """What a person would call it: ``<lambda>``, ``embed``, ``Classifier``."""
        return function_name(self.fn)

    def _check(self) -> None:
        """Refuses what cannot be called, and arguments that do not fit."""
        fn = self.fn
        if not callable(fn):
            raise PlanError(f"`{self.kind}` needs a function or callable class, got `{fn!r}`")
        call: Any = fn
        if is_callable_class(fn):
            if not any("__call__" in vars(base) for base in inspect.getmro(call)):
                raise PlanError(
                    f"class `{self.name}` has no `__call__` method",
                    hint="define `__call__(self, row_or_batch)`, or pass a function",
                )
        elif self.arguments.any_of_constructor():
            raise PlanError(
                f"`{self.name}` is no class: `fn_constructor_args` and `fn_constructor_kwargs` "
                "need one",
                hint="pass `fn_args` or `fn_kwargs`",
            )

        if self.debug and is_async(fn):
            raise PlanError(
                f"`{self.name}` is an `async def`, which cannot be debugged in the calling thread",
                hint="debug a plain function that calls it: "
                "`lambda row: asyncio.run(function(row))`",
            )

    def _at_once(self, workers: WorkerCount) -> int | None:
        """Calls that a worker has under way at once; None for a plain function."""
        at_once = self.calls.at_once(self.name, self.kind, self.fn, workers)
        if at_once is None and self.kind != "map_batches" and self.batching.timeout_s is not None:
            raise PlanError(
                f"`timeout_s` needs an `async def`: a call of `{self.name}` for a row cannot be "
                "ended",
                hint="use `map_batches`, where `timeout_s` is the time for a batch",
            )
        return at_once

    def translated(self) -> Translation:
        """The function's body for the compiler, or why not.

        Raises:
            PlanError: It is no function or callable class, or the arguments do not fit it.
        """
        self._check()
        from raceline._lambda import Translation, translate

        if is_callable_class(self.fn):
            return Translation(None, "it is a class, whose objects keep state", False)
        if self.kind == "map_groups":
            return Translation(None, "it is called for groups", False)
        translation = translate(self.fn, *self.arguments.of_calls())
        if (why := self.calls.decline(is_async=is_async(self.fn))) is not None:
            return Translation(None, why, translation.row_is_value)
        return translation

    def _call(self, batch_rows: int | None, translation: Translation, at_once: int | None) -> Call:
        """How it is called."""
        fn_args, fn_kwargs = self.arguments.of_calls()
        return Call(
            fn_args=fn_args,
            fn_kwargs=fn_kwargs,
            fn_constructor_args=tuple(self.arguments.constructor_args or ()),
            fn_constructor_kwargs=dict(self.arguments.constructor_kwargs or {}),
            batch_size=batch_rows,
            batch_format=normal_batch_format(self.batching.format),
            zero_copy_batch=self.batching.may_be_views(),
            row_is_value=translation.row_is_value,
            goes_on=self.faults.on_error != "raise",
            max_concurrency=at_once,
            timeout_s=None if at_once is None else self.batching.timeout(),
            retry=self.calls.retry,
            rate_limit=self.calls.rate_limit,
            reads=None if self.reads is None else frozenset(self.reads),
            group_keys=tuple(self.group_keys),
        )

    def _payload(self, call: Call) -> bytes:
        """What a worker loads."""
        try:
            return dumps(self.kind, self.fn, **call._asdict())
        except TypeError as error:
            raise PlanError(str(error)) from error
