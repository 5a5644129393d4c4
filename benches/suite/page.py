"""The page of results: a text that follows from the results files and from nothing else."""

from __future__ import annotations

from typing import Any

from suite import engines
from suite.cells import OURS, Workload
from suite.compare import counted, figure
from suite.goals import Judged, geometric_mean, judge, part_ratios, parts_of

HEAD = """# Benchmarks

Made by `benches/report.py` from `benches/results/`; `make bench` measures anew.

"""

DEVELOPMENT = """**Development build.** The figures of {names} are of a build for development, less
optimised than a release, on a machine that other programs shared. They say where Raceline stands
among its peers, not how fast a release is.

"""

HOW = """## How it is measured

Each cell is a program of its own in a fresh process on two CPUs, with all that descends from it.
The cells of a variant run in turns, every other round backwards, up to three rounds; the first one
is dropped.

- *Run* is the work alone; *in all* begins with the process, imports and start-up included; both
  are medians. *CPU* is that of all processes.
- *Peak* is the most memory that the process tree held at once. *Spilled* is what it wrote to disk
  besides its answer, other temporary files included.
- *Ours / its* is Raceline's run time over that cell's in the same round: the median, and the least
  and the most; below 1, Raceline is faster. *Of CPU* is the same of CPU time, start-up included,
  which a shared machine disturbs less.

The answers of all cells of a variant must be equal, whatever the order of their rows, or a cell is
void. A cell that took ten times as long as Raceline is measured once more and no oftener. What
failed is shown as such.

How each engine is started:

"""

#: A results file's workload: what it holds, and on which date and machine it was taken.
Taken = tuple[Workload, dict[str, dict[str, Any]], dict[str, Any]]

#: By workload and the text of a goal, what a profile said.
Profiles = dict[str, dict[str, str]]


def page(taken: list[Taken], profiles: Profiles) -> str:
    """The whole page.

    Args:
        taken: The results.
        profiles: Where the time or the memory goes of goals that are missed.
    """
    names = [
        workload.name
        for workload, variants, _ in taken
        if any(found.get("profile") != "release" for found in variants.values())
    ]
    parts = [HEAD]
    if names:
        parts.append(DEVELOPMENT.format(names=", ".join(names)))
    parts += [
        _machines(taken),
        _goals(taken),
        _profiles(taken, profiles),
        _losses(taken),
        HOW,
        _settings(),
    ]
    parts += [_workload(*one) for one in taken]
    return "".join(parts).rstrip() + "\n"


def _settings() -> str:
    lines = (engines.__doc__ or "").splitlines()[2:]
    return "\n".join(lines).strip() + "\n\n"


def _machines(taken: list[Taken]) -> str:
    """What was used, once for each machine and date."""
    lines = []
    for number, (date, machine) in enumerate(_distinct(taken)):
        packages = ", ".join(
            f"{name} {version}" for name, version in machine["packages"].items() if version
        )
        names = [
            workload.name
            for workload, _, file in taken
            if (file["date"], file["machine"]) == (date, machine)
        ]
        lines.append(
            f"{'Also' if number else 'Measured'} on {date}: {machine['cpus']} CPUs "
            f"({machine['cpu']}), {machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, "
            f"Python {machine['python']}; {packages}. Workloads: {', '.join(names)}.\n\n"
        )
    return "".join(lines)


def _distinct(taken: list[Taken]) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    for _, _, file in taken:
        if (one := (file["date"], file["machine"])) not in found:
            found.append(one)
    return found


def _goals(taken: list[Taken]) -> str:
    lines = ["## Goals\n\n| workload | goal | at most | measured | |\n|---|---|---|---|---|\n"]
    for workload, variants, _ in taken:
        lines += [_goal(workload, judged) for judged in judge(workload, variants)]
    return "".join(lines) + "\n"


def _profiles(taken: list[Taken], profiles: Profiles) -> str:
    """What profiles say of the goals that are missed."""
    lines = [
        f"- *{workload.name}, {judged.goal.variant}: {judged.goal.text}.* {found}\n"
        for workload, variants, _ in taken
        for judged in judge(workload, variants)
        if judged.met() is False
        and (found := profiles.get(workload.name, {}).get(judged.goal.text))
    ]
    return "".join(["## Why goals are missed\n\n", *lines, "\n"]) if lines else ""


def _goal(workload: Workload, judged: Judged) -> str:
    goal, met = judged.goal, judged.met()
    bytes_ = goal.figure == "peak_bytes" and not goal.against

    def shown(value: float) -> str:
        return f"{value / 2**20:.0f} MiB" if bytes_ else f"{value:.3g}"

    measured = "" if judged.measured is None else shown(judged.measured)
    beside = f" ({judged.against})" if judged.against else ""
    word = {True: "met", False: "**missed**", None: "**not measured**"}[met]
    return (
        f"| {workload.name}, {goal.variant} | {goal.text} | {shown(goal.at_most)} "
        f"| {measured}{beside} | {word} |\n"
    )


def _losses(taken: list[Taken]) -> str:
    """Every peer that was faster, the largest loss first. Floors that do less are no peers."""
    lost = []
    for workload, variants, _ in taken:
        floors = {cell.name for cell in workload.cells if cell.engine == "python"}
        for variant, found in variants.items():
            for name, ratios in found["ratios"].items():
                if name.partition(" ")[0] == OURS or name in floors:
                    continue
                lost += [
                    (ratio, workload.name, f"{variant}{what}", name)
                    for what, ratio in _compared(ratios).items()
                    if ratio[0] > 1
                ]
    lost.sort(reverse=True)
    lines = ["## Where others are faster\n\n"]
    if not lost:
        return lines[0] + "Nowhere.\n\n"
    lines.append("| workload | faster | Raceline's time / its |\n|---|---|---|\n")
    lines += [
        f"| {workload}, {variant} | {name} | {_spread(ratio)} |\n"
        for ratio, workload, variant, name in lost
    ]
    return "".join(lines) + "\n"


def _compared(ratios: dict[str, list[float]]) -> dict[str, list[float]]:
    """Ratios that are told apart in the list of losses: of parts where there are any."""
    whole = {"run_seconds", "total_seconds", "cpu_seconds"}
    parts = {f", {name}": ratio for name, ratio in ratios.items() if name not in whole}
    return parts or {"": ratios["run_seconds"]}


def _workload(workload: Workload, variants: dict[str, dict[str, Any]], _file: Any) -> str:
    parts = [
        f"## {workload.number} {workload.name}\n\n{workload.question}\n\n",
        f"![times of {workload.name}](benchmarks/{workload.name}.svg)\n\n",
    ]
    parts += [_variant(variant, found) for variant, found in variants.items()]
    commands = [cell["command"] for found in variants.values() for cell in found["cells"].values()]
    parts.append("Commands:\n\n```\n" + "\n".join(commands) + "\n```\n\n")
    return "".join(parts)


def _variant(variant: str, found: dict[str, Any]) -> str:
    limit = found.get("limit_bytes")
    under = f", at most {limit / 2**20:.0f} MiB" if limit else ""
    lines = [f"### {variant}{under}\n\n"]
    if found["scale"] != 1:
        lines.append(f"At {found['scale']:g} of the full size.\n\n")
    if "skipped" in found:
        return "".join(lines) + f"Skipped: {found['skipped']}\n\n"
    lines.append(
        "| cell | run s | in all s | CPU s | peak MiB | spilled MiB | runs | ours / its "
        "| of CPU |\n"
        "|---|---|---|---|---|---|---|---|---|\n"
    )
    lines += [_row(name, cell, found["ratios"]) for name, cell in found["cells"].items()]
    for name, why in found["left_out"].items():
        lines.append(f"| {name} | left out: {why} | | | | | | | |\n")
    return "".join(lines) + "\n" + _parts(found)


def _row(name: str, cell: dict[str, Any], ratios: dict[str, Any]) -> str:
    if cell["outcome"] != "ok":
        return f"| {name} | **{_cut(cell['outcome'])}** | | | | | {len(cell['runs'])} | | |\n"
    run, total = figure(cell, "run_seconds") or 0.0, figure(cell, "total_seconds") or 0.0
    cpu = figure(cell, "cpu_seconds")
    peak = (figure(cell, "peak_bytes") or 0) / 2**20
    spilled = figure(cell, "spilled_bytes")
    ratio, of_cpu = (
        _spread(ratios[name][what]) if what in ratios.get(name, {}) else ""
        for what in ("run_seconds", "cpu_seconds")
    )
    label = name if cell["share"] == 1 else f"{name}, from {cell['share']:g} of the work"
    label += f" ({cell['note']})" if cell.get("note") else ""
    if failed := cell.get("failures"):
        label += f" (without {', '.join(failed)})"
    return (
        f"| {label} | {run:.3g} | {total:.3g} | {'' if cpu is None else f'{cpu:.3g}'} | {peak:.0f} "
        f"| {'' if spilled is None else f'{spilled / 2**20:.0f}'} "
        f"| {len(counted(cell))} | {ratio} | {of_cpu} |\n"
    )


def _cut(outcome: str) -> str:
    text = outcome.replace("|", "\\|")
    return text if len(text) <= 160 else text[:160] + "…"


def _spread(ratio: list[float]) -> str:
    return f"{ratio[0]:.3g} ({ratio[1]:.3g} to {ratio[2]:.3g})"


def _parts(found: dict[str, Any]) -> str:
    """Seconds of each part, where cells have parts."""
    cells = {name: cell for name, cell in found["cells"].items() if cell["outcome"] == "ok"}
    parts = parts_of(cells.get(OURS, {}))
    if not parts:
        return ""
    lines = ["| part, s | " + " | ".join(cells) + " |\n" + "|---" * (len(cells) + 1) + "|\n"]
    for part in parts:
        values = [figure(cell, part) for cell in cells.values()]
        shown = ["" if value is None else f"{value:.3g}" for value in values]
        lines.append(f"| {part} | " + " | ".join(shown) + " |\n")
    means = [part_ratios(cells, OURS, (name,)) for name in cells]
    shown = [f"{geometric_mean(ratios):.3g}" if ratios else "" for ratios in means]
    lines.append("| ours / its, geometric mean | " + " | ".join(shown) + " |\n")
    return "".join(lines) + "\n"
