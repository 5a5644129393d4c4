"""Follows the row or batch through the bytecode of a function: which columns it looks at.

An abstract interpreter over all paths, loops and handlers. Of each value it knows whether it is
the row, a column of it, a dict that the function makes, a string that does not change, or
something else. Whatever else is done with the row than to take, set or remove a column by its
name, or to return it, is answered by :class:`Opaque`; so is an instruction that is not known.
"""

from __future__ import annotations

import dis
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any, NamedTuple

from raceline._row_values import (
    ENDS,
    IGNORED,
    JUMPS,
    OTHER,
    PLAIN,
    ROW,
    Column,
    Const,
    Made,
    MadeDict,
    Method,
    Opaque,
    Row,
    Use,
    Value,
)

__all__ = ["follow"]


class _State(NamedTuple):
    stack: tuple[Value, ...]
    slots: tuple[Value | None, ...]


def follow(
    code: CodeType, row: int, strings: Mapping[int, str], captured: Callable[[str], str | None]
) -> Use:
    """What a function does with its row.

    Args:
        code: The function's code.
        row: Position of the parameter that is the row or batch.
        strings: Parameters that are always the same string, by position.
        captured: The string that a variable of an enclosing function always is, by its name.

    Raises:
        Opaque: It may look at any column.
    """
    slots: list[Value | None] = [None] * (code.co_nlocals + len(code.co_cellvars))
    for position, value in strings.items():
        slots[position] = Const(value)
    slots[row] = ROW
    return _Follower(code, captured).run(_State((), tuple(slots)))


class _Follower:
    """The paths through one function."""

    def __init__(self, code: CodeType, captured: Callable[[str], str | None]) -> None:
        self.use = Use()
        self._captured = captured
        self._made: dict[int, Made] = {}
        # Dicts that were put into another one, or into the row (None).
        self._merged: set[tuple[int | None, int]] = set()
        self._returned: set[int] = set()
        self._source = list(dis.get_instructions(code))
        self._index = {one.offset: index for index, one in enumerate(self._source)}
        table: Any = dis
        self._handlers = list(table._parse_exception_table(code))
        self._states: dict[int, _State] = {}
        self._waiting: set[int] = set()
        self._stack: list[Value] = []
        self._slots: list[Value | None] = []

    def run(self, entry: _State) -> Use:
        """Follows all paths until nothing new is found."""
        self._arrive(0, entry)
        while self._waiting:
            index = min(self._waiting)
            self._waiting.discard(index)
            self._step(index)
        self._settle()
        return self.use

    def _settle(self) -> None:
        """Judges dicts by all that became of them, on whatever path."""
        changed = True
        while changed:
            changed = False
            for target, update in self._merged:
                found = self._made[update]
                if not found.is_known:
                    raise Opaque
                keys = self.use.writes if target is None else self._made[target].keys
                changed |= not found.keys <= keys
                keys |= found.keys
        for site in sorted(self._returned):
            made = self._made[site]
            if made.is_known:
                self.use.returned.append(made)
            else:
                self.use.returns_other = True

    def _arrive(self, index: int, state: _State) -> None:
        """A path leads to an instruction."""
        known = self._states.get(index)
        if known is not None:
            if len(known.stack) != len(state.stack):
                raise Opaque
            state = _State(
                tuple(map(self._joined, known.stack, state.stack)),
                tuple(map(self._joined_slot, known.slots, state.slots)),
            )
            if state == known:
                return
        self._states[index] = state
        self._waiting.add(index)

    def _joined_slot(self, one: Value | None, other: Value | None) -> Value | None:
        if one is None or other is None:  # using an unbound variable raises
            return other if one is None else one
        return self._joined(one, other)

    def _joined(self, one: Value, other: Value) -> Value:
        """What a value is that is one or the other."""
        if one == other and type(one) is type(other):
            return one
        self._look_at(one)
        self._look_at(other)
        return OTHER

    def _step(self, index: int) -> None:
        """Follows one instruction to those behind it."""
        instruction, state = self._source[index], self._states[index]
        for handler in self._handlers:
            if handler.start <= instruction.offset < handler.end:
                raised = (OTHER,) * (2 if handler.lasti else 1)
                caught = _State(state.stack[: handler.depth] + raised, state.slots)
                self._arrive(self._index[handler.target], caught)
        name, arg = instruction.opname, instruction.arg
        self._stack, self._slots = list(state.stack), list(state.slots)
        if name in JUMPS:
            self._arrive(self._index[instruction.argval], state)
            return
        if name == "FOR_ITER" or name.startswith(("POP_JUMP_", "JUMP_IF_")):
            self._look_at(self._stack[-1])
            for jump in (False, True):
                effect = dis.stack_effect(instruction.opcode, arg, jump=jump)
                stack = state.stack[:effect] if effect < 0 else (*state.stack, *[OTHER] * effect)
                target = self._index[instruction.argval] if jump else index + 1
                self._arrive(target, _State(tuple(stack), state.slots))
            return
        handler = _HANDLERS.get(name)
        if handler is not None:
            handler(self, instruction)
        elif name not in IGNORED:
            self._plain(instruction)
        if name not in ENDS:
            self._arrive(index + 1, _State(tuple(self._stack), tuple(self._slots)))

    def _look_at(self, value: Value) -> None:
        """Something is done with a value of which nothing is known."""
        if isinstance(value, (Row, Method)):
            raise Opaque
        if isinstance(value, Column):
            self.use.reads.add(value.name)
        elif isinstance(value, MadeDict):
            self._give_up(self._made[value.site])

    def _give_up(self, made: Made) -> None:
        """Anything may be done with a dict from now on, also by others."""
        if made.has_row:
            raise Opaque
        self._look_at_columns(made)
        made.is_known = False

    def _pop(self, count: int) -> list[Value]:
        """Takes values off the stack, the lowest first."""
        if count == 0:
            return []
        if count > len(self._stack):
            raise Opaque
        values = self._stack[-count:]
        del self._stack[-count:]
        return values

    def _look_at_all(self, values: list[Value]) -> None:
        for value in values:
            self._look_at(value)

    def _plain(self, instruction: Any) -> None:
        """An instruction that needs to know what its operands are."""
        name, arg = instruction.opname, instruction.arg
        effect = dis.stack_effect(instruction.opcode, arg, jump=False)
        if name == "UNPACK_SEQUENCE":
            pushes = arg
        elif name == "UNPACK_EX":
            pushes = (arg & 0xFF) + (arg >> 8) + 1
        elif name == "LOAD_SUPER_ATTR":
            pushes = 3 + effect
        elif name in PLAIN:
            pushes = PLAIN[name]
        else:
            raise Opaque
        self._look_at_all(self._pop(pushes - effect))
        self._stack += [OTHER] * pushes

    # Variables and constants.

    def _load(self, slot: int) -> None:
        value = self._slots[slot] if slot < len(self._slots) else None
        self._stack.append(OTHER if value is None else value)

    def _store(self, slot: int) -> None:
        [self._slots[slot]] = self._pop(1)

    def _load_fast_and_clear(self, instruction: Any) -> None:
        self._load(instruction.arg)
        self._slots[instruction.arg] = None

    def _load_two(self, instruction: Any) -> None:
        self._load(instruction.arg >> 4)
        self._load(instruction.arg & 15)

    def _store_and_load(self, instruction: Any) -> None:
        self._store(instruction.arg >> 4)
        self._load(instruction.arg & 15)

    def _store_two(self, instruction: Any) -> None:
        self._store(instruction.arg >> 4)
        self._store(instruction.arg & 15)

    def _delete_fast(self, instruction: Any) -> None:
        self._slots[instruction.arg] = None

    def _load_const(self, instruction: Any) -> None:
        value = instruction.argval
        is_text = type(value) is str or (
            type(value) is tuple and all(type(one) is str for one in value)
        )
        self._stack.append(Const(value) if is_text else OTHER)

    def _load_captured(self, instruction: Any) -> None:
        value = self._captured(instruction.argval)
        self._stack.append(OTHER if value is None else Const(value))

    def _load_global(self, instruction: Any) -> None:
        self._stack += [OTHER] * (1 + (instruction.arg & 1))

    # The stack.

    def _copy(self, instruction: Any) -> None:
        self._stack.append(self._stack[-instruction.arg])

    def _swap(self, instruction: Any) -> None:
        stack, arg = self._stack, instruction.arg
        stack[-1], stack[-arg] = stack[-arg], stack[-1]

    def _pop_top(self, _instruction: Any) -> None:
        [value] = self._pop(1)
        if isinstance(value, Column):  # it raises where there is no such column
            self.use.reads.add(value.name)

    # Attributes and calls.

    def _load_attribute(self, instruction: Any) -> None:
        [owner] = self._pop(1)
        is_method = instruction.opname == "LOAD_METHOD" or (
            dis.stack_effect(instruction.opcode, instruction.arg) == 1
        )
        if owner is ROW and is_method and instruction.argval in ("get", "pop"):
            self.use.subscripts_only = False
            self._stack += [Method(instruction.argval), OTHER]
            return
        self._look_at(owner)
        self._stack += [OTHER] * (1 + is_method)

    def _call(self, instruction: Any) -> None:
        arguments = self._pop(instruction.arg)
        callee = self._pop(2)
        methods = [one for one in callee if isinstance(one, Method)]
        if methods and arguments and isinstance(arguments[0], Const):
            self.use.reads.add(self._name(arguments[0]))
            self.use.removes |= methods[0].name == "pop"
            self._look_at_all(arguments[1:])
        else:
            self._look_at_all(callee + arguments)
        self._stack.append(OTHER)

    # Items.

    def _name(self, key: Value) -> str:
        """The name of a column that a subscript is.

        Raises:
            Opaque: It is known only when the function runs.
        """
        if isinstance(key, Const) and type(key.value) is str:
            return key.value
        raise Opaque

    def _get_item(self, _instruction: Any) -> None:
        owner, key = self._pop(2)
        if owner is ROW:
            name = self._name(key)
            self.use.seen.add(name)
            self._stack.append(Column(name))
            return
        if isinstance(owner, MadeDict):
            made = self._made[owner.site]
            if made.has_row:
                self.use.reads.add(self._name(key))
            self._look_at_columns(made)
            self._look_at(key)
        else:
            self._look_at_all([owner, key])
        self._stack.append(OTHER)

    def _set_item(self, _instruction: Any) -> None:
        value, owner, key = self._pop(3)
        self._look_at(value)
        if owner is ROW:
            self.use.subscripts_only = False
            self.use.writes.add(self._name(key))
        elif isinstance(owner, MadeDict) and isinstance(key, Const):
            name, made = self._name(key), self._made[owner.site]
            made.keys.add(name)
            if name in made.columns:
                self.use.reads.add(made.columns.pop(name))
        else:
            self._look_at_all([owner, key])

    def _delete_item(self, _instruction: Any) -> None:
        owner, key = self._pop(2)
        if owner is ROW:
            self.use.subscripts_only = False
            self.use.reads.add(self._name(key))
            self.use.removes = True
        else:
            self._look_at_all([owner, key])

    def _contains(self, _instruction: Any) -> None:
        item, container = self._pop(2)
        if container is ROW:
            self.use.subscripts_only = False
            self.use.reads.add(self._name(item))
        else:
            self._look_at_all([item, container])
        self._stack.append(OTHER)

    # Dicts that the function makes.

    def _make(self, offset: int, items: Mapping[str, Value]) -> Made:
        """A new dict; each time that a path passes here it holds the same."""
        made = self._made.setdefault(offset, Made())
        is_new = not made.keys and not made.has_row
        for name, value in items.items():
            if isinstance(value, Column) and made.is_known and is_new:
                made.columns[name] = value.name
            elif isinstance(value, Column) and made.columns.get(name) == value.name:
                pass
            else:
                self._look_at(value)
                if name in made.columns:
                    self.use.reads.add(made.columns.pop(name))
        made.keys.update(items)
        self._stack.append(MadeDict(offset))
        return made

    def _build_map(self, instruction: Any) -> None:
        pairs = self._pop(2 * instruction.arg)
        keys, values = pairs[::2], pairs[1::2]
        if all(isinstance(key, Const) and type(key.value) is str for key in keys):
            names = [self._name(key) for key in keys]
            self._make_unless_twice(instruction.offset, names, values)
            return
        self._look_at_all(pairs)
        self._stack.append(OTHER)

    def _build_const_key_map(self, instruction: Any) -> None:
        *values, keys = self._pop(instruction.arg + 1)
        if isinstance(keys, Const):
            self._make_unless_twice(instruction.offset, list(keys.value), values)
            return
        self._look_at_all(values)
        self._stack.append(OTHER)

    def _make_unless_twice(self, offset: int, names: list[str], values: list[Value]) -> None:
        if len(set(names)) != len(names):
            self._look_at_all(values)
            values = [OTHER] * len(names)
        self._make(offset, dict(zip(names, values, strict=True)))

    def _update_made(self, instruction: Any) -> None:
        [update] = self._pop(1)
        target = self._stack[-instruction.arg]
        if isinstance(target, MadeDict):
            self._add(target.site, update)
        else:
            self._look_at(update)

    def _add(self, target: int, update: Value) -> None:
        """Puts all that a dict holds into one that the function makes."""
        made = self._made[target]
        if update is ROW:
            self.use.subscripts_only = False
            made.row_is_first &= not made.keys or made.has_row
            made.has_row = True
            self._look_at_columns(made)
            if not made.is_known:
                raise Opaque
            return
        if isinstance(update, MadeDict) and not self._made[update.site].has_row:
            self._merge(target, update)
            # Under which names it always holds them is not followed.
            self._look_at_columns(made)
        else:
            self._look_at(update)
            self._give_up(made)

    def _merge(self, target: int | None, update: MadeDict) -> None:
        """Notes that a dict, of which more may become known, was put into another one."""
        self._merged.add((target, update.site))
        self._look_at_columns(self._made[update.site])

    def _look_at_columns(self, made: Made) -> None:
        self.use.reads.update(made.columns.values())
        made.columns.clear()

    def _binary(self, instruction: Any) -> None:
        left, right = self._stack[-2:]
        symbol = instruction.argrepr
        if left is not ROW or not isinstance(right, MadeDict) or symbol not in ("|", "|="):
            self._plain(instruction)
            return
        self._pop(2)
        if self._made[right.site].has_row:
            raise Opaque
        self.use.subscripts_only = False
        if symbol == "|=":
            self._merge(None, right)
            self._stack.append(ROW)
            return
        self._make(instruction.offset, {}).has_row = True
        self._merge(instruction.offset, right)

    def _return(self, _instruction: Any) -> None:
        [value] = self._pop(1)
        if value is ROW:
            self.use.returns_row = True
        elif isinstance(value, MadeDict) and self._made[value.site].is_known:
            self._returned.add(value.site)
        else:
            self._look_at(value)
            self.use.returns_other = True

    def _return_const(self, _instruction: Any) -> None:
        self.use.returns_other = True


_HANDLERS: dict[str, Callable[[_Follower, Any], None]] = {
    "BINARY_OP": _Follower._binary,
    "BINARY_SUBSCR": _Follower._get_item,
    "BUILD_CONST_KEY_MAP": _Follower._build_const_key_map,
    "BUILD_MAP": _Follower._build_map,
    "CALL": _Follower._call,
    "CONTAINS_OP": _Follower._contains,
    "COPY": _Follower._copy,
    "DELETE_FAST": _Follower._delete_fast,
    "DELETE_SUBSCR": _Follower._delete_item,
    "DICT_UPDATE": _Follower._update_made,
    "LOAD_ATTR": _Follower._load_attribute,
    "LOAD_CONST": _Follower._load_const,
    "LOAD_DEREF": _Follower._load_captured,
    "LOAD_FAST": lambda the, one: the._load(one.arg),
    "LOAD_FAST_AND_CLEAR": _Follower._load_fast_and_clear,
    "LOAD_FAST_CHECK": lambda the, one: the._load(one.arg),
    "LOAD_FAST_LOAD_FAST": _Follower._load_two,
    "LOAD_GLOBAL": _Follower._load_global,
    "LOAD_METHOD": _Follower._load_attribute,
    "POP_TOP": _Follower._pop_top,
    "RAISE_VARARGS": lambda the, one: the._look_at_all(the._pop(one.arg)),
    "RETURN_CONST": _Follower._return_const,
    "RETURN_GENERATOR": lambda the, _: the._stack.append(OTHER),
    "RETURN_VALUE": _Follower._return,
    "STORE_FAST": lambda the, one: the._store(one.arg),
    "STORE_FAST_LOAD_FAST": _Follower._store_and_load,
    "STORE_FAST_STORE_FAST": _Follower._store_two,
    "STORE_SUBSCR": _Follower._set_item,
    "SWAP": _Follower._swap,
}
