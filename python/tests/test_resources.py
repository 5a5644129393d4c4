"""What workers ask for: GPUs that are found or declared, fractions, custom ones, memory."""

import os
import stat
import textwrap
import time

import numpy as np
import pytest

import raceline
from raceline.errors import ResourceError


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Plays a machine with GPUs: `machine(listing)` puts an `nvidia-smi` on the path."""
    raceline.shutdown()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def play(listing, exit_code=0):
        program = tmp_path / "nvidia-smi"
        program.write_text(
            textwrap.dedent(
                f"""\
                #!/bin/sh
                echo "$@" >> {tmp_path}/asked
                cat << END
                """
            )
            + f"{listing}\nEND\nexit {exit_code}\n"
        )
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        raceline.init(num_cpus=2, progress=False)
        return tmp_path / "asked"

    yield play
    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=8, progress=False)


TWO = "0, GPU-1111, 81559 MiB\n1, GPU-2222, 81559 MiB"


class Device:
    def __call__(self, batch):
        time.sleep(0.02)
        device = os.environ.get("CUDA_VISIBLE_DEVICES")
        return {"gpu": [device] * len(batch["id"]), "pid": [os.getpid()] * len(batch["id"])}


def devices(**options):
    rows = raceline.range(80).map_batches(Device, batch_size=4, **options).take_all()
    return {row["gpu"] for row in rows}


def refusal(dataset):
    began = time.monotonic()
    with pytest.raises(ResourceError) as raised:
        dataset.count()
    assert time.monotonic() - began < 5
    return raised.value


def test_gpus_are_found(machine):
    asked = machine(TWO)
    assert devices(num_gpus=1) <= {"0", "1"}
    assert devices(num_gpus=1, concurrency=2) == {"0", "1"}
    assert devices(num_gpus=2) == {"0,1"}
    assert raceline.cluster_resources()["GPU"] == 2
    assert asked.read_text().count("--query-gpu=index,uuid,memory.total") == 1, "asked once"


def test_nobody_looks_for_gpus_that_nobody_asked_for(machine):
    asked = machine(TWO)
    assert devices() == {None}
    assert not asked.exists()


@pytest.mark.parametrize(
    ("visible", "seen"),
    [("1", {"1"}), ("GPU-2222,GPU-1", {"GPU-2222", "GPU-1"}), ("1,0", {"1", "0"})],
)
def test_what_the_process_may_see_bounds_its_workers(machine, monkeypatch, visible, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    machine(TWO)
    assert devices(num_gpus=1, concurrency=2) == seen


def test_a_process_that_may_see_none_has_none(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine(TWO)
    error = refusal(raceline.range(3).map_batches(Device, num_gpus=1))
    assert str(error).startswith(
        "stage `MapBatches(Device)` asks for 1 of `num_gpus` for each worker, the session has 0"
    )


def test_a_machine_without_gpus_says_so_at_once(machine):
    machine("No devices were found")
    error = refusal(raceline.range(3).map_batches(Device, num_gpus=0.5))
    assert "asks for 0.5 of `num_gpus` for each worker, the session has 0" in str(error)
    assert "raceline.init(num_gpus=0.5)" in error.hint


def test_a_driver_that_does_not_answer_is_named(machine):
    machine("NVIDIA-SMI has failed because it could not communicate with the driver.", 9)
    error = refusal(raceline.range(3).map_batches(Device, num_gpus=1))
    assert str(error).startswith(
        "cannot ask `nvidia-smi` for the GPUs: exit status: 9: NVIDIA-SMI has failed"
    )
    assert raceline.range(3).map_batches(Device).count() == 3, "the session goes on"


def test_declared_gpus_are_those_that_the_process_may_see(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6,7")
    asked = machine(TWO)
    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=2, progress=False)
    assert devices(num_gpus=1, concurrency=2) == {"6", "7"}
    assert not asked.exists()


def test_fractions_share_a_gpu(machine):
    machine("0, GPU-1111, 81559 MiB")
    rows = raceline.range(80).map_batches(Device, batch_size=4, num_gpus=0.5).to_pandas()
    assert set(rows["gpu"]) == {"0"}
    assert rows["pid"].nunique() == 2


def test_custom_resources_bound_the_workers():
    raceline.shutdown()
    raceline.init(num_cpus=4, resources={"licence": 2}, progress=False)
    options = {"batch_size": 4, "num_cpus": 0.5, "concurrency": 6}
    one = raceline.range(80).map_batches(Device, resources={"licence": 1}, **options).to_pandas()
    assert one["pid"].nunique() == 2
    error = refusal(raceline.range(3).map_batches(Device, resources={"licence": 3}))
    assert "asks for 3 of `licence` for each worker, the session has 2" in str(error)
    assert 'raceline.init(resources={"licence": 3})' in error.hint
    error = refusal(raceline.range(3).map_batches(Device, resources={"key": 1}))
    assert "asks for 1 of `key` for each worker, the session has 0" in str(error)
    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=8, progress=False)


def test_memory_that_nobody_has():
    error = refusal(raceline.range(3).map_batches(Device, memory=10**15))
    assert f"asks for {10**15} of `memory` for each worker, the session has" in str(error)


def test_more_cpus_than_there_are():
    error = refusal(raceline.range(3).map_batches(Device, num_cpus=3))
    assert "asks for 3 of `num_cpus` for each worker, the session has 2" in str(error)


def test_stages_that_cannot_have_a_gpu_each_are_refused_and_one_after_the_other_are_not():
    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=1, progress=False)

    class Model:
        def __call__(self, batch):
            return {"id": batch["id"] + 1}

    class Judge(Model):
        pass

    first = raceline.range(40).map_batches(Model, batch_size=4, num_gpus=1)
    error = refusal(first.map_batches(Judge, batch_size=4, num_gpus=1))
    assert str(error).startswith(
        "`MapBatches(Model)` and `MapBatches(Judge)` together ask for 2 of `num_gpus` with one "
        "worker each, the session has 1"
    )
    after = first.sort("id").map_batches(Judge, batch_size=4, num_gpus=1)
    assert np.array_equal(after.to_pandas()["id"], np.arange(40) + 2)
    raceline.shutdown()
    raceline.init(num_cpus=2, num_gpus=8, progress=False)
