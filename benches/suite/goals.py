"""What was aimed at and what was measured, from the results alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from suite.cells import OURS, Goal, Workload
from suite.compare import figure

#: Figures over all parts of a cell: their mean, and the one that comes off worst.
MEAN, WORST = "geometric mean", "worst part"

#: What a local shuffle may cost, where it and the order of the files are variants.
SHUFFLE_COST = Goal(
    "local shuffle, of none",
    "local shuffle",
    1 / 0.9,
    against=("raceline",),
    other_variant="in order",
)

Variants = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Judged:
    """A goal with what was measured; None where its cells did not run to their end."""

    goal: Goal
    measured: float | None
    #: The cell that it was compared with, or what is missing.
    against: str
    #: Whether the cell that the goal is for failed or was void.
    failed: bool = False

    def met(self) -> bool | None:
        """None when nothing was measured; a cell that did not come to its end misses its goal."""
        if self.failed:
            return False
        return None if self.measured is None else self.measured <= self.goal.at_most


def judge(workload: Workload, variants: Variants) -> list[Judged]:
    """All goals of a workload."""
    return [_judge(goal, variants) for goal in workload.goals]


def _judge(goal: Goal, variants: Variants) -> Judged:
    here = variants.get(goal.variant, {}).get("cells", {})
    there = variants.get(goal.other_variant or goal.variant, {}).get("cells", {})
    if goal.of not in here:
        return Judged(goal, None, "not run")
    if here[goal.of]["outcome"] != "ok":
        return Judged(goal, None, here[goal.of]["outcome"], failed=True)
    if goal.figure in (MEAN, WORST):
        ratios = part_ratios(here, goal.of, goal.against)
        if not ratios:
            return Judged(goal, None, "peer not run")
        if goal.figure == MEAN:
            return Judged(goal, geometric_mean(ratios), " or ".join(goal.against))
        part = max(ratios, key=lambda name: ratios[name])
        return Judged(goal, ratios[part], part)
    measured = figure(here[goal.of], goal.figure)
    if measured is None:
        return Judged(goal, None, "no such figure")
    if not goal.against:
        return Judged(goal, measured, "")
    others = {name: figure(there[name], goal.figure) for name in goal.against if name in there}
    fine = {name: value for name, value in others.items() if value}
    if not fine:
        # A peer that cannot do it at all is no yardstick, but it is a result.
        ends = [there[name]["outcome"] for name in others]
        return Judged(goal, None, "; ".join(ends) or "peer not run")
    best = min(fine, key=lambda name: fine[name])
    ratios_here = variants[goal.variant].get("ratios", {})
    if goal.of == OURS and goal.figure in ratios_here.get(best, {}):
        return Judged(goal, ratios_here[best][goal.figure][0], best)
    return Judged(goal, measured / fine[best], best)


def part_ratios(
    cells: dict[str, dict[str, Any]], of: str, against: tuple[str, ...]
) -> dict[str, float]:
    """Each part's time of a cell over that of the best of others that have it."""
    ratios = {}
    for part in parts_of(cells.get(of, {})):
        mine = figure(cells[of], part)
        theirs = [figure(cells[name], part) for name in against if name in cells]
        known = [value for value in theirs if value]
        if mine is not None and known:
            ratios[part] = mine / min(known)
    return ratios


def parts_of(cell: dict[str, Any]) -> list[str]:
    """Names of a cell's parts, in the order in which they were run."""
    return list(next((one["parts"] for one in cell.get("runs", []) if one.get("parts")), {}))


def geometric_mean(ratios: dict[str, float]) -> float:
    """Of at least one ratio."""
    return math.exp(sum(math.log(ratio) for ratio in ratios.values()) / len(ratios))
