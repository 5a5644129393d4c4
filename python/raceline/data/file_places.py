"""Where the engine and PyArrow mean the same files: paths and file systems of both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from raceline._optional import optional
from raceline.errors import PlanError

__all__ = ["EnginePlace", "arrow_place", "engine_place", "is_local"]

# Options of a PyArrow `S3FileSystem` that the engine has, by its names.
_S3_OPTIONS = {
    "access_key": "access_key_id",
    "secret_key": "secret_access_key",
    "session_token": "session_token",
    "region": "region",
    "endpoint_override": "endpoint",
}
_VARIABLES = {
    "access_key_id": "AWS_ACCESS_KEY_ID",
    "secret_access_key": "AWS_SECRET_ACCESS_KEY",
    "session_token": "AWS_SESSION_TOKEN",
    "region": "AWS_REGION",
    "endpoint": "AWS_ENDPOINT_URL",
}
# Options that change nothing of what is read or written.
_S3_MANNERS = frozenset(
    {"scheme", "connect_timeout", "request_timeout", "background_writes", "load_frequency"}
    | {"allow_delayed_open", "check_directory_existence_before_creation"}
    | {"allow_bucket_creation", "allow_bucket_deletion"}
)


class EnginePlace(NamedTuple):
    """Paths as the engine takes them."""

    paths: list[str]
    storage_options: dict[str, str]


def engine_place(paths: Sequence[str], filesystem: Any) -> EnginePlace | None:
    """The same files for the engine; None where it does not know the file system.

    Known are PyArrow's and fsspec's local ones, and PyArrow's ``S3FileSystem`` with keys, where
    nothing else is set.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: ``filesystem`` is none.

    Example:
        >>> import pyarrow.fs
        >>> engine_place(["/data/a.csv"], pyarrow.fs.LocalFileSystem()).paths
        ['/data/a.csv']
    """
    from raceline.data.datasource.filesystem import filesystem_of

    fs = optional("pyarrow.fs")
    found = [filesystem_of(path, filesystem) for path in paths]
    arrow = found[0][0]
    inside = [path for _, path in found]
    if is_local(arrow):
        return EnginePlace([os.path.abspath(path) for path in inside], {})
    s3 = getattr(fs, "S3FileSystem", None)
    if s3 is None or type(arrow) is not s3:
        return None
    options = _s3_options(arrow, s3)
    return None if options is None else EnginePlace([f"s3://{path}" for path in inside], options)


def is_local(arrow: Any) -> bool:
    """Whether a file system of PyArrow is that of this machine, as it is.

    Example:
        >>> import pyarrow.fs
        >>> is_local(pyarrow.fs.LocalFileSystem())
        True
    """
    inner = getattr(getattr(arrow, "handler", None), "fs", None)
    is_fsspec_s = (
        type(inner).__name__ == "LocalFileSystem"
        and type(inner).__module__ == "fsspec.implementations.local"
    )
    return type(arrow) is optional("pyarrow.fs").LocalFileSystem or is_fsspec_s


def arrow_place(paths: Sequence[str], storage_options: Mapping[str, str]) -> tuple[Any, list[str]]:
    """The PyArrow file system of paths, and the paths in it.

    Raises:
        ImportError: PyArrow is not installed.
        PlanError: PyArrow has none for them, or does not know an option.
    """
    from raceline.data.datasource.filesystem import filesystem_of

    if not paths[0].startswith("s3://"):
        found = [filesystem_of(path) for path in paths]
        return found[0][0], [path for _, path in found]
    environment = {
        "endpoint": os.environ.get("AWS_ENDPOINT_URL"),
        "region": os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
    }
    options = {name: value for name, value in environment.items() if value} | dict(storage_options)
    arrow_names = {ours: theirs for theirs, ours in _S3_OPTIONS.items()}
    arguments: dict[str, Any] = {}
    for name, value in options.items():
        if name not in arrow_names:
            known = ", ".join(f"`{one}`" for one in arrow_names)
            raise PlanError(
                f"PyArrow opens these files, which does not know the option `{name}`",
                hint=f"it knows {known}; or pass `filesystem=`",
            )
        arguments[arrow_names[name]] = value
    if "://" in arguments.get("endpoint_override", ""):
        scheme, arguments["endpoint_override"] = arguments["endpoint_override"].split("://", 1)
        arguments["scheme"] = scheme
    arrow = optional("pyarrow.fs").S3FileSystem(**arguments)
    return arrow, [path.removeprefix("s3://") for path in paths]


def _s3_options(arrow: Any, s3: type) -> dict[str, str] | None:
    """The options of an S3 file system; None where the engine would not do the same."""
    [given] = arrow.__reduce__()[1]
    [plain] = s3(anonymous=True, region="us-east-1").__reduce__()[1]
    for name, value in given.items():
        is_known = name in _S3_OPTIONS or name in _S3_MANNERS
        # PyArrow's metadata cannot be compared with None.
        is_plain = value is plain[name] or (plain[name] is not None and value == plain[name])
        if not is_known and name != "anonymous" and not is_plain:
            return None
    if given["anonymous"] or not given["access_key"] or not given["secret_key"]:
        return None
    options = {ours: given[theirs] for theirs, ours in _S3_OPTIONS.items() if given[theirs]}
    endpoint = options.get("endpoint")
    if endpoint is not None and "://" not in endpoint:
        options["endpoint"] = f"{given['scheme']}://{endpoint}"
    told = {_VARIABLES[name] for name in options} | {"AWS_DEFAULT_REGION"}
    # The engine heeds variables beside options, and PyArrow other ones.
    others = [name for name in os.environ if name.startswith("AWS_") and name not in told]
    return None if others else options
