"""The process's session: made at the first need, from what ``init`` was told.

A forked process has a session of its own, of the same settings.
"""

from __future__ import annotations

import atexit
import math
import os
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline._native import Session

__all__ = ["cluster_resources", "init", "is_initialized", "shutdown"]

# A folder, or a folder and the most bytes in it.
SpillDir: TypeAlias = "str | os.PathLike[str] | tuple[str | os.PathLike[str], int]"

# Keywords of `ray.init` that change nothing here: what they switch does not exist.
_RAY_ONLY = frozenset(
    {"configure_logging", "dashboard_host", "dashboard_port", "include_dashboard"}
    | {"log_to_driver", "logging_config", "logging_format", "logging_level"}
)

# With less there is no room for a single batch.
_MEMORY_LEAST = 1 << 20


@dataclass(slots=True)
class _Settings:
    """What the next session is made from; None leaves the choice to the engine."""

    num_cpus: float | None = None
    num_gpus: float | None = None
    memory: int | None = None
    resources: dict[str, float] = field(default_factory=dict)
    spill_dirs: list[tuple[str, int | None]] = field(default_factory=list)
    progress: bool | None = None


@dataclass(slots=True)
class _State:
    """The settings and the session of this process, under one lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    settings: _Settings | None = None
    session: Session | None = None


_state = _State()


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    memory: int | None = None,
    resources: dict[str, float] | None = None,
    spill_dirs: Sequence[SpillDir] | None = None,
    progress: bool | None = None,
    ignore_reinit_error: bool = False,
    **ray_only: Any,
) -> None:
    """Says what the engine may use. Optional and cheap: the engine starts at the first need.

    Args:
        address: None or ``"local"``: the engine runs inside this process.
        num_cpus: CPUs that run at the same time; by default those this process may use.
        num_gpus: GPUs; by default those that ``nvidia-smi`` finds and ``CUDA_VISIBLE_DEVICES``
            allows. They are logical: more may be declared than the machine has.
        memory: Memory budget in bytes, 1 MiB or more; by default 80 % of the machine's or the
            container's.
        resources: Amounts of further resources, by name.
        spill_dirs: Folders for what does not fit into memory, each a path or a pair of a path and
            the most bytes that may be in it; by default the system's temporary folder. Data goes
            to the one with most room left. A folder that does not exist is made at first need.
        progress: Whether to show progress on stderr; by default as
            :class:`raceline.data.DataContext` says.
        ignore_reinit_error: Whether a second call is without effect instead of an error.
        **ray_only: Keywords of ``ray.init`` about its dashboard and logs; they change nothing.

    Raises:
        PlanError: An amount is negative or not finite, ``memory`` is less than 1 MiB,
            ``spill_dirs`` is no list of folders, or ``address`` names a cluster.
        RuntimeError: The session is initialised already.
        TypeError: A keyword is unknown.

    Example:
        >>> import raceline
        >>> raceline.shutdown()
        >>> raceline.init(num_cpus=2, num_gpus=4)
        >>> raceline.is_initialized()
        True
        >>> raceline.shutdown()
    """
    unknown = sorted(ray_only.keys() - _RAY_ONLY)
    if unknown:
        raise TypeError(f"init() got an unexpected keyword argument '{unknown[0]}'")
    if address not in (None, "local"):
        raise PlanError(
            f"cannot connect to `{address}`",
            hint='the engine runs in this process: leave `address` out or pass "local"',
        )
    amounts = {"num_cpus": num_cpus, "num_gpus": num_gpus, "memory": memory}
    for name, amount in {**amounts, **(resources or {})}.items():
        check_amount(name, amount)
    settings = _Settings(
        num_cpus, num_gpus, _bytes(memory), dict(resources or {}), _folders(spill_dirs), progress
    )
    with _state.lock:
        if _state.settings is not None or _state.session is not None:
            if ignore_reinit_error:
                return
            raise RuntimeError(
                "raceline is initialised already: call `raceline.shutdown()` first, or pass "
                "`ignore_reinit_error=True`"
            )
        _state.settings = settings


def shutdown() -> None:
    """Ends the session: cancels what runs and ends its workers. Without a session, nothing.

    Datasets of the ended session cannot be run any more.

    Example:
        >>> import raceline
        >>> raceline.shutdown()
        >>> raceline.is_initialized()
        False
    """
    with _state.lock:
        session, _state.session, _state.settings = _state.session, None, None
    if session is not None:
        session.shutdown()


def is_initialized() -> bool:
    """Whether ``init`` was called, or the first dataset has started the session.

    Example:
        >>> import raceline
        >>> raceline.init(ignore_reinit_error=True)
        >>> raceline.is_initialized()
        True
    """
    return _state.settings is not None or _state.session is not None


def has_session() -> bool:
    """Whether a session has started."""
    return _state.session is not None


def cluster_resources() -> dict[str, float]:
    """What the session has in all: CPUs, GPUs, memory in bytes, and declared resources.

    Raises:
        ResourceError: ``nvidia-smi`` is there and does not work.

    Example:
        >>> import raceline
        >>> raceline.cluster_resources()["CPU"] > 0
        True
    """
    return session().resources()


def session() -> Session:
    """The session of this process, started at the first call.

    Raises:
        RuntimeError: Workers could not be started, as the interpreter's path is unknown.
    """
    with _state.lock:
        if _state.session is None:
            _state.session = _start(_state.settings or _Settings())
        # Imported here, as most of a program's imports need no session.
        from raceline._lineage import recorded_session

        return recorded_session(_state.session)


def _start(settings: _Settings) -> Session:
    """A new session, with the native module loaded, within the limits that the context sets."""
    from raceline.data.context import DataContext

    if not sys.executable:
        raise RuntimeError("`sys.executable` is empty: set it to the Python interpreter's path")
    context = DataContext.get_current()
    if settings.progress is None and not context.enable_progress_bars:
        settings = replace(settings, progress=False)
    session = _opened(settings)
    options = context.execution_options
    if options.is_resource_limits_default():
        return session
    limits, has = options.resource_limits, session.resources()
    tighter: dict[str, Any] = {}
    if limits.cpu < has.get("CPU", 0):
        tighter["num_cpus"] = limits.cpu
    if limits.gpu < has.get("GPU", 0):
        tighter["num_gpus"] = limits.gpu
    if limits.memory < has.get("memory", 0):
        tighter["memory"] = _bytes(limits.memory)
    if not tighter:
        return session
    session.shutdown()
    return _opened(replace(settings, **tighter))


def _opened(settings: _Settings) -> Session:
    """A new session of these settings."""
    from raceline._native import Session

    return Session(
        num_cpus=settings.num_cpus,
        num_gpus=settings.num_gpus,
        memory=settings.memory,
        resources=settings.resources or None,
        spill_dirs=settings.spill_dirs,
        worker_command=[sys.executable, "-m", "raceline._worker"],
        progress=settings.progress,
    )


def check_amount(name: str, amount: float | None) -> None:
    """Refuses amounts that are no amounts; None is one that is left open.

    Raises:
        PlanError: The amount is no finite number of at least 0.
    """
    if amount is None:
        return
    number = isinstance(amount, (int, float)) and not isinstance(amount, bool)
    if not number or not math.isfinite(amount) or amount < 0:
        raise PlanError(f"`{name}` must be a finite number of at least 0, got `{amount!r}`")


def _bytes(memory: float | None) -> int | None:
    """A memory budget as the engine takes it."""
    if memory is None:
        return None
    if not _MEMORY_LEAST <= memory < 2**63:
        raise PlanError(
            f"`memory` must be a number of bytes of at least {_MEMORY_LEAST}, got `{memory!r}`"
        )
    return int(memory)


def _folders(spill_dirs: Sequence[SpillDir] | None) -> list[tuple[str, int | None]]:
    """Spill folders as the engine takes them: absolute, so that a later ``chdir`` moves none."""
    if spill_dirs is None:
        return []
    hint = 'pass folders, or pairs of a folder and bytes: `spill_dirs=["/a", ("/b", 10**9)]`'
    if isinstance(spill_dirs, (str, bytes, os.PathLike)) or not isinstance(spill_dirs, Sequence):
        raise PlanError(f"`spill_dirs` must be a list, got `{spill_dirs!r}`", hint=hint)
    if not spill_dirs:
        raise PlanError("`spill_dirs` must name a folder, got `[]`", hint=hint)
    return [_folder(one, hint) for one in spill_dirs]


def _folder(one: SpillDir, hint: str) -> tuple[str, int | None]:
    """One spill folder and its quota."""
    path, quota = one if isinstance(one, tuple) and len(one) == 2 else (one, None)
    is_path = isinstance(path, (str, os.PathLike)) and os.fspath(path) != ""
    if not is_path or not (quota is None or (type(quota) is int and 0 < quota < 2**63)):
        raise PlanError(f"`spill_dirs` holds `{one!r}`", hint=hint)
    return os.path.abspath(path), quota


def _end() -> None:
    """Ends the session with the interpreter, whose memory no thread gives back from then on."""
    shutdown()
    if "raceline._native" in sys.modules:
        from raceline._native import end_lending

        end_lending()


def _begin_anew() -> None:
    """Forgets the session in a forked process, where none of its threads is."""
    global _state  # noqa: PLW0603  # its lock may be held by a thread that is not here
    _state = _State(settings=_state.settings)


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_end)
