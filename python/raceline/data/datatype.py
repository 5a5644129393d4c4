"""Types of columns, as expressions and functions name them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from raceline._optional import optional
from raceline.data.datatype_predicates import DataTypePredicates
from raceline.errors import PlanError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

__all__ = ["DataType", "TypeCategory"]

Temporal = Literal["timestamp", "date32", "date64", "time32", "time64", "duration"]


class TypeCategory(StrEnum):
    """A kind of types that have parts; ``DataType.is_of`` takes it or its text.

    Example:
        >>> from raceline.data.datatype import DataType, TypeCategory
        >>> DataType.list(DataType.int64()).is_of(TypeCategory.LIST)
        True
    """

    LIST = "list"
    LARGE_LIST = "large_list"
    STRUCT = "struct"
    MAP = "map"
    TENSOR = "tensor"
    TEMPORAL = "temporal"


class DataType(DataTypePredicates):
    """A type of PyArrow, NumPy or Python, or a category of types.

    Example:
        >>> from raceline.data.datatype import DataType
        >>> DataType.int64(), DataType.list(DataType.string())
        (DataType(arrow:int64), DataType(arrow:list<item: string>))
    """

    __slots__ = ()

    def __repr__(self) -> str:
        """Where the type comes from, and its name."""
        if self._inner is None and self._category is not None:
            return f"DataType({self._category.value}:ANY)"
        if self.is_arrow_type():
            return f"DataType(arrow:{self._inner})"
        if self.is_numpy_type():
            return f"DataType(numpy:{self._inner})"
        return f"DataType(python:{self._inner.__name__})"

    def __eq__(self, other: object) -> bool:
        """Whether both are the same type; a ``pyarrow.DataType`` counts as one of Arrow."""
        if isinstance(other, DataType):
            return self._category == other._category and bool(self._inner == other._inner)
        if self.is_arrow_type():
            return bool(self._inner == other)
        return NotImplemented

    def __hash__(self) -> int:
        """Equal types have equal hashes."""
        return hash((self._category, self._inner))

    def __arrow_c_schema__(self) -> Any:
        """The Arrow type as a PyCapsule."""
        return self.to_arrow_dtype().__arrow_c_schema__()

    @classmethod
    def from_arrow(cls, arrow_type: pa.DataType) -> DataType:
        """A type of PyArrow.

        Raises:
            TypeError: It is none.

        Example:
            >>> import pyarrow as pa
            >>> DataType.from_arrow(pa.float32())
            DataType(arrow:float)
        """
        if not isinstance(arrow_type, optional("pyarrow").DataType):
            raise TypeError(f"a type of pyarrow is needed, got `{arrow_type!r}`")
        return cls(arrow_type)

    @classmethod
    def from_numpy(cls, numpy_dtype: np.dtype[Any] | str) -> DataType:
        """A type of NumPy.

        Example:
            >>> DataType.from_numpy("float32")
            DataType(numpy:float32)
        """
        return cls(optional("numpy").dtype(numpy_dtype))

    @classmethod
    def from_dtype(cls, dtype: Any) -> DataType:
        """A type of PyArrow, NumPy or pandas, a class of Python, or such a type itself.

        Raises:
            TypeError: It is none of these.

        Example:
            >>> DataType.from_dtype(int), DataType.from_dtype("int8")
            (DataType(python:int), DataType(numpy:int8))
        """
        if isinstance(dtype, DataType):
            return dtype
        if isinstance(dtype, optional("pyarrow").DataType):
            return cls(dtype)
        arrow_type = getattr(dtype, "pyarrow_dtype", None)
        if arrow_type is not None:
            return cls(arrow_type)
        if isinstance(dtype, type) and not issubclass(dtype, optional("numpy").generic):
            return cls(dtype)
        try:
            return cls.from_numpy(dtype)
        except TypeError as error:
            raise TypeError(f"`{dtype!r}` is no type") from error

    @classmethod
    def infer_dtype(cls, value: Any) -> DataType:
        """The type of a value.

        It is of NumPy for its arrays and scalars, else of Arrow where that has one, else the class.

        Example:
            >>> DataType.infer_dtype(3), DataType.infer_dtype("a")
            (DataType(arrow:int64), DataType(arrow:string))
        """
        pyarrow = optional("pyarrow")
        dtype = getattr(value, "dtype", None)
        if isinstance(dtype, optional("numpy").dtype):
            return cls(dtype)
        try:
            return cls(pyarrow.scalar(value).type)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, pyarrow.ArrowTypeError):
            return cls(type(value))

    @classmethod
    def list(cls, value_type: DataType | None = None) -> DataType:
        """Lists of a type; without one, any lists.

        Example:
            >>> DataType.list(DataType.int64())
            DataType(arrow:list<item: int64>)
        """
        if value_type is None:
            return cls(None, TypeCategory.LIST)
        return cls(optional("pyarrow").list_(value_type.to_arrow_dtype()))

    @classmethod
    def large_list(cls, value_type: DataType | None = None) -> DataType:
        """Lists of a type, with offsets of 64 bits; without one, any of these.

        Example:
            >>> DataType.large_list(DataType.int64())
            DataType(arrow:large_list<item: int64>)
        """
        if value_type is None:
            return cls(None, TypeCategory.LARGE_LIST)
        return cls(optional("pyarrow").large_list(value_type.to_arrow_dtype()))

    @classmethod
    def fixed_size_list(cls, value_type: DataType, list_size: int) -> DataType:
        """Lists of a type that have all the same length.

        Example:
            >>> DataType.fixed_size_list(DataType.float32(), 3)
            DataType(arrow:fixed_size_list<item: float>[3])
        """
        return cls(optional("pyarrow").list_(value_type.to_arrow_dtype(), list_size))

    @classmethod
    def struct(cls, fields: Sequence[tuple[str, DataType]] | None = None) -> DataType:
        """Structs of fields; without them, any structs.

        Example:
            >>> DataType.struct([("x", DataType.int64())])
            DataType(arrow:struct<x: int64>)
        """
        if fields is None:
            return cls(None, TypeCategory.STRUCT)
        pairs = [(name, one.to_arrow_dtype()) for name, one in fields]
        return cls(optional("pyarrow").struct(pairs))

    @classmethod
    def map(cls, key_type: DataType | None = None, value_type: DataType | None = None) -> DataType:
        """Maps from a type to a type; without them, any maps.

        Raises:
            PlanError: Only one type is given.

        Example:
            >>> DataType.map(DataType.string(), DataType.int64())
            DataType(arrow:map<string, int64>)
        """
        if key_type is None and value_type is None:
            return cls(None, TypeCategory.MAP)
        if key_type is None or value_type is None:
            raise PlanError("a map needs both types, or none of them")
        keys, values = key_type.to_arrow_dtype(), value_type.to_arrow_dtype()
        return cls(optional("pyarrow").map_(keys, values))

    @classmethod
    def tensor(cls, shape: Sequence[int] | None = None, dtype: DataType | None = None) -> DataType:
        """Tensors of one shape; without it, any tensors.

        Raises:
            PlanError: Only one of both is given.

        Example:
            >>> DataType.tensor((2, 3), DataType.float32()).is_tensor_type()
            True
        """
        if shape is None and dtype is None:
            return cls(None, TypeCategory.TENSOR)
        if shape is None or dtype is None:
            raise PlanError("a tensor needs both a shape and a type, or none of them")
        pyarrow = optional("pyarrow")
        return cls(pyarrow.fixed_shape_tensor(dtype.to_arrow_dtype(), tuple(shape)))

    @classmethod
    def variable_shaped_tensor(cls, dtype: DataType, ndim: int = 2) -> DataType:
        """Tensors of any shape of so many dimensions: in Arrow a struct of the data and the shape.

        Example:
            >>> DataType.variable_shaped_tensor(DataType.uint8(), ndim=3).is_struct_type()
            True
        """
        pyarrow = optional("pyarrow")
        data = pyarrow.list_(dtype.to_arrow_dtype())
        shape = pyarrow.list_(pyarrow.int32(), ndim)
        return cls(pyarrow.struct([("data", data), ("shape", shape)]))

    @classmethod
    def temporal(
        cls, temporal_type: Temporal | None = None, unit: str | None = None, tz: str | None = None
    ) -> DataType:
        """A type of dates or times; without one, any of them.

        Args:
            temporal_type: Which.
            unit: ``"s"``, ``"ms"``, ``"us"`` or ``"ns"``: by default ``"us"``, of ``time32``
                ``"s"``.
            tz: The zone of timestamps.

        Raises:
            PlanError: There is no such type, or it has no unit or zone.

        Example:
            >>> DataType.temporal("timestamp", unit="ms", tz="UTC")
            DataType(arrow:timestamp[ms, tz=UTC])
        """
        if temporal_type is None:
            return cls(None, TypeCategory.TEMPORAL)
        if tz is not None and temporal_type != "timestamp":
            raise PlanError(f"`{temporal_type}` has no zone")
        if unit is not None and temporal_type in ("date32", "date64"):
            raise PlanError(f"`{temporal_type}` has no unit")
        pyarrow = optional("pyarrow")
        match temporal_type:
            case "timestamp":
                return cls(pyarrow.timestamp(unit or "us", tz))
            case "date32" | "date64":
                return cls(getattr(pyarrow, temporal_type)())
            case "time32":
                return cls(pyarrow.time32(unit or "s"))
            case "time64" | "duration":
                return cls(getattr(pyarrow, temporal_type)(unit or "us"))
        raise PlanError(
            f"there is no type `{temporal_type}` of times",
            hint="pass timestamp, date32, date64, time32, time64 or duration",
        )

    def to_arrow_dtype(self, values: Any = None) -> pa.DataType:
        """The type of PyArrow.

        Args:
            values: Values of it, from which the type is found where it is a class.

        Raises:
            PlanError: A category is no type.
            TypeError: Arrow has none for it.

        Example:
            >>> DataType.from_numpy("int8").to_arrow_dtype()
            DataType(int8)
        """
        pyarrow = optional("pyarrow")
        if self._inner is None:
            raise PlanError(f"`{self!r}` stands for many types", hint="name the type of its parts")
        if self.is_arrow_type():
            return self._inner
        if values is not None and len(values):
            return pyarrow.array(values).type
        if self.is_numpy_type():
            return pyarrow.from_numpy_dtype(self._inner)
        if self._inner not in _ARROW_OF_PYTHON:
            raise TypeError(f"Arrow has no type for `{self._inner.__name__}`")
        return getattr(pyarrow, _ARROW_OF_PYTHON[self._inner])()

    def to_numpy_dtype(self) -> np.dtype[Any]:
        """The type of NumPy; ``object`` where that has none.

        Example:
            >>> DataType.float64().to_numpy_dtype()
            dtype('float64')
        """
        numpy = optional("numpy")
        found: np.dtype[Any]
        if self.is_numpy_type():
            found = self._inner
            return found
        try:
            found = numpy.dtype(self.to_arrow_dtype().to_pandas_dtype())
        except (NotImplementedError, TypeError):
            found = numpy.dtype(object)
        return found

    def to_python_type(self) -> type:
        """The class of its values.

        Raises:
            TypeError: It wraps no class.

        Example:
            >>> DataType(int).to_python_type()
            <class 'int'>
        """
        if isinstance(self._inner, type):
            return self._inner
        raise TypeError(f"`{self!r}` wraps no class of Python")


# Classes of Python, to the functions of PyArrow that make their types.
_ARROW_OF_PYTHON: dict[Any, str] = {
    bool: "bool_",
    int: "int64",
    float: "float64",
    str: "string",
    bytes: "binary",
}
