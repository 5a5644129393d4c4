"""Names and types of a dataset's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from raceline._optional import optional
from raceline._session import session
from raceline.errors import PlanError

if TYPE_CHECKING:
    import pyarrow as pa

    from raceline import _native
    from raceline.data.context import DataContext

__all__ = ["Schema"]


class Schema:
    """The columns of a dataset, in order. Hands itself to Arrow libraries without a copy.

    Example:
        >>> import raceline
        >>> raceline.range(3).schema()
        Column  Type
        ------  ----
        id      int64
    """

    __hash__ = None  # type: ignore[assignment]  # equality looks at types, which have no hash

    def __init__(
        self, base_schema: pa.Schema | _native.Schema, *, data_context: DataContext | None = None
    ) -> None:
        """Takes a schema of PyArrow's; that of a dataset is what ``Dataset.schema()`` returns.

        Args:
            base_schema: The columns.
            data_context: Without effect.

        Raises:
            PlanError: It is no schema.
        """
        from raceline._native import Schema as NativeSchema

        if not isinstance(base_schema, NativeSchema):
            if not hasattr(base_schema, "empty_table"):
                raise PlanError(
                    f"`Schema` needs a `pyarrow.Schema`, got `{type(base_schema).__name__}`"
                )
            rows = session().from_batches("FromArrow", [base_schema.empty_table()])
            base_schema = cast("_native.Schema", rows.schema(True))
        self._native = base_schema

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return self._native.names

    @property
    def types(self) -> list[pa.DataType]:
        """Types of the columns.

        Raises:
            ImportError: pyarrow is not installed; ``str(schema)`` does without.
        """
        return list(self.base_schema.types)

    @property
    def base_schema(self) -> pa.Schema:
        """The schema as PyArrow has it.

        Raises:
            ImportError: pyarrow is not installed.
        """
        schema: pa.Schema = optional("pyarrow").schema(self)
        return schema

    def __arrow_c_schema__(self) -> Any:
        """The schema as an Arrow PyCapsule."""
        return self._native.__arrow_c_schema__()

    def __eq__(self, other: object) -> bool:
        """Whether names, types and order are the same."""
        if not isinstance(other, Schema):
            return NotImplemented
        return self.columns() == other.columns()

    def columns(self) -> list[tuple[str, str]]:
        """Name and printed type of each column.

        Example:
            >>> import raceline
            >>> raceline.range(3).schema().columns()
            [('id', 'int64')]
        """
        return list(zip(self._native.names, self._native.types, strict=True))

    def __repr__(self) -> str:
        """A table of two columns."""
        rows = [("Column", "Type"), ("------", "----"), *self.columns()]
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {kind}" for name, kind in rows)
