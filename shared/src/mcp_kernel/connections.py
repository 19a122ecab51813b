"""What uvicorn leaves open on a connection: the head of a request, which may neither grow nor take for ever.

Importing this imports uvicorn, so only the function that serves does; it fails where httptools is missing.
"""

from __future__ import annotations

import asyncio
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT: Final = 64 * 1024  # bytes of the request line and the headers
HEAD_SECONDS: Final = 10.0  # from the connection, or from a request's first byte, to the end of its head
_REFUSAL: Final = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Bounded(HttpToolsProtocol):
    """Counts the bytes of a head as they come; httptools itself takes any number."""

    _size = 0
    _timer: asyncio.TimerHandle | None = None
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._size += len(data)
            if self._timer is None:
                self._await_head()
        super().data_received(data)
        if self._in_head and self._size > HEAD_LIMIT:
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._size = True, 0

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._refuse, b"408 Request Timeout")

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, status: bytes) -> None:
        if not self.transport.is_closing():
            self.transport.write(_REFUSAL % status)
            self.transport.close()
