"""Preprocessors as bytes that outlive a change of their code."""

from __future__ import annotations

import base64
import binascii
import pickle
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from raceline.data.preprocessor import Preprocessor
from raceline.data.preprocessors.argument import arguments_of

__all__ = [
    "SerializablePreprocessor",
    "SerializablePreprocessorBase",
    "SerializationFormat",
    "UnknownPreprocessorError",
    "read",
]

# Before the pickled dict of what a preprocessor is made of.
_MAGIC = b"CPKL:"

# How that dict is laid out.
_LAYOUT = 1

_classes: dict[str, type[SerializablePreprocessorBase]] = {}

P = TypeVar("P", bound="type[SerializablePreprocessorBase]")


class UnknownPreprocessorError(ValueError):
    """A preprocessor was serialized whose class is not registered here.

    Attributes:
        preprocessor_type: The identifier of its class.
    """

    def __init__(self, preprocessor_type: str) -> None:
        """Makes the error."""
        super().__init__(
            f"there is no preprocessor `{preprocessor_type}`: import the module of its class, "
            "which `@SerializablePreprocessor` registers"
        )
        self.preprocessor_type = preprocessor_type


class SerializationFormat(Enum):
    """How a preprocessor is written: by its fields, or, as the base class does, whole."""

    CLOUDPICKLE = "cloudpickle"
    PICKLE = "pickle"


class SerializablePreprocessorBase(Preprocessor):
    """Base of preprocessors that are written by their fields, not by their class.

    One of your own has the decorator :func:`SerializablePreprocessor`, which names it. By default
    its fields are its instance attributes; ``_get_serializable_fields`` and
    ``_set_serializable_fields(fields, version)`` may be overridden to read those of older versions.
    """

    SerializationFormat = SerializationFormat

    _class_id: str
    _version: int

    @classmethod
    def get_preprocessor_class_id(cls) -> str:
        """The name under which its class is found again.

        Example:
            >>> from raceline.data.preprocessors import StandardScaler
            >>> StandardScaler.get_preprocessor_class_id()
            'io.ray.preprocessors.standard_scaler'
        """
        return cls._class_id

    @classmethod
    def set_preprocessor_class_id(cls, identifier: str) -> None:
        """Sets the name under which its class is found again; the decorator does.

        Example:
            >>> class Mine(SerializablePreprocessorBase):
            ...     pass
            >>> Mine.set_preprocessor_class_id("mine")
            >>> Mine.get_preprocessor_class_id()
            'mine'
        """
        cls._class_id = identifier

    @classmethod
    def get_version(cls) -> int:
        """The version of its fields.

        Example:
            >>> from raceline.data.preprocessors import StandardScaler
            >>> StandardScaler.get_version()
            1
        """
        return cls._version

    @classmethod
    def set_version(cls, version: int) -> None:
        """Sets the version of its fields; the decorator does.

        Example:
            >>> class Mine(SerializablePreprocessorBase):
            ...     pass
            >>> Mine.set_version(2)
            >>> Mine.get_version()
            2
        """
        cls._version = version

    def serialize(self) -> bytes:
        """The preprocessor as bytes: its class's name and version, its fields and statistics.

        Example:
            >>> from raceline.data.preprocessors import Tokenizer
            >>> Tokenizer(["text"]).serialize()[:5]
            b'CPKL:'
        """
        import cloudpickle

        kept = {
            "type": self.get_preprocessor_class_id(),
            "version": self.get_version(),
            "fields": self._get_serializable_fields(),
            "stats": self._get_stats(),
            "serializer_format_version": _LAYOUT,
        }
        pickled: bytes = cloudpickle.dumps(kept)
        return _MAGIC + pickled

    def _get_serializable_fields(self) -> dict[str, Any]:
        """What the preprocessor is made of, but its statistics; may be overridden."""
        state = self.__getstate__()
        state.pop("stats_", None)
        own = {f"_{name}" for name in arguments_of(type(self))}
        return {name[1:] if name in own else name: value for name, value in state.items()}

    def _set_serializable_fields(self, fields: dict[str, Any], version: int) -> None:
        """Takes what ``_get_serializable_fields`` of a version gave; may be overridden."""
        own = set(arguments_of(type(self)))
        for name, value in fields.items():
            self.__dict__[f"_{name}" if name in own else name] = value

    def _get_stats(self) -> dict[str, Any]:
        """What fitting found."""
        stats: dict[str, Any] = self.__dict__.get("stats_", {})
        return stats

    def _set_stats(self, stats: dict[str, Any]) -> None:
        """Takes what fitting found."""
        self.stats_ = stats


def SerializablePreprocessor(version: int, identifier: str) -> Callable[[P], P]:  # noqa: N802 (as Ray's)
    """A class decorator that registers a preprocessor, so that ``deserialize`` finds it.

    Args:
        version: The version of its fields.
        identifier: The name under which it is found; a class that comes later takes it over.

    Raises:
        TypeError: The class does not derive from :class:`SerializablePreprocessorBase`.

    Example:
        >>> @SerializablePreprocessor(version=1, identifier="mine.identity")
        ... class Identity(SerializablePreprocessorBase):
        ...     _is_fittable = False
        ...
        ...     def _transform_numpy(self, batch):
        ...         return batch
        >>> type(Identity.deserialize(Identity().serialize())).__name__
        'Identity'
    """

    def register(cls: P) -> P:
        if not issubclass(cls, SerializablePreprocessorBase):
            raise TypeError(f"`{cls.__name__}` must derive from `SerializablePreprocessorBase`")
        cls.set_version(version)
        cls.set_preprocessor_class_id(identifier)
        _classes[identifier] = cls
        return cls

    return register


def read(serialized: str | bytes) -> Preprocessor:
    """The preprocessor that some ``serialize`` wrote.

    Raises:
        ValueError: It is something else, or damaged.
        UnknownPreprocessorError: Its class is not registered.
    """
    if isinstance(serialized, str):
        try:
            whole = pickle.loads(base64.b64decode(serialized, validate=True))  # noqa: S301 (told)
        except (binascii.Error, pickle.UnpicklingError, EOFError) as error:
            raise ValueError("this is no serialized preprocessor") from error
        if not isinstance(whole, Preprocessor):
            raise ValueError(f"this is no serialized preprocessor but a `{type(whole).__name__}`")
        return whole
    if not isinstance(serialized, bytes) or not serialized.startswith(_MAGIC):
        raise ValueError("this is no serialized preprocessor")
    try:
        kept = pickle.loads(serialized[len(_MAGIC) :])  # noqa: S301 (the caller is told)
        layout, name = kept["serializer_format_version"], kept["type"]
        fields, version, stats = kept["fields"], kept["version"], kept["stats"]
    except (pickle.UnpicklingError, EOFError, KeyError, TypeError) as error:
        raise ValueError("this serialized preprocessor is damaged") from error
    if layout != _LAYOUT:
        raise ValueError(f"this preprocessor was serialized in an unknown layout, {layout!r}")
    if name not in _classes:
        raise UnknownPreprocessorError(name)
    made = _classes[name].__new__(_classes[name])
    made._set_serializable_fields(fields, version)
    made._set_stats(stats)
    return made
