"""Going over rows and batches, while the dataset runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import whole_number
from raceline.data.ahead import Ahead
from raceline.data.formats import BatchFormat, convert_batch, normal_batch_format
from raceline.data.iterator import Repeatable, cut
from raceline.data.shuffling import LocalShuffle

if TYPE_CHECKING:
    import tensorflow as tf
    import torch

    from raceline._frame_types import FrameTypes
    from raceline._native import Batch
    from raceline.data.collate_fn import CollateFn
    from raceline.data.epochs import Epoch, Epochs

__all__ = ["Iteration"]


class Iteration:
    """The part of datasets and of their iterators that goes over batches.

    What these methods return can be gone over any number of times; each time is an epoch, which
    runs the dataset anew unless it was materialized, and tells its state: see
    ``DataIterator.state_dict``.
    """

    __slots__ = ()

    if TYPE_CHECKING:  # what each class that has these methods says

        def _epochs(self) -> Epochs:
            """Where the next epoch comes from."""

        def _frame_types(self) -> FrameTypes | None:
            """Types of pandas columns, of rows that came as frames."""

        def _is_debugged(self) -> bool:
            """Whether functions of the dataset run in the thread that iterates."""

        def _first_batch(self) -> Batch | None:
            """A batch of the first row, or without rows where there is none."""

    def _batches(
        self,
        batch_size: int | None,
        prefetch_batches: int,
        shuffle: LocalShuffle,
        pipeline: Callable[[Epoch], Generator[tuple[int, Any], None, None]],
    ) -> Repeatable[Any]:
        """Epochs whose batches ``pipeline`` makes."""
        epochs = self._epochs()

        def run(epoch: Epoch) -> Generator[tuple[int, Any], None, None]:
            items = pipeline(epoch)
            if not epochs.source.is_shared or not prefetch_batches:
                return items
            return _held_ahead(items, prefetch_batches, epoch)

        return Repeatable(lambda: epochs.iterate(shuffle.drawn(), batch_size, run), epochs)

    def iter_rows(self) -> Repeatable[Any]:
        """The rows, one after the other, while the dataset runs.

        Example:
            >>> import raceline
            >>> [row["id"] for row in raceline.range(3).iter_rows()]
            [0, 1, 2]
        """
        epochs = self._epochs()
        return Repeatable(epochs.iterate_rows, epochs)

    def iter_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        batch_format: BatchFormat = "default",
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
    ) -> Repeatable[Any]:
        """The batches, one after the other, while the dataset runs.

        Args:
            prefetch_batches: Batches that are run ahead. The engine always runs ahead, as far as
                its memory budget allows, whatever the number.
            batch_size: Rows of a batch, the last one maybe fewer; None takes batches as they are.
            batch_format: As of ``map_batches``. NumPy arrays may be read-only views.
            drop_last: Whether a last batch of fewer rows is left out.
            local_shuffle_buffer_size: Rows that are held in memory, from which those of the batches
                are drawn at random, as by ``random_shuffle(window_rows=...)``; None keeps the
                order.
            local_shuffle_seed: With a seed, each iteration draws the same rows; None draws others
                each time.

        Raises:
            PlanError: There is no such format, or a number is out of range.
            ResourceError: While iterating: the rows that are held pass a quarter of the session's
                memory.

        Example:
            >>> import raceline
            >>> [len(batch["id"]) for batch in raceline.range(5).iter_batches(batch_size=2)]
            [2, 2, 1]
        """
        wanted, types = normal_batch_format(batch_format), self._frame_types()
        _check_batches(batch_size, prefetch_batches)
        shuffle = LocalShuffle(local_shuffle_buffer_size, local_shuffle_seed)

        def convert(batch: Any) -> Any:
            return convert_batch(batch, wanted, types=types)

        pipeline = _converted(batch_size, convert, drop_last=drop_last)
        return self._batches(batch_size, prefetch_batches, shuffle, pipeline)

    def iter_torch_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: torch.dtype | dict[str, torch.dtype] | None = None,
        device: str | torch.device | None = "auto",
        collate_fn: Callable[[Any], Any] | CollateFn[Any, Any] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        pin_memory: bool = False,
    ) -> Repeatable[Any]:
        """The batches as dicts of tensors, one after the other, while the dataset runs.

        A ``collate_fn`` runs in a thread of its own, and so does the transfer to a device, each
        ``prefetch_batches`` ahead of the loop. The threads end with the iteration.

        Args:
            prefetch_batches: Batches that these threads run ahead; 0 does all in the loop's thread.
            batch_size: As of ``iter_batches``.
            dtypes: Type of all tensors, or of each column's.
            device: Where the tensors go; ``"auto"`` is the GPU if there is one.
            collate_fn: Makes what is returned; excludes ``dtypes``. A function gets a dict of
                writable NumPy arrays, an object of a class of ``raceline.data.collate_fn`` what its
                base says. Tensors in what it returns are moved to the device.
            drop_last: As of ``iter_batches``.
            local_shuffle_buffer_size: As of ``iter_batches``.
            local_shuffle_seed: As of ``iter_batches``.
            pin_memory: Whether tensors pass through pinned memory, which needs a GPU.

        Raises:
            ImportError: torch is not installed.
            PlanError: Both ``collate_fn`` and ``dtypes`` are given, or a number is out of range.
            TensorError: While iterating: a column holds something that is no number. It is a
                ``TypeError`` and a ``RuntimeError``.

        Example:
            >>> import raceline
            >>> batches = raceline.range(4).iter_torch_batches(batch_size=2)  # doctest: +SKIP
            >>> [batch["id"].sum().item() for batch in batches]  # doctest: +SKIP
            [1, 5]
        """
        from raceline.data.torch_batches import TorchBatches

        _check_batches(batch_size, prefetch_batches)
        shuffle = LocalShuffle(local_shuffle_buffer_size, local_shuffle_seed)
        made = TorchBatches(dtypes, device, collate_fn, pin_memory=pin_memory)
        # A function that is debugged stays in the thread that the debugger is in.
        ahead = 0 if self._is_debugged() else prefetch_batches
        pipeline = made.pipeline(batch_size, ahead, drop_last=drop_last)
        return self._batches(batch_size, prefetch_batches, shuffle, pipeline)

    def iter_tf_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: tf.dtypes.DType | dict[str, tf.dtypes.DType] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
    ) -> Repeatable[Any]:
        """The batches as dicts of TensorFlow tensors, one after the other.

        Columns of texts become tensors of strings, those of tensors of different shapes ragged
        tensors.

        Args:
            prefetch_batches: As of ``iter_batches``.
            batch_size: As of ``iter_batches``.
            dtypes: Type of all tensors, or of each column's.
            drop_last: As of ``iter_batches``.
            local_shuffle_buffer_size: As of ``iter_batches``.
            local_shuffle_seed: As of ``iter_batches``.

        Raises:
            ImportError: tensorflow is not installed.
            PlanError: A number is out of range.
            TensorError: While iterating: TensorFlow has no tensor of a column's values.

        Example:
            >>> import raceline
            >>> batches = raceline.range(4).iter_tf_batches(batch_size=2)  # doctest: +SKIP
            >>> [int(sum(batch["id"])) for batch in batches]  # doctest: +SKIP
            [1, 5]
        """
        from raceline.data.tf_batches import tensors_of

        _check_batches(batch_size, prefetch_batches)
        shuffle = LocalShuffle(local_shuffle_buffer_size, local_shuffle_seed)
        convert = tensors_of(dtypes)
        pipeline = _converted(batch_size, convert, drop_last=drop_last)
        return self._batches(batch_size, prefetch_batches, shuffle, pipeline)

    def iter_jax_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: Any = None,
        collate_fn: Callable[[dict[str, Any]], Any] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        synchronize_batches: bool = False,
        paddings: float | Mapping[str, float] | None = None,
    ) -> Repeatable[Any]:
        """The batches as dicts of JAX arrays, one after the other.

        Args:
            prefetch_batches: As of ``iter_batches``.
            batch_size: As of ``iter_batches``.
            dtypes: Type of all arrays, or of each column's.
            collate_fn: Makes what is returned of a dict of writable NumPy arrays; excludes
                ``dtypes`` and ``paddings``.
            drop_last: As of ``iter_batches``.
            local_shuffle_buffer_size: As of ``iter_batches``.
            local_shuffle_seed: As of ``iter_batches``.
            synchronize_batches: Without effect: processes that step together take their batches
                from ``streaming_split(n, equal=True)``, which gives each as many.
            paddings: Value, or value of each column, by which a last batch of fewer rows is filled
                up to ``batch_size``, so that nothing is compiled anew for it.

        Raises:
            ImportError: jax is not installed.
            PlanError: Arguments exclude each other, or a number is out of range.
            TensorError: While iterating: a column holds something that is no number.

        Example:
            >>> import raceline
            >>> batches = raceline.range(4).iter_jax_batches(batch_size=2)  # doctest: +SKIP
            >>> [int(batch["id"].sum()) for batch in batches]  # doctest: +SKIP
            [1, 5]
        """
        from raceline.data.jax_batches import arrays_of

        del synchronize_batches
        _check_batches(batch_size, prefetch_batches)
        shuffle = LocalShuffle(local_shuffle_buffer_size, local_shuffle_seed)
        convert = arrays_of(dtypes, collate_fn, (batch_size, paddings))
        pipeline = _converted(batch_size, convert, drop_last=drop_last)
        return self._batches(batch_size, prefetch_batches, shuffle, pipeline)

    def to_tf(
        self,
        feature_columns: str | Sequence[str],
        label_columns: str | Sequence[str],
        *,
        additional_columns: str | Sequence[str] | None = None,
        prefetch_batches: int = 1,
        batch_size: int = 1,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        feature_type_spec: Any = None,
        label_type_spec: Any = None,
        additional_type_spec: Any = None,
    ) -> tf.data.Dataset:
        """A ``tf.data.Dataset`` of pairs of features and labels, batch by batch.

        Args:
            feature_columns: A column, whose tensor is the features; or several, of which they are
                a dict.
            label_columns: In the same way, the labels.
            additional_columns: In the same way, a third member of what comes, such as weights.
            prefetch_batches: As of ``iter_batches``.
            batch_size: As of ``iter_batches``.
            drop_last: As of ``iter_batches``.
            local_shuffle_buffer_size: As of ``iter_batches``.
            local_shuffle_seed: As of ``iter_batches``.
            feature_type_spec: ``tf.TypeSpec`` of the features, or of each column; by default as the
                first row has it.
            label_type_spec: That of the labels.
            additional_type_spec: That of the additional columns.

        Raises:
            ImportError: tensorflow is not installed.
            ColumnNotFoundError: A column does not exist.

        Example:
            >>> import raceline
            >>> rows = raceline.range(4).with_column("y", raceline.data.expressions.col("id") * 2)
            >>> pairs = rows.to_tf("id", "y", batch_size=2)  # doctest: +SKIP
            >>> [int(labels[0]) for _, labels in pairs]  # doctest: +SKIP
            [0, 4]
        """
        from raceline.data.tf_batches import Part, dataset_of

        batches = self.iter_tf_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
        )
        parts = [Part(feature_columns, feature_type_spec), Part(label_columns, label_type_spec)]
        if additional_columns is not None:
            parts.append(Part(additional_columns, additional_type_spec))
        return dataset_of(batches, parts, self._first_batch)

    def to_torch(
        self,
        *,
        label_column: str | None = None,
        feature_columns: Sequence[Any] | Mapping[str, Sequence[str]] | None = None,
        label_column_dtype: torch.dtype | None = None,
        feature_column_dtypes: Any = None,
        batch_size: int = 1,
        prefetch_batches: int = 1,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        unsqueeze_label_tensor: bool = True,
        unsqueeze_feature_tensors: bool = True,
    ) -> torch.utils.data.IterableDataset[Any]:
        """A torch dataset of pairs of features and labels, batch by batch.

        ``iter_torch_batches`` tells columns by their names and costs less.

        Args:
            label_column: The labels; with None, they are None.
            feature_columns: Columns whose tensors are joined to one; or a list or dict of such
                lists, for a list or dict of tensors. None takes all columns but the labels.
            label_column_dtype: Type of the labels.
            feature_column_dtypes: Type of the features, or of each of the lists.
            batch_size: As of ``iter_batches``.
            prefetch_batches: As of ``iter_batches``.
            drop_last: As of ``iter_batches``.
            local_shuffle_buffer_size: As of ``iter_batches``.
            local_shuffle_seed: As of ``iter_batches``.
            unsqueeze_label_tensor: Whether labels have a second dimension of one.
            unsqueeze_feature_tensors: Whether columns of numbers have one, along which they are
                joined.

        Raises:
            ImportError: torch is not installed.
            PlanError: The columns and their types do not fit each other.

        Example:
            >>> import raceline
            >>> pairs = raceline.range(4).to_torch(feature_columns=["id"])  # doctest: +SKIP
            >>> [features.tolist() for features, _ in pairs]  # doctest: +SKIP
            [[[0]], [[1]], [[2]], [[3]]]
        """
        from raceline.data.torch_pairs import Pairs, dataset_of

        pairs = Pairs(
            label_column,
            feature_columns,
            (label_column_dtype, feature_column_dtypes),
            (unsqueeze_label_tensor, unsqueeze_feature_tensors),
        )
        batches = self.iter_torch_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            device="cpu",
            collate_fn=pairs,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
        )
        return dataset_of(batches)


def _converted(
    rows: int | None, convert: Callable[[Any], Any], *, drop_last: bool
) -> Callable[[Epoch], Generator[tuple[int, Any], None, None]]:
    """What cuts the batches of an epoch and converts each."""

    def run(epoch: Epoch) -> Generator[tuple[int, Any], None, None]:
        batches = cut(epoch.batches(), rows, drop_last=drop_last)
        try:
            for batch in batches:
                yield batch.num_rows, convert(batch)
        finally:
            batches.close()

    return run


def _held_ahead(
    items: Generator[tuple[int, Any], None, None], most: int, epoch: Epoch
) -> Generator[tuple[int, Any], None, None]:
    """The same items, made in a thread, since they come from another process."""
    ahead = Ahead(items, most, epoch.cancel)
    try:
        yield from ahead
    finally:
        ahead.close()


def _check_batches(batch_size: int | None, prefetch_batches: int) -> None:
    """Refuses numbers out of range."""
    if batch_size is not None:
        whole_number("batch_size", batch_size, 1, hint="pass None to take batches as they come")
    whole_number("prefetch_batches", prefetch_batches, 0)
