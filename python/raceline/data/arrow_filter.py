"""PyArrow's expressions as filters of reads: ours where they mean the same."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.dataset import Dataset
    from raceline.data.expressions import Expr

__all__ = ["ArrowFilter", "arrow_filter"]

_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
}
_CONNECTIVES: Mapping[str, Callable[[Any, Any], Any]] = {
    "and_kleene": operator.and_,
    "or_kleene": operator.or_,
}
# A step of a serialized expression.
_STEP = re.compile(r"(call|end|field_ref|nested_field_ref|literal|options): '([^'\n]*)'")


class ArrowFilter:
    """A filter that PyArrow evaluates.

    Attributes:
        rows: PyArrow's expression.
        fields: The columns that it names; None where that is not known.
    """

    def __init__(self, rows: Any) -> None:
        """Takes PyArrow's expression."""
        self.rows = rows
        self._form = _parsed(rows)
        self.fields = None if self._form is None else frozenset(_fields(self._form))

    def translated(self, dataset: Dataset) -> Expr | None:
        """The same as an expression of ours, over a dataset; None where it would differ.

        Numbers that may be NaN, times and nested columns have rules of their own in PyArrow.
        """
        if self._form is None or self.fields is None:
            return None
        schema = optional("pyarrow").schema(dataset._native.schema(True))
        if not self.fields <= set(schema.names):
            return None
        return _ours(self._form, schema)


def arrow_filter(rows: Any) -> ArrowFilter:
    """The filter of an expression of PyArrow.

    Raises:
        PlanError: It is none.

    Example:
        >>> import pyarrow.compute as pc
        >>> sorted(arrow_filter((pc.field("a") > 1) & pc.field("b").is_null()).fields)
        ['a', 'b']
    """
    if not isinstance(rows, optional("pyarrow.compute").Expression):
        raise PlanError(
            f"`filter` must be an expression, got `{rows!r}`",
            hint='for example `col("n") > 1`, or `pyarrow.compute.field("n") > 1`',
        )
    return ArrowFilter(rows)


# A column's name, a scalar, or the name of a function and its arguments.
_Form = tuple[Any, ...]


def _parsed(rows: Any) -> _Form | None:
    """An expression as a tree; None where it has parts that are not known here."""
    pa = optional("pyarrow")
    with pa.ipc.open_file(rows.__reduce__()[1][0]) as reader:
        batch = reader.get_batch(0)
    text = batch.schema.to_string(show_schema_metadata=True, truncate_metadata=False)
    steps = []
    for line in text.partition("-- schema metadata --\n")[2].splitlines():
        step = _STEP.fullmatch(line)
        if step is None:
            return None
        steps.append((step[1], step[2]))
    form = _tree(steps[::-1], batch) if steps else None
    # What stands in the text is believed only if it makes the same expression.
    return form if form is not None and _theirs(form).equals(rows) else None


def _tree(steps: list[tuple[str, str]], batch: Any) -> _Form | None:
    """The expression that the next steps are, the first of which is last in the list."""
    step, value = steps.pop()
    if step == "field_ref":
        return ("field", value)
    if step == "literal":
        return ("literal", batch.column(int(value))[0])
    if step != "call":
        return None
    arguments: list[_Form] = []
    while steps and steps[-1][0] != "end":
        if steps[-1][0] == "options":
            # Those of `is_null`: `_theirs` sees whether they are others than it has by itself.
            steps.pop()
            continue
        argument = _tree(steps, batch)
        if argument is None:
            return None
        arguments.append(argument)
    is_pair = value in _COMPARISONS or value in _CONNECTIVES
    is_known = is_pair or value in ("invert", "is_null", "is_valid")
    if not steps or not is_known or len(arguments) != 1 + is_pair:
        return None
    steps.pop()
    return (value, *arguments)


def _theirs(form: _Form) -> Any:
    """The tree as an expression of PyArrow."""
    pc = optional("pyarrow.compute")
    name, *parts = form
    if name == "field":
        return pc.field(parts[0])
    if name == "literal":
        return pc.scalar(parts[0])
    first, *rest = [_theirs(part) for part in parts]
    if name in _COMPARISONS:
        return _COMPARISONS[name](first, rest[0])
    if name in _CONNECTIVES:
        return _CONNECTIVES[name](first, rest[0])
    return ~first if name == "invert" else getattr(first, name)()


def _ours(form: _Form, schema: Any) -> Expr | None:
    """The tree as an expression of ours; None where it would mean something else."""
    from raceline.data.expressions import col

    name, *parts = form
    if name in _COMPARISONS:
        return _comparison(_COMPARISONS[name], parts, schema)
    if name in ("is_null", "is_valid"):
        kind, column = parts[0]
        if kind != "field" or _kind(schema.field(column).type) is None:
            return None
        return col(column).is_null() if name == "is_null" else col(column).is_not_null()
    if name == "field":
        is_bool = _kind(schema.field(parts[0]).type) == "bool"
        return col(parts[0]) if is_bool else None
    if name == "literal":
        return None
    operands = [one for part in parts if (one := _ours(part, schema)) is not None]
    if len(operands) < len(parts):
        return None
    connected: Expr = ~operands[0] if name == "invert" else _CONNECTIVES[name](*operands)
    return connected


def _comparison(compare: Callable[[Any, Any], Any], parts: list[Any], schema: Any) -> Expr | None:
    """A column and a value, compared."""
    from raceline.data.expressions import col, lit

    if {part[0] for part in parts} != {"field", "literal"}:
        return None
    kinds = {
        _kind(part[1].type if part[0] == "literal" else schema.field(part[1]).type)
        for part in parts
    }
    is_null = any(part[0] == "literal" and not part[1].is_valid for part in parts)
    if len(kinds) != 1 or None in kinds or is_null:
        return None
    sides = [lit(part[1].as_py()) if part[0] == "literal" else col(part[1]) for part in parts]
    compared: Expr = compare(*sides)
    return compared


def _kind(data_type: Any) -> str | None:
    """What a type is compared with; None of those that have rules of their own."""
    types = optional("pyarrow").types
    if types.is_integer(data_type) and not types.is_uint64(data_type):
        return "integer"
    if types.is_string(data_type) or types.is_large_string(data_type):
        return "string"
    if types.is_boolean(data_type):
        return "bool"
    return "date" if types.is_date32(data_type) else None


def _fields(form: _Form) -> Iterator[str]:
    """The columns that a tree names."""
    name, *parts = form
    if name == "field":
        yield parts[0]
    elif name != "literal":
        for part in parts:
            yield from _fields(part)
