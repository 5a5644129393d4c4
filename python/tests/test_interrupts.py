"""Ctrl-C is heard before the first row, and while rows come fast."""

import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")


def interrupted(program, *arguments, until=None):
    """What a program prints that gets SIGINT once it says `begin`, and how long it took to end."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begin\n", process.stderr.read()
    if until is not None:
        until()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    try:
        output, error = process.communicate(timeout=10)
    finally:
        process.kill()
    assert output.splitlines() == ["KeyboardInterrupt"], error
    assert process.returncode == 0, error
    return time.monotonic() - start


SILENT_STORE = """
    import sys, raceline
    raceline.init(progress=False)
    options = {{"endpoint": sys.argv[1], "region": "x"}}
    options |= {{"access_key_id": "a", "secret_access_key": "b"}}
    dataset = raceline.read_parquet("s3://bucket/folder/", storage_options=options)
    print("begin", flush=True)
    try:
        {consume}
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
"""


@pytest.mark.parametrize(
    "consume",
    [
        "dataset.take(1)",
        "dataset.count()",
        "dataset.filter(lambda row: True).count()",
        "dataset.schema()",
        "dataset.explain()",
        "dataset.materialize()",
        "dataset.write_csv('/tmp/never-written')",
    ],
)
def test_a_store_that_accepts_and_never_answers(consume):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        accepted = []
        seconds = interrupted(
            SILENT_STORE.format(consume=consume),
            f"http://127.0.0.1:{server.getsockname()[1]}",
            until=lambda: accepted.append(server.accept()),
        )
    assert seconds < 2


@pytest.mark.parametrize("consume", ["dataset.materialize()", "dataset.write_csv(sys.argv[1])"])
def test_batches_that_come_faster_than_signals_are_looked_for(tmp_path, consume):
    program = f"""
        import sys, raceline
        raceline.init(progress=False, memory=10**9)
        dataset = raceline.range(10**12).filter(expr="id < 0 or id % 1000000 == 0")
        dataset = dataset.limit(10**9)
        print("begin", flush=True)
        try:
            {consume}
        except KeyboardInterrupt:
            print("KeyboardInterrupt")
    """
    assert interrupted(program, tmp_path / "out") < 2


LOOP = """
    import threading, time, raceline
    raceline.init(progress=False)

    def rest(at):
        for batch in shares[at].iter_batches(batch_size=10, prefetch_batches=0):
            time.sleep(0.01)

    rows = raceline.range(10**9).map(lambda row: {{"x": abs(row["id"])}})
    shares = rows.streaming_split(2)
    threading.Thread(target=rest, args=(1,), daemon=True).start()
    print("begin", flush=True)
    try:
        {loop}
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
    names = [one.name for one in threading.enumerate()]
    assert "raceline-ahead" not in names, names
"""


@pytest.mark.parametrize(
    "loop",
    [
        "for batch in shares[0].iter_batches(batch_size=10): pass",
        "for batch in shares[0].iter_batches(batch_size=10, prefetch_batches=0): pass",
        "raceline.range(3).streaming_split(2)[0].materialize()",
    ],
)
def test_loops_over_shares_of_a_run(loop):
    assert interrupted(LOOP.format(loop=loop)) < 5
