"""Texts as lists of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.preprocessors.argument import Argument
from raceline.data.preprocessors.columns import column_of
from raceline.data.preprocessors.columnwise import ColumnwisePreprocessor
from raceline.data.preprocessors.serialization import SerializablePreprocessor

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Tokenizer", "simple_split_tokenizer", "tokens_of"]


def simple_split_tokenizer(value: str) -> list[str]:
    """The parts of a text between single spaces, empty ones too.

    Example:
        >>> simple_split_tokenizer("a  b")
        ['a', '', 'b']
    """
    return value.split(" ")


def tokens_of(
    table: pa.Table, name: str, tokenization_fn: Callable[[str], Any]
) -> pa.ChunkedArray | pa.Array:
    """The tokens of each text of a column; a missing text has none and stays missing.

    Raises:
        ValueError: There is no such column.
        TypeError: It holds no texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    column = column_of(table, name)
    kind = column.type
    if pa.types.is_null(kind):
        column = column.cast(pa.large_string())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise TypeError(f"column `{name}` of type `{kind}` holds no texts")
    if tokenization_fn is simple_split_tokenizer:
        return pc.split_pattern(column, " ")
    texts = column.to_pylist()
    return pa.array([None if one is None else list(tokenization_fn(one)) for one in texts])


@SerializablePreprocessor(version=1, identifier="io.ray.preprocessors.tokenizer")
class Tokenizer(ColumnwisePreprocessor):
    """Replaces each text by a list of tokens.

    Example:
        >>> import raceline
        >>> texts = raceline.from_items([{"text": "so it goes"}])
        >>> Tokenizer(columns=["text"]).transform(texts).take_all()
        [{'text': ['so', 'it', 'goes']}]
    """

    tokenization_fn = Argument[Callable[[str], Any]]()

    _is_fittable = False

    def __init__(
        self,
        columns: str | Sequence[str],
        tokenization_fn: Callable[[str], Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        """Makes a tokenizer.

        Args:
            columns: Columns of texts.
            tokenization_fn: Gets a text and returns its tokens; by default the parts between
                single spaces.
            output_columns: Names of the columns of tokens; None replaces the texts.

        Raises:
            PlanError: The names do not fit.
        """
        super().__init__(columns, output_columns)
        self._tokenization_fn = tokenization_fn or simple_split_tokenizer

    def _made(self, table: pa.Table, name: str) -> Any:
        return tokens_of(table, name, self._tokenization_fn)
