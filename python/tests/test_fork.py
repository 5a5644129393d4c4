"""A process that is forked from one with a session: it ends nothing, and has its own."""

import os
import subprocess
import sys
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

HEAD = """
    import multiprocessing, os, sys, warnings
    import raceline
    warnings.simplefilter("ignore")
    raceline.init(num_cpus=1, progress=False)
    dataset = raceline.range(1).map_batches(lambda batch: {"pid": [os.getppid()]})
    [first] = dataset.take_all()

    def forked(work):
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            work()
            sys.exit(0)
        _, status = os.waitpid(pid, 0)
        return status

"""


def output_of(program):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HEAD) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.splitlines()


def test_a_child_that_exits_leaves_the_session_as_it_is():
    program = """
        rows = iter(raceline.range(100_000_000).map(lambda row: row).iter_rows())
        next(rows)
        print(forked(lambda: None))
        print(next(rows), dataset.take_all() == [first])
    """
    assert output_of(program) == ["0", "{'id': 1} True"]


def test_a_child_has_a_session_of_its_own():
    program = """
        def work():
            print(raceline.cluster_resources()["CPU"])
            made = raceline.range(1).map_batches(lambda batch: {"pid": [os.getppid()]})
            print(made.take_all() != [first], raceline.range(5).count())
        print(forked(work))
        print(dataset.take_all() == [first])
    """
    assert output_of(program) == ["1.0", "True 5", "0", "True"]


@pytest.mark.parametrize(
    "use", ["dataset.take(1)", "dataset.count()", "dataset.schema()", "next(rows)"]
)
def test_a_dataset_of_the_parent_is_refused_with_a_hint(use):
    program = f"""
        rows = iter(raceline.range(100_000_000).iter_batches(batch_size=None))
        next(rows)
        def work():
            try:
                {use}
            except raceline.errors.PlanError as error:
                text = str(error).replace(str(os.getpid()), "CHILD")
                print(text.replace(str(os.getppid()), "PARENT"))
        print(forked(work))
    """
    assert output_of(program) == [
        "this dataset belongs to process PARENT, of which process CHILD is a fork",
        "  hint: make the dataset in the process that reads it, read it in the process that made "
        'it, or start processes by the "spawn" method',
        "0",
    ]


def test_a_pool_of_forked_processes():
    program = """
        def count(n):
            return raceline.range(n).map(lambda row: {"x": row["id"] * 2}).sum("x")
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(pool.map(count, [2, 3, 4]))
    """
    assert output_of(program) == ["[2, 6, 12]"]
