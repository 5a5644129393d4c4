"""Values that the folders of a file stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import unquote

from raceline._optional import optional
from raceline.data._arguments import several
from raceline.errors import PlanError

__all__ = [
    "HIVE_NULL",
    "PartitionStyle",
    "Partitioning",
    "PathPartitionFilter",
    "PathPartitionParser",
    "PathPartitionScheme",
]

#: The folder value that stands for a null.
HIVE_NULL = "__HIVE_DEFAULT_PARTITION__"

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*://")
_TYPES: Mapping[type, str] = {int: "int64", float: "float64", bool: "bool", str: "string"}


class PartitionStyle(StrEnum):
    """How folders name columns.

    Example:
        >>> PartitionStyle("hive")
        <PartitionStyle.HIVE: 'hive'>
    """

    #: Folders ``column=value``.
    HIVE = "hive"
    #: Folders ``value``, whose columns are known by their order.
    DIRECTORY = "dir"


@dataclass(frozen=True)
class Partitioning:
    """How folders become columns.

    Attributes:
        style: ``"hive"`` or ``"dir"``.
        base_dir: The folder below which folders mean something; None is the whole path.
        field_names: Columns, outermost folder first. Of hive folders they are the columns that
            there must be; of others they are needed, and None passes a folder over.
        field_types: Types of columns, of ``int``, ``float``, ``bool`` and ``str``; a column that
            is not named is a string.
        filesystem: As in Ray Data; the base folder's own is known by its path.

    Example:
        >>> by_year = Partitioning("dir", "s3://sales/daily", ["year"], {"year": int})
        >>> by_year.normalized_base_dir
        'sales/daily/'
    """

    style: PartitionStyle | str
    base_dir: str | None = None
    field_names: Sequence[str | None] | None = None
    field_types: Mapping[str, type] | None = None
    filesystem: Any = None

    def __post_init__(self) -> None:
        """Checks that the parts go together.

        Raises:
            PlanError: They do not.
        """
        try:
            style = PartitionStyle(self.style)
        except ValueError:
            raise PlanError(
                f"there is no partition style `{self.style!r}`", hint='pass "hive" or "dir"'
            ) from None
        object.__setattr__(self, "style", style)
        names = self.field_names
        if names is not None:
            several("field_names", [name for name in names if name is not None], "a column's name")
            object.__setattr__(self, "field_names", tuple(names))
        if style is PartitionStyle.DIRECTORY and not self.field_names:
            raise PlanError(
                'partitions of style "dir" need `field_names`',
                hint="name the columns, the outermost folder's first",
            )
        if style is PartitionStyle.HIVE and None in (self.field_names or ()):
            raise PlanError('only partitions of style "dir" pass folders over')
        for name, kind in (self.field_types or {}).items():
            if kind not in _TYPES:
                raise PlanError(
                    f"partition column `{name}` cannot be of type `{kind!r}`",
                    hint="pass int, float, bool or str",
                )
            if names is not None and name not in names:
                raise PlanError(f"`field_types` names `{name}`, which is not in `field_names`")

    @property
    def normalized_base_dir(self) -> str:
        """The base folder without scheme, with a slash at its end; empty where there is none."""
        base = _plain_path(self.base_dir or "").strip("/")
        return f"{base}/" if base else ""

    @property
    def resolved_filesystem(self) -> Any:
        """The PyArrow file system of the base folder."""
        from raceline.data.datasource.filesystem import filesystem_of

        return filesystem_of(self.base_dir or "/", self.filesystem)[0]

    def to_pyarrow(self) -> Any:
        """The same for PyArrow's datasets."""
        pa, dataset = optional("pyarrow"), optional("pyarrow.dataset")
        if self.field_names is None and not self.field_types:
            return dataset.partitioning(flavor="hive")
        types = self.field_types or {}
        names = [name for name in self.field_names or types if name is not None]
        fields = [(name, pa.type_for_alias(_TYPES[types.get(name, str)])) for name in names]
        flavor = "hive" if self.style is PartitionStyle.HIVE else None
        return dataset.partitioning(pa.schema(fields), flavor=flavor)

    def type_names(self) -> dict[str, str]:
        """The types of columns that are no strings, by the names of the engine.

        Example:
            >>> Partitioning("hive", field_types={"year": int, "city": str}).type_names()
            {'year': 'int64'}
        """
        types = self.field_types or {}
        return {name: _TYPES[kind] for name, kind in types.items() if kind is not str}


class PathPartitionParser:
    """Tells the values of a path's folders.

    Example:
        >>> parse = PathPartitionParser.of("dir", base_dir="data", field_names=["year", "month"])
        >>> parse("data/2024/05/a.csv")
        {'year': '2024', 'month': '05'}
    """

    def __init__(self, partitioning: Partitioning) -> None:
        """Takes how folders become columns."""
        self._partitioning = partitioning

    @staticmethod
    def of(
        style: PartitionStyle | str = PartitionStyle.HIVE,
        base_dir: str | None = None,
        field_names: Sequence[str | None] | None = None,
        field_types: Mapping[str, type] | None = None,
        filesystem: Any = None,
    ) -> PathPartitionParser:
        """A parser of a :class:`Partitioning` of these arguments.

        Example:
            >>> PathPartitionParser.of()("year=2024/a.csv")
            {'year': '2024'}
        """
        return PathPartitionParser(
            Partitioning(style, base_dir, field_names, field_types, filesystem)
        )

    @property
    def scheme(self) -> Partitioning:
        """How folders become columns."""
        return self._partitioning

    def __call__(self, path: str) -> dict[str, str]:
        """The values of the folders, outermost first; none of a path that has none.

        Raises:
            PlanError: The folders are others than ``field_names`` says.
        """
        base = self._partitioning.normalized_base_dir
        plain = _plain_path(path).lstrip("/")
        if not plain.startswith(base):
            return {}
        folders = [part for part in plain[len(base) :].split("/")[:-1] if part]
        if self._partitioning.style is PartitionStyle.HIVE:
            return self._hive(path, folders)
        return self._directories(path, folders)

    def _hive(self, path: str, folders: list[str]) -> dict[str, str]:
        pairs = [folder.split("=", 1) for folder in folders if "=" in folder[1:]]
        values = {unquote(name): unquote(value) for name, value in pairs}
        wanted = self._partitioning.field_names
        if values and wanted is not None and list(values) != list(wanted):
            raise PlanError(
                f"the folders of `{path}` name the columns {_listed(values)}, and the partitioning "
                f"{_listed(wanted)}"
            )
        return values

    def _directories(self, path: str, folders: list[str]) -> dict[str, str]:
        names = self._partitioning.field_names or ()
        if folders and len(folders) != len(names):
            raise PlanError(
                f"`{path}` lies in {len(folders)} folders, and the partitioning has {len(names)} "
                f"columns: {_listed(names)}",
                hint="set `base_dir` to the folder below which the partitions begin",
            )
        pairs = zip(names, folders, strict=False)
        return {name: value for name, value in pairs if name is not None}


class PathPartitionFilter:
    """Chooses files by the values of their folders.

    Example:
        >>> recent = PathPartitionFilter.of(lambda values: values.get("year", "") >= "2024")
        >>> recent(["year=2023/a.csv", "year=2024/b.csv"])
        ['year=2024/b.csv']
    """

    def __init__(
        self,
        path_partition_parser: PathPartitionParser,
        filter_fn: Callable[[dict[str, str]], bool],
    ) -> None:
        """Takes a parser, and what says whether a file with these values is read."""
        self._parser = path_partition_parser
        self._filter = filter_fn

    @staticmethod
    def of(  # noqa: PLR0917 (Ray's)
        filter_fn: Callable[[dict[str, str]], bool],
        style: PartitionStyle | str = PartitionStyle.HIVE,
        base_dir: str | None = None,
        field_names: Sequence[str | None] | None = None,
        field_types: Mapping[str, type] | None = None,
        filesystem: Any = None,
    ) -> PathPartitionFilter:
        """A filter over a :class:`Partitioning` of these arguments.

        Example:
            >>> PathPartitionFilter.of(lambda values: "year" in values).apply("year=2024/a.csv")
            True
        """
        parser = PathPartitionParser.of(style, base_dir, field_names, field_types, filesystem)
        return PathPartitionFilter(parser, filter_fn)

    @property
    def parser(self) -> PathPartitionParser:
        """What tells the values of a path."""
        return self._parser

    def apply(self, path: str) -> bool:
        """Whether a file is read; one without partitions has an empty dict of values.

        Example:
            >>> PathPartitionFilter.of(lambda values: not values).apply("a.csv")
            True
        """
        return bool(self._filter(self._parser(path)))

    def __call__(self, paths: Iterable[str]) -> list[str]:
        """The files that are read."""
        return [path for path in paths if self.apply(path)]


#: Ray's other name.
PathPartitionScheme = Partitioning


def _plain_path(path: str) -> str:
    """A path without its scheme."""
    return _SCHEME.sub("", path)


def _listed(names: Iterable[str | None]) -> str:
    return ", ".join(f"`{name}`" for name in names)
