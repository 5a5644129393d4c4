"""Iterators that share the rows of one run, for consumers in threads and processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raceline.data._arguments import whole_number
from raceline.data.consumption import Consumption
from raceline.data.data_iterator import DataIterator
from raceline.errors import PlanError

__all__ = ["StreamingSplits"]


class StreamingSplits(Consumption):
    """The part of a dataset that shares one run among several consumers."""

    __slots__ = ()

    def streaming_split(
        self, n: int, *, equal: bool = False, locality_hints: Sequence[Any] | None = None
    ) -> list[DataIterator]:
        """Iterators over one run of the dataset, each of which gets some of its rows.

        Consumers, in threads or in processes to which their iterators are pickled (or that are
        forked), go over them at the same time. An epoch begins when all of them begin it, and each
        row goes to one of them: batch after batch in turn, in the order of the rows. Few batches
        wait for each, so that a slow one slows the others. The process that made the iterators runs
        the dataset, and has to stay for as long as they are used.

        Args:
            n: How many.
            equal: Whether each gets the same number of rows in an epoch, and as many batches, for
                which up to ``n - 1`` rows at the end are left out.
            locality_hints: One for each, without effect: there is one machine.

        Returns:
            The iterators. See ``DataIterator.state_dict`` on how to resume an epoch, with as many
            consumers or others.

        Raises:
            PlanError: ``n`` is no int of at least 1, or there are not as many hints.
            ResourceError: While iterating: the process of another consumer has ended within an
                epoch.
            ExecutionTimeoutError: While iterating: another consumer has not come or taken anything
                for ``DataContext.execution_no_progress_timeout_s``.

        Example:
            >>> import threading
            >>> import raceline
            >>> shares = raceline.range(10).streaming_split(2, equal=True)
            >>> def train(share, got):
            ...     for batch in share.iter_batches(batch_size=2):
            ...         got.extend(batch["id"].tolist())
            >>> rows = [[], []]
            >>> threads = [threading.Thread(target=train, args=pair) for pair in zip(shares, rows)]
            >>> for thread in threads:
            ...     thread.start()
            >>> for thread in threads:
            ...     thread.join()
            >>> rows
            [[0, 1, 4, 5, 8], [2, 3, 6, 7, 9]]
        """
        whole_number("n", n, 1)
        if locality_hints is not None and len(locality_hints) != n:
            raise PlanError(
                f"`locality_hints` must have one for each of the `{n}` iterators, got "
                f"`{len(locality_hints)}`"
            )
        from raceline.data.split_share import shares_of

        return [DataIterator(share, share) for share in shares_of(self, n, equal=equal)]
