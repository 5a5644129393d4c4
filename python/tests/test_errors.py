"""Bad input: each ends in a typed error that says where and what to do."""

import functools
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from opaque import opaque

import raceline
from raceline import errors
from raceline.data import ActorPoolStrategy, TaskPoolStrategy
from raceline.data.expressions import col


def run(dataset_or_call):
    dataset = dataset_or_call() if callable(dataset_or_call) else dataset_or_call
    return dataset.take_all()


def fails_with(error_class, dataset_or_call):
    """The error that running ends with; the time that it takes is bounded."""
    started = time.monotonic()
    with pytest.raises(error_class) as caught:
        run(dataset_or_call)
    assert time.monotonic() - started < 30
    text = str(caught.value)
    assert "panic" not in text
    assert text.count("hint:") <= 1
    return caught.value


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "text", "binary_files", "images"])
def test_a_missing_path(tmp_path, kind):
    read = getattr(raceline, f"read_{kind}")
    error = fails_with(errors.SourceNotFoundError, lambda: read(tmp_path / "no such file"))
    assert isinstance(error, FileNotFoundError)
    assert "no such file" in str(error)


def test_an_empty_folder(tmp_path):
    error = fails_with(errors.RacelineError, lambda: raceline.read_parquet(tmp_path))
    assert str(tmp_path) in str(error)


def test_a_glob_without_match(tmp_path):
    error = fails_with(FileNotFoundError, lambda: raceline.read_csv(f"{tmp_path}/*.csv"))
    assert "*.csv" in str(error)


def fails_unprivileged(expression):
    """Class and text of the error of an expression, run without the superuser's privileges."""
    program = f"""if True:
        import raceline
        try:
            {expression}
        except raceline.errors.RacelineError as error:
            assert isinstance(error, PermissionError), repr(error)
            print(type(error).__name__, error)
        """
    command = [sys.executable, "-c", program]
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("the superuser may do all, and `setpriv` is not here")
        powers = "-dac_override,-dac_read_search"
        command = [setpriv, f"--bounding-set={powers}", f"--inh-caps={powers}", *command]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    name, _, text = ended.stdout.partition(" ")
    return name, text


@pytest.mark.parametrize("kind", ["csv", "json", "parquet", "text", "binary_files", "images"])
def test_an_unreadable_file(tmp_path, kind):
    file = tmp_path / "file"
    file.write_text("a\n1\n" * 10)
    file.chmod(0)
    name, text = fails_unprivileged(f"raceline.data.read_{kind}({str(file)!r}).take_all()")
    assert name == "SourcePermissionError"
    assert str(file) in text
    assert "hint: " in text


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_truncated_parquet_file(tmp_path, cut):
    raceline.range(1000).write_parquet(tmp_path / "whole")
    [whole] = (tmp_path / "whole").iterdir()
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:cut])
    error = fails_with(errors.SourceError, lambda: raceline.read_parquet(tmp_path / "cut.parquet"))
    assert "cut.parquet" in str(error)


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("parquet", "a.parquet", b"id,name\n1,x\n"),
        ("csv", "a.csv", b"a,b\n1,2\n3\n"),
        ("json", "a.json", b'{"a": 1}\n{"a": \n'),
        ("json", "a.json", b"\x00\x01\x02"),
        ("text", "a.txt", b"fine\n\xff\xfe broken\n"),
        ("images", "a.png", b"not an image"),
        ("images", "a.jpg", b"\xff\xd8\xff\xe0 cut"),
    ],
)
def test_a_mistyped_file(tmp_path, kind, name, content):
    (tmp_path / name).write_bytes(content)
    error = fails_with(
        errors.SourceError, lambda: getattr(raceline, f"read_{kind}")(tmp_path / name)
    )
    assert name in str(error)


def test_a_value_that_does_not_fit_the_type_found(tmp_path):
    numbers = "".join(f"{n}\n" for n in range(5000))
    (tmp_path / "a.csv").write_text(f"n\n{numbers}many\n")
    error = fails_with(errors.SourceError, lambda: raceline.read_csv(tmp_path))
    assert "a.csv" in str(error)
    assert "many" in str(error)


def test_a_read_only_target(tmp_path):
    tmp_path.chmod(0o500)
    target = str(tmp_path / "out")
    name, text = fails_unprivileged(f"raceline.range(3).write_parquet({target!r})")
    assert name == "SourcePermissionError"
    assert target in text
    assert list(tmp_path.iterdir()) == []


def test_a_target_below_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.PlanError) as caught:
        raceline.range(3).write_parquet(tmp_path / "file" / "out")
    assert "it is a file" in str(caught.value)


@pytest.mark.skipif(not os.path.isdir("/sys/kernel"), reason="needs a file system to refuse")
def test_a_target_that_nobody_may_write_to():
    with pytest.raises(errors.SourceError) as caught:
        raceline.range(3).write_parquet("/sys/kernel/out")
    assert "/sys/kernel/out" in str(caught.value)


def test_a_full_target_leaves_no_files(tmp_path):
    program = (
        "import resource, sys, raceline\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    raceline.range(1_000_000).write_parquet(sys.argv[1])\n"
        "except raceline.errors.SourceError as error:\n"
        "    print(error)\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert str(tmp_path / "out") in ended.stdout
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_write_that_fails_leaves_nothing_that_looks_whole(tmp_path, kind):
    def fail_late(batch):
        if batch["id"][0] >= 5000:
            raise ValueError("late")
        return batch

    dataset = raceline.range(10_000).map_batches(fail_late, batch_size=500)
    with pytest.raises(ValueError, match="late"):
        getattr(dataset, f"write_{kind}")(tmp_path / "out", max_rows_per_file=1000)
    assert not list(tmp_path.rglob(f"*.{kind}"))


def test_sinks_refuse_columns_of_objects_by_name(tmp_path):
    with pytest.warns(UserWarning, match="odd"):
        dataset = raceline.from_items([{"odd": object}, {"odd": 1}])
    with pytest.raises(errors.PlanError, match="odd"):
        dataset.write_parquet(tmp_path / "out")


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: raceline.read_csv("a.csv", delimiter=";;"),
            "`delimiter` must be one ASCII character, got `';;'`",
        ),
        (
            lambda: raceline.read_parquet([]),
            "no path is given\n  hint: pass a file, a folder or a glob",
        ),
        (lambda: raceline.read_parquet([3]), "a path must be a string, got `3`"),
        (
            lambda: raceline.read_parquet("a", partitioning="dir"),
            "there is no partitioning `'dir'`\n  hint: pass \"hive\", a `Partitioning` or None",
        ),
        (
            lambda: raceline.read_images("a", size=(0, 5)),
            "`size` must be height and width in pixels, got `(0, 5)`",
        ),
        (
            lambda: raceline.read_images("a", mode="CMYK"),
            'there is no image mode `\'CMYK\'`\n  hint: pass "RGB", "RGBA" or "L"',
        ),
        (
            lambda: raceline.range(3).write_parquet("a", mode="replace"),
            "there is no save mode `replace`\n"
            '  hint: pass one of "create", "append", "overwrite", "ignore", "error"',
        ),
        (
            lambda: raceline.range(3).write_csv("a", min_rows_per_file=3, max_rows_per_file=2),
            "`min_rows_per_file` 3 is above `max_rows_per_file` 2",
        ),
    ],
)
def test_arguments_of_files(call, text):
    with pytest.raises(errors.PlanError) as caught:
        call()
    assert str(caught.value) == text


# --- columns ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda rows: rows.select_columns(["pric"]),
        lambda rows: rows.drop_columns(["pric"]),
        lambda rows: rows.rename_columns({"pric": "x"}),
        lambda rows: rows.filter(expr=col("pric") > 1),
        lambda rows: rows.with_column("x", col("pric") + 1),
        lambda rows: rows.sort("pric"),
        lambda rows: rows.groupby("pric").count(),
        lambda rows: rows.groupby("name").sum("pric"),
    ],
)
@pytest.mark.parametrize("known", [True, False], ids=["known columns", "unknown columns"])
def test_a_wrong_column_is_told_with_the_nearest_names(use, known):
    rows = raceline.from_items([{"price": 1.0, "name": "x", "size": 3}])
    if not known:
        rows = rows.map(opaque(lambda row: row))
    error = fails_with(errors.ColumnNotFoundError, lambda: use(rows))
    assert isinstance(error, ValueError)
    assert "`pric`" in str(error)
    assert "price" in error.hint
    assert "price" in str(error)


def test_a_row_function_that_takes_a_wrong_column():
    error = fails_with(KeyError, raceline.range(3).map(opaque(lambda row: row["idd"])))
    assert isinstance(error, errors.UdfError)
    assert "idd" in str(error)


# --- functions --------------------------------------------------------------------------------


class CustomError(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")
        self.code = second


@pytest.mark.parametrize("form", [lambda f: f, opaque], ids=["maybe compiled", "in Python"])
def test_a_function_that_raises_names_itself_and_the_row(form):
    def divide(row):
        return {"x": 1 / (row["id"] - 7)}

    error = fails_with(ZeroDivisionError, raceline.range(10).map(form(divide)))
    assert isinstance(error, errors.UdfError)
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert "ZeroDivisionError: division by zero" in str(error)
    assert error.rows == (7, 7)
    assert error.stage
    assert "in divide" in error.detail
    assert "_chain.py" not in error.detail


def test_the_user_s_own_exception_keeps_its_type_and_fields():
    def fail(row):
        raise CustomError("one", 2)

    error = fails_with(CustomError, raceline.range(1).map(fail))
    assert isinstance(error, errors.UdfError)
    assert error.code == 2
    assert "one and 2" in str(error)


def test_exceptions_that_cannot_travel_are_told_by_their_text():
    def fail(row):
        class Local(Exception):
            def __reduce__(self):
                raise TypeError("no")

        raise Local("still told")

    error = fails_with(errors.UdfError, raceline.range(1).map(fail))
    assert "Local: still told" in str(error)


@pytest.mark.parametrize("raised", [KeyboardInterrupt, SystemExit, StopIteration])
def test_exceptions_that_are_no_errors_still_end_the_run(raised):
    def fail(row):
        raise raised("out")

    error = fails_with(errors.UdfError, raceline.range(1).map(fail))
    assert not isinstance(error, raised)


def test_a_constructor_that_raises():
    class Model:
        def __init__(self):
            raise OSError("no weights")

        def __call__(self, batch):
            return batch

    error = fails_with(OSError, raceline.range(3).map_batches(Model, concurrency=2))
    assert isinstance(error, errors.UdfError)
    assert "Model" in str(error)
    assert "no weights" in str(error)


@pytest.mark.parametrize(
    ("method", "returned", "said"),
    [
        ("map", None, "returned None"),
        ("map", [1, 2], "flat_map"),
        ("flat_map", 5, "list of rows"),
        ("flat_map", "text", "list of rows"),
        ("flat_map", None, "list of rows"),
        ("map_batches", None, "did you forget `return`"),
        ("map_batches", [1, 2], "dict of columns"),
        ("map_batches", "text", "dict of columns"),
        ("map_batches", 5, "dict of columns"),
        ("filter", np.array([1, 2]), "neither true"),
    ],
)
def test_a_wrong_return_type(method, returned, said):
    def give(_):
        return returned

    error = fails_with((ValueError, TypeError), getattr(raceline.range(3), method)(give))
    assert isinstance(error, errors.UdfError)
    assert "`give`" in str(error)
    assert said in str(error)


def test_columns_of_different_lengths_are_named():
    error = fails_with(
        ValueError,
        raceline.range(5).map_batches(opaque(lambda batch: {"a": [1, 2], "b": [1, 2, 3]})),
    )
    for part in ("`a`", "`b`", "2", "3"):
        assert part in str(error)


def test_writing_to_a_read_only_array_says_what_to_do():
    def write(batch):
        batch["id"][0] = 1
        return batch

    error = fails_with(ValueError, raceline.range(3).map_batches(opaque(write)))
    assert "read-only" in str(error)


def test_a_worker_that_is_killed_is_told_with_its_signal():
    def kill(batch):
        os.kill(os.getpid(), signal.SIGKILL)
        return batch

    error = fails_with(errors.ResourceError, raceline.range(3).map_batches(kill))
    assert "SIGKILL" in str(error) or "signal 9" in str(error)
    assert "kill" in str(error)
    assert raceline.range(3).map(opaque(lambda row: row)).count() == 3


def test_a_row_that_kills_its_worker_is_named(capfd):
    def crash(batch):
        if 77 in batch["id"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        return batch

    dataset = raceline.range(100).map_batches(crash, batch_size=100, max_retries=1)
    error = fails_with(errors.UdfError, dataset)
    assert "row 77 of a batch of 100 rows kills the workers of `MapBatches(crash)`" in str(error)
    assert "SIGSEGV" in str(error)
    assert "its batch of 100 rows is run again (1 of 1)" in capfd.readouterr().err


@pytest.mark.parametrize("max_retries", [-1, 1.5, True, 2**64])
def test_a_number_of_retries_that_is_none(max_retries):
    with pytest.raises(errors.PlanError, match="max_retries"):
        raceline.range(3).map_batches(lambda batch: batch, max_retries=max_retries)


def test_a_function_that_hangs_is_named_with_its_row():
    def hang(batch):
        if 77 in batch["id"]:
            time.sleep(60)
        return batch

    dataset = raceline.range(100).map_batches(hang, batch_size=50, max_retries=0, timeout_s=0.3)
    error = fails_with(errors.UdfError, dataset)
    assert "row 27 of a batch of 50 rows kills the workers of `MapBatches(hang)`" in str(error)
    assert "it took longer than 0.3 s" in str(error)
    assert "timeout_s" in str(error)
    assert raceline.range(3).map(opaque(lambda row: row)).count() == 3


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_timeout_that_is_none(timeout_s):
    with pytest.raises(errors.PlanError, match="timeout_s"):
        raceline.range(3).map_batches(lambda batch: batch, timeout_s=timeout_s)


def test_a_worker_that_exits():
    def leave(batch):
        os._exit(3)

    error = fails_with(errors.RacelineError, raceline.range(3).map_batches(leave))
    assert "3" in str(error)


def test_more_resources_than_there_are():
    error = fails_with(
        errors.ResourceError,
        lambda: raceline.range(3).map(opaque(lambda row: row), num_gpus=99),
    )
    assert "num_gpus" in str(error)
    assert "raceline.init(num_gpus=99)" in error.hint


class NoCall:
    pass


class Fine:
    def __call__(self, row):
        return row


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda rows: rows.map(NoCall),
            "class `NoCall` has no `__call__` method\n"
            "  hint: define `__call__(self, row_or_batch)`, or pass a function",
        ),
        (lambda rows: rows.map(3), "`map` needs a function or callable class, got `3`"),
        (
            lambda rows: rows.map(len, fn_constructor_args=[1]),
            "`len` is no class: `fn_constructor_args` and `fn_constructor_kwargs` need one\n"
            "  hint: pass `fn_args` or `fn_kwargs`",
        ),
        (
            lambda rows: rows.map(Fine, compute=TaskPoolStrategy()),
            "a class cannot run in a task pool, as its objects are kept\n"
            "  hint: leave `compute` out, or pass `ActorPoolStrategy(...)`",
        ),
        (
            lambda rows: rows.map(Fine, compute="actors", concurrency=2),
            "pass either `compute` or `concurrency`, not both",
        ),
        (
            lambda rows: rows.map(len, concurrency="two"),
            "`concurrency` must be an int, `(min, max)` or `(min, max, initial)`, got `'two'`",
        ),
        (
            lambda rows: rows.map(len, concurrency=0),
            "`concurrency` must be an int of at least 1, got `0`",
        ),
        (
            lambda rows: rows.map(Fine, concurrency=(3, 2)),
            "`min_size` 3 is above `max_size` 2",
        ),
        (
            lambda rows: rows.map(len, num_cpus=-1),
            "`num_cpus` must be a finite number of at least 0, got `-1`",
        ),
        (
            lambda rows: rows.map_batches(len, batch_size=0),
            "`batch_size` must be an int of at least 1, got `0`\n"
            "  hint: pass None to take batches as they come",
        ),
        (
            lambda rows: rows.map_batches(len, batch_format="polars"),
            "there is no batch format `'polars'`\n"
            '  hint: pass "numpy", "pandas", "pyarrow" or "torch"',
        ),
        (lambda rows: rows.filter(), "pass exactly one of `fn` and `expr`"),
        (lambda rows: rows.filter(len, expr="a > 1"), "pass exactly one of `fn` and `expr`"),
        (
            lambda rows: rows.filter(expr="id > 1", num_cpus=1),
            "`expr` runs without Python: the other arguments need `fn`",
        ),
        (
            lambda rows: rows.filter(expr=3),
            "`expr` must be an expression or its text, got `3`\n"
            '  hint: for example `filter(expr=col("price") > 3)`',
        ),
        (
            lambda rows: rows.with_column("x", 3),
            "`with_column` needs an expression, got `3`\n"
            "  hint: wrap a plain value: `lit(...)`; for a function call `map_batches(...)`",
        ),
        (lambda rows: rows.select_columns(["id", "id"]), "column `id` is named twice"),
        (lambda rows: rows.select_columns([3]), "a column's name must be a string, got `3`"),
        (lambda rows: rows.rename_columns({"id": ""}), "a column's new name must not be empty"),
        (lambda rows: rows.rename_columns(["a", "b"]), "2 names are given for 1 columns"),
        (lambda rows: rows.sort([]), "`sort` needs at least one column"),
        (
            lambda rows: rows.sort(["id"], descending=[True, False]),
            "`descending` has 2 values for 1 sort columns",
        ),
        (lambda rows: rows.limit(-1), "`limit` must be an int of at least 0, got `-1`"),
        (lambda rows: rows.take(-1), "`limit` must be an int of at least 0, got `-1`"),
        (
            lambda rows: rows.repartition(0),
            "`num_blocks` must be an int of at least 1, got `0`",
        ),
        (lambda rows: rows.union([3]), "`union` takes datasets, got `3`"),
        (
            lambda rows: rows.iter_batches(batch_size=0),
            "`batch_size` must be an int of at least 1, got `0`\n"
            "  hint: pass None to take batches as they come",
        ),
        (
            lambda rows: raceline.range("many"),
            "`n` must be an int of at least 0, got `'many'`\n"
            "  hint: pass the number of rows, 0 or more",
        ),
        (
            lambda rows: raceline.from_arrow(3),
            "`from_arrow` needs Arrow data, got `int`\n"
            "  hint: pass a pyarrow table, or the bytes of an IPC stream",
        ),
        (lambda rows: raceline.from_pandas(3), "`from_pandas` needs a DataFrame, got `int`"),
        (lambda rows: col(3), "a column's name must be a string, got `3`"),
        (
            lambda rows: ActorPoolStrategy(size=2, min_size=1),
            "`size` excludes `min_size`, `max_size` and `initial_size`",
        ),
        (
            lambda rows: ActorPoolStrategy(max_size=2, initial_size=3),
            "`initial_size` 3 is not between `min_size` and `max_size`",
        ),
        (
            lambda rows: TaskPoolStrategy(0),
            "`size` must be an int of at least 1, got `0`",
        ),
    ],
)
def test_arguments_are_refused_at_once(call, text):
    with pytest.raises(errors.PlanError) as caught:
        call(raceline.range(3))
    assert str(caught.value) == text


class Locked:
    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, row):
        return row


def unsendable():
    """Functions that hold a lock, and where it is told to be."""
    lock = threading.Lock()

    def helper(row):
        return lock and row

    def before_it_is_set(row):
        return (unset, lock)

    if not lock:
        unset = None

    def by_default(row, lock=lock):
        return row

    def by_argument(row, lock):
        return row

    return [
        (lambda row: lock, "variable `lock` (a `lock`): cannot pickle"),
        (lambda row: helper(row), "variable `helper` → variable `lock` (a `lock`): "),
        (before_it_is_set, "variable `lock` (a `lock`): "),
        (by_default, "default of `lock` (a `lock`): "),
        (Locked().__call__, "attribute `lock` (a `lock`): "),
        (functools.partial(by_argument, lock=lock), "argument `lock` (a `lock`): "),
        (functools.partial(Locked(), {}), "item 0 → attribute `lock` (a `lock`): "),
    ]


@pytest.mark.parametrize(("function", "place"), unsendable())
def test_a_function_that_cannot_be_sent_to_a_worker(function, place):
    with pytest.raises(errors.PlanError) as caught:
        raceline.range(3).map(function)
    assert "cannot be sent to a worker process: " + place in str(caught.value)
    assert "hint: make what cannot be pickled" in str(caught.value)


def test_an_argument_that_cannot_be_sent_to_a_worker():
    locks = {"first": threading.Lock()}
    with pytest.raises(errors.PlanError, match="`fn_kwargs` → `locks` → `first` "):
        raceline.range(3).map(lambda row, locks: row, fn_kwargs={"locks": locks})


# --- the classes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        ("plan", [errors.PlanError, ValueError]),
        ("column_not_found", [errors.ColumnNotFoundError, errors.PlanError]),
        ("not_found", [errors.SourceNotFoundError, FileNotFoundError]),
        ("permission_denied", [errors.SourcePermissionError, PermissionError]),
        ("source", [errors.SourceError, OSError]),
        ("udf", [errors.UdfError]),
        ("resource", [errors.ResourceError]),
        ("cancelled", [errors.CancelledError]),
        ("internal", [errors.InternalError]),
    ],
)
def test_kinds_of_the_engine_become_classes(kind, bases):
    fields = {"stage": "s", "uri": "u", "column": "c", "rows": (1, 2), "hint": "h", "detail": None}
    error = errors.build(kind, "text\n  hint: h", fields, None)
    assert all(isinstance(error, base) for base in [*bases, errors.RacelineError])
    assert str(error) == "text\n  hint: h"
    assert (error.stage, error.uri, error.column, error.rows) == ("s", "u", "c", (1, 2))


def test_a_user_s_exception_is_cause_and_base():
    error = errors.build("udf", "text", {"stage": "f"}, pickle.dumps(KeyError("k")))
    assert isinstance(error, errors.UdfError)
    assert isinstance(error, KeyError)
    assert str(error) == "text"
    assert repr(error.__cause__) == "KeyError('k')"
    assert type(error) is errors.udf_error_class(KeyError)


def test_an_exception_of_an_unknown_type_is_told_by_text_alone():
    error = errors.build("udf", "text", {}, b"not a pickle")
    assert type(error) is errors.UdfError
    assert error.__cause__ is None


@pytest.mark.parametrize("kind", [ValueError, OSError, KeyError, UnicodeError, CustomError])
def test_derived_classes_are_made_once(kind):
    assert errors.udf_error_class(kind) is errors.udf_error_class(kind)
    assert errors.udf_error_class(errors.udf_error_class(kind)) is errors.udf_error_class(kind)


def test_unknown_fields_are_refused():
    with pytest.raises(TypeError, match=r"^RacelineError has no attribute `wher`$"):
        errors.RacelineError("text", wher="here")
