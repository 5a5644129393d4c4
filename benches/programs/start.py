"""From nothing to the first rows: `start.py numpy|raceline|compiled|process`."""

import sys
import time

started = time.perf_counter()
what = sys.argv[1]
answer: object = "imported"
if what == "numpy":
    import numpy  # noqa: F401
elif what == "raceline":
    import raceline
else:
    import raceline

    raceline.init(progress=False)
    factor = [2]  # Changeable, so that a function which reads it is not compiled.
    if what == "compiled":
        answer = raceline.data.range(1000).map(lambda row: {"value": row["id"] * 2}).take(5)
    else:
        answer = raceline.data.range(1000).map(lambda row: {"value": row["id"] * factor[0]}).take(5)
sys.stdout.write(f"{time.perf_counter() - started} {answer}\n")
