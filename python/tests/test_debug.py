"""Functions that run in the thread that takes the rows, as debuggers and profilers want them."""

import cProfile
import itertools
import os
import pstats
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import raceline
from raceline import errors


def program(text, *, stdin="", env=None, timeout=60):
    """How a program ends that is run by itself."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        check=False,
    )


def place(_row=None):
    return os.getpid(), threading.get_ident()


def inverse(row):
    return {"inverse": 1 / (row["id"] - 7)}


CONSUMERS = {
    "take": lambda dataset, folder: dataset.take(3),
    "take_all": lambda dataset, folder: dataset.take_all(),
    "count": lambda dataset, folder: dataset.count(),
    "schema": lambda dataset, folder: dataset.schema(),
    "materialize": lambda dataset, folder: dataset.materialize(),
    "write": lambda dataset, folder: dataset.write_parquet(str(folder / "out")),
    "iter_batches": lambda dataset, folder: list(dataset.iter_batches(batch_size=7)),
    "to_pandas": lambda dataset, folder: dataset.to_pandas(),
    "sum": lambda dataset, folder: dataset.sum("id"),
    "sort": lambda dataset, folder: dataset.sort("id", descending=True).take(1),
}


@pytest.mark.parametrize("consume", CONSUMERS.values(), ids=CONSUMERS)
def test_a_function_runs_in_the_thread_that_consumes(tmp_path, consume):
    places = []

    def noted(row):
        places.append(place())
        return row

    consume(raceline.range(20).map(noted, debug=True), tmp_path)
    assert set(places) == {place()}


def test_it_is_the_function_itself_and_not_a_copy():
    lock = threading.Lock()  # cannot be pickled
    seen = []

    def noted(row):
        with lock:
            seen.append(row["id"])
        return row

    assert raceline.range(5).map(noted, debug=True).count() == 5
    assert seen == [0, 1, 2, 3, 4]


def test_what_would_be_compiled_runs_as_python_too():
    def is_large(row):
        return row["id"] > 4

    calls = []
    sys.settrace(lambda frame, *_: calls.append(frame.f_code))
    try:
        assert raceline.range(10).filter(is_large, debug=True).count() == 5
    finally:
        sys.settrace(None)
    assert calls.count(is_large.__code__) == 10


def test_the_results_are_those_of_workers():
    def pieces(batch):
        for first in range(0, len(batch["id"]), 3):
            yield {"id": batch["id"][first : first + 3] * 2}

    def chained(debug):
        dataset = raceline.range(1000).map(lambda x: x + 1, debug=debug)
        dataset = dataset.flat_map(lambda row: [row] * (row % 3), debug=debug)
        dataset = dataset.filter(lambda row: row % 2 == 0, debug=debug)
        dataset = dataset.map(lambda row: {"id": row, "of": object}, debug=debug)
        dataset = dataset.map(lambda row: {"id": row["id"], "name": row["of"].__name__})
        return dataset.map_batches(pieces, batch_size=10, debug=debug).take_all()

    assert chained(debug=True) == chained(debug=False)


def test_rows_stay_objects_between_functions():
    dataset = raceline.range(3).map(lambda row: {"lock": threading.Lock(), **row}, debug=True)
    assert dataset.map(lambda row: {"id": row["id"]}, debug=True).count() == 3


def test_what_a_function_changes_later_is_not_what_it_returned():
    kept = np.zeros(2, dtype=np.int64)
    text = np.array(["", ""], dtype=object)

    def reused(batch):
        kept[:] = batch["id"]
        text[:] = [str(number) for number in batch["id"]]
        return {"id": kept, "text": text, "matrix": kept.reshape(2, 1).repeat(2, axis=1)}

    rows = raceline.range(6).map_batches(reused, batch_size=2, debug=True).take_all()
    assert [(row["id"], row["text"], row["matrix"].tolist()) for row in rows] == [
        (number, str(number), [number] * 2) for number in range(6)
    ]


def test_a_class_is_constructed_once_in_the_calling_thread():
    made = []

    class Counter:
        def __init__(self, first):
            made.append(place())
            self.next = first

        def __call__(self, batch):
            self.next += 1
            return {"call": [self.next] * len(batch["id"])}

    # There are no such GPUs: nothing is taken where there is no worker.
    options = {"concurrency": (2, 4), "num_gpus": 64, "resources": {"none": 1}}
    dataset = raceline.range(6).map_batches(
        Counter, fn_constructor_args=[10], batch_size=2, debug=True, **options
    )
    assert [row["call"] for row in dataset.take_all()] == [11, 11, 12, 12, 13, 13]
    assert made == [place()]


def test_an_error_is_as_from_a_worker_and_holds_the_exception_itself():
    raised = []

    class OwnError(ValueError):
        pass

    def fails(row):
        if row["id"] == 7:
            raised.append(OwnError("seven"))
            raise raised[0]
        return row

    with pytest.raises(OwnError) as caught:
        raceline.range(20).map(fails, debug=True).take_all()
    error = caught.value
    assert isinstance(error, errors.UdfError)
    assert error.__cause__ is raised[0]
    assert error.rows == (7, 7)
    assert error.stage == "Map(fails)"
    frames = error.__cause__.__traceback__
    assert [frames.tb_frame.f_code.co_name, frames.tb_next] == ["fails", None]

    class Unmade:
        def __init__(self):
            raise KeyError("no weights")

        def __call__(self, batch):
            return batch

    with pytest.raises(KeyError) as caught:
        raceline.range(20).map_batches(Unmade, debug=True).take_all()
    assert "the error came from the constructor" in str(caught.value)


@pytest.mark.parametrize("on_error", ["skip", "dead_letter"])
def test_rows_that_fail_are_left_out(on_error):
    dataset = raceline.range(20).map(inverse, debug=True, on_error=on_error)
    assert dataset.count() == 19
    assert "left out as the function failed for them: 1" in dataset.stats()
    if on_error == "dead_letter":
        [letter] = dataset.dead_letters().take_all()
        assert letter["input"] == {"id": 7}
        assert "in inverse" in letter["traceback"]

    limited = raceline.range(20).map(inverse, debug=True, on_error=on_error, max_errored_rows=0)
    with pytest.raises(ZeroDivisionError):
        limited.count()


def test_nothing_runs_while_nobody_waits():
    calls = []

    def noted(batch):
        calls.append(len(batch["id"]))
        return batch

    batches = iter(
        raceline.range(1000).map_batches(noted, batch_size=1, debug=True).iter_batches(batch_size=1)
    )
    next(batches)
    before = len(calls)
    time.sleep(0.3)
    assert len(calls) == before
    for _ in range(10):
        next(batches)
    assert before + 10 <= len(calls) < 900
    batches.close()
    after = len(calls)
    time.sleep(0.1)
    assert len(calls) == after


def test_a_generator_goes_no_further_than_its_rows_are_wanted():
    closed = []

    def endless(batch):
        try:
            for number in itertools.count():
                yield {"number": np.full(1 << 17, number)}
        finally:
            closed.append(place())

    dataset = raceline.range(1).map_batches(endless, debug=True)
    firsts = itertools.islice(dataset.iter_batches(batch_size=1 << 17), 40)
    assert [batch["number"][0] for batch in firsts] == list(range(40))
    assert dataset.take(1) == [{"number": 0}]
    assert closed == [place()] * 2


def test_many_stages_in_one_plan():
    dataset = raceline.range(200)
    for size in (7, 50, None, 3):
        dataset = dataset.map_batches(lambda batch: batch, batch_size=size, debug=True)
        dataset = dataset.map_batches(lambda batch: dict(batch), batch_size=size)
    other = raceline.range(5).map(lambda row: row, debug=True)
    union = dataset.union(other).repartition(3).map(lambda row: row, debug=True)
    assert [row["id"] for row in union.take_all()] == [*range(200), *range(5)]


def test_a_function_may_run_a_dataset_itself():
    def nested(row):
        inner = raceline.range(row["id"]).map(lambda row: row, debug=True)
        return {"rows": inner.count() if row["id"] else len(inner.take_all())}

    dataset = raceline.range(4).map(nested, debug=True)
    assert [row["rows"] for row in dataset.take_all()] == [0, 1, 2, 3]


def test_two_threads_run_the_same_dataset():
    def where(row):
        time.sleep(0.001)
        return {"thread": threading.get_ident()}

    dataset = raceline.range(50).map(where, debug=True)
    found = {}

    def consume():
        found[threading.get_ident()] = {row["thread"] for row in dataset.take_all()}

    threads = [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 2
    assert all(places == {thread} for thread, places in found.items())


def test_a_session_of_one_cpu_and_little_memory_is_enough():
    ended = program("""
        import raceline
        import numpy as np
        raceline.init(num_cpus=1, memory=64 << 20, progress=False)
        def large(batch):
            for _ in range(40):
                yield {"data": np.zeros((1 << 17, 8))}
        wide = raceline.range(2).map_batches(large, batch_size=1, debug=True)
        print(wide.map_batches(lambda batch: {"n": [len(batch["data"])]}, debug=True).sum("n"))
    """)
    assert ended.stdout == f"{2 * 40 << 17}\n", ended.stderr


def test_the_environment_turns_it_on_for_all_functions():
    text = """
        import os, raceline
        raceline.init(progress=False)
        dataset = raceline.range(3).map(lambda row: {"pid": os.getpid()})
        print({row["pid"] for row in dataset.take_all()} == {os.getpid()})
        groups = raceline.range(3).groupby(lambda row: os.getpid()).count().take_all()
        print([group["key"] for group in groups] == [os.getpid()])
    """
    assert program(text, env={"RACELINE_DEBUG": "1"}).stdout.split() == ["True", "True"]
    assert program(text, env={"RACELINE_DEBUG": "0"}).stdout.split() == ["False", "False"]


PDB_PROGRAM = """
    import raceline
    def halved(row):
        half = row["id"] / 2
        breakpoint()
        return {"half": half}
    total = "the program's own"
    print(raceline.range(2).map(halved, debug=True).take_all())
"""


def test_pdb_stops_in_a_function():
    typed = "p row\np half\nup\nc\np row\nc\n"
    ended = program(PDB_PROGRAM, stdin=typed)
    assert ended.returncode == 0, ended.stderr
    answers = [line.removeprefix("(Pdb) ") for line in ended.stdout.splitlines()]
    assert "{'id': 0}" in answers
    assert "0.0" in answers
    assert "{'id': 1}" in answers
    assert answers[-1] == "[{'half': 0.0}, {'half': 0.5}]"
    assert ended.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of its own")
def test_pdb_in_a_terminal():
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PDB_PROGRAM)],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    shown = b""

    def until(text):
        nonlocal shown
        limit = time.monotonic() + 30
        while text not in shown:
            assert time.monotonic() < limit, shown
            shown += os.read(leader, 1 << 12)
        shown = shown[shown.index(text) + len(text) :]

    try:
        until(b"(Pdb) ")
        os.write(leader, b"p row, half\n")
        until(b"({'id': 0}, 0.0)")
        until(b"(Pdb) ")
        os.write(leader, b"c\n")
        until(b"(Pdb) ")
        os.write(leader, b"p row\n")
        until(b"{'id': 1}")
        os.write(leader, b"c\n")
        until(b"[{'half': 0.0}, {'half': 0.5}]")
        assert process.wait(20) == 0
    finally:
        process.kill()
        os.close(leader)


def test_leaving_the_debugger_ends_the_run_also_where_rows_are_skipped():
    text = PDB_PROGRAM.replace("debug=True", "debug=True, on_error='skip'")
    ended = program(text, stdin="q\n")
    assert "bdb.BdbQuit" in ended.stderr
    assert "UdfError" not in ended.stderr
    assert "{'half'" not in ended.stdout


def test_a_profiler_sees_the_function():
    def visible(row):
        return {"id": sum(range(row["id"]))}

    profiler = cProfile.Profile()
    profiler.enable()
    raceline.range(30).map(visible, debug=True).take_all()
    profiler.disable()
    calls = {name: counts[0] for (_, _, name), counts in pstats.Stats(profiler).stats.items()}
    assert calls["visible"] == 30


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_ctrl_c_interrupts_the_function(on_error):
    calls = []

    def slow(row):
        calls.append(row)
        signal.raise_signal(signal.SIGINT)
        time.sleep(10)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        raceline.range(3).map(slow, debug=True, on_error=on_error).take_all()
    assert len(calls) == 1
    assert time.monotonic() - start < 5
    assert raceline.range(3).map(lambda row: row, debug=True).count() == 3


def test_ends_of_the_program_end_it():
    text = """
        import os, sys, raceline
        raceline.init(progress=False)
        def ends(row):
            {how}
        raceline.range(3).map(ends, debug=True, on_error="skip").take_all()
        print("went on")
    """
    for how, code in (("os._exit(7)", 7), ("sys.exit(5)", 5)):
        ended = program(text.format(how=how))
        assert (ended.returncode, ended.stdout) == (code, ""), ended.stderr


def test_prints_are_the_programs_own():
    ended = program("""
        import raceline
        raceline.range(2).map(lambda row: print("row", row["id"]) or row, debug=True).take_all()
    """)
    assert (ended.stdout, ended.stderr) == ("row 0\nrow 1\n", "")


def test_the_session_may_be_shut_down_by_the_function():
    ended = program("""
        import raceline
        def ends(row):
            raceline.shutdown()
            return row
        try:
            raceline.range(3).map(ends, debug=True).take_all()
        except raceline.errors.CancelledError as error:
            print(type(error).__name__)
        print(raceline.range(3).map(lambda row: row, debug=True).count())
    """)
    assert ended.stdout.split() == ["CancelledError", "3"], ended.stderr


def test_explain_says_so(capsys):
    raceline.range(3).map(lambda row: row, debug=True).explain()
    assert "Map(<lambda>): caller: it is debugged" in capsys.readouterr().out


def test_an_expression_has_nothing_to_debug():
    with pytest.raises(errors.PlanError, match="the other arguments need `fn`"):
        raceline.range(3).filter(expr="id > 1", debug=True)


def test_an_async_def_is_left_to_workers():
    async def noted(row):
        return {"pid": os.getpid()}

    with pytest.raises(
        errors.PlanError, match="`noted` is an `async def`, which cannot be debugged"
    ):
        raceline.range(3).map(noted, debug=True)
    ended = program(
        """
        import os, raceline
        raceline.init(progress=False)
        async def where(row):
            return {"pid": os.getpid()}
        print({row["pid"] for row in raceline.range(3).map(where).take_all()} == {os.getpid()})
        """,
        env={"RACELINE_DEBUG": "1"},
    )
    assert ended.stdout == "False\n", ended.stderr


def test_calls_are_made_again_and_keep_to_no_rate():
    calls = []

    def fails_once(row):
        calls.append(row["id"])
        if len(calls) == 1:
            raise ValueError("once")
        return row

    dataset = raceline.range(3).map(
        fails_once,
        debug=True,
        retry=raceline.data.Retry(times=2, backoff_s=0.01),
        rate_limit=raceline.data.RateLimit(requests_per_s=1000),
    )
    assert dataset.count() == 3
    assert calls == [0, 0, 1, 2]
