"""Types of Arrow without parts: the functions of ``DataType`` that make them."""

from __future__ import annotations

from typing import Any, Self

from raceline._optional import optional

__all__ = ["SimpleTypes"]


class SimpleTypes:
    """The part of ``DataType`` that makes types without parts."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        """Wraps a type of PyArrow."""
        self._inner = inner

    @classmethod
    def int8(cls) -> Self:
        """Integers of 8 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int8()
            DataType(arrow:int8)
        """
        return cls(optional("pyarrow").int8())

    @classmethod
    def int16(cls) -> Self:
        """Integers of 16 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int16()
            DataType(arrow:int16)
        """
        return cls(optional("pyarrow").int16())

    @classmethod
    def int32(cls) -> Self:
        """Integers of 32 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int32()
            DataType(arrow:int32)
        """
        return cls(optional("pyarrow").int32())

    @classmethod
    def int64(cls) -> Self:
        """Integers of 64 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.int64()
            DataType(arrow:int64)
        """
        return cls(optional("pyarrow").int64())

    @classmethod
    def uint8(cls) -> Self:
        """Integers of 8 bits from 0.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.uint8()
            DataType(arrow:uint8)
        """
        return cls(optional("pyarrow").uint8())

    @classmethod
    def uint16(cls) -> Self:
        """Integers of 16 bits from 0.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.uint16()
            DataType(arrow:uint16)
        """
        return cls(optional("pyarrow").uint16())

    @classmethod
    def uint32(cls) -> Self:
        """Integers of 32 bits from 0.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.uint32()
            DataType(arrow:uint32)
        """
        return cls(optional("pyarrow").uint32())

    @classmethod
    def uint64(cls) -> Self:
        """Integers of 64 bits from 0.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.uint64()
            DataType(arrow:uint64)
        """
        return cls(optional("pyarrow").uint64())

    @classmethod
    def float32(cls) -> Self:
        """Floats of 32 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.float32()
            DataType(arrow:float)
        """
        return cls(optional("pyarrow").float32())

    @classmethod
    def float64(cls) -> Self:
        """Floats of 64 bits.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.float64()
            DataType(arrow:double)
        """
        return cls(optional("pyarrow").float64())

    @classmethod
    def string(cls) -> Self:
        """Texts.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.string()
            DataType(arrow:string)
        """
        return cls(optional("pyarrow").string())

    @classmethod
    def bool(cls) -> Self:
        """True and false.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.bool()
            DataType(arrow:bool)
        """
        return cls(optional("pyarrow").bool_())

    @classmethod
    def binary(cls) -> Self:
        """Bytes.

        Example:
            >>> from raceline.data.datatype import DataType
            >>> DataType.binary()
            DataType(arrow:binary)
        """
        return cls(optional("pyarrow").binary())
