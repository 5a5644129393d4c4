"""One epoch that several consumers share: its rows, dealt out as they come."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raceline.data.context import DataContext
from raceline.data.formats import join
from raceline.data.iterator import cut
from raceline.errors import ExecutionTimeoutError

if TYPE_CHECKING:
    from raceline._native import Batch
    from raceline.data.epochs import EpochStart, NativeEpoch

__all__ = ["Deal", "SharedEpoch", "dealt", "missed"]

# Pieces that wait for a consumer: it works on one while the next is there.
_WAITING = 2
# How long a wait may be deaf to what others do without telling.
_LOOK_S = 1.0


@dataclass(frozen=True)
class Deal:
    """How rows are dealt out.

    Attributes:
        consumers: How many take part.
        rows: Rows that one gets before it is the next one's turn; None deals out batches as they
            come.
        equal: Whether all get as many rows, for which some of the last are left out.
    """

    consumers: int
    rows: int | None
    equal: bool


def dealt(batches: Generator[Batch, None, None], deal: Deal) -> Iterator[list[tuple[int, Batch]]]:
    """Pieces of the rows in their order, each with its consumer.

    Those that come in one list are handed out together: where shares are equal, a whole round.
    """
    pieces = cut(batches, deal.rows, drop_last=False)
    try:
        if not deal.equal:
            for at, piece in enumerate(pieces):
                yield [(at % deal.consumers, piece)]
        elif deal.rows is None:
            yield from _evenly(pieces, deal.consumers)
        else:
            yield from _in_rounds(pieces, deal.consumers, deal.rows)
    finally:
        pieces.close()


def _evenly(pieces: Iterator[Batch], consumers: int) -> Iterator[list[tuple[int, Batch]]]:
    """A part of each piece for everybody; what is left over goes to the next one."""
    rest: list[Batch] = []
    for piece in pieces:
        whole = join([*rest, piece])
        share = whole.num_rows // consumers
        if share:
            yield _shares(whole, consumers)
        left = whole.num_rows - share * consumers
        rest = [whole.slice(share * consumers, left)] if left else []


def _in_rounds(
    pieces: Iterator[Batch], consumers: int, rows: int
) -> Iterator[list[tuple[int, Batch]]]:
    """A piece for everybody, as long as there are enough; the rest in equal parts."""
    rest: list[Batch] = []
    for piece in pieces:
        rest.append(piece)
        if len(rest) == consumers and piece.num_rows == rows:
            yield list(enumerate(rest))
            rest = []
    if rest:
        whole = join(rest)
        if whole.num_rows >= consumers:
            yield _shares(whole, consumers)


def _shares(whole: Batch, consumers: int) -> list[tuple[int, Batch]]:
    share = whole.num_rows // consumers
    return [(at, whole.slice(at * share, share)) for at in range(consumers)]


class SharedEpoch:
    """An epoch that runs, and whose rows wait for their consumers, a few pieces for each.

    A consumer that is slow keeps the others waiting, so that no more than that is held. One that
    leaves is passed over: what would have been its share is dropped.
    """

    def __init__(self, source: NativeEpoch, deal: Deal, stride: int) -> None:
        """Starts the run.

        Args:
            source: The run.
            deal: How its rows are dealt out.
            stride: Rows by which all together are further when each took a batch; 0 where their
                batches have different numbers of rows.
        """
        self.start: EpochStart = source.start
        self.stride = stride
        self._source = source
        self._deal = deal
        self._queues: list[deque[Batch]] = [deque() for _ in range(deal.consumers)]
        self._left: set[int] = set()
        self._has_ended = False
        self._error: BaseException | None = None
        self._blocked_since: float | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="raceline-split", daemon=True)
        self._thread.start()

    def take(self, consumer: int) -> Batch | None:
        """The next piece for a consumer; None at the end, and after it has left.

        Raises:
            ExecutionTimeoutError: Another consumer takes nothing, for too long.
        """
        queue = self._queues[consumer]
        with self._change:
            while True:
                if consumer in self._left:
                    return None
                if queue:
                    piece = queue.popleft()
                    self._change.notify_all()
                    return piece
                if self._error is not None:
                    raise self._error
                if self._has_ended:
                    return None
                self._change.wait(_LOOK_S)
                self._check_patience()

    def leave(self, consumer: int) -> None:
        """Hands nothing more to a consumer. The run ends with the last one."""
        with self._change:
            self._left.add(consumer)
            self._queues[consumer].clear()
            is_over = len(self._left) == self._deal.consumers
            self._change.notify_all()
        if is_over:
            self._source.cancel()

    def is_owed(self, consumer: int) -> bool:
        """Whether rows of the epoch are, or may come to be, for a consumer."""
        with self._change:
            is_done = self._has_ended and not self._queues[consumer]
            return not is_done and consumer not in self._left

    def fail(self, error: BaseException) -> None:
        """Ends the epoch for all, with an error."""
        with self._change:
            if self._error is None and not self._has_ended:
                self._error = error
            for queue in self._queues:
                queue.clear()
            self._change.notify_all()
        self._source.cancel()

    def _run(self) -> None:
        try:
            for pieces in dealt(self._source.batches(), self._deal):
                if not self._hand_out(pieces):
                    break
        except BaseException as error:  # noqa: BLE001 (raised where the pieces are taken)
            self.fail(error)
        finally:
            with self._change:
                self._has_ended = True
                self._change.notify_all()

    def _hand_out(self, pieces: list[tuple[int, Batch]]) -> bool:
        """Waits for room and hands out; False when nobody wants anything more."""
        with self._change:
            self._blocked_since = time.monotonic()
            while not self._is_over() and self._full(pieces):
                self._change.wait()
            self._blocked_since = None
            if self._is_over():
                return False
            for consumer, piece in pieces:
                if consumer not in self._left:
                    self._queues[consumer].append(piece)
            self._change.notify_all()
            return True

    def _is_over(self) -> bool:
        return self._error is not None or len(self._left) == self._deal.consumers

    def _full(self, pieces: list[tuple[int, Batch]]) -> list[int]:
        """The consumers of these pieces that have no room."""
        return [
            consumer
            for consumer, _ in pieces
            if consumer not in self._left and len(self._queues[consumer]) >= _WAITING
        ]

    def _check_patience(self) -> None:
        """Gives up on consumers that take nothing."""
        limit_s = DataContext.get_current().execution_no_progress_timeout_s
        since = self._blocked_since
        if limit_s is None or since is None or time.monotonic() - since < limit_s:
            return
        full = [at for at, queue in enumerate(self._queues) if len(queue) >= _WAITING]
        if full:
            raise missed(full, self._deal.consumers, f"taken no batch for `{limit_s} s`")


def missed(missing: list[int], consumers: int, what: str) -> ExecutionTimeoutError:
    """The error of those who wait for consumers."""
    names = ", ".join(f"`{at}`" for at in missing)
    of, have = ("consumer", "has") if len(missing) == 1 else ("consumers", "have")
    return ExecutionTimeoutError(
        f"{of} {names} of the `{consumers}` of a streaming split {have} {what}",
        hint="each must go over its iterator, at the same time as the others and in each epoch; "
        "`DataContext.execution_no_progress_timeout_s` sets how long they wait",
    )
