"""Memory of a process and its children, for programs that tests start."""

from __future__ import annotations

import pathlib
import threading
import time


def _processes(pid: str) -> list[str]:
    """A process and all that descend from it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += _processes(child)
        except OSError:
            pass
    return found


def tree() -> int:
    """Bytes that this process and its children hold alone, and their part of the rest."""
    total = 0
    for pid in _processes("self"):
        try:
            lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
    return total


class Peak(threading.Thread):
    """The most that they held from its start until ``over`` is set."""

    def __init__(self) -> None:
        """Holds nothing yet."""
        super().__init__()
        self.bytes = 0
        self.over = False

    def run(self) -> None:
        """Looks 50 times a second."""
        while not self.over:
            self.bytes = max(self.bytes, tree())
            time.sleep(0.02)
