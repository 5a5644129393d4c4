"""Notices a call that blocks the event loop for longer than a call may take.

Such a call cannot be cancelled, and holds up all others.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from types import FrameType, TracebackType

from raceline._function import UserFunction

# How much longer than a call may take the loop may be blocked.
_GRACE_S = 1.0
# How often the loop tells that it runs, and is looked after.
_BEAT_S = 0.5


class Watch:
    """Looks after a loop from another thread."""

    def __init__(self, function: UserFunction, loop: asyncio.AbstractEventLoop) -> None:
        """Begins; the loop need not run yet.

        Args:
            function: The function, which has a limit.
            loop: Its loop.
        """
        self._called = function
        self._loop = loop
        self._limit_s = function.call.timeout_s or 0.0
        self._beat_at = time.monotonic()
        self._seen_at = 0.0
        loop.call_soon_threadsafe(self._beat)

    def wait_ms(self, wait_ms: float | None) -> float:
        """How long the other thread may wait before it looks again, where it would ``wait_ms``."""
        return min(wait_ms or _BEAT_S * 1000, _BEAT_S * 1000)

    def found(self, thread: threading.Thread) -> TimeoutError | None:
        """The error of a call that blocks the loop, which runs in this thread; it shows where."""
        beat_at = self._beat_at
        is_late = time.monotonic() - beat_at > self._limit_s + _GRACE_S
        # Seen twice, so that a process that slept as a whole has time to wake up.
        seen_at, self._seen_at = self._seen_at, beat_at if is_late else 0.0
        if not is_late or seen_at != beat_at:
            return None
        text = (
            f"`{self._called.name}` blocks its event loop, for longer than the "
            f"{self._limit_s:g} s that a call may take\n"
            "  hint: await what takes long, or make it a plain function"
        )
        frame = sys._current_frames().get(thread.ident or 0)
        return TimeoutError(text).with_traceback(_traceback(frame))

    def _beat(self) -> None:
        self._beat_at = time.monotonic()
        self._loop.call_later(_BEAT_S, self._beat)


def _traceback(frame: FrameType | None) -> TracebackType | None:
    """The frames that the loop has called, innermost last."""
    found: TracebackType | None = None
    while frame is not None and frame.f_code.co_filename != asyncio.events.__file__:
        found = TracebackType(found, frame, max(frame.f_lasti, 0), frame.f_lineno or 0)
        frame = frame.f_back
    return found
