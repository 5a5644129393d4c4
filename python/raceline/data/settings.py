"""Settings that programs written for Ray Data assign, some of which mean nothing here."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any, ClassVar, cast

__all__ = ["Settings"]

# What was told already: class and field.
_told: set[tuple[type, str]] = set()


class Settings:
    """Base of classes of settings. A field without effect warns when it is first changed.

    Any other attribute is taken as well, as Ray Data does.
    """

    #: Field to the reason why it has no effect.
    _no_effect: ClassVar[Mapping[str, str]] = {}

    def __post_init__(self) -> None:
        """Looks at what the constructor was given."""
        for one in dataclasses.fields(cast("Any", self)):
            factory = one.default_factory
            usual = one.default if factory is dataclasses.MISSING else factory()
            if not _is_same(usual, getattr(self, one.name)):
                self._tell(one.name, 4)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets a field; one that has no effect says why, once in a process."""
        if name in vars(self) and not _is_same(vars(self)[name], value):
            self._tell(name, 3)
        super().__setattr__(name, self._taken(name, value))

    def _taken(self, name: str, value: Any) -> Any:
        """What a field becomes when it is set; called by ``__setattr__``."""
        return value

    def _tell(self, name: str, level: int) -> None:
        """Warns of a field that has no effect, at the caller's line; of another one not."""
        reason = self._no_effect.get(name)
        key = (type(self), name)
        if reason is not None and key not in _told:
            _told.add(key)
            text = f"`{type(self).__name__}.{name}` has no effect: {reason}"
            warnings.warn(text, stacklevel=level)


def _is_same(old: Any, new: Any) -> bool:
    """Whether an assignment asks for what there is already."""
    alike = isinstance(new, type(old)) or isinstance(old, type(new))
    return old is new or (alike and bool(old == new))
