"""JPEG files, read, decoded, resized in a function, written: `images.py ENGINE FOLDER TARGET`."""

import sys
import time
from typing import Any

import numpy as np


def resize(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """Each picture at 224 by 224."""
    from PIL import Image

    bilinear = Image.Resampling.BILINEAR
    small = [np.asarray(Image.fromarray(i).resize((224, 224), bilinear)) for i in batch["image"]]
    return {"image": np.stack(small)}


def main(engine: str, folder: str, target: str) -> tuple[float, int]:
    """Returns the seconds it took once the engine had started, and the pictures written."""
    if engine == "raceline":
        import raceline as ray

        ray.init(progress=False)
    else:
        import ray

        ray.init(logging_level="ERROR", log_to_driver=False)
        ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.perf_counter()
    read = ray.data.read_images(folder, mode="RGB")
    read.map_batches(resize, batch_size=32).write_parquet(target)
    seconds = time.perf_counter() - started
    return seconds, ray.data.read_parquet(target).count()


if __name__ == "__main__":
    seconds, answer = main(*sys.argv[1:])
    sys.stdout.write(f"{seconds} {answer}\n")
