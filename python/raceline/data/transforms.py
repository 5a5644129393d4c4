"""Transforms by a user's function: ``map``, ``flat_map``, ``filter``, ``map_batches``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Self

from raceline._frame_types import frame_types
from raceline.data.calls import Calls, RateLimit, Retry
from raceline.data.compute import Concurrency
from raceline.data.expressions import Expr
from raceline.data.expressions.staged import staged
from raceline.data.formats import BatchFormat
from raceline.data.function import (
    Arguments,
    Batching,
    Compute,
    Demand,
    Faults,
    OnError,
    UserFunction,
)
from raceline.data.handle import Handle
from raceline.data.predicate import parse_predicate
from raceline.data.ray_arguments import FUNCTION_ARGUMENTS, accepts
from raceline.errors import PlanError

__all__ = ["FunctionTransforms"]


_BATCH_ARGUMENTS = FUNCTION_ARGUMENTS | {
    "udf_modifying_row_count": "a function may return any number of rows",
}


class FunctionTransforms(Handle):
    """The part of a dataset that applies functions. All of it is lazy and keeps order.

    These keywords mean the same everywhere:

    * ``compute``: ``ActorPoolStrategy(...)`` or ``TaskPoolStrategy(...)``. A class runs in a pool
      of workers, each of which constructs it once; a function runs in workers without state.
    * ``concurrency``: instead of ``compute``, the number of workers: for a function at most ``n``,
      for a class exactly ``n``, ``(min, max)`` or ``(min, max, initial)``. There are never more
      than the session's resources allow.
    * ``num_cpus``, ``num_gpus``, ``resources``: what one worker takes of the session's; fractions
      share. ``memory``: bytes that one worker takes; by default that is measured. A worker has its
      CPUs while it is at a batch, its memory, its GPUs (which it sees by ``CUDA_VISIBLE_DEVICES``)
      and ``resources`` for as long as it lives. What the session can never give is an error before
      anything runs.
    * ``max_retries``: how often a batch is run again when its worker died, and how often a worker
      that died while it was constructed is replaced.
    * ``on_error``: what becomes of a row that the function raises for, or that kills its worker
      alone: ``"raise"`` ends the run, ``"skip"`` leaves the row out and counts it, and
      ``"dead_letter"`` leaves it out and keeps it for ``dead_letters()``.
    * ``max_errored_rows``: with the last two, one more such row ends the run; None sets no limit.
    * ``max_concurrency``: calls of an ``async def`` that one worker has under way at once: by
      default 16 for rows and 4 for batches.
    * ``timeout_s``: seconds that one call of an ``async def`` may take, at most; then it is
      cancelled and raises ``TimeoutError``. None sets no limit.
    * ``retry``: a ``Retry``: how often a call that raises is made again, with the same row or
      batch, and how long that waits.
    * ``rate_limit``: a ``RateLimit``: calls or tokens per second, for all workers together.
    * ``debug``: whether the function runs in the thread that takes the rows, so that breakpoints,
      profilers and ``print`` work as anywhere; without workers, ``compute`` and what a worker takes
      mean nothing. The environment variable ``RACELINE_DEBUG=1`` says it for all functions.
    * ``reads``: the columns that the function looks at, which must exist; it gets no others, as if
      they had been selected (``filter`` keeps whole rows). Without it they are found by a look at
      the function where that is certain, and columns that it does not look at are then neither
      read from files nor sent to workers. ``explain()`` says which were found.
    * ``fn_args``, ``fn_kwargs``: passed to each call, after the row or batch.
    * ``fn_constructor_args``, ``fn_constructor_kwargs``: passed to the constructor of a class.

    A function may be an ``async def`` or an async generator, or a class or object whose
    ``__call__`` is one. Its calls run at once, ``max_concurrency`` in each worker, in one event
    loop that lives as long as the worker; rows keep their order.

    A small function may be compiled, and then runs without Python; its results are the same.
    ``explain()`` says which were.

    When the dataset is run, a function that raises ends the run by an error that derives from
    ``raceline.errors.UdfError`` and from the type that was raised.

    When a worker dies, by a signal, for lack of memory or by ``os._exit``, another one takes its
    place and runs its batch again: rows that were returned already are dropped, so that nothing is
    lost or doubled, provided that the function returns the same rows for the same batch. What an
    object of a class remembered is lost with its worker. A batch that killed a worker and
    ``max_retries`` more is halved to find the row that does it, which the error names.

    Where rows are left out, the others of their batch go on, and what a row becomes is all there
    or not at all: the rows that ``flat_map`` makes of one are held until the function has made the
    last. A batch function that fails is called again with the halves of its batch, and theirs,
    until the rows are found that it fails for alone; what it yields is held until it has ended.
    """

    __slots__ = ()

    @accepts(FUNCTION_ARGUMENTS)
    def map(
        self,
        fn: Callable[..., Any],
        *,
        compute: Compute = None,
        fn_args: Sequence[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Sequence[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        concurrency: Concurrency | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        on_error: OnError = "raise",
        max_errored_rows: int | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        retry: Retry | None = None,
        rate_limit: RateLimit | None = None,
        debug: bool = False,
        reads: Sequence[str] | None = None,
    ) -> Self:
        """Turns each row into one row.

        Args:
            fn: Gets a row, a dict of column name to value (None where missing). Returns a dict,
                or a plain value; the rows of a dataset of plain values are the values
                themselves. A key that a row lacks is missing in that row.
            compute: See the class, as for all that follow.
            fn_args: See the class.
            fn_kwargs: See the class.
            fn_constructor_args: See the class.
            fn_constructor_kwargs: See the class.
            num_cpus: See the class.
            num_gpus: See the class.
            memory: See the class.
            concurrency: See the class.
            resources: See the class.
            max_retries: See the class.
            on_error: See the class.
            max_errored_rows: See the class.
            max_concurrency: See the class.
            timeout_s: See the class.
            retry: See the class.
            rate_limit: See the class.
            debug: See the class.
            reads: See the class.

        Raises:
            PlanError: The function cannot run, or the arguments do not fit it.

        Example:
            >>> import raceline
            >>> raceline.range(3).map(lambda row: {"double": row["id"] * 2}).take_all()
            [{'double': 0}, {'double': 2}, {'double': 4}]
            >>> raceline.range(1000).map(lambda x: x * 2).take(5)
            [0, 2, 4, 6, 8]
        """
        arguments = Arguments(fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs)
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        faults = Faults(max_retries, on_error, max_errored_rows)
        timing, calls = Batching(timeout_s=timeout_s), Calls(max_concurrency, retry, rate_limit)
        return self._apply(
            UserFunction("map", fn, arguments, demand, timing, faults, calls, debug, reads)
        )

    @accepts(FUNCTION_ARGUMENTS)
    def flat_map(
        self,
        fn: Callable[..., Any],
        *,
        compute: Compute = None,
        fn_args: Sequence[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Sequence[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        concurrency: Concurrency | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        on_error: OnError = "raise",
        max_errored_rows: int | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        retry: Retry | None = None,
        rate_limit: RateLimit | None = None,
        debug: bool = False,
        reads: Sequence[str] | None = None,
    ) -> Self:
        """Turns each row into any number of rows.

        Args:
            fn: Gets a row; returns a list, generator or other iterable of rows, maybe empty.
            compute: See the class, as for all that follow.
            fn_args: See the class.
            fn_kwargs: See the class.
            fn_constructor_args: See the class.
            fn_constructor_kwargs: See the class.
            num_cpus: See the class.
            num_gpus: See the class.
            memory: See the class.
            concurrency: See the class.
            resources: See the class.
            max_retries: See the class.
            on_error: See the class.
            max_errored_rows: See the class.
            max_concurrency: See the class.
            timeout_s: See the class.
            retry: See the class.
            rate_limit: See the class.
            debug: See the class.
            reads: See the class.

        Raises:
            PlanError: The function cannot run, or the arguments do not fit it.

        Example:
            >>> import raceline
            >>> raceline.range(3).flat_map(lambda row: [row] * row["id"]).take_all()
            [{'id': 1}, {'id': 2}, {'id': 2}]
        """
        arguments = Arguments(fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs)
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        faults = Faults(max_retries, on_error, max_errored_rows)
        timing, calls = Batching(timeout_s=timeout_s), Calls(max_concurrency, retry, rate_limit)
        return self._apply(
            UserFunction("flat_map", fn, arguments, demand, timing, faults, calls, debug, reads)
        )

    @accepts(FUNCTION_ARGUMENTS)
    def filter(
        self,
        fn: Callable[..., Any] | None = None,
        expr: Expr | str | None = None,
        *,
        compute: Compute = None,
        fn_args: Sequence[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Sequence[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        concurrency: Concurrency | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        on_error: OnError = "raise",
        max_errored_rows: int | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        retry: Retry | None = None,
        rate_limit: RateLimit | None = None,
        debug: bool = False,
        reads: Sequence[str] | None = None,
    ) -> Self:
        """Keeps the rows for which a function or an expression is true.

        Args:
            fn: Gets a row; what it returns is taken as true or false.
            expr: An expression, or its text; a row for which it is missing is dropped. It is
                pushed into Parquet files. Excludes all other arguments.
            compute: See the class, as for all that follow.
            fn_args: See the class.
            fn_kwargs: See the class.
            fn_constructor_args: See the class.
            fn_constructor_kwargs: See the class.
            num_cpus: See the class.
            num_gpus: See the class.
            memory: See the class.
            concurrency: See the class.
            resources: See the class.
            max_retries: See the class.
            on_error: See the class.
            max_errored_rows: See the class.
            max_concurrency: See the class.
            timeout_s: See the class.
            retry: See the class.
            rate_limit: See the class.
            debug: See the class.
            reads: See the class.

        Raises:
            PlanError: Not exactly one of ``fn`` and ``expr`` is given, the function cannot run,
                or the arguments do not fit it.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(5).filter(lambda row: row["id"] % 2 == 0).take_all()
            [{'id': 0}, {'id': 2}, {'id': 4}]
            >>> raceline.range(5).filter(expr=col("id") > 3).take_all()
            [{'id': 4}]
        """
        if isinstance(fn, Expr):
            fn, expr = None, fn
        if (fn is None) == (expr is None):
            raise PlanError("pass exactly one of `fn` and `expr`")
        arguments = Arguments(fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs)
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        faults = Faults(max_retries, on_error, max_errored_rows)
        timing, calls = Batching(timeout_s=timeout_s), Calls(max_concurrency, retry, rate_limit)
        if fn is not None:
            return self._apply(
                UserFunction("filter", fn, arguments, demand, timing, faults, calls, debug, reads)
            )
        given = (arguments, demand, timing, faults, calls, debug, reads)
        if given != (Arguments(), Demand(), Batching(), Faults(), Calls(), False, None):
            raise PlanError("`expr` runs without Python: the other arguments need `fn`")
        if isinstance(expr, str):
            expr = parse_predicate(expr)
        if not isinstance(expr, Expr):
            raise PlanError(
                f"`expr` must be an expression or its text, got `{expr!r}`",
                hint='for example `filter(expr=col("price") > 3)`',
            )
        ready = staged(self, [expr])
        native = ready.dataset._native.filter_expr(ready.exprs[0]._native)
        return self._derive(native.drop(ready.held) if ready.held else native)

    @accepts(_BATCH_ARGUMENTS)
    def map_batches(
        self,
        fn: Callable[..., Any],
        *,
        batch_size: int | Literal["auto"] | None = None,
        batch_bytes: int | None = None,
        batch_by: Expr | str | None = None,
        batch_cost: float | None = None,
        compute: Compute = None,
        batch_format: BatchFormat = "default",
        zero_copy_batch: bool | None = None,
        fn_args: Sequence[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Sequence[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        concurrency: Concurrency | None = None,
        resources: Mapping[str, float] | None = None,
        max_retries: int = 3,
        on_error: OnError = "raise",
        max_errored_rows: int | None = None,
        timeout_s: float | None = None,
        max_concurrency: int | None = None,
        retry: Retry | None = None,
        rate_limit: RateLimit | None = None,
        debug: bool = False,
        reads: Sequence[str] | None = None,
    ) -> Self:
        """Turns each batch of rows into one or more batches.

        Args:
            fn: Gets a batch; returns a dict of columns of equal lengths (lists or arrays), a
                ``pandas.DataFrame``, a ``pyarrow.Table``, or a generator of these. Columns may be
                torch tensors, on any device. It is never called with an empty batch.
            batch_size: Rows of a batch, the last one maybe fewer; None takes batches as the
                engine cuts them, by bytes. Beside another bound, the most rows. With ``"auto"``
                the engine tries sizes until it has found the fastest, of at most 16 MiB.
            batch_bytes: Bytes of a batch, at most, as its values take in Arrow memory. Rows are
                gathered until the next would exceed the bound; a row that exceeds it alone is a
                batch.
            batch_by: What a row costs, such as its tokens: a column's name or an expression, of
                numbers of at least 0.
            batch_cost: What the rows of a batch cost together, at most; a row that costs more is
                a batch.
            compute: See the class.
            batch_format: ``"numpy"`` (the default): a dict of column name to array; strings are
                object arrays, missing values of numbers are NaN. ``"pandas"``: Arrow-backed.
                ``"pyarrow"`` or None: a table. ``"torch"``: a dict of column name to tensor, or
                array where torch has no tensor for it, as for strings.
            zero_copy_batch: Whether arrays may be read-only views of the engine's memory; False
                gives arrays that may be written to. None, the default, is True, but False for
                torch: its tensors cannot be read-only, so writing to a view of read-only memory
                kills the worker.
            fn_args: See the class, as for all that follow.
            fn_kwargs: See the class.
            fn_constructor_args: See the class.
            fn_constructor_kwargs: See the class.
            num_cpus: See the class.
            num_gpus: See the class.
            memory: See the class.
            concurrency: See the class.
            resources: See the class.
            max_retries: See the class.
            on_error: See the class.
            max_errored_rows: See the class.
            debug: See the class.
            timeout_s: Seconds that a worker may take for one batch, at most; the time in which
                its output waits for the stages behind it does not count. A worker that takes
                longer is killed, as if it had died. For an ``async def`` see the class. None sets
                no limit.
            max_concurrency: See the class.
            retry: See the class.
            rate_limit: See the class.
            reads: See the class.

        Raises:
            ImportError: ``batch_format="torch"``, and torch is not installed.
            PlanError: The function cannot run, or the arguments do not fit it.

        Example:
            >>> import raceline
            >>> class Add:
            ...     def __init__(self, amount):
            ...         self.amount = amount
            ...
            ...     def __call__(self, batch):
            ...         return {"id": batch["id"] + self.amount}
            >>> added = raceline.range(3).map_batches(
            ...     Add, fn_constructor_args=[10], batch_size=2, concurrency=1
            ... )
            >>> added.take_all()
            [{'id': 10}, {'id': 11}, {'id': 12}]
        """
        arguments = Arguments(fn_args, fn_kwargs, fn_constructor_args, fn_constructor_kwargs)
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        faults = Faults(max_retries, on_error, max_errored_rows)
        batching = Batching(
            batch_size,
            batch_format,
            zero_copy_batch,
            timeout_s,
            batch_bytes,
            batch_by,
            batch_cost,
        )
        calls = Calls(max_concurrency, retry, rate_limit)
        return self._apply(
            UserFunction(
                "map_batches", fn, arguments, demand, batching, faults, calls, debug, reads
            )
        )

    def _apply(self, function: UserFunction) -> Self:
        """The dataset after a function."""
        translation = function.translated()
        if not function.is_debugged:
            # What it runs in starts while it is pickled, and while its input is prepared.
            has_program = translation.program is not None and function.reads is None
            self._native.expect_workers(function.preloads, has_program)
        options = function.native_options(translation, frame_types(self._native))
        return self._derive(self._native.udf(options))
