"""Runs the cells of a variant in turns, and makes ratios of times of one turn.

The machine's speed drifts; a ratio is only worth quoting between runs that lie side by side. In
each round every cell runs once, and every other round goes backwards. The first round warms the
page cache and is dropped; then there are up to `ROUNDS`, while the variant's time lasts. Answers
in files are compared in the first round; of what later ones write, only the rows are counted.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

from suite import checksum, engines, measure
from suite.cells import OURS, PACKAGES, Cell, Workload
from suite.cgroup import usable

#: So many keep a run of everything below an hour.
ROUNDS = 3

#: A cell that takes so much longer than ours is measured once more and no oftener.
SLOW = 10.0

#: Whose answer is believed first when answers differ.
ORACLES = ("duckdb", "polars", "datafusion", "python", "torch", "daft", "ray", "raceline")

#: Why a cell is left out whose engine the user did not name.
NOT_ASKED = "not asked for"

#: Seconds after which a cell is ended at smoke size.
SMOKE_SECONDS = 40.0

PROGRAM = Path(__file__).parent.parent / "cell.py"


@dataclass(frozen=True)
class Options:
    """What of a workload is run, and how often."""

    scale: float = 1.0
    smoke: bool = False
    #: Engines that take part; None: all that are installed.
    engines: tuple[str, ...] | None = None
    #: Memory limit in place of the workload's own, in bytes.
    limit_bytes: int | None = None
    rounds: int = ROUNDS


def compare(workload: Workload, variant: str, options: Options) -> dict[str, Any]:
    """What came of a variant: its cells with all their runs, ratios, and what was left out."""
    limit = workload.limits.get(variant)
    scale, limit_bytes = options.scale, None
    if limit is not None:
        if (reason := usable()) is not None:
            return _skipped(scale, f"no memory limit can be set: {reason}")
        limit_bytes = limit.smoke_bytes if options.smoke else limit.full_bytes
        limit_bytes = options.limit_bytes or limit_bytes
        scale = limit.smoke_scale if options.smoke else scale
    taken, left_out = _taking_part(workload, variant, options)
    run = _Run(workload, variant, scale, limit_bytes, options.smoke)
    runs = run.rounds(taken, options.rounds)
    cells = {cell.name: _summary(cell, run, runs[cell.name]) for cell in taken}
    _void_those_that_differ(workload, cells, {cell.name: cell for cell in taken}, run)
    return {
        "scale": scale,
        "limit_bytes": limit_bytes,
        "cells": cells,
        "ratios": {} if options.smoke else _ratios(cells),
        "left_out": left_out,
    }


def _skipped(scale: float, why: str) -> dict[str, Any]:
    """A variant that cannot be run here."""
    nothing: dict[str, Any] = {"cells": {}, "ratios": {}, "left_out": {}}
    return {"skipped": why, "scale": scale, "limit_bytes": None} | nothing


def _taking_part(
    workload: Workload, variant: str, options: Options
) -> tuple[list[Cell], dict[str, str]]:
    """The cells that can be run, and why the others cannot."""
    taken, left_out = [], {}
    for cell in workload.cells_of(variant):
        if options.engines is not None and cell.engine not in options.engines:
            left_out[cell.name] = NOT_ASKED
        elif missing := [
            name for name in (PACKAGES[cell.engine], *cell.needs) if find_spec(name) is None
        ]:
            left_out[cell.name] = f"{missing[0]} is not installed"
        else:
            taken.append(cell)
    return taken, left_out


class _Run:
    """Runs cells of one variant at one size."""

    def __init__(
        self, workload: Workload, variant: str, scale: float, limit_bytes: int | None, smoke: bool
    ) -> None:
        self._workload = workload
        self._variant = variant
        self._scale = scale
        self._limit_bytes = limit_bytes
        self._smoke = smoke

    def rounds(self, cells: list[Cell], most: int) -> dict[str, list[dict[str, Any]]]:
        """All runs of all cells; the first of each is the warm-up."""
        runs: dict[str, list[dict[str, Any]]] = {cell.name: [] for cell in cells}
        ends_at = math.inf
        for number in range(1 if self._smoke else most + 1):
            if number > 1 and time.monotonic() > ends_at:
                break
            for cell in cells if number % 2 == 0 else reversed(cells):
                if number == 0 or self._again(runs, cell):
                    whole = number == 0
                    runs[cell.name].append({"round": number} | self.one(cell, whole=whole))
            if number == 0:
                ends_at = time.monotonic() + self._workload.budget_seconds
        return runs

    def _again(self, runs: dict[str, list[dict[str, Any]]], cell: Cell) -> bool:
        """Whether a cell is worth another run: it has not failed, and it is not far behind."""
        before = runs[cell.name]
        if before[-1]["outcome"] != "ok":
            return False
        ours = [one["run_seconds"] for one in runs.get(OURS, []) if one["outcome"] == "ok"]
        slow = bool(ours) and before[0]["run_seconds"] > SLOW * max(min(ours), 0.5)
        return len(before) == 1 or not slow

    def share(self, cell: Cell) -> float:
        """The part of the work that a cell does in this run."""
        return 1.0 if self._smoke else cell.share

    def command(self, cell: Cell) -> list[str]:
        """The arguments of the program of a cell."""
        scale = f"{self._scale * self.share(cell):g}"
        words = [self._workload.name, self._variant, cell.name, "--scale", scale]
        if self._limit_bytes is not None:
            words += ["--limit-bytes", str(self._limit_bytes)]
        return words

    def typed(self, cell: Cell) -> str:
        """The command of a cell as it can be typed in the repository's root."""
        settings = [f"{key}={value}" for key, value in cell.env.items()]
        words = [f"'{word}'" if " " in word else word for word in self.command(cell)]
        return " ".join([*settings, "benches/.venv/bin/python benches/cell.py", *words])

    def one(self, cell: Cell, *, whole: bool) -> dict[str, Any]:
        """One run of one cell. Of an answer in files only rows are counted unless `whole`."""
        # Made here, so that its cost is in no measurement.
        self._workload.data(self._variant, self._scale * self.share(cell))
        most = SMOKE_SECONDS if self._smoke else self._workload.cell_seconds
        with tempfile.TemporaryDirectory(prefix="raceline-bench-") as folder:
            out = Path(folder)
            measured = measure.run(
                [sys.executable, str(PROGRAM), *self.command(cell), "--out", folder],
                engines.env() | cell.env,
                limit_bytes=self._limit_bytes,
                most_seconds=most,
            )
            found: dict[str, Any] = {
                "outcome": _outcome(measured, most),
                "cpu_seconds": round(measured.cpu_seconds, 3),
                "peak_bytes": measured.peak_bytes,
            }
            kept = sum(path.stat().st_size for path in out.rglob("*.parquet") if path.is_file())
            found["spilled_bytes"] = max(measured.written_bytes - kept, 0)
            if found["outcome"] != "ok":
                return found
            if measured.returncode != 0:
                found["note"] = f"ended with {measured.returncode} after its answer"
            printed: dict[str, Any] = json.loads(_answer_line(measured))
            rows = printed.pop("answer")
            if isinstance(rows, dict):
                each = {part: _checked(some) for part, some in rows.items()}
                found["answers"] = {
                    part: f"{one.rows} rows, {one.checksum}" for part, one in each.items()
                }
                checked = checksum.Checked(sum(one.rows for one in each.values()), "")
            elif rows is not None:
                checked = _checked(rows)
            elif whole:
                order, mixed = self._workload.sorted_by, self._workload.shuffled
                checked = checksum.of_files(out, order, mixed)
            else:
                checked = checksum.rows_of_files(out)
        if checked.fault is not None:
            found["outcome"] = f"void: {checked.fault}"
        return found | printed | {"rows": checked.rows, "checksum": checked.checksum}


def _answer_line(measured: measure.Measured) -> str:
    """The last line that was printed; JSON when the program came to its end."""
    return next(reversed(measured.out.strip().splitlines()), "")


def _checked(rows: list[list[Any]]) -> checksum.Checked:
    return checksum.of_rows([tuple(row) for row in rows])


def _outcome(measured: measure.Measured, most_seconds: float) -> str:
    if measured.timed_out:
        return f"ended after {most_seconds:.0f} s"
    if _answer_line(measured).startswith("{"):
        return "ok"
    if measured.out_of_memory:
        return "out of memory: ended at the limit"
    last = next((line for line in reversed(measured.err.splitlines()) if line.strip()), "")
    return f"failed ({measured.returncode}): {last.strip()[:300]}"


def _summary(cell: Cell, run: _Run, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """A cell as it is kept: its command, how it went, and its runs."""
    failed = [one["outcome"] for one in runs if one["outcome"] != "ok"]
    return {
        "command": run.typed(cell),
        "share": run.share(cell),
        "outcome": failed[0] if failed else "ok",
        "note": next((one["note"] for one in runs if "note" in one), None),
        "failures": next((one["failures"] for one in runs if one.get("failures")), {}),
        "runs": runs,
    }


def _void_those_that_differ(
    workload: Workload, cells: dict[str, dict[str, Any]], kinds: dict[str, Cell], run: _Run
) -> None:
    """Voids cells whose answer is not that of the most trusted engine that has one."""
    checked = {
        name: kept["runs"][0]
        for name, kept in cells.items()
        if kept["outcome"] == "ok" and kinds[name].checked and run.share(kinds[name]) == 1.0
    }
    if not checked:
        return
    order = sorted(checked, key=lambda name: ORACLES.index(kinds[name].engine))
    if any("answers" in one for one in checked.values()):
        _void_parts_that_differ({name: cells[name] for name in order})
        return
    trusted = checked[order[0]]
    for name in checked:
        for one in cells[name]["runs"]:
            same = one["checksum"] in ("", trusted["checksum"])
            if one["rows"] != trusted["rows"] or not same:
                cells[name]["outcome"] = (
                    f"void: {one['rows']} rows, checksum {one['checksum']}; {order[0]} has "
                    f"{trusted['rows']} rows, {trusted['checksum']}"
                )


def _void_parts_that_differ(cells: dict[str, dict[str, Any]]) -> None:
    """Takes the times of parts away whose answer is not that of the first cell that has one."""
    trusted: dict[str, tuple[str, str]] = {}
    for name, cell in cells.items():
        for part, answer in cell["runs"][0]["answers"].items():
            trusted.setdefault(part, (name, answer))
        for one in cell["runs"]:
            for part, answer in one["answers"].items():
                whose, wanted = trusted[part]
                if answer != wanted:
                    cell["failures"][part] = f"void: {answer}; {whose} has {wanted}"
        for one in cell["runs"]:
            for part in cell["failures"]:
                one["parts"].pop(part, None)


#: Figures of which the most of all runs counts, and which do not grow with the work.
_MOST = ("peak_bytes", "spilled_bytes")


def counted(cell: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs of a cell that count: all but the warm-up, or that when there is no other."""
    fine = [one for one in cell["runs"] if one["outcome"] == "ok"]
    return fine[1:] or fine


def figure(cell: dict[str, Any], name: str) -> float | None:
    """Median of a figure over the runs of a cell that count; the most of peaks."""
    if cell["outcome"] != "ok":
        return None
    values = [_value(one, name, cell["share"]) for one in counted(cell)]
    kept = [value for value in values if value is not None]
    if not kept:
        return None
    return max(kept) if name in _MOST else median(kept)


def _ratios(cells: dict[str, dict[str, Any]]) -> dict[str, dict[str, list[float]]]:
    """Time of ours over that of each other cell: median, least, most over the rounds of both."""
    found: dict[str, dict[str, list[float]]] = {}
    ours = cells.get(OURS)
    if ours is None or ours["outcome"] != "ok":
        return found
    for name, cell in cells.items():
        if name != OURS and cell["outcome"] == "ok":
            figures = [] if cell["failures"] or ours["failures"] else ["run_seconds"]
            # Where all did all, they can be compared as a whole.
            figures += ["total_seconds", "cpu_seconds"] if figures and cell["share"] == 1 else []
            parts = (set(counted(one)[0].get("parts", {})) for one in (ours, cell))
            figures += sorted(set.intersection(*parts))
            found[name] = {what: _spread(ours, cell, what) for what in figures}
    return found


def _spread(ours: dict[str, Any], other: dict[str, Any], what: str) -> list[float]:
    """Ratios of the rounds that both have; with the nearest round where they share none."""
    pairs = []
    mine = {one["round"]: one for one in counted(ours)}
    for one in counted(other):
        beside = mine[min(mine, key=lambda number: abs(number - one["round"]))]
        left, right = _value(beside, what, 1.0), _value(one, what, other["share"])
        pairs.append(left / right if left is not None and right else math.inf)
    return [round(value, 4) for value in (median(pairs), min(pairs), max(pairs))]


def _value(one: dict[str, Any], what: str, share: float) -> float | None:
    """A figure of a run, for all of the work where it did a share: only its run grows with it."""
    if what == "cpu_seconds" and share != 1:
        return None
    if what in _MOST:
        return float(one[what]) if what in one else None
    if what == "total_seconds":
        return float(one[what]) + one["run_seconds"] * (1 / share - 1)
    value = one.get(what, one.get("parts", {}).get(what, one.get("figures", {}).get(what)))
    return None if value is None else float(value) / share
