"""Looking for patterns in texts: the part of ``col(...).str`` that finds, replaces and splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raceline.data.expressions.namespace import Namespace

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["Patterns"]


class Patterns(Namespace):
    """Functions of texts that take patterns."""

    __slots__ = ()
    _prefix = "str"

    def starts_with(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Whether it begins with a text.

        Args:
            pattern: A text, letter for letter.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abc"}])
            >>> rows.with_column("s", col("s").str.starts_with("ab")).take_all()
            [{'s': True}]
        """
        return self._call("starts_with", pattern=pattern, ignore_case=ignore_case)

    def ends_with(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Whether it ends with a text.

        Args:
            pattern: A text, letter for letter.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abc"}])
            >>> rows.with_column("s", col("s").str.ends_with("C", ignore_case=True)).take_all()
            [{'s': True}]
        """
        return self._call("ends_with", pattern=pattern, ignore_case=ignore_case)

    def contains(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Whether a text is in it.

        Args:
            pattern: A text, letter for letter.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abcd"}])
            >>> rows.with_column("s", col("s").str.contains("bc")).take_all()
            [{'s': True}]
        """
        return self._call("contains", pattern=pattern, ignore_case=ignore_case)

    def match(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        r"""Whether it is as a pattern of SQL's ``like`` says.

        Args:
            pattern: ``%`` is any text, ``_`` one code point; ``\`` before one of these takes it
                as it is.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abcd"}])
            >>> rows.with_column("s", col("s").str.match("a%d")).take_all()
            [{'s': True}]
        """
        return self._call("match", pattern=pattern, ignore_case=ignore_case)

    def match_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """Whether a regular expression matches somewhere in it.

        Args:
            pattern: A regular expression, as RE2 has them.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abbc"}])
            >>> rows.with_column("s", col("s").str.match_regex("b+c")).take_all()
            [{'s': True}]
        """
        return self._call("match_regex", pattern=pattern, ignore_case=ignore_case)

    def find(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """The byte at which a text is in it first; -1 where it is not.

        Args:
            pattern: A text, letter for letter.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abc"}])
            >>> rows.with_column("s", col("s").str.find("c")).take_all()
            [{'s': 2}]
        """
        return self._call("find", pattern=pattern, ignore_case=ignore_case)

    def find_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """The byte at which a regular expression matches first; -1 where it does not.

        Args:
            pattern: A regular expression, as RE2 has them.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "abc"}])
            >>> rows.with_column("s", col("s").str.find_regex("[bc]")).take_all()
            [{'s': 1}]
        """
        return self._call("find_regex", pattern=pattern, ignore_case=ignore_case)

    def count(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """How often a text is in it, without overlaps.

        Args:
            pattern: A text, letter for letter.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "banana"}])
            >>> rows.with_column("s", col("s").str.count("a")).take_all()
            [{'s': 3}]
        """
        return self._call("count", pattern=pattern, ignore_case=ignore_case)

    def count_regex(self, pattern: str, *, ignore_case: bool = False) -> Expr:
        """How often a regular expression matches, without overlaps.

        Args:
            pattern: A regular expression, as RE2 has them.
            ignore_case: Whether upper and lower case are the same.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "banana"}])
            >>> rows.with_column("s", col("s").str.count_regex("an?")).take_all()
            [{'s': 3}]
        """
        return self._call("count_regex", pattern=pattern, ignore_case=ignore_case)

    def replace(
        self, pattern: str, replacement: str, *, max_replacements: int | None = None
    ) -> Expr:
        """With each place where a text is in it replaced by another.

        Args:
            pattern: A text, letter for letter.
            replacement: What stands there instead.
            max_replacements: How many are replaced, from the left; None is all.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "banana"}])
            >>> rows.with_column("s", col("s").str.replace("a", "o")).take_all()
            [{'s': 'bonono'}]
        """
        return self._call(
            "replace",
            pattern=pattern,
            replacement=replacement,
            max_replacements=_all_if_negative(max_replacements),
        )

    def replace_regex(
        self, pattern: str, replacement: str, *, max_replacements: int | None = None
    ) -> Expr:
        r"""With each match of a regular expression replaced.

        Args:
            pattern: A regular expression, as RE2 has them.
            replacement: What stands there instead; ``\1`` is the first group.
            max_replacements: How many are replaced, from the left; None is all.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "banana"}])
            >>> rows.with_column("s", col("s").str.replace_regex("(a)n", r"<\1>")).take_all()
            [{'s': 'b<a><a>a'}]
        """
        return self._call(
            "replace_regex",
            pattern=pattern,
            replacement=replacement,
            max_replacements=_all_if_negative(max_replacements),
        )

    def split(self, pattern: str, *, max_splits: int | None = None, reverse: bool = False) -> Expr:
        """The parts between the places where a text is in it, as a list.

        Args:
            pattern: A text, letter for letter.
            max_splits: Into one part more at most; None is no limit.
            reverse: Whether the limit counts from the right.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a,b"}])
            >>> rows.with_column("s", col("s").str.split(",")).take_all()
            [{'s': ['a', 'b']}]
        """
        return self._call(
            "split",
            pattern=pattern,
            max_splits=_all_if_negative(max_splits),
            reverse=reverse,
        )

    def split_regex(self, pattern: str, *, max_splits: int | None = None) -> Expr:
        """The parts between the matches of a regular expression, as a list.

        Args:
            pattern: A regular expression, as RE2 has them.
            max_splits: Into one part more at most; None is no limit.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a,  b"}])
            >>> rows.with_column("s", col("s").str.split_regex(", *")).take_all()
            [{'s': ['a', 'b']}]
        """
        return self._call("split_regex", pattern=pattern, max_splits=_all_if_negative(max_splits))

    def split_whitespace(self, *, max_splits: int | None = None, reverse: bool = False) -> Expr:
        """The parts between runs of white space, as a list.

        Args:
            max_splits: Into one part more at most; None is no limit.
            reverse: Whether the limit counts from the right.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a  b"}])
            >>> rows.with_column("s", col("s").str.split_whitespace()).take_all()
            [{'s': ['a', 'b']}]
        """
        return self._call(
            "split_whitespace", max_splits=_all_if_negative(max_splits), reverse=reverse
        )

    def extract(self, pattern: str) -> Expr:
        """What the named groups of the first match are, as a struct; missing without a match.

        Args:
            pattern: A regular expression with groups such as ``(?P<year>[0-9]+)``.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "a1"}])
            >>> parts = col("s").str.extract("(?P<letter>[a-z])(?P<digit>[0-9])")
            >>> rows.with_column("s", parts).take_all()
            [{'s': {'letter': 'a', 'digit': '1'}}]
        """
        return self._call("extract", pattern=pattern)


def _all_if_negative(most: int | None) -> int | None:
    """A limit; PyArrow writes none as -1."""
    return None if most is None or most < 0 else most
