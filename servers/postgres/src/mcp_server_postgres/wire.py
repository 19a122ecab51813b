"""What the database sends, sifted before the driver gathers it: one message may be a gigabyte.

An error quotes the value that it is about, and a plan the constants of its statement; neither can be cut in SQL. The
driver holds a message whole, and reads an error in quadratic time: one about 300 MB stopped the loop for four minutes.
So a long error is cut, and a row that is too long becomes an error, while they stream by (manual, section 55.7).

What answers messages that were sent ahead (`messages.py`) is taken out too: the driver did not ask.
"""

import asyncio
from struct import Struct

from .messages import write

LONGEST_ERROR = 8192
LONGEST_MESSAGE = 32 * 1024 * 1024
CHANGED = "MC001"
"""The SQLSTATE of the error that takes the place of rows which are not described as they were."""
_HEADER = 5  # a letter, and the length of what follows, itself included
_ERRORS = (b"E", b"N")
_BESIDE = (b"S", b"N", b"A")  # what the database may say at any time
_UNCOUNTED = b"D"
_DESCRIPTIONS = (b"t", b"T")
_READY = b"Z"
_ROW = 68
_read_header = Struct(">BI").unpack_from


class Sieve(asyncio.Protocol):
    """Stands between the transport and the driver's protocol, and passes on what is asked for and not too long."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._held = b""  # the piece of a header
        self._left = 0  # bytes that the message at hand still has
        self._drops = False  # whether it is dropped
        self._most = 0  # how much of it is kept
        self._kept = bytearray()
        self._kind = b""
        self._long = 0  # its length, for a row
        self._failed = False  # until the end of a statement of which a row was too long
        self._awaited = 0  # answers to what was sent ahead
        self._described_as: bytes | None = None
        self.descriptions: list[bytes] = []
        """What the messages sent ahead were answered of parameters and columns, whole messages."""

    def expect(self, answers: int, described_as: bytes | None = None) -> None:
        """Take out the next answers; with `described_as`, rows that are described otherwise become an error."""
        self._awaited += answers
        self._described_as = described_as
        self.descriptions.clear()

    def data_received(self, data: bytes) -> None:
        """Pass on what may pass, in the order in which it came."""
        if self._held:
            data, self._held = self._held + data, b""
        place = passed = 0
        out: list[bytes] = []
        while place < len(data):
            if not self._left:
                place = self._skip_rows(data, place)
                if len(data) - place < _HEADER:
                    self._held = data[place:]
                    break
                self._begin(data[place : place + 1], int.from_bytes(data[place + 1 : place + _HEADER], "big"))
            step = min(self._left, len(data) - place)
            if self._drops:
                out.append(data[passed:place])
                self._keep(data[place : place + step])
                passed = place + step
            place += step
            self._left -= step
            if self._drops and not self._left:
                out.append(self._end())
        if out or self._held:
            out.append(data[passed:place])
            data = b"".join(out)
        if data:
            self._inner.data_received(data)

    def _skip_rows(self, data: bytes, place: int) -> int:
        """Where the whole rows end that begin here; most messages are rows, and these may pass."""
        if self._awaited or self._failed:
            return place
        last = len(data) - _HEADER
        while place <= last:
            kind, length = _read_header(data, place)
            behind = place + 1 + length
            if kind != _ROW or behind > len(data) or length > LONGEST_MESSAGE:
                break
            place = behind
        return place

    def _begin(self, kind: bytes, length: int) -> None:
        self._left = 1 + length
        self._kind, self._most = kind, 0
        if self._failed:
            self._failed = kind != _READY
            self._drops = self._failed and kind not in _BESIDE
        elif kind in _ERRORS:
            if kind not in _BESIDE:
                self._awaited = 0  # the rest is skipped, and the driver takes the error for its own
            self._drops = length > LONGEST_ERROR
            self._most = LONGEST_ERROR if self._drops else 0
        elif self._awaited and kind not in _BESIDE:
            self._drops = True
            self._awaited -= kind != _UNCOUNTED
            self._most = length + 1 if kind in _DESCRIPTIONS and length <= LONGEST_MESSAGE else 0
        elif length > LONGEST_MESSAGE:
            self._drops, self._long = True, length

    def _keep(self, piece: bytes) -> None:
        if len(self._kept) < self._most:
            self._kept += piece[: self._most - len(self._kept)]

    def _end(self) -> bytes:
        """What takes the place of the message that was dropped."""
        kept, long = bytes(self._kept), self._long
        self._drops, self._long = False, 0
        self._kept.clear()
        if self._kind in _ERRORS and self._most:
            return _shorten(kept)
        if self._kind in _DESCRIPTIONS and self._most:
            self.descriptions.append(kept)
            if self._kind == b"T" and self._described_as not in (None, kept):
                return self._fail(CHANGED, "the rows are not described as they were")
        if not long:
            return b""
        return self._fail("54000", f"a row of {long} bytes is longer than the {LONGEST_MESSAGE} that one may have here")

    def _fail(self, state: str, text: str) -> bytes:
        """An error of ours, and nothing more of the statement."""
        self._failed, self._awaited = True, 0
        return write(b"E", b"SERROR\0VERROR\0C%s\0M%s\0\0" % (state.encode(), text.encode()))

    # --- what a transport says beside ---

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received()


def _shorten(message: bytes) -> bytes:
    """End an error after the part of it that there is: fields are a letter and a text that ends with a zero."""
    text = message[_HEADER:].decode("utf-8", "ignore").encode()
    return write(message[:1], text + b"\0\0")
