"""How a function's calls are made: again when one raises, and no faster than a rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from raceline.errors import PlanError

# More doublings than any wait stands.
_DOUBLINGS_MAX = 62


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How often a call that raises is made again, and how long that waits.

    The first wait is ``backoff_s``, and each one is twice as long as the one before. Of each a
    random part of up to a half is left out, so that calls that failed together do not come
    again together.

    Args:
        times: How often a call is made again, at most.
        backoff_s: Seconds of the first wait.
        backoff_max_s: Seconds of the longest wait.
        on: The exceptions after which a call is made again: a type or several. Any other one
            is final at once.

    Raises:
        PlanError: An argument is out of range, or ``on`` is no exception type.

    Example:
        >>> Retry(times=5, backoff_s=0.5, on=(TimeoutError, ConnectionError)).times
        5
    """

    times: int = 3
    backoff_s: float = 1.0
    backoff_max_s: float = 60.0
    on: type[BaseException] | tuple[type[BaseException], ...] = Exception

    def __post_init__(self) -> None:
        """Checks the arguments."""
        if not isinstance(self.times, int) or isinstance(self.times, bool) or self.times < 0:
            raise PlanError(f"`times` must be an int of at least 0, got `{self.times!r}`")
        for name in ("backoff_s", "backoff_max_s"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise PlanError(f"`{name}` must be a number of seconds, 0 or more, got `{value!r}`")
        types = self.on if isinstance(self.on, tuple) else (self.on,)
        if not all(isinstance(one, type) and issubclass(one, BaseException) for one in types):
            raise PlanError(
                f"`on` must be an exception type or a tuple of these, got `{self.on!r}`",
                hint="for example `Retry(on=(TimeoutError, ConnectionError))`",
            )

    def wait_s(self, failures: int) -> float:
        """Seconds before the next call, after so many that failed, 1 or more."""
        import random

        longest = self.backoff_s * 2.0 ** min(failures - 1, _DOUBLINGS_MAX)
        return min(longest, self.backoff_max_s) * random.uniform(0.5, 1.0)  # noqa: S311


@dataclass(frozen=True, kw_only=True)
class RateLimit:
    """How fast a function is called, by all workers of its stage together.

    A call waits for its turn; calls that are made again wait like others. Turns follow each other
    evenly: a pause is not made up for by a burst. A call of a batch function is one request.

    Args:
        requests_per_s: Calls per second, also below 1: ``500 / 60`` is 500 a minute.
        tokens_per_s: Tokens per second, of which a call takes as many as ``tokens`` says.
        tokens: The column that holds the tokens of a row, summed up over a batch, where a missing
            value is none; or a function that gets what the called function gets, without
            ``fn_args``, and returns their number.

    Raises:
        PlanError: A rate is not positive, there is none, or ``tokens`` is not there for them.

    Example:
        >>> RateLimit(requests_per_s=500 / 60, tokens_per_s=1000, tokens="tokens").tokens
        'tokens'
    """

    requests_per_s: float | None = None
    tokens_per_s: float | None = None
    tokens: str | Callable[[Any], float] | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        for name in ("requests_per_s", "tokens_per_s"):
            value = getattr(self, name)
            if value is not None and (not _is_number(value) or value <= 0):
                raise PlanError(f"`{name}` must be a positive number, got `{value!r}`")
        if self.requests_per_s is None and self.tokens_per_s is None:
            raise PlanError("`RateLimit` needs `requests_per_s` or `tokens_per_s`")
        if (self.tokens_per_s is None) != (self.tokens is None):
            raise PlanError(
                "`tokens_per_s` and `tokens` need each other",
                hint='for example `RateLimit(tokens_per_s=1000, tokens="n_tokens")`',
            )
        if not (self.tokens is None or isinstance(self.tokens, str) or callable(self.tokens)):
            raise PlanError(
                f"`tokens` must be a column's name or a function, got `{self.tokens!r}`"
            )


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and math.isfinite(value)
