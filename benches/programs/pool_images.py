"""JPEG files, decoded and resized, then an actor pool: `pool_images.py floor|pool FOLDER`.

`floor` only reads: what the machine needs to decode and resize. `pool` puts an actor pool of two
with a stub model, which computes for 1 ms a batch, behind it.
"""

import sys
import time
from typing import Any

import numpy as np

BATCH_ROWS = 32


class Stub:
    """A model of 1 ms a batch."""

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, Any]:
        """One label a picture."""
        ends = time.perf_counter() + 0.001
        labels = batch["image"][:, 0, 0, 0]
        while time.perf_counter() < ends:
            pass
        return {"label": labels}


def main(what: str, folder: str) -> tuple[float, int]:
    """Returns the seconds of the second pass, and its rows: the first one warms the files up."""
    import raceline

    raceline.init(progress=False)
    pictures = raceline.data.read_images(folder, mode="RGB", size=(224, 224))
    if what == "pool":
        pictures = pictures.map_batches(Stub, batch_size=BATCH_ROWS, concurrency=2)
    for _ in range(2):
        started = time.perf_counter()
        batches = pictures.iter_batches(batch_size=None, batch_format="pyarrow")
        rows = sum(batch.num_rows for batch in batches)
        seconds = time.perf_counter() - started
    return seconds, rows


if __name__ == "__main__":
    seconds, answer = main(*sys.argv[1:])
    sys.stdout.write(f"{seconds} {answer}\n")
