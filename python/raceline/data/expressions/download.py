"""Bytes behind URIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.expressions.constructors import col
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.staged import StagedExpr

if TYPE_CHECKING:
    from raceline.data.function import Demand

__all__ = ["DownloadExpr", "download"]


class DownloadExpr(StagedExpr):
    """Bytes behind URIs; made by ``download``."""

    __slots__ = ("_options", "_uris")

    def __init__(self, uris: Expr, options: Mapping[str, str]) -> None:
        """The bytes behind ``uris``."""
        super().__init__()
        self._uris = uris
        self._options = dict(options)

    @property
    def uri_column_name(self) -> str | None:
        """The column of URIs; None where they are computed."""
        return self._uris.name

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("uris", self._uris),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return DownloadExpr(parts[0], self._options)

    def _label(self) -> str:
        return "DOWNLOAD"

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        [uris] = arguments
        return dataset._derive(dataset._native.download(uris, name, self._options))


def download(
    uri_column_name: str | Expr, *, storage_options: Mapping[str, str] | None = None
) -> Expr:
    """The bytes behind URIs: local paths, ``s3://...``, ``https://...``.

    Many are fetched at once. What cannot be fetched is missing, as is a row without a URI.

    Args:
        uri_column_name: The column of URIs, or an expression of them.
        storage_options: Endpoint, region and credentials, as of the read functions.

    Example:
        >>> import pathlib, tempfile
        >>> import raceline
        >>> file = pathlib.Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = file.write_bytes(b"abc")
        >>> rows = raceline.from_items([{"uri": str(file)}, {"uri": "/no/such/file"}])
        >>> rows.with_column("bytes", download("uri")).drop_columns("uri").take_all()
        [{'bytes': b'abc'}, {'bytes': None}]
    """
    uris = col(uri_column_name) if isinstance(uri_column_name, str) else uri_column_name
    return DownloadExpr(uris, {} if storage_options is None else storage_options)
