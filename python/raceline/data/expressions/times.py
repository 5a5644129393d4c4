"""Functions of dates and times: ``col(...).dt``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raceline.data.expressions.namespace import Namespace

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["DatetimeNamespace"]


class DatetimeNamespace(Namespace):
    """Functions of dates and times.

    A time with a zone is read as the clock of that zone shows it.
    """

    __slots__ = ()
    _prefix = "dt"

    def year(self) -> Expr:
        """The year, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.year()).take_all()
            [{'s': 2024}]
        """
        return self._call("year")

    def month(self) -> Expr:
        """The month, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.month()).take_all()
            [{'s': 2}]
        """
        return self._call("month")

    def day(self) -> Expr:
        """The day, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.day()).take_all()
            [{'s': 29}]
        """
        return self._call("day")

    def hour(self) -> Expr:
        """The hour, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.hour()).take_all()
            [{'s': 13}]
        """
        return self._call("hour")

    def minute(self) -> Expr:
        """The minute, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.minute()).take_all()
            [{'s': 45}]
        """
        return self._call("minute")

    def second(self) -> Expr:
        """The second, as int64.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.second()).take_all()
            [{'s': 10}]
        """
        return self._call("second")

    def strftime(self, format: str = "%Y-%m-%dT%H:%M:%S") -> Expr:
        """As text.

        Args:
            format: As of ``datetime.strftime``; seconds have as many digits behind the point as
                the type tells apart.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.strftime("%d.%m.%y")).take_all()
            [{'s': '29.02.24'}]
        """
        return self._call("strftime", format=format)

    def ceil(self, unit: str) -> Expr:
        """The later time at which a unit begins, or the time itself where one does.

        Args:
            unit: One of ``"year"``, ``"quarter"``, ``"month"``, ``"week"`` (from Monday),
                ``"day"``, ``"hour"``, ``"minute"``, ``"second"``, ``"millisecond"``,
                ``"microsecond"`` and ``"nanosecond"``.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.ceil("hour")).take_all()
            [{'s': datetime.datetime(2024, 2, 29, 14, 0)}]
        """
        return self._call("ceil", unit=unit)

    def floor(self, unit: str) -> Expr:
        """The earlier time at which a unit begins, or the time itself where one does.

        Args:
            unit: One of ``"year"``, ``"quarter"``, ``"month"``, ``"week"`` (from Monday),
                ``"day"``, ``"hour"``, ``"minute"``, ``"second"``, ``"millisecond"``,
                ``"microsecond"`` and ``"nanosecond"``.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.floor("hour")).take_all()
            [{'s': datetime.datetime(2024, 2, 29, 13, 0)}]
        """
        return self._call("floor", unit=unit)

    def round(self, unit: str) -> Expr:
        """The nearest time at which a unit begins; of two the later one.

        Args:
            unit: One of ``"year"``, ``"quarter"``, ``"month"``, ``"week"`` (from Monday),
                ``"day"``, ``"hour"``, ``"minute"``, ``"second"``, ``"millisecond"``,
                ``"microsecond"`` and ``"nanosecond"``.

        Example:
            >>> import raceline
            >>> from datetime import datetime
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": datetime(2024, 2, 29, 13, 45, 10)}])
            >>> rows.with_column("s", col("s").dt.round("hour")).take_all()
            [{'s': datetime.datetime(2024, 2, 29, 14, 0)}]
        """
        return self._call("round", unit=unit)
