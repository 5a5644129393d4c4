"""Settings of the process that Ray Data programs know as ``DataContext``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

__all__ = ["DataContext", "ExecutionOptions"]


@dataclass(slots=True)
class ExecutionOptions:
    """How a dataset is run.

    Attributes:
        preserve_order: Whether rows keep the order of their input. They always do: False
            allows another order, and Raceline makes no use of that permission.
    """

    preserve_order: bool = True


@dataclass(slots=True)
class DataContext:
    """The settings; those of Ray that would change nothing here do not exist.

    Attributes:
        enable_progress_bars: Whether a session that is started later shows progress on stderr.
            ``raceline.init(progress=...)`` wins.
        execution_options: How datasets are run.

    Example:
        >>> DataContext.get_current().execution_options.preserve_order
        True
    """

    enable_progress_bars: bool = True
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)

    _current: ClassVar[DataContext | None] = None

    @staticmethod
    def get_current() -> DataContext:
        """The settings of this process."""
        if DataContext._current is None:
            DataContext._current = DataContext()
        return DataContext._current
