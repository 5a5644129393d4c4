"""Power transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.expressions import Expr
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.columnwise import ArithmeticPreprocessor, BuiltinPreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np

    from raceline.data.dataset import Dataset

__all__ = ["PowerTransformer"]


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.power_transformer")
class PowerTransformer(ArithmeticPreprocessor):
    """Makes the values of each column look more like a normal distribution, by a power.

    ``"box-cox"`` is ``(x ** power - 1) / power``, and the logarithm for 0: of positive numbers, of
    others NaN. ``"yeo-johnson"`` is that of ``x + 1`` where ``x`` is not negative, and else
    ``-((1 - x) ** (2 - power) - 1) / (2 - power)``. Missing values stay missing.

    Example:
        >>> import raceline
        >>> rows = raceline.from_items([{"x": 2.0}, {"x": 3.0}])
        >>> PowerTransformer(columns=["x"], power=2, method="box-cox").transform(rows).take_all()
        [{'x': 1.5}, {'x': 4.0}]
    """

    power = Argument[float]()
    method = Argument[str]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        power: float,
        method: str = "yeo-johnson",
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a transformer.

        Args:
            columns: The columns.
            power: The power.
            method: ``"yeo-johnson"`` or ``"box-cox"``.
            output_columns: Names of the transformed ones; None changes them in place.

        Raises:
            PlanError: There is no such method, the power is no number, or the names do not fit.
        """
        super().__init__(columns, output_columns)
        if method not in ("yeo-johnson", "box-cox"):
            raise PlanError(
                f"there is no method `{method!r}`", hint='pass "yeo-johnson" or "box-cox"'
            )
        if not isinstance(power, int | float) or isinstance(power, bool):
            raise PlanError(f"`power` must be a number, got `{power!r}`")
        self._power = power
        self._method = method

    def _transform(self, ds: Dataset, workers: dict[str, Any]) -> Dataset:
        if self._method == "box-cox":
            return super()._transform(ds, workers)
        # Its two branches are no single expression.
        return BuiltinPreprocessor._transform(self, ds, workers)

    def _formula(self, name: str, value: Any) -> Any:
        if self._method == "box-cox":
            return _power(value, float(self._power))
        return _yeo_johnson(value, float(self._power))


def _power(value: Any, power: float) -> Any:
    """The Box-Cox transform of an expression or an array."""
    if power:
        return (value**power - 1.0) / power
    if isinstance(value, Expr):
        return value.ln()
    import numpy as np

    return np.log(value)


def _yeo_johnson(values: np.ndarray[Any, Any], power: float) -> np.ndarray[Any, Any]:
    """The Yeo-Johnson transform of an array; NaN stays."""
    import numpy as np

    made = np.empty_like(values)
    upper = values >= 0
    made[upper] = _power(values[upper] + 1.0, power)
    made[~upper] = -_power(1.0 - values[~upper], 2.0 - power)
    return made
