"""What a write does when its target exists."""

from __future__ import annotations

import enum

from raceline.errors import PlanError

__all__ = ["SaveMode", "save_mode"]


class SaveMode(enum.StrEnum):
    """What a write does when its target exists.

    Example:
        >>> SaveMode("append")
        <SaveMode.APPEND: 'append'>
    """

    #: Fails, as ``ERROR`` does.
    CREATE = "create"
    #: Adds files beside what is there.
    APPEND = "append"
    #: Replaces what is there.
    OVERWRITE = "overwrite"
    #: Does nothing, and does not run the dataset.
    IGNORE = "ignore"
    #: Fails.
    ERROR = "error"
    #: Replaces rows of the same key. Only tables have keys; files refuse it.
    UPSERT = "upsert"


def save_mode(mode: SaveMode | str) -> SaveMode:
    """The mode of a write of files.

    Raises:
        PlanError: There is no such mode, or files have none such.

    Example:
        >>> save_mode("ignore")
        <SaveMode.IGNORE: 'ignore'>
    """
    names = ", ".join(f'"{one.value}"' for one in SaveMode if one is not SaveMode.UPSERT)
    try:
        found = SaveMode(mode)
    except ValueError:
        raise PlanError(f"there is no save mode `{mode}`", hint=f"pass one of {names}") from None
    if found is SaveMode.UPSERT:
        raise PlanError(
            'the save mode "upsert" needs a table with keys, and files have none',
            hint=f"pass one of {names}",
        )
    return found
