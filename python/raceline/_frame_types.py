"""Types that columns of pandas frames have again when the rows come out as frames.

Ray Data carries frames through what takes no function; so do rows that came as frames here keep
the types of pandas, where those of other rows are Arrow's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from raceline import _native

__all__ = ["FrameTypes", "frame_types", "types_after", "types_of_frames", "with_frame_types"]

#: Types by column. One that is not named has what pandas takes for its Arrow type.
FrameTypes = Mapping[str, Any]

# Calls after which columns are what they were.
_KEPT = frozenset(
    {
        "filter_expr",
        "in_order",
        "limit",
        "materialize",
        "random_shuffle",
        "randomize_block_order",
        "repartition",
        "repartition_by",
        "repartition_rows",
        "reseeding",
        "skip",
        "window_shuffle",
    }
)


def types_of_frames(frames: list[pd.DataFrame]) -> FrameTypes:
    """Types of columns that are of one type in all frames."""
    of_each = [{str(label): kind for label, kind in frame.dtypes.items()} for frame in frames]
    types: FrameTypes = of_each[0] if of_each else {}
    for others in of_each[1:]:
        types = _shared(types, others)
    return types


def frame_types(native: _native.Dataset) -> FrameTypes | None:
    """Types of the columns of a plan; None where its rows are no longer of frames."""
    types: FrameTypes | None = getattr(getattr(native, "step", None), "frame_types", None)
    return types


def types_after(
    types: FrameTypes | None, method: str, arguments: tuple[Any, ...]
) -> FrameTypes | None:
    """Types after a call of the engine, of those before it."""
    if types is None or method in _KEPT:
        return types
    if method == "select":
        return {name: types[name] for name in arguments[0] if name in types}
    if method == "drop":
        return {name: kind for name, kind in types.items() if name not in arguments[0]}
    if method == "rename":
        names = dict(arguments[0])
        return {names.get(name, name): kind for name, kind in types.items()}
    if method in ("with_column", "row_column"):
        return {name: kind for name, kind in types.items() if name != arguments[0]}
    if method == "union":
        others = [frame_types(other) for other in arguments[0]]
        for other in others:
            types = None if types is None or other is None else _shared(types, other)
        return types
    return None


def with_frame_types(table: pa.Table, types: FrameTypes) -> pd.DataFrame:
    """A table as a frame whose columns are of ``types``."""
    import pandas as pd

    named = {name: kind for name, kind in types.items() if name in table.column_names}
    extensions = [name for name, kind in named.items() if _needs_arrow(kind, pd)]
    frame = table.drop_columns(extensions).to_pandas()
    if extensions:
        others = table.select(extensions).to_pandas(types_mapper=pd.ArrowDtype)
        frame = pd.concat([frame, others], axis=1)[table.column_names]
    for name, kind in named.items():
        if frame.dtypes[name] != kind:
            frame[name] = _of_type(table.column(name), frame[name], kind)
    return frame


def _of_type(column: Any, series: Any, kind: Any) -> Any:
    """A series of another type than pandas takes for the column."""
    import pandas as pd

    if str(kind) == "object":
        # The values of Python, of which what is missing is None: NumPy's integers would be floats.
        return pd.Series(column.to_pylist(), dtype=object)
    return series.astype(kind)


def _needs_arrow(kind: Any, pd: Any) -> bool:
    """Whether a column of the type is made of Arrow's, as NumPy would lose something."""
    return pd.api.types.is_extension_array_dtype(kind) and not isinstance(kind, pd.StringDtype)


def _shared(types: FrameTypes, others: FrameTypes) -> FrameTypes:
    return {name: kind for name, kind in types.items() if others.get(name) == kind}
