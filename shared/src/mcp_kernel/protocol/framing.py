"""Bytes to lines: the framing of stdio, with a limit on what one line may hold."""

from __future__ import annotations

from typing import Final

DEFAULT_LINE_LIMIT: Final = 16 * 1024 * 1024  # bytes; generous for a base64 image, small against a machine's memory


class Oversized:
    """Stands in the place of a line that was longer than the limit and was discarded as it streamed."""

    __slots__ = ()


OVERSIZED: Final = Oversized()


class Lines:
    """Splits a stream of bytes at line feeds.

    At most `limit` bytes of an unfinished line are held; the rest of a longer one is thrown away as it arrives, and
    `OVERSIZED` takes its place, so that the next good line is still served. Blank lines are passed over.
    """

    def __init__(self, limit: int = DEFAULT_LINE_LIMIT) -> None:
        self._limit = limit
        self._partial = bytearray()
        self._discarding = False

    def feed(self, chunk: bytes) -> list[bytes | Oversized]:
        """Take the next bytes of the stream and return the lines that they complete, without line ends."""
        if not self._partial and not self._discarding and chunk.endswith(b"\n") and len(chunk) <= self._limit:
            return [line for line in chunk.split(b"\n") if line and not line.isspace()]
        return self._feed_pieces(chunk)

    def _feed_pieces(self, chunk: bytes) -> list[bytes | Oversized]:
        lines: list[bytes | Oversized] = []
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._append(piece)
            if self._discarding:
                lines.append(OVERSIZED)
            elif self._partial and not self._partial.isspace():
                lines.append(bytes(self._partial))
            self._partial.clear()
            self._discarding = False
        self._append(rest)
        return lines

    def _append(self, piece: bytes) -> None:
        if self._discarding:
            return
        if len(self._partial) + len(piece) > self._limit:
            self._partial = bytearray()
            self._discarding = True
        else:
            self._partial += piece

    def close(self) -> None:
        """End of the stream: a half line at the end is no message and is dropped."""
        self._partial = bytearray()
        self._discarding = False


def write_event(data: bytes, *, identifier: str | None = None, event: str | None = None) -> bytes:
    """Write one server-sent event; `data` is one line, as encoded messages are."""
    head = b"" if identifier is None else b"id: %b\n" % identifier.encode("ascii")
    name = b"" if event is None else b"event: %b\n" % event.encode("ascii")
    return b"%b%bdata: %b\n\n" % (head, name, data)


def write_retry(milliseconds: int) -> bytes:
    """Write how long a client shall wait before it connects again."""
    return b"retry: %d\n\n" % milliseconds


KEEP_ALIVE: Final = b": keep-alive\n\n"  # a comment, which every client passes over
