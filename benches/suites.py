"""The suites: what is run, and which ratios matter."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from measure import Measurement, run
from pictures import make

#: Raw measurements by name, and ratios by name.
Outcome = tuple[dict[str, list[Measurement]], dict[str, float]]

COMPILER_OFF = {"RACELINE_LAMBDA": "off"}
# All columns cross to the worker, though the function looks at none.
ALL_CROSS = {"RACELINE_LIVENESS": "off"}


def best(runs: list[Measurement]) -> float:
    """The least time that the program's main part took."""
    return min(measurement.inner_seconds for measurement in runs)


def peak(runs: list[Measurement]) -> int:
    """The most memory that was seen."""
    return max(measurement.peak_bytes for measurement in runs)


def front_page(scale: float) -> Outcome:
    """10 million rows through lambdas."""
    rows = int(10_000_000 * scale)
    few, many = rows // 100, rows // 10
    runs = {
        "raceline compiled": [run("front_page", "raceline", rows) for _ in range(5)],
        "raceline in processes": [
            run("front_page", "raceline", rows, env=COMPILER_OFF) for _ in range(3)
        ],
        "two CPython processes": [run("front_page", "python", rows) for _ in range(3)],
        "daft": [run("front_page", "daft", rows) for _ in range(2)],
        "ray, a hundredth of the rows": [run("front_page", "ray", few) for _ in range(2)],
        "ray, a tenth of the rows": [run("front_page", "ray", many) for _ in range(2)],
    }
    answers = {runs[name][0].answer for name in ("raceline compiled", "raceline in processes")}
    if len(answers) != 1:
        raise RuntimeError(f"the compiler changes the answer: {sorted(answers)}")
    compiled = best(runs["raceline compiled"])
    processes = best(runs["raceline in processes"])
    floor = best(runs["two CPython processes"])
    small, large = (best(runs[f"ray, a {part} of the rows"]) for part in ("hundredth", "tenth"))
    slope = max(large - small, 0.0) / (many - few)
    whole_ray = small + slope * (rows - few)
    return runs, {
        "compiled / two CPython processes (at most 0.2)": compiled / floor,
        "in processes / two CPython processes (at most 1.3)": processes / floor,
        "daft / compiled": best(runs["daft"]) / compiled,
        "daft / in processes (at least 3)": best(runs["daft"]) / processes,
        "ray, extrapolated from a tenth / compiled (at least 100)": whole_ray / compiled,
        "ray, extrapolated from a tenth / in processes (at least 3)": whole_ray / processes,
    }


def start(scale: float) -> Outcome:
    """Import, and import to the first rows. Its size is fixed: `scale` cuts the repeats."""
    repeats = max(int(20 * scale), 3)
    runs = {
        what: [run("start", what) for _ in range(repeats)]
        for what in ("numpy", "raceline", "compiled", "process")
    }
    numpy = best(runs["numpy"])
    return runs, {
        "import raceline / import numpy (at most 0.5)": best(runs["raceline"]) / numpy,
        "first take(5), compiled / import numpy (at most 2)": best(runs["compiled"]) / numpy,
        "first take(5), in a process / import numpy (at most 5)": best(runs["process"]) / numpy,
    }


def memory(scale: float) -> Outcome:
    """Peak of all processes as the rows grow tenfold; samples can only miss some of it."""
    rows = int(10_000_000 * scale)
    runs: dict[str, list[Measurement]] = {}
    ratios = {}
    for mode, env in (("compiled", {}), ("in processes", COMPILER_OFF)):
        few = [run("front_page", "raceline", rows, env=env) for _ in range(5)]
        many = [run("front_page", "raceline", rows * 10, env=env) for _ in range(5)]
        runs |= {f"{mode}, {rows} rows": few, f"{mode}, {rows * 10} rows": many}
        ratios[f"{mode}: peak at ten times the rows (at most 1.1)"] = peak(many) / peak(few)
    return runs, ratios


def images(scale: float) -> Outcome:
    """2,000 JPEG files to Parquet."""
    count = int(2_000 * scale)
    folder = make(Path("benches/data") / f"jpeg-{count}", count)
    runs: dict[str, list[Measurement]] = {"raceline": [], "ray": []}
    for engine, kept in runs.items():
        for _ in range(2):
            with tempfile.TemporaryDirectory() as target:
                kept.append(run("images", engine, folder, Path(target) / "out"))
    if len({kept.answer for all_kept in runs.values() for kept in all_kept}) != 1:
        raise RuntimeError("the engines wrote different numbers of pictures")
    return runs, {"ray / raceline (at least 2)": best(runs["ray"]) / best(runs["raceline"])}


def actors(scale: float) -> Outcome:
    """An actor pool behind JPEG files, against the files alone."""
    count = int(2_000 * scale)
    folder = make(Path("benches/data") / f"jpeg-{count}", count)
    runs = {
        what: [run("pool_images", what, folder) for _ in range(5)] for what in ("floor", "pool")
    }
    return runs, {
        "files alone / with a pool (at least 0.9)": best(runs["floor"]) / best(runs["pool"])
    }


def functions(scale: float) -> Outcome:
    """What it costs to run a function in a worker."""
    size, count = max(int(8_192 * scale), 64), max(int(20_000 * scale), 100)
    runs = {
        what: [run("functions", *what.split(), env=ALL_CROSS) for _ in range(5)]
        for what in (
            f"copy {size}",
            f"identity float64 {size}",
            f"identity tensor {size}",
            f"ping {count}",
            f"calls {count}",
            "pool",
            "busy 8 0.005",
            "busy 2000000 0.005",
            "busy 16000000 0.03",
        )
    }
    numpy = best([run("start", "numpy") for _ in range(5)])
    floor = best(runs[f"copy {size}"])
    busy = {what: kept for what, kept in runs.items() if what.startswith("busy")}
    return runs, {
        "float64: speed / memcpy (at least 0.2)": floor / best(runs[f"identity float64 {size}"]),
        "tensor: speed / memcpy (at least 0.15)": floor / best(runs[f"identity tensor {size}"]),
        "a batch of one row / socket ping-pong (at most 3)": (
            best(runs[f"calls {count}"]) / best(runs[f"ping {count}"])
        ),
        "4 workers at work, cold / import numpy (at most 1)": best(runs["pool"]) / numpy,
    } | {
        f"{what}: part of its time (at least 0.97)": median(one.inner_seconds for one in kept)
        for what, kept in busy.items()
    }


SUITES: dict[str, Callable[[float], Outcome]] = {
    "front-page": front_page,
    "start": start,
    "memory": memory,
    "images": images,
    "actors": actors,
    "functions": functions,
}
