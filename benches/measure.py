"""Runs a program in a fresh process and measures it from outside."""

import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"

#: Seconds between two looks at the memory of all processes.
SAMPLE_SECONDS = 0.02

#: A program that takes longer than this is killed, and its result says so.
LIMIT_SECONDS = 1800.0


@dataclass
class Measurement:
    """What one run took."""

    #: The command, as it can be typed in the repository's root.
    command: str
    #: From start to end of the process.
    wall_seconds: float
    #: Seconds that the program itself printed for its main part.
    inner_seconds: float
    #: Most memory held at once by it and all its descendants: private and shared pages, each
    #: counted once a process share (proportional set size).
    peak_bytes: int
    #: What it printed besides: a figure to check the result with.
    answer: str

    def as_dict(self) -> dict[str, Any]:
        """The fields."""
        return asdict(self)


def run(program: str, *arguments: object, env: dict[str, str] | None = None) -> Measurement:
    """Runs `benches/programs/<program>.py`, which prints `<seconds> <answer>` as its last line.

    Raises:
        RuntimeError: It failed, or took longer than the limit.
    """
    words = [str(argument) for argument in arguments]
    command = [sys.executable, str(PROGRAMS / f"{program}.py"), *words]
    settings = " ".join(f"{key}={value}" for key, value in (env or {}).items())
    typed = f"{settings} benches/.venv/bin/python benches/programs/{program}.py {' '.join(words)}"
    started = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (env or {}),
    )
    watch = _Watch(process.pid)
    try:
        out, err = process.communicate(timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.communicate()
        raise RuntimeError(f"{typed.strip()}: over {LIMIT_SECONDS:.0f} s") from error
    finally:
        peak_bytes = watch.stop()
    wall_seconds = time.perf_counter() - started
    if process.returncode != 0:
        raise RuntimeError(f"{typed.strip()}: ended with {process.returncode}\n{err[-4000:]}")
    seconds, _, answer = out.strip().splitlines()[-1].partition(" ")
    return Measurement(typed.strip(), wall_seconds, float(seconds), peak_bytes, answer)


class _Watch:
    """Samples the memory of a process and its descendants from a thread."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak_bytes = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="memory-watch")
        self._thread.start()

    def stop(self) -> int:
        """Ends the thread; returns the peak."""
        self._done.set()
        self._thread.join()
        return self._peak_bytes

    def _sample(self) -> None:
        while not self._done.wait(SAMPLE_SECONDS):
            total = sum(_held_bytes(pid) for pid in _family(self._pid))
            self._peak_bytes = max(self._peak_bytes, total)


def _family(pid: int) -> list[int]:
    """The process and all its descendants, found by their parents."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue  # It ended meanwhile.
            children.setdefault(parent, []).append(int(entry.name))
    family = [pid]
    for member in family:
        family.extend(children.get(member, []))
    return family


def _held_bytes(pid: int) -> int:
    """Proportional set size of a process: shared pages are split among those that map them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # It ended meanwhile.
    kib = next((line.split()[1] for line in lines if line.startswith("Pss:")), "0")
    return int(kib) * 1024
