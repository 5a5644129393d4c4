"""What preprocessors are: fitted to a dataset, then used to transform datasets and batches."""

from __future__ import annotations

import base64
import warnings
from abc import ABC
from collections.abc import Callable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

from raceline.data.statistics_plan import StatComputationPlan
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["FitStatus", "Preprocessor", "PreprocessorNotFittedException"]


class PreprocessorNotFittedException(RuntimeError):
    """A preprocessor is used that has to be fitted first."""


# The methods that turn one batch into another, and the format of batches that each takes.
_FORMATS = {
    "_transform_arrow": "pyarrow",
    "_transform_numpy": "numpy",
    "_transform_pandas": "pandas",
}


class Preprocessor(ABC):
    """Base of preprocessors, those of ``raceline.data.preprocessors`` and your own.

    One of your own overrides ``_fit(dataset)``, which keeps what it finds in ``self.stats_``, or
    sets ``_is_fittable = False``. It overrides one of ``_transform_pandas(frame)``,
    ``_transform_numpy(dict_of_arrays)`` and ``_transform_arrow(table)``, each of which returns the
    batch that it becomes; where there are several, ``preferred_batch_format`` says which is used.

    Example:
        >>> import raceline
        >>> class Centered(Preprocessor):
        ...     def _fit(self, ds):
        ...         self.stats_ = {"mean": ds.mean("id")}
        ...         return self
        ...
        ...     def _transform_numpy(self, batch):
        ...         return {"id": batch["id"] - self.stats_["mean"]}
        >>> centered = Centered().fit(raceline.range(3))
        >>> centered.transform(raceline.range(4)).take_all()
        [{'id': -1.0}, {'id': 0.0}, {'id': 1.0}, {'id': 2.0}]
    """

    class FitStatus(str, Enum):  # noqa: UP042 (printed as Ray's is)
        """Whether a preprocessor can be used."""

        NOT_FITTABLE = "NOT_FITTABLE"
        NOT_FITTED = "NOT_FITTED"
        PARTIALLY_FITTED = "PARTIALLY_FITTED"
        FITTED = "FITTED"

    #: Whether it has to be fitted before it is used.
    _is_fittable: bool = True

    #: What fitting found, by name.
    stats_: dict[str, Any]

    #: Whether `fit` has ended.
    _fitted: bool

    def __init__(self) -> None:
        """Makes a preprocessor that is not fitted."""
        self.stats_ = {}

    @property
    def stat_computation_plan(self) -> StatComputationPlan:
        """What ``_fit`` may add statistics to; they are computed together after it."""
        plan = self.__dict__.get("_stat_computation_plan")
        if plan is None:
            plan = self.__dict__["_stat_computation_plan"] = StatComputationPlan()
        made: StatComputationPlan = plan
        return made

    def fit_status(self) -> FitStatus:
        """Whether it is fitted, or need not be.

        Example:
            >>> from raceline.data.preprocessors import StandardScaler
            >>> StandardScaler(["id"]).fit_status().value
            'NOT_FITTED'
        """
        if not self._is_fittable:
            return FitStatus.NOT_FITTABLE
        # State by scikit-learn's convention counts, so that it may be set without `fit`.
        fitted = [name for name, value in vars(self).items() if name.endswith("_") and value]
        if getattr(self, "_fitted", False) or fitted:
            return FitStatus.FITTED
        return FitStatus.NOT_FITTED

    def has_stats(self) -> bool:
        """Whether fitting found anything.

        Example:
            >>> import raceline
            >>> from raceline.data.preprocessors import StandardScaler
            >>> StandardScaler(["id"]).fit(raceline.range(3)).has_stats()
            True
        """
        return bool(self.__dict__.get("stats_"))

    def fit(self, ds: Dataset) -> Self:
        """Runs a dataset, and keeps what is to be known of it in ``stats_``.

        Args:
            ds: The dataset. What was found before is forgotten, with a warning.

        Returns:
            This preprocessor.

        Example:
            >>> import raceline
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> MinMaxScaler(["id"]).fit(raceline.range(5)).stats_
            {'min(id)': 0, 'max(id)': 4}
        """
        status = self.fit_status()
        if status is FitStatus.NOT_FITTABLE:
            return self
        if status is not FitStatus.NOT_FITTED:
            warnings.warn(
                f"`{type(self).__name__}` is fitted already: what was found before is forgotten",
                stacklevel=2,
            )
        self._begin_anew()
        self._fit(ds)
        planned = self.stat_computation_plan.compute(ds)
        if planned:
            self.stats_ = {**self.stats_, **planned}
        self._fitted = True
        return self

    def fit_transform(
        self,
        ds: Dataset,
        *,
        transform_num_cpus: float | None = None,
        transform_memory: int | None = None,
        transform_batch_size: int | None = None,
        transform_concurrency: int | None = None,
    ) -> Dataset:
        """Fits it to a dataset, and transforms that.

        Args:
            ds: The dataset, which is run now, and again when the result is.
            transform_num_cpus: As ``num_cpus`` of ``transform``.
            transform_memory: As ``memory`` of ``transform``.
            transform_batch_size: As ``batch_size`` of ``transform``.
            transform_concurrency: As ``concurrency`` of ``transform``.

        Example:
            >>> import raceline
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> MinMaxScaler(["id"]).fit_transform(raceline.range(3)).take_all()
            [{'id': 0.0}, {'id': 0.5}, {'id': 1.0}]
        """
        self.fit(ds)
        return self.transform(
            ds,
            batch_size=transform_batch_size,
            num_cpus=transform_num_cpus,
            memory=transform_memory,
            concurrency=transform_concurrency,
        )

    def transform(
        self,
        ds: Dataset,
        *,
        batch_size: int | None = None,
        num_cpus: float | None = None,
        memory: int | None = None,
        concurrency: int | None = None,
    ) -> Dataset:
        """A dataset of the transformed rows; lazy.

        What is arithmetic runs in the engine, without workers, to which the numbers do not apply.

        Args:
            ds: The dataset.
            batch_size: As of ``map_batches``.
            num_cpus: As of ``map_batches``.
            memory: As of ``map_batches``.
            concurrency: As of ``map_batches``.

        Raises:
            PreprocessorNotFittedException: It is not fitted.
            ColumnNotFoundError: A column does not exist; maybe only when the dataset is run.

        Example:
            >>> import raceline
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> scaler = MinMaxScaler(["id"]).fit(raceline.range(5))
            >>> scaler.transform(raceline.range(2)).take_all()
            [{'id': 0.0}, {'id': 0.25}]
        """
        self._check_fitted("transform")
        given = {
            "batch_size": batch_size,
            "num_cpus": num_cpus,
            "memory": memory,
            "concurrency": concurrency,
        }
        return self._transform(ds, {name: one for name, one in given.items() if one is not None})

    def transform_batch(self, data: Any) -> Any:
        """One transformed batch, without the engine.

        Args:
            data: A data frame, a PyArrow table, or a dict of columns.

        Returns:
            The same kind of batch, or what your own preprocessor returns.

        Raises:
            PreprocessorNotFittedException: It is not fitted.
            PlanError: ``data`` is no batch.

        Example:
            >>> import numpy, raceline
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> scaler = MinMaxScaler(["id"]).fit(raceline.range(5))
            >>> scaler.transform_batch({"id": numpy.array([1, 2])})
            {'id': array([0.25, 0.5 ])}
        """
        self._check_fitted("transform_batch")
        return self._transform_batch(data)

    def get_input_columns(self) -> list[str]:
        """The columns that it looks at.

        Example:
            >>> from raceline.data.preprocessors import Tokenizer
            >>> Tokenizer(["text"]).get_input_columns()
            ['text']
        """
        return list(getattr(self, "columns", []))

    def get_output_columns(self) -> list[str]:
        """The columns that it makes.

        Example:
            >>> from raceline.data.preprocessors import Concatenator
            >>> Concatenator(["a", "b"]).get_output_columns()
            ['concat_out']
        """
        return list(getattr(self, "output_columns", []))

    @classmethod
    def preferred_batch_format(cls) -> str:
        """The format that is used where several are implemented: ``"pandas"``.

        Example:
            >>> Preprocessor.preferred_batch_format()
            'pandas'
        """
        return "pandas"

    def serialize(self) -> str | bytes:
        """The preprocessor with all that it found, to be kept and read by ``deserialize``.

        Example:
            >>> import raceline
            >>> from raceline.data.preprocessors import MinMaxScaler
            >>> kept = MinMaxScaler(["id"]).fit(raceline.range(5)).serialize()
            >>> MinMaxScaler.deserialize(kept).stats_
            {'min(id)': 0, 'max(id)': 4}
        """
        import cloudpickle

        return base64.b64encode(cloudpickle.dumps(self)).decode("ascii")

    @staticmethod
    def deserialize(serialized: str | bytes) -> Preprocessor:
        """The preprocessor that ``serialize`` wrote.

        Args:
            serialized: What ``serialize`` returned. It can run any code: read only your own.

        Raises:
            ValueError: It is something else.
            UnknownPreprocessorError: Its class is not there.

        Example:
            >>> from raceline.data.preprocessors import Tokenizer
            >>> Preprocessor.deserialize(Tokenizer(["text"]).serialize()).get_input_columns()
            ['text']
        """
        from raceline.data.preprocessors.serialization import read

        return read(serialized)

    def _begin_anew(self) -> None:
        """Forgets what was found."""
        self.stat_computation_plan.reset()
        self.stats_ = {}
        self._fitted = False

    def _fit(self, ds: Dataset) -> Any:
        """Finds what is to be known of a dataset; overridden by those that are fittable."""
        raise PlanError(
            f"`{type(self).__name__}` does not say how it is fitted",
            hint="override `_fit(self, ds)`, or set `_is_fittable = False`",
        )

    def _transform_pandas(self, df: pd.DataFrame) -> pd.DataFrame:
        """One batch as a data frame; overridden."""
        raise self._nothing_to_do()

    def _transform_numpy(self, np_data: dict[str, Any]) -> dict[str, Any]:
        """One batch as a dict of arrays; overridden."""
        raise self._nothing_to_do()

    def _transform_arrow(self, table: pa.Table) -> pa.Table:
        """One batch as a table; overridden."""
        raise self._nothing_to_do()

    def _get_transform_config(self) -> dict[str, Any]:
        """Further keywords of ``map_batches``; may be overridden."""
        return {}

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        """The dataset after it; ``workers`` are keywords of ``map_batches``."""
        method = self._batch_method()
        return ds.map_batches(
            _Step(type(self).__name__, getattr(self, method)),
            batch_format=_FORMATS[method],  # type: ignore[arg-type]  # one of the literals
            **{**self._get_transform_config(), **workers},
        )

    def _transform_batch(self, data: Any) -> Any:
        """One batch after it."""
        method = self._batch_method()
        return getattr(self, method)(_converted(data, _FORMATS[method]))

    def _batch_method(self) -> str:
        """The name of the method that transforms a batch.

        Raises:
            PlanError: None is overridden.
        """
        own = [name for name in _FORMATS if getattr(type(self), name) is not _BASE[name]]
        if not own:
            raise self._nothing_to_do()
        if len(own) == 1:
            return own[0]
        wanted = str(getattr(self.preferred_batch_format(), "value", self.preferred_batch_format()))
        preferred = [name for name in own if _FORMATS[name].endswith(wanted)]
        return (preferred or own)[0]

    def _nothing_to_do(self) -> PlanError:
        return PlanError(
            f"`{type(self).__name__}` does not say what becomes of a batch",
            hint="override `_transform_pandas`, `_transform_numpy` or `_transform_arrow`",
        )

    def _check_fitted(self, method: str) -> None:
        """Refuses what needs a fitted preprocessor."""
        if self.fit_status() in (FitStatus.NOT_FITTED, FitStatus.PARTIALLY_FITTED):
            raise PreprocessorNotFittedException(
                f"`{type(self).__name__}` is not fitted: call `fit(ds)` before `{method}`, or "
                "`fit_transform(ds)`"
            )

    def __getstate__(self) -> dict[str, Any]:
        """All of it but the plan of its last fit."""
        return {
            name: value for name, value in vars(self).items() if name != "_stat_computation_plan"
        }


FitStatus = Preprocessor.FitStatus


class _Step:
    """A method as a function by the name of its preprocessor, which stages and errors then have."""

    def __init__(self, name: str, method: Callable[[Any], Any]) -> None:
        self.__name__ = name
        self._method = method

    def __call__(self, batch: Any) -> Any:
        return self._method(batch)


_BASE = {name: getattr(Preprocessor, name) for name in _FORMATS}


def _converted(data: Any, batch_format: str) -> Any:
    """A batch of any kind in a format of ``map_batches``.

    Raises:
        PlanError: It is no batch.
    """
    from raceline import _frames
    from raceline._native import columns_to_batch

    if hasattr(data, "iloc"):
        if batch_format == "pandas":
            return data.copy(deep=False)
        batch = columns_to_batch(_frames.columns_of(data))
    elif hasattr(data, "column_names"):
        if batch_format == "pyarrow":
            return data
        whole = data.combine_chunks() if hasattr(data, "combine_chunks") else data
        batch = columns_to_batch({name: whole[name] for name in whole.column_names})
    elif isinstance(data, Mapping):
        if batch_format == "numpy":
            return dict(data)
        batch = columns_to_batch(data)
    else:
        raise PlanError(
            f"a batch must be a data frame, a table or a dict of columns, got `{data!r}`"
        )
    if batch_format == "numpy":
        return batch.numpy(writable=True)
    return _frames.to_arrow(batch) if batch_format == "pyarrow" else _frames.to_pandas(batch)


def __getattr__(name: str) -> Any:
    """Loads the classes that Ray has here as well, at their first use."""
    if name in ("SerializablePreprocessorBase", "SerializationFormat"):
        from raceline.data.preprocessors import serialization

        return getattr(serialization, name)
    raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
