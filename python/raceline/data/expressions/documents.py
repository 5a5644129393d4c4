"""Functions of texts that hold something: ``.json`` and ``.url``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raceline.data.expressions.namespace import Namespace

if TYPE_CHECKING:
    from raceline.data.expressions.expr import Expr

__all__ = ["JsonNamespace", "UrlNamespace"]


class JsonNamespace(Namespace):
    """Functions of texts that hold JSON."""

    __slots__ = ()
    _prefix = "json"

    def get(self, path: str) -> Expr:
        """The value at a path, as text: of a string the string, of anything else its JSON.

        It is missing where there is none, where it is null, and where the text is no JSON.

        Args:
            path: Keys and positions, such as ``a.b[0]``; ``[-1]`` is the last, ``['x.y']`` a
                key with a point. It may begin with ``$``.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": '{"a": {"b": [1, 2]}}'}])
            >>> rows.with_column("s", col("s").json.get("a.b[0]")).take_all()
            [{'s': '1'}]
        """
        return self._call("get", path=path)


class UrlNamespace(Namespace):
    """Functions of texts that are URLs.

    A text that is none, and a part that it does not have, are missing.
    """

    __slots__ = ()
    _prefix = "url"

    def scheme(self) -> Expr:
        """The scheme, such as ``https``.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.scheme()).take_all()
            [{'s': 'https'}]
        """
        return self._call("scheme")

    def host(self) -> Expr:
        """The host.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.host()).take_all()
            [{'s': 'x.org'}]
        """
        return self._call("host")

    def port(self) -> Expr:
        """The port, or that which the scheme has by default.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.port()).take_all()
            [{'s': 8080}]
        """
        return self._call("port")

    def path(self) -> Expr:
        """The path.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.path()).take_all()
            [{'s': '/a/b'}]
        """
        return self._call("path")

    def query(self) -> Expr:
        """The query, without its question mark.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.query()).take_all()
            [{'s': 'q=1'}]
        """
        return self._call("query")

    def fragment(self) -> Expr:
        """What stands behind ``#``.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.fragment()).take_all()
            [{'s': 'top'}]
        """
        return self._call("fragment")

    def parameter(self, name: str) -> Expr:
        """A parameter of the query, decoded.

        Args:
            name: Its name.

        Example:
            >>> import raceline
            >>> from raceline.data.expressions import col
            >>> rows = raceline.from_items([{"s": "https://x.org:8080/a/b?q=1#top"}])
            >>> rows.with_column("s", col("s").url.parameter("q")).take_all()
            [{'s': '1'}]
        """
        return self._call("parameter", name=name)
