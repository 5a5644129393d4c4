"""9: JPEG files to an actor pool: decode, resize, a stub of a model, Parquet."""

from __future__ import annotations

import time
from typing import Any

from suite import engines
from suite.cells import Answer, Goal, Task, Workload
from suite.datasets import pictures

BATCH_ROWS = 32

workload = Workload(
    number=9,
    name="images",
    question=(
        "2,000 JPEG pictures of 500 by 375, as files and as a column of Parquet files: decode, "
        "resize to 224 by 224, an actor pool of two with a stub model of 1 ms a batch, Parquet. "
        "`python` is Pillow in two bare processes, without the rest."
    ),
    variants=("files", "rows"),
    data=lambda _variant, scale: pictures(scale),
    goals=(
        Goal("files, of Ray Data", "files", 0.5, against=("ray",)),
        Goal("rows, of Ray Data", "rows", 0.5, against=("ray",)),
        Goal("files, of two processes of Pillow", "files", 1.25, against=("python",)),
    ),
    budget_seconds=60.0,
)


class Stub:
    """A model of 1 ms a batch. Its label does not depend on how a resizer rounds."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """The mean brightness of each picture, in steps of 32."""
        import numpy as np

        ends = time.perf_counter() + 0.001
        pixels = np.asarray(batch["image"])
        labels = pixels.shape[1] + np.zeros(len(pixels), np.int64)
        while time.perf_counter() < ends:
            pass
        return {"side": labels}


def small(data: bytes) -> Any:
    """A picture's pixels at 224 by 224."""
    import io

    import numpy as np
    from PIL import Image

    picture = Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(picture.resize((224, 224), Image.Resampling.BILINEAR))


def decode(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch of files' bytes as pixels."""
    import numpy as np

    return {"image": np.stack([small(data) for data in batch["bytes"]])}


@workload.cell("raceline", variants=("files",))
def raceline_files(task: Task) -> Answer:
    """`read_images` decodes and resizes."""
    rl = engines.raceline(task)
    with task.clock():
        images = rl.data.read_images(str(task.data / "files"), mode="RGB", size=(224, 224))
        labels = images.map_batches(Stub, batch_size=BATCH_ROWS, concurrency=2)
        labels.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("ray", variants=("files",))
def ray_files(task: Task) -> Answer:
    """`read_images` decodes and resizes. Actors of a whole CPU each would leave it none to read."""
    module = engines.ray(task)
    with task.clock():
        images = module.data.read_images(str(task.data / "files"), mode="RGB", size=(224, 224))
        labels = images.map_batches(Stub, batch_size=BATCH_ROWS, concurrency=2, num_cpus=0.5)
        labels.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("raceline", variants=("rows",))
def raceline_rows(task: Task) -> Answer:
    """Pillow decodes in a function."""
    rl = engines.raceline(task)
    with task.clock():
        rows = rl.data.read_parquet(str(task.data / "rows"), columns=["bytes"])
        images = rows.map_batches(decode, batch_size=BATCH_ROWS)
        labels = images.map_batches(Stub, batch_size=BATCH_ROWS, concurrency=2)
        labels.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("ray", variants=("rows",))
def ray_rows(task: Task) -> Answer:
    """The same program."""
    module = engines.ray(task)
    with task.clock():
        rows = module.data.read_parquet(str(task.data / "rows"), columns=["bytes"])
        images = rows.map_batches(decode, batch_size=BATCH_ROWS)
        labels = images.map_batches(Stub, batch_size=BATCH_ROWS, concurrency=2, num_cpus=0.5)
        labels.write_parquet(str(task.out / "rows"))
    return None


@workload.cell("daft")
def daft(task: Task) -> Answer:
    """Its image expressions, and a class with a batch method, two at a time."""
    module = engines.daft(task)

    @module.cls(max_concurrency=2)
    class Model:
        @module.method.batch(return_dtype=module.DataType.int64(), batch_size=BATCH_ROWS)
        def side(self, images: Any) -> Any:
            import numpy as np

            return Stub()({"image": np.stack(images.to_pylist())})["side"]

    model = Model()
    with task.clock():
        if task.variant == "files":
            paths = module.from_glob_path(str(task.data / "files" / "*.jpg"))
            data = paths.select(module.col("path").download().alias("bytes"))
        else:
            data = module.read_parquet(str(task.data / "rows" / "*.parquet")).select("bytes")
        images = module.col("bytes").decode_image(mode="RGB").resize(224, 224)
        labels = data.select(model.side(images).alias("side"))
        labels.write_parquet(str(task.out / "rows"))
    return None


def _count(paths: list[str]) -> int:
    from pathlib import Path

    return sum(small(Path(path).read_bytes()).shape[0] == 224 for path in paths)


@workload.cell("python", variants=("files",), checked=False)
def python(task: Task) -> Answer:
    """Read, decode and resize in two bare processes."""
    from multiprocessing import get_context

    paths = sorted(str(path) for path in (task.data / "files").iterdir())
    with task.clock(), get_context("fork").Pool(2) as pool:
        count = sum(pool.map(_count, [paths[0::2], paths[1::2]]))
    return [(count,)]
