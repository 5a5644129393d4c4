"""Expressions of which a part is computed by a stage of its own, such as a user's function.

Such a part becomes a column before the expression is evaluated over it; the columns that were made
for it are left out behind it.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from raceline.data.expressions.expr import Expr
from raceline.data.expressions.nodes import ColumnExpr
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.function import Demand

__all__ = ["Staged", "StagedExpr", "staged"]

_HELD = "__raceline_part_"


class StagedExpr(Expr):
    """An expression that a stage computes."""

    __slots__ = ()

    def __init__(self) -> None:
        """Nothing of it runs inside expressions."""
        super().__init__(None)

    @abstractmethod
    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        """``dataset`` with the values as the column ``name``.

        Args:
            dataset: It has the columns ``arguments``.
            name: A name that it does not have.
            arguments: The columns that are the parts, in order.
            demand: What functions of users run with.
        """


class Staged(NamedTuple):
    """Expressions over a dataset that has a column for each part that a stage computes.

    Attributes:
        dataset: The dataset.
        exprs: The expressions.
        held: Columns of it that are there for the expressions alone.
    """

    dataset: Any
    exprs: list[Expr]
    held: list[str]


def staged(
    dataset: Any, exprs: Sequence[Expr], demand: Demand | None = None, held: Sequence[str] = ()
) -> Staged:
    """The expressions, with what stages compute as columns.

    Args:
        dataset: The dataset over whose columns they are.
        exprs: Expressions; those that run inside of the engine stay as they are.
        demand: What functions of users run with.
        held: Columns that the dataset holds for other expressions; they come first in the result's.
    """
    lowering = _Lowering(dataset, demand, held)
    lowered = [lowering.lower(expr) for expr in exprs]
    return Staged(lowering.dataset, lowered, lowering.held)


class _Lowering:
    """Makes columns of parts."""

    def __init__(self, dataset: Any, demand: Demand | None, held: Sequence[str]) -> None:
        self.dataset = dataset
        self.demand = demand
        self.held = list(held)

    def lower(self, expr: Expr) -> Expr:
        """The expression over columns."""
        parts = [part for _, part in expr._parts()]
        if expr._engine is not None or not (parts or isinstance(expr, StagedExpr)):
            return expr
        lowered = [self.lower(part) for part in parts]
        if not isinstance(expr, StagedExpr):
            return expr._rebuilt(lowered)
        arguments = [self._column(part) for part in lowered]
        name = self._name()
        self.dataset = expr._stage(self.dataset, name, arguments, self.demand)
        return ColumnExpr(name)

    def _column(self, expr: Expr) -> str:
        """A column that is the expression."""
        if isinstance(expr, ColumnExpr):
            return expr.name
        name = self._name()
        native = self.dataset._native.with_column(name, expr._native)
        self.dataset = self.dataset._derive(native)
        return name

    def _name(self) -> str:
        """A name for a further column."""
        taken = self.dataset._native.schema(False)
        names = () if taken is None else taken.names
        number = len(self.held)
        while (name := f"{_HELD}{number}") in names:
            number += 1
        self.held.append(name)
        if number > _PARTS_MAX:
            raise PlanError(f"an expression has more than {_PARTS_MAX} parts that stages compute")
        return name


# Stages of one expression, beyond which it is a mistake.
_PARTS_MAX = 1000
