"""Ray's number of blocks, which has no counterpart here."""

from __future__ import annotations

import warnings

__all__ = ["warn_of_blocks"]


def warn_of_blocks(override_num_blocks: int | None) -> None:
    """Says that a number of blocks changes nothing; None says nothing."""
    if override_num_blocks is not None:
        warnings.warn(
            "`override_num_blocks` has no effect: batches are cut by bytes; use "
            "`repartition(n)` where the number of batches matters",
            stacklevel=3,
        )
