"""Files of lines, files as they are, and pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from raceline._optional import optional
from raceline.data.arrow_files.form import Form

__all__ = ["BytesForm", "ImageForm", "TextForm"]

# Characters, about, of the lines of a block.
_BLOCK_CHARACTERS = 4 * 2**20
# Modes of pictures that stay as they are.
_MODES = frozenset({"L", "LA", "RGB", "RGBA"})


class TextForm(Form):
    r"""One row a line, which ends with ``\n``, ``\r`` or ``\r\n``; column ``text``."""

    name = "Text"

    def __init__(self, encoding: str, *, drop_empty_lines: bool) -> None:
        """Takes how bytes are characters, and whether lines without any are left out."""
        self._encoding = encoding
        self._drops_empty = drop_empty_lines

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """The lines, some MiB at a time."""
        pa = optional("pyarrow")
        with io.TextIOWrapper(file, encoding=self._encoding) as text:
            while lines := text.readlines(_BLOCK_CHARACTERS):
                kept = [line.removesuffix("\n") for line in lines]
                if self._drops_empty:
                    kept = [line for line in kept if line]
                if kept:
                    yield pa.table({"text": pa.array(kept, pa.string())})


class BytesForm(Form):
    """One row a file; column ``bytes``."""

    name = "Binary"

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """The one row."""
        pa = optional("pyarrow")
        content = file.read()
        kind = pa.binary() if len(content) < 2**31 else pa.large_binary()
        yield pa.table({"bytes": pa.array([content], kind)})


class ImageForm(Form):
    """One picture a file; column ``image``."""

    name = "Images"

    def __init__(self, size: tuple[int, int] | None, mode: str | None) -> None:
        """Takes height and width to resize to, and the pixels to convert to."""
        self._size = size
        self._mode = mode

    def blocks(self, file: Any, schema: Any) -> Iterator[Any]:
        """The one row."""
        import numpy as np

        images = optional("PIL.Image")
        with images.open(io.BytesIO(file.read())) as image:
            pixels = image.convert(self._mode or self._own_mode(image))
        if self._size is not None:
            height, width = self._size
            pixels = pixels.resize((width, height), images.Resampling.BILINEAR)
        array = np.asarray(pixels)
        if array.ndim == 2:
            array = array[..., np.newaxis]
        yield {"image": array[np.newaxis]}

    @staticmethod
    def _own_mode(image: Any) -> str:
        """The mode of a picture, or the nearest one of 8 bits a channel."""
        if image.mode in _MODES:
            return str(image.mode)
        if image.mode == "1" or image.mode.startswith("I"):
            return "L"
        return "RGBA" if "transparency" in image.info else "RGB"
