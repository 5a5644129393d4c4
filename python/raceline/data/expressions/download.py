"""Bytes behind URIs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raceline.data.expressions.constructors import col
from raceline.data.expressions.expr import Expr
from raceline.data.expressions.staged import StagedExpr
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.function import Demand

__all__ = ["DownloadExpr", "download"]

# Files that a worker fetches at the same time.
_FETCHED_AT_ONCE = 16


class DownloadExpr(StagedExpr):
    """Bytes behind URIs; made by ``download``."""

    __slots__ = ("_filesystem", "_options", "_uris")

    def __init__(self, uris: Expr, options: Mapping[str, str], filesystem: Any = None) -> None:
        """The bytes behind ``uris``, in a file system of PyArrow or in the engine's."""
        super().__init__()
        self._uris = uris
        self._options = dict(options)
        self._filesystem = filesystem

    @property
    def uri_column_name(self) -> str | None:
        """The column of URIs; None where they are computed."""
        return self._uris.name

    def _parts(self) -> Sequence[tuple[str, Expr]]:
        return (("uris", self._uris),)

    def _rebuilt(self, parts: Sequence[Expr]) -> Expr:
        return DownloadExpr(parts[0], self._options, self._filesystem)

    def _label(self) -> str:
        return "DOWNLOAD"

    def _stage(
        self, dataset: Any, name: str, arguments: Sequence[str], demand: Demand | None
    ) -> Any:
        [uris] = arguments
        if self._filesystem is not None:
            return self._fetched(dataset, name, uris, demand)
        return dataset._derive(dataset._native.download(uris, name, self._options))

    def _fetched(self, dataset: Any, name: str, uris: str, demand: Demand | None) -> Any:
        """The dataset with the bytes, which workers fetch."""
        from raceline.data.datasource.filesystem import is_of_process
        from raceline.data.function import Batching, Demand, UserFunction

        function = UserFunction(
            "map_batches",
            _Fetch(self._filesystem, uris, name),
            demand=demand or Demand(),
            batching=Batching(format="pyarrow"),
            debug=is_of_process(self._filesystem),
        )
        options = function.native_options(function.translated())
        options |= {"reads": {uris, name}, "only_written": {name}, "passes_others": True}
        dataset._native.expect_workers(function.preloads, False)
        return dataset._derive(dataset._native.udf(options))


class _Fetch:
    """Fetches what the URIs of a batch name."""

    def __init__(self, filesystem: Any, uris: str, output: str) -> None:
        self.__name__ = "Download"
        self._filesystem = filesystem
        self._uris = uris
        self._output = output

    def __call__(self, table: Any) -> Any:
        from concurrent.futures import ThreadPoolExecutor

        import pyarrow as pa

        uris = table.column(self._uris).to_pylist()
        with ThreadPoolExecutor(_FETCHED_AT_ONCE) as fetching:
            fetched = list(fetching.map(self._bytes, uris))
        size = sum(len(one) for one in fetched if one is not None)
        kind = pa.binary() if size < 2**31 else pa.large_binary()
        return table.append_column(self._output, pa.array(fetched, kind))

    def _bytes(self, uri: str | None) -> bytes | None:
        if uri is None:
            return None
        path = uri.split("://", 1)[-1]
        try:
            with self._filesystem.open_input_file(path) as file:
                content: bytes = file.read()
        except (OSError, ValueError, KeyError):
            # As in the engine: what cannot be fetched is missing.
            return None
        return content


def download(
    uri_column_name: str | Expr,
    *,
    filesystem: Any = None,
    storage_options: Mapping[str, str] | None = None,
) -> Expr:
    """The bytes behind URIs: local paths, ``s3://...``, ``https://...``.

    Many are fetched at once. What cannot be fetched is missing, as is a row without a URI.

    Args:
        uri_column_name: The column of URIs, or an expression of them.
        filesystem: One of PyArrow or fsspec, as of the read functions, in which the URIs lie, with
            a scheme or without. In those that are not local, workers fetch.
        storage_options: Endpoint, region and credentials, as of the read functions.

    Raises:
        PlanError: ``filesystem`` is none, or goes with ``storage_options``.

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
    if filesystem is None:
        return DownloadExpr(uris, {} if storage_options is None else storage_options)
    if storage_options:
        raise PlanError("pass either `filesystem` or `storage_options`, not both")
    from raceline.data.datasource.filesystem import filesystem_of
    from raceline.data.file_places import is_local

    arrow, _ = filesystem_of("/", filesystem)
    return DownloadExpr(uris, {}, None if is_local(arrow) else arrow)
