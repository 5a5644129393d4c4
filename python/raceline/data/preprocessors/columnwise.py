"""Base of the preprocessors that make each column of another one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline._optional import require
from raceline.data.preprocessors.argument import (
    Argument,
    arguments_of,
    checked_columns,
    checked_outputs,
)
from raceline.data.preprocessors.serialization import SerializablePreprocessorBase

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from raceline.data.dataset import Dataset
    from raceline.data.expressions import Expr

__all__ = [
    "ArithmeticPreprocessor",
    "BuiltinPreprocessor",
    "ColumnwisePreprocessor",
    "refuse_unknown",
]


# Beyond this, one function over all columns takes less planning than an expression for each.
_EXPRESSIONS_MOST = 32


class BuiltinPreprocessor(SerializablePreprocessorBase):
    """What is common to all of Raceline's own: they print as they were made, and work on Arrow."""

    def __repr__(self) -> str:
        """As it was made."""
        names = arguments_of(type(self))
        given = ", ".join(f"{name}={_shown(getattr(self, name))}" for name in names)
        return f"{type(self).__name__}({given})"

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        """The dataset after it; columns that are known not to exist are refused at once."""
        require("pyarrow")
        refuse_unknown(ds, self._needed_columns(ds))
        return super()._transform(ds, workers)

    def _needed_columns(self, ds: Dataset) -> list[str]:
        """Columns that a dataset must have."""
        return self.get_input_columns()

    def _transform_batch(self, data: Any) -> Any:
        """One batch after it, of the same kind."""
        made = super()._transform_batch(data)
        if hasattr(data, "iloc"):
            frame = made.to_pandas()
            return frame.set_axis(data.index) if len(frame) == len(data) else frame
        if hasattr(data, "column_names"):
            return made
        from raceline._native import columns_to_batch

        whole = made.combine_chunks()
        return columns_to_batch({name: whole[name] for name in whole.column_names}).numpy(
            writable=True
        )


class ColumnwisePreprocessor(BuiltinPreprocessor):
    """Makes one column of each column, in its place or under a new name behind the others."""

    columns = Argument[list[str]]()
    output_columns = Argument[list[str]]()

    def __init__(
        self, columns: str | Sequence[str], output_columns: Sequence[str] | None = None
    ) -> None:
        """Makes it.

        Args:
            columns: The columns.
            output_columns: Names of those that are made; None makes them in place.

        Raises:
            PlanError: The names do not fit.
        """
        super().__init__()
        self._columns = checked_columns(columns)
        self._output_columns = checked_outputs(self._columns, output_columns)

    def _pairs(self) -> list[tuple[str, str]]:
        """Each column, and the one that is made of it."""
        return list(zip(self._columns, self._output_columns, strict=True))

    def _transform_arrow(self, table: pa.Table) -> pa.Table:
        """The table with all columns made of those that came."""
        from raceline.data.preprocessors.columns import with_column

        made = {output: self._made(table, name) for name, output in self._pairs()}
        for output, column in made.items():
            table = with_column(table, output, column)
        return table

    @abstractmethod
    def _made(self, table: pa.Table, name: str) -> Any:
        """What becomes of a column."""


class ArithmeticPreprocessor(ColumnwisePreprocessor):
    """Makes columns by arithmetic that runs inside the engine; a missing value stays missing."""

    @abstractmethod
    def _formula(self, name: str, value: Any) -> Any:
        """What becomes of a float64 expression or array of a column."""

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        """The dataset after it."""
        refuse_unknown(ds, self._columns)
        if len(self._columns) > _EXPRESSIONS_MOST:
            return super()._transform(ds, workers)
        return ds.with_columns(self._expressions())

    def _expressions(self) -> dict[str, Expr]:
        """The expression of each column that is made."""
        from raceline.data.expressions import col

        return {
            output: self._formula(name, col(name).cast("float64")) for name, output in self._pairs()
        }

    def _made(self, table: pa.Table, name: str) -> Any:
        """The same arithmetic over one batch."""
        import numpy as np
        import pyarrow as pa

        from raceline.data.preprocessors.columns import numbers_of

        with np.errstate(all="ignore"):
            numbers: np.ndarray[Any, Any] = self._formula(name, numbers_of(table, name))
        nulls = table[name].is_null().to_numpy()
        return pa.array(numbers, mask=nulls if nulls.any() else None)


def refuse_unknown(ds: Dataset, columns: list[str]) -> None:
    """Checks columns, as far as they are known without a run.

    Raises:
        ColumnNotFoundError: One does not exist.
    """
    if columns:
        ds.select_columns(columns).schema(fetch_if_missing=False)


def _shown(value: Any) -> str:
    """An argument as it is shown: functions by their names."""
    return getattr(value, "__name__", None) or repr(value)
