"""The benchmark suite's own rules: what it measures, compares and shows can be trusted."""

import dataclasses
import datetime
import decimal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BENCHES = Path(__file__).parents[2] / "benches"


@pytest.fixture(scope="module", autouse=True)
def suite_path():
    sys.path.insert(0, str(BENCHES))
    yield
    sys.path.remove(str(BENCHES))


def rows_sum(rows):
    from suite import checksum

    return checksum.of_rows(rows).checksum


def test_a_checksum_does_not_depend_on_order():
    rows = [(1, "a", 2.5), (2, "b", None), (3, "", -0.0)]
    assert rows_sum(rows) == rows_sum(rows[::-1])


@pytest.mark.parametrize(
    "other",
    [
        [(1, "a"), (2, "c")],
        [(1, "a")],
        [(1, "a"), (2, "b"), (2, "b")],
        [(1, "b"), (2, "a")],
        [(1, "a"), (2, None)],
        [(1, "a"), (None, "b")],
        [(0, "a"), (2, "b")],
        [("a", 1), ("b", 2)],
    ],
)
def test_a_checksum_sees_each_difference(other):
    assert rows_sum([(1, "a"), (2, "b")]) != rows_sum(other)


def test_a_checksum_is_of_values_not_of_types():
    day = datetime.date(2020, 5, 17)
    assert rows_sum([(2, day)]) == rows_sum([(2.0, datetime.datetime(2020, 5, 17))])
    assert rows_sum([(decimal.Decimal("2.50"),)]) == rows_sum([(2.5,)])
    assert rows_sum([(True,)]) == rows_sum([(1,)])


def test_sums_of_floats_in_another_order_agree():
    random = np.random.default_rng(1)
    cents = random.integers(1, 10_000_000, 2_000) / 100
    for many in range(2, 2_000, 17):
        forward = float(np.cumsum(cents[:many])[-1])
        backward = float(np.cumsum(cents[:many][::-1])[-1])
        assert rows_sum([(forward,)]) == rows_sum([(backward,)])
    assert rows_sum([(1.000001,)]) != rows_sum([(1.000002,)])


def test_texts_are_told_apart_across_slices_and_views(tmp_path):
    from suite import checksum

    texts = ["", "a", "aa", "ab", "ba", "é", None, "x" * 300, "a\0", "\0a"]
    assert len({rows_sum([(text,)]) for text in texts}) == len(texts)
    column = pa.array(["z", *texts, "z"]).slice(1, len(texts))
    for name, kind in (("one", pa.string()), ("two", pa.large_string()), ("three", pa.binary())):
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.table({"text": column.cast(kind)}), folder / "rows.parquet")
        found = checksum.of_files(folder)
        assert (found.rows, found.checksum) == (len(texts), rows_sum([(text,) for text in texts]))


def test_folders_hold_what_their_rows_share(tmp_path):
    from suite import checksum

    for name in ("a b", "c"):
        folder = tmp_path / f"k={name.replace(' ', '%20')}"
        folder.mkdir()
        pq.write_table(pa.table({"v": [len(name)]}), folder / "0.parquet")
    assert checksum.of_files(tmp_path).checksum == rows_sum([("a b", 3), ("c", 1)])


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ([[1, 2, 2], [2, 9]], None),
        ([[5, 6], [1, 2]], None),
        ([[1, 3, 2]], "not in order of key"),
        ([[1, 5], [4, 9]], "files overlap in key"),
    ],
)
def test_what_is_not_sorted_is_void(tmp_path, files, fault):
    from suite import checksum

    for number, keys in enumerate(files):
        pq.write_table(pa.table({"key": keys}), tmp_path / f"{number}.parquet")
    assert checksum.of_files(tmp_path, sorted_by="key").fault == fault


def test_what_is_not_shuffled_is_void(tmp_path):
    from suite import checksum

    numbers = np.arange(20_000)
    blocks = np.concatenate(
        [np.random.default_rng(3).permutation(b) for b in numbers.reshape(4, -1)]
    )
    for name, order, fine in (
        ("none", numbers, False),
        ("blocks", blocks, False),
        ("all", np.random.default_rng(4).permutation(numbers), True),
    ):
        folder = tmp_path / name
        folder.mkdir()
        pq.write_table(pa.table({"row": order}), folder / "0.parquet")
        fault = checksum.of_files(folder, shuffled="row").fault
        assert (fault is None) == fine, fault


def measured(code, **options):
    """Runs a program; in a process of its own, as the runner adopts all orphans."""
    from suite import measure

    given = {"limit_bytes": None, "most_seconds": 60.0} | options
    return measure.run([sys.executable, "-c", code], {"PATH": "/usr/bin:/bin"}, **given)


@pytest.fixture
def lone_process():
    """Runs a function of this module in a fresh process: the runner reaps all of its children."""
    import multiprocessing

    def run(function, *arguments):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return pool.apply(function, arguments)

    return run


def busy_grandchild(file):
    sys.path.insert(0, str(BENCHES))
    write = "open(sys.argv[1], 'wb').write(bytes(8 << 20))"
    spin = f"import sys, time\n{write}\nwhile time.process_time() < 0.5: pass"
    code = (
        "import os, subprocess, sys\n"
        "if os.fork() == 0:\n"
        f"    subprocess.run([sys.executable, '-c', {spin!r}, {str(file)!r}])\n"
        "    os._exit(0)\n"
        "print('done')\n"
    )
    return dataclasses.asdict(measured(code))


def test_what_orphans_take_and_write_counts(lone_process, tmp_path):
    found = lone_process(busy_grandchild, tmp_path / "file")
    assert found["out"] == "done\n"
    assert 0.5 <= found["cpu_seconds"] < 20
    # Where temporary files are in memory, none are written to disk.
    assert found["written_bytes"] == 0 or found["written_bytes"] >= 8 << 20


def endless():
    sys.path.insert(0, str(BENCHES))
    code = "import os, time\nos.fork()\nos.setsid() if os.fork() == 0 else None\ntime.sleep(1000)"
    started = time.monotonic()
    found = measured(code, most_seconds=1.0)
    return found.timed_out, found.returncode, time.monotonic() - started


def test_what_takes_too_long_is_ended_with_its_descendants(lone_process):
    timed_out, code, seconds = lone_process(endless)
    assert (timed_out, code) == (True, -9)
    assert seconds < 30


def hungry():
    sys.path.insert(0, str(BENCHES))
    from suite.cgroup import usable

    if (reason := usable()) is not None:
        return reason
    found = measured("held = bytearray(b'x') * (200 << 20)", limit_bytes=64 << 20)
    fine = measured("held = bytearray(b'x') * (40 << 20)", limit_bytes=128 << 20)
    return [found.out_of_memory, found.returncode, fine.out_of_memory, fine.returncode]


def test_a_memory_limit_holds(lone_process):
    found = lone_process(hungry)
    if isinstance(found, str):
        pytest.skip(f"no memory limit can be set: {found}")
    assert found == [True, -9, False, 0]


def a_run(number, seconds, checksum="c", **others):
    return {
        "round": number,
        "outcome": "ok",
        "run_seconds": seconds,
        "total_seconds": seconds + 1,
        "cpu_seconds": seconds,
        "peak_bytes": 1 << 20,
        "spilled_bytes": 3 << 20,
        "rows": 1,
        "checksum": checksum,
        "parts": {},
    } | others


def a_cell(runs, share=1.0, outcome="ok"):
    return {
        "command": "x",
        "share": share,
        "outcome": outcome,
        "note": None,
        "failures": {},
        "runs": runs,
    }


def test_ratios_are_of_the_same_round_without_the_warm_up():
    from suite import compare

    ours = a_cell([a_run(0, 100.0), a_run(1, 1.0), a_run(2, 4.0), a_run(3, 2.0)])
    peer = a_cell([a_run(0, 1.0), a_run(1, 2.0), a_run(2, 4.0), a_run(3, 1.0)])
    part = a_cell([a_run(0, 1.0), a_run(1, 0.2)], share=0.1)
    found = compare._ratios({"raceline": ours, "duckdb": peer, "ray": part})
    assert found["duckdb"]["run_seconds"] == [1.0, 0.5, 2.0]
    # Start-up is not a part of the work that grows with it.
    assert found["ray"] == {"run_seconds": [0.5, 0.5, 0.5]}
    assert compare.figure(part, "run_seconds") == pytest.approx(2.0)
    assert compare.figure(part, "total_seconds") == pytest.approx(3.0)
    assert compare.figure(part, "cpu_seconds") is None


def test_a_cell_that_answers_something_else_is_void():
    from suite import compare
    from suite.cells import Workload

    workload = Workload(0, "w", "?", ("v",), lambda *_: BENCHES)
    kinds = {}
    for name in ("raceline", "duckdb", "polars"):
        workload.cell(name)(lambda task: None)
        kinds[name] = workload.cells[-1]
    cells = {
        "raceline": a_cell([a_run(0, 1.0), a_run(1, 1.0, checksum="other")]),
        "duckdb": a_cell([a_run(0, 1.0)]),
        "polars": a_cell([a_run(0, 1.0)], outcome="out of memory"),
    }
    run = compare._Run(workload, "v", 1.0, None, smoke=True)
    compare._void_those_that_differ(workload, cells, kinds, run)
    assert cells["raceline"]["outcome"] == "void: 1 rows, checksum other; duckdb has 1 rows, c"
    assert cells["duckdb"]["outcome"] == "ok"
    assert cells["polars"]["outcome"] == "out of memory"


def test_a_part_that_answers_something_else_has_no_time():
    from suite import compare
    from suite.cells import Workload

    workload = Workload(0, "w", "?", ("v",), lambda *_: BENCHES)
    kinds = {}
    for name in ("raceline", "duckdb", "polars"):
        workload.cell(name)(lambda task: None)
        kinds[name] = workload.cells[-1]

    def run_of(seconds, **answers):
        parts = dict.fromkeys(answers, seconds)
        return [a_run(number, seconds, "", parts=dict(parts), answers=answers) for number in (0, 1)]

    cells = {
        "raceline": a_cell(run_of(1.0, a="1 rows, x", b="1 rows, z", c="1 rows, q")),
        "duckdb": a_cell(run_of(2.0, a="1 rows, x", b="1 rows, y")),
        "polars": a_cell(run_of(4.0, a="1 rows, x", c="1 rows, p")),
    }
    run = compare._Run(workload, "v", 1.0, None, smoke=True)
    compare._void_those_that_differ(workload, cells, kinds, run)
    assert cells["raceline"]["failures"] == {
        "b": "void: 1 rows, z; duckdb has 1 rows, y",
        "c": "void: 1 rows, q; polars has 1 rows, p",
    }
    assert cells["duckdb"]["failures"] == {}
    found = compare._ratios(cells)
    assert found == {"duckdb": {"a": [0.5, 0.5, 0.5]}, "polars": {"a": [0.25, 0.25, 0.25]}}


def test_the_page_tells_goals_met_missed_and_not_measured_and_losses():
    from suite.cells import Goal, Workload
    from suite.figures import bars
    from suite.page import page

    goals = (
        Goal("as fast", "v", 1.0, against=("duckdb",)),
        Goal("not far", "v", 3.0, against=("duckdb",)),
        Goal("of a peer", "v", 1.0, against=("ray",)),
        Goal("size", "v", 2 << 20, figure="peak_bytes"),
        Goal("of one that fails", "v", 1.0, of="ray", against=("duckdb",)),
        Goal("all parts", "v", 1.0, against=("duckdb",), figure="geometric mean"),
        Goal("each part", "v", 3.0, against=("duckdb",), figure="worst part"),
    )
    workload = Workload(0, "w", "A question.", ("v",), lambda *_: BENCHES, goals)
    ours = a_cell([a_run(0, 9.0), a_run(1, 4.0, parts={"a": 1.0, "b": 4.0})])
    peer = a_cell([a_run(0, 9.0), a_run(1, 2.0, parts={"a": 1.0, "b": 1.0})])
    ray = a_cell([{"round": 0, "outcome": "out of memory"}], outcome="out of memory")
    variants = {
        "v": {
            "profile": "dev",
            "scale": 0.5,
            "limit_bytes": None,
            "cells": {"raceline": ours, "duckdb": peer, "ray": ray},
            "ratios": {
                "duckdb": {
                    "run_seconds": [2.0, 1.5, 2.5],
                    "b": [4.0, 3.0, 5.0],
                    "cpu_seconds": [1.5, 1.5, 1.5],
                }
            },
            "left_out": {"daft": "daft is not installed"},
        }
    }
    machine = {
        "cpu": "c",
        "cpus": 2,
        "memory_bytes": 1 << 30,
        "system": "s",
        "python": "3",
        "packages": {"duckdb": "2", "daft": None},
    }
    profiles = {"w": {"as fast": "Half is spent in loops.", "not far": "It is met."}}
    text = page([(workload, variants, {"date": "d", "machine": machine})], profiles)
    assert "**Development build.** The figures of w are" in text
    for line in (
        "| w, v | as fast | 1 | 2 (duckdb) | **missed** |",
        "| w, v | not far | 3 | 2 (duckdb) | met |",
        "| w, v | of a peer | 1 |  (out of memory) | **not measured** |",
        "| w, v | size | 2 MiB | 1 MiB | met |",
        "| w, v | of one that fails | 1 |  (out of memory) | **missed** |",
        "| w, v | all parts | 1 | 2 (duckdb) | **missed** |",
        "| w, v | each part | 3 | 4 (b) | **missed** |",
        "| w, v, b | duckdb | 4 (3 to 5) |",
        "| duckdb | 2 | 3 | 2 | 1 | 3 | 1 | 2 (1.5 to 2.5) | 1.5 (1.5 to 1.5) |",
        "| ray | **out of memory** | | | | | 1 | | |",
        "| daft | left out: daft is not installed | | | | | | | |",
        "At 0.5 of the full size.",
        "## Why goals are missed\n\n- *w, v: as fast.* Half is spent in loops.\n\n## Where",
    ):
        assert line in text, text
    variants["v"]["profile"] = "release"
    assert "Development build" not in page(
        [(workload, variants, {"date": "d", "machine": machine})], {}
    )
    figure = bars(variants)
    assert "out of memory" in figure
    assert figure == bars(variants)


def test_a_variant_without_its_limit_is_skipped_by_name(monkeypatch):
    from suite import compare
    from suite.cells import Limit, Workload
    from suite.page import _variant

    monkeypatch.setattr(compare, "usable", lambda: "no memory controller")
    limits = {"v": Limit(1 << 30, 1 << 29, 0.1)}
    workload = Workload(0, "w", "?", ("v",), lambda *_: BENCHES, limits=limits)
    workload.cell("raceline")(lambda task: None)
    found = compare.compare(workload, "v", compare.Options())
    text = "no memory limit can be set: no memory controller"
    assert (found["cells"], found["skipped"]) == ({}, text)
    assert _variant("v", found) == f"### v\n\nSkipped: {text}\n\n"


def test_every_engine_can_be_trusted_or_not():
    from suite import cells, compare

    assert set(compare.ORACLES) == set(cells.PACKAGES)


def test_every_workload_has_cells_of_ours_and_goals_that_name_cells():
    from workloads import NAMES, find

    looked_at = 0
    for name in NAMES:
        workload = find(name)
        assert workload.name == name
        assert set(workload.limits) <= set(workload.variants)
        for variant in workload.variants:
            names = [cell.name for cell in workload.cells_of(variant)]
            assert "raceline" in names
            assert len(names) == len(set(names)), f"{name}, {variant}"
        for goal in workload.goals:
            there = {cell.name for cell in workload.cells_of(goal.other_variant or goal.variant)}
            assert set(goal.against) <= there, f"{name}: {goal.text}"
            assert goal.of in {cell.name for cell in workload.cells_of(goal.variant)}
            looked_at += 1
    assert looked_at > 10


def test_data_is_made_once_and_never_left_half(tmp_path, monkeypatch):
    from suite import datasets

    monkeypatch.setattr(datasets, "FOLDER", tmp_path / "data")
    made = []

    def fill(folder):
        made.append(folder)
        (folder / "0.txt").write_text("rows")

    def fail(folder):
        fill(folder)
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        datasets.made("some", 0.5, fail)
    assert list((tmp_path / "data").iterdir()) == []
    folder = datasets.made("some", 0.5, fill)
    assert datasets.made("some", 0.5, fail) == folder
    assert (folder / "0.txt").read_text() == "rows"
    assert len(made) == 2

    def overtaken(own):
        fill(own)
        datasets.made("other", 1.0, fill)

    assert [path.name for path in datasets.made("other", 1.0, overtaken).iterdir()] == ["0.txt"]
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["other-1", "some-0.5"]
