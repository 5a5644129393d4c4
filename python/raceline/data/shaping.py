"""Transforms without a user's function: columns, order, number, union and zip of rows."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

from raceline.data._arguments import distinct_names, whole_number
from raceline.data.handle import Handle
from raceline.data.ray_arguments import STAGE_ARGUMENTS, accepts
from raceline.data.shuffling import seed_of
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline import _native

__all__ = ["MixStoppingCondition", "ShapingTransforms"]


class MixStoppingCondition(enum.Enum):
    """When a mix of datasets ends.

    Example:
        >>> import raceline
        >>> from raceline.data import MixStoppingCondition
        >>> few, many = raceline.range(2), raceline.range(100)
        >>> few.mix(many, stopping_condition=MixStoppingCondition.STOP_ON_SHORTEST).count()
        4
    """

    #: With the first dataset of which a row would be next and is not there.
    STOP_ON_SHORTEST = "stop_on_shortest"
    #: With the last; the others are left out as they end.
    STOP_ON_LONGEST_DROP = "stop_on_longest_drop"


class ShapingTransforms(Handle):
    """The part of a dataset that selects and orders columns and rows. All of it is lazy.

    A column that does not exist raises ``ColumnNotFoundError`` with the nearest names: at once
    where the columns are known, else when the dataset is run.
    """

    __slots__ = ()

    @accepts(STAGE_ARGUMENTS)
    def select_columns(self, cols: str | Sequence[str]) -> Self:
        """Keeps these columns, in this order.

        Args:
            cols: Names of columns.

        Raises:
            PlanError: A name comes twice.

        Example:
            >>> import raceline
            >>> rows = raceline.from_items([{"a": 1, "b": 2, "c": 3}])
            >>> rows.select_columns(["c", "a"]).take_all()
            [{'c': 3, 'a': 1}]
        """
        return self._derive(self._native.select(distinct_names(cols)))

    @accepts(STAGE_ARGUMENTS)
    def drop_columns(self, cols: str | Sequence[str]) -> Self:
        """Leaves these columns out.

        Args:
            cols: Names of columns; none is no change.

        Raises:
            PlanError: A name comes twice.
            ColumnNotFoundError: A column does not exist; maybe only when the dataset is run.

        Example:
            >>> import raceline
            >>> raceline.from_items([{"a": 1, "b": 2}]).drop_columns("a").take_all()
            [{'b': 2}]
        """
        names = distinct_names(cols)
        if not names:
            return self
        # Raises where the columns are known and one of them is not there.
        self._native.select(names).schema(False)
        return self._derive(self._native.drop(names))

    @accepts(STAGE_ARGUMENTS)
    def rename_columns(self, names: Mapping[str, str] | Sequence[str]) -> Self:
        """Gives columns new names; their positions stay.

        Args:
            names: Old name to new name, or the new names of all columns, for which the columns
                must be known: this may run the first rows.

        Raises:
            PlanError: There are no names, a new one is empty or comes twice, or the list has not
                one name a column.

        Example:
            >>> import raceline
            >>> raceline.range(1).rename_columns({"id": "row"}).take_all()
            [{'row': 0}]
        """
        if isinstance(names, str) or not names:
            raise PlanError(f"`names` must be a dict or a list of names, got `{names!r}`")
        if isinstance(names, Mapping):
            pairs = list(names.items())
        else:
            schema = self._native.schema(True)
            old, new = [] if schema is None else schema.names, list(names)
            if len(old) != len(new):
                raise PlanError(f"{len(new)} names are given for {len(old)} columns")
            pairs = list(zip(old, new, strict=True))
        if not all(distinct_names([new for _, new in pairs])):
            raise PlanError("a column's new name must not be empty")
        return self._derive(self._native.rename(pairs))

    def limit(self, limit: int) -> Self:
        """Keeps the first rows; what comes before stops early.

        Args:
            limit: At most this many rows.

        Raises:
            PlanError: The limit is no int of at least 0.

        Example:
            >>> import raceline
            >>> raceline.range(1_000_000_000).limit(2).take_all()
            [{'id': 0}, {'id': 1}]
        """
        return self._derive(self._native.limit(whole_number("limit", limit, 0)))

    def sort(
        self,
        key: str | Sequence[str],
        descending: bool | Sequence[bool] = False,
        boundaries: Sequence[float] | None = None,
    ) -> Self:
        """Sorts the rows. Missing values come last in both directions; ties in any order.

        Args:
            key: Columns, the most significant first.
            descending: Whether the greatest value comes first, for all or for each column.
            boundaries: Without effect: the rows are sorted as a whole, within the memory budget,
                and are in no blocks that boundaries would tell apart.

        Raises:
            PlanError: No column is given, not one direction a column, or a boundary is no number.

        Example:
            >>> import raceline
            >>> raceline.range(3).sort("id", descending=True).take_all()
            [{'id': 2}, {'id': 1}, {'id': 0}]
        """
        keys = distinct_names(key)
        directions = list(descending) if isinstance(descending, Sequence) else [descending]
        if not all(isinstance(one, bool) for one in directions):
            raise PlanError(f"`descending` must be True or False, got `{descending!r}`")
        if isinstance(descending, bool):
            directions *= len(keys)
        for one in boundaries or ():
            if not isinstance(one, int | float) or isinstance(one, bool):
                raise PlanError(f"`boundaries` must be a list of numbers, got `{boundaries!r}`")
        if not keys:
            raise PlanError("`sort` needs at least one column")
        if len(directions) != len(keys):
            raise PlanError(
                f"`descending` has {len(directions)} values for {len(keys)} sort columns"
            )
        return self._derive(self._native.sort(keys, directions))

    def union(self, *other: Handle | Iterable[Handle]) -> Self:
        """All rows of this dataset, then all rows of each other one, in order.

        A column that a dataset lacks is missing in its rows.

        Args:
            *other: Datasets, or lists of them.

        Raises:
            PlanError: Something is no dataset.

        Example:
            >>> import raceline
            >>> raceline.range(2).union(raceline.range(1)).take_all()
            [{'id': 0}, {'id': 1}, {'id': 0}]
        """
        return self._derive(self._native.union(_datasets("union", other)))

    def mix(
        self,
        *other: Handle | Iterable[Handle],
        weights: Sequence[float] | None = None,
        stopping_condition: MixStoppingCondition = MixStoppingCondition.STOP_ON_LONGEST_DROP,
    ) -> Self:
        """The rows of this dataset and of others, interleaved row by row, by weights.

        The next row is always of the dataset that is furthest behind its weight, so that any
        stretch of rows has them in proportion, and each run has the same order. A column that a
        dataset lacks is missing in its rows.

        Args:
            *other: Datasets, or lists of them.
            weights: Rows of each dataset, this one first, among those of all; None is equal ones.
            stopping_condition: Whether a dataset that has no more rows is left out, or ends all.

        Raises:
            PlanError: Something is no dataset, or there is not one positive weight for each.

        Example:
            >>> import raceline
            >>> code, prose = raceline.from_items(["a", "b"]), raceline.from_items(["x", "y", "z"])
            >>> [row["item"] for row in code.mix(prose, weights=[1, 2]).take_all()]
            ['x', 'a', 'y', 'z', 'b']
        """
        others = _datasets("mix", other)
        shares = [1.0] * (1 + len(others)) if weights is None else list(weights)
        if len(shares) != 1 + len(others):
            raise PlanError(f"{len(shares)} weights are given for {1 + len(others)} datasets")
        for share in shares:
            is_number = isinstance(share, int | float) and not isinstance(share, bool)
            if not is_number or not 0 < share < math.inf:
                raise PlanError(f"a weight must be a positive number, got `{share!r}`")
        try:
            condition = MixStoppingCondition(stopping_condition)
        except ValueError:
            raise PlanError(
                f"there is no stopping condition `{stopping_condition!r}`",
                hint="pass `MixStoppingCondition.STOP_ON_SHORTEST` or `STOP_ON_LONGEST_DROP`",
            ) from None
        stops_early = condition is MixStoppingCondition.STOP_ON_SHORTEST
        return self._derive(self._native.mix(others, [float(one) for one in shares], stops_early))

    def zip(self, *other: Handle) -> Self:
        """The columns of this dataset and of each other one, row by row.

        A column whose name was there before is called ``name_1``, the next one ``name_2``.

        Args:
            *other: Datasets with as many rows as this one.

        Raises:
            PlanError: Something is no dataset; when the dataset is run, the numbers of rows
                differ. A ``PlanError`` is a ``ValueError``.

        Example:
            >>> import raceline
            >>> left, right = raceline.range(2), raceline.from_items([{"x": "a"}, {"x": "b"}])
            >>> left.zip(right).take_all()
            [{'id': 0, 'x': 'a'}, {'id': 1, 'x': 'b'}]
        """
        return self._derive(self._native.zip(_datasets("zip", other)))

    def repartition(
        self,
        num_blocks: int | None = None,
        target_num_rows_per_block: int | None = None,
        *,
        strict: bool = False,
        shuffle: bool = False,
        keys: str | Sequence[str] | None = None,
        sort: bool = False,
    ) -> Self:
        """Cuts the rows anew. Their order stays, unless they are shuffled or brought together.

        With ``num_blocks`` all rows are gathered first: in memory up to an eighth of the
        session's, the rest on disk. A batch of more than 8 MiB, or less where memory is scarce,
        comes in several. With ``target_num_rows_per_block`` the rows stream. With ``keys`` the rows
        with equal keys are in one batch, as far as that is not too large; None and NaN are one key.

        Args:
            num_blocks: Number of batches, of equal size; as many as there are rows where those
                are fewer.
            target_num_rows_per_block: Most rows of a batch.
            strict: Whether every batch but the last has exactly ``target_num_rows_per_block``
                rows; else batches are cut, and never joined.
            shuffle: Whether the rows are put into a random order first.
            keys: Columns whose values decide where a row goes; the batches have any order then, and
                those without rows are left out.
            sort: Whether the rows of each batch are sorted by ``keys``.

        Raises:
            PlanError: None or both of the numbers are given, one is no int of at least 1, or
                arguments do not go together.
            ColumnNotFoundError: A key does not exist; maybe only when the dataset is run.

        Example:
            >>> import raceline
            >>> parts = raceline.range(10).repartition(5).iter_batches(batch_size=None)
            >>> [len(part["id"]) for part in parts]
            [2, 2, 2, 2, 2]
            >>> rows = raceline.range(10).repartition(target_num_rows_per_block=4, strict=True)
            >>> [len(part["id"]) for part in rows.iter_batches(batch_size=None)]
            [4, 4, 2]
            >>> rows = raceline.from_items([{"a": 2}, {"a": 1}, {"a": 2}, {"a": 1}])
            >>> rows.repartition(1, keys=["a"], sort=True).take_all()
            [{'a': 1}, {'a': 1}, {'a': 2}, {'a': 2}]
        """
        if (num_blocks is None) == (target_num_rows_per_block is None):
            raise PlanError(
                "`repartition` needs one of `num_blocks` and `target_num_rows_per_block`"
            )
        for name, flag in (("strict", strict), ("shuffle", shuffle), ("sort", sort)):
            if not isinstance(flag, bool):
                raise PlanError(f"`{name}` must be True or False, got `{flag!r}`")
        if target_num_rows_per_block is not None:
            if shuffle or sort or keys is not None:
                raise PlanError("`shuffle`, `keys` and `sort` go with `num_blocks`")
            rows = whole_number("target_num_rows_per_block", target_num_rows_per_block, 1)
            return self._derive(self._native.repartition_rows(rows, strict))
        if strict:
            raise PlanError("`strict` goes with `target_num_rows_per_block`")
        parts = whole_number("num_blocks", num_blocks, 1)
        if keys is not None:
            return self._derive(self._native.repartition_by(_key_names(keys), parts, sort))
        if sort:
            raise PlanError("`sort` goes with `keys`", hint="or sort all rows: `sort(...)`")
        native = self._native.random_shuffle(seed_of(None)) if shuffle else self._native
        return self._derive(native.repartition(parts))


def _key_names(keys: str | Sequence[str]) -> list[str]:
    """Key columns, of which there is one at least."""
    names = distinct_names(keys, "keys")
    if not names:
        raise PlanError("`keys` must name a column")
    return names


def _datasets(name: str, values: Iterable[Handle | Iterable[Handle]]) -> list[_native.Dataset]:
    """Datasets, and lists of them, as the engine takes them."""
    others: list[Handle] = []
    for one in values:
        if isinstance(one, Iterable) and not isinstance(one, Handle):
            others.extend(one)
        else:
            others.append(one)
    for one in others:
        if not isinstance(one, Handle):
            raise PlanError(f"`{name}` takes datasets, got `{one!r}`")
    return [one._native for one in others]
