"""A host that started a server: the child process, its descriptors, and a witness of every line that passes."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from tests.oracle import Witness

if TYPE_CHECKING:
    from types import TracebackType

Json = dict[str, Any]
Ends = tuple[int, int]
Plug = Callable[[], Ends]
Plugs = tuple[Plug, Plug]

PATIENCE = 10.0
"""Seconds after which a test gives up waiting; nothing here takes a tenth of it on an idle machine."""

MODERN = "2026-07-28"
META: Json = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
CLIENT = {"name": "tester", "version": "1"}
PROGRAMS = Path(__file__).parent / "programs"
TOOLS = [sys.executable, str(PROGRAMS / "tools.py")]


def pipe_in() -> Ends:
    """Descriptors for the child's stdin: its end, our end."""
    return os.pipe()


def pipe_out() -> Ends:
    ours, theirs = os.pipe()
    return theirs, ours


def socket_pair() -> Ends:
    """What Node hosts give a child, for either direction."""
    theirs, ours = socket.socketpair()
    return theirs.detach(), ours.detach()


def surroundings(**variables: str) -> dict[str, str]:
    """An environment for a child: ours, but buffered as Python is when nobody asks otherwise."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    return {**inherited, **variables}


def request(identifier: object, method: str, /, **params: object) -> Json:
    return {"jsonrpc": "2.0", "id": identifier, "method": method, "params": params}


def notification(method: str, /, **params: object) -> Json:
    return {"jsonrpc": "2.0", "method": method, "params": params}


def line(message: object) -> bytes:
    return json.dumps(message).encode() + b"\n"


def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Look again and again until something holds, for what sends no word when it happens."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        select.select([], [], [], 0.005)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Host:
    """A started server. As a context manager it ends the server, which must then end by itself."""

    def __init__(
        self,
        command: Iterable[str],
        *,
        plugs: Plugs = (pipe_in, pipe_out),
        environment: dict[str, str] | None = None,
        stderr: int | None = None,
    ) -> None:
        self.witness = Witness()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the host
        (stdin, self.inlet), (stdout, self.outlet) = plugs[0](), plugs[1]()
        self.process = subprocess.Popen(
            list(command),
            stdin=stdin,
            stdout=stdout,
            stderr=self._log if stderr is None else stderr,
            env=surroundings(**(environment or {})),
        )
        os.close(stdin)
        os.close(stdout)
        os.set_blocking(self.inlet, False)
        self._open = {self.inlet, self.outlet}
        self._received = bytearray()
        self._number = 0
        self.heard: list[Json] = []
        """What came while something else was waited for."""

    # --- out ---

    def write(self, data: bytes, patience: float = PATIENCE) -> int:
        """Write until all is taken or patience ends, without reading; returns how much was taken."""
        deadline, view = time.monotonic() + patience, memoryview(data)
        while view and (left := deadline - time.monotonic()) > 0:
            if select.select([], [self.inlet], [], left)[1]:
                view = view[os.write(self.inlet, view[:65536]) :]
        return len(data) - len(view)

    def send(self, message: Json | bytes, *, malformed: bool = False) -> None:
        """Send one line, judged unless it is malformed on purpose."""
        data = message if isinstance(message, bytes) else line(message)
        self.witness.see("client", data, malformed=malformed)
        assert self.write(data) == len(data), "the server does not read"

    def ask(self, method: str, /, **params: object) -> int:
        """Send a request under a fresh id, and do not wait for the answer."""
        self._number += 1
        self.send(request(self._number, method, **params))
        return self._number

    def ask_tool(self, tool: str, /, **arguments: object) -> int:
        return self.ask("tools/call", name=tool, arguments=arguments)

    # --- in ---

    def has_line(self, patience: float = 0.0) -> bool:
        """Whether something can be read, now or soon."""
        return b"\n" in self._received or bool(select.select([self.outlet], [], [], patience)[0])

    def read_line(self, patience: float = PATIENCE) -> bytes:
        """The next line as it came, or b"" at the end of the stream; unjudged."""
        deadline = time.monotonic() + patience
        while (end := self._received.find(b"\n")) < 0:
            ready = select.select([self.outlet], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"the server says nothing; on stderr:\n{self.log()}"
            try:
                chunk = os.read(self.outlet, 1 << 20)
            except ConnectionResetError:
                chunk = b""
            if not chunk:
                assert not self._received, f"half a line at the end: {bytes(self._received[:200])!r}"
                return b""
            self._received += chunk
        found = bytes(self._received[:end])
        del self._received[: end + 1]
        return found

    def read(self, patience: float = PATIENCE) -> Json:
        """The next message, judged."""
        data = self.read_line(patience)
        assert data, f"the stream ended; on stderr:\n{self.log()}"
        return cast("Json", self.witness.see("server", data))

    def read_all(self) -> list[Json]:
        """Everything up to the end of the stream."""
        found = self.heard
        while data := self.read_line():
            found.append(cast("Json", self.witness.see("server", data)))
        return found

    def hear(self, expected: Callable[[Json], bool], patience: float = PATIENCE) -> Json:
        """The first message that fits; others are kept in `heard`."""
        deadline = time.monotonic() + patience
        while True:
            message = self.read(deadline - time.monotonic())
            if expected(message):
                return message
            self.heard.append(message)

    def answer(self, identifier: object) -> Json:
        """The answer to a request, which may have come already."""
        for message in self.heard:
            if "method" not in message and message.get("id") == identifier:
                self.heard.remove(message)
                return message
        return self.hear(lambda message: "method" not in message and message.get("id") == identifier)

    def request(self, method: str, /, **params: object) -> Json:
        """Send a request and wait for its result."""
        answer = self.answer(self.ask(method, **params))
        assert "result" in answer, answer
        return cast("Json", answer["result"])

    def call(self, tool: str, /, **arguments: object) -> Json:
        return self.request("tools/call", name=tool, arguments=arguments)

    def open(self, revision: str = "2025-11-25", **capabilities: object) -> Self:
        """Shake hands."""
        self.request("initialize", protocolVersion=revision, capabilities=capabilities, clientInfo=CLIENT)
        self.send(notification("notifications/initialized"))
        return self

    def check_alive(self) -> None:
        """The server answers, in the era that needs no handshake."""
        assert self.request("server/discover", _meta=META)["supportedVersions"] == [MODERN]

    # --- the process ---

    def log(self) -> str:
        """What the server wrote on stderr so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "backslashreplace")

    def memory(self) -> int:
        """The most bytes that the server ever held in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.remove(descriptor)
            os.close(descriptor)

    def hang_up(self) -> None:
        """End the server's input, as a host does that is done."""
        self.close(self.inlet)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit code; a signal's number is negative."""
        return self.process.wait(patience)

    def end(self) -> int:
        self.hang_up()
        return self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self.process.poll() is None:
                self.end()
        finally:
            self.process.kill()
            self.process.wait(PATIENCE)
            for descriptor in list(self._open):
                self.close(descriptor)
            self._log.close()
