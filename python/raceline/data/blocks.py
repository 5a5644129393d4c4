"""Ray's number of blocks, which has no counterpart here."""

from __future__ import annotations

import warnings

__all__ = ["warn_of_blocks"]


def warn_of_blocks(override_num_blocks: int | None, *, frames: int = 1) -> None:
    """Says that a number of blocks changes nothing; None says nothing.

    Args:
        override_num_blocks: What the user passed.
        frames: How many calls lie between the user's line and this one.
    """
    if override_num_blocks is not None:
        warnings.warn(
            "`override_num_blocks` has no effect: batches are cut by bytes; use "
            "`repartition(n)` where the number of batches matters",
            stacklevel=frames + 2,
        )
