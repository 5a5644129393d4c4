"""Workers that hold too much: fewer of them, smaller batches, and then an error that says why."""

import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import raceline
from raceline.errors import ResourceError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MIB = 1 << 20


@pytest.fixture
def session():
    """Starts a session with so much memory; afterwards it must still work."""

    def start(memory, **options):
        raceline.shutdown()
        raceline.init(num_cpus=options.pop("num_cpus", 2), memory=memory, **options)

    yield start
    squares = raceline.range(5).map_batches(lambda batch: {"square": batch["id"] ** 2})
    assert [row["square"] for row in squares.take_all()] == [0, 1, 4, 9, 16]
    raceline.shutdown()


def hold(mib):
    """Memory that is really there."""
    return np.ones(mib * MIB, np.uint8)


def per_row(mib, seconds=0.05):
    """A function that holds that much for each row of its batch, for a while."""

    def holding(batch):
        held = [hold(mib) for _ in batch["id"]]
        time.sleep(seconds)
        return {"id": batch["id"], "held": [len(one) for one in held]}

    return holding


def ids(dataset):
    return [row["id"] for row in dataset.take_all()]


def test_peaks_are_told(session):
    session(1 << 30)
    dataset = raceline.range(8).map_batches(per_row(50, 0.5), batch_size=4, concurrency=1)
    dataset.take_all()
    [line] = [line for line in dataset.stats().splitlines() if "memory:" in line]
    one = float(line.split("at most ")[1].split(" MiB")[0])
    assert 200 <= one < 300, line


def test_one_allocation_beyond_everything_is_an_error_that_names_the_stage(session, capfd):
    session(600 * MIB)
    greedy = raceline.range(100).map_batches(per_row(2048), batch_size=10)
    began = time.monotonic()
    with pytest.raises(ResourceError) as raised:
        greedy.take_all()
    assert time.monotonic() - began < 60
    text = str(raised.value)
    assert "a worker of `MapBatches(holding)` holds" in text
    assert "it was working on a batch of 1 row; the most that a worker" in text
    assert "raceline.init(memory=…)" in raised.value.hint
    assert "`batch_size`" in raised.value.hint
    assert "`memory=…`" in raised.value.hint


def test_batches_that_are_too_large_are_run_in_pieces(session, capfd):
    session(400 * MIB)
    # 64 rows would need 1.3 GB.
    dataset = raceline.range(128).map_batches(per_row(20), batch_size=64)
    assert ids(dataset) == list(range(128))
    told = capfd.readouterr().err
    assert "is run again in pieces of" in told
    # The size is remembered: no batch after the first is tried whole.
    assert told.count("in pieces of") <= 4


def test_rows_that_were_handed_on_do_not_come_again(session):
    session(400 * MIB)

    def growing(batch):
        held = []
        for row in batch["id"]:
            held.append(hold(20))
            yield {"id": [row]}
            time.sleep(0.02)

    dataset = raceline.range(64).map_batches(growing, batch_size=64)
    assert ids(dataset) == list(range(64))


class Leaks:
    def __init__(self):
        self.held = []

    def __call__(self, batch):
        self.held.append(hold(20))
        time.sleep(0.02)
        return {"id": batch["id"], "pid": [os.getpid()] * len(batch["id"])}


def test_an_actor_that_leaks_is_replaced(session, capfd):
    session(400 * MIB)
    rows = raceline.range(400).map_batches(Leaks, batch_size=4, concurrency=1).take_all()
    assert [row["id"] for row in rows] == list(range(400))
    assert 3 <= len({row["pid"] for row in rows}) <= 40
    assert "in pieces" not in capfd.readouterr().err, "its batches are small already"


def test_many_workers_are_as_many_as_fit(session):
    session(600 * MIB, num_cpus=8)

    def moderate(batch):
        held = hold(150)
        began = time.monotonic()
        time.sleep(0.3)
        return {"id": batch["id"], "began": [began], "ended": [time.monotonic()], "n": [len(held)]}

    dataset = raceline.range(24).map_batches(moderate, batch_size=1)
    rows = dataset.take_all()
    assert [row["id"] for row in rows] == list(range(24))
    at_once = [sum(one["began"] <= row["began"] < one["ended"] for one in rows) for row in rows]
    assert 2 <= max(at_once) <= 4, at_once


def test_a_model_that_does_not_fit_says_so(session):
    session(400 * MIB)

    class Model:
        def __init__(self):
            self.weights = hold(1024)

        def __call__(self, batch):
            return batch

    with pytest.raises(ResourceError) as raised:
        raceline.range(10).map_batches(Model, concurrency=1).take_all()
    assert "it was loading its functions" in str(raised.value)


def test_memory_beyond_the_session_is_refused_at_once(session):
    session(400 * MIB)
    with pytest.raises(ResourceError, match=r"asks for .* of `memory`"):
        raceline.range(10).map_batches(per_row(1), memory=1 << 30).take_all()


def test_an_allocation_far_beyond_what_was_asked_for_fails_in_the_function(session):
    session(4 << 30)

    def careful(batch):
        try:
            held = np.empty(3 << 30, np.uint8)
        except MemoryError:
            held = b""
        return {"id": batch["id"], "held": [len(held)] * len(batch["id"])}

    promised = raceline.range(3).map_batches(careful, memory=64 * MIB).take_all()
    assert {row["held"] for row in promised} == {0}
    with pytest.raises(MemoryError):
        raceline.range(3).map_batches(
            lambda batch: {"x": np.empty(3 << 30, np.uint8)[: len(batch["id"])]}, memory=64 * MIB
        ).take_all()


def test_a_worker_that_somebody_kills_is_told_with_what_it_held(session):
    session(2 << 30)

    def killed(batch):
        held = hold(200)
        time.sleep(2)
        os.kill(os.getpid(), 9)
        return {"id": held[: len(batch["id"])]}

    with pytest.raises(ResourceError) as raised:
        raceline.range(1).map_batches(killed, max_retries=0).take_all()
    [held] = [
        line for line in str(raised.value).splitlines() if "when it was last measured" in line
    ]
    assert "held 2" in held


def test_what_a_function_starts_counts(session):
    session(600 * MIB)

    def starts(batch):
        program = "import time; x = bytearray(2 << 30); time.sleep(20)"
        subprocess.run([sys.executable, "-c", program], check=True)
        return batch

    with pytest.raises(ResourceError, match="of `MapBatches"):
        raceline.range(1).map_batches(starts).take_all()


STREAMING = """
    import sys
    import numpy as np
    import raceline
    sys.path.insert(0, sys.argv[2])
    from process_peak import Peak, tree

    MIB = 1 << 20

    def pieces(batch):
        for number in range(192):
            yield {"x": np.full((16, 1 * MIB), number, np.uint8)}

    def rows(row):
        for number in range(1536):
            yield {"x": np.full(1 * MIB, number % 251, np.uint8), "n": number}

    raceline.init(num_cpus=2, memory=400 * MIB, progress=False)
    raceline.range(10).map_batches(lambda batch: dict(batch)).take_all()
    before = tree()
    peak = Peak()
    peak.start()
    seen = 0
    if sys.argv[1] == "batches":
        dataset = raceline.range(1).map_batches(pieces)
        for batch in dataset.iter_batches(batch_size=None):
            seen += batch["x"].nbytes
    else:
        dataset = raceline.range(1).flat_map(rows)
        for batch in dataset.iter_batches(batch_size=8):
            seen += sum(one.nbytes for one in batch["x"])
    peak.over = True
    peak.join()
    print(seen // MIB, before // MIB, peak.bytes // MIB)
"""


@pytest.mark.parametrize(("form", "expected"), [("batches", 3072), ("rows", 1536)])
def test_one_input_that_becomes_gigabytes_flows(form, expected, tmp_path):
    program = tmp_path / "streaming.py"
    program.write_text(textwrap.dedent(STREAMING))
    done = subprocess.run(
        [sys.executable, str(program), form, os.path.dirname(__file__)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    seen, before, peak = map(int, done.stdout.split())
    assert seen == expected
    assert peak <= before + 400 * 1.1, (before, peak)
