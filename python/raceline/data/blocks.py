"""Ray's number of blocks, which has no counterpart here."""

from __future__ import annotations

import warnings

__all__ = ["warn_of_blocks"]


def warn_of_blocks(override_num_blocks: int | None, parallelism: int | None = None) -> None:
    """Says that a number of blocks changes nothing, by its name or its older one.

    None and -1 say nothing.
    """
    given = {"override_num_blocks": override_num_blocks, "parallelism": parallelism}
    for name in [name for name, number in given.items() if number not in (None, -1)]:
        warnings.warn(
            f"`{name}` has no effect: batches are cut by bytes; use "
            "`repartition(n)` where the number of batches matters",
            stacklevel=3,
        )
