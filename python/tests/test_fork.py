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


FORKED_HINT = "  hint: begin it in the process that takes what it gives"


@pytest.mark.parametrize("prefetch", [0, 1])
@pytest.mark.parametrize("kind", ["split", "remote"])
def test_an_iteration_that_has_begun_is_refused_and_left_to_its_process(kind, prefetch):
    """Also where its rows come by a socket, and whatever the child does with it."""
    program = f"""
        import gc, pickle
        [share] = raceline.range(100_000).streaming_split(1)
        if {kind == "remote"}:
            share = pickle.loads(pickle.dumps(share))
        rows = iter(share.iter_batches(batch_size=10, prefetch_batches={prefetch}))
        next(rows)
        def work():
            global rows
            try:
                next(rows)
            except raceline.errors.PlanError as error:
                text = str(error).replace(str(os.getpid()), "CHILD")
                print(text.replace(str(os.getppid()), "PARENT"))
            del rows
            gc.collect()
        def drop():
            global rows
            del rows
            gc.collect()
        print(forked(work), forked(drop))
        print(1 + sum(1 for _ in rows))
    """
    assert output_of(program) == [
        "this iteration belongs to process PARENT, of which process CHILD is a fork",
        FORKED_HINT,
        "0 0",
        "10000",
    ]


def test_what_a_busy_process_has_can_be_looked_at_and_dropped_in_forks():
    """Locks of the engine may be held by threads that are not in the fork."""
    program = """
        import gc, signal, threading
        add = lambda batch: {"x": batch["id"] + 1}
        kept = raceline.range(100_000).map_batches(add).materialize()
        ran = raceline.range(100_000).select_columns(["id"])
        is_over = threading.Event()
        def run():
            while not is_over.is_set():
                for one in (kept, ran):
                    for batch in one.iter_batches(batch_size=1000):
                        held[0] = batch
        held = [None]
        made_in = kept.stats()
        assert made_in != ""
        thread = threading.Thread(target=run)
        thread.start()
        def work():
            signal.alarm(20)
            assert ran.stats() == ""
            assert kept.stats() == made_in
            assert kept.num_blocks() > 0
            assert "Materialized" in repr(kept)
            for use in (kept.count, kept.schema, lambda: kept.take(1)):
                try:
                    use()
                except raceline.errors.PlanError:
                    continue
                raise AssertionError(use)
            held.clear()
            gc.collect()
        print({forked(work) for _ in range(60)})
        is_over.set()
        thread.join()
        print(ran.stats() != "")
    """
    assert output_of(program) == ["{0}", "True"]


def test_a_fork_of_a_process_that_serves_a_split_is_a_consumer():
    """Whatever the threads that serve do at that moment, nothing of the child's is closed."""
    program = """
        import signal
        def consume(share, results):
            signal.alarm(30)
            results.put(sum(len(batch["id"]) for batch in share.iter_batches(batch_size=50)))
        def leave(share, results):
            signal.alarm(30)
            next(iter(share.iter_batches(batch_size=50)))
            results.put(50)
        def taken():
            return sum(len(batch["id"]) for batch in shares[1].iter_batches(batch_size=50))
        context = multiprocessing.get_context("fork")
        totals, codes = set(), set()
        signal.alarm(50)
        for _ in range(25):
            results = context.Queue()
            shares = raceline.range(1000).streaming_split(2)
            rows = 0
            for target in (leave, consume):
                child = context.Process(target=target, args=(shares[0], results))
                child.start()
                rows += taken() + results.get(timeout=30)
                child.join()
                codes.add(child.exitcode)
            totals.add(rows)
        print(totals, codes)
    """
    # In the first epoch one consumer leaves at once, and what would be its share is dropped.
    assert output_of(program) == ["{1550} {0}"]
