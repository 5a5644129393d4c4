"""A consumer's share of a run, in the process that runs it and in others."""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from raceline.data.epochs import Ask, Epoch, EpochStart, Fingerprint
from raceline.data.process_home import Home
from raceline.data.schema import Schema
from raceline.data.split_channel import Client, Server, as_start
from raceline.data.split_coordinator import Coordinator

if TYPE_CHECKING:
    from raceline._frame_types import FrameTypes
    from raceline._native import Batch
    from raceline.data.dataset import MaterializedDataset
    from raceline.data.shared_epoch import SharedEpoch

__all__ = ["Share", "shares_of"]


def shares_of(dataset: Any, consumers: int, *, equal: bool) -> list[Share]:
    """The shares of so many consumers of a dataset.

    Args:
        dataset: The dataset.
        consumers: How many.
        equal: Whether all get as many rows.
    """
    coordinator = Coordinator(dataset, consumers, equal=equal)
    server = Server(coordinator, dataset._first_batch)
    return [Share(coordinator, server, at) for at in range(consumers)]


class Share:
    """One consumer's share: of a coordinator of this process, or one behind a socket."""

    is_shared = True

    def __init__(self, coordinator: Coordinator, server: Server, consumer: int) -> None:
        """The share of consumer number ``consumer``, from 0."""
        self.consumers = coordinator.consumers
        self._consumer = consumer
        self._here: tuple[Coordinator, Server, int] | None = (coordinator, server, os.getpid())
        self._client = Client(server.address, server.key, consumer)
        self._way = (server.address, server.key)
        self._maker = os.getpid()
        self._types = coordinator.dataset._frame_types()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs."""
        if self._here is not None:
            _awaited.append(self._here[1])
        return {
            "consumers": self.consumers,
            "_consumer": self._consumer,
            "_way": self._way,
            "_maker": self._maker,
            "_types": self._types,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In another process, all goes by the socket."""
        self.__dict__.update(state)
        self._here = None
        self._client = Client(*self._way, self._consumer)

    def _coordinator(self) -> Coordinator | None:
        """The coordinator, where it is in this process; in a fork of it, it is not."""
        if self._here is None or self._here[2] != os.getpid():
            return None
        return self._here[0]

    def begin(self, ask: Ask) -> Epoch:
        """Begins an epoch together with the others."""
        coordinator = self._coordinator()
        if coordinator is not None:
            return _EpochHere(coordinator.begin(self._consumer, ask), coordinator, self._consumer)
        answer, _ = self._asked({"op": "begin", "ask": asdict(ask)})
        return _EpochThere(as_start(answer["start"]), answer["stride"], self._client)

    def _asked(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
        answer = self._client.ask(request)
        if answer is None:
            raise RuntimeError("nobody ended the wait for an answer")
        return answer

    def fingerprint(self) -> Fingerprint:
        """What states of the dataset are good for."""
        coordinator = self._coordinator()
        if coordinator is not None:
            return coordinator.epochs.fingerprint()
        return Fingerprint(**self._asked({"op": "fingerprint"})[0]["fingerprint"])

    def schema(self) -> Schema | None:
        """Names and types of the columns."""
        coordinator = self._coordinator()
        if coordinator is not None:
            return coordinator.dataset.schema()
        first = self._first_batch()
        return None if first is None else Schema(first.schema())

    def stats(self) -> str:
        """What the last run took."""
        coordinator = self._coordinator()
        if coordinator is not None:
            return coordinator.dataset.stats()
        text: str = self._asked({"op": "stats"})[0]["stats"]
        return text

    def materialize(self) -> MaterializedDataset:
        """The share of an epoch, kept."""
        from raceline._session import session
        from raceline.data.dataset import MaterializedDataset

        batches = list(self.begin(Ask(0, None, None, None)).batches())
        native = session().from_batches("FromSplit", batches)
        return MaterializedDataset(native.materialize())

    def _first_batch(self) -> Batch | None:
        """A batch of the first row of all."""
        coordinator = self._coordinator()
        if coordinator is not None:
            return coordinator.dataset._first_batch()
        return _batch(self._asked({"op": "first"})[1])

    def _frame_types(self) -> FrameTypes | None:
        """Those of the dataset."""
        return self._types

    def _is_debugged(self) -> bool:
        """Whether functions run in the thread that iterates: not in one of the consumers."""
        return False

    def __repr__(self) -> str:
        """Which share it is of what."""
        coordinator = self._coordinator()
        whole = (
            f"a dataset of process {self._maker}" if coordinator is None else coordinator.dataset
        )
        return f"share {self._consumer} of {self.consumers} of {whole!s}"


# Servers whose iterators were pickled: somebody may come as long as the program runs.
_awaited: list[Server] = []


class _EpochHere:
    """An epoch for a consumer in the process that runs it."""

    def __init__(self, epoch: SharedEpoch, coordinator: Coordinator, consumer: int) -> None:
        self.start = epoch.start
        self.stride: int | None = epoch.stride
        self._epoch, self._coordinator, self._consumer = epoch, coordinator, consumer
        self._home = Home()

    def batches(self) -> Generator[Batch, None, None]:
        """The batches of the share, in order."""
        try:
            while (batch := self._epoch.take(self._consumer)) is not None:
                yield batch
                self._home.check()
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Ends the share of the epoch; in a fork it is another's."""
        if not self._home.is_elsewhere():
            self._epoch.leave(self._consumer)


class _EpochThere:
    """An epoch for a consumer in another process."""

    def __init__(self, start: EpochStart, stride: int, client: Client) -> None:
        self.start = start
        self.stride: int | None = stride
        self._client = client
        self._is_over = False
        self._home = Home()

    def batches(self) -> Generator[Batch, None, None]:
        """The batches of the share, in order."""
        has_ended = False
        try:
            while not self._is_over:
                answer = self._client.ask({"op": "next"}, lambda: self._is_over)
                if answer is None:
                    break
                batch = _batch(answer[1])
                if batch is None:
                    has_ended = True
                    break
                yield batch
                self._home.check()
        finally:
            # In a fork it is another's.
            if not has_ended and not self._home.is_elsewhere():
                self._client.leave()

    def cancel(self) -> None:
        """Ends the share of the epoch: who waits for its next batch stops."""
        self._is_over = True


def _batch(payload: bytes | None) -> Batch | None:
    from raceline._native import Batch

    return None if payload is None else Batch.from_ipc(payload)
