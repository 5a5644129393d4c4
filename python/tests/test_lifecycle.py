"""How runs end: by Ctrl-C, by the end of the program, by a crash; and what they leave."""

import os
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def descendants(pid):
    """All processes below ``pid``, however deep, of any session."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended while we looked
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_until(condition, seconds):
    """Whether the condition came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


class Program:
    """A Python program that says `ready` when its workers run."""

    def __init__(self, text, folder):
        file = folder / "program.py"
        file.write_text(textwrap.dedent(text))
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.process = subprocess.Popen(
            [sys.executable, str(file), str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )
        self.ready = folder / "ready"
        assert wait_until(lambda: self.ready.exists() or self.process.poll() is not None, 30)
        assert self.process.poll() is None, self.process.stderr.read()
        self.workers = descendants(self.process.pid)

    def let_go(self):
        """Lets a program that holds itself up end."""
        (self.ready.parent / "go").touch()

    def ended_within(self, seconds):
        return wait_until(lambda: self.process.poll() is not None, seconds)

    def leaves_nothing(self):
        assert self.workers
        assert wait_until(lambda: not any(map(is_alive, self.workers)), 2), self.workers
        assert list(self.temporary.iterdir()) == []
        return True


BUSY = """
    import pathlib, sys, time
    import raceline

    folder = pathlib.Path(sys.argv[1])

    def work(batch):
        (folder / "ready").touch()
        {inside}
        return batch

    def hold():
        while not (folder / "go").exists():
            time.sleep(0.01)

    raceline.init(num_cpus=2, progress=False)
    dataset = raceline.range(100_000_000).map_batches(work, batch_size=1000)
    {consume}
"""


@pytest.mark.parametrize(
    "inside", ["time.sleep(60)", "sum(range(10**10))", "time.sleep(0.01)"], ids=str
)
@pytest.mark.parametrize("consume", ["dataset.count()", "dataset.write_parquet(folder / 'out')"])
def test_ctrl_c_ends_within_a_second_and_leaves_nothing(tmp_path, inside, consume):
    program = Program(BUSY.format(inside=inside, consume=consume), tmp_path)
    program.process.send_signal(signal.SIGINT)
    assert program.ended_within(2)
    assert "KeyboardInterrupt" in program.process.stderr.read()
    assert program.leaves_nothing()
    assert not list(tmp_path.rglob("*.parquet"))


def test_ctrl_c_in_the_user_s_own_loop(tmp_path):
    consume = "for row in dataset.iter_rows(): time.sleep(0.1)"
    program = Program(BUSY.format(inside="pass", consume=consume), tmp_path)
    program.process.send_signal(signal.SIGINT)
    assert program.ended_within(2)
    assert program.leaves_nothing()


def test_ctrl_c_sent_to_the_whole_group_ends_it_as_well(tmp_path):
    program = Program(BUSY.format(inside="time.sleep(60)", consume="dataset.count()"), tmp_path)
    for pid in [*program.workers, program.process.pid]:
        os.kill(pid, signal.SIGINT)
    assert program.ended_within(2)
    assert program.leaves_nothing()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_program_leaves_no_process(tmp_path, by):
    program = Program(BUSY.format(inside="time.sleep(60)", consume="dataset.count()"), tmp_path)
    program.process.send_signal(by)
    assert program.ended_within(2)
    assert wait_until(lambda: not any(map(is_alive, program.workers)), 3)


def commands(pids):
    """The names of processes."""
    files = [pathlib.Path(f"/proc/{pid}/comm") for pid in pids]
    return [file.read_text().strip() for file in files if file.exists()]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_a_function_starts_ends_with_the_program(tmp_path, by):
    inside = "import subprocess; subprocess.Popen(['sleep', '77']); time.sleep(60)"
    program = Program(BUSY.format(inside=inside, consume="dataset.count()"), tmp_path)
    assert wait_until(lambda: "sleep" in commands(descendants(program.process.pid)), 5)
    processes = descendants(program.process.pid)
    program.process.send_signal(by)
    assert program.ended_within(2)
    assert wait_until(lambda: not any(map(is_alive, processes)), 3), commands(processes)


def test_ctrl_c_can_be_caught_and_the_session_used_again(tmp_path):
    consume = """try:
        dataset.count()
    except KeyboardInterrupt:
        print(raceline.range(5).map_batches(lambda batch: dict(batch)).count())
    """
    program = Program(BUSY.format(inside="time.sleep(60)", consume=consume), tmp_path)
    program.process.send_signal(signal.SIGINT)
    assert program.ended_within(10)
    assert program.process.stdout.read() == "5\n"
    assert program.leaves_nothing()


TWO_RUNS = """
    import os, pathlib, signal, sys, time
    import raceline

    folder = pathlib.Path(sys.argv[1])

    def processes(batch):
        return {"template": [os.getppid()], "worker": [os.getpid()]}

    def run():
        [row] = raceline.range(1).map_batches(processes).take_all()
        return row["template"]

    raceline.init(num_cpus=2, progress=False)
    first = run()
    (folder / "ready").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    assert run() == first, "the template is kept from run to run"
    os.kill(first, signal.SIGKILL)
    while pathlib.Path(f"/proc/{first}").exists():
        time.sleep(0.001)
    print(run() != first, os.getpid() != first)
    time.sleep(0.5)
"""


def test_a_killed_template_is_replaced_in_the_next_run(tmp_path):
    program = Program(TWO_RUNS, tmp_path)
    program.let_go()
    assert program.ended_within(10)
    assert program.process.stdout.read() == "True True\n", program.process.stderr.read()
    assert program.leaves_nothing()


def test_a_program_that_ends_leaves_nothing(tmp_path):
    consume = "print(dataset.take(1)); hold()"
    program = Program(BUSY.format(inside="pass", consume=consume), tmp_path)
    program.let_go()
    assert program.ended_within(10)
    assert program.process.returncode == 0
    assert program.process.stderr.read() == ""
    assert program.leaves_nothing()


def test_an_unfinished_iterator_does_not_keep_a_program_alive(tmp_path):
    consume = "rows = iter(dataset.iter_rows()); print(next(rows)); hold()"
    program = Program(BUSY.format(inside="pass", consume=consume), tmp_path)
    program.let_go()
    assert program.ended_within(10)
    assert program.process.returncode == 0
    assert program.leaves_nothing()


def test_workers_print_to_stderr(tmp_path):
    inside = "print('from a worker', flush=True)"
    consume = "dataset.take(1); hold()"
    program = Program(BUSY.format(inside=inside, consume=consume), tmp_path)
    time.sleep(0.3)  # what a worker printed is on its way
    program.let_go()
    assert program.ended_within(10)
    assert "from a worker" in program.process.stderr.read()
    assert program.process.stdout.read() == ""


def test_main_is_not_imported_by_workers(tmp_path):
    (tmp_path / "main.py").write_text(
        "import raceline\nprint('main runs')\n"
        "def f(batch):\n    return {'x': [g(batch)]}\n"
        "def g(batch):\n    return len(batch['id'])\n"
        "print(raceline.range(7).map_batches(f).sum('x'))\n"
    )
    run = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, timeout=60
    )
    assert run.stdout == "main runs\n7\n", run.stderr


def test_functions_of_modules_beside_the_program_and_of_the_working_folder(tmp_path):
    (tmp_path / "beside.py").write_text("def f(row):\n    return {'x': open('data.txt').read()}\n")
    (tmp_path / "main.py").write_text(
        "import raceline, beside\nprint(raceline.range(1).map(beside.f).take_all())\n"
    )
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data.txt").write_text("found")
    run = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path / "elsewhere",
    )
    assert run.stdout == "[{'x': 'found'}]\n", run.stderr
