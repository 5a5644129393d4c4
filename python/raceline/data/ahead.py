"""Iterators that run ahead, in a thread of their own."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

from raceline.data.process_home import Home

__all__ = ["Ahead"]

T = TypeVar("T")


class _Box(Generic[T]):
    """What was made and not yet taken; at most so many items."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self._change = threading.Condition()
        self._has_ended = False
        self._error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Puts an item in, when there is room; False when nobody wants it any more."""
        with self._change:
            self._change.wait_for(lambda: self._has_ended or len(self._items) < self._most)
            if self._has_ended:
                return False
            self._items.append(item)
            self._change.notify_all()
            return True

    def end(self, error: BaseException | None = None) -> None:
        """No more comes; after what is there, ``error`` is raised."""
        with self._change:
            if not self._has_ended:
                self._has_ended, self._error = True, error
            self._change.notify_all()

    def close(self) -> None:
        """Nobody takes anything any more."""
        with self._change:
            self._items.clear()
            self._has_ended, self._error = True, None
            self._change.notify_all()

    def take(self) -> list[T]:
        """The next item, in a list; an empty one at the end."""
        with self._change:
            self._change.wait_for(lambda: self._has_ended or self._items)
            if self._items:
                item = self._items.popleft()
                self._change.notify_all()
                return [item]
            error, self._error = self._error, None
        if error is not None:
            raise error
        return []


class Ahead(Iterator[T]):
    """Runs a generator in a thread, a bounded number of items ahead of who takes them.

    The thread ends with the generator, when this is closed or dropped, and with the program. An
    error of the generator is raised where its item would have been. A fork of the process has no
    such thread, and takes no items.
    """

    def __init__(
        self, items: Generator[T, None, None], most: int, cancel: Callable[[], object]
    ) -> None:
        """Starts the thread.

        Args:
            items: The generator, which is closed in that thread.
            most: Items that wait at most, 1 or more.
            cancel: Ends what the generator waits for, called from another thread.
        """
        self._box: _Box[T] = _Box(most)
        self._home = Home()
        thread = threading.Thread(
            target=_fill, args=(items, self._box), name="raceline-ahead", daemon=True
        )
        # The thread knows the box alone, so that this can be dropped.
        self.close = weakref.finalize(self, _end, self._home, self._box, thread, cancel)
        thread.start()

    def __next__(self) -> T:
        """The next item, waiting for it.

        Raises:
            PlanError: This process is a fork of the one that began.
        """
        self._home.check()
        for item in self._box.take():
            return item
        raise StopIteration


def _fill(items: Generator[T, None, None], box: _Box[T]) -> None:
    try:
        for item in items:
            if not box.put(item):
                break
            # What was handed on is not held until the next one is there.
            del item
    except BaseException as error:  # noqa: BLE001 (raised where the items are taken)
        box.end(error)
    finally:
        items.close()
        box.end()


def _end(home: Home, box: _Box[T], thread: threading.Thread, cancel: Callable[[], object]) -> None:
    if home.is_elsewhere():
        return
    box.close()
    cancel()
    if thread is not threading.current_thread():
        thread.join()
