"""Runs workloads and keeps what came of them: `run.py [WORKLOAD ...] [--smoke]`.

`--smoke` runs every cell once at a hundredth of the size, compares the answers, keeps nothing, and
fails when a cell of ours is not right. Without it, results land in `benches/results`, from which
`report.py` makes `docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from suite.cells import OURS, PACKAGES, Workload
from suite.compare import NOT_ASKED, ROUNDS, Options, compare, figure
from workloads import NAMES, find

import raceline

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(NAMES))
    parser.add_argument("--smoke", action="store_true", help="only see whether the answers agree")
    parser.add_argument("--variant", action="append", help="only this one; may come again")
    parser.add_argument("--engines", help="only these, separated by commas")
    parser.add_argument("--scale", type=float, help="1 is the full size")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--memory-limit", type=int, metavar="BYTES", help="in place of a variant's")
    parser.add_argument("--jobs", type=int, default=2, help="workloads at once, in smoke only")
    parser.add_argument("--profile", default="release", help="cargo profile of the build")
    given = parser.parse_args()
    if unknown := set(given.workloads) - set(NAMES):
        parser.error(f"no workload {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    options = Options(
        scale=given.scale or (0.01 if given.smoke else 1.0),
        smoke=given.smoke,
        engines=None if given.engines is None else tuple(given.engines.split(",")),
        limit_bytes=given.memory_limit,
        rounds=given.rounds,
    )
    names = given.workloads or list(NAMES)
    if given.smoke and given.jobs > 1 and len(names) > 1:
        _side_by_side(names, given)
        return
    wrong: list[str] = []
    compared, lacking = 0, 0
    for name in names:
        workload = find(name)
        for variant in given.variant or workload.variants:
            if variant not in workload.variants:
                continue
            found = compare(workload, variant, options)
            _show(workload, variant, found)
            compared += len(found["cells"])
            lacking += sum(why != NOT_ASKED for why in found.get("left_out", {}).values())
            wrong += _wrong(workload, variant, found)
            if not given.smoke:
                _keep(workload, variant, found, given.profile)
    # A workload of a package that is not installed is no mistake.
    if compared == 0 and not lacking:
        sys.exit("nothing was run")
    if wrong:
        sys.exit("\n".join(["cells of ours that are not right:", *wrong]))


def _side_by_side(names: list[str], given: argparse.Namespace) -> None:
    """Runs each workload in a process of its own, as many at once as are asked for."""
    began = time.monotonic()
    options = ["--smoke", "--jobs", "1"]
    for variant in given.variant or []:
        options += ["--variant", variant]
    for option in ("engines", "scale", "memory_limit"):
        value = getattr(given, option)
        options += [] if value is None else [f"--{option.replace('_', '-')}", str(value)]

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, __file__, name, *options]
        return subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603

    failed = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for done in pool.map(run, names):
            sys.stdout.write(done.stdout)
            sys.stdout.flush()
            failed += [done.stderr] if done.returncode else []
    sys.stdout.write(f"{len(names)} workloads in {time.monotonic() - began:.0f} s\n")
    if failed:
        sys.exit("\n".join(failed))


def _show(workload: Workload, variant: str, found: dict[str, Any]) -> None:
    """Prints a variant as it is done."""
    sys.stdout.write(f"{workload.number} {workload.name}, {variant}\n")
    if "skipped" in found:
        sys.stdout.write(f"  skipped: {found['skipped']}\n")
    for name, cell in found["cells"].items():
        run, total, peak = (
            figure(cell, what) for what in ("run_seconds", "total_seconds", "peak_bytes")
        )
        if run is None or total is None or peak is None:
            sys.stdout.write(f"  {name:24} {cell['outcome']}\n")
            continue
        ratio = found["ratios"].get(name, {}).get("run_seconds")
        text = "" if ratio is None else f"  ours/its {ratio[0]:.3f} ({ratio[1]:.3f}-{ratio[2]:.3f})"
        sys.stdout.write(
            f"  {name:24} {run:9.3f} s, {total:9.3f} s in all, {peak / 2**20:6.0f} MiB{text}\n"
        )
    for name, why in found.get("left_out", {}).items():
        if why != NOT_ASKED:
            sys.stdout.write(f"  {name:24} left out: {why}\n")
    sys.stdout.flush()


def _wrong(workload: Workload, variant: str, found: dict[str, Any]) -> list[str]:
    """Cells of ours that failed or answered something else."""
    return [
        f"{workload.name}, {variant}, {name}: {cell['outcome']}"
        for name, cell in found["cells"].items()
        if name.partition(" ")[0] == OURS and cell["outcome"] != "ok"
    ] + [
        f"{workload.name}, {variant}, {name}, {part}: {why}"
        for name, cell in found["cells"].items()
        if name.partition(" ")[0] == OURS
        for part, why in cell["failures"].items()
    ]


def _keep(workload: Workload, variant: str, found: dict[str, Any], profile: str) -> None:
    """Adds a variant to the results of the day."""
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    cpus = min(len(os.sched_getaffinity(0)), 2)
    path = RESULTS / f"{date}-{platform.machine()}-{cpus}cpu.json"
    kept = json.loads(path.read_text()) if path.exists() else {"workloads": {}}
    kept |= {"date": date, "machine": _machine()}
    kept.setdefault("workloads", {}).setdefault(workload.name, {})[variant] = {
        "profile": profile
    } | found
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")


def _machine() -> dict[str, Any]:
    """What the figures were taken on."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if "model name" in line), "")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in [*PACKAGES.values(), "pyarrow"]}
        | {"raceline": raceline.__version__},
    }


def _version(package: str) -> str | None:
    """The installed version of a package; None when there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
