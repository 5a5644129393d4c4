"""Reads ``ray_contract.txt``: the names of Ray Data that programs use, with their parameters."""

from __future__ import annotations

import ast
import pathlib
from dataclasses import dataclass
from typing import Any

GROUPS = {
    "FN": "fn_args=None, fn_kwargs=None, fn_constructor_args=None, fn_constructor_kwargs=None",
    "RA": (
        "num_cpus=None, num_gpus=None, memory=None, concurrency=None, label_selector=None,"
        " fallback_strategy=None, max_calls=None, resources=None, accelerator_type=None,"
        " runtime_env=None, ray_remote_args_fn=None"
    ),
    "READ": (
        "num_cpus=None, num_gpus=None, memory=None, concurrency=None, ray_remote_args=None,"
        " override_num_blocks=None, parallelism=-1"
    ),
    "FS": (
        "filesystem=None, partition_filter=None, partitioning, include_paths=False,"
        " ignore_missing_paths=False, shuffle=None, file_extensions"
    ),
    "WRITE": (
        "filesystem=None, try_create_dir=True, arrow_open_stream_args=None,"
        " filename_provider=None, min_rows_per_file=None, ray_remote_args=None, concurrency=None,"
        " mode, num_rows_per_file=None"
    ),
    "SHUFFLED": "local_shuffle_buffer_size=None, local_shuffle_seed=None",
}

PATH = pathlib.Path(__file__).with_suffix(".txt")
OPEN_PATH = PATH.with_name("ray_contract_open.txt")


@dataclass(frozen=True)
class Parameter:
    """A parameter as Ray Data has it."""

    name: str
    is_keyword: bool
    has_default: bool
    default: Any


@dataclass(frozen=True)
class Entry:
    """A function, method or class as Ray Data has it."""

    path: str
    parameters: tuple[Parameter, ...]


def callables() -> list[Entry]:
    """What is called, with its parameters."""
    return [_parse(line.format(**GROUPS)) for line in _lines() if "(" in line]


def names() -> list[str]:
    """What is only named."""
    return [line for line in _lines() if "(" not in line]


def _lines() -> list[str]:
    return _content(PATH)


def open_names() -> frozenset[str]:
    """What is not there yet, or not with all parameters, or has no test."""
    return frozenset(_content(OPEN_PATH))


def _content(path: pathlib.Path) -> list[str]:
    lines = path.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _parse(line: str) -> Entry:
    path, _, rest = line.partition("(")
    head = ast.parse(f"def f({_with_defaults(rest[:-1])}): ...").body[0]
    assert isinstance(head, ast.FunctionDef)
    parts = head.args
    missing = len(parts.args) - len(parts.defaults)
    found = [
        _parameter(argument.arg, None if at < missing else parts.defaults[at - missing], False)
        for at, argument in enumerate(parts.args)
    ]
    pairs = zip(parts.kwonlyargs, parts.kw_defaults, strict=True)
    found += [_parameter(argument.arg, default, True) for argument, default in pairs]
    return Entry(path, tuple(found))


def _with_defaults(parameters: str) -> str:
    """``parameters`` as Python parses them: a default that is not written becomes `...`."""
    out: list[str] = []
    has_default = False
    for part in _split(parameters):
        if part.startswith("*"):
            has_default = False
            out.append(part)
        elif "=" in part:
            has_default = True
            out.append(part)
        else:
            out.append(f"{part}=..." if has_default else part)
    return ", ".join(out)


def _split(parameters: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, character in enumerate(parameters + ","):
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            parts.append(parameters[start:at].strip())
            start = at + 1
    return [part for part in parts if part]


def _parameter(name: str, default: ast.expr | None, is_keyword: bool) -> Parameter:
    value = ast.literal_eval(default) if default is not None else None
    return Parameter(name, is_keyword, default is not None and value is not ..., value)
