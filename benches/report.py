"""Makes `docs/benchmarks.md` and its figures from `benches/results`: `report.py [--check]`.

Each workload is taken from the newest file that has it. What profiles said of goals that are missed
is in `benches/profiles.json`. `--check` writes nothing, and fails when the page or a figure is not
what these files say.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from suite.cells import Workload
from suite.figures import bars
from suite.page import Taken, page
from workloads import NAMES, find

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benches" / "results"
PROFILES = ROOT / "benches" / "profiles.json"


def main() -> None:
    """Writes or checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    options = parser.parse_args()
    texts = made(newest(sorted(RESULTS.glob("*.json"))))
    files = {ROOT / name: text for name, text in texts.items()}
    if options.check:
        stale = [path for path, text in files.items() if not _holds(path, text)]
        if stale:
            names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
            sys.exit(f"not what benches/results says: {names}; run benches/report.py")
        sys.stdout.write(f"{len(files)} files are what benches/results says\n")
        return
    for path, text in files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def newest(paths: list[Path]) -> list[Taken]:
    """Each workload with its newest results, by the names of the files, which are dates."""
    found: dict[str, Taken] = {}
    for path in paths:
        file: dict[str, Any] = json.loads(path.read_text())
        for name, variants in file.get("workloads", {}).items():
            workload = find(name)
            ordered = {
                variant: variants[variant] | {"cells": _in_order(workload, variant, variants)}
                for variant in workload.variants
                if variant in variants
            }
            found[name] = (workload, ordered, file)
    return [found[name] for name in NAMES if name in found]


def _in_order(workload: Workload, variant: str, variants: dict[str, Any]) -> dict[str, Any]:
    """The cells of a variant in the order in which the workload has them."""
    cells: dict[str, Any] = variants[variant]["cells"]
    names = [cell.name for cell in workload.cells_of(variant)]
    return {name: cells[name] for name in names if name in cells}


def made(taken: list[Taken]) -> dict[str, str]:
    """The page and its figures, by their paths in the repository."""
    figures = {
        f"docs/benchmarks/{workload.name}.svg": bars(variants) for workload, variants, _ in taken
    }
    profiles = json.loads(PROFILES.read_text())
    return {"docs/benchmarks.md": page(taken, profiles)} | figures


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    main()
