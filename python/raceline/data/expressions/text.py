"""Functions of texts: ``col(...).str``.

They are PyArrow's: positions are in code points, except those of ``byte_len``, ``find`` and
``find_regex``, which are in bytes. Regular expressions are those of RE2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from raceline.data.expressions.patterns import Patterns

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["StringNamespace"]


class StringNamespace(Patterns):
    """Functions of texts; of a missing one the result is missing."""

    __slots__ = ()

    def len(self) -> Expr:
        """Number of code points.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "naïve"}])
            >>> rows.with_column("s", col("s").str.len()).take_all()
            [{'s': 5}]
        """
        return self._call("len")

    def byte_len(self) -> Expr:
        """Number of bytes, of a text as UTF-8 or of a binary value.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "naïve"}])
            >>> rows.with_column("s", col("s").str.byte_len()).take_all()
            [{'s': 6}]
        """
        return self._call("byte_len")

    def upper(self) -> Expr:
        """In upper case, each code point by itself.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "aß"}])
            >>> rows.with_column("s", col("s").str.upper()).take_all()
            [{'s': 'Aẞ'}]
        """
        return self._call("upper")

    def lower(self) -> Expr:
        """In lower case, each code point by itself.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "AB"}])
            >>> rows.with_column("s", col("s").str.lower()).take_all()
            [{'s': 'ab'}]
        """
        return self._call("lower")

    def capitalize(self) -> Expr:
        """The first code point in upper case, all others in lower case.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "hELLO you"}])
            >>> rows.with_column("s", col("s").str.capitalize()).take_all()
            [{'s': 'Hello you'}]
        """
        return self._call("capitalize")

    def title(self) -> Expr:
        """Each word with its first letter in upper case and all others in lower case.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "hELLO you"}])
            >>> rows.with_column("s", col("s").str.title()).take_all()
            [{'s': 'Hello You'}]
        """
        return self._call("title")

    def swapcase(self) -> Expr:
        """Upper case as lower case, and the other way round.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "aB"}])
            >>> rows.with_column("s", col("s").str.swapcase()).take_all()
            [{'s': 'Ab'}]
        """
        return self._call("swapcase")

    def reverse(self) -> Expr:
        """The code points from the last to the first.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abc"}])
            >>> rows.with_column("s", col("s").str.reverse()).take_all()
            [{'s': 'cba'}]
        """
        return self._call("reverse")

    def is_alpha(self) -> Expr:
        """Whether there are code points, and all are letters.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.is_alpha()).take_all()
            [{'s': True}]
        """
        return self._call("is_alpha")

    def is_alnum(self) -> Expr:
        """Whether there are code points, and all are letters or numbers.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a1"}])
            >>> rows.with_column("s", col("s").str.is_alnum()).take_all()
            [{'s': True}]
        """
        return self._call("is_alnum")

    def is_digit(self) -> Expr:
        """Whether there are code points, and all are decimal digits.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "12"}])
            >>> rows.with_column("s", col("s").str.is_digit()).take_all()
            [{'s': True}]
        """
        return self._call("is_digit")

    def is_decimal(self) -> Expr:
        """Whether there are code points, and all are decimal digits.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "1.2"}])
            >>> rows.with_column("s", col("s").str.is_decimal()).take_all()
            [{'s': False}]
        """
        return self._call("is_decimal")

    def is_numeric(self) -> Expr:
        """Whether there are code points, and all are numbers, such as fractions.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "½"}])
            >>> rows.with_column("s", col("s").str.is_numeric()).take_all()
            [{'s': True}]
        """
        return self._call("is_numeric")

    def is_space(self) -> Expr:
        r"""Whether there are code points, and all are white space.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": " \t"}])
            >>> rows.with_column("s", col("s").str.is_space()).take_all()
            [{'s': True}]
        """
        return self._call("is_space")

    def is_lower(self) -> Expr:
        """Whether there are letters with case, and all are in lower case.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab1"}])
            >>> rows.with_column("s", col("s").str.is_lower()).take_all()
            [{'s': True}]
        """
        return self._call("is_lower")

    def is_upper(self) -> Expr:
        """Whether there are letters with case, and all are in upper case.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "aB"}])
            >>> rows.with_column("s", col("s").str.is_upper()).take_all()
            [{'s': False}]
        """
        return self._call("is_upper")

    def is_title(self) -> Expr:
        """Whether there are words, and each begins in upper case and goes on in lower case.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "Hello You"}])
            >>> rows.with_column("s", col("s").str.is_title()).take_all()
            [{'s': True}]
        """
        return self._call("is_title")

    def is_printable(self) -> Expr:
        r"""Whether all code points can be printed; true of the empty text.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a\n"}])
            >>> rows.with_column("s", col("s").str.is_printable()).take_all()
            [{'s': False}]
        """
        return self._call("is_printable")

    def is_ascii(self) -> Expr:
        """Whether all code points are those of ASCII; true of the empty text.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "é"}])
            >>> rows.with_column("s", col("s").str.is_ascii()).take_all()
            [{'s': False}]
        """
        return self._call("is_ascii")

    def slice(self, start: int = 0, stop: int | None = None, step: int = 1) -> Expr:
        """The code points from ``start`` to before ``stop``, as Python slices.

        Args:
            start: The first; negative ones count from the end.
            stop: The one behind the last; None is the end.
            step: How far apart they are.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abcd"}])
            >>> rows.with_column("s", col("s").str.slice(1, 3)).take_all()
            [{'s': 'bc'}]
        """
        return self._call("slice", start=start if step > 0 or start else None, stop=stop, step=step)

    def replace_slice(self, start: int, stop: int, replacement: str) -> Expr:
        """With the code points from ``start`` to before ``stop`` replaced.

        Args:
            start: The first; negative ones count from the end.
            stop: The one behind the last.
            replacement: What stands there instead.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abcd"}])
            >>> rows.with_column("s", col("s").str.replace_slice(1, 3, "--")).take_all()
            [{'s': 'a--d'}]
        """
        return self._call("replace_slice", start=start, stop=stop, replacement=replacement)

    def repeat(self, n: int) -> Expr:
        """The text ``n`` times.

        Args:
            n: How often.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.repeat(3)).take_all()
            [{'s': 'ababab'}]
        """
        return self._call("repeat", n=n)

    def center(self, width: int, padding: str = " ") -> Expr:
        """Filled on both sides up to a width; an odd one more goes to the right.

        Args:
            width: Code points that it has at least.
            padding: One code point.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.center(5, "*")).take_all()
            [{'s': '*ab**'}]
        """
        return self._call("center", width=width, padding=padding)

    def lpad(self, width: int, padding: str = " ") -> Expr:
        """Filled on the left up to a width.

        Args:
            width: Code points that it has at least.
            padding: One code point.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "17"}])
            >>> rows.with_column("s", col("s").str.lpad(4, "0")).take_all()
            [{'s': '0017'}]
        """
        return self._call("lpad", width=width, padding=padding)

    def rpad(self, width: int, padding: str = " ") -> Expr:
        """Filled on the right up to a width.

        Args:
            width: Code points that it has at least.
            padding: One code point.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.rpad(4, ".")).take_all()
            [{'s': 'ab..'}]
        """
        return self._call("rpad", width=width, padding=padding)

    def pad(
        self, width: int, fillchar: str = " ", side: Literal["left", "right", "both"] = "right"
    ) -> Expr:
        """Filled on a side up to a width.

        Args:
            width: Code points that it has at least.
            fillchar: One code point.
            side: Where it is filled.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "ab"}])
            >>> rows.with_column("s", col("s").str.pad(4, "-", side="left")).take_all()
            [{'s': '--ab'}]
        """
        return self._call(_SIDES.get(side, side), width=width, padding=fillchar)

    def strip(self, characters: str | None = None) -> Expr:
        """Without some characters at both ends.

        Args:
            characters: These; None is white space.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "  a "}])
            >>> rows.with_column("s", col("s").str.strip()).take_all()
            [{'s': 'a'}]
        """
        return self._call("strip", characters=characters)

    def lstrip(self, characters: str | None = None) -> Expr:
        """Without some characters on the left.

        Args:
            characters: These; None is white space.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "  a "}])
            >>> rows.with_column("s", col("s").str.lstrip()).take_all()
            [{'s': 'a '}]
        """
        return self._call("lstrip", characters=characters)

    def rstrip(self, characters: str | None = None) -> Expr:
        """Without some characters on the right.

        Args:
            characters: These; None is white space.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "  a "}])
            >>> rows.with_column("s", col("s").str.rstrip()).take_all()
            [{'s': '  a'}]
        """
        return self._call("rstrip", characters=characters)


# Sides of a text, to the function that fills there.
_SIDES = {"left": "lpad", "right": "rpad", "both": "center"}
