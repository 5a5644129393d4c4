"""Bars of the times of a workload's cells as SVG, the same text for the same results."""

from __future__ import annotations

from html import escape
from typing import Any

from suite.cells import OURS
from suite.compare import figure

_WIDTH, _LEFT, _RIGHT, _BAR, _GAP = 720, 190, 90, 16, 6


def bars(variants: dict[str, dict[str, Any]]) -> str:
    """One group of bars a variant, each to its own scale; what failed has no bar but says why."""
    lines: list[str] = []
    y = 8
    for variant, found in variants.items():
        cells = found["cells"]
        if not cells:
            continue
        y += 14
        lines.append(f'<text x="8" y="{y}" font-weight="bold">{escape(variant)}</text>')
        y += 8
        times = {name: figure(cell, "run_seconds") for name, cell in cells.items()}
        most = max((value for value in times.values() if value), default=1.0)
        for name, seconds in times.items():
            lines.append(_bar(y, name, seconds, most, cells[name]["outcome"]))
            y += _BAR + _GAP
        y += 8
    body = "\n".join(lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _bar(y: int, name: str, seconds: float | None, most: float, outcome: str) -> str:
    label = f'<text x="{_LEFT - 8}" y="{y + 12}" text-anchor="end">{escape(name)}</text>'
    if seconds is None:
        why = escape(outcome[:70])
        return f'{label}<text x="{_LEFT}" y="{y + 12}" fill="#a03030">{why}</text>'
    length = max((_WIDTH - _LEFT - _RIGHT) * seconds / most, 1.0)
    colour = "#d9541e" if name.partition(" ")[0] == OURS else "#8a99a8"
    return (
        f'{label}<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{y + 12}">{seconds:.3g} s</text>'
    )
