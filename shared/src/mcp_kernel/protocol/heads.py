"""The head of an HTTP request that was read before: said again, byte for byte, it need not be read again.

On a connection that stays open a client says the same with every request, but for the body and how long it is.
"""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 1024  # bytes of a head that is kept as long as its connection
_END: Final = b"\r\n\r\n"
_NAME: Final = b"content-length"
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *([0-9]{1,7})\r\n")
_DIGITS: Final = 7  # of a length that is read here


class KnownHead:
    """A head that a parser has read; only the digits of its `Content-Length` may be others when it comes again.

    `pairs` are the headers that the parser has read in it, by lower-case name.
    """

    __slots__ = ("_after", "_before", "_pairs")

    def __init__(self, before: bytes, after: bytes, pairs: list[tuple[bytes, bytes]]) -> None:
        self._before = before
        self._after = after
        self._pairs = pairs

    def find_body(self, data: bytes) -> bytes | None:
        """Return the body of a request that is this head, its body and nothing else; None where `data` is not."""
        before = self._before
        if not data.startswith(before):
            return None
        start = len(before)
        end = data.find(b"\r", start, start + _DIGITS + 1)
        if end < 0 or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        return body if data[start:end] == b"%d" % len(body) else None

    def pairs(self, length: int) -> list[tuple[bytes, bytes]]:
        """The headers of a request with this head, whose body is so long."""
        return [(name, b"%d" % length if name == _NAME else value) for name, value in self._pairs]


def learn_head(data: bytes, pairs: list[tuple[bytes, bytes]], body: bytes) -> KnownHead | None:
    """Return a head that can be known again; None where it is long, or another frame than its length is around it.

    Args:
        data: What a parser has read, from where it stood between two requests; the first or only one is meant.
        pairs: The headers that it has read in it, by lower-case name.
        body: The body that it has read in it.
    """
    head = data[: len(data) - len(body)]
    if len(head) > LONGEST or head.find(_END) != len(head) - len(_END):
        return None  # long, or something is before or behind the request
    found = _LENGTH.search(head.lower())
    if found is None or int(found[1]) != len(body):
        return None
    return KnownHead(head[: found.start(1)], head[found.end(1) :], list(pairs))
