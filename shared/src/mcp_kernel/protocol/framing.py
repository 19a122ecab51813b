"""Bytes to lines and to server-sent events: the framing of stdio and of HTTP streams, each with its limit."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

DEFAULT_LINE_LIMIT: Final = 16 * 1024 * 1024  # bytes; generous for a base64 image, small against a machine's memory


_SMALL: Final = 4096  # bytes of a piece of a line up to which it is gathered with others


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
        self._pieces: list[bytes | bytearray] = []  # large ones of a line that is not complete: none is copied twice
        self._tail = bytearray()  # what came after them in small ones, each of which would cost more than it holds
        self._held = 0  # bytes in both
        self._discarding = False

    def feed(self, chunk: bytes) -> list[bytes | Oversized]:
        """Take the next bytes of the stream and return the lines that they complete, without line ends."""
        if not self._held and not self._discarding and chunk.endswith(b"\n") and len(chunk) <= self._limit:
            return [line for line in chunk.split(b"\n") if line and not line.isspace()]
        if b"\n" not in chunk:
            self._append(chunk)
            return []
        return self._feed_pieces(chunk)

    def _feed_pieces(self, chunk: bytes) -> list[bytes | Oversized]:
        lines: list[bytes | Oversized] = []
        *complete, rest = chunk.split(b"\n")
        for piece in complete:
            self._append(piece)
            if self._discarding:
                lines.append(OVERSIZED)
            else:
                line = b"".join((*self._pieces, self._tail))
                if line and not line.isspace():
                    lines.append(line)
            self.close()
        self._append(rest)
        return lines

    def _append(self, piece: bytes) -> None:
        if self._discarding:
            return
        self._held += len(piece)
        if self._held > self._limit:
            self.close()
            self._discarding = True
        elif len(piece) < _SMALL:
            self._tail += piece
        else:
            if self._tail:
                self._pieces.append(self._tail)
                self._tail = bytearray()
            self._pieces.append(piece)

    def close(self) -> None:
        """End of the stream: a half line at the end is no message and is dropped."""
        self._pieces.clear()
        self._tail = bytearray()
        self._held = 0
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


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event: `identifier` is the last one that the stream gave, `retry` is in milliseconds."""

    data: bytes
    name: str = "message"
    identifier: str | None = None
    retry: int | None = None


class EventTooLong(Exception):
    """An event, or a line of one, holds more than the limit."""


class Events:
    """Reads a stream of server-sent events as it arrives (HTML Standard, "Parsing an event stream").

    At most `limit` bytes of an unfinished event are held; beyond them `EventTooLong` is raised, since what follows
    cannot be told from the rest of it. An event without data is given too where it carries an id or a retry.
    """

    def __init__(self, limit: int = DEFAULT_LINE_LIMIT) -> None:
        self.identifier: str | None = None
        self._limit = limit
        self._line: list[bytes] = []  # the pieces of a line that is not complete, so that none is copied twice
        self._held = 0  # bytes in them
        self._started = False
        self._returned = False  # whether the last line ended in a carriage return, to which a line feed may belong
        self._clear()

    def _clear(self) -> None:
        self._data: list[bytes] = []
        self._name = ""
        self._retry: int | None = None
        self._told = False  # whether the event said anything but comments
        self._size = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes of the stream and return the events that they complete."""
        if not self._started:
            chunk = b"".join([*self._line, chunk])
            self._line = []
            if len(chunk) < len(_MARK) and _MARK.startswith(chunk):
                self._line = [chunk]
                return []
            chunk, self._started = chunk.removeprefix(_MARK), True
        if self._returned and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._returned = False
        first, *others = _LINE_END.split(chunk)
        self._line.append(first)
        self._held += len(first)
        if not others:
            self._check(self._held)
            return []
        *complete, rest = others
        lines = [b"".join(self._line), *complete]
        self._line, self._held, self._returned = [rest], len(rest), chunk.endswith(b"\r")
        events = [event for line in lines if (event := self._take(line)) is not None]
        self._check(self._held)
        return events

    def _check(self, size: int) -> None:
        if self._size + size > self._limit:
            raise EventTooLong(f"An event holds more than {self._limit} bytes")

    def _take(self, line: bytes) -> Event | None:
        if line:
            self._check(len(line))
            self._size += len(line)
            self._read_field(line)
            return None
        told, event = self._told, Event(b"\n".join(self._data), self._name or "message", self.identifier, self._retry)
        self._clear()
        return event if told else None

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self.identifier = value.decode("utf-8", "replace")
        elif name == b"retry" and value.isdigit() and len(value) < _LONGEST_NUMBER:
            self._retry = int(value)
        else:
            return
        self._told = True


_MARK: Final = b"\xef\xbb\xbf"  # the byte order mark, which may stand before the first line
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_LONGEST_NUMBER: Final = 10
