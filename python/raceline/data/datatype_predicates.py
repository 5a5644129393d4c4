"""What kind of type a ``DataType`` is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from raceline._optional import is_numpy
from raceline.data.datatype_simple import SimpleTypes

if TYPE_CHECKING:
    from raceline.data.datatype import TypeCategory

__all__ = ["DataTypePredicates"]


class DataTypePredicates(SimpleTypes):
    """The part of ``DataType`` that tells its kind.

    Types of NumPy count by what Arrow has of them.
    """

    __slots__ = ("_category",)

    def __init__(self, inner: Any, category: TypeCategory | None = None) -> None:
        """Wraps a type."""
        super().__init__(inner)
        self._category = category

    def _is(self, *predicates: str) -> bool:
        """Whether one of the predicates of ``pyarrow.types`` holds of its Arrow type."""
        from pyarrow import types

        arrow = self._arrow()
        return arrow is not None and any(getattr(types, one)(arrow) for one in predicates)

    def _arrow(self) -> Any:
        """Its Arrow type; None where it has none."""
        from raceline.data.datatype import DataType

        try:
            return DataType(self._inner).to_arrow_dtype() if self._inner is not None else None
        except (TypeError, NotImplementedError, ValueError):
            return None

    def _is_any(self, category: str) -> bool:
        """Whether it stands for all types of a category."""
        return self._category is not None and self._category.value == category

    def is_of(self, category: TypeCategory | str) -> bool:
        """Whether it belongs to a category.

        Raises:
            ValueError: There is no such category.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.temporal("date32").is_of("temporal")
            True
        """
        from raceline.data.datatype import TypeCategory

        match TypeCategory(category):
            case TypeCategory.LIST:
                return self._is_any("list") or self._is("is_list", "is_fixed_size_list")
            case TypeCategory.LARGE_LIST:
                return self._is_any("large_list") or self._is("is_large_list")
            case TypeCategory.STRUCT:
                return self.is_struct_type()
            case TypeCategory.MAP:
                return self.is_map_type()
            case TypeCategory.TENSOR:
                return self.is_tensor_type()
            case _:
                return self.is_temporal_type()

    def is_arrow_type(self) -> bool:
        """Whether it wraps a type of PyArrow.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int64().is_arrow_type()
            True
        """
        pyarrow = sys.modules.get("pyarrow")
        return pyarrow is not None and isinstance(self._inner, pyarrow.DataType)

    def is_numpy_type(self) -> bool:
        """Whether it wraps a type of NumPy.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.from_numpy("int8").is_numpy_type()
            True
        """
        return is_numpy(self._inner, "dtype")

    def is_python_type(self) -> bool:
        """Whether it wraps a class of Python.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType(int).is_python_type()
            True
        """
        return isinstance(self._inner, type)

    def is_list_type(self) -> bool:
        """Whether its values are lists of any layout.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.list(DataType.int8()).is_list_type()
            True
        """
        return self.is_of("list") or self.is_of("large_list")

    def is_tensor_type(self) -> bool:
        """Whether its values are tensors of one shape.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.tensor((2,), DataType.int8()).is_tensor_type()
            True
        """
        return self._is_any("tensor") or "tensor" in str(getattr(self._inner, "extension_name", ""))

    def is_struct_type(self) -> bool:
        """Whether its values are structs.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.struct().is_struct_type()
            True
        """
        return self._is_any("struct") or self._is("is_struct")

    def is_map_type(self) -> bool:
        """Whether its values are maps.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.map().is_map_type()
            True
        """
        return self._is_any("map") or self._is("is_map")

    def is_nested_type(self) -> bool:
        """Whether its values have parts.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.list().is_nested_type()
            True
        """
        return (
            self.is_list_type()
            or self.is_struct_type()
            or self.is_map_type()
            or self.is_tensor_type()
        )

    def is_null_type(self) -> bool:
        """Whether all its values are missing.

        Example:
            >>> import pyarrow as pa
            >>> from raceline.data.datatype import DataType
            >>> DataType.from_arrow(pa.null()).is_null_type()
            True
        """
        return self._is("is_null")

    def is_boolean_type(self) -> bool:
        """Whether its values are true or false.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.bool().is_boolean_type()
            True
        """
        return self._is("is_boolean")

    def is_integer_type(self) -> bool:
        """Whether its values are integers.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int8().is_integer_type()
            True
        """
        return self._is("is_integer")

    def is_floating_type(self) -> bool:
        """Whether its values are floats.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.float32().is_floating_type()
            True
        """
        return self._is("is_floating")

    def is_uint64_type(self) -> bool:
        """Whether its values are integers of 64 bits from 0.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.uint64().is_uint64_type()
            True
        """
        return self._is("is_uint64")

    def is_numerical_type(self) -> bool:
        """Whether its values are numbers.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.float64().is_numerical_type()
            True
        """
        return self._is("is_integer", "is_floating", "is_decimal")

    def is_string_type(self) -> bool:
        """Whether its values are texts.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.string().is_string_type()
            True
        """
        return self._is("is_string", "is_large_string", "is_string_view")

    def is_binary_type(self) -> bool:
        """Whether its values are bytes.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.binary().is_binary_type()
            True
        """
        return self._is("is_binary", "is_large_binary", "is_binary_view", "is_fixed_size_binary")

    def is_temporal_type(self) -> bool:
        """Whether its values are dates, times or durations.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.temporal().is_temporal_type()
            True
        """
        return self._is_any("temporal") or self._is("is_temporal")
