"""How a dataset looks at a prompt and in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from raceline.data.consumption import Consumption
from raceline.data.identity import Identity
from raceline.data.iterator import all_rows_of
from raceline.errors import RacelineError

__all__ = ["Display"]

# Rows that are shown of a dataset whose rows are there.
_ROWS = 10
# Columns that are shown at either end, where there are more than both together.
_COLUMNS = 10
_CELL_CHARACTERS = 40
# More rows than there can be.
_COUNTED = 2**62
_MORE = "…"


class Display(Consumption, Identity):
    """The part of a dataset that shows it. Only rows that are in memory or kept are shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        """A table of the columns, with the first rows where these are there.

        The plan, where the columns are not known without a run. Never raises.
        """
        lines = [] if self.name is None else [f"name: {self.name}"]
        seen = self._seen()
        if isinstance(seen, str):
            return "\n".join([*lines, seen])
        return "\n".join([*lines, f"shape: {seen.shape}", *_box(seen), seen.footer])

    def _repr_html_(self) -> str:
        """The same for a notebook."""
        import html

        name = "" if self.name is None else f"<p>name: {html.escape(self.name)}</p>"
        seen = self._seen()
        if isinstance(seen, str):
            return f"{name}<pre>{html.escape(seen)}</pre>"
        return (
            f"{name}<p>shape: {seen.shape}</p>{_html_table(seen)}<p>{html.escape(seen.footer)}</p>"
        )

    def _seen(self) -> _Seen | str:
        """What there is to see without a run: the columns, or the plan."""
        plan = self._native.plan().rstrip()
        try:
            columns = self._native.schema(False)
            if columns is None:
                return plan
            is_source = "\n" not in plan
            is_there = self._native.kept_size() is not None or (
                is_source and plan.startswith("From")
            )
            is_counted = is_there or (is_source and plan.startswith("Range("))
            # Of other plans, so that `stats` of this one tell of no such run.
            first = all_rows_of(self._native.limit(_ROWS)) if is_there else None
            count = self._native.limit(_COUNTED).count() if is_counted else None
        except (RacelineError, RuntimeError) as error:
            return f"{plan}\n(its columns are unknown: {str(error).splitlines()[0]})"
        return _Seen.of(columns.names, columns.types, first, count)


class _Seen(NamedTuple):
    """The cells of a table, as texts; of no rows where the dataset was not materialized."""

    names: list[str]
    kinds: list[str]
    rows: list[list[str]]
    shape: str
    footer: str

    @classmethod
    def of(
        cls, names: list[str], kinds: list[str], rows: list[Any] | None, count: int | None
    ) -> _Seen:
        """Those of some columns and of the first of so many rows; None where these are unknown."""
        shape = f"({'?' if count is None else count}, {len(names)})"
        at = list(range(len(names)))
        if len(names) > 2 * _COLUMNS:
            at = [*at[:_COLUMNS], -1, *at[-_COLUMNS:]]
        cells = [
            [_MORE if place < 0 else _cell(_value(row, names[place])) for place in at]
            for row in rows or []
        ]
        footer = "(Dataset isn't materialized)"
        if rows is not None:
            footer = f"(Showing {len(rows)} of {count} rows)"
        shown_names = [_MORE if place < 0 else _cell(names[place]) for place in at]
        shown_kinds = [_MORE if place < 0 else _cell(kinds[place]) for place in at]
        return cls(shown_names, shown_kinds, cells, shape, footer)


def _value(row: Any, name: str) -> Any:
    """The value of a column; a row of plain values is the value."""
    return row.get(name) if isinstance(row, dict) else row


def _cell(value: Any) -> str:
    """A value on one line, cut where it is long."""
    if hasattr(value, "shape") and hasattr(value, "dtype") and value.shape:
        text = f"{type(value).__name__}(shape={tuple(value.shape)}, dtype={value.dtype})"
    else:
        text = value if isinstance(value, str) else repr(value)
    text = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text[:_CELL_CHARACTERS])
    return text if len(text) < _CELL_CHARACTERS else text[: _CELL_CHARACTERS - 1] + _MORE


def _box(seen: _Seen) -> list[str]:
    """The lines of a table in a box."""
    head = [seen.names, ["---"] * len(seen.names), seen.kinds]
    widths = [max(map(len, column)) for column in zip(*head, *seen.rows, strict=True)]
    if not widths:
        return ["(no columns)"]

    def line(cells: Sequence[str]) -> str:
        padded = (f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True))
        return f"│ {' ┆ '.join(padded)} │"

    def rule(left: str, fill: str, between: str, right: str) -> str:
        return left + between.join(fill * (width + 2) for width in widths) + right

    body = [rule("╞", "═", "╪", "╡"), *map(line, seen.rows)] if seen.rows else []
    return [rule("╭", "─", "┬", "╮"), *map(line, head), *body, rule("╰", "─", "┴", "╯")]


def _html_table(seen: _Seen) -> str:
    """The table in HTML, in which nothing that comes of the data is markup."""
    import html

    heads = "".join(
        f"<th>{html.escape(name)}<br><small>{html.escape(kind)}</small></th>"
        for name, kind in zip(seen.names, seen.kinds, strict=True)
    )
    rows = "".join(
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in seen.rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
