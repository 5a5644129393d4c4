"""Runs a program in a fresh process; measures it, and all that descends from it, from outside."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from suite.cells import STARTED
from suite.cgroup import MemoryGroup, usable

#: Seconds between two looks at the memory of all processes.
SAMPLE_SECONDS = 0.05

#: Seconds that descendants have to end by themselves after the program has.
GRACE_SECONDS = 3.0

_PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Measured:
    """What one run of a program took."""

    returncode: int
    out: str
    err: str
    #: User and system time of the program and of all its descendants that have ended.
    cpu_seconds: float
    #: Most memory held at once: anonymous and shared memory of the group, or the sum of the
    #: proportional set sizes of the tree where no group can be made.
    peak_bytes: int
    #: What it and its descendants wrote to files on disk, whether or not those were removed again.
    written_bytes: int
    #: Whether it was ended because it took too long.
    timed_out: bool
    #: Whether the kernel ended one of its processes at the memory limit.
    out_of_memory: bool


def run(
    command: list[str], env: dict[str, str], *, limit_bytes: int | None, most_seconds: float
) -> Measured:
    """Runs a command on at most two CPUs and waits for it and its descendants.

    Processes whose parents have ended become children of this one, so that their times are not
    lost and none is left over; therefore nothing else may run as a child of this process.

    Raises:
        OSError: A limit is asked for and no memory group can be made.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    with (
        _group(limit_bytes) as group,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        cpus = sorted(os.sched_getaffinity(0))[:2]

        def enter() -> None:
            os.sched_setaffinity(0, cpus)
            if group is not None:
                group.enter()

        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=env | {STARTED: repr(time.monotonic())},
            start_new_session=True,
            preexec_fn=enter,  # noqa: PLW1509 -- this process has one thread
        )
        watch = _Watch(process.pid, group)
        returncode, timed_out = watch.wait(most_seconds)
        process.returncode = returncode  # It was reaped here.
        out.seek(0)
        err.seek(0)
        return Measured(
            returncode,
            out.read(),
            err.read(),
            watch.cpu_seconds,
            watch.peak_bytes if group is None else group.peak_bytes,
            watch.written_bytes,
            timed_out,
            group is not None and group.kills() > 0,
        )


def _group(limit_bytes: int | None) -> MemoryGroup | nullcontext[None]:
    """A group where one can be made; without a limit it can be done without."""
    if limit_bytes is None and usable() is not None:
        return nullcontext()
    return MemoryGroup(limit_bytes)


class _Watch:
    """Waits for a process while it looks at its memory and reaps its orphans."""

    def __init__(self, pid: int, group: MemoryGroup | None) -> None:
        self._pid = pid
        self._group = group
        self.cpu_seconds = 0.0
        self.peak_bytes = 0
        self.written_bytes = 0

    def wait(self, most_seconds: float) -> tuple[int, bool]:
        """Returns the program's exit code and whether it was ended for its time."""
        ends_at = time.monotonic() + most_seconds
        timed_out = False
        while (code := self._reap()) is None:
            self._sample()
            if time.monotonic() > ends_at and not timed_out:
                timed_out = True
                _kill(self._family())
            time.sleep(SAMPLE_SECONDS)
        self._end_others()
        return code, timed_out

    def _reap(self) -> int | None:
        """Adds the times of what has ended; the program's exit code when it is among them."""
        code = None
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return code
            if pid == 0:
                return code
            self.cpu_seconds += usage.ru_utime + usage.ru_stime
            self.written_bytes += usage.ru_oublock * 512
            if pid == self._pid:
                code = os.waitstatus_to_exitcode(status)

    def _end_others(self) -> None:
        """Waits for what the program has left, then ends it."""
        ends_at = time.monotonic() + GRACE_SECONDS
        while members := self._family():
            if time.monotonic() > ends_at:
                _kill(members)
            time.sleep(SAMPLE_SECONDS)
            self._reap()

    def _sample(self) -> None:
        if self._group is not None:
            self._group.sample()
            return
        held = sum(_held_bytes(pid) for pid in self._family())
        self.peak_bytes = max(self.peak_bytes, held)

    def _family(self) -> list[int]:
        """All descendants of this process, found by their parents."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue  # It ended meanwhile.
                children.setdefault(parent, []).append(int(entry.name))
        family = list(children.get(os.getpid(), []))
        for member in family:
            family.extend(children.get(member, []))
        return family


def _kill(pids: list[int]) -> None:
    """Ends processes at once."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # It ended meanwhile.


def _held_bytes(pid: int) -> int:
    """Proportional set size of a process: shared pages are split among those that map them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # It ended meanwhile.
    kib = next((line.split()[1] for line in lines if line.startswith("Pss:")), "0")
    return int(kib) * 1024
