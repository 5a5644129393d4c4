"""Makes the data, the same on every machine, and keeps it in `benches/data`.

Every function returns the folder of a data set at a scale, 1.0 being the full size, and makes it at
the first call. Seeds are fixed, so that a folder can be deleted at any time; another edition of
this file keeps its data in a folder of its own.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_EDITION = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]

FOLDER = Path(__file__).parent.parent / "data" / _EDITION

#: Rows of a Parquet row group, as DuckDB writes them.
GROUP_ROWS = 122_880


def nothing(_variant: str, _scale: float) -> Path:
    """For workloads that read no data."""
    return FOLDER


def made(name: str, scale: float, fill: Callable[[Path], None]) -> Path:
    """The folder of a data set; `fill` writes into it when there is none yet."""
    folder = FOLDER / f"{name}-{scale:g}"
    if not folder.exists():
        # Renamed when it is whole: a run that is ended leaves nothing that looks finished.
        FOLDER.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".", dir=FOLDER))
        try:
            fill(unfinished)
            unfinished.rename(folder)
        except OSError:
            if not folder.exists():  # Else another process was faster.
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def wide_integers(scale: float) -> Path:
    """A random key and nine more random 64-bit integers a row, 1 GB in 32 files, with its number.

    The row of Ray Data's own out-of-core test.
    """
    return made("wide-integers", scale, lambda folder: _wide_integers(folder, scale))


def _wide_integers(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(5)
    files = 32
    rows = max(int(12_500_000 * scale) // files, 1)
    for number in range(files):
        columns = {"key": random.integers(-(1 << 62), 1 << 62, rows)}
        columns |= {f"value_{at}": random.integers(0, 1 << 62, rows) for at in range(8)}
        columns["row"] = np.arange(number * rows, (number + 1) * rows)
        pq.write_table(
            pa.table(columns),
            folder / f"{number:03}.parquet",
            row_group_size=GROUP_ROWS,
            compression="none",
            use_dictionary=False,
        )


def tpch(scale_factor: float) -> Path:
    """TPC-H: a folder a table; plain strings, decimals as doubles, eight files of large ones.

    Made by `tpchgen-cli` and written anew, as some engines cannot read the string views of its
    files. Doubles, as functions of Python would get a `Decimal` a value otherwise.
    """
    return made("tpch", scale_factor, lambda folder: _tpch(folder, scale_factor))


def _tpch(folder: Path, scale_factor: float) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    raw = folder / "raw"
    tool = Path(sys.executable).parent / "tpchgen-cli"
    command = [str(tool), "parquet", "-s", f"{scale_factor:g}", "-o", str(raw)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603
    for path in sorted(raw.rglob("*.parquet")):
        file = pq.ParquetFile(path)
        schema = pa.schema([pa.field(one.name, _plain(one.type)) for one in file.schema_arrow])
        target = folder / path.stem
        target.mkdir()
        parts = 8 if file.metadata.num_rows > 100_000 else 1
        rows = -(-file.metadata.num_rows // parts)
        table = file.read().cast(schema)
        for part in range(parts):
            pq.write_table(
                table.slice(part * rows, rows),
                target / f"{part}.parquet",
                row_group_size=GROUP_ROWS,
            )
    shutil.rmtree(raw)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that every engine reads."""
    import pyarrow as pa

    if pa.types.is_decimal(kind):
        return pa.float64()
    return pa.string() if pa.types.is_string_view(kind) else kind


def skewed_orders(scale: float) -> Path:
    """Keys and values, 6 million rows and 1.5 million; 20 % of the larger table on one key."""
    return made("skewed-orders", scale, lambda folder: _skewed_orders(folder, scale))


def _skewed_orders(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(8)
    orders, lines = max(int(1_500_000 * scale), 10), max(int(6_000_000 * scale), 40)
    keys = random.integers(0, orders, lines)
    keys[random.random(lines) < 0.2] = 7
    large = pa.table({"l_orderkey": keys, "l_extendedprice": random.integers(1, 100_000, lines)})
    small = pa.table(
        {
            "o_orderkey": random.permutation(orders),
            "o_custkey": random.integers(0, orders // 10, orders),
        }
    )
    _write_parts(large, folder / "lineitem", 8)
    _write_parts(small, folder / "orders", 8)


def _write_parts(table: pa.Table, folder: Path, parts: int) -> None:
    import pyarrow.parquet as pq

    folder.mkdir()
    rows = -(-table.num_rows // parts)
    for part in range(parts):
        path = folder / f"{part}.parquet"
        pq.write_table(table.slice(part * rows, rows), path, row_group_size=GROUP_ROWS)


def nested_orders(scale: float) -> Path:
    """Orders with their customer and up to seven lines as JSON, one a line; 560 MB in 8 files."""
    return made("nested-orders", scale, lambda folder: _nested_orders(folder, scale))


def _nested_orders(folder: Path, scale: float) -> None:
    import numpy as np

    random = np.random.default_rng(15)
    rows = max(int(1_000_000 * scale) // 8, 1)
    for number in range(8):
        with (folder / f"{number}.jsonl").open("w") as file:
            for first in range(number * rows, (number + 1) * rows, 10_000):
                count = min(10_000, (number + 1) * rows - first)
                # Drawn at once: a draw a value would take minutes.
                draws = random.integers(0, 1 << 40, (count, 36)).tolist()
                file.writelines(_order(first + at, iter(some)) for at, some in enumerate(draws))


_WORDS = ("furiously", "final", "packages", "sleep", "carefully", "pending", "deposits", "haggle")


def _order(key: int, draw: Iterator[int]) -> str:
    """A line of JSON."""
    customer = next(draw) % 150_000
    lines = [
        {
            "part": next(draw) % 200_000,
            "quantity": 1 + next(draw) % 50,
            "price": (100 + next(draw) % 10_000_000) / 100,
        }
        for _ in range(1 + next(draw) % 7)
    ]
    order = {
        "key": key,
        "status": "OFP"[next(draw) % 3],
        "customer": {
            "key": customer,
            "nation": next(draw) % 25,
            "name": f"Customer#{customer:09}",
        },
        "total": round(sum(line["price"] for line in lines), 2),
        "lines": lines,
        "comment": " ".join(_WORDS[next(draw) % 8] for _ in range(8)),
    }
    return json.dumps(order) + "\n"


def late_keys(scale: float) -> Path:
    """Mails as JSON lines; 1 % of the later ones have a key that no earlier one has."""
    return made("late-keys", scale, lambda folder: _late_keys(folder, scale))


def _late_keys(folder: Path, scale: float) -> None:
    rows = max(int(600_000 * scale), 200)
    with (folder / "mails.jsonl").open("w") as file:
        for number in range(rows):
            mail: dict[str, Any] = {"number": number, "score": number % 97 / 4}
            if number > rows // 2 and number % 100 == 0:
                mail["late"] = f"seen {number}"
            file.write(json.dumps(mail) + "\n")


def flights(scale: float) -> Path:
    """Flights as CSV: dates, missing numbers, quoted text with commas and quotes.

    10 million rows, 550 MB, in 16 files.
    """
    return made("flights", scale, lambda folder: _flights(folder, scale))


def _flights(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    from pyarrow import csv

    random = np.random.default_rng(16)
    rows = max(int(10_000_000 * scale) // 16, 4)
    carriers = np.array(["UA", "AA", "B6", "DL", "EV", "MQ", "US", "WN", "VX", "FL"])
    remarks = np.array(["late, again", 'said "no"', "fine", "as planned"])
    days = np.arange("2013-01-01", "2014-01-01", dtype="datetime64[D]").astype(str)
    for number in range(16):
        delays = random.integers(-30, 300, rows)
        table = pa.table(
            {
                "day": days[random.integers(0, 365, rows)],
                "carrier": carriers[random.integers(0, 10, rows)],
                "flight": random.integers(1, 9000, rows),
                "distance": random.integers(80, 4983, rows),
                "delay": pa.array(delays, mask=random.random(rows) < 0.02),
                "air_time": random.integers(20, 700, rows) / 4,
                "remark": remarks[random.integers(0, 4, rows)],
            }
        )
        csv.write_csv(table, folder / f"{number:02}.csv")


def features(scale: float) -> Path:
    """100 columns of 32-bit floats, 2.5 million rows, 1 GB in 16 Parquet files, and a label."""
    return made("features", scale, lambda folder: _features(folder, scale))


def _features(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(18)
    rows = max(int(2_500_000 * scale) // 16, 300)
    for number in range(16):
        columns = {f"f{at:02}": random.random(rows, dtype=np.float32) for at in range(100)}
        columns["row"] = np.arange(number * rows, (number + 1) * rows)
        path = folder / f"{number:02}.parquet"
        table = pa.table(columns)
        pq.write_table(table, path, row_group_size=32_768, compression="none", use_dictionary=False)


def kilobytes(scale: float) -> Path:
    """A number and about 1 KB of bytes a row, a million rows, 1 GB in 16 Parquet files."""
    return made("kilobytes", scale, lambda folder: _kilobytes(folder, scale))


def _kilobytes(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(20)
    rows = max(int(1_000_000 * scale) // 16, 100)
    for number in range(16):
        lengths = random.integers(900, 1100, rows)
        ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        data = random.integers(0, 256, int(ends[-1]), dtype=np.uint8)
        payload = pa.BinaryArray.from_buffers(
            pa.binary(), rows, [None, pa.py_buffer(ends), pa.py_buffer(data)]
        )
        ids = np.arange(number * rows, (number + 1) * rows)
        table = pa.table({"id": ids, "payload": payload})
        path = folder / f"{number:02}.parquet"
        pq.write_table(table, path, row_group_size=10_000, compression="none", use_dictionary=False)


def megabytes(scale: float) -> Path:
    """A number and 1 MB of bytes a row, 400 rows in 8 Parquet files."""
    return made("megabytes", scale, lambda folder: _megabytes(folder, scale))


def _megabytes(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(21)
    rows = max(int(400 * scale) // 8, 1)
    for number in range(8):
        payload = [random.bytes(1_000_000) for _ in range(rows)]
        ids = np.arange(number * rows, (number + 1) * rows)
        table = pa.table({"id": ids, "payload": pa.array(payload, pa.binary())})
        path = folder / f"{number}.parquet"
        pq.write_table(table, path, row_group_size=8, compression="none", use_dictionary=False)


def pictures(scale: float) -> Path:
    """JPEG files of 500 by 375 with smooth colours and some grain, 2,000 of about 87 kB.

    In `files`, and again as rows of `rows/*.parquet` with their paths.
    """
    return made("pictures", scale, lambda folder: _pictures(folder, scale))


def _pictures(folder: Path, scale: float) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    files, rows = folder / "files", folder / "rows"
    files.mkdir()
    rows.mkdir()
    random = np.random.default_rng(7)
    count = max(int(2_000 * scale), 16)
    for number in range(count):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        smooth = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        grain = random.normal(0, 14, (375, 500, 1))
        pixels = np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(files / f"{number:05}.jpg", quality=90)
    paths = sorted(files.iterdir())
    each = -(-count // 8)
    for part in range(0, count, each):
        some = paths[part : part + each]
        table = pa.table(
            {"name": [path.name for path in some], "bytes": [path.read_bytes() for path in some]}
        )
        pq.write_table(table, rows / f"{part:05}.parquet", row_group_size=64, compression="none")
