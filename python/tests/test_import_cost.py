"""Importing the package loads nothing that is not asked for."""

import os
import subprocess
import sys

import pytest

HEAVY = ("numpy", "cloudpickle", "pyarrow", "pandas", "torch", "raceline._native")


def loaded_after(program):
    text = f"import sys\n{program}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_importing_raceline_loads_no_other_module_of_it():
    loaded = loaded_after("import raceline")
    assert "raceline" in loaded
    assert not loaded.intersection(HEAVY)
    assert not {name for name in loaded if name.startswith("raceline.")}


def test_init_and_the_data_namespace_do_not_load_the_engine():
    program = (
        "import raceline as ray\nray.init(num_gpus=2)\nray.data.ActorPoolStrategy(size=2)\n"
        "from raceline.data.aggregate import Count\nray.shutdown()"
    )
    loaded = loaded_after(program)
    assert "raceline.data.aggregate" in loaded
    assert not loaded.intersection(HEAVY)


def test_preprocessors_are_loaded_when_they_are_named():
    loaded = loaded_after("import raceline as ray\nray.data.Preprocessor")
    assert "raceline.data.preprocessors" not in loaded
    loaded = loaded_after("import raceline as ray\nray.data.preprocessors.StandardScaler(['x'])")
    assert "raceline.data.preprocessors" in loaded
    assert not loaded.intersection(HEAVY)


def test_a_run_without_python_functions_loads_neither_numpy_nor_cloudpickle():
    loaded = loaded_after("import raceline\nraceline.range(3).take_all()")
    assert "raceline._native" in loaded
    assert not loaded.intersection({"numpy", "cloudpickle", "pyarrow", "pandas", "torch"})


def test_a_worker_for_rows_does_without_numpy_and_one_for_batches_does_not():
    program = """
import raceline

def of_row(row):
    import sys
    return {"rows": "numpy" in sys.modules}

def of_batch(batch):
    import sys
    return {"batches": ["numpy" in sys.modules]}

def told(dataset):
    return dataset.take_all()[0]

first = told(raceline.range(1).map(of_row))
print("mine" if "numpy" in sys.modules else "none", first)
print(told(raceline.range(1).map_batches(of_batch, batch_size=1)))
import numpy
print(told(raceline.range(1).map(of_row)))
"""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.splitlines() == [
        "none {'rows': False}",
        "{'batches': True}",
        "{'rows': True}",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(
    ("plan", "loads_numpy"),
    [
        ("raceline.range(1).map_batches(Function)", True),
        ("raceline.range(1).map(Function)", False),
        # What is there for rows already is told of batches later,
        ("(raceline.range(1).map(Function), raceline.range(1).map_batches(Function))", True),
        # but not where it would keep the workers of a function before it waiting,
        ("raceline.range(1).map(Function).map_batches(Function)", False),
        # which one that is compiled has none of.
        ("raceline.range(1).map(lambda row: row).map_batches(Function)", True),
    ],
)
def test_numpy_is_loaded_for_workers_while_the_program_plans(plan, loads_numpy):
    program = f"""
import pathlib, time
import raceline

class Function:
    def __call__(self, value):
        return value

def holds(name):
    pids = pathlib.Path("/proc/self/task").glob("*/children")
    return any(
        name in pathlib.Path(f"/proc/{{pid}}/maps").read_text()
        for file in pids for pid in file.read_text().split()
    )

def wait(name, seconds):
    end = time.monotonic() + seconds
    while not holds(name) and time.monotonic() < end:
        time.sleep(0.01)
    return holds(name)

plan = {plan}
print(wait("_native.", 30), wait("_multiarray_umath", {30 if loads_numpy else 1}))
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert run.stdout.split() == ["True", str(loads_numpy)]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize(("compiler", "children"), [("on", 0), ("off", 1)])
def test_only_what_is_not_compiled_starts_a_process(compiler, children):
    program = """
import pathlib, time
import raceline

plan = raceline.range(1).map(lambda row: {"a": row["id"] + 1})

def children():
    files = pathlib.Path("/proc/self/task").glob("*/children")
    return sum(len(file.read_text().split()) for file in files)

end = time.monotonic() + 1
while children() == 0 and time.monotonic() < end:
    time.sleep(0.01)
print(children())
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "RACELINE_LAMBDA": compiler},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.split() == [str(children)]


def test_a_run_loads_no_module_that_it_has_no_use_for():
    loaded = loaded_after("import raceline\nraceline.range(3).take_all()")
    unused = {"asyncio", "concurrent", "difflib", "hashlib", "html", "ipaddress", "logging"}
    unused |= {"platform", "random", "ssl", "urllib", "uuid"}
    assert not loaded.intersection({*unused, "raceline.data.datasource", "raceline._tensors"})


def test_names_that_are_loaded_late_are_there():
    program = """
import raceline.data
assert "raceline.data.datasource" not in sys.modules
assert {*raceline.data.__all__, "datasource", "preprocessors"} <= {*dir(raceline.data)}
for name in [*raceline.data.__all__, "datasource", "preprocessors"]:
    assert getattr(raceline.data, name) is getattr(raceline.data, name)
try:
    raceline.data.missing
except AttributeError as error:
    assert str(error) == "module `raceline.data` has no attribute `missing`"
from raceline.data import *
assert Datasource is raceline.data.datasource.Datasource
"""
    assert "raceline.data.from_frames" in loaded_after(program)
