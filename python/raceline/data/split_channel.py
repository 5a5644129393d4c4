"""How consumers in other processes reach the place where they meet: over a Unix socket.

Questions and answers are JSON; batches follow as bytes of Arrow IPC. Nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing import AuthenticationError, connection
from typing import TYPE_CHECKING, Any

from raceline import errors
from raceline.data.epochs import Ask, EpochStart
from raceline.data.process_home import on_fork, own_channels

if TYPE_CHECKING:
    from raceline._native import Batch
    from raceline.data.split_coordinator import Coordinator

__all__ = ["Client", "Server", "as_ask", "as_start"]

# How long a client that waits is deaf to its own end.
_LOOK_S = 0.05


class Server:
    """Answers the consumers in other processes, each connection in a thread of its own."""

    def __init__(self, coordinator: Coordinator, first_batch: Callable[[], Batch | None]) -> None:
        """Listens for them, until the program ends or nobody is left who could come."""
        self._coordinator = coordinator
        self._first_batch = first_batch
        folder = tempfile.mkdtemp(prefix="raceline-split-")
        self.key = secrets.token_bytes(32)
        self.address = os.path.join(folder, "socket")
        listener = own_channels.opened(lambda: _listener(self.address))
        door = _Door(listener, weakref.WeakMethod(self._serve))
        self.close = weakref.finalize(self, door.close, os.getpid(), folder)
        threading.Thread(target=door.run, name="raceline-split-door", daemon=True).start()

    def _serve(self, channel: connection.Connection) -> None:
        """Answers one connection."""
        consumer, token, why = -1, 0, "its connection broke"
        try:
            connection.deliver_challenge(channel, self.key)
            connection.answer_challenge(channel, self.key)
            hello = json.loads(channel.recv_bytes())
            consumer = hello["consumer"]
            token = self._coordinator.connect(consumer)
            why = f"process `{hello['pid']}` has ended, or closed its iterator"
            while True:
                self._answer(channel, consumer, json.loads(channel.recv_bytes()))
        except (EOFError, OSError, AuthenticationError):
            self._coordinator.lose(consumer, token, why)
        finally:
            own_channels.close(channel)

    def _answer(self, channel: Any, consumer: int, request: dict[str, Any]) -> None:
        payload = None
        try:
            answer, payload = self._work(consumer, request)
        except Exception as error:  # noqa: BLE001 (raised in the other process)
            answer = {"error": _error_text(error)}
        answer["has_payload"] = payload is not None
        channel.send_bytes(json.dumps(answer).encode())
        if payload is not None:
            channel.send_bytes(payload)

    def _work(self, consumer: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes | None]:
        """The answer to a request, and a batch that follows it."""
        coordinator = self._coordinator
        match request["op"]:
            case "begin":
                epoch = coordinator.begin(consumer, as_ask(request["ask"]))
                return {"start": asdict(epoch.start), "stride": epoch.stride}, None
            case "next":
                batch = coordinator.take(consumer)
                return {}, None if batch is None else batch.to_ipc()
            case "leave":
                coordinator.leave(consumer)
                return {}, None
            case "first":
                first = self._first_batch()
                return {}, None if first is None else first.to_ipc()
            case "fingerprint":
                return {"fingerprint": asdict(coordinator.epochs.fingerprint())}, None
            case "stats":
                return {"stats": coordinator.dataset.stats()}, None
            case other:
                raise ValueError(f"there is no request `{other}`")


class _Door:
    """Where connections come in; it knows the server only for as long as that is there."""

    def __init__(self, listener: socket.socket, serve: weakref.WeakMethod[Any]) -> None:
        self._listener, self._serve = listener, serve
        self._is_closed = threading.Event()

    def run(self) -> None:
        """Gives each connection a thread that answers it."""
        while True:
            connection.wait([self._listener])
            try:
                channel = own_channels.opened(self._accepted)
            except BlockingIOError:  # who came has gone again
                continue
            answer = self._serve()
            if answer is None or self._is_closed.is_set():
                own_channels.close(channel)
                own_channels.close(self._listener)
                return
            threading.Thread(
                target=answer, args=(channel,), name="raceline-split-consumer", daemon=True
            ).start()
            del answer

    def _accepted(self) -> connection.Connection:
        accepted, _ = self._listener.accept()
        return connection.Connection(accepted.detach())

    def close(self, pid: int, folder: str) -> None:
        """Lets nobody in any more, but in a fork of process ``pid``."""
        if os.getpid() != pid:
            return
        self._is_closed.set()
        # The door hears of it when somebody comes.
        with contextlib.suppress(OSError):
            connection.Client(os.path.join(folder, "socket"), family="AF_UNIX").close()
        shutil.rmtree(folder, ignore_errors=True)


def _listener(address: str) -> socket.socket:
    """A socket that is listened on, whose ``accept`` does not wait."""
    made = socket.socket(socket.AF_UNIX)
    made.bind(address)
    made.listen(64)
    made.setblocking(False)
    return made


def _error_text(error: Exception) -> dict[str, str]:
    """An error as another process can raise it: the nearest of our classes, and the text."""
    names = (kind.__name__ for kind in type(error).__mro__)
    name = next((name for name in names if name in errors.__all__), "RacelineError")
    return {"class": name, "text": str(error)}


def _raised(error: dict[str, str]) -> errors.RacelineError:
    kind: type[errors.RacelineError] = getattr(errors, error["class"])
    return kind(error["text"])


def as_ask(values: dict[str, Any]) -> Ask:
    """An ask, of what JSON makes of it."""
    loaded, window = values["loaded"], values["window"]
    return Ask(
        values["epoch"],
        None if loaded is None else as_start(loaded),
        None if window is None else (window[0], window[1]),
        values["batch_rows"],
    )


def as_start(values: dict[str, Any]) -> EpochStart:
    """The start of an epoch, of what JSON makes of it."""
    window = values["window"]
    return EpochStart(**{**values, "window": None if window is None else (window[0], window[1])})


class Client:
    """A consumer's side of its connection."""

    def __init__(self, address: str, key: bytes, consumer: int) -> None:
        """Says where the others meet; the connection is made with the first request."""
        self._address, self._key, self._consumer = address, key, consumer
        self._close: Callable[[], object] = lambda: None
        self.begin_anew()
        on_fork(self)

    def begin_anew(self) -> None:
        """Forgets the connection, which is another process's."""
        self._channel: Any = None
        self._is_asked = False
        self._lock = threading.Lock()

    def ask(
        self, request: dict[str, Any], is_over: Callable[[], bool] = lambda: False
    ) -> tuple[dict[str, Any], bytes | None] | None:
        """The answer to a request, and the batch that follows it.

        Args:
            request: The request.
            is_over: Looked at while waiting; when it is true, there is no answer: None.

        Raises:
            RacelineError: What the request failed with.
            ResourceError: The process where the others meet has gone.
        """
        with self._lock:
            try:
                return self._asked(request, is_over)
            except (EOFError, ConnectionError, FileNotFoundError) as error:
                self._close()
                self._channel = None
                raise errors.ResourceError(
                    "the process that made the streaming split has ended",
                    hint="keep it running for as long as its consumers",
                ) from error

    def _asked(
        self, request: dict[str, Any], is_over: Callable[[], bool]
    ) -> tuple[dict[str, Any], bytes | None] | None:
        channel = self._open()
        self._is_asked = True
        channel.send_bytes(json.dumps(request).encode())
        while not channel.poll(_LOOK_S):
            if is_over():
                return None
        answer = json.loads(channel.recv_bytes())
        payload = channel.recv_bytes() if answer.pop("has_payload") else None
        self._is_asked = False
        if "error" in answer:
            raise _raised(answer["error"])
        return answer, payload

    def leave(self) -> None:
        """Says that nothing more of the epoch is wanted, if there is somebody to say it to."""
        with contextlib.suppress(errors.RacelineError):
            self.ask({"op": "leave"})

    def _open(self) -> Any:
        """The connection; another one where an answer is still to come that nobody waits for."""
        if self._channel is None or self._is_asked:
            close_old = self._close
            new = own_channels.opened(lambda: connection.Client(self._address, family="AF_UNIX"))
            self._close = weakref.finalize(self, own_channels.close, new)
            connection.answer_challenge(new, self._key)
            connection.deliver_challenge(new, self._key)
            hello = {"consumer": self._consumer, "pid": os.getpid()}
            new.send_bytes(json.dumps(hello).encode())
            self._channel, self._is_asked = new, False
            close_old()
        return self._channel
