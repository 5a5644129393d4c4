"""How rows become a file, by PyArrow's and pandas' own writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from raceline._optional import optional
from raceline.data.ray_arguments import unknown_argument
from raceline.errors import PlanError

__all__ = ["Encoding"]

_OUTPUTS = frozenset({"table", "where", "data", "output_file", "path_or_buf", "self"})


class Encoding:
    """A format, and arguments of its writer."""

    def __init__(
        self,
        file_format: str,
        arguments: Mapping[str, Any],
        arguments_fn: Callable[[], Mapping[str, Any]] | None,
    ) -> None:
        """Takes a format and arguments.

        Args:
            file_format: ``parquet``, ``csv`` or ``json``.
            arguments: Of ``pyarrow.parquet.write_table``, ``pyarrow.csv.write_csv`` or
                ``pandas.DataFrame.to_json``.
            arguments_fn: Makes further ones, where the file is written; they go before.

        Raises:
            ImportError: PyArrow or pandas is not installed.
            PlanError: ``arguments_fn`` is no function.
            TypeError: The writer has no such argument.
        """
        self.file_format = file_format
        if arguments_fn is not None and not callable(arguments_fn):
            raise PlanError(f"the arguments must come of a function, got `{arguments_fn!r}`")
        self._check(arguments)
        self._arguments = dict(arguments)
        self._arguments_fn = arguments_fn
        # PyArrow's options of CSV cannot be pickled.
        options = self._arguments.pop("write_options", None)
        if options is not None and type(options).__name__ != "WriteOptions":
            raise PlanError(
                f"`write_options` must be `pyarrow.csv.WriteOptions`, got `{options!r}`"
            )
        names = [] if options is None else [name for name in dir(options) if name[0] != "_"]
        self._csv_options = {name: getattr(options, name) for name in names if name != "validate"}

    def write(self, table: Any, file: Any) -> None:
        """Writes rows.

        Args:
            table: PyArrow's table.
            file: A stream of PyArrow.

        Raises:
            TypeError: The function of arguments gives one that the writer does not have.
        """
        further = {} if self._arguments_fn is None else dict(self._arguments_fn())
        self._check(further)
        arguments = self._arguments | further
        if self.file_format == "parquet":
            optional("pyarrow.parquet").write_table(table, file, **arguments)
            return
        if self.file_format == "csv":
            csv = optional("pyarrow.csv")
            options = csv.WriteOptions(**self._csv_options)
            csv.write_csv(table, file, **{"write_options": options, **arguments})
            return
        frame = table.to_pandas(types_mapper=optional("pandas").ArrowDtype)
        plain = {"orient": "records", "lines": True, "date_format": "iso"}
        file.write(frame.to_json(**plain | arguments).encode())

    def _check(self, arguments: Mapping[str, Any]) -> None:
        """Refuses arguments that the writer does not have."""
        import inspect

        if self.file_format == "parquet":
            parquet = optional("pyarrow.parquet")
            writers = [parquet.write_table, parquet.ParquetWriter.__init__]
        elif self.file_format == "csv":
            writers = [optional("pyarrow.csv").write_csv]
        else:
            writers = [optional("pandas").DataFrame.to_json]
        known = [name for one in writers for name in inspect.signature(one).parameters]
        known = [name for name in known if name not in _OUTPUTS]
        if not arguments.keys() <= set(known):
            from raceline.data.writing import Writes

            name = f"write_{self.file_format}"
            own = inspect.signature(getattr(Writes, name)).parameters
            raise unknown_argument(name, arguments.keys() - set(known), [*known, *own])
