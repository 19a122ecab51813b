"""What the database sends, sifted before the driver gathers it: one message may be a gigabyte.

An error quotes the value that it is about, and a plan the constants of its statement; neither can be cut in SQL. The
driver holds a message whole, and reads an error in quadratic time: one about 300 MB stopped the loop for four minutes.
So a long error is cut, and a row that is too long becomes an error, while they stream by (manual, section 55.7).
"""

import asyncio

LONGEST_ERROR = 8192
LONGEST_MESSAGE = 32 * 1024 * 1024
_HEADER = 5  # a letter, and the length of what follows, itself included
_ERRORS = (b"E", b"N")
_BESIDE = (b"S", b"N", b"A")  # what the database may say at any time
_READY = b"Z"


class Sieve(asyncio.Protocol):
    """Stands between the transport and the driver's protocol, and passes on what is not too long."""

    def __init__(self, inner: asyncio.Protocol) -> None:
        self._inner = inner
        self._held = b""  # the piece of a header
        self._left = 0  # bytes that the message at hand still has
        self._drops = False  # whether it is dropped
        self._kept: bytearray | None = None  # what is kept of it, for an error
        self._long = 0  # its length, for a row
        self._failed = False  # until the end of a statement of which a row was too long

    def data_received(self, data: bytes) -> None:
        """Pass on what may pass, in the order in which it came."""
        if self._held:
            data, self._held = self._held + data, b""
        place = passed = 0
        out: list[bytes] = []
        while place < len(data):
            if not self._left:
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
        if out or place < len(data):
            out.append(data[passed:place])
            data = b"".join(out)
        if data:
            self._inner.data_received(data)

    def _begin(self, kind: bytes, length: int) -> None:
        self._left = 1 + length
        if self._failed:
            self._failed = kind != _READY
            self._drops = self._failed and kind not in _BESIDE
        elif kind in _ERRORS:
            self._drops = length > LONGEST_ERROR
            self._kept = bytearray() if self._drops else None
        elif length > LONGEST_MESSAGE:
            self._drops, self._long = True, length

    def _keep(self, piece: bytes) -> None:
        if self._kept is not None and len(self._kept) < LONGEST_ERROR:
            self._kept += piece[: LONGEST_ERROR - len(self._kept)]

    def _end(self) -> bytes:
        """What takes the place of the message that was dropped."""
        kept, long = self._kept, self._long
        self._drops, self._kept, self._long = False, None, 0
        if kept is not None:
            return _shorten(bytes(kept))
        if not long:
            return b""
        self._failed = True
        text = f"a row of {long} bytes is longer than the {LONGEST_MESSAGE} that one may have here"
        return _write(b"E", b"SERROR\0VERROR\0C54000\0M" + text.encode() + b"\0\0")

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
    return _write(message[:1], text + b"\0\0")


def _write(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body
