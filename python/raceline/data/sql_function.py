"""Functions of Python that queries in SQL call by name."""

from __future__ import annotations

import datetime
import functools
import inspect
import os
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from raceline._optional import optional
from raceline.data.compute import Concurrency
from raceline.data.datatype import DataType
from raceline.data.expressions.udf import ColumnArgument, UdfCall, UdfFunction
from raceline.data.function import Arguments, Batching, Compute, Demand, UserFunction
from raceline.errors import PlanError

__all__ = ["SqlFunction", "sql_function"]

# Characters of an argument that an error shows.
_SHOWN_CHARS = 60
_PREFIX = "__raceline_call"


class SqlFunction:
    """A function that queries may call; made by ``sql_function``. Python calls it as before.

    Example:
        >>> import raceline
        >>> @raceline.sql_function
        ... def initial(name: str) -> str:
        ...     return name[0]
        >>> initial("pear"), initial
        ('p', SqlFunction(initial))
    """

    __name__: str

    def __init__(
        self,
        fn: Any,
        returns: Any,
        demand: Demand,
        *,
        called_on_null: bool,
        deterministic: bool,
    ) -> None:
        """Takes a function of values, or one of arrays; users call ``sql_function``."""
        functools.update_wrapper(self, fn)
        self._fn = fn
        self._returns = returns
        self._demand = demand
        self._called_on_null = called_on_null
        self._deterministic = deterministic
        self._key = os.urandom(4).hex()

    def __repr__(self) -> str:
        """Its name."""
        return f"SqlFunction({self.__name__})"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function."""
        return self._fn(*args, **kwargs)

    def check_arguments(self, name: str, count: int) -> None:
        """Checks that it can be called with so many arguments.

        Args:
            name: Its name in the query.
            count: How many.

        Raises:
            PlanError: It takes fewer or more.
        """
        is_of_arrays = isinstance(self._fn, UdfFunction)
        code = self._fn._function if is_of_arrays else self._fn
        if isinstance(code, type):
            code = functools.partial(code.__call__, None)
        try:
            signature = inspect.signature(code)
        except (TypeError, ValueError):
            return  # It is not written in Python.
        try:
            signature.bind(*[None] * count)
        except TypeError as error:
            raise PlanError(
                f"`{name}` is called with {count} argument{'' if count == 1 else 's'}: {error}",
                hint=f"it is `{self.__name__}{signature}`",
            ) from None
        if is_of_arrays and count == 0:
            raise PlanError(
                f"`{name}` is called without arguments",
                hint="a function of arrays must be told by one how many values are wanted",
            )

    def native(self, name: str) -> tuple[str, str, Any, bool, dict[str, Any]]:
        """The function as the engine takes it, under a name.

        Raises:
            PlanError: It cannot be sent to a worker.
        """
        pa = optional("pyarrow")
        function = self.stage(name)
        returns = pa.schema([(name, self._returns)]).empty_table()
        options = function.native_options(function.translated())
        options |= {"program": None, "decline": "a query calls it"}
        return name, self._key, returns, self._deterministic, options

    def stage(self, name: str) -> UserFunction:
        """The batch function that makes its calls."""
        demand, batching = self._demand, Batching(format="pyarrow")
        if not isinstance(self._fn, UdfFunction):
            values = _OfValues(name, self._fn, self._returns, self._called_on_null)
            return UserFunction(
                "map_batches", _Calls(self._key, name, values), Arguments(), demand, batching
            )
        code, made_with = self._fn._function, self._fn._made_with
        if made_with is None:
            arrays = _OfArrays(name, code, self._returns)
            return UserFunction(
                "map_batches", _Calls(self._key, name, arrays), Arguments(), demand, batching
            )
        made = type(name, (_ObjectCalls,), {"__module__": _ObjectCalls.__module__})
        arguments = Arguments(constructor_args=(self._key, name, self._returns, code, made_with))
        return UserFunction("map_batches", made, arguments, demand, batching)


def sql_function(
    fn: Any = None,
    /,
    *,
    return_type: Any = None,
    called_on_null: bool = False,
    deterministic: bool = True,
    compute: Compute = None,
    concurrency: Concurrency | None = None,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
) -> Any:
    """Makes a function one that queries in SQL may call; a decorator, with or without arguments.

    The function gets Python values, one of each argument, and returns one. It runs in worker
    processes, once for each row that the query needs its result of. What ``udf`` made is called
    with arrays instead, once for each batch.

    Args:
        fn: A function of values, or one of arrays that ``udf`` made.
        return_type: The type of its results: a ``DataType``, a type of PyArrow, or a class. By
            default what its annotation says. Of one that ``udf`` made it is known.
        called_on_null: Whether a function of values is called for rows of which an argument is
            null, with None. By default it is not, and the result is null.
        deterministic: Whether equal arguments have equal results. Then equal calls in one place
            of a query are made once.
        compute: See ``Dataset.map``, as for all that follow.
        concurrency: See ``Dataset.map``.
        num_cpus: See ``Dataset.map``.
        num_gpus: See ``Dataset.map``.
        memory: See ``Dataset.map``.
        resources: See ``Dataset.map``.

    Raises:
        PlanError: It is no function, or the type of its results is not known.

    Example:
        >>> import raceline
        >>> @raceline.sql_function
        ... def parity(number: int) -> str:
        ...     return "odd" if number % 2 else "even"
        >>> numbers = raceline.range(5)
        >>> raceline.sql(
        ...     "select parity(id) as kind, count(*) as n from numbers group by 1 order by 1"
        ... ).take_all()
        [{'kind': 'even', 'n': 3}, {'kind': 'odd', 'n': 2}]
    """
    demand = Demand(compute, concurrency, num_cpus, num_gpus, memory, resources)

    def decorate(function: Any) -> SqlFunction:
        return SqlFunction(
            function,
            _returned(function, return_type),
            demand,
            called_on_null=called_on_null,
            deterministic=deterministic,
        )

    return decorate if fn is None else decorate(fn)


def _returned(function: Any, declared: Any) -> Any:
    """The type of what a function returns.

    Raises:
        PlanError: It is no function, or nobody says its type.
    """
    if isinstance(function, UdfFunction):
        if declared is not None:
            raise PlanError(f"`{function.__name__}` has the type that it was given by `udf`")
        return function._data_type.to_arrow_dtype()
    name = getattr(function, "__name__", None) or type(function).__name__
    if not callable(function) or isinstance(function, type):
        raise PlanError(
            f"`sql_function` needs a function, got `{function!r}`",
            hint="decorate a class with `udf`: its objects are functions of arrays",
        )
    if inspect.iscoroutinefunction(function):
        raise PlanError(
            f"`{name}` is an `async def`, and values are made one after the other",
            hint="decorate it with `udf`: it gets arrays then, and awaits for all values at once",
        )
    if declared is None:
        try:
            declared = typing.get_type_hints(function).get("return")
        except (NameError, TypeError):
            declared = None
    found = None if declared is None else _arrow_type(declared)
    if found is None:
        raise PlanError(
            f"the type of what `{name}` returns is not known",
            hint="annotate it, `-> int`, or pass it: "
            "`sql_function(..., return_type=DataType.int64())`",
        )
    return found


def _arrow_type(declared: Any) -> Any:
    """The type of PyArrow that a type or an annotation is; None where there is none."""
    pa = optional("pyarrow")
    origin, parts = typing.get_origin(declared), typing.get_args(declared)
    if origin in (typing.Union, types.UnionType):
        left = [part for part in parts if part is not type(None)]
        return _arrow_type(left[0]) if len(left) == 1 else None
    if origin is list or origin is Sequence:
        item = _arrow_type(parts[0])
        return None if item is None else pa.list_(item)
    of_time = {
        datetime.date: pa.date32(),
        datetime.datetime: pa.timestamp("us"),
        datetime.time: pa.time64("us"),
        datetime.timedelta: pa.duration("us"),
    }
    if isinstance(declared, type) and declared in of_time:
        return of_time[declared]
    try:
        return DataType.from_dtype(declared).to_arrow_dtype()
    except (TypeError, PlanError):
        return None


class _OfValues:
    """A function that is called once for each row, with values."""

    def __init__(
        self, name: str, function: Callable[..., Any], returns: Any, called_on_null: bool
    ) -> None:
        self._name = name
        self._function = function
        self._returns = returns
        self._called_on_null = called_on_null

    def column(self, table: Any, arguments: Sequence[str]) -> Any:
        """Its results for the rows of a table."""
        function, skips_null = self._function, not self._called_on_null
        columns = [table.column(name).to_pylist() for name in arguments]
        rows = zip(*columns, strict=True) if columns else iter([()] * table.num_rows)
        results: list[Any] = []
        given: tuple[Any, ...] = ()
        try:
            for given in rows:
                if skips_null and any(one is None for one in given):
                    results.append(None)
                else:
                    results.append(function(*given))
        except Exception as error:
            error.add_note(f"  in `{self._shown(given)}`, for row {len(results)} of its batch")
            raise
        return self._array(results, columns)

    def _array(self, results: list[Any], columns: list[list[Any]]) -> Any:
        """The results as an array of their type.

        Raises:
            TypeError: One of them is of no such type.
        """
        import pyarrow as pa

        wrong = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)
        try:
            return pa.array(results, type=self._returns)
        except wrong:
            for row, result in enumerate(results):
                try:
                    pa.array([result], type=self._returns)
                except wrong as error:
                    given = tuple(column[row] for column in columns)
                    raise TypeError(
                        f"`{self._shown(given)}` returned `{_short(result)}`, which is no "
                        f"{self._returns}"
                    ) from error
            raise

    def _shown(self, given: tuple[Any, ...]) -> str:
        """A call for people."""
        return f"{self._name}({', '.join(map(_short, given))})"


class _OfArrays:
    """A function that is called once for each batch, with arrays."""

    def __init__(self, name: str, function: Callable[..., Any], returns: Any) -> None:
        self._name = name
        self._function = function
        self._returns = returns

    def column(self, table: Any, arguments: Sequence[str]) -> Any:
        """Its results for the rows of a table."""
        columns: list[Any] = [ColumnArgument(name) for name in arguments]
        call = UdfCall(self._name, columns, {}, "", self._returns)
        return call.result(self._function, table)


class _Calls:
    """The calls of a function, over batches that have the columns of their arguments."""

    def __init__(self, key: str, name: str, function: _OfValues | _OfArrays) -> None:
        self.__name__ = name
        self._prefix = f"{_PREFIX} {key} "
        self._function = function

    def __call__(self, table: Any) -> Any:
        """The batch with columns of results in place of those of arguments."""
        taken = [name for name in table.column_names if name.startswith(self._prefix)]
        calls: dict[int, list[tuple[int, str]]] = {}
        for name in taken:
            call, argument = name.removeprefix(self._prefix).split(" ")
            arguments = calls.setdefault(int(call), [])
            if argument != "rows":
                arguments.append((int(argument), name))
        made = table.drop_columns(taken)
        for call, arguments in sorted(calls.items()):
            names = [name for _, name in sorted(arguments)]
            made = made.append_column(f"{self._prefix}{call}", self._function.column(table, names))
        return made


class _ObjectCalls(_Calls):
    """The calls of an object, which each worker makes."""

    def __init__(self, key: str, name: str, returns: Any, code: type, made_with: Any) -> None:
        super().__init__(key, name, _OfArrays(name, code(*made_with[0], **made_with[1]), returns))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "..."
