"""Each name of Ray Data that programs use is there, with its parameters, and has a test."""

import functools
import inspect
import pathlib
import re

import pytest
import ray_contract

import raceline

CALLABLES = ray_contract.callables()
NAMES = ray_contract.names()
OPEN = ray_contract.open_names()
TESTS = pathlib.Path(__file__).parent

# Defaults that differ on purpose, and why.
OTHER_DEFAULTS = {
    ("data.Dataset.join", "num_partitions"): "may be left out: it has no effect",
    ("data.Dataset.iter_batches", "prefetch_batches"): "the budget decides",
}


def find(path):
    """What stands at `path` below the package, or None."""
    try:
        return functools.reduce(getattr, path.split("."), raceline)
    except AttributeError:
        module, _, name = path.rpartition(".")
        try:
            return getattr(__import__(f"raceline.{module}", fromlist=[name]), name)
        except (ImportError, AttributeError):
            return None


def parameters_of(thing):
    """Its parameters without `self`, and whether it takes any keyword."""
    signature = inspect.signature(thing)
    parameters = {
        name: parameter for name, parameter in signature.parameters.items() if name != "self"
    }
    kinds = {parameter.kind for parameter in parameters.values()}
    return parameters, inspect.Parameter.VAR_KEYWORD in kinds


def problems_of(entry, thing):
    """How `thing` differs from what the contract says."""
    if thing is None:
        return []
    ours, takes_any = parameters_of(thing)
    ignored = getattr(thing, "__ray_arguments__", frozenset())
    places = [n for n, p in ours.items() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    found = []
    for at, theirs in enumerate(entry.parameters):
        parameter = ours.get(theirs.name)
        if parameter is None:
            if theirs.name not in ignored and not takes_any:
                found.append(f"no parameter `{theirs.name}`")
            continue
        if not theirs.is_keyword and (at >= len(places) or places[at] != theirs.name):
            found.append(f"`{theirs.name}` is not parameter {at}")
        is_other = (entry.path, theirs.name) in OTHER_DEFAULTS
        if theirs.has_default and parameter.default != theirs.default and not is_other:
            found.append(f"`{theirs.name}={parameter.default!r}`, not {theirs.default!r}")
    return found


def test_the_table_is_read():
    assert len(CALLABLES) > 200
    assert len(NAMES) > 30
    paths = [entry.path for entry in CALLABLES] + NAMES
    assert len(paths) == len(set(paths))
    assert set(paths) >= OPEN


@pytest.mark.parametrize("entry", CALLABLES, ids=lambda entry: entry.path)
def test_what_is_called_is_there_with_its_parameters_and_a_test(entry):
    problems = [*missing(entry.path), *problems_of(entry, find(entry.path))]
    assert problems == [] or entry.path in OPEN, problems
    assert problems or entry.path not in OPEN, "it is there: take it out of the open names"


@pytest.mark.parametrize("path", NAMES)
def test_what_is_named_is_there_and_has_a_test(path):
    problems = missing(path)
    assert problems == [] or path in OPEN, problems
    assert problems or path not in OPEN, "it is there: take it out of the open names"


def test_a_difference_would_be_found():
    entry = next(entry for entry in CALLABLES if entry.path == "data.Dataset.limit")
    assert problems_of(entry, lambda limit: limit) == []
    assert problems_of(entry, lambda rows: rows) == ["no parameter `limit`"]
    entry = next(entry for entry in CALLABLES if entry.path == "data.Dataset.take")
    assert problems_of(entry, lambda limit=10: limit) == ["`limit=10`, not 20"]
    entry = next(entry for entry in CALLABLES if entry.path == "data.Dataset.random_sample")
    assert problems_of(entry, lambda seed=None, fraction=0: seed) == [
        "`fraction` is not parameter 0"
    ]


@functools.cache
def text_of_tests():
    """The text of all other tests."""
    others = (path for path in TESTS.rglob("test_*.py") if path.name != "test_contract.py")
    return "\n".join(path.read_text() for path in others)


def missing(path):
    """What there is not of a name."""
    name = path.rpartition(".")[2]
    found = [] if find(path) is not None else ["it is not there"]
    return (
        found
        if re.search(rf"\b{re.escape(name)}\b", text_of_tests())
        else [*found, "no test names it"]
    )


def test_what_is_missing_would_be_found():
    assert missing("data.Dataset.take") == []
    assert missing("data.Dataset.no_such_name") == ["it is not there", "no test names it"]
