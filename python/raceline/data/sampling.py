"""A random part of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from raceline.data._arguments import whole_number
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Sampling"]


class Sampling(FunctionTransforms):
    """The part of a dataset that takes rows by chance."""

    __slots__ = ()

    def random_sample(self, fraction: float, *, seed: int | None = None) -> Self:
        """Keeps each row with the same probability, in order; lazy.

        Args:
            fraction: The probability, from 0 to 1.
            seed: With one, each run keeps the same rows, however they lie in batches; without,
                each run keeps others.

        Raises:
            PlanError: ``fraction`` or ``seed`` is out of range.

        Example:
            >>> import raceline
            >>> sample = raceline.range(1000).random_sample(0.1, seed=7)
            >>> sample.count() == sample.count()
            True
        """
        is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
        if not is_number or not 0 <= fraction <= 1:
            raise PlanError(f"`fraction` must be a number from 0 to 1, got `{fraction!r}`")
        if seed is not None:
            whole_number("seed", seed, 0)
        if fraction == 1:
            return self
        if fraction == 0:
            return self._derive(self._native.limit(0))
        # In the thread that takes the rows: one stream of numbers for all rows, in order.
        return self.map_batches(
            RandomSample,
            fn_constructor_args=[fraction, seed],
            batch_format="pyarrow",
            debug=True,
        )


class RandomSample:
    """Keeps rows by a stream of random numbers; made anew for each run."""

    def __init__(self, fraction: float, seed: int | None) -> None:
        """Starts the stream."""
        import numpy as np

        self._fraction = fraction
        self._numbers = np.random.default_rng(seed)

    def __call__(self, table: pa.Table) -> Any:
        """The rows that are kept."""
        import pyarrow as pa

        return table.filter(pa.array(self._numbers.random(table.num_rows) < self._fraction))
