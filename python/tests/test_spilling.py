"""What does not fit into memory goes to disk, and nothing of it stays there."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import raceline
from raceline.errors import PlanError, RacelineError, ResourceError

MIB = 1 << 20


@pytest.fixture
def session(tmp_path):
    """Starts a session that spills to `tmp_path`; afterwards there must be nothing left there."""

    def start(memory=64 * MIB, spill_dirs=None):
        raceline.shutdown()
        raceline.init(num_cpus=2, memory=memory, spill_dirs=spill_dirs or [tmp_path])

    yield start
    raceline.shutdown()
    left = [path for path in tmp_path.rglob("*") if path.name.startswith("raceline-")]
    assert left == []


def large(rows=6_000_000):
    """48 MB of numbers that are not compressed well, and the same as text: 150 MB in all."""
    return raceline.range(rows).map_batches(scrambled)


def scrambled(batch):
    numbers = (batch["id"] * 2654435761) % 2147483647
    return {"id": batch["id"], "number": numbers, "third": numbers // 3, "half": numbers / 2}


def sort_fails(start_text):
    with pytest.raises(RacelineError) as caught:
        for _ in large().sort("number").iter_batches(batch_size=100_000):
            pass
    text = str(caught.value)
    assert text.startswith(start_text), text
    return caught.value, text


def test_a_sort_that_spills_leaves_nothing_behind(session, tmp_path):
    session()
    rows, last, seen = 0, -1, 0
    for batch in large().sort("number").iter_batches(batch_size=100_000):
        numbers = batch["number"]
        assert numbers[0] >= last and (np.diff(numbers) >= 0).all()
        rows, last = rows + len(numbers), numbers[-1]
        seen = max(seen, len(list(tmp_path.rglob("*.spill"))))
    assert rows == 6_000_000
    assert seen > 0


def test_a_quota_that_is_used_up_is_told_with_its_folder(session, tmp_path):
    session(spill_dirs=[(tmp_path / "small", 3_000_000)])
    error, text = sort_fails("no spill folder takes ")
    assert isinstance(error, ResourceError)
    assert "  stage: Sort(number)\n" in text
    assert f"  folder `{tmp_path}/small`: " in text
    assert " of its 3000000 bytes are used\n" in text
    assert text.endswith(
        "  hint: free space there, name more or larger folders by "
        "`raceline.init(spill_dirs=[…])`, or give the session more memory"
    )


def test_a_folder_that_cannot_be_made_is_passed_over_while_another_works(session, tmp_path):
    (tmp_path / "file").write_text("no folder")
    session(spill_dirs=[tmp_path / "file" / "below", (tmp_path / "good", 10**10)])
    assert large(2_000_000).sort("number", descending=True).take(1)[0]["number"] > 0
    assert sum(len(batch["id"]) for batch in large().sort("number").iter_batches()) == 6_000_000

    session(spill_dirs=[tmp_path / "file" / "below"])
    _, text = sort_fails("no spill folder takes ")
    assert f"  folder `{tmp_path}/file/below`: Not a directory (os error 20)\n" in text


@pytest.mark.parametrize(
    ("spill_dirs", "message"),
    [
        ("/tmp", "`spill_dirs` must be a list, got `'/tmp'`"),
        ([], "`spill_dirs` must name a folder, got `[]`"),
        ([3], "`spill_dirs` holds `3`"),
        ([""], "`spill_dirs` holds `''`"),
        ([("/tmp", 0)], "`spill_dirs` holds `('/tmp', 0)`"),
        ([("/tmp", 1.5)], "`spill_dirs` holds `('/tmp', 1.5)`"),
        ([("/tmp", True)], "`spill_dirs` holds `('/tmp', True)`"),
        ([("/tmp", 1, 2)], "`spill_dirs` holds `('/tmp', 1, 2)`"),
    ],
)
def test_init_refuses_what_is_no_folder(spill_dirs, message):
    raceline.shutdown()
    with pytest.raises(PlanError) as caught:
        raceline.init(spill_dirs=spill_dirs)
    assert str(caught.value) == (
        message + "\n  hint: pass folders, or pairs of a folder and bytes: "
        '`spill_dirs=["/a", ("/b", 10**9)]`'
    )


# What a process does when it is killed: the phases of a job that spills.
PHASES = {
    "sort: writes": """
        for _ in large().sort("number").iter_batches():
            pass
    """,
    "sort: merges": """
        batches = large().sort("number").iter_batches(batch_size=1000)
        next(iter(batches))
        ready()
    """,
}


@pytest.mark.parametrize("phase", PHASES)
def test_what_a_killed_process_spilled_is_removed_at_the_next_start(session, tmp_path, phase):
    program = (
        "import pathlib, sys, time, raceline\n"
        "def ready():\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "import inspect\n"
        f"raceline.init(num_cpus=2, memory={64 * MIB}, spill_dirs=[sys.argv[1]])\n"
        f"sys.path.insert(0, {os.path.dirname(__file__)!r})\n"
        "from test_spilling import large\n" + textwrap.dedent(PHASES[phase])
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        if "ready()" in program.split("test_spilling")[1]:
            assert process.stdout.readline() == b"ready\n"
        wait_for(lambda: any(tmp_path.rglob("*.spill")))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert any(tmp_path.rglob("*.spill"))
    session()
    assert raceline.range(3).count() == 3
    raceline.shutdown()
    assert list(tmp_path.iterdir()) == []


def wait_for(happened, seconds=30):
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.01)
