"""Aggregates and joins of several times the memory: exact, and within what was promised."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MIB = 1 << 20
TESTS = os.path.dirname(__file__)

PROGRAM = """
    import json, sys, time
    import raceline
    sys.path.insert(0, sys.argv[4])
    from process_peak import Peak, tree
    from raceline.data.aggregate import Count, Max, Sum
    from raceline.data.expressions import col

    MIB = 1 << 20
    memory, rows = int(sys.argv[2]), int(sys.argv[3])

    def group(rows):
        # Each group has two rows, far apart.
        numbers = raceline.range(rows).with_column("key", (col("id") * 7919) % (rows // 2))
        groups = numbers.groupby("key").aggregate(Count(), Sum("id"), Max("id"))
        found = groups.aggregate(Count(), Sum("count()"), Sum("sum(id)"), Max("count()"))
        return list(found.values())

    def distinct(rows):
        numbers = raceline.range(rows).with_column("key", (col("id") * 7919) % (rows // 2))
        return [numbers.select_columns("key").groupby("key").count().count()]

    def join(rows):
        # One row in five of the left side has one key.
        left = raceline.range(rows).with_column("left", col("id") * 2)
        hot = raceline.range(rows // 4).with_column("left", col("id") * 0)
        hot = hot.with_column("id", col("id") * 0)
        right = raceline.range(rows).with_column("right", col("id") * 3)
        right = right.with_column("also", col("id") + 1)
        joined = left.union(hot).join(right, "inner")
        return list(joined.aggregate(Count(), Sum("left"), Sum("right"), Sum("also")).values())

    raceline.init(num_cpus=2, memory=memory, progress=False)
    run = {"group": group, "distinct": distinct, "join": join}[sys.argv[1]]
    run(10_000)
    before = tree()
    peak = Peak()
    peak.start()
    start = time.monotonic()
    result = run(rows)
    elapsed = time.monotonic() - start
    peak.over = True
    peak.join()
    print(json.dumps([result, before, peak.bytes, elapsed]))
"""


def run(what, memory, rows, folder):
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    command = [sys.executable, str(program), what, str(memory), str(rows), TESTS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    result, before, peak, _ = json.loads(done.stdout)
    return result, before, peak


def expected(what, rows):
    groups = rows // 2
    hot = rows // 4
    return {
        "group": [groups, rows, rows * (rows - 1) // 2, 2],
        "distinct": [groups],
        "join": [
            rows + hot,
            rows * (rows - 1),
            3 * rows * (rows - 1) // 2,
            rows * (rows + 1) // 2 + hot,
        ],
    }[what]


@pytest.mark.parametrize(
    ("what", "memory", "rows"),
    [
        ("group", 64 * MIB, 8_000_000),
        ("distinct", 48 * MIB, 20_000_000),
        ("join", 48 * MIB, 8_000_000),
    ],
)
def test_more_than_the_memory(what, memory, rows, tmp_path):
    result, before, peak = run(what, memory, rows, tmp_path)
    assert result == expected(what, rows)
    assert peak <= before + memory * 1.1, (before // MIB, peak // MIB)
