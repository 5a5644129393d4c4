"""Random orders: of rows, of batches, of files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from raceline.data._arguments import whole_number
from raceline.data.handle import Handle
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native

__all__ = [
    "FileShuffle",
    "FileShuffleConfig",
    "LocalShuffle",
    "RandomSeedConfig",
    "Seed",
    "ShufflingTransforms",
    "file_shuffle",
    "seed_config",
    "seed_of",
]

_SEEDS = 2**64


@dataclass(frozen=True)
class FileShuffleConfig:
    """An order of files, for ``shuffle=`` of the ``read_*`` functions.

    Args:
        seed: What the order depends on, with the files; None is another order each time.
        reseed_after_execution: Whether each time the dataset is run has an order of its own, so
            that epochs differ; the order of the first run, of the second... is always the same.

    Raises:
        ValueError: The seed is no int, or out of range.

    Example:
        >>> from raceline.data import FileShuffleConfig
        >>> FileShuffleConfig(seed=7, reseed_after_execution=False).get_seed(3)
        7
    """

    seed: int | None = None
    reseed_after_execution: bool = True

    def __post_init__(self) -> None:
        """Checks the seed."""
        if self.seed is not None:
            seed_of(self.seed)

    def get_seed(self, execution_idx: int = 0) -> int | None:
        """The seed of one run, of which the dataset's first is number 0; None is a new one.

        Args:
            execution_idx: How many runs came before.
        """
        if self.seed is None or not self.reseed_after_execution:
            return self.seed
        return hash((self.seed, execution_idx)) % 2**32


@dataclass(frozen=True)
class RandomSeedConfig:
    """A seed that each run of a dataset makes another choice by chance of.

    Args:
        seed: What the choices depend on; None takes one now.
        reseed_after_execution: Whether each run makes another choice: that of the first run, of the
            second... is always the same. Else all runs make the same one, as of a plain int.

    Raises:
        ValueError: The seed is no int, or out of range.

    Example:
        >>> import raceline
        >>> from raceline.data import RandomSeedConfig
        >>> epochs = raceline.range(100).random_shuffle(seed=RandomSeedConfig(seed=7))
        >>> epochs.take(5) == epochs.take(5)
        False
    """

    seed: int | None = None
    reseed_after_execution: bool = True

    def __post_init__(self) -> None:
        """Checks the seed."""
        if self.seed is not None:
            seed_of(self.seed)


Seed = int | RandomSeedConfig | None

FileShuffle = Literal["files"] | FileShuffleConfig | None


def file_shuffle(shuffle: FileShuffle) -> tuple[int | None, bool] | None:
    """Seed, and whether each run has its own, of ``shuffle=``; None where files keep their order.

    Raises:
        PlanError: It is something else.
    """
    if shuffle is None:
        return None
    if isinstance(shuffle, FileShuffleConfig):
        return shuffle.seed, shuffle.reseed_after_execution
    if shuffle == "files":
        return None, True
    raise PlanError(
        f"`shuffle` must be a way to shuffle files, got `{shuffle!r}`",
        hint='pass "files", `FileShuffleConfig(seed=…)` or None',
    )


def seed_of(seed: Any, name: str = "seed") -> int:
    """The seed that is meant: itself, or a new one for None.

    Raises:
        PlanError: It is no int from 0 to 2**64 - 1.
    """
    if seed is None:
        return int.from_bytes(os.urandom(8), "little")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < _SEEDS:
        raise PlanError(f"`{name}` must be an int from 0 to 2**64 - 1 or None, got `{seed!r}`")
    return seed


def seed_config(seed: Seed) -> RandomSeedConfig:
    """The seed that is meant, with whether each run has another choice.

    Raises:
        PlanError: It is no int from 0 to 2**64 - 1.
    """
    if isinstance(seed, RandomSeedConfig):
        return RandomSeedConfig(seed_of(seed.seed), seed.reseed_after_execution)
    return RandomSeedConfig(seed_of(seed), reseed_after_execution=False)


class LocalShuffle:
    """How the rows of an iteration are drawn from those that are held."""

    def __init__(self, rows: int | None, seed: int | None) -> None:
        """Checks what is asked for.

        Raises:
            PlanError: A number is out of range.
        """
        if rows is not None:
            hint = "pass None to keep the order"
            whole_number("local_shuffle_buffer_size", rows, 1, hint=hint)
        self._rows = rows
        self._seed = None if seed is None else seed_of(seed, "local_shuffle_seed")

    def drawn(self) -> tuple[int, int] | None:
        """Rows that are held, and the seed of the next iteration; None where order is kept."""
        return None if self._rows is None else (self._rows, seed_of(self._seed))


class ShufflingTransforms(Handle):
    """The part of a dataset that puts rows into a random order. All of it is lazy."""

    __slots__ = ()

    def random_shuffle(
        self,
        *,
        seed: Seed = None,
        num_blocks: int | None = None,
        window_rows: int | None = None,
    ) -> Self:
        """Puts the rows into a random order, in which all orders are equally likely.

        What does not fit into memory goes to disk, once. The order depends on the seed, and on the
        rows and their order, alone: not on memory, threads, or how batches are cut.

        Args:
            seed: An int from 0 to 2**64 - 1. None takes one now: the dataset has the same order
                each time it is run. A ``RandomSeedConfig`` can have another one each time.
            num_blocks: No longer there.
            window_rows: With a number, only so many rows are held, in memory, and each next one is
                drawn from them: rows move about so far, and nothing goes to disk.

        Raises:
            PlanError: A number is out of range, or ``num_blocks`` is given.

        Example:
            >>> import raceline
            >>> raceline.range(5).random_shuffle(seed=1).take_all() == [
            ...     {"id": number} for number in range(5)
            ... ]
            False
            >>> raceline.range(5).random_shuffle().sort("id").take(2)
            [{'id': 0}, {'id': 1}]
        """
        if num_blocks is not None:
            raise PlanError(
                "`num_blocks` of `random_shuffle` is no longer there",
                hint="call `repartition(n)` on the result",
            )
        config = seed_config(seed)
        if window_rows is None:
            return self._shuffled(self._native.random_shuffle(seed_of(config.seed)), config)
        rows = whole_number("window_rows", window_rows, 1)
        return self._shuffled(self._native.window_shuffle(rows, seed_of(config.seed)), config)

    def randomize_block_order(self, *, seed: Seed = None) -> Self:
        """Puts the batches into a random order; the rows of each stay together.

        Batches are what ``iter_batches(batch_size=None)`` gives: the engine cuts them by bytes, and
        ``repartition(n)`` makes ``n``. What does not fit into memory goes to disk. To shuffle the
        files of a read, ``shuffle="files"`` costs less: it holds nothing.

        Args:
            seed: As of ``random_shuffle``. The order depends on how batches are cut as well.

        Raises:
            PlanError: The seed is out of range.

        Example:
            >>> import raceline
            >>> blocks = raceline.range(6).repartition(3).randomize_block_order(seed=1)
            >>> sorted(batch["id"].tolist() for batch in blocks.iter_batches(batch_size=None))
            [[0, 1], [2, 3], [4, 5]]
        """
        config = seed_config(seed)
        return self._shuffled(self._native.randomize_block_order(seed_of(config.seed)), config)

    def _shuffled(self, native: _native.Dataset, config: RandomSeedConfig) -> Self:
        """A dataset of a plan that ends with a shuffle."""
        return self._derive(native.reseeding() if config.reseed_after_execution else native)
