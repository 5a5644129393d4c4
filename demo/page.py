"""The demo's report: one HTML file that needs nothing else."""

import base64
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.6rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.row { display: grid; grid-template-columns: 11rem 1fr 16rem; gap: .6rem; align-items: center }
.name { text-align: right; overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.bar { height: .8rem; background: #2a6f97; border-radius: 2px; min-width: 1px }
.below { background: #bc6c25 }
.note { color: #555; font-variant-numeric: tabular-nums }
.pictures { display: flex; flex-wrap: wrap; gap: .8rem }
figure { margin: 0; width: 96px } figcaption { font-size: .75rem; color: #555;
  overflow: hidden; text-overflow: ellipsis }
img { display: block; border-radius: 3px }
"""


def bars(title: str, rows: Iterable[tuple[str, float, str]]) -> str:
    """A section of horizontal bars: name, length, note. Those below 0 have another colour."""
    rows = list(rows)
    longest = max((abs(length) for _, length, _ in rows), default=0) or 1
    lines = [
        f'<div class="row"><div class="name">{escape(name)}</div>'
        f'<div class="bar{" below" if length < 0 else ""}" '
        f'style="width:{abs(length) / longest * 100:.1f}%"></div>'
        f'<div class="note">{escape(note)}</div></div>'
        for name, length, note in rows
    ]
    return f"<h2>{escape(title)}</h2>" + "".join(lines)


def pictures(title: str, rows: Iterable[Row]) -> str:
    """A contact sheet: each row has `name`, `png` (bytes) and `brightness` (0 to 1)."""
    figures = [
        f'<figure><img width="96" height="96" alt="{escape(row["name"])}" '
        f'src="data:image/png;base64,{base64.b64encode(row["png"]).decode()}">'
        f"<figcaption>{escape(row['name'])}<br>brightness {row['brightness']:.2f}</figcaption>"
        "</figure>"
        for row in rows
    ]
    return f'<h2>{escape(title)}</h2><div class="pictures">{"".join(figures)}</div>'


def write(path: Path, lead: str, sections: Iterable[str]) -> None:
    """Writes the page."""
    path.write_text(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Raceline demo</title>'
        f"<style>{STYLE}</style><h1>Raceline demo</h1><p>{escape(lead)}</p>{''.join(sections)}",
        encoding="utf-8",
    )
