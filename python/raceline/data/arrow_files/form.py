"""How a file becomes rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Form", "TableForm"]


class Form(ABC):
    """How a file of a format becomes rows."""

    #: What a person calls such files.
    name: str
    #: Whether a file is read from several places at once, and so never decompressed.
    is_random = False

    @abstractmethod
    def blocks(self, file: Any, schema: pa.Schema | None) -> Iterator[Any]:
        """The rows of a file, in order.

        Args:
            file: PyArrow's ``NativeFile``.
            schema: Columns that are known, of tables; None are those of the file.
        """


class TableForm(Form):
    """A format whose files have columns of their own."""

    #: Whether the columns of a single file are found before its rows are read.
    looks_first = False

    @abstractmethod
    def schema_of(self, file: Any) -> pa.Schema:
        """The columns of a file, as far as its beginning tells."""
