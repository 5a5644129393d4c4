"""Settings of the process that Ray Data programs know as ``DataContext``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from raceline.errors import PlanError

__all__ = ["DataContext", "ExecutionOptions"]

# Counts of the engine have 64 bits.
_NO_LIMIT = 2**64 - 1


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
        max_errored_blocks: How many batches that functions fail for, and files or parts of files
            that cannot be read, a run goes on without, all together; a negative number sets no
            limit. Each is told on stderr, and counted by ``stats()``. It is asked for when a
            dataset is run.

    Example:
        >>> DataContext.get_current().execution_options.preserve_order
        True
    """

    enable_progress_bars: bool = True
    execution_options: ExecutionOptions = field(default_factory=ExecutionOptions)
    max_errored_blocks: int = 0

    _current: ClassVar[DataContext | None] = None

    @staticmethod
    def get_current() -> DataContext:
        """The settings of this process."""
        if DataContext._current is None:
            DataContext._current = DataContext()
        return DataContext._current

    def _errored_blocks_most(self) -> int:
        """`max_errored_blocks` as the engine takes it.

        Raises:
            PlanError: It is no int.
        """
        most = self.max_errored_blocks
        if not isinstance(most, int) or isinstance(most, bool):
            raise PlanError(f"`max_errored_blocks` must be an int, got `{most!r}`")
        return min(most, _NO_LIMIT) if most >= 0 else _NO_LIMIT
