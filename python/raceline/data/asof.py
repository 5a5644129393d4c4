"""Joins with the nearest row in time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

from raceline.data._arguments import column_names
from raceline.data.column_transforms import ColumnTransforms
from raceline.data.expressions import Expr, col, lit, when
from raceline.data.handle import Handle
from raceline.errors import ColumnNotFoundError, PlanError

__all__ = ["AsofJoins"]

Direction = Literal["backward", "forward", "nearest"]

_MATCHES = {"backward": ("before",), "forward": ("behind",), "nearest": ("before", "behind")}
# How rows come so that the match is the last row of the other side before this one.
_ORDERS = {"before": "asc", "behind": "desc"}


class AsofJoins(ColumnTransforms):
    """The part of a dataset that is joined with the nearest row of another one."""

    __slots__ = ()

    def join_asof(
        self,
        other: Handle,
        *,
        on: str,
        by: str | Sequence[str] = (),
        direction: Direction = "backward",
        tolerance: Any = None,
        right_suffix: str | None = None,
    ) -> Self:
        """Joins each row with the row of another dataset that is nearest by a number or time.

        All rows of this dataset stay, in any order. Behind its columns come those of the other one
        without ``on`` and ``by``, missing where nothing matches. A missing ``on`` or ``by`` matches
        nothing. Of several rows that are equally near, one is taken. The columns of both must be
        known, for which the first rows may be run. The rows are sorted, on disk where they do not
        fit into memory.

        Args:
            other: The other dataset.
            on: The column of numbers or times, of both.
            by: Columns, of both, that must be equal.
            direction: Which match: ``"backward"``: the last one at or before the row;
                ``"forward"``: the first one at or behind it; ``"nearest"``: the nearer of these,
                of two the one before.
            tolerance: How far away it may be: a number, or a timedelta; None is any distance.
            right_suffix: Appended to the names of columns of the other dataset that this one has.

        Raises:
            PlanError: There is no such direction, or both have a column of one name and there is
                no suffix.
            ColumnNotFoundError: A column of ``on`` or ``by`` is not there.

        Example:
            >>> import raceline
            >>> trades = raceline.from_items([{"t": 3, "n": 1}, {"t": 9, "n": 2}])
            >>> quotes = raceline.from_items([{"t": 2, "price": 1.5}, {"t": 8, "price": 1.75}])
            >>> trades.join_asof(quotes, on="t").sort("t").take_all()
            [{'t': 3, 'n': 1, 'price': 1.5}, {'t': 9, 'n': 2, 'price': 1.75}]
        """
        if direction not in _MATCHES:
            raise PlanError(
                f"an asof join has no direction `{direction}`",
                hint="pass backward, forward or nearest",
            )
        keys = column_names(by, "by") if by else []
        left, right = _columns(self, [on, *keys]), _columns(other, [on, *keys])
        taken = [name for name in right if name not in (on, *keys)]
        named = {name: _name(name, left, right_suffix) for name in taken}
        matches = _MATCHES[direction]
        joined = self._matched(other, (on, keys), (left, taken), matches)
        chosen = {match: _match(match, on, tolerance) for match in matches}
        if direction == "nearest":
            before, behind = chosen["before"], chosen["behind"]
            is_nearer = _distance("before", on) <= _distance("behind", on)
            chosen = {"before": before & (is_nearer | behind.not_in([True])), "behind": behind}
        columns: dict[str, Expr] = {}
        for at, name in enumerate(taken):
            value: Any = when(chosen[matches[0]]).then(_part(matches[0], at))
            for match in matches[1:]:
                value = value.when(chosen[match]).then(_part(match, at))
            columns[named[name]] = value
        made = self._derive(joined).with_columns(columns)
        return self._derive(made._native.drop([_held(match) for match in matches]))

    def _matched(
        self,
        other: Handle,
        on_by: tuple[str, list[str]],
        columns: tuple[list[str], list[str]],
        matches: Sequence[str],
    ) -> Any:
        """The rows of this dataset with their matches, each a struct of its place and values."""
        from raceline._session import session

        (on, keys), (left, taken) = on_by, columns
        by = [f"k{at}" for at in range(len(keys))]
        of_both = ", ".join(
            [
                f"{_quoted(on)} as o",
                *(f"{_quoted(k)} as {b}" for k, b in zip(keys, by, strict=True)),
            ]
        )
        own = ", ".join(f"{_quoted(name)} as l{at}" for at, name in enumerate(left))
        parts = ", ".join(
            ["'o'", _quoted(on), *(f"'{at}', {_quoted(one)}" for at, one in enumerate(taken))]
        )
        nothing = ", ".join("null" for _ in left)
        # Names are quoted, and nothing else of a user stands in the text.
        both = (
            f"select {of_both}, 1 as side, {own}, null as m from l union all "  # noqa: S608
            f"select {of_both}, 0 as side, {nothing}, named_struct({parts}) as m from r "
            f"where {' and '.join(f'{_quoted(one)} is not null' for one in (on, *keys))}"
        )
        windows = [
            f"last_value(m) ignore nulls over ({f'partition by {chr(44).join(by)} ' if by else ''}"
            f"order by o {_ORDERS[match]} nulls last, side "
            f"rows between unbounded preceding and current row) as {match}"
            for match in matches
        ]
        names = ", ".join(f"l{at} as {_quoted(name)}" for at, name in enumerate(left))
        is_key = " and ".join(f"{one} is not null" for one in ("o", *by))
        held = ", ".join(
            f"case when {is_key} then {match} end as {_quoted(_held(match))}" for match in matches
        )
        query = (
            f"select {names}, {held} from (select *, {', '.join(windows)} from ({both})) "  # noqa: S608
            "where side = 1"
        )
        return session().sql(query, [("l", self._native), ("r", other._native)])


def _columns(dataset: Handle, needed: Sequence[str]) -> list[str]:
    """Names of the columns of a dataset, which must have some."""
    schema = dataset._native.schema(True)
    if schema is None:
        raise PlanError(
            "an asof join needs to know the columns, and there are no rows to tell them",
            hint="give the dataset a schema",
        )
    for name in needed:
        if name not in schema.names:
            columns = ", ".join(f"`{one}`" for one in schema.names)
            raise ColumnNotFoundError(f"no column `{name}`\n  columns: {columns}")
    return schema.names


def _name(name: str, left: Sequence[str], suffix: str | None) -> str:
    """What a column of the other side is called."""
    if name not in left:
        return name
    if suffix is None or name + suffix in left:
        raise PlanError(
            f"both sides of the join have a column `{name}`",
            hint="set `right_suffix`, or drop or rename one of them",
        )
    return name + suffix


def _held(match: str) -> str:
    """The column that holds the matches."""
    return f"__raceline_{match}"


def _part(match: str, at: int) -> Expr:
    """A value of a match."""
    return col(_held(match)).struct.field(str(at))


def _distance(match: str, on: str) -> Expr:
    """How far a match is away."""
    place = col(_held(match)).struct.field("o")
    return col(on) - place if match == "before" else place - col(on)


def _match(match: str, on: str, tolerance: Any) -> Expr:
    """Whether there is a match that is near enough."""
    is_there = col(_held(match)).is_not_null()
    return is_there if tolerance is None else is_there & (_distance(match, on) <= lit(tolerance))


def _quoted(name: str) -> str:
    """A name for SQL, letter for letter."""
    return '"' + name.replace('"', '""') + '"'
