"""What uvicorn leaves open on a connection: a head that grows or takes for ever, a client that leaves unheard.

Importing this imports uvicorn, so only the function that serves does; it fails where httptools is missing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_LIMIT: Final = 64 * 1024  # bytes of the request line and the headers
HEAD_SECONDS: Final = 10.0  # from the connection, or from a request's first byte, to the end of its head
_REFUSAL: Final = b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class Bounded(HttpToolsProtocol):
    """Counts the bytes of a head as they come; httptools itself takes any number.

    While requests wait behind one that is served, uvicorn does not read, and so does not hear the client leave; and
    when it does, it tells the last of them only. Here as much as a head may hold is read on, and the first is told.
    """

    _size = 0
    _behind = 0
    _served: RequestResponseCycle | None = None
    _timer: asyncio.TimerHandle | None = None
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        if self._served is not None and not self._served.response_complete:
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._size += len(data)
            if self._timer is None:
                self._await_head()
        super().data_received(data)
        if self._in_head and self._size > HEAD_LIMIT:
            self._refuse(b"431 Request Header Fields Too Large")
        elif not (self._in_head or self._timer or self.transport.is_closing()) and self.cycle.response_complete:
            self._await_head()  # the rest of a body that was refused
        self._behind = self._behind + len(data) if self.pipeline else 0
        if self._behind > HEAD_LIMIT:
            self.transport.close()
        elif self.pipeline:
            self.flow.resume_reading()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._size = True, 0
        self._stop_waiting()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

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
