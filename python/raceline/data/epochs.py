"""Epochs: where each begins, how far it is, and how it is resumed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native
    from raceline._native import Batch

__all__ = ["Ask", "DatasetEpochs", "Epoch", "EpochSource", "EpochStart", "Epochs", "Fingerprint"]

T = TypeVar("T")

_VERSION = 1
_KEYS = frozenset(
    {"version", "epoch", "rows", "execution", "new_seed", "local_shuffle", "plan", "files"}
)


@dataclass(frozen=True)
class EpochStart:
    """Where an iteration begins, and what the random order of its epoch depends on.

    Attributes:
        epoch: Its number, from 0.
        rows: Rows of the epoch that come before it.
        execution: The number of the run, by which files are shuffled.
        new_seed: The seed of what was given none; None where the epoch has not begun.
        window: Rows and seed of a local shuffle.
    """

    epoch: int = 0
    rows: int = 0
    execution: int = 0
    new_seed: int | None = None
    window: tuple[int, int] | None = None


@dataclass(frozen=True)
class Ask:
    """What an iteration asks of its source.

    Attributes:
        epoch: The number that the epoch has if nobody says otherwise.
        loaded: Where it is to begin, if a state was loaded.
        window: Rows and seed of its local shuffle.
        batch_rows: Rows of its batches; None takes them as they come.
    """

    epoch: int
    loaded: EpochStart | None
    window: tuple[int, int] | None
    batch_rows: int | None


class Epoch(Protocol):
    """One epoch that runs, for one who iterates."""

    start: EpochStart
    #: Rows by which the epoch is further with each batch of one who iterates, where others take
    #: theirs; None where it is the rows of the batch, 0 where nobody can tell.
    stride: int | None

    def batches(self) -> Generator[Batch, None, None]:
        """The batches, in order; the run ends with the generator."""
        ...

    def cancel(self) -> None:
        """Ends the run from another thread: ``batches`` ends soon."""
        ...


@dataclass(frozen=True)
class Fingerprint:
    """What a state is only good for.

    Attributes:
        plan: The plan, as text.
        files: Number, bytes and digest of the files that it reads.
    """

    plan: str
    files: Mapping[str, Any]


class EpochSource(Protocol):
    """What epochs come from."""

    #: Whether beginning an epoch waits for others.
    is_shared: bool

    def begin(self, ask: Ask) -> Epoch:
        """Begins an epoch."""
        ...

    def fingerprint(self) -> Fingerprint:
        """What its states are good for.

        Raises:
            PlanError: Its rows come in another order each time.
        """
        ...


@dataclass
class _Progress:
    """How far an iteration is."""

    ask: Ask
    start: EpochStart | None = None
    stride: int | None = None
    rows: int = 0
    batches: int = 0
    has_ended: bool = False
    """Whether the last batch was handed on, and that it was the last one is known."""

    def place(self) -> EpochStart:
        """Where an iteration would begin that goes on from here."""
        start = self.start
        if start is None:
            return self.ask.loaded or EpochStart(self.ask.epoch)
        if self.has_ended:
            return EpochStart(start.epoch + 1, 0, start.execution + 1)
        if self.stride == 0:
            raise PlanError(
                "an epoch that several consumers share has a state only where all of them take "
                "batches of as many rows",
                hint="iterate over batches, with the same `batch_size` everywhere",
            )
        # Of several, all have got as many batches: see `DataIterator.state_dict`.
        rows = self.rows if self.stride is None else self.batches * self.stride
        return EpochStart(
            start.epoch, start.rows + rows, start.execution, start.new_seed, start.window
        )


class Epochs:
    """The epochs of one iterable, one after the other, and the state of the last one."""

    def __init__(self, source: EpochSource) -> None:
        """The epochs of ``source``, from the first."""
        self.source = source
        self._next = 0
        self._loaded: EpochStart | None = None
        self._now: _Progress | None = None
        self._fingerprint: Fingerprint | None = None

    def iterate(
        self,
        window: tuple[int, int] | None,
        batch_rows: int | None,
        pipeline: Callable[[Epoch], Generator[tuple[int, T], None, None]],
    ) -> Iterator[T]:
        """Begins the next epoch, or goes on with the one of a loaded state.

        Args:
            window: Rows and seed of the local shuffle.
            batch_rows: Rows of a batch.
            pipeline: Makes of a running epoch what is handed on, each with its number of rows.
        """
        progress, epoch = self._next_epoch(window, batch_rows)
        return self._run(progress, epoch, pipeline)

    def iterate_rows(self) -> Iterator[Any]:
        """Begins the next epoch as :meth:`iterate` does, for its rows."""
        return self._run_rows(*self._next_epoch(None, None))

    def _next_epoch(
        self, window: tuple[int, int] | None, batch_rows: int | None
    ) -> tuple[_Progress, Epoch | None]:
        """The next epoch, or the one of a loaded state; begun, where nobody is to be waited for."""
        loaded, self._loaded = self._loaded, None
        ask = Ask(self._next if loaded is None else loaded.epoch, loaded, window, batch_rows)
        progress = self._now = _Progress(ask)
        self._next = ask.epoch + 1
        return progress, None if self.source.is_shared else self._begin(progress)

    def _begin(self, progress: _Progress) -> Epoch:
        epoch = self.source.begin(progress.ask)
        progress.start, progress.stride = epoch.start, epoch.stride
        if self._now is progress:
            self._next = epoch.start.epoch + 1
        return epoch

    def _run(
        self,
        progress: _Progress,
        epoch: Epoch | None,
        pipeline: Callable[[Epoch], Generator[tuple[int, T], None, None]],
    ) -> Iterator[T]:
        items = pipeline(epoch or self._begin(progress))
        try:
            for rows, item in items:
                progress.rows += rows
                progress.batches += 1
                yield item
            progress.has_ended = True
        finally:
            items.close()

    def _run_rows(self, progress: _Progress, epoch: Epoch | None) -> Iterator[Any]:
        batches = (epoch or self._begin(progress)).batches()
        try:
            for batch in batches:
                for row in batch.rows():
                    progress.rows += 1
                    yield row
            progress.has_ended = True
        finally:
            batches.close()

    def state_dict(self) -> dict[str, Any]:
        """See ``DataIterator.state_dict``."""
        if self._now is not None:
            place = self._now.place()
        else:
            place = self._loaded or EpochStart(self._next)
        fingerprint = self._known_fingerprint()
        return {
            "version": _VERSION,
            "epoch": place.epoch,
            "rows": place.rows,
            "execution": place.execution,
            "new_seed": place.new_seed,
            "local_shuffle": None if place.window is None else list(place.window),
            "plan": fingerprint.plan,
            "files": dict(fingerprint.files),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """See ``DataIterator.load_state_dict``."""
        loaded = _read(state)
        _check_same(state, self._known_fingerprint())
        self._loaded, self._now, self._next = loaded, None, loaded.epoch

    def _known_fingerprint(self) -> Fingerprint:
        if self._fingerprint is None:
            self._fingerprint = self.source.fingerprint()
        return self._fingerprint


def _read(state: Mapping[str, Any]) -> EpochStart:
    """Where a state says that an iteration begins.

    Raises:
        PlanError: It is no such state.
    """
    if not isinstance(state, Mapping) or "version" not in state:
        raise PlanError(f"a state must be what `state_dict()` gave, got `{state!r}`")
    if state["version"] != _VERSION:
        raise PlanError(
            f"the state is of version `{state['version']!r}`, and this program reads {_VERSION}",
            hint="resume with the version of Raceline that made it",
        )
    wrong = sorted(_KEYS.symmetric_difference(state))
    if wrong:
        raise PlanError(f"the state has not the fields that it should: `{'`, `'.join(wrong)}`")
    window = state["local_shuffle"]
    numbers = [state["epoch"], state["rows"], state["execution"]]
    numbers += [] if state["new_seed"] is None else [state["new_seed"]]
    is_window = window is None or (isinstance(window, list | tuple) and len(window) == 2)
    if is_window:
        numbers += window or []
    if not is_window or not all(_is_number(one) for one in numbers):
        raise PlanError("the state holds something other than numbers, where these should be")
    return EpochStart(
        state["epoch"],
        state["rows"],
        state["execution"],
        state["new_seed"],
        None if window is None else (window[0], window[1]),
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**64


def _check_same(state: Mapping[str, Any], now: Fingerprint) -> None:
    """Refuses a state of another dataset, or of other files.

    Raises:
        PlanError: Something differs; says what.
    """
    if state["plan"] != now.plan:
        raise PlanError(
            "the state is of another dataset\n"
            f"  of the state: {_one_line(state['plan'])}\n"
            f"  this one:     {_one_line(now.plan)}",
            hint="build the dataset as it was then; a shuffle needs the same `seed=`",
        )
    if state["files"] != now.files:
        before, after = (_files_text(one) for one in (state["files"], now.files))
        raise PlanError(
            f"the files are not those of the state: {before} then, {after} now",
            hint="read the files by name that there were, to resume the epoch over them",
        )


def _one_line(plan: Any) -> str:
    return " <- ".join(line.strip().removeprefix("+- ") for line in str(plan).splitlines())


def _files_text(files: Any) -> str:
    if not isinstance(files, Mapping):
        return repr(files)
    return f"{files.get('count')} files of {files.get('bytes')} bytes"


class NativeEpoch:
    """An epoch of a plan of the engine."""

    def __init__(self, native: _native.Dataset, start: EpochStart) -> None:
        """The epoch of ``native`` from ``start`` on."""
        self.start = start
        self.stride: int | None = None
        plan = native
        if start.window is not None:
            plan = plan.window_shuffle(*start.window)
        if start.rows:
            plan = plan.skip(start.rows)
        seed = 0 if start.new_seed is None else start.new_seed
        self._plan = plan.in_order(start.execution, seed).recorded_in(native)
        self._stream: _native.Stream | None = None
        self._is_cancelled = False

    def batches(self) -> Generator[Batch, None, None]:
        """The batches, in order, none of them kept here."""
        stream = self._stream = self._plan.execute()
        try:
            if self._is_cancelled:  # before there was a stream to tell
                return
            while (batch := stream.next_batch()) is not None:
                yield batch
        finally:
            stream.close()

    def cancel(self) -> None:
        """Ends the run from another thread."""
        self._is_cancelled = True
        if self._stream is not None:
            self._stream.cancel()


@dataclass
class DatasetEpochs:
    """Epochs of a dataset, for one who iterates."""

    native: _native.Dataset
    is_shared: bool = field(default=False, init=False)

    def begin(self, ask: Ask) -> NativeEpoch:
        """Begins an epoch, whose run starts with its first batch."""
        return NativeEpoch(self.native, self.started(ask))

    def started(self, ask: Ask) -> EpochStart:
        """Where the epoch begins, with all that its order depends on."""
        loaded = ask.loaded
        if loaded is not None and loaded.new_seed is not None:
            return loaded
        if loaded is not None:
            return EpochStart(ask.epoch, 0, loaded.execution, secrets.randbits(64), ask.window)
        execution, new_seed = self.native.next_order()
        return EpochStart(ask.epoch, 0, execution, new_seed, ask.window)

    def fingerprint(self) -> Fingerprint:
        """The plan, and the files that it reads as they are now."""
        unordered = self.native.unordered()
        if unordered is not None:
            raise PlanError(
                f"rows come in another order each time from `{unordered}`, so that an epoch "
                "cannot be resumed",
                hint="sort the rows behind it, or write them to files and read these",
            )
        import hashlib

        files = self.native.files()
        text = "\n".join(f"{size} {uri}" for uri, size in files)
        return Fingerprint(
            self.native.plan(),
            {
                "count": len(files),
                "bytes": sum(size for _, size in files),
                "digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest(),
            },
        )
