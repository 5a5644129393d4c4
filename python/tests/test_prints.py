"""What workers print comes out on the program's standard error, line by line, with the stage."""

import re
import subprocess
import sys
import textwrap


def printed(
    function, *, run="raceline.range(2).map_batches(f, batch_size=1, concurrency=1).count()"
):
    """The lines of a worker of the function `f`, without its process id."""
    program = f"""
import os, sys, time, raceline
raceline.init(progress=False, num_cpus=1)
{textwrap.dedent(function)}
{run}
"""
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout == ""
    prefix = re.compile(r"\(MapBatches\(f\) pid=\d+\) (.*)")
    return [prefix.fullmatch(line)[1] for line in ended.stderr.splitlines()]


def test_lines_of_both_streams_in_their_order():
    assert printed("""
        def f(batch):
            print("out", batch["id"][0])
            print("err", file=sys.stderr)
            os.write(1, b"raw\\n")
            return batch
    """) == ["out 0", "err", "raw", "out 1", "err", "raw"]


def test_pieces_of_a_line_are_put_together():
    assert (
        printed("""
        def f(batch):
            print("a", end="", flush=True)
            time.sleep(0.05)
            print("b", end="")
            print("c\\nd", "e", sep="-")
            return batch
    """)
        == ["abc", "d-e"] * 2
    )


def test_many_lines_at_once_and_empty_ones():
    assert (
        printed("""
        def f(batch):
            print("x\\n\\ny\\n" * 2, end="")
            return batch
    """)
        == ["x", "", "y", "x", "", "y"] * 2
    )


def test_a_last_line_without_end_comes_when_the_worker_ends():
    assert printed("""
        def f(batch):
            print("first")
            sys.stdout.write(str(batch["id"][0]))
            return batch
    """) == ["first", "0first", "1"]


def test_what_a_constructor_prints():
    assert printed("""
        class f:
            def __init__(self):
                print("made")
            def __call__(self, batch):
                return batch
    """) == ["made"]


def test_what_a_worker_prints_before_it_is_killed():
    lines = printed(
        """
        def f(batch):
            print("about to die", flush=True)
            os._exit(3)
        """,
        run="""
try:
    raceline.range(1).map_batches(f, max_retries=0).count()
except raceline.errors.UdfError:
    print("(MapBatches(f) pid=0) it was told", file=sys.stderr)
        """,
    )
    assert lines[0] == "about to die"
    assert lines[-1] == "it was told"
