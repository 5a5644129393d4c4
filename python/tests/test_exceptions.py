"""Exceptions that travel from a worker: whatever their constructors want."""

import pickle

import pytest

from raceline._exceptions import pack, unpack


class Picky(ValueError):
    """Wants two arguments, and keeps one."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.code = second


@pytest.mark.parametrize(
    "error",
    [
        ValueError("text"),
        KeyError("k"),
        OSError(2, "No such file", "a.txt"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        Picky("one", 2),
    ],
    ids=repr,
)
def test_an_exception_arrives_with_its_type_text_and_fields(error):
    arrived = unpack(pack(error))
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


def test_fields_that_cannot_travel_are_left_behind():
    error = Picky("one", 2)
    error.lock = __import__("threading").Lock()
    arrived = unpack(pack(error))
    assert isinstance(arrived, Picky)
    assert arrived.args == ("one and 2",)
    assert not hasattr(arrived, "lock")


def test_an_exception_that_cannot_travel_at_all_is_none():
    class Local(Exception):
        def __reduce__(self):
            raise TypeError("no")

    assert pack(Local(__import__("threading").Lock())) is None


@pytest.mark.parametrize("packed", [b"no pickle", pickle.dumps(5), pickle.dumps((int, ()))])
def test_bytes_that_are_no_exception_are_none(packed):
    assert unpack(packed) is None
