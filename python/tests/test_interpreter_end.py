"""Memory of other libraries that the engine reads, when the interpreter ends."""

import subprocess
import sys

PROGRAM = """
import ctypes
import threading
import time

import pyarrow as pa
import raceline

FIELDS = [
    *((name, ctypes.c_int64) for name in "length null_count offset n_buffers n_children".split()),
    *((name, ctypes.c_void_p) for name in "buffers children dictionary release owner".split()),
]
Release = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
begun, threads = threading.Event(), []


class Array(ctypes.Structure):
    _fields_ = FIELDS


class Slow:
    def __arrow_c_array__(self, requested_schema=None):
        schema, capsule = pa.record_batch({"a": range(1000)}).__arrow_c_array__()
        array = Array.from_address(pointer_of(capsule, b"arrow_array"))
        own = Release(array.release)

        def release(pointer):
            threads.append(threading.current_thread())
            begun.set()
            time.sleep(0.5)
            own(pointer)
            print("given back", threads[0] is not threading.main_thread(), flush=True)

        self.release = Release(release)
        array.release = ctypes.cast(self.release, ctypes.c_void_p).value
        return schema, capsule


slow = Slow()
work = lambda: raceline.from_arrow(slow).map_batches(lambda batch: batch).sum("a")
threading.Thread(target=work, daemon=True).start()
assert begun.wait(30)
"""


def test_what_a_thread_gives_back_at_the_end_is_waited_for():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, timeout=60
    )
    assert (run.stdout, run.stderr, run.returncode) == ("given back True\n", "", 0)
