"""Makes the data of the workloads over tables: as `datasets`, in an edition of its own."""

from __future__ import annotations

import hashlib
from pathlib import Path

from suite.datasets import GROUP_ROWS, made

_EDITION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def keyed(rows: int) -> Path:
    """A key of a thousand and one of a million, a value, a flag and a word a row, in 8 files.

    The folder has `rows`, and `names`, a row for each of the million keys there may be.
    """
    return made(f"keyed-{_EDITION}", rows, lambda folder: _keyed(folder, rows))


def _keyed(folder: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(24)
    words = np.array([f"word {at}" for at in range(100)])
    keys = max(rows // 5, 8)
    parts = {
        "rows": {
            "few": random.integers(0, 1000, rows),
            "many": random.integers(0, keys, rows),
            "value": np.round(random.random(rows) * 1000, 3),
            "flag": random.integers(0, 2, rows),
            "word": words[random.integers(0, 100, rows)],
            "id": random.permutation(rows),
        },
        "names": {"many": random.permutation(keys), "name": random.integers(0, 50, keys)},
    }
    for name, columns in parts.items():
        target = folder / name
        target.mkdir()
        table = pa.table(columns)
        each = -(-table.num_rows // 8)
        for part in range(8):
            path = target / f"{part}.parquet"
            pq.write_table(table.slice(part * each, each), path, row_group_size=GROUP_ROWS)


def many_columns(rows: int, columns: int) -> Path:
    """So many columns of small 32-bit integers, `c0` and on, in 4 Parquet files."""
    name = f"many-columns-{_EDITION}-{columns}"
    return made(name, rows, lambda folder: _many_columns(folder, rows, columns))


def _many_columns(folder: Path, rows: int, columns: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(25)
    for part in range(4):
        many = max(rows // 4, 1)
        table = pa.table(
            {f"c{at}": random.integers(0, 16, many, dtype=np.int32) for at in range(columns)}
        )
        pq.write_table(table, folder / f"{part}.parquet", row_group_size=25_000)


def many_files(files: int) -> Path:
    """So many Parquet files of a thousand rows: a number, a value and a word."""
    return made(f"many-files-{_EDITION}", files, lambda folder: _many_files(folder, files))


def _many_files(folder: Path, files: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(26)
    words = np.array(["some", "of", "these", "words"])
    for number in range(files):
        columns = {
            "id": np.arange(number * 1000, (number + 1) * 1000),
            "value": random.random(1000),
            "word": words[random.integers(0, 4, 1000)],
        }
        pq.write_table(pa.table(columns), folder / f"{number:05}.parquet")


def tensors(rows: int) -> Path:
    """A label and a tensor of 3 by 32 by 32 32-bit floats a row, 12 KB, in 16 Parquet files."""
    return made(f"tensors-{_EDITION}", rows, lambda folder: _tensors(folder, rows))


def _tensors(folder: Path, rows: int) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(27)
    each = max(rows // 16, 20)
    for number in range(16):
        values = random.random((each, 3, 32, 32), dtype=np.float32)
        pixels = pa.FixedShapeTensorArray.from_numpy_ndarray(values)
        labels = pa.array(np.arange(number * each, (number + 1) * each))
        table = pa.table({"label": labels, "pixels": pixels})
        path = folder / f"{number:02}.parquet"
        pq.write_table(table, path, row_group_size=512, compression="none", use_dictionary=False)
