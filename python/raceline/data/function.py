"""A user's function as the engine takes it: its code, its arguments, its workers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from raceline._session import check_amount
from raceline._udf import Kind, dumps, function_name, is_callable_class
from raceline.data._arguments import whole_number
from raceline.data.compute import ComputeStrategy, Concurrency, WorkerCount
from raceline.data.formats import BatchFormat, normal_batch_format
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline._lambda import Translation

__all__ = ["Arguments", "Batching", "Demand", "Faults", "OnError", "UserFunction"]

# Ten years.
_TIMEOUT_MOST_S = 10 * 366 * 24 * 3600

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
    zero_copy: bool = True
    timeout_s: float | None = None

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

    def rows(self) -> int | None:
        """Rows of a batch; None takes them as they come.

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
    reads: Sequence[str] | None = None

    def native_options(self, translation: Translation) -> dict[str, Any]:
        """The function as the engine takes it, with what :meth:`translated` gave.

        Raises:
            PlanError: The arguments do not fit it, or it cannot be sent to a worker.
        """
        stateful = is_callable_class(self.fn)
        workers = WorkerCount.resolve(
            self.demand.compute, self.demand.concurrency, stateful=stateful
        )
        columns = self._columns(translation)
        batch_rows, batch_format = self.batching.rows(), normal_batch_format(self.batching.format)
        return {
            "kind": self.kind,
            "name": self.name,
            "payload": self._payload(batch_rows, batch_format, translation),
            # The engine would see all columns, and the function is to see those of `reads`.
            "program": translation.program if self.reads is None else None,
            "decline": translation.decline if self.reads is None else "`reads` is given",
            "stateful": stateful,
            "batch_size": batch_rows,
            "batch_format": batch_format,
            "num_cpus": self.demand.num_cpus,
            "num_gpus": self.demand.num_gpus,
            "memory": self.demand.memory,
            "resources": dict(self.demand.resources or {}),
            "concurrency_max": workers.most,
            "workers_start": workers.start,
            "workers_least": workers.least,
            "in_flight_max": workers.in_flight,
            "max_retries": self.faults.max_retries,
            "timeout_s": self.batching.timeout(),
            "on_error": self.faults.on_error,
            "max_errored_rows": self.faults.max_errored_rows,
            **columns,
        }

    def _columns(self, translation: Translation) -> dict[str, Any]:
        """The columns that the function looks at and hands on, as the engine takes them."""
        if self.reads is not None:
            return {"reads": self._declared(translation), "reads_declared": True}
        if translation.row_is_value:
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
            bases = [base for base in inspect.getmro(call) if "__call__" in vars(base)]
            if not bases:
                raise PlanError(
                    f"class `{self.name}` has no `__call__` method",
                    hint="define `__call__(self, row_or_batch)`, or pass a function",
                )
            call = vars(bases[0])["__call__"]
        elif self.arguments.any_of_constructor():
            raise PlanError(
                f"`{self.name}` is no class: `fn_constructor_args` and `fn_constructor_kwargs` "
                "need one",
                hint="pass `fn_args` or `fn_kwargs`",
            )
        elif not inspect.isroutine(fn) and not isinstance(fn, functools.partial):
            call = type(fn).__call__  # an object that can be called
        while isinstance(call, functools.partial):
            call = call.func
        if inspect.iscoroutinefunction(call) or inspect.isasyncgenfunction(call):
            raise PlanError(
                f"`{self.name}` is an `async def`, which is not supported",
                hint="use a plain function; raise `concurrency` to run more calls at a time",
            )

    def translated(self) -> Translation:
        """The function's body for the compiler, or why not.

        Raises:
            PlanError: It is no function or callable class, it is an ``async def``, or the
                arguments do not fit it.
        """
        self._check()
        from raceline._lambda import Translation, translate

        if is_callable_class(self.fn):
            return Translation(None, "it is a class, whose objects keep state", False)
        return translate(self.fn, *self.arguments.of_calls())

    def _payload(
        self, batch_rows: int | None, batch_format: str, translation: Translation
    ) -> bytes:
        """What a worker loads."""
        fn_args, fn_kwargs = self.arguments.of_calls()
        try:
            return dumps(
                self.kind,
                self.fn,
                fn_args=fn_args,
                fn_kwargs=fn_kwargs,
                fn_constructor_args=tuple(self.arguments.constructor_args or ()),
                fn_constructor_kwargs=dict(self.arguments.constructor_kwargs or {}),
                batch_size=batch_rows,
                batch_format=batch_format,
                zero_copy_batch=self.batching.zero_copy,
                row_is_value=translation.row_is_value,
                goes_on=self.faults.on_error != "raise",
                reads=None if self.reads is None else frozenset(self.reads),
            )
        except TypeError as error:
            raise PlanError(str(error)) from error
