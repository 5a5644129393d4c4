"""Which functions of Python the names in a query stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.sql_function import SqlFunction

__all__ = ["called_functions"]


def called_functions(
    query: str, functions: Mapping[str, Any], variables: Sequence[Mapping[str, Any]]
) -> dict[str, SqlFunction]:
    """The functions that a query calls, by their names in it.

    Names are found in any case. What is neither given nor a variable is left to SQL.

    Args:
        query: The query.
        functions: Functions that were given by name.
        variables: Variables of the caller, of which those are functions of queries that
            ``sql_function`` or ``udf`` made.

    Raises:
        PlanError: A function has a name that SQL has a function of, or is none, or cannot be
            called with so many arguments.
    """
    from raceline._native import is_sql_function, sql_calls

    for name in functions:
        if not isinstance(name, str):
            raise PlanError(f"names of functions must be strings, got `{name!r}`")
        if is_sql_function(name):
            raise _own(name)
    called: dict[str, SqlFunction] = {}
    for name, arguments, clause, is_own in sql_calls(query):
        function = called.get(name) or _found(name, functions, variables)
        if function is None:
            if not is_own:
                _check_plain(name, variables)
            continue
        if is_own:
            raise _own(name)
        if clause is not None:
            raise PlanError(
                f"`{name}` is called with `{clause}`, which a function of Python does not take",
                hint="it is called with the values of a row",
            )
        function.check_arguments(name, arguments)
        called[name] = function
    return called


def _found(
    name: str, functions: Mapping[str, Any], variables: Sequence[Mapping[str, Any]]
) -> SqlFunction | None:
    """What a name stands for, if it is a function of Python."""
    from raceline.data.expressions.udf import UdfFunction
    from raceline.data.sql_function import SqlFunction, sql_function

    value = _look_up(name, functions, lambda _: True)
    for scope in variables:
        if value is None:
            value = _look_up(name, scope, lambda one: isinstance(one, SqlFunction | UdfFunction))
    if value is None or isinstance(value, SqlFunction):
        return value
    made: SqlFunction = sql_function(value)
    return made


def _look_up(name: str, scope: Mapping[str, Any], is_wanted: Any) -> Any:
    """The value of a name; SQL does not tell upper and lower case apart."""
    if name in scope and is_wanted(scope[name]):
        return scope[name]
    return next(
        (value for one, value in scope.items() if one.lower() == name and is_wanted(value)), None
    )


def _check_plain(name: str, variables: Sequence[Mapping[str, Any]]) -> None:
    """Refuses to pass over a function that was not made one of queries.

    Raises:
        PlanError: A variable of this name can be called.
    """
    if any(_look_up(name, scope, callable) is not None for scope in variables):
        raise PlanError(
            f"`{name}` is a function of Python that queries cannot call yet",
            hint=f'decorate it with `sql_function`, or pass it: `functions={{"{name}": {name}}}`',
        )


def _own(name: str) -> PlanError:
    """The error of a name that is taken."""
    return PlanError(
        f"SQL has a function `{name}` itself",
        hint=f'give yours another name: `functions={{"my_{name}": ...}}`',
    )
