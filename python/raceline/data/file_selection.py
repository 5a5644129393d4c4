"""Which files a read is of, and what is said about their columns; what all formats share."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from raceline._optional import optional
from raceline._session import session
from raceline.data._arguments import opening_arguments, path_text, several, storage_texts
from raceline.data.dataset import Dataset
from raceline.data.expressions import col
from raceline.data.file_places import arrow_place, engine_place
from raceline.data.shuffling import FileShuffle, file_shuffle
from raceline.errors import PlanError, SourceNotFoundError

if TYPE_CHECKING:
    from raceline.data.arrow_files.form import Form
    from raceline.data.datasource.partitioning import Partitioning, PathPartitionFilter

__all__ = ["Files", "Partitions", "Paths", "SchemaLike", "declared_schema"]

Path = str | os.PathLike[str]
Paths = Path | Sequence[Path]
Partitions: TypeAlias = "Partitioning | Literal['hive'] | None"
# A PyArrow schema, what hands one over, a dict of names and types, or None.
SchemaLike = Any

# What has a meaning in patterns.
_WILD = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True)
class Files:
    """Which files are read; what all formats share.

    Attributes are the arguments of the ``read_*`` functions, see ``raceline.data.read``.
    """

    paths: Paths
    storage_options: Mapping[str, str] | None
    partitioning: Partitions
    include_paths: bool
    file_extensions: Sequence[str] | None
    shuffle: FileShuffle
    partition_filter: PathPartitionFilter | None = None
    ignore_missing_paths: bool = False
    filesystem: Any = None
    open_args: Mapping[str, Any] | None = None

    def read(
        self,
        file_format: str,
        form: Callable[[], Form],
        *,
        needs_arrow: bool = False,
        **options: Any,
    ) -> Dataset:
        """The dataset of these files.

        Args:
            file_format: What the engine calls the format.
            form: Makes how PyArrow reads a file, for file systems that the engine does not know.
            needs_arrow: Whether an option asks for PyArrow.
            **options: Of the format, for the engine.

        Raises:
            PlanError: No path is given, or an argument is out of range.
            SourceNotFoundError: A local path does not exist.
        """
        paths = self._texts()
        extensions = self.file_extensions
        if extensions is not None:
            endings = several("file_extensions", extensions, "a file extension")
            extensions = [one.lstrip(".") for one in endings]
        storage_options = storage_texts(self.storage_options)
        needs_arrow = needs_arrow or "compression" in opening_arguments(self.open_args)
        if self.filesystem is not None:
            if storage_options:
                raise PlanError("pass either `filesystem` or `storage_options`, not both")
            place = engine_place(paths, self.filesystem)
            if place is not None and not needs_arrow:
                paths = [_WILD.sub(r"[\g<0>]", path) for path in place.paths]
                storage_options = place.storage_options
            needs_arrow = needs_arrow or place is None
        if needs_arrow:
            arrow = arrow_place(paths, storage_options) if self.filesystem is None else None
            return self._read_by_arrow(form(), arrow or (self.filesystem, paths), options)
        shared = {
            "format": file_format,
            "paths": paths,
            "storage_options": storage_options,
            "partitioning": self._folders(),
            "include_paths": self.include_paths,
            "extensions": extensions,
            "shuffle": file_shuffle(self.shuffle),
            "columns": None,
        }
        if not self.ignore_missing_paths:
            _check_local(paths)
        whole = shared | options
        whole = self._without_missing(whole) if self.ignore_missing_paths else whole
        whole = self._filtered(whole) if self.partition_filter is not None else whole
        return self._typed(Dataset(session().read_files(whole)), options.get("columns"))

    def are_foreign(self) -> bool:
        """Whether the engine does not know the file system."""
        if self.filesystem is None:
            return False
        return engine_place(self._texts(), self.filesystem) is None

    def _texts(self) -> list[str]:
        """The paths.

        Raises:
            PlanError: There is none, or one is no path.
        """
        if isinstance(self.paths, Iterable) and not isinstance(self.paths, str | bytes):
            paths = [path_text(path) for path in self.paths]
        else:
            paths = [path_text(self.paths)]
        if not paths:
            raise PlanError("no path is given", hint="pass a file, a folder or a glob")
        return paths

    def _read_by_arrow(
        self, form: Form, place: tuple[Any, list[str]], options: Mapping[str, Any]
    ) -> Dataset:
        """The dataset of files that PyArrow opens in workers."""
        from raceline.data.arrow_files.source import ArrowFiles, Declared
        from raceline.data.datasource.partitioning import Partitioning
        from raceline.data.own_sources import read_datasource

        self._folders()
        declared = None
        if (table := options.get("schema")) is not None:
            declared = Declared(table.schema, options["strict_schema"])
        filesystem, paths = place
        hive = Partitioning("hive")
        source = ArrowFiles(
            form,
            paths,
            declared,
            filesystem=filesystem,
            open_stream_args=self.open_args,
            partition_filter=self._chosen(),
            partitioning=hive if self.partitioning == "hive" else self.partitioning,
            ignore_missing_paths=self.ignore_missing_paths,
            shuffle=self.shuffle,
            include_paths=self.include_paths,
            file_extensions=self.file_extensions,
        )
        return read_datasource(source)

    def _folders(self) -> str | tuple[str, bool, list[str | None] | None] | None:
        """How folders become columns, as the engine takes it."""
        given = self.partitioning
        if given is None or given == "hive":
            return given
        from raceline.data.datasource.partitioning import Partitioning, PartitionStyle

        if isinstance(given, Partitioning):
            names = None if given.field_names is None else list(given.field_names)
            is_hive = given.style is PartitionStyle.HIVE
            return given.normalized_base_dir.rstrip("/"), is_hive, names
        raise PlanError(
            f"there is no partitioning `{self.partitioning!r}`",
            hint='pass "hive", a `Partitioning` or None',
        )

    def _without_missing(self, options: dict[str, Any]) -> dict[str, Any]:
        """The read, without paths that do not exist."""
        found = []
        for path in options["paths"]:
            try:
                session().read_files({**options, "paths": [path]}).input_files()
            except FileNotFoundError:
                continue
            found.append(path)
        if not found:
            raise PlanError("none of the paths exists", hint="pass a file, a folder or a glob")
        return {**options, "paths": found}

    def _filtered(self, options: dict[str, Any]) -> dict[str, Any]:
        """The read of those files that the filter takes."""
        chosen = self._chosen()
        files = session().read_files(options).input_files()
        taken = [file for file in files if chosen is None or chosen.apply(file)]
        if not taken:
            raise PlanError(f"`partition_filter` takes none of the {len(files)} files")
        return {**options, "paths": [_WILD.sub(r"[\g<0>]", file) for file in taken]}

    def _chosen(self) -> PathPartitionFilter | None:
        """Which files are read."""
        from raceline.data.datasource.partitioning import PathPartitionFilter

        chosen = self.partition_filter
        if not isinstance(chosen, PathPartitionFilter | None):
            raise PlanError(
                f"`partition_filter` must be a `PathPartitionFilter`, got `{chosen!r}`",
                hint="for example `PathPartitionFilter.of(lambda values: values['year'] > '2020')`",
            )
        return chosen

    def _typed(self, dataset: Dataset, columns: list[str] | None) -> Dataset:
        """The dataset, in which the columns of folders have the types that were asked for."""
        if self.partitioning is not None and self.partitioning != "hive":
            for name, kind in self.partitioning.type_names().items():
                if columns is None or name in columns:
                    dataset = dataset.with_column(name, col(name).cast(kind))
        return dataset


def _check_local(paths: Sequence[str]) -> None:
    """Refuses a path of this machine that is not there, so that it fails where it is written.

    Raises:
        SourceNotFoundError: There is one.
    """
    for path in paths:
        if "://" not in path and not _WILD.search(path) and not os.path.exists(path):
            raise SourceNotFoundError(f"no such file or folder: `{path}`")


def declared_schema(schema: Any, *, strict: bool) -> dict[str, Any]:
    """The columns that the user declares, as the engine takes them.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: It is no schema, or ``strict_schema`` goes without one.
    """
    if schema is None:
        if strict:
            raise PlanError("`strict_schema` needs a `schema`", hint="declare the columns")
        return {}
    pa = optional("pyarrow")
    is_schema = isinstance(schema, Mapping | pa.Schema) or hasattr(schema, "__arrow_c_schema__")
    if not is_schema:
        raise PlanError(
            f"`schema` must be a PyArrow schema or a dict of names and types, got `{schema!r}`"
        )
    try:
        declared = pa.schema(schema)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise PlanError(f"`schema` is no schema: {error}") from error
    return {"schema": declared.empty_table(), "strict_schema": bool(strict)}
