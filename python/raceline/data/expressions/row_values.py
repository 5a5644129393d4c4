"""Values that rows have by their places: numbers of rows, random numbers, UUIDs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from raceline.data._arguments import whole_number
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.staged import StagedExpr

if TYPE_CHECKING:
    from raceline.data.function import Demand

__all__ = [
    "MonotonicallyIncreasingIdExpr",
    "RandomExpr",
    "UUIDExpr",
    "monotonically_increasing_id",
    "random",
    "uuid",
]


class _RowValuesExpr(StagedExpr):
    """Values of rows by their places, which are counted in a stage of its own."""

    __slots__ = ()
    _kind: ClassVar[str]

    def is_idempotent(self) -> bool:
        """False: what a row gets depends on its place or the run.

        Example:
            >>> from raceline.data.expressions import uuid
            >>> uuid().is_idempotent()
            False
        """
        return False

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return self

    def _seed(self) -> tuple[int | None, bool]:
        return None, False

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        seed, reseeds = self._seed()
        return dataset._derive(dataset._native.row_column(name, self._kind, seed, reseeds))


class MonotonicallyIncreasingIdExpr(_RowValuesExpr):
    """Numbers of rows; made by ``monotonically_increasing_id``."""

    __slots__ = ()
    _kind = "ordinals"

    def _label(self) -> str:
        return "MONOTONICALLY_INCREASING_ID"


class RandomExpr(_RowValuesExpr):
    """Random numbers; made by ``random``."""

    __slots__ = ("reseed_after_execution", "seed")
    _kind = "random"

    def __init__(self, seed: int | None, reseed_after_execution: bool) -> None:
        """Numbers of ``seed``."""
        super().__init__()
        self.seed = None if seed is None else whole_number("seed", seed, 0)
        self.reseed_after_execution = reseed_after_execution

    def _seed(self) -> tuple[int | None, bool]:
        return self.seed, self.reseed_after_execution

    def _label(self) -> str:
        return "RANDOM()" if self.seed is None else f"RANDOM(seed={self.seed!r})"

    def _facts(self) -> tuple[Any, ...]:
        return (self.seed, self.reseed_after_execution)


class UUIDExpr(_RowValuesExpr):
    """UUIDs; made by ``uuid``."""

    __slots__ = ()
    _kind = "uuids"

    def _label(self) -> str:
        return "UUID()"


def monotonically_increasing_id() -> Expr:
    """The number of the row, from 0, in the order of the rows; int64.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"a": "x"}, {"a": "y"}])
        >>> rows.with_column("id", monotonically_increasing_id()).take_all()
        [{'a': 'x', 'id': 0}, {'a': 'y', 'id': 1}]
    """
    return MonotonicallyIncreasingIdExpr()


def random(*, seed: int | None = None, reseed_after_execution: bool = True) -> Expr:
    """Random numbers from 0 to below 1; float64.

    Args:
        seed: What the numbers depend on, beside the place of the row: not on batches or threads.
            None gives others in each run; a state of an epoch holds what they depend on.
        reseed_after_execution: Whether each run of the dataset has numbers of its own, which a
            seed and the number of the run decide.

    Raises:
        PlanError: The seed is no int of at least 0.

    Example:
        >>> import raceline
        >>> rows = raceline.range(1000).with_column("r", random(seed=7))
        >>> 0.45 < rows.mean("r") < 0.55
        True
        >>> 50 < raceline.range(1000).filter(expr=random(seed=7) < 0.1).count() < 150
        True
    """
    return RandomExpr(seed, reseed_after_execution)


def uuid() -> Expr:
    """UUIDs of version 4, as strings; others in each run.

    Example:
        >>> import raceline
        >>> [row] = raceline.range(1).with_column("key", uuid()).take_all()
        >>> len(row["key"])
        36
    """
    return UUIDExpr()
