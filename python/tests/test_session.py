"""`init`, `shutdown` and the context. Each program runs in an interpreter of its own."""

import subprocess
import sys

import pytest

import raceline
from raceline.data import DataContext
from raceline.errors import CancelledError, PlanError


def output_of(program):
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split("\n")[:-1]


def test_init_is_optional():
    program = (
        "import raceline as ray\nprint(ray.is_initialized())\n"
        "print(ray.data.range(3).count(), ray.is_initialized())"
    )
    assert output_of(program) == ["False", "3 True"]


def test_gpus_may_be_declared_that_do_not_exist():
    program = (
        "import raceline as ray\nray.init(num_cpus=3, num_gpus=8, resources={'disk': 2})\n"
        "total = ray.cluster_resources()\nprint(total['CPU'], total['GPU'], total['disk'])"
    )
    assert output_of(program) == ["3.0 8.0 2.0"]


def test_a_session_can_end_and_another_begin():
    program = (
        "import raceline as ray\nray.init(num_cpus=1)\nprint(ray.range(2).count())\n"
        "ray.shutdown()\nprint(ray.is_initialized())\nray.init(num_cpus=2)\n"
        "print(ray.cluster_resources()['CPU'])\nray.shutdown()\nray.shutdown()"
    )
    assert output_of(program) == ["2", "False", "2.0"]


def test_a_second_init_is_an_error_unless_ignored():
    raceline.init(ignore_reinit_error=True)
    with pytest.raises(RuntimeError, match=r"^raceline is initialised already: "):
        raceline.init()


def test_init_takes_ray_s_harmless_keywords_and_no_others():
    raceline.init(include_dashboard=False, log_to_driver=True, ignore_reinit_error=True)
    with pytest.raises(
        TypeError, match=r"^init\(\) got an unexpected keyword argument 'object_store_memory'$"
    ):
        raceline.init(object_store_memory=1, ignore_reinit_error=True)


@pytest.mark.parametrize("amount", [-1, float("nan"), float("inf"), "many", True])
def test_init_refuses_amounts_that_are_none(amount):
    with pytest.raises(PlanError) as caught:
        raceline.init(num_gpus=amount)
    assert str(caught.value) == (
        f"`num_gpus` must be a finite number of at least 0, got `{amount!r}`"
    )


@pytest.mark.parametrize("memory", [0, 1, 2**20 - 1, 2**64, 1e30])
def test_init_refuses_budgets_that_nothing_fits_into(memory):
    with pytest.raises(PlanError) as caught:
        raceline.init(memory=memory)
    assert str(caught.value) == (
        f"`memory` must be a number of bytes of at least 1048576, got `{memory!r}`"
    )


def test_init_takes_bytes_as_a_float():
    program = (
        "import raceline as ray\nray.init(memory=2e9, progress=False)\n"
        "print(ray.range(3).count(), ray.cluster_resources()['memory'])"
    )
    assert output_of(program) == ["3 2000000000.0"]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_one_cpu_is_one_thread_that_computes():
    program = (
        "import pathlib, raceline as ray\nray.init(num_cpus=1, progress=False)\n"
        "ray.range(3).take_all()\n"
        "names = [file.read_text() for file in pathlib.Path('/proc/self/task').glob('*/comm')]\n"
        "print(sum('raceline-comput' in name for name in names))"
    )
    assert output_of(program) == ["1"]


def test_init_refuses_a_cluster():
    with pytest.raises(PlanError) as caught:
        raceline.init("ray://head:10001")
    assert str(caught.value) == (
        "cannot connect to `ray://head:10001`\n"
        '  hint: the engine runs in this process: leave `address` out or pass "local"'
    )


def test_the_context_is_one_object():
    context = DataContext.get_current()
    assert context is DataContext.get_current()
    assert context.execution_options.preserve_order is True


def test_progress_goes_to_stderr_or_nowhere():
    program = (
        "import raceline as ray\n"
        "ray.data.DataContext.get_current().enable_progress_bars = False\n"
        "print(ray.range(10).map_batches(lambda b: b).count())"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "10\n", "")


ENDED = (
    "the session of this dataset was shut down\n"
    "  hint: make the dataset again, which starts a new session"
)


@pytest.mark.parametrize("use", ["take_all", "count", "schema", "explain", "materialize"])
def test_a_dataset_of_an_ended_session_cannot_be_run(use):
    dataset = raceline.range(3)
    raceline.shutdown()
    with pytest.raises(PlanError) as caught:
        getattr(dataset, use)()
    assert str(caught.value) == ENDED
    assert raceline.range(3).count() == 3


@pytest.mark.parametrize("function", [lambda batch: batch, None])
def test_shutdown_cancels_what_runs(function):
    dataset = raceline.range(10**12)
    if function is not None:
        dataset = dataset.map_batches(function, batch_size=1000)
    rows = iter(dataset.iter_rows())
    assert next(rows) == {"id": 0}
    raceline.shutdown()
    with pytest.raises(CancelledError, match=r"^the execution was cancelled"):
        list(rows)


def test_shutdown_ends_every_worker():
    program = (
        "import os, time, raceline as ray\n"
        "ray.init(progress=False)\n"
        "dataset = ray.range(1).map_batches(lambda b: {'pid': [os.getpid()]})\n"
        "pid = dataset.take_all()[0]['pid']\n"
        "ray.shutdown()\n"
        "try:\n    dataset.take_all()\nexcept ray.errors.PlanError:\n    print('refused')\n"
        "time.sleep(0.5)\n"
        "print(os.path.exists(f'/proc/{pid}'))\n"
    )
    assert output_of(program) == ["refused", "False"]
