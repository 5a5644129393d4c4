"""The template process: ``python -m raceline._worker``, started by the engine.

It imports what every function needs, and NumPy as soon as a function is planned that surely needs
it, runs no user code and has one thread. For each worker that the engine asks for it forks itself;
the fork serves batches until the engine ends it.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raceline._native import WorkerRequest, WorkerTemplate

# One worker is one CPU: libraries must not start a thread for each core.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def main() -> None:
    """Forks workers until the engine is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for variable in _THREAD_VARIABLES:
        os.environ.setdefault(variable, "1")

    # What is loaded here stays: no collection looks at it, nor copies its pages in a fork.
    gc.disable()
    import cloudpickle  # noqa: F401  # loaded here once, for all forks

    from raceline import _chain  # noqa: F401
    from raceline._native import WorkerTemplate

    template = WorkerTemplate()
    gc.freeze()
    while (request := template.next_request()) is not None:
        _load(request.preloads)
        if not request.forks:
            continue
        try:
            pid = os.fork()
        except OSError as error:
            template.report_failure(request, error.errno or 0)
            continue
        if pid == 0:
            _work(template, request)
        template.report(request, pid)


def _load(modules: list[str]) -> None:
    """Imports what all workers have from now on."""
    missing = [name for name in modules if name not in sys.modules]
    for name in missing:
        importlib.import_module(name)
    if missing:
        gc.freeze()


def _work(template: WorkerTemplate, request: WorkerRequest) -> None:
    """Runs the worker; does not return."""
    status = 1
    try:
        gc.enable()
        os.environ.update(request.env)
        # Forks of one process would all draw the same random numbers.
        if (random := sys.modules.get("numpy.random")) is not None:
            random.seed()
        template.serve(request)
        status = 0
    except BaseException:  # noqa: BLE001  # the process ends here
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    # Output goes to the engine line by line.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The program waits for the end of this process, which has nothing to tidy up.
    os._exit(0)
