"""Rows that are taken by chance, or by a hash."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, Literal, Self

from raceline.data._arguments import column_names, whole_number
from raceline.data.shuffling import RandomSeedConfig, Seed, seed_config
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Sampling"]


class Sampling(FunctionTransforms):
    """The part of a dataset that takes rows by chance. All of it is lazy and keeps order."""

    __slots__ = ()

    def random_sample(self, fraction: float, *, seed: Seed = None) -> Self:
        """Keeps each row with the same probability.

        Args:
            fraction: The probability, from 0 to 1.
            seed: With one, each run keeps the same rows, however they lie in batches; without,
                each run keeps others. A ``RandomSeedConfig`` keeps other rows in each run, and the
                same in the first, the second...

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
        chosen: int | Epochs | None = None
        if isinstance(seed, RandomSeedConfig):
            config = seed_config(seed)
            chosen = Epochs(config) if config.reseed_after_execution else config.seed
        elif seed is not None:
            chosen = whole_number("seed", seed, 0)
        if fraction == 1:
            return self
        if fraction == 0:
            return self._derive(self._native.limit(0))
        return self._random_part(fraction, chosen, rest=False)

    def streaming_train_test_split(
        self,
        test_size: float,
        *,
        split_type: Literal["random", "hash"] = "random",
        hash_column: str | None = None,
        seed: int | None = None,
    ) -> tuple[Self, Self]:
        """Rows to train on and rows to test on, told apart while the dataset runs.

        Nothing is kept: each of the two runs the whole dataset. Each row is in one of them,
        provided that the dataset has the same rows in the same order whenever it runs.

        Args:
            test_size: The part to test on, between 0 and 1; met about, not exactly.
            split_type: ``"random"``, by chance, the same in each run; or ``"hash"``, by the text of
                a column's value, so that rows of one value are in one part, in any dataset.
            hash_column: That column.
            seed: Another one makes another choice by chance.

        Returns:
            The rows to train on, and those to test on.

        Raises:
            PlanError: An argument is out of range, or does not fit the others.

        Example:
            >>> import raceline
            >>> train, test = raceline.range(1000).streaming_train_test_split(0.2, seed=1)
            >>> train.count() + test.count()
            1000
        """
        if not isinstance(test_size, float) or not 0 < test_size < 1:
            raise PlanError(f"a part to test on must be between 0 and 1, got `{test_size!r}`")
        if split_type == "random":
            if hash_column is not None:
                raise PlanError('`hash_column` needs `split_type="hash"`')
            chosen = whole_number("seed", 0 if seed is None else seed, 0)
            share = 1 - test_size
            train, test = (self._random_part(share, chosen, rest=one) for one in (False, True))
            return train, test
        if split_type != "hash":
            raise PlanError(
                f"there is no way to split `{split_type!r}`", hint='pass "random" or "hash"'
            )
        if seed is not None:
            raise PlanError('`seed` needs `split_type="random"`')
        if hash_column is None:
            raise PlanError('`split_type="hash"` needs a `hash_column`')
        [name] = column_names(hash_column, "hash_column")
        self._native.select([name]).schema(False)
        train, test = (
            self.map_batches(HashPart(name, 1 - test_size, rest=one), batch_format="pyarrow")
            for one in (False, True)
        )
        return train, test

    def _random_part(self, fraction: float, seed: int | Epochs | None, *, rest: bool) -> Self:
        """Rows by chance, or all others."""
        # In the thread that takes the rows: one stream of numbers for all rows, in order.
        return self.map_batches(
            RandomPart,
            fn_constructor_args=[fraction, seed, rest],
            batch_format="pyarrow",
            debug=True,
        )


class Epochs:
    """Seeds of the first run of a dataset, of the second, and so on."""

    def __init__(self, config: RandomSeedConfig) -> None:
        """Begins with the first run."""
        self._seed = config.seed
        self._runs = 0

    def next_seed(self) -> list[int]:
        """The seed of the next run."""
        self._runs += 1
        return [self._runs - 1, self._seed or 0]


class RandomPart:
    """Keeps rows by a stream of random numbers; made anew for each run."""

    def __init__(self, fraction: float, seed: int | Epochs | None, rest: bool) -> None:
        """Starts the stream."""
        import numpy as np

        self._fraction = fraction
        chosen = seed.next_seed() if isinstance(seed, Epochs) else seed
        self._numbers = np.random.default_rng(chosen)
        self._rest = rest

    def __call__(self, table: pa.Table) -> Any:
        """The rows that are kept."""
        import pyarrow as pa

        kept = self._numbers.random(table.num_rows) < self._fraction
        return table.filter(pa.array(~kept if self._rest else kept))


class HashPart:
    """Keeps rows by the hash of a column's value."""

    def __init__(self, name: str, fraction: float, *, rest: bool) -> None:
        """Takes the column, the part of all hashes, and whether the others are kept."""
        self._name = name
        self._below = int(fraction * 2**64)
        self._rest = rest

    def __call__(self, table: pa.Table) -> Any:
        """The rows that are kept."""
        import numpy as np
        import pyarrow as pa

        from raceline.data.preprocessors.categories import codes_of
        from raceline.data.preprocessors.columns import column_of

        codes = codes_of(column_of(table, self._name), self._is_below)
        # Missing values have no code.
        kept = np.where(codes < 0, self._is_below(None), codes).astype(bool)
        return table.filter(pa.array(~kept if self._rest else kept))

    def _is_below(self, value: Hashable) -> int:
        """1 where the hash of a value's text is low enough, else 0."""
        import hashlib

        digest = hashlib.blake2b(str(value).encode(), digest_size=8).digest()
        return int(int.from_bytes(digest, "big") < self._below)
