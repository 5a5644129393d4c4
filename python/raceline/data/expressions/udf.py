"""Functions of users inside expressions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from raceline.data.datatype import DataType
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.nodes import FunctionExpr
from raceline.data.expressions.staged import StagedExpr
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.function import Demand, UserFunction

__all__ = ["PyArrowComputeUDFExpr", "UDFExpr", "pyarrow_udf", "udf"]

# Ray's name of functions that the engine has.
PyArrowComputeUDFExpr = FunctionExpr


def udf(return_dtype: Any) -> Callable[[Any], Any]:
    """Makes a function, or a class with ``__call__``, one of expressions.

    It gets Arrow arrays of the rows of a batch, one for each argument that is an expression, and
    other arguments as they are. It returns an array of as many values: of PyArrow, NumPy or
    pandas. It runs in worker processes; of a class each worker makes one object, whose arguments
    are those of the class: ``Scale(3)(col("x"))``.

    Args:
        return_dtype: The type of what it returns, a ``DataType`` or a type of PyArrow.

    Raises:
        PlanError: Something else is decorated.

    Example:
        >>> import pyarrow.compute as pc
        >>> import raceline
        >>> from raceline.data.datatype import DataType
        >>> from raceline.data.expressions import col, udf
        >>> @udf(DataType.int64())
        ... def double(values):
        ...     return pc.multiply(values, 2)
        >>> raceline.range(3).with_column("id", double(col("id")) + 1).take_all()
        [{'id': 1}, {'id': 3}, {'id': 5}]
    """
    data_type = DataType.from_dtype(return_dtype)

    def decorate(function: Any) -> Any:
        if not callable(function):
            raise PlanError(f"`udf` needs a function or a class, got `{function!r}`")
        if isinstance(function, type):
            return _UdfClass(function, data_type)
        return UdfFunction(function, None, data_type)

    return decorate


# All functions get and return Arrow data here.
pyarrow_udf = udf


class _UdfClass:
    """A class whose objects are functions of expressions."""

    def __init__(self, function: type, data_type: DataType) -> None:
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._function = function
        self._data_type = data_type

    def __call__(self, *args: Any, **kwargs: Any) -> UdfFunction:
        """The function that workers make with these arguments."""
        return UdfFunction(self._function, (args, kwargs), self._data_type)


class UdfFunction:
    """A function of expressions."""

    def __init__(self, function: Any, made_with: Any, data_type: DataType) -> None:
        from raceline._udf import function_name

        self.__name__ = function_name(function)
        self.__doc__ = function.__doc__
        self._function = function
        self._made_with = made_with
        self._data_type = data_type

    def __call__(self, *args: Any, **kwargs: Any) -> UDFExpr:
        """The expression of its values."""
        return UDFExpr(self, args, kwargs)


class UDFExpr(StagedExpr):
    """A call of a user's function; made by what ``udf`` decorates.

    Example:
        >>> from raceline.data.datatype import DataType
        >>> from raceline.data.expressions import UDFExpr, col, udf
        >>> @udf(DataType.int64())
        ... def same(values):
        ...     return values
        >>> isinstance(same(col("id")), UDFExpr)
        True
    """

    __slots__ = ("args", "data_type", "fn", "kwargs")

    def __init__(self, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """``fn`` of arguments, of which at least one is an expression.

        Raises:
            PlanError: None is.
        """
        super().__init__()
        self.fn = fn
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.data_type: DataType = fn._data_type
        if not self._parts():
            raise PlanError(
                f"`{fn.__name__}` needs an expression among its arguments",
                hint="for example a column: `col(...)`",
            )

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        given = [(f"arg{at}", one) for at, one in enumerate(self.args)] + [*self.kwargs.items()]
        return [(name, one) for name, one in given if isinstance(one, Expr)]

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return self._of(parts)

    def _of(self, parts: Sequence[Expr]) -> UDFExpr:
        left = list(parts)
        args = [left.pop(0) if isinstance(one, Expr) else one for one in self.args]
        kwargs = {
            name: left.pop(0) if isinstance(one, Expr) else one for name, one in self.kwargs.items()
        }
        return UDFExpr(self.fn, args, kwargs)

    def _label(self) -> str:
        return f"UDF({self.fn.__name__})"

    def _facts(self) -> tuple[Any, ...]:
        plain = [one for one in (*self.args, *self.kwargs.values()) if not isinstance(one, Expr)]
        return (id(self.fn), len(self.args), tuple(self.kwargs), repr(plain))

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        function = self._user_function("map_batches", name, arguments, demand)
        options = function.native_options(function.translated())
        # The engine keeps the other columns to itself, and puts the new one behind them.
        options |= {"reads": {*arguments, name}, "only_written": {name}, "passes_others": True}
        dataset._native.expect_workers(function.preloads, False)
        return dataset._derive(dataset._native.udf(options))

    def _user_function(
        self,
        kind: Literal["map_batches", "map_groups"],
        name: str,
        arguments: Sequence[str],
        demand: Demand | None,
        group_keys: Sequence[str] = (),
    ) -> UserFunction:
        """The function over batches that makes a column of the columns ``arguments``."""
        from raceline.data.function import Arguments, Batching, Demand, UserFunction

        columns = iter(arguments)

        def taken(one: Any) -> Any:
            return ColumnArgument(next(columns)) if isinstance(one, Expr) else one

        args = [taken(one) for one in self.args]
        named = {key: taken(one) for key, one in self.kwargs.items()}
        call = UdfCall(self.fn.__name__, args, named, name, self.data_type.to_arrow_dtype())
        fn: Any
        if self.fn._made_with is None:
            fn, made = _FunctionStage(call, self.fn._function), Arguments()
        else:
            made_args, made_kwargs = self.fn._made_with
            fn = type(self.fn.__name__, (_ClassStage,), {"__module__": _ClassStage.__module__})
            made = Arguments(constructor_args=(call, self.fn._function, made_args, made_kwargs))
        return UserFunction(
            kind,
            fn,
            made,
            demand or Demand(),
            Batching(format="pyarrow"),
            group_keys=group_keys,
        )


class GroupUDFExpr(UDFExpr):
    """A call of a user's function for each group, with all of its rows."""

    __slots__ = ("_keys",)

    def __init__(self, call: UDFExpr, keys: Sequence[str]) -> None:
        """``call`` for the rows that have equal values of the columns ``keys``."""
        super().__init__(call.fn, call.args, call.kwargs)
        self._keys = tuple(keys)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return GroupUDFExpr(self._of(parts), self._keys)

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        function = self._user_function("map_groups", name, arguments, demand, self._keys)
        return dataset._derive(dataset._native.groups(list(self._keys)))._apply(function)


class ColumnArgument:
    """An argument that is a column."""

    def __init__(self, name: str) -> None:
        self.name = name


class UdfCall:
    """How a function is called with a batch, and what becomes of its result."""

    def __init__(
        self, name: str, args: list[Any], kwargs: dict[str, Any], output: str, data_type: Any
    ) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs
        self.output = output
        self.data_type = data_type

    def apply(self, function: Callable[..., Any], table: Any) -> Any:
        """The table with the column that the function makes."""
        return table.append_column(self.output, self.result(function, table))

    def result(self, function: Callable[..., Any], table: Any) -> Any:
        """The column that the function makes of a table's."""

        def of_batch(one: Any) -> Any:
            if not isinstance(one, ColumnArgument):
                return one
            column = table.column(one.name)
            return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()

        kwargs = {key: of_batch(one) for key, one in self.kwargs.items()}
        made = function(*map(of_batch, self.args), **kwargs)
        if inspect.isawaitable(made):
            import asyncio

            made = asyncio.run(_awaited(made))
        made = self._array(made)
        if len(made) != table.num_rows:
            raise TypeError(f"`{self.name}` returned {len(made)} values for {table.num_rows} rows")
        return made

    def _array(self, made: Any) -> Any:
        """What the function made, as an array of the type that was declared."""
        import pyarrow as pa

        if isinstance(made, pa.Array | pa.ChunkedArray):
            return made if made.type == self.data_type else made.cast(self.data_type)
        if hasattr(made, "__array__") and not hasattr(made, "__arrow_c_array__") and made.ndim > 1:
            import numpy as np

            tensor = pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(made))
            return tensor if tensor.type == self.data_type else tensor.cast(self.data_type)
        if hasattr(made, "__array__"):
            return pa.array(made, type=self.data_type)
        raise TypeError(
            f"`{self.name}` must return an array of PyArrow, NumPy or pandas, "
            f"got `{type(made).__name__}`"
        )


async def _awaited(made: Any) -> Any:
    return await made


class _FunctionStage:
    """A function over batches."""

    def __init__(self, call: UdfCall, function: Callable[..., Any]) -> None:
        self.__name__ = call.name
        self._call = call
        self._function = function

    def __call__(self, table: Any) -> Any:
        return self._call.apply(self._function, table)


class _ClassStage:
    """An object of a class over batches; made once a worker."""

    def __init__(self, call: UdfCall, function: type, args: Any, kwargs: Any) -> None:
        self._call = call
        self._function = function(*args, **kwargs)

    def __call__(self, table: Any) -> Any:
        return self._call.apply(self._function, table)
