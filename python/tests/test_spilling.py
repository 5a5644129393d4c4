"""What does not fit into memory goes to disk, and nothing of it stays there."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import raceline
from raceline.data.expressions import col
from raceline.errors import PlanError, RacelineError, ResourceError, SourceError

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
    """Four numbers a row, 32 bytes, most of which cannot be compressed well."""
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


TESTS = os.path.dirname(__file__)

# A process that spills, and may wait to be killed.
KILLED = """
    import sys, time
    import raceline
    sys.path.insert(0, sys.argv[2])
    from test_spilling import large

    def ready():
        print("ready", flush=True)
        time.sleep(60)

    raceline.init(num_cpus=2, memory=64 << 20, spill_dirs=[sys.argv[1]], progress=False)
"""

# What it does when it is killed: the phases of jobs that spill.
PHASES = {
    "sort: writes": """
        for _ in large().sort("number").iter_batches():
            pass
    """,
    "sort: merges": """
        batches = iter(large().sort("number").iter_batches(batch_size=1000))
        next(batches)
        ready()
    """,
    "repartition: writes": """
        for _ in large().repartition(50).iter_batches():
            pass
    """,
    "repartition: reads back": """
        batches = iter(large().repartition(500).iter_batches(batch_size=1000))
        next(batches)
        ready()
    """,
    "materialized: writes": """
        large(60_000_000).materialize()
    """,
    "materialized: held": """
        kept = large().materialize()
        ready()
    """,
}


@pytest.mark.parametrize("phase", PHASES)
def test_what_a_killed_process_spilled_is_removed_at_the_next_start(session, tmp_path, phase):
    body = textwrap.dedent(PHASES[phase])
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED) + body, str(tmp_path), TESTS],
        stdout=subprocess.PIPE,
    )
    try:
        if "ready()" in body:
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


def test_repartition_beyond_the_memory_keeps_rows_and_order(session, tmp_path):
    session()
    lengths, last = [], -1
    for batch in large().repartition(997).iter_batches(batch_size=None):
        ids = batch["id"]
        assert ids[0] == last + 1 and (np.diff(ids) == 1).all()
        lengths, last = [*lengths, len(ids)], ids[-1]
    assert last == 5_999_999
    assert len(lengths) == 997 and max(lengths) - min(lengths) <= 1


def test_sorts_side_by_side_leave_each_other_room_to_merge(session):
    # Of 500 MB some batches are left in memory: either half of the sort holds what the other one
    # would need to merge its own.
    session(memory=410 * MIB)
    rows = raceline.range(6_250_000)
    for at in range(9):
        rows = rows.with_column(f"c{at}", (col("id") * (1_103_515_245 + at) + at) % 2_147_483_647)
    count, last = 0, -1
    for batch in rows.sort("c0").iter_batches(batch_size=None):
        keys = batch["c0"]
        assert keys[0] >= last and (np.diff(keys) >= 0).all()
        count, last = count + len(keys), keys[-1]
    assert count == 6_250_000


def test_a_text_that_does_not_fit_is_repartitioned(session):
    session(memory=16 * MIB)
    texts = raceline.range(60_000).map(lambda row: {"text": f"{row['id']} " * 100})
    found = [
        text
        for batch in texts.repartition(3).iter_batches(batch_size=None)
        for text in batch["text"]
    ]
    assert len(found) == 60_000
    assert all(text == f"{number} " * 100 for number, text in enumerate(found))


def test_repartition_takes_one_of_its_numbers(session):
    session()
    rows = raceline.range(10)
    for wrong in (
        rows.repartition,
        lambda: rows.repartition(2, 3),
        lambda: rows.repartition(target_num_rows_per_block=0),
        lambda: rows.repartition(2, strict=True),
    ):
        with pytest.raises(ValueError, match=r"^`"):
            wrong()
    exact = rows.repartition(target_num_rows_per_block=3, strict=True)
    assert [len(b["id"]) for b in exact.iter_batches(batch_size=None)] == [3, 3, 3, 1]
    cut = exact.repartition(target_num_rows_per_block=2)
    assert [len(b["id"]) for b in cut.iter_batches(batch_size=None)] == [2, 1, 2, 1, 2, 1, 1]


def test_materialized_rows_beyond_the_memory_are_read_again_and_not_computed_again(
    session, tmp_path
):
    session()
    calls = tmp_path / "calls"
    calls.write_text("")

    def traced(batch):
        with calls.open("a") as file:
            file.write(".")
        return scrambled(batch)

    kept = raceline.range(3_000_000).map_batches(traced, batch_size=100_000).materialize()
    assert calls.read_text() == "." * 30
    assert list(tmp_path.rglob("*.spill"))
    assert kept.size_bytes() == 3_000_000 * 32
    assert kept.num_blocks() >= 30
    assert kept.count() == 3_000_000
    for _ in range(2):
        assert kept.sum("id") == 3_000_000 * 2_999_999 // 2
    assert kept.limit(5).take_all() == raceline.range(5).map_batches(scrambled).take_all()
    assert type(kept.limit(5)) is raceline.data.Dataset
    assert calls.read_text() == "." * 30
    lazy = kept.filter(lambda row: row["id"] % 2 == 0)
    del kept
    assert lazy.count() == 1_500_000
    del lazy
    wait_for(lambda: not list(tmp_path.rglob("*.spill")))


def test_a_fork_does_not_delete_what_its_parent_keeps(session, tmp_path):
    session()
    kept = large(3_000_000).materialize()
    child = os.fork()
    if child == 0:
        del kept
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert kept.sum("id") == 3_000_000 * 2_999_999 // 2


def test_zip_pairs_inputs_of_unequal_speed(session):
    session()
    slow = raceline.range(400).map_batches(slowly, batch_size=20, concurrency=1)
    rows = raceline.range(400).zip(slow, raceline.range(400).map(lambda row: {"id": -row["id"]}))
    assert rows.take_all() == [{"id": n, "id_1": n * n, "id_2": -n} for n in range(400)]
    wide = large(1_000_000).zip(large(1_000_000).select_columns("half"))
    assert wide.count() == 1_000_000
    assert wide.filter(lambda row: row["half"] != row["half_1"]).count() == 0


def slowly(batch):
    time.sleep(0.02)
    return {"id": batch["id"] ** 2}


def test_zip_refuses_different_lengths_and_what_is_no_dataset(session):
    session()
    with pytest.raises(ValueError, match="`zip` takes datasets, got `3`"):
        raceline.range(3).zip(3)
    zipped = raceline.range(5).zip(raceline.range(4))
    with pytest.raises(PlanError) as caught:
        zipped.take_all()
    assert str(caught.value) == (
        "`zip` pairs rows, and dataset 2 has 4 of them while dataset 1 has more\n"
        "  stage: Zip\n  hint: zip datasets of the same number of rows, as `limit` makes them"
    )


@pytest.mark.parametrize("column", ["id", "half"])
def test_a_disk_that_returns_other_bytes_is_found_out(session, tmp_path, column):
    session()
    kept = large(3_000_000).materialize()
    [path, *_] = sorted(tmp_path.rglob("*.spill"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        kept.sum(column)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"spilled data in `{path}` is damaged at offset ")
    assert lines[0].endswith(": the disk returned other bytes than were written")
    assert lines[-1] == (
        "  hint: check the disk, and name a folder on another one by "
        "`raceline.init(spill_dirs=[…])`"
    )


def test_a_sort_finds_out_a_disk_that_returns_other_bytes(session, tmp_path):
    session()
    batches = iter(large().sort("number").iter_batches(batch_size=1000))
    next(batches)
    for path in tmp_path.rglob("*.spill"):
        content = bytearray(path.read_bytes())
        content[len(content) * 9 // 10] ^= 0x40
        path.write_bytes(content)
    with pytest.raises(SourceError, match="is damaged at offset") as caught:
        for _ in batches:
            pass
    assert "\n  stage: Sort(number)\n" in str(caught.value)


def test_a_folder_that_is_removed_while_it_is_in_use_is_told(session, tmp_path):
    session(spill_dirs=[tmp_path / "spill"])
    kept = large(3_000_000).materialize()
    shutil.rmtree(tmp_path / "spill")
    with pytest.raises(SourceError) as caught:
        kept.sum("id")
    text = str(caught.value)
    assert text.startswith(f"spilled data in `{tmp_path}/spill/"), text
    assert ".spill` is gone\n" in text
    assert text.endswith("  hint: leave the spill folders alone while a session runs; run again")
    _, text = sort_fails("no spill folder takes ")
    assert f"  folder `{tmp_path}/spill`: it was removed while it was in use\n" in text


@pytest.mark.parametrize(
    ("options", "reason"), [("size=3m", "its disk is full"), ("ro", "it is read-only")]
)
def test_disks_that_take_nothing_are_told(session, tmp_path, options, reason):
    folder = tmp_path / "mounted"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, stderr=-3, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        session(spill_dirs=[folder])
        _, text = sort_fails("no spill folder takes ")
        assert f"  folder `{folder}`: {reason}\n" in text
        session(spill_dirs=[folder, (tmp_path / "good", 10**10)])
        assert sum(len(b["id"]) for b in large().sort("number").iter_batches()) == 6_000_000
        raceline.shutdown()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


# Peaks of a process and its children, which are what it holds alone and its part of the rest.
PEAKS = """
    import sys, time
    import numpy as np
    import raceline
    sys.path.insert(0, sys.argv[2])
    from process_peak import Peak, tree
    from test_spilling import large

    MIB = 1 << 20

    raceline.init(num_cpus=2, memory=64 * MIB, spill_dirs=[sys.argv[1]], progress=False)
    assert sum(len(b["id"]) for b in large(100_000).repartition(3).iter_batches()) == 100_000
    before = tree()
    peak = Peak()
    peak.start()
"""

TIGHT = {
    "repartition": """
        rows = sum(len(b["id"]) for b in large(12_000_000).repartition(100).iter_batches())
    """,
    "materialize": """
        kept = large(12_000_000).materialize()
        rows = sum(len(b["id"]) for b in kept.iter_batches())
    """,
    "zip": """
        zipped = large(6_000_000).zip(large(6_000_000).repartition(50))
        rows = 2 * sum(len(b["id"]) for b in zipped.iter_batches())
    """,
    "a consumer that sleeps": """
        batches = iter(large(12_000_000).iter_batches(batch_size=100_000))
        rows = sum(len(next(batches)["id"]) for _ in range(5))
        time.sleep(2)
        rows += sum(len(batch["id"]) for batch in batches)
    """,
    "a consumer that goes": """
        for _ in range(3):
            batches = iter(large(12_000_000).repartition(100).iter_batches(batch_size=100_000))
            next(batches)
            del batches
        rows = 12_000_000
    """,
}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("job", TIGHT)
def test_384_mb_flow_through_64_mib(tmp_path, job):
    end = "\npeak.over = True\npeak.join()\nprint(rows, before // MIB, peak.bytes // MIB)\n"
    program = textwrap.dedent(PEAKS) + textwrap.dedent(TIGHT[job]) + end
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), TESTS],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    rows, before, peak = map(int, done.stdout.split())
    assert rows == 12_000_000
    assert peak <= before + 64 * 1.1, (before, peak)
    assert list(tmp_path.iterdir()) == []
