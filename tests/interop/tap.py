"""Stands between a client and a server on HTTP, and writes down what passes, in its order.

A piece is written down before it goes on, so that no answer stands above its request.
"""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Literal, Self

import h11

if TYPE_CHECKING:
    from collections.abc import Callable

Sender = Literal["client", "server"]
Message = tuple[Sender, bytes]


class _Reading:
    """What passes in both directions of one connection, as HTTP."""

    def __init__(self, take: Callable[[str, Sender, bytes], None]) -> None:
        self._tell = take
        self._path = ""
        self._sides: dict[Sender, h11.Connection] = {
            "client": h11.Connection(h11.SERVER),
            "server": h11.Connection(h11.CLIENT),
        }
        self._bodies: dict[Sender, bytes] = {"client": b"", "server": b""}
        self._is_stream = False

    def feed(self, sender: Sender, data: bytes) -> None:
        side = self._sides[sender]
        side.receive_data(data)
        while True:
            event = side.next_event()
            if not isinstance(event, h11.Event) or isinstance(event, h11.ConnectionClosed):
                return
            self._read(sender, event)
            # Who refuses a request by its head answers before the body is there.
            if all(each.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} for each in self._sides.values()):
                for each in self._sides.values():
                    each.start_next_cycle()

    def _read(self, sender: Sender, event: h11.Event) -> None:
        self._sides["server" if sender == "client" else "client"].send(event)  # which keeps each side's books
        if isinstance(event, h11.Request):
            self._path = event.target.partition(b"?")[0].decode("ascii", "replace")
        if isinstance(event, h11.Request | h11.Response):
            self._bodies[sender] = b""
            self._is_stream = (b"content-type", b"text/event-stream") in list(event.headers)
        elif isinstance(event, h11.Data):
            self._bodies[sender] += bytes(event.data)
            if sender == "server" and self._is_stream:
                self._take_events()
        elif isinstance(event, h11.EndOfMessage) and self._bodies[sender][:1] == b"{":
            self._take(sender, self._bodies[sender])

    def _take(self, sender: Sender, data: bytes) -> None:
        self._tell(self._path, sender, data)

    def _take_events(self) -> None:
        *events, self._bodies["server"] = self._bodies["server"].split(b"\n\n")
        for event in events:
            for line in event.split(b"\n"):
                if line.startswith(b"data: {"):
                    self._take("server", line[6:])


class Tap:
    """Listens on a port of its own and passes everything on to another."""

    def __init__(self, port: int) -> None:
        self.carried: list[tuple[str, Sender, bytes]] = []
        """The path of each message, who sent it, and what it is."""
        self._target = port
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._is_over = False
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def messages(self) -> list[Message]:
        """What passed, on whatever path."""
        return [(sender, data) for _, sender, data in self.carried]

    @property
    def port(self) -> int:
        return self._listener.getsockname()[1]

    def _note(self, path: str, sender: Sender, data: bytes) -> None:
        self.carried.append((path, sender, data))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._open += [client, server]
                if self._is_over:  # it came while the tap was closed
                    self._close()
                    return
            reading = _Reading(self._note)
            for ends in (("client", client, server), ("server", server, client)):
                threading.Thread(target=self._carry, args=(reading, *ends), daemon=True).start()

    def _carry(self, reading: _Reading, sender: Sender, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                with self._lock:
                    reading.feed(sender, data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        with self._lock:
            self._is_over = True
            self._close()

    def _close(self) -> None:
        for each in self._open:
            each.close()
