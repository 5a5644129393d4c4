"""Names of the files that a write makes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from typing import Any

from raceline.data.block import Block
from raceline.errors import PlanError

__all__ = ["FilenameProvider", "checked_name"]


class FilenameProvider:
    """Gives the files of a write their names; derive a class and override a method.

    A name must depend on the arguments alone, and be another one for each of them. A write that
    adds to what is there (``mode="append"``) needs ``write_uuid`` in the name.

    Example:
        >>> class Dated(FilenameProvider):
        ...     def get_filename_for_task(self, write_uuid, task_index):
        ...         return f"2024-05-01_{write_uuid}_{task_index}.csv"
        >>> Dated().get_filename_for_task("w", 0)
        '2024-05-01_w_0.csv'
    """

    def __init__(self, dataset_uuid: str | None = None, file_format: str | None = None) -> None:
        """Takes what the names begin and end with.

        Args:
            dataset_uuid: What they begin with; None is something new.
            file_format: Their extension, without dot; None is none.
        """
        self._dataset_uuid = dataset_uuid
        self._file_format = file_format

    def get_filename_for_task(self, write_uuid: str, task_index: int) -> str:
        """The name of a file.

        Args:
            write_uuid: The same for all files of a write.
            task_index: The number of the file, from 0.

        Example:
            >>> FilenameProvider("d", "csv").get_filename_for_task("w", 3)
            'd_w_000003.csv'
        """
        return f"{self._stem(write_uuid, task_index)}{self._ending()}"

    def get_filename_for_block(
        self, block: Block | None, write_uuid: str, task_index: int, block_index: int
    ) -> str:
        """The name of the file of a block; older providers override it.

        Args:
            block: The rows; None where the engine writes the file itself.
            write_uuid: The same for all files of a write.
            task_index: The number of the write task, from 0.
            block_index: The number of the block in its task, from 0.

        Example:
            >>> FilenameProvider("d", "csv").get_filename_for_block(None, "w", 3, 0)
            'd_w_000003.csv'
        """
        return self.get_filename_for_task(write_uuid, task_index)

    def get_filename_for_row(
        self,
        row: Mapping[str, Any],
        write_uuid: str,
        task_index: int,
        block_index: int,
        row_index: int,
    ) -> str:
        """The name of the file of a row, of sinks that write one file a row.

        Args:
            row: The row.
            write_uuid: The same for all files of a write.
            task_index: The number of the write task, from 0.
            block_index: The number of the block in its task, from 0.
            row_index: The number of the row in its block, from 0.

        Example:
            >>> FilenameProvider("d", "png").get_filename_for_row({}, "w", 3, 0, 7)
            'd_w_000003_000000_000007.png'
        """
        stem = self._stem(write_uuid, task_index)
        return f"{stem}_{block_index:06}_{row_index:06}{self._ending()}"

    def _stem(self, write_uuid: str, task_index: int) -> str:
        # Not at first: a class derived from this one need not call this one's constructor.
        if getattr(self, "_dataset_uuid", None) is None:
            self._dataset_uuid = uuid.uuid4().hex
        return f"{self._dataset_uuid}_{write_uuid}_{task_index:06}"

    def _ending(self) -> str:
        file_format = getattr(self, "_file_format", None)
        return f".{file_format}" if file_format else ""


def checked_name(name: Any, write_uuid: str | None = None) -> str:
    """The name of a file that a provider gave.

    Args:
        name: What it gave.
        write_uuid: What the name must hold; None asks for nothing.

    Raises:
        PlanError: It is no name of a file, or lacks the identifier.
    """
    if not isinstance(name, str) or name != os.path.basename(name) or name in ("", ".", ".."):
        raise PlanError(
            f"a filename provider must return the name of a file, got `{name!r}`",
            hint="return a name without folders, such as `part-0.csv`",
        )
    if write_uuid is not None and write_uuid not in name:
        raise PlanError(
            f"the file name `{name}` lacks the write's identifier, so that a later write could "
            "replace the file",
            hint="put `write_uuid` into the name, or pass another `mode`",
        )
    return name
