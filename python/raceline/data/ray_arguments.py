"""Arguments of Ray Data that say where in a cluster something runs, which mean nothing here.

Programs pass them, so functions take them; one that is given says once, at the caller's line, why
it has no effect. The signatures that users read do not name them.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

__all__ = [
    "FUNCTION_ARGUMENTS",
    "READ_ARGUMENTS",
    "STAGE_ARGUMENTS",
    "WRITE_ARGUMENTS",
    "accepts",
    "unknown_argument",
]

P = ParamSpec("P")
R = TypeVar("R")

_ONE_MACHINE = "all work runs on this machine"
_WORKERS = "workers are processes of this program"
_THREADS = "the engine's own threads do this, as many as the session has CPUs"
_BLOCKS = "batches are cut by bytes; use `repartition(n)` where the number of batches matters"

# Of calls that run a function of the user.
FUNCTION_ARGUMENTS: dict[str, str] = {
    "label_selector": _ONE_MACHINE,
    "fallback_strategy": _ONE_MACHINE,
    "accelerator_type": _ONE_MACHINE,
    "scheduling_strategy": _ONE_MACHINE,
    "placement_group": _ONE_MACHINE,
    "max_calls": _WORKERS,
    "runtime_env": "workers have the environment of this program",
    "ray_remote_args": _WORKERS,
    "ray_remote_args_fn": _WORKERS,
    "max_restarts": "`max_retries` says how often a batch is run again",
    "max_task_retries": "`max_retries` says how often a batch is run again",
    "retry_exceptions": "`retry=` says which errors of an async function are tried again",
}

# Of calls that the engine runs itself.
STAGE_ARGUMENTS: dict[str, str] = FUNCTION_ARGUMENTS | dict.fromkeys(
    ("compute", "concurrency", "num_cpus", "num_gpus", "memory", "resources"), _THREADS
)

# Of reads.
READ_ARGUMENTS: dict[str, str] = STAGE_ARGUMENTS | {"parallelism": _BLOCKS}

# Of writes.
WRITE_ARGUMENTS: dict[str, str] = STAGE_ARGUMENTS | {
    "try_create_dir": "a folder is made where there is none",
}

# What was told already: function and argument.
_told: set[tuple[str, str]] = set()


def accepts(
    reasons: Mapping[str, str],
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function take further keywords, which have no effect.

    Args:
        reasons: Keyword to the reason why it has none.

    Example:
        >>> import warnings
        >>> @accepts({"label_selector": "there is one machine"})
        ... def twice(number):
        ...     return 2 * number
        >>> with warnings.catch_warnings(record=True) as told:
        ...     twice(3, label_selector={"zone": "a"})
        6
        >>> str(told[0].message)
        '`label_selector` of `twice` has no effect: there is one machine'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not reasons.keys().isdisjoint(kwargs):
                given = [name for name in kwargs if name in reasons]
                for name in given:
                    _tell(function.__qualname__, name, kwargs.pop(name), reasons[name])
            known, takes_any = _keywords(function)
            if not takes_any and not kwargs.keys() <= known.keys():
                raise unknown_argument(function.__name__, kwargs, (*known, *reasons))
            return function(*args, **kwargs)

        cast("Any", call).__ray_arguments__ = frozenset(reasons)
        return call

    return decorate


@functools.cache
def _keywords(function: Callable[..., Any]) -> tuple[Mapping[str, None], bool]:
    """The parameters of a function, in their order, and whether it takes any keyword."""
    parameters = inspect.signature(function).parameters
    takes_any = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
    return dict.fromkeys(parameters), takes_any


def unknown_argument(function: str, given: Iterable[str], known: Iterable[str]) -> TypeError:
    """The error of a keyword that a function does not take, with the nearest one that it does.

    Args:
        function: Its name.
        given: Keywords, one of which it does not take.
        known: Those that it takes.

    Example:
        >>> str(unknown_argument("read", ["path"], ["paths", "columns"])).splitlines()
        ["read() got an unexpected keyword argument 'path'", '  hint: did you mean `paths`?']
    """
    import difflib

    names = [name for name in known if name != "self"]
    wrong = next(name for name in given if name not in names)
    near = difflib.get_close_matches(wrong, names, n=1)
    hint = f"\n  hint: did you mean `{near[0]}`?" if near else ""
    return TypeError(f"{function}() got an unexpected keyword argument '{wrong}'{hint}")


def _tell(function: str, name: str, value: object, reason: str) -> None:
    """Warns of an argument that has no effect, once in a process."""
    is_nothing = value is None or (name == "parallelism" and value == -1)
    if is_nothing or (function, name) in _told:
        return
    _told.add((function, name))
    text = f"`{name}` of `{function.rpartition('.')[2]}` has no effect: {reason}"
    warnings.warn(text, stacklevel=4)
