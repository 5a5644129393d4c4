"""One dataset as several."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self, cast

from raceline.data._arguments import whole_number
from raceline.data.consumption import Consumption
from raceline.data.expressions import col
from raceline.data.shaping import ShapingTransforms
from raceline.data.shuffling import ShufflingTransforms
from raceline.data.transforms import FunctionTransforms
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["Splits"]

# Column that parts are told from each other by, while they are made.
_PLACE = "__raceline_place"


class Splits(FunctionTransforms, ShapingTransforms, ShufflingTransforms, Consumption):
    """The part of a dataset that makes several of it.

    All of it runs the dataset once and keeps its rows as ``materialize`` does; the parts share
    them. Their rows are in the order of the dataset.
    """

    __slots__ = ()

    def split(
        self, n: int, *, equal: bool = False, locality_hints: Sequence[Any] | None = None
    ) -> list[Self]:
        """Parts of neighbouring rows.

        Args:
            n: How many.
            equal: Whether all have the same number of rows, for which up to ``n - 1`` of the last
                rows are left out; else their numbers differ by at most one.
            locality_hints: Without effect: there is one machine.

        Raises:
            PlanError: ``n`` is no int of at least 1.

        Example:
            >>> import raceline
            >>> [part.count() for part in raceline.range(10).split(3, equal=True)]
            [3, 3, 3]
            >>> [part.count() for part in raceline.range(10).split(3)]
            [3, 3, 4]
        """
        whole_number("n", n, 1)
        kept, rows = self._placed()
        if equal:
            return self._ranges(kept, [rows // n * at for at in range(n + 1)])
        return self._ranges(kept, [rows * at // n for at in range(n + 1)])

    def split_at_indices(self, indices: Sequence[int]) -> list[Self]:
        """Parts that end before these rows, and one of the rest; as ``numpy.split``.

        Args:
            indices: Rows, from 0, that do not fall; beyond the end are none.

        Raises:
            PlanError: There are none, one is negative, or they fall.

        Example:
            >>> import raceline
            >>> [part.count() for part in raceline.range(10).split_at_indices([2, 5])]
            [2, 3, 5]
        """
        cuts = [whole_number("indices", one, 0) for one in indices]
        if not cuts:
            raise PlanError("`indices` names no row to split at")
        if cuts != sorted(cuts):
            raise PlanError(f"`indices` must not fall, got `{cuts!r}`")
        kept, rows = self._placed()
        return self._ranges(kept, [0, *(min(one, rows) for one in cuts), rows])

    def split_proportionately(self, proportions: Sequence[float]) -> list[Self]:
        """Parts of these proportions of the rows, and one of the rest.

        No part is empty: one that would be takes a row of its neighbour.

        Args:
            proportions: Positive numbers whose sum is below 1.

        Raises:
            PlanError: They are something else, or there are fewer rows than parts.

        Example:
            >>> import raceline
            >>> [part.count() for part in raceline.range(10).split_proportionately([0.2, 0.5])]
            [2, 5, 3]
        """
        sums = list(itertools.accumulate(proportions))
        if not sums or min(proportions) <= 0 or sums[-1] >= 1:
            raise PlanError(
                "`proportions` must be positive numbers whose sum is below 1, got "
                f"`{proportions!r}`"
            )
        kept, rows = self._placed()
        if rows <= len(sums):
            raise PlanError(
                f"{rows} rows are too few for {len(sums) + 1} parts, none of them empty"
            )
        cuts = [max(int(rows * one), at) for at, one in enumerate(sums, 1)] + [rows]
        for at in reversed(range(len(sums))):
            cuts[at] = min(cuts[at], cuts[at + 1] - 1)
        return self._ranges(kept, [0, *cuts])

    def train_test_split(
        self,
        test_size: float,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        stratify: str | None = None,
    ) -> tuple[Self, Self]:
        """A part to train on, and a smaller one to test on: the last rows.

        Args:
            test_size: Its size: a part of all rows between 0 and 1, or a number of rows.
            shuffle: Whether the rows are brought into random order before.
            seed: With one, always into the same order.
            stratify: A column whose values come in both parts in the same proportions; the rows to
                test on are the last ones of each value. Excludes ``shuffle``.

        Returns:
            The rows to train on, and those to test on.

        Raises:
            PlanError: ``test_size`` is out of range, or the arguments exclude each other.
            ColumnNotFoundError: The column does not exist.

        Example:
            >>> import raceline
            >>> train, test = raceline.range(10).train_test_split(0.3)
            >>> train.count(), test.take_all()
            (7, [{'id': 7}, {'id': 8}, {'id': 9}])
        """
        is_part = _is_part(test_size)
        if stratify is not None:
            if shuffle:
                raise PlanError("`stratify` excludes `shuffle`")
            return self._stratified(test_size, stratify, is_part=is_part)
        dataset = self.random_shuffle(seed=seed) if shuffle else self
        kept, rows = dataset._placed()
        _check_test_rows(test_size, rows, is_part=is_part)
        cut = int(rows * (1 - test_size)) if is_part else rows - int(test_size)
        train, test = self._ranges(kept, [0, cut, rows])
        return train, test

    def _placed(self) -> tuple[Self, int]:
        """The rows, kept, with their places from 0 as a column; and how many there are."""
        numbered = self.map_batches(Places, batch_format="pyarrow", debug=True)
        kept = cast("Self", numbered.materialize())
        return kept, kept.count()

    def _ranges(self, kept: Self, cuts: Sequence[int]) -> list[Self]:
        """The rows between each cut and the next."""
        from raceline.data.dataset import MaterializedDataset

        place = col(_PLACE)
        parts = (
            self.limit(0)
            if cuts[-1] == 0
            else kept.filter(expr=(place >= first) & (place < end)).drop_columns(_PLACE)
            for first, end in itertools.pairwise(cuts)
        )
        return [cast("Self", MaterializedDataset(part._native)) for part in parts]

    def _stratified(self, test_size: float, name: str, *, is_part: bool) -> tuple[Self, Self]:
        """Parts in which each value of a column has its share."""
        from raceline.data.preprocessors.categories import value_counts

        counts = value_counts(cast("Dataset", self), [name], items=False, missing=True)[name]
        rows = counts.total()
        _check_test_rows(test_size, rows, is_part=is_part)
        share = test_size if is_part else test_size / rows
        trained = {value: count - int(count * share) for value, count in counts.items()}
        firsts = self.map_batches(
            FirstOfEach, fn_constructor_args=[name, trained], batch_format="pyarrow", debug=True
        )
        flagged = cast("Self", firsts.materialize())
        flag = col(_PLACE)
        train, test = (flagged.filter(expr=one).drop_columns(_PLACE) for one in (flag, ~flag))
        return train, test


class Places:
    """Numbers the rows from 0; made anew for each run, in which it sees them in order."""

    def __init__(self) -> None:
        """Begins at 0."""
        self._next = 0

    def __call__(self, table: pa.Table) -> Any:
        """The rows with their numbers."""
        import numpy as np
        import pyarrow as pa

        first, self._next = self._next, self._next + table.num_rows
        return table.append_column(_PLACE, pa.array(np.arange(first, self._next)))


class FirstOfEach:
    """Tells of each row whether it is among the first ones of its value; made for each run."""

    def __init__(self, name: str, most: dict[Any, int]) -> None:
        """Takes how many rows of each value are the first ones."""
        import numpy as np

        self._name = name
        self._ids = {value: at for at, value in enumerate(most)}
        self._left = np.array(list(most.values()), dtype=np.int64)

    def __call__(self, table: pa.Table) -> Any:
        """The rows with their flags."""
        import numpy as np
        import pyarrow as pa

        from raceline.data.preprocessors.categories import codes_of
        from raceline.data.preprocessors.columns import column_of

        codes = codes_of(column_of(table, self._name), self._ids)
        # Missing values are a value of their own here.
        codes[codes < 0] = self._ids.get(None, -1)
        order = np.argsort(codes, kind="stable")
        grouped = codes[order]
        rank = np.arange(len(grouped)) - np.searchsorted(grouped, grouped)
        flags = np.empty(len(codes), dtype=bool)
        flags[order] = rank < self._left[grouped]
        self._left -= np.bincount(codes, minlength=len(self._left))
        return table.append_column(_PLACE, pa.array(flags))


def _is_part(test_size: Any) -> bool:
    """Whether a size is a part of all rows, not a number of them.

    Raises:
        PlanError: It is neither.
    """
    if isinstance(test_size, float):
        if not 0 < test_size < 1:
            raise PlanError(f"a part to test on must be between 0 and 1, got `{test_size!r}`")
        return True
    whole_number("test_size", test_size, 1)
    return False


def _check_test_rows(test_size: float, rows: int, *, is_part: bool) -> None:
    """Refuses a number of rows that leaves none to train on."""
    if not is_part and test_size >= rows:
        raise PlanError(f"`test_size` must be below the number of rows, {rows}, got `{test_size}`")
