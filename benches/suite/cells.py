"""What is measured: workloads, their variants, and the cells that engines fill.

A workload is one question asked of several engines over the same data. A variant is one setting of
it (a size, a kind of join, a memory limit). A cell is one program for one engine in one variant,
run in a process of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: The engine whose cells the others are compared with.
OURS = "raceline"

#: What each engine needs; a cell whose package is not installed is left out by name.
PACKAGES = {
    "raceline": "raceline",
    "ray": "ray",
    "daft": "daft",
    "polars": "polars",
    "duckdb": "duckdb",
    "datafusion": "datafusion",
    "torch": "torch",
    "python": "numpy",
}

#: Name of the environment variable with the time at which the runner started the process.
STARTED = "RACELINE_BENCH_STARTED"


@dataclass
class Task:
    """What a cell is given, and where it leaves its times."""

    variant: str
    #: 1.0 is the full size.
    scale: float
    #: Folder of the data; see ``datasets``.
    data: Path
    #: Empty folder; Parquet files that a cell writes below it are its answer.
    out: Path
    #: Memory limit of the process tree in bytes; None without one.
    limit_bytes: int | None = None
    #: Seconds of each named part, where a cell has several.
    parts: dict[str, float] = field(default_factory=dict)
    #: Figures that a cell gives besides, such as bytes it spilled.
    figures: dict[str, float] = field(default_factory=dict)
    #: Why a part could not be done, where a cell goes on after one that failed.
    failures: dict[str, str] = field(default_factory=dict)
    run_seconds: float = 0.0
    total_seconds: float = 0.0

    @contextmanager
    def clock(self, part: str | None = None) -> Iterator[None]:
        """Measures a block. What comes before the first one is start-up: imports and settings."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self.run_seconds += ended - began
        self.total_seconds = ended - float(os.environ.get(STARTED, began))
        if part is not None:
            self.parts[part] = ended - began

    def out_folder(self) -> str:
        """A new folder below ``out``, for engines that want one."""
        folder = self.out / "rows"
        folder.mkdir()
        return str(folder)


Rows = list[tuple[Any, ...]]
#: Rows that are compared between engines; None when the answer is what was written to ``out``; rows
#: by part where each part has an answer of its own.
Answer = Rows | dict[str, Rows] | None
Program = Callable[[Task], Answer]


@dataclass(frozen=True)
class Cell:
    """A program for one engine."""

    name: str
    engine: str
    program: Program
    #: Variants that it is run in; None: all.
    variants: tuple[str, ...] | None
    #: Environment that it is run with besides the suite's.
    env: dict[str, str]
    #: The part of the work that it does, at most 1; its time is divided by that. Below 1 its
    #: answer is checked at smoke size only, where every cell does all of the work.
    share: float
    #: Whether its answer is compared; a floor that does less than the whole is not.
    checked: bool
    #: Packages besides the engine's own, without which it is left out.
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Goal:
    """A figure of ours, or its ratio to the best of others, and its bound."""

    text: str
    variant: str
    at_most: float
    of: str = OURS
    #: Cells to compare with; empty: the figure itself counts.
    against: tuple[str, ...] = ()
    #: ``run_seconds``, ``total_seconds``, ``peak_bytes``, ``cpu_seconds``, a part's name, a figure
    #: that the cell gives, or ``geometric mean`` or ``worst part`` of the ratios of all parts.
    figure: str = "run_seconds"
    #: Variant of the cells to compare with; None: the same.
    other_variant: str | None = None


@dataclass(frozen=True)
class Limit:
    """Memory limits of a variant, in bytes, and how much data it takes at smoke size."""

    full_bytes: int
    smoke_bytes: int
    smoke_scale: float


@dataclass
class Workload:
    """A question, its variants and cells."""

    number: int
    name: str
    question: str
    variants: tuple[str, ...]
    #: Makes the data of a variant at a scale, or finds it; returns its folder.
    data: Callable[[str, float], Path]
    goals: tuple[Goal, ...] = ()
    #: Variants that run under a memory limit.
    limits: dict[str, Limit] = field(default_factory=dict)
    #: Column by which the answer must be in order, over all files.
    sorted_by: str | None = None
    #: Column of row numbers that must be in no order at all.
    shuffled: str | None = None
    #: Most seconds for all rounds of a variant after the first.
    budget_seconds: float = 60.0
    #: Seconds after which a cell is ended.
    cell_seconds: float = 120.0
    cells: list[Cell] = field(default_factory=list)

    def cell(
        self,
        name: str,
        *,
        variants: tuple[str, ...] | None = None,
        env: dict[str, str] | None = None,
        share: float = 1.0,
        checked: bool = True,
        needs: tuple[str, ...] = (),
    ) -> Callable[[Program], Program]:
        """Adds a cell. Its name is an engine, or an engine and an idiom: ``daft (functions)``."""
        engine = name.partition(" ")[0]
        if engine not in PACKAGES:
            raise ValueError(f"no engine `{engine}`")

        def add(program: Program) -> Program:
            made = Cell(name, engine, program, variants, env or {}, share, checked, needs)
            self.cells.append(made)
            return program

        return add

    def cells_of(self, variant: str) -> list[Cell]:
        """The cells of a variant, in the order they were added."""
        return [one for one in self.cells if one.variants is None or variant in one.variants]
