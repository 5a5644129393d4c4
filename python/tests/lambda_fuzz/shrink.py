"""Makes a small program, and a small table, of one that fails."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator

import pyarrow as pa

from lambda_fuzz.program import Program

_TRIES_MAX = 1500
_CONSTANTS = [1, "a", 0.5, True]

Fails = Callable[[Program, pa.RecordBatch], bool]


def shrink(program: Program, table: pa.RecordBatch, fails: Fails) -> tuple[Program, pa.RecordBatch]:
    """A program and a table that fail and of which nothing simple can be taken away."""
    tries = 0
    for row in range(table.num_rows):
        if fails(program, table.slice(row, 1)):
            table = table.slice(row, 1)
            break
    shrunk = True
    while shrunk and tries < _TRIES_MAX:
        shrunk = False
        for source in _smaller(program.source):
            tries += 1
            candidate = program._replace(source=source)
            if tries < _TRIES_MAX and _fails(fails, candidate, table):
                program, shrunk = candidate, True
                break
    for name in table.schema.names:
        fewer = [other for other in table.schema.names if other != name]
        if name != program.column and fewer and _fails(fails, program, table.select(fewer)):
            table = table.select(fewer)
    return program, table


def _fails(fails: Fails, program: Program, table: pa.RecordBatch) -> bool:
    try:
        return fails(program, table)
    except Exception:  # it is no program any more
        return False


def _smaller(source: str) -> Iterator[str]:
    """Sources with one part taken away or made simpler, the boldest first."""
    tree = ast.parse(source)
    sites = sum(1 for _ in _sites(tree))
    for site in range(sites):
        choices = len(_changes(_at(tree, site)))
        for choice in range(choices):
            changed = copy.deepcopy(tree)
            holder, field, index = _at(changed, site)
            _changes((holder, field, index))[choice]()
            try:
                text = ast.unparse(ast.fix_missing_locations(changed))
            except Exception:  # an empty block
                continue
            if len(text) < len(source) or text.count("\n") < source.count("\n"):
                yield text


Site = tuple[ast.AST, str, int | None]


def _sites(tree: ast.AST) -> Iterator[Site]:
    """Where expressions and statements stand: in a field, or in a list of one."""
    for holder in ast.walk(tree):
        for field, value in ast.iter_fields(holder):
            if isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, (ast.expr, ast.stmt)):
                        yield holder, field, index
            elif isinstance(value, ast.expr):
                yield holder, field, None


def _at(tree: ast.AST, site: int) -> Site:
    for position, found in enumerate(_sites(tree)):
        if position == site:
            return found
    raise IndexError(site)


def _changes(site: Site) -> list[Callable[[], None]]:
    """What can be done to the node of a site."""
    holder, field, index = site
    node = getattr(holder, field) if index is None else getattr(holder, field)[index]

    def put(*nodes: ast.AST) -> Callable[[], None]:
        def change() -> None:
            if index is None:
                setattr(holder, field, nodes[0])
            else:
                getattr(holder, field)[index : index + 1] = nodes

        return change

    def drop() -> None:
        del getattr(holder, field)[index]
        if isinstance(holder, ast.Dict):
            del (holder.values if field == "keys" else holder.keys)[index]
        if isinstance(holder, ast.Compare) and field == "comparators":
            del holder.ops[index]

    changes: list[Callable[[], None]] = []
    if index is not None:
        changes.append(drop)
    if isinstance(node, ast.If):
        changes += [put(*node.body), put(*node.orelse)]
    if isinstance(node, ast.expr):
        parts = [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
        changes += [put(part) for part in parts]
        if not isinstance(node, ast.Constant):
            changes += [put(ast.Constant(value)) for value in _CONSTANTS]
    return changes
