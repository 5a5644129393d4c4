"""Memory limits and peaks of a whole process tree, by the kernel's own account (cgroup v1).

Charges are the tree's anonymous and shared memory, the page cache besides; the peak leaves the
cache out, as the kernel gives it up when memory is short.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup/memory")


class MemoryGroup:
    """One group, made for one run; a context manager that removes it."""

    def __init__(self, limit_bytes: int | None) -> None:
        """Makes the group.

        Raises:
            OSError: The system has no such controller, or does not let us use it.
        """
        if not (ROOT / "memory.limit_in_bytes").exists():
            raise FileNotFoundError(f"no memory controller at {ROOT}")
        self._folder = ROOT / f"raceline-bench-{os.getpid()}-{time.monotonic_ns()}"
        self._folder.mkdir()
        (self._folder / "memory.use_hierarchy").write_text("1")
        if limit_bytes is not None:
            (self._folder / "memory.limit_in_bytes").write_text(str(limit_bytes))
        self.peak_bytes = 0

    def __enter__(self) -> MemoryGroup:
        return self

    def __exit__(self, *_: object) -> None:
        for _attempt in range(50):
            try:
                self._folder.rmdir()
            except OSError:
                time.sleep(0.05)  # Its last processes are still ending.
            else:
                return

    def enter(self) -> None:
        """Puts the calling process into the group."""
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    def sample(self) -> None:
        """Looks at what is held now."""
        held = 0
        for line in (self._folder / "memory.stat").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name in ("total_rss", "total_shmem"):
                held += int(count)
        self.peak_bytes = max(self.peak_bytes, held)

    def kills(self) -> int:
        """Processes that were ended because the limit was reached."""
        for line in (self._folder / "memory.oom_control").read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
        return 0


def usable() -> str | None:
    """None when groups can be made, else why not."""
    try:
        with MemoryGroup(1 << 30):
            return None
    except OSError as error:
        return str(error)
