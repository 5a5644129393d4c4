"""Dead letters: running the function that failed on the row that it failed for."""

from __future__ import annotations

import pdb
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline._udf import is_callable_class
from raceline.data._arguments import whole_number
from raceline.data.dataset import Dataset
from raceline.data.formats import BatchFormat, convert_batch, normal_batch_format
from raceline.data.iterator import native_batches_of
from raceline.data.read import read_parquet
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline._native import Batch

__all__ = ["replay"]


def replay(
    letters: str | Dataset,
    fn: Callable[..., Any],
    index: int = 0,
    *,
    batch_format: BatchFormat = "default",
    fn_args: Sequence[Any] | None = None,
    fn_kwargs: Mapping[str, Any] | None = None,
    fn_constructor_args: Sequence[Any] | None = None,
    fn_constructor_kwargs: Mapping[str, Any] | None = None,
    debugger: bool | None = None,
) -> Any:
    """Calls a function with the row of a dead letter, here and now.

    It runs in the calling thread, so that breakpoints and profilers work. Where the function
    fails, a debugger opens at the line that raised.

    Args:
        letters: What :meth:`raceline.Dataset.dead_letters` returns, or the path of the Parquet
            files that it was written to.
        fn: The function, or a class, of which an object is made. An ``async def`` is awaited.
        index: Which of the letters, from 0.
        batch_format: As of ``map_batches``, for the letters of a batch function. It gets a
            batch of the one row.
        fn_args: Passed to the call, after the row or batch.
        fn_kwargs: Passed to the call.
        fn_constructor_args: Passed to the constructor of a class.
        fn_constructor_kwargs: Passed to the constructor of a class.
        debugger: Whether a debugger opens; None opens one where the program runs in a terminal.

    Returns:
        What the function returns; of an async generator, the list of what it yields.

    Raises:
        PlanError: There is no such letter, or the rows are no dead letters.
        Exception: Whatever the function raises.

    Example:
        >>> import raceline
        >>> def inverse(row):
        ...     return {"inverse": 1 / row["id"]}
        >>> inverses = raceline.range(3).map(inverse, on_error="dead_letter")
        >>> inverses.count()
        2
        >>> raceline.replay(inverses.dead_letters(), inverse, debugger=False)
        Traceback (most recent call last):
        ...
        ZeroDivisionError: division by zero
    """
    stage, row = _letter(letters, whole_number("index", index, 0))
    if is_callable_class(fn):
        fn = fn(*(fn_constructor_args or ()), **(fn_constructor_kwargs or {}))
    argument: Any
    if stage.startswith("MapBatches("):
        argument = convert_batch(row, normal_batch_format(batch_format), writable=True)
    else:
        [argument] = row.rows()
    try:
        made = fn(argument, *(fn_args or ()), **(fn_kwargs or {}))
        is_async = hasattr(type(made), "__await__") or hasattr(type(made), "__aiter__")
        return _awaited(made) if is_async else made
    except Exception as error:
        if debugger or (debugger is None and sys.stdin.isatty() and sys.stdout.isatty()):
            pdb.post_mortem(error.__traceback__)
        raise


def _awaited(made: Any) -> Any:
    """What a coroutine returns, or all that an async generator yields."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def result() -> Any:
        if hasattr(made, "__aiter__"):
            return [piece async for piece in made]
        return await made

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(result())
    # A notebook runs a loop in this thread.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, result()).result()


def _letter(letters: str | Dataset, index: int) -> tuple[str, Batch]:
    """The stage of a letter, and its row as a batch."""
    dataset = read_parquet(letters) if isinstance(letters, str) else letters
    before = 0
    for batch in native_batches_of(dataset.limit(index + 1)._native):
        if index >= before + batch.num_rows:
            before += batch.num_rows
            continue
        letter = batch.slice(index - before, 1)
        if not {"stage", "input"} <= set(letter.column_names):
            raise PlanError(
                "the rows are no dead letters: they lack the columns `stage` and `input`",
                hint="pass `dataset.dead_letters()`, or the path that it was written to",
            )
        return letter.numpy()["stage"][0], letter.rows_of("input")
    raise PlanError(f"there is no letter {index}: there are {before}")
