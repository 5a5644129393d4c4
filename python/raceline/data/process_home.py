"""What belongs to one process, which its forks have a copy of, and no part in.

A fork has none of the threads of its process: who would wait for them waits for good, and their
locks may be held. What it inherits says so at once.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from raceline.errors import PlanError

__all__ = ["Home", "OwnChannels", "on_fork", "own_channels"]


class Home:
    """The process in which an iteration began."""

    __slots__ = ("_pid",)

    def __init__(self) -> None:
        """It is this one."""
        self._pid = os.getpid()

    def is_elsewhere(self) -> bool:
        """Whether this process is a fork of it."""
        return self._pid != os.getpid()

    def check(self) -> None:
        """Refuses to go on in a fork.

        Raises:
            PlanError: This is one.
        """
        if self.is_elsewhere():
            raise PlanError(
                f"this iteration belongs to process {self._pid}, of which process {os.getpid()} is "
                "a fork",
                hint="begin it in the process that takes what it gives",
            )


class _Channel(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Channel)


class OwnChannels:
    """Sockets that forks do not keep open, so that the other side sees when this process ends.

    No fork happens while one is made or closed: a fork that closed a number which another thread
    had just closed would close what was opened in its place.
    """

    def __init__(self) -> None:
        """There is none."""
        # What is collected while it is held may close a socket of its own.
        self._lock = threading.RLock()
        self._open: set[Any] = set()

    def opened(self, make: Callable[[], C]) -> C:
        """The socket that ``make`` makes, which takes no time."""
        with self._lock:
            channel = make()
            self._open.add(channel)
            return channel

    def close(self, channel: _Channel) -> None:
        """Closes a socket; once is enough."""
        with self._lock:
            self._open.discard(channel)
            channel.close()

    def before_fork(self) -> None:
        """Waits for whoever makes or closes one."""
        self._lock.acquire()

    def after_fork(self) -> None:
        """Has them go on."""
        self._lock.release()

    def in_fork(self) -> None:
        """Closes all."""
        held, self._open, self._lock = self._open, set(), threading.RLock()
        for channel in held:
            channel.close()


own_channels = OwnChannels()


class _Anew(Protocol):
    def begin_anew(self) -> None: ...


_renewed: weakref.WeakSet[Any] = weakref.WeakSet()


def on_fork(thing: _Anew) -> None:
    """Has ``begin_anew`` called in each fork, for as long as ``thing`` is there."""
    _renewed.add(thing)


def _in_fork() -> None:
    own_channels.in_fork()
    for thing in list(_renewed):
        thing.begin_anew()


os.register_at_fork(
    before=own_channels.before_fork,
    after_in_parent=own_channels.after_fork,
    after_in_child=_in_fork,
)
