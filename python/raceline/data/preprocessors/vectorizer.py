"""Texts as vectors of how often each token comes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data._arguments import whole_number
from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.categories import codes_of, items_of, value_counts
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor
from raceline.data.preprocessors.tokenizer import Tokenizer, simple_split_tokenizer, tokens_of
from raceline.data.preprocessors.vectors import counted, vector_column

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline.data.dataset import Dataset

__all__ = ["CountVectorizer", "HashingVectorizer", "simple_hash"]


def simple_hash(value: object, num_features: int) -> int:
    """A number from 0 to ``num_features - 1`` that depends on a value's text alone.

    Example:
        >>> simple_hash("I", 8)
        4
    """
    digest = hashlib.sha256(str(value).encode()).digest()
    return int.from_bytes(digest, "big") % num_features


class _Vectorizer(ColumnwisePreprocessor):
    """Counts tokens by their ids."""

    tokenization_fn = Argument[Callable[[str], Any]]()

    def __init__(
        self,
        columns: str | Sequence[str],
        tokenization_fn: Callable[[str], Any] | None,
        output_columns: Sequence[str] | None,
    ) -> None:
        super().__init__(columns, output_columns)
        self._tokenization_fn = tokenization_fn or simple_split_tokenizer

    def _vectors(
        self,
        table: pa.Table,
        name: str,
        id_of: Mapping[Any, int] | Callable[[Hashable], int],
        width: int,
    ) -> Any:
        """The vector of each text of a column; a missing text has none."""
        import pyarrow as pa

        tokens = tokens_of(table, name, self._tokenization_fn)
        if isinstance(tokens, pa.Array):
            tokens = pa.chunked_array([tokens])
        rows, items, missing = items_of(tokens)
        counts = counted(rows, codes_of(items, id_of), (table.num_rows, width))
        return vector_column(counts, missing)


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.count_vectorizer")
class CountVectorizer(_Vectorizer):
    """Replaces each text by a vector of how often each token of the fitted dataset is in it.

    The most frequent token comes first, of equally frequent ones the one seen first. Tokens that
    were not there do not count. A missing text has no vector.

    Example:
        >>> import raceline
        >>> texts = raceline.from_items([{"text": "b a b"}, {"text": "b c"}])
        >>> vectorizer = CountVectorizer(columns=["text"], max_features=2).fit(texts)
        >>> vectorizer.stats_["token_counts(text)"]
        Counter({'b': 3, 'a': 1})
        >>> vectorizer.transform(texts).take_batch()["text"]
        array([[2, 1],
               [1, 0]])
    """

    max_features = Argument[int | None]()

    def __init__(
        self,
        columns: str | Sequence[str],
        tokenization_fn: Callable[[str], Any] | None = None,
        max_features: int | None = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a vectorizer.

        Args:
            columns: Columns of texts.
            tokenization_fn: Gets a text and returns its tokens; by default the parts between
                single spaces.
            max_features: How many of the most frequent tokens are counted; None counts all.
            output_columns: Names of the columns of vectors; None replaces the texts.

        Raises:
            PlanError: The names or ``max_features`` do not fit.
        """
        super().__init__(columns, tokenization_fn, output_columns)
        if max_features is not None:
            whole_number("max_features", max_features, 1, hint="None counts all")
        self._max_features = max_features

    def _fit(self, ds: Dataset) -> None:
        texts = ds.select_columns(self._columns)
        tokens = Tokenizer(self._columns, self._tokenization_fn).transform(texts)
        for name, counter in value_counts(tokens, self._columns, items=True, missing=True).items():
            counter.pop(None, None)
            frequent = Counter(dict(counter.most_common(self._max_features)))
            self.stats_[f"token_counts({name})"] = frequent

    def _made(self, table: pa.Table, name: str) -> Any:
        counter: Counter[Any] = self.stats_[f"token_counts({name})"]
        ids = {token: at for at, (token, _) in enumerate(counter.most_common())}
        return self._vectors(table, name, ids, len(ids))


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.hashing_vectorizer")
class HashingVectorizer(_Vectorizer):
    """Replaces each text by a vector of how often tokens of each hash are in it.

    It need not be fitted, however many tokens there are; tokens of one hash count together. A
    missing text has no vector.

    Example:
        >>> import raceline
        >>> texts = raceline.from_items([{"text": "I like I"}])
        >>> vectorizer = HashingVectorizer(columns=["text"], num_features=8)
        >>> vectorizer.transform(texts).take_batch()["text"]
        array([[0, 0, 0, 0, 2, 0, 0, 1]])
    """

    num_features = Argument[int]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        num_features: int,
        tokenization_fn: Callable[[str], Any] | None = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a vectorizer.

        Args:
            columns: Columns of texts.
            num_features: Length of the vectors: the number of different hashes.
            tokenization_fn: Gets a text and returns its tokens; by default the parts between
                single spaces.
            output_columns: Names of the columns of vectors; None replaces the texts.

        Raises:
            PlanError: The names or ``num_features`` do not fit.
        """
        super().__init__(columns, tokenization_fn, output_columns)
        self._num_features = whole_number("num_features", num_features, 1)

    def _made(self, table: pa.Table, name: str) -> Any:
        width = self._num_features
        return self._vectors(table, name, lambda token: simple_hash(token, width), width)
