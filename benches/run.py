"""Runs the suites and keeps what they gave: `run.py [SUITE ...] [--small]`."""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

from suites import SUITES

RESULTS = Path(__file__).parent / "results"

PACKAGES = ["raceline", "ray", "daft", "numpy", "pyarrow", "pillow"]


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpus if "model name" in line), "")
    return {
        "cpu": model,
        "cpus": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def version(package: str) -> str | None:
    """The installed version of a package; None when there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(SUITES)}")
    parser.add_argument("--small", action="store_true", help="a hundredth of the size")
    parser.add_argument("--profile", default="release", help="cargo profile of the build")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    found: dict[str, Any] = {}
    for name in options.suites or SUITES:
        runs, ratios = SUITES[name](0.01 if options.small else 1.0)
        measurements = {what: [one.as_dict() for one in many] for what, many in runs.items()}
        found[name] = {
            "profile": options.profile,
            "ratios": ratios,
            "measurements": measurements,
        }
        for what, many in runs.items():
            times = ", ".join(f"{one.inner_seconds:.3f}" for one in many)
            peak = max(one.peak_bytes for one in many) / 2**20
            sys.stdout.write(f"{name}: {what}: {times} s, peak {peak:.0f} MiB\n")
        for what, ratio in ratios.items():
            sys.stdout.write(f"{name}: {what}: {ratio:.3f}\n")
        sys.stdout.flush()
    if options.small:
        return
    date = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
    name = f"{platform.machine()}-{len(os.sched_getaffinity(0))}cpu"
    path = RESULTS / f"{date}-{name}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"suites": {}}
    kept |= {"date": date, "machine": machine(), "suites": kept["suites"] | found}
    path.write_text(json.dumps(kept, indent=2) + "\n")
    sys.stdout.write(f"kept in {path}\n")


if __name__ == "__main__":
    main()
