"""How files become rows: by the engine, or by PyArrow where options ask for it."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raceline._optional import optional
from raceline.errors import PlanError

if TYPE_CHECKING:
    from raceline.data.arrow_files.form import Form
    from raceline.data.dataset import Dataset
    from raceline.data.file_selection import Files

__all__ = [
    "CsvOptions",
    "CsvReading",
    "bytes_form",
    "image_form",
    "json_form",
    "read_rows",
    "text_form",
]


@dataclass(frozen=True, slots=True)
class CsvReading:
    """How comma-separated values become rows.

    Attributes:
        by_arrow: Makes how PyArrow reads a file.
        by_engine: What the engine is told.
        needs_arrow: Whether only PyArrow does what is asked for.
    """

    by_arrow: Callable[[], Form]
    by_engine: dict[str, Any]
    needs_arrow: bool


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """Options of ``pyarrow.csv``, or None."""

    read: Any
    parse: Any
    convert: Any

    def form(self, delimiter: str, quote: str, *, has_header: bool) -> CsvReading:
        """How files become rows.

        Args:
            delimiter: Separator where no options are given.
            quote: Quotation mark, likewise.
            has_header: Whether the first line names the columns, likewise.

        Raises:
            PlanError: Something is not of ``pyarrow.csv``, or asks for what another argument says.
        """
        checked_options("csv", read_options=self.read, convert_options=self.convert)
        checked_options("csv", parse_options=self.parse)
        if self.parse is not None and (delimiter, quote) != (",", '"'):
            raise PlanError("pass either `parse_options` or `delimiter` and `quote`, not both")
        if self.read is not None and not has_header:
            raise PlanError("pass either `read_options` or `has_header`, not both")
        plain = self.plain_parse(delimiter, quote)
        needs_arrow = plain is None or self.read is not None or self.convert is not None
        by_engine = dict(plain or {}) | {"has_header": has_header}

        def by_arrow() -> Form:
            from raceline.data.arrow_files.tables import CsvForm

            csv = optional("pyarrow.csv")
            parse = self.parse or csv.ParseOptions(
                delimiter=delimiter, quote_char=quote, newlines_in_values=True
            )
            header = has_header if self.read is None else None
            is_plain = self.read is None and self.convert is None and self.parse is None
            convert = None if is_plain else self.convert or csv.ConvertOptions()
            return CsvForm(self.read, parse, convert, has_header=header)

        return CsvReading(by_arrow, by_engine, needs_arrow)

    def plain_parse(self, delimiter: str, quote: str) -> dict[str, str] | None:
        """Delimiter and quotation mark; None where PyArrow is asked for more."""
        if self.parse is None:
            return {"delimiter": delimiter, "quote": quote}
        parse = self.parse
        plain = optional("pyarrow.csv").ParseOptions(
            delimiter=parse.delimiter,
            quote_char=parse.quote_char,
            # The engine finds line breaks in values, and in their absence nothing differs.
            newlines_in_values=parse.newlines_in_values,
        )
        marks = (parse.delimiter, parse.quote_char)
        is_plain = parse.equals(plain) and parse.invalid_row_handler is None
        if not is_plain or not all(isinstance(mark, str) and mark.isascii() for mark in marks):
            return None
        return {"delimiter": parse.delimiter, "quote": parse.quote_char}


def json_form(read: Any, parse: Any) -> tuple[Callable[[], Form], bool]:
    """How files of JSON become rows, and whether only PyArrow does what is asked for.

    Raises:
        PlanError: Something is not of ``pyarrow.json``.
    """
    checked_options("json", read_options=read, parse_options=parse)

    def by_arrow() -> Form:
        from raceline.data.arrow_files.tables import JsonForm

        return JsonForm(read, parse)

    return by_arrow, read is not None or parse is not None


def text_form(encoding: str, *, drop_empty_lines: bool) -> tuple[Callable[[], Form], bool]:
    """How files of text become rows, and whether the engine does not know the encoding.

    Raises:
        PlanError: There is no such encoding of text.
    """
    try:
        found = codecs.lookup(encoding)
        is_text = getattr(found, "_is_text_encoding", True)
    except (LookupError, TypeError, ValueError):
        is_text = False
    if not is_text:
        raise PlanError(
            f"there is no encoding `{encoding!r}`", hint='for example "utf-8", "latin-1", "cp1252"'
        )

    def by_arrow() -> Form:
        from raceline.data.arrow_files.objects import TextForm

        return TextForm(encoding, drop_empty_lines=drop_empty_lines)

    return by_arrow, found.name != "utf-8"


def bytes_form() -> Form:
    """How whole files become rows."""
    from raceline.data.arrow_files.objects import BytesForm

    return BytesForm()


def image_form(size: tuple[int, int] | None, mode: str | None) -> Callable[[], Form]:
    """How pictures become rows."""

    def by_arrow() -> Form:
        from raceline.data.arrow_files.objects import ImageForm

        return ImageForm(size, mode)

    return by_arrow


def read_rows(
    files: Files, columns: Sequence[str] | None, rows: Any, declared: dict[str, Any]
) -> Dataset:
    """The dataset of those rows of Parquet files that a filter takes.

    Args:
        files: The files.
        columns: Columns to read, in this order, before that of the paths; None reads all.
        rows: An expression of ours or of PyArrow, or None.
        declared: Columns that the user declares, as the engine takes them.

    Raises:
        PlanError: ``rows`` is no expression.
    """
    from raceline.data.arrow_filter import ArrowFilter, arrow_filter
    from raceline.data.expressions import Expr

    if columns is not None and files.include_paths and "path" not in columns:
        columns = [*columns, "path"]

    def read(names: Sequence[str] | None, by_arrow: ArrowFilter | None) -> Dataset:
        def form() -> Form:
            from raceline.data.arrow_files.tables import ParquetForm

            return ParquetForm(names, by_arrow)

        needs_arrow = by_arrow is not None
        return files.read("parquet", form, needs_arrow=needs_arrow, columns=names, **declared)

    if rows is None:
        dataset = read(columns, None)
        if not files.are_foreign():
            return dataset
    elif isinstance(rows, Expr):
        dataset = read(None, None).filter(expr=rows)
    else:
        found = arrow_filter(rows)
        translated = None if files.are_foreign() else found.translated(read(None, None))
        if translated is not None:
            dataset = read(None, None).filter(expr=translated)
        else:
            is_part = columns is not None and found.fields is not None
            dataset = read([*(columns or ()), *(found.fields or ())] if is_part else None, found)
    return dataset if columns is None else dataset.select_columns(list(columns))


def checked_options(module: str, **given: Any) -> None:
    """Refuses options that are not of a module of PyArrow.

    Raises:
        PlanError: One is something else.
    """
    for name, value in given.items():
        kind = "".join(word.capitalize() for word in name.split("_"))
        if value is not None and type(value).__name__ != kind:
            raise PlanError(
                f"`{name}` must be `pyarrow.{module}.{kind}`, got `{type(value).__name__}`"
            )
