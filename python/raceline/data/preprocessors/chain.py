"""Preprocessors one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raceline.data.preprocessor import FitStatus, Preprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset

__all__ = ["Chain"]


class Chain(Preprocessor):
    """Applies preprocessors one after the other, and fits each to what those before it make.

    Example:
        >>> import raceline
        >>> from raceline.data.preprocessors import Concatenator, MinMaxScaler
        >>> rows = raceline.from_items([{"x": 0, "y": 5}, {"x": 4, "y": 9}])
        >>> chain = Chain(MinMaxScaler(["x", "y"]), Concatenator(["x", "y"]))
        >>> chain.fit_transform(rows).take_batch()["concat_out"]
        array([[0., 0.],
               [1., 1.]])
    """

    def __init__(self, *preprocessors: Preprocessor) -> None:
        """Makes a chain.

        Args:
            *preprocessors: The first comes first.

        Raises:
            PlanError: There are none, or something else is among them.
        """
        super().__init__()
        if not preprocessors:
            raise PlanError("a `Chain` needs at least one preprocessor")
        for one in preprocessors:
            if not isinstance(one, Preprocessor):
                raise PlanError(f"a `Chain` takes preprocessors, got `{one!r}`")
        self._preprocessors = preprocessors

    @property
    def preprocessors(self) -> tuple[Preprocessor, ...]:
        """The preprocessors, the first one first."""
        return self._preprocessors

    def fit_status(self) -> FitStatus:
        """Whether all, some or none of those that have to be are fitted.

        Example:
            >>> from raceline.data.preprocessors import MinMaxScaler, Tokenizer
            >>> Chain(MinMaxScaler(["x"]), Tokenizer(["y"])).fit_status().value
            'NOT_FITTED'
        """
        each = {one.fit_status() for one in self._preprocessors} - {FitStatus.NOT_FITTABLE}
        if len(each) > 1:
            return FitStatus.PARTIALLY_FITTED
        return each.pop() if each else FitStatus.NOT_FITTABLE

    def has_stats(self) -> bool:
        """Whether fitting any of them found anything.

        Example:
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> Chain(MinMaxScaler(["x"])).has_stats()
            False
        """
        return any(one.has_stats() for one in self._preprocessors)

    def get_input_columns(self) -> list[str]:
        """The columns that any of them looks at and none before it makes.

        Example:
            >>> from raceline.data.preprocessors import Concatenator, MinMaxScaler
            >>> scaler = MinMaxScaler(["x"], output_columns=["y"])
            >>> Chain(scaler, Concatenator(["y", "z"])).get_input_columns()
            ['x', 'z']
        """
        needed: dict[str, None] = {}
        made: set[str] = set()
        for one in self._preprocessors:
            needed |= dict.fromkeys(name for name in one.get_input_columns() if name not in made)
            made.update(one.get_output_columns())
        return list(needed)

    def get_output_columns(self) -> list[str]:
        """The columns that any of them makes.

        Example:
            >>> from raceline.data.preprocessors import Concatenator, MinMaxScaler
            >>> Chain(MinMaxScaler(["x"]), Concatenator(["x"])).get_output_columns()
            ['x', 'concat_out']
        """
        names: dict[str, None] = {}
        for one in self._preprocessors:
            names |= dict.fromkeys(one.get_output_columns())
        return list(names)

    def _fit(self, ds: Dataset) -> None:
        *before, last = self._preprocessors
        for one in before:
            one._begin_anew()
            ds = one.fit_transform(ds)
        last._begin_anew()
        last.fit(ds)

    def _begin_anew(self) -> None:
        for one in self._preprocessors:
            one._begin_anew()

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        for one in self._preprocessors:
            ds = one.transform(ds, **workers)
        return ds

    def _transform_batch(self, data: Any) -> Any:
        for one in self._preprocessors:
            data = one.transform_batch(data)
        return data

    def __repr__(self) -> str:
        """The preprocessors."""
        return f"Chain({', '.join(repr(one) for one in self._preprocessors)})"
