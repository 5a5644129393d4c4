"""The threads in which iterators run ahead, and that none of them is left over."""

import gc
import threading

import pytest


def threads():
    return [one for one in threading.enumerate() if one.name == "raceline-ahead"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    assert threads() == []
