"""Several columns at once, by expressions or by a function of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from raceline.data.expressions import Expr, StarExpr, UnnestExpr, col
from raceline.data.expressions.staged import staged
from raceline.data.function import Demand
from raceline.data.ray_arguments import FUNCTION_ARGUMENTS, accepts
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native
    from raceline.data.compute import Concurrency
    from raceline.data.function import Compute

__all__ = ["ColumnTransforms"]

_ADD_FORMATS = ("pandas", "pyarrow", "numpy")


class ColumnTransforms(FunctionTransforms):
    """The part of a dataset that adds or replaces columns. All of it is lazy."""

    __slots__ = ()

    @accepts(FUNCTION_ARGUMENTS)
    def with_column(
        self,
        column_name: str,
        expr: Expr,
        *,
        compute: Compute = None,
        concurrency: Concurrency | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Self:
        """Adds a column, or replaces one, which keeps its position.

        Args:
            column_name: Its name.
            expr: Its value, of the columns as they are before.
            compute: How functions of users in the expression run, as of ``map_batches``, as for
                all that follow; expressions without such functions run inside the engine.
            concurrency: As of ``map_batches``.
            num_cpus: As of ``map_batches``.
            num_gpus: As of ``map_batches``.
            memory: As of ``map_batches``.
            resources: As of ``map_batches``.

        Raises:
            PlanError: ``expr`` is no expression.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> raceline.range(2).with_column("square", col("id") * col("id")).take_all()
            [{'id': 0, 'square': 0}, {'id': 1, 'square': 1}]
        """
        if not isinstance(expr, Expr):
            raise PlanError(
                f"`with_column` needs an expression, got `{expr!r}`",
                hint="wrap a plain value: `lit(...)`; for a function call `map_batches(...)`",
            )
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        return self._with_named({column_name: expr}, demand)

    @accepts(FUNCTION_ARGUMENTS)
    def with_columns(
        self,
        exprs: Mapping[str, Expr] | Expr | Iterable[Expr] | None = None,
        *more_exprs: Expr,
        compute: Compute = None,
        concurrency: Concurrency | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
        resources: Mapping[str, float] | None = None,
    ) -> Self:
        """Adds columns, or replaces some, which keep their positions.

        All expressions see the columns as they are before: none sees another's result.

        Args:
            exprs: Names to expressions, or expressions that have names, by ``alias``; ``unnest``
                stands for the fields of a struct, whose type may be looked up by a run.
            *more_exprs: Further expressions that have names.
            compute: As of ``with_column``, as for all that follow.
            concurrency: As of ``with_column``.
            num_cpus: As of ``with_column``.
            num_gpus: As of ``with_column``.
            memory: As of ``with_column``.
            resources: As of ``with_column``.

        Raises:
            PlanError: Something is no expression, has no name, or a name comes twice.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"a": 1, "b": 2}])
            >>> rows.with_columns({"a": col("b"), "b": col("a")}).take_all()
            [{'a': 2, 'b': 1}]
            >>> rows.with_columns((col("a") + col("b")).alias("sum")).take_all()
            [{'a': 1, 'b': 2, 'sum': 3}]
        """
        demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)
        given = [*_listed(exprs), *more_exprs]
        source, held = self, list[str]()
        for at, one in enumerate(given):
            if isinstance(one, UnnestExpr) and one.expr._engine is None:
                # The fields are parts of one column, which is made once.
                source, [struct], held = staged(source, [one.expr], demand, held)
                given[at] = UnnestExpr(struct)
        return source._with_named(_named(source, given), demand, held)

    def _with_named(self, named: dict[str, Expr], demand: Demand, held: Sequence[str] = ()) -> Self:
        """The dataset with columns, each of which sees the dataset as it is, without ``held``."""
        if not named:
            return self
        ready = staged(self, list(named.values()), demand, held)
        native, ready_exprs = ready.dataset._native, zip(named, ready.exprs, strict=True)
        if len(named) == 1:
            for name, expr in ready_exprs:
                native = native.with_column(name, expr._native)
        else:
            native = _at_once(native, dict(ready_exprs))
        return self._derive(native.drop(ready.held) if ready.held else native)

    @accepts(FUNCTION_ARGUMENTS)
    def add_column(
        self,
        col: str,
        fn: Callable[[Any], Any],
        *,
        batch_format: str = "pandas",
        compute: Compute = None,
        concurrency: Concurrency | None = None,
        num_cpus: float | None = None,
        num_gpus: float | None = None,
        memory: int | None = None,
    ) -> Self:
        """Adds a column that a function makes of batches, or replaces one.

        Args:
            col: Its name.
            fn: Gets a batch, and returns the column: a series, an array or a list.
            batch_format: ``"pandas"``, ``"pyarrow"`` or ``"numpy"``.
            compute: As of ``map_batches``, as for all that follow.
            concurrency: As of ``map_batches``.
            num_cpus: As of ``map_batches``.
            num_gpus: As of ``map_batches``.
            memory: As of ``map_batches``.

        Raises:
            PlanError: There is no such format, or an argument does not fit.

        Example:
            >>> import raceline
            >>> raceline.range(2).add_column("double", lambda frame: frame["id"] * 2).take_all()
            [{'id': 0, 'double': 0}, {'id': 1, 'double': 2}]
        """
        if not isinstance(col, str):
            raise PlanError(f"a column's name must be a string, got `{col!r}`")
        if not callable(fn):
            raise PlanError(f"`fn` must be a function, got `{fn!r}`")
        if batch_format not in _ADD_FORMATS:
            raise PlanError(
                f"`add_column` has no batch format `{batch_format!r}`",
                hint='pass "pandas", "pyarrow" or "numpy"',
            )
        return self.map_batches(
            _AddColumn(col, fn),
            batch_format=batch_format,  # type: ignore[arg-type]  # one of the literals
            compute=compute,
            concurrency=concurrency,
            num_cpus=num_cpus,
            num_gpus=num_gpus,
            memory=memory,
        )


class _AddColumn:
    """Puts what a function makes of a batch into it, as a column."""

    def __init__(self, name: str, fn: Callable[[Any], Any]) -> None:
        from raceline._udf import function_name

        self.__name__ = function_name(fn)
        self._name = name
        self._fn = fn

    def __call__(self, batch: Any) -> Any:
        made = self._fn(batch)
        if isinstance(batch, dict):
            return {**batch, self._name: made}
        if hasattr(batch, "iloc"):
            return batch.assign(**{self._name: made})
        if not hasattr(made, "type"):
            import pyarrow

            made = pyarrow.array(made)
        at = batch.schema.get_field_index(self._name)
        if at < 0:
            return batch.append_column(self._name, made)
        return batch.set_column(at, self._name, made)


def _at_once(native: _native.Dataset, named: dict[str, Expr]) -> _native.Dataset:
    """Columns that all see the dataset as it is: under other names first."""
    held = {name: f"__raceline_new_{at}" for at, name in enumerate(named)}
    known = native.schema(False)
    for name, expr in named.items():
        native = native.with_column(held[name], expr._native)
    if known is not None:
        order = [held.get(name, name) for name in known.names]
        order += [held[name] for name in named if name not in known.names]
        return native.select(order).rename([(one, name) for name, one in held.items()])
    for name, one in held.items():
        native = native.with_column(name, col(one)._native)
    return native.drop(list(held.values()))


def _listed(exprs: Any) -> Iterable[Any]:
    """The expressions that are given as one, several or by name: these with their names."""
    if isinstance(exprs, Mapping):
        return list(exprs.items())
    given = [] if exprs is None else [exprs] if isinstance(exprs, Expr) else exprs
    return given if isinstance(given, Iterable) else [given]


def _named(dataset: Any, exprs: Iterable[Any]) -> dict[str, Expr]:
    """The expressions by their names, in the order given.

    Raises:
        PlanError: Something is no expression, has no name, or a name comes twice.
    """
    pairs: list[tuple[str | None, Any]] = []
    for one in exprs:
        if isinstance(one, tuple):
            pairs.append(one)
        elif isinstance(one, UnnestExpr):
            schema = dataset._native.schema(True)
            pairs += [] if schema is None else [(e.name, e) for e in one.expand_projection(schema)]
        elif not isinstance(one, StarExpr):
            # All columns of the input are there anyway.
            pairs.append((getattr(one, "name", None), one))
    named: dict[str, Expr] = {}
    for name, expr in pairs:
        if not isinstance(expr, Expr):
            raise PlanError(
                f"`with_columns` needs expressions, got `{expr!r}`",
                hint="wrap a plain value: `lit(...)`; for a function call `map_batches(...)`",
            )
        if not isinstance(name, str):
            raise PlanError(f"expression `{expr}` has no name", hint='give it one: `.alias("...")`')
        if name in named:
            raise PlanError(f"column `{name}` is named twice")
        named[name] = expr
    return named
