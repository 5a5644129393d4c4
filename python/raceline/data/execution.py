"""Amounts of resources, and options of a run, as Ray Data's programs say them."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from raceline._session import has_session
from raceline.data.settings import Settings
from raceline.errors import PlanError

__all__ = ["ExecutionOptions", "ExecutionResources"]

# Decimals of the amounts of CPUs and GPUs.
_DECIMALS = 5

_SESSION = "`raceline.init(num_cpus=, num_gpus=, memory=)` says what the session may use"
_ONE_MACHINE = "the engine runs in this process, on one machine"


class ExecutionResources:
    """Amounts of resources; a value that never changes.

    Example:
        >>> half = ExecutionResources(cpu=4, memory=2**30).scale(0.5)
        >>> half
        ExecutionResources(cpu=2.0, gpu=0.0, object_store_memory=0.0B, memory=512.0MiB)
        >>> half.satisfies_limit(ExecutionResources.for_limits(cpu=2))
        True
    """

    __slots__ = ("_cpu", "_given", "_gpu", "_memory", "_object_store_memory")

    def __init__(
        self,
        cpu: float | None = None,
        gpu: float | None = None,
        object_store_memory: float | None = None,
        memory: float | None = None,
    ) -> None:
        """Takes the amounts; None is 0.

        Args:
            cpu: CPUs.
            gpu: GPUs.
            object_store_memory: Bytes that data in between may take.
            memory: Bytes that workers may take.
        """
        self._given = (cpu, gpu, object_store_memory, memory)
        self._cpu = _rounded(cpu, _DECIMALS)
        self._gpu = _rounded(gpu, _DECIMALS)
        self._object_store_memory = _rounded(object_store_memory, 0)
        self._memory = _rounded(memory, 0)

    @classmethod
    def for_limits(
        cls,
        cpu: float | None = None,
        gpu: float | None = None,
        object_store_memory: float | None = None,
        memory: float | None = None,
    ) -> ExecutionResources:
        """Limits; None sets none, and becomes infinity.

        Example:
            >>> ExecutionResources.for_limits(cpu=2).gpu
            inf
        """
        amounts = (cpu, gpu, object_store_memory, memory)
        return cls(*(math.inf if one is None else one for one in amounts))

    @classmethod
    def zero(cls) -> ExecutionResources:
        """Nothing of each.

        Example:
            >>> ExecutionResources.zero().is_zero()
            True
        """
        return cls()

    @classmethod
    def inf(cls) -> ExecutionResources:
        """Any amount of each.

        Example:
            >>> ExecutionResources.inf().cpu
            inf
        """
        return cls.for_limits()

    @classmethod
    def from_resource_dict(cls, resource_dict: Mapping[str, float]) -> ExecutionResources:
        """The amounts of a dict such as :func:`raceline.cluster_resources` returns.

        Example:
            >>> ExecutionResources.from_resource_dict({"CPU": 2}).cpu
            2.0
        """
        given = resource_dict.get
        return cls(
            given("CPU") or given("num_cpus"),
            given("GPU") or given("num_gpus"),
            given("object_store_memory"),
            given("memory"),
        )

    def to_resource_dict(self) -> dict[str, float]:
        """The amounts by the names ``CPU``, ``GPU``, ``object_store_memory`` and ``memory``.

        Example:
            >>> ExecutionResources(gpu=1).to_resource_dict()
            {'CPU': 0.0, 'GPU': 1.0, 'object_store_memory': 0.0, 'memory': 0.0}
        """
        names = ("CPU", "GPU", "object_store_memory", "memory")
        return dict(zip(names, self._amounts(), strict=True))

    @property
    def cpu(self) -> float:
        """CPUs."""
        return self._cpu

    @property
    def gpu(self) -> float:
        """GPUs."""
        return self._gpu

    @property
    def object_store_memory(self) -> float:
        """Bytes of data in between."""
        return self._object_store_memory

    @property
    def memory(self) -> float:
        """Bytes of workers."""
        return self._memory

    def copy(
        self,
        cpu: float | None = None,
        gpu: float | None = None,
        memory: float | None = None,
        object_store_memory: float | None = None,
    ) -> ExecutionResources:
        """The same amounts but those that are given.

        Example:
            >>> ExecutionResources(cpu=1, gpu=1).copy(cpu=3).to_resource_dict()["CPU"]
            3.0
        """
        given = (cpu, gpu, object_store_memory, memory)
        pairs = zip(given, self._amounts(), strict=True)
        return ExecutionResources(*(own if one is None else one for one, own in pairs))

    def add(self, other: ExecutionResources) -> ExecutionResources:
        """The sums.

        Example:
            >>> ExecutionResources(cpu=1).add(ExecutionResources(cpu=2)).cpu
            3.0
        """
        return self.combine(other, lambda own, theirs: own + theirs)

    def subtract(self, other: ExecutionResources) -> ExecutionResources:
        """The differences, which may be negative.

        Example:
            >>> ExecutionResources(cpu=1).subtract(ExecutionResources(cpu=2)).is_non_negative()
            False
        """
        return self.combine(other, lambda own, theirs: own - theirs)

    def max(self, other: ExecutionResources) -> ExecutionResources:
        """The greater amount of each.

        Example:
            >>> ExecutionResources(cpu=1).max(ExecutionResources(cpu=2)).cpu
            2.0
        """
        return self.combine(other, max)

    def min(self, other: ExecutionResources) -> ExecutionResources:
        """The lesser amount of each.

        Example:
            >>> ExecutionResources(cpu=1).min(ExecutionResources(cpu=2)).cpu
            1.0
        """
        return self.combine(other, min)

    def combine(
        self, other: ExecutionResources, function: Callable[[float, float], float]
    ) -> ExecutionResources:
        """A function of both amounts of each.

        Example:
            >>> ExecutionResources(cpu=3).combine(ExecutionResources(cpu=2), pow).cpu
            9.0
        """
        pairs = zip(self._amounts(), other._amounts(), strict=True)
        return ExecutionResources(*(function(own, theirs) for own, theirs in pairs))

    @staticmethod
    def combine_sum(resources: Iterable[ExecutionResources]) -> ExecutionResources:
        """The sums of any number of them.

        Example:
            >>> ExecutionResources.combine_sum([ExecutionResources(cpu=1)] * 3).cpu
            3.0
        """
        total = ExecutionResources.zero()
        for one in resources:
            total = total.add(one)
        return total

    def scale(self, f: float) -> ExecutionResources:
        """The amounts, times a factor; of infinite ones 0 makes 0.

        Raises:
            ValueError: The factor is negative.

        Example:
            >>> ExecutionResources.inf().scale(0).is_zero()
            True
        """
        if f < 0:
            raise ValueError(f"the factor must be at least 0, got `{f!r}`")
        return ExecutionResources(*(one * f if f else 0 for one in self._amounts()))

    def floordiv(self, other: ExecutionResources) -> ExecutionResources:
        """How often each amount of the other is in this one; of nothing it is infinitely often.

        Example:
            >>> ExecutionResources(cpu=7).floordiv(ExecutionResources(cpu=2)).cpu
            3.0
        """
        return self.combine(other, _times)

    def is_zero(self) -> bool:
        """Whether all amounts are 0.

        Example:
            >>> ExecutionResources(gpu=1).is_zero()
            False
        """
        return not any(self._amounts())

    def is_non_negative(self) -> bool:
        """Whether no amount is negative.

        Example:
            >>> ExecutionResources(cpu=-1).is_non_negative()
            False
        """
        return all(one >= 0 for one in self._amounts())

    def satisfies_limit(
        self, limit: ExecutionResources, *, ignore_object_store_memory: bool = False
    ) -> bool:
        """Whether no amount exceeds that of the limit.

        Args:
            limit: The limits.
            ignore_object_store_memory: Whether that one does not count.

        Example:
            >>> ExecutionResources(cpu=1).satisfies_limit(ExecutionResources(cpu=1))
            True
        """
        over = [own > most for own, most in zip(self._amounts(), limit._amounts(), strict=True)]
        if ignore_object_store_memory:
            over[2] = False
        return not any(over)

    def object_store_memory_str(self) -> str:
        """The bytes of data in between, for a person.

        Example:
            >>> ExecutionResources(object_store_memory=2**30).object_store_memory_str()
            '1.0GiB'
        """
        return _bytes_text(self._object_store_memory)

    def memory_str(self) -> str:
        """The bytes of workers, for a person.

        Example:
            >>> ExecutionResources.inf().memory_str()
            'inf'
        """
        return _bytes_text(self._memory)

    def __repr__(self) -> str:
        """All amounts."""
        return (
            f"ExecutionResources(cpu={self._cpu}, gpu={self._gpu}, "
            f"object_store_memory={self.object_store_memory_str()}, memory={self.memory_str()})"
        )

    def __eq__(self, other: object) -> bool:
        """Whether all amounts are the same."""
        if not isinstance(other, ExecutionResources):
            return NotImplemented
        return self._amounts() == other._amounts()

    def __hash__(self) -> int:
        """Of the amounts."""
        return hash(self._amounts())

    def _amounts(self) -> tuple[float, float, float, float]:
        return (self._cpu, self._gpu, self._object_store_memory, self._memory)


@dataclass
class ExecutionOptions(Settings):
    """How a dataset is run.

    Attributes:
        preserve_order: Whether rows keep the order of their input. They always do: False
            allows another order, and Raceline makes no use of that permission.
        resource_limits: The most CPUs, GPUs and memory of a session that is started later, which
            the first dataset does, whatever ``raceline.init`` says; what is not given is not
            limited. Memory of the object store has no meaning.
        exclude_resources: Without effect but a warning, as are all that follow.
        locality_with_output: See above.
        actor_locality_enabled: See above.
        verbose_progress: See above.
        label_selector: See above.

    Example:
        >>> options = ExecutionOptions(preserve_order=True)
        >>> options.is_resource_limits_default()
        True
    """

    resource_limits: ExecutionResources = field(default_factory=ExecutionResources.inf)
    exclude_resources: ExecutionResources = field(default_factory=ExecutionResources.zero)
    locality_with_output: bool | list[str] = False
    preserve_order: bool = True
    actor_locality_enabled: bool = True
    verbose_progress: bool = field(
        default_factory=lambda: os.environ.get("RAY_DATA_VERBOSE_PROGRESS", "1") != "0"
    )
    label_selector: dict[str, str] | None = None

    _no_effect: ClassVar[Mapping[str, str]] = {
        "exclude_resources": _SESSION,
        "locality_with_output": _ONE_MACHINE,
        "actor_locality_enabled": _ONE_MACHINE,
        "verbose_progress": "`raceline.init(progress=)` says whether progress is shown",
        "label_selector": _ONE_MACHINE,
    }

    def _taken(self, name: str, value: Any) -> Any:
        """What a field becomes; limits that come too late say so."""
        if name != "resource_limits":
            return value
        if not isinstance(value, ExecutionResources):
            raise PlanError(f"`resource_limits` must be `ExecutionResources`, got `{value!r}`")
        limits = ExecutionResources.for_limits(*value._given)
        if limits != vars(self).get(name, ExecutionResources.inf()) and has_session():
            warnings.warn(
                "`resource_limits` are asked for when a session starts, and this one has: set "
                "them before, or call `raceline.shutdown()` first",
                stacklevel=3,
            )
        return limits

    def is_resource_limits_default(self) -> bool:
        """Whether no limit is set.

        Example:
            >>> ExecutionOptions().is_resource_limits_default()
            True
        """
        return self.resource_limits == ExecutionResources.inf()

    def validate(self) -> None:
        """Checks that no resource is both limited and excluded.

        Raises:
            ValueError: One is.

        Example:
            >>> ExecutionOptions().validate()
        """
        for name in ("cpu", "gpu", "object_store_memory"):
            is_limited = getattr(self.resource_limits, name) != math.inf
            if is_limited and getattr(self.exclude_resources, name) > 0:
                raise ValueError(
                    f"`{name}` is both in `resource_limits` and in `exclude_resources`"
                )


def _rounded(amount: Any, decimals: int) -> float:
    """An amount as it is kept."""
    number = float(amount or 0)
    return number if math.isinf(number) else round(number, decimals)


def _times(whole: float, part: float) -> float:
    """How often a part is in the whole, rounded down."""
    if part == 0 or math.isinf(whole):
        return math.inf
    return whole // part


def _bytes_text(amount: float) -> str:
    """A number of bytes as text."""
    if math.isinf(amount):
        return "inf"
    for power, unit in ((4, "TiB"), (3, "GiB"), (2, "MiB"), (1, "KiB")):
        if abs(amount) >= 1024**power:
            return f"{amount / 1024**power:.1f}{unit}"
    return f"{amount:.1f}B"
