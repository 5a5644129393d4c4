"""Runs one cell in this process: `cell.py WORKLOAD VARIANT CELL [--scale S] [--limit-bytes N]`.

Its last line is JSON: seconds from the start of the process to the result, seconds of the part that
is measured, seconds of each named part, and the answer, or null where that was written to `--out`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from suite.cells import Task
from workloads import find


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload")
    parser.add_argument("variant")
    parser.add_argument("cell")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is the full size")
    parser.add_argument("--limit-bytes", type=int, help="what the engine may be told to keep to")
    parser.add_argument("--out", type=Path, help="an empty folder for the answer")
    options = parser.parse_args()
    workload = find(options.workload)
    cells = {cell.name: cell for cell in workload.cells_of(options.variant)}
    if options.cell not in cells:
        parser.error(f"no cell {options.cell} of {options.variant}; there are {', '.join(cells)}")
    out = options.out or Path(tempfile.mkdtemp(prefix="raceline-bench-"))
    data = workload.data(options.variant, options.scale)
    task = Task(options.variant, options.scale, data, out, options.limit_bytes)
    answer = cells[options.cell].program(task)
    line = {
        "run_seconds": round(task.run_seconds, 6),
        "total_seconds": round(task.total_seconds, 6),
        "parts": task.parts,
        "figures": task.figures,
        "failures": task.failures,
        "answer": answer,
    }
    sys.stdout.write(f"\n{json.dumps(line)}\n")


if __name__ == "__main__":
    main()
