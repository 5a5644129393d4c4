"""The calls of one function in a worker: each at its turn, and made again when it raises."""

from __future__ import annotations

import copy
import inspect
import math
import time
from typing import Any

from raceline._calls import RateLimit
from raceline._function import UserFunction, leaves_debugger
from raceline._native import RateGate
from raceline._optional import is_numpy
from raceline._udf import Function

_NS = 1_000_000_000
# A turn of more than a century is as good as none, and the gate counts in 64 bits.
_COST_MAX_NS = 100 * 366 * 24 * 3600 * _NS
_REQUESTS, _TOKENS = 0, 1
# Tokens that were not used, while requests waited for their own turns, are lost after this.
_TOKENS_KEPT_NS = _NS


class Pace:
    """Gives the calls of a function their turns, in step with all workers of its stage."""

    def __init__(self, function: UserFunction, limit: RateLimit, gate: RateGate) -> None:
        self._called = function
        self._limit = limit
        self._gate = gate

    def wait_s(self, argument: Any) -> float:
        """Takes the next turn, and tells in how many seconds it is.

        Args:
            argument: The row or batch that the function is about to get.

        Raises:
            ValueError: There is no number of tokens.
        """
        now = turn = time.monotonic_ns()
        if self._limit.tokens_per_s is not None:
            cost = _cost_ns(self._tokens(argument), self._limit.tokens_per_s)
            turn = self._gate.reserve(_TOKENS, now, cost)
        if self._limit.requests_per_s is not None:
            cost = _cost_ns(1, self._limit.requests_per_s)
            # After the tokens' turn, so that calls that waited for tokens do not go all at once.
            turn = self._gate.reserve(_REQUESTS, turn, cost)
            if self._limit.tokens_per_s is not None:
                self._gate.reserve(_TOKENS, max(turn - _TOKENS_KEPT_NS, 0), 0)
        return (turn - now) / _NS

    def _tokens(self, argument: Any) -> float:
        how = self._limit.tokens
        if callable(how):
            found = how(argument)
        else:
            try:
                found = argument[how]
            except (KeyError, TypeError, IndexError) as error:
                raise self._called.complaint(
                    f"gets no column `{how}`, which should hold the tokens of its rate limit",
                    "name a column in `RateLimit(tokens=…)`, or pass a function there",
                ) from error
            if self._called.kind == "map_batches":
                import numpy as np

                found = np.nansum(np.asarray(found, dtype=np.float64))
        tokens = 0 if found is None and not callable(how) else found
        is_number = isinstance(tokens, (int, float)) or is_numpy(tokens, "number")
        is_number = is_number and not isinstance(tokens, bool)
        if not is_number or not math.isfinite(tokens) or tokens < 0:
            raise self._called.complaint(
                f"has a rate limit that got `{found!r}` for a number of tokens",
                "`RateLimit(tokens=…)` must give a number, 0 or more",
            )
        return float(tokens)


def pace_of(function: UserFunction, gate: RateGate | None) -> Pace | None:
    """The pace of a function, where it has a rate limit.

    Raises:
        RuntimeError: There is nothing to keep in step by.
    """
    limit = function.call.rate_limit
    if limit is None:
        return None
    if gate is None:
        raise RuntimeError("a function with a rate limit was loaded without a gate")
    return Pace(function, limit, gate)


def paced(function: UserFunction, pace: Pace | None) -> Function:
    """A plain function as it is called: at its turns, and again when it raises."""
    retry = function.call.retry
    if pace is None and retry is None:
        return function.function

    def call(argument: Any) -> Any:
        failures = 0
        while True:
            if pace is not None:
                time.sleep(pace.wait_s(argument))
            if retry is None:
                return function_itself(argument)
            try:
                return _whole(function, function_itself(fresh(argument)))
            except retry.on as error:
                failures += 1
                if failures > retry.times or leaves_debugger(error):
                    raise
            time.sleep(retry.wait_s(failures))

    function_itself = function.function
    return call


def fresh(argument: Any) -> Any:
    """A copy that a call may change: when the call is made again, it gets another one."""
    if type(argument) is dict:
        return {name: _own(value) for name, value in argument.items()}
    return argument.copy() if hasattr(type(argument), "iloc") else argument


def _own(value: Any) -> Any:
    if is_numpy(value, "ndarray"):
        return value.copy() if value.flags.writeable else value
    if isinstance(value, (list, dict, set, bytearray)):
        return copy.deepcopy(value)
    clone = getattr(type(value), "clone", None)
    return value if clone is None else clone(value)  # a tensor


def _whole(function: UserFunction, made: Any) -> Any:
    """What a function returned, all of it: a generator raises where it is run."""
    if not inspect.isgenerator(made):
        return made
    pieces = [fresh(piece) for piece in made]
    return (piece for piece in pieces) if function.kind == "map_batches" else pieces


def _cost_ns(amount: float, per_s: float) -> int:
    return int(min(amount / per_s * _NS, _COST_MAX_NS))
