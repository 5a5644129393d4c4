"""Joins of two datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, get_args

from raceline.data._arguments import column_names, whole_number
from raceline.data.handle import Handle
from raceline.errors import PlanError

__all__ = ["JoinType", "Joins"]

JoinType = Literal[
    "inner",
    "left_outer",
    "right_outer",
    "full_outer",
    "left_semi",
    "right_semi",
    "left_anti",
    "right_anti",
]


class Joins(Handle):
    """The part of a dataset that is joined with another one."""

    __slots__ = ()

    def join(  # noqa: PLR0917 (the positions are those of Ray Data)
        self,
        ds: Handle,
        join_type: JoinType,
        num_partitions: int | None = None,
        on: Sequence[str] = ("id",),
        right_on: Sequence[str] | None = None,
        left_suffix: str | None = None,
        right_suffix: str | None = None,
        *,
        partition_size_hint: int | None = None,
        aggregator_ray_remote_args: Mapping[str, Any] | None = None,
        validate_schemas: bool = False,
    ) -> Self:
        """Joins this dataset, the left side, with another one, the right side, by equal keys.

        Missing keys (None, NaN) equal none. Keys may differ in width, such as int32 and int64, but
        not in kind. The smaller side is held in memory where it fits, and the other one streams;
        else both are partitioned on disk.

        The columns are those of the left side, then those of the right side without its keys: a key
        has the name of the left side, and the value of the side that has the row. Semi and anti
        joins have the columns of their side. The rows come in any order.

        Args:
            ds: The right side.
            join_type: Which rows are kept: ``inner``: pairs with equal keys; ``left_outer``,
                ``right_outer``, ``full_outer``: these, and the rows of that side, or of both,
                without a partner; ``left_semi``, ``right_semi``: rows of that side with a partner,
                each once; ``left_anti``, ``right_anti``: rows of that side without one.
            num_partitions: How many batches Ray Data makes; has no effect.
            on: Key columns of the left side.
            right_on: Key columns of the right side, if they have other names.
            left_suffix: Appended to names of columns of the left side, but keys, that the right
                side has too.
            right_suffix: Appended to names of columns of the right side, but keys, that the left
                side has too.
            partition_size_hint: Has no effect.
            aggregator_ray_remote_args: Has no effect.
            validate_schemas: Whether keys and names are checked now, where the columns are known,
                and not when the dataset is run.

        Raises:
            PlanError: The keys are no list or tuple of columns of both sides that can be compared,
                the type is none of the above, or both sides have a column of one name and no suffix
                tells them apart; maybe only when the dataset is run.

        Example:
            >>> import raceline
            >>> users = raceline.from_items([{"id": 1, "name": "Ada"}, {"id": 2, "name": "Alan"}])
            >>> orders = raceline.from_items([{"user": 2, "item": "tape"}])
            >>> users.join(orders, "inner", on=("id",), right_on=("user",)).take_all()
            [{'id': 2, 'name': 'Alan', 'item': 'tape'}]
            >>> users.join(orders, "left_anti", right_on=("user",)).take_all()
            [{'id': 1, 'name': 'Ada'}]
        """
        if not isinstance(ds, Handle):
            raise PlanError(f"`join` takes a dataset, got `{ds!r}`")
        if join_type not in get_args(JoinType):
            kinds = ", ".join(f"`{kind}`" for kind in get_args(JoinType))
            raise PlanError(f"`join_type` is `{join_type!r}`", hint=f"one of {kinds}")
        if num_partitions is not None:
            whole_number("num_partitions", num_partitions, 1)
        left, right = _keys("on", on), _keys("right_on", on if right_on is None else right_on)
        if len(left) != len(right):
            raise PlanError(f"`on` names {len(left)} columns and `right_on` {len(right)}")
        for name, value in (("left_suffix", left_suffix), ("right_suffix", right_suffix)):
            if not isinstance(value, str | None):
                raise PlanError(f"`{name}` must be a string, got `{value!r}`")
        keys = list(zip(left, right, strict=True))
        native = self._native.join(ds._native, join_type, keys, (left_suffix, right_suffix))
        if validate_schemas:
            native.schema(False)
        return self._derive(native)


def _keys(name: str, columns: Sequence[str]) -> list[str]:
    """Names of key columns, at least one.

    Raises:
        PlanError: They are none.
    """
    if isinstance(columns, str):
        raise PlanError(
            f"`{name}` must be a list or tuple of columns, got `{columns!r}`",
            hint=f'`{name}=("{columns}",)`',
        )
    names = column_names(columns, name)
    if not names:
        raise PlanError(f"`{name}` names no column")
    return names
