"""The one place where the consumers of a streaming split meet."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from raceline.data.context import DataContext
from raceline.data.epochs import Ask, DatasetEpochs, EpochStart, NativeEpoch
from raceline.data.shared_epoch import Deal, SharedEpoch, missed
from raceline.errors import PlanError, RacelineError, ResourceError

if TYPE_CHECKING:
    from raceline._native import Batch
    from raceline.data.dataset import Dataset

__all__ = ["Coordinator"]

_LOOK_S = 1.0
# So long is waited for the successor of a consumer that ended with nothing left to take: processes
# that are made anew for each epoch, as those of a DataLoader, do not come at the same time.
_SUCCESSOR_S = 30.0


class Coordinator:
    """Begins an epoch when all consumers want one, and tells them of each other's end."""

    def __init__(self, dataset: Dataset, consumers: int, *, equal: bool) -> None:
        """For so many consumers of a dataset, numbered from 0."""
        self.dataset = dataset
        self.consumers = consumers
        self.epochs = DatasetEpochs(dataset._native)
        self._equal = equal
        self._asks: dict[int, Ask] = {}
        self._generation = 0
        self._outcome: SharedEpoch | RacelineError | None = None
        self._taking: dict[int, SharedEpoch] = {}
        self._lost: dict[int, str] = {}
        self._broken: set[int] = set()
        self._connections: dict[int, int] = {}
        self._change = threading.Condition()

    def begin(self, consumer: int, ask: Ask) -> SharedEpoch:
        """The next epoch, when all have asked for it.

        Raises:
            PlanError: What they ask for does not go together.
            ResourceError: One of the others has gone.
            ExecutionTimeoutError: One of the others does not come.
        """
        self.leave(consumer)
        with self._change:
            wanted = self._generation + 1
            self._asks[consumer] = ask
            if len(self._asks) == self.consumers:
                self._start()
            began = time.monotonic()
            while self._generation < wanted:
                self._check_others(consumer, began)
                self._change.wait(_LOOK_S)
            outcome = self._outcome
            if isinstance(outcome, SharedEpoch):
                self._taking[consumer] = outcome
                return outcome
        if outcome is None:
            raise RuntimeError("an epoch began without an outcome")
        raise type(outcome)(str(outcome))

    def take(self, consumer: int) -> Batch | None:
        """The next batch of the epoch that a consumer is in; None at its end.

        Raises:
            RacelineError: As of ``SharedEpoch.take``.
        """
        with self._change:
            epoch = self._taking.get(consumer)
        return None if epoch is None else epoch.take(consumer)

    def leave(self, consumer: int) -> None:
        """A consumer is done with its epoch, whether or not it got all of it."""
        with self._change:
            epoch = self._taking.pop(consumer, None)
        if epoch is not None:
            epoch.leave(consumer)

    def connect(self, consumer: int) -> int:
        """A consumer comes by another connection, whose number this is."""
        with self._change:
            self._lost.pop(consumer, None)
            self._broken.discard(consumer)
            self._connections[consumer] = self._connections.get(consumer, 0) + 1
            return self._connections[consumer]

    def lose(self, consumer: int, connection: int, why: str) -> None:
        """A connection of a consumer broke; where it was its last one, it has gone."""
        with self._change:
            if self._connections.get(consumer) != connection:
                return
            self._lost[consumer] = why
            self._asks.pop(consumer, None)
            epoch = self._taking.pop(consumer, None)
            is_owed = epoch is not None and epoch.is_owed(consumer)
            if is_owed:
                self._broken.add(consumer)
            self._change.notify_all()
        if epoch is not None and is_owed:
            epoch.fail(self._gone(consumer))

    def _start(self) -> None:
        """Begins an epoch by what all have asked for."""
        asks = [self._asks[at] for at in range(self.consumers)]
        self._asks.clear()
        try:
            self._outcome = self._epoch(asks)
        except RacelineError as error:
            self._outcome = error
        self._generation += 1
        self._change.notify_all()

    def _epoch(self, asks: list[Ask]) -> SharedEpoch:
        sizes = {ask.batch_rows for ask in asks}
        rows = max((size for size in sizes if size is not None), default=None)
        ask = Ask(max(ask.epoch for ask in asks), _loaded(asks), self._window(asks), rows)
        source = NativeEpoch(self.dataset._native, self.epochs.started(ask))
        stride = self.consumers * rows if rows is not None and len(sizes) == 1 else 0
        return SharedEpoch(source, Deal(self.consumers, rows, self._equal), stride)

    def _window(self, asks: list[Ask]) -> tuple[int, int] | None:
        """The local shuffle of all rows: as many are held as by all consumers together."""
        sizes = {None if ask.window is None else ask.window[0] for ask in asks}
        if len(sizes) > 1:
            raise PlanError(
                "the consumers of a streaming split want different "
                f"`local_shuffle_buffer_size`: `{sorted(sizes, key=str)}`"
            )
        window = asks[0].window
        return None if window is None else (window[0] * self.consumers, window[1])

    def _check_others(self, consumer: int, began: float) -> None:
        """Gives up on those who have gone or do not come."""
        waited_s = time.monotonic() - began
        for other in self._lost:
            is_missed = other in self._broken or waited_s >= _SUCCESSOR_S
            if is_missed and other not in self._asks:
                self._asks.pop(consumer, None)
                raise self._gone(other)
        limit_s = DataContext.get_current().execution_no_progress_timeout_s
        if limit_s is not None and waited_s >= limit_s:
            missing = [at for at in range(self.consumers) if at not in self._asks]
            self._asks.pop(consumer, None)
            raise missed(missing, self.consumers, f"not begun the epoch within `{limit_s} s`")

    def _gone(self, consumer: int) -> ResourceError:
        return ResourceError(
            f"consumer `{consumer}` of the `{self.consumers}` of a streaming split has gone: "
            f"{self._lost.get(consumer, 'it has ended')}",
            hint="start it again; all of them then begin an epoch, or go on from a state",
        )


def _loaded(asks: list[Ask]) -> EpochStart | None:
    """The state that consumers have loaded, which must be one."""
    loaded = {ask.loaded for ask in asks if ask.loaded is not None}
    if len(loaded) > 1:
        places = sorted((one.epoch, one.rows) for one in loaded)
        raise PlanError(
            "the consumers of a streaming split have loaded different states, of "
            + " and ".join(f"row {rows} of epoch {epoch}" for epoch, rows in places),
            hint="load the same one everywhere: that of any consumer is that of all",
        )
    return loaded.pop() if loaded else None
