"""A server process that listens, and connections to it that need not speak HTTP well; what they carry is judged."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.transports.guests import HttpJudge
from tests.transports.host import META, MODERN, PATIENCE, TOOLS, surroundings, until

if TYPE_CHECKING:
    from types import TracebackType

Json = dict[str, Any]
Head = tuple[int, dict[str, str]]


class Connection:
    """A TCP connection, or one over a Unix socket; every read is bounded in time."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self._file = self.socket.makefile("rb")
        self.judge = HttpJudge()
        self._number = 0
        self.headers: dict[str, str] = {}

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def post(self, message: object, headers: dict[str, str] | None = None, *, path: str = "/mcp") -> Self:
        """Send a whole POST; a message that is given as bytes is malformed on purpose."""
        body = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.judge.observe("client", body, malformed=isinstance(message, bytes))
        given = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body))}
        return self.send(head("POST", path, {**given, **(headers or {})}) + body)

    def ask(self, method: str, /, id: object = None, **params: object) -> Self:
        """Send a modern request, under the next id of the connection or another."""
        if id is None:
            self._number += 1
            id = self._number
        message = {"jsonrpc": "2.0", "id": id, "method": method, "params": {**params, "_meta": META}}
        mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": method}
        if "name" in params:
            mirrored["Mcp-Name"] = str(params["name"])
        return self.post(message, mirrored)

    def call(self, tool: str, /, **arguments: object) -> Self:
        """Send a modern call of a tool."""
        return self.ask("tools/call", name=tool, arguments=arguments)

    def read_head(self) -> Head:
        """The status and the headers of the next answer."""
        line = self._file.readline()
        if not line:
            raise ConnectionError("the server has closed the connection")
        status = int(line.split()[1])
        self.headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()
        return status, self.headers

    def read_part(self) -> bytes:
        """The next chunk of a body; b"" at its end."""
        size = int(self._file.readline(), 16)
        data = self._file.read(size)
        self._file.readline()
        for line in data.splitlines():
            if line.startswith(b"data: {"):
                self.judge.observe("server", line[6:], malformed=False)
        return data

    def read_answer(self) -> tuple[int, bytes]:
        """The next answer: its status and its whole body."""
        status, headers = self.read_head()
        if headers.get("transfer-encoding") == "chunked":
            parts: list[bytes] = []
            while part := self.read_part():
                parts.append(part)
            return status, b"".join(parts)
        body = self._file.read(int(headers.get("content-length", 0)))
        if headers.get("content-type") == "application/json":
            self.judge.observe("server", body, malformed=False)
        return status, body

    def read_message(self) -> Json:
        """The next answer's one JSON object."""
        return json.loads(self.read_answer()[1])

    def read_event(self) -> Json:
        """The next message of a stream whose head was read."""
        while True:
            part = self.read_part()
            if not part:
                raise EOFError("the stream ended")
            for line in part.splitlines():
                if line.startswith(b"data: {"):
                    return json.loads(line[6:])

    def is_closed(self) -> bool:
        """Wait for the server to close the connection; what it sends before that is thrown away."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    def reset(self) -> None:
        """Close without a farewell."""
        linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()

    def close(self) -> None:
        self._file.close()
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.close()
        if kind is None:
            self.judge.rule()


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Listening:
    """A started server. As a context manager it is told to end, and must then end well."""

    def __init__(self, *arguments: str, command: list[str] = TOOLS, **variables: str) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the server
        self.arguments = arguments
        unix = "--uds" in arguments
        place = () if unix or "--port" in arguments else ("--port", "0")
        self.process = subprocess.Popen(
            [*command, "--transport", "http", *place, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log,
            env=surroundings(**variables),
        )
        self.address: tuple[str, int] | str = arguments[arguments.index("--uds") + 1] if unix else ("127.0.0.1", 0)

    def start(self) -> Self:
        """Wait until it answers."""
        until(lambda: "serves" in self.log() or self.process.poll() is not None)
        if isinstance(self.address, tuple):
            found = re.search(r"http://[^/]*:(\d+)/", self.log())
            assert found, self.log()
            self.address = ("127.0.0.1", int(found[1]))
        self.check_alive()
        return self

    def connect(self) -> Connection:
        return Connection(self.address)

    def check_alive(self) -> None:
        """The server answers on a new connection."""
        with self.connect() as connection:
            connection.send(head("GET", "/healthz", {"Host": "localhost"}))
            assert connection.read_answer() == (200, b"ok")

    def open_session(self, connection: Connection) -> dict[str, str]:
        """Shake hands; returns the headers of the session."""
        info = {"name": "tester", "version": "1"}
        params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info}
        connection.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})
        connection.read_answer()
        return {"Mcp-Session-Id": connection.headers["mcp-session-id"]}

    def log(self) -> str:
        """What the server wrote on stderr so far."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode("utf-8", "backslashreplace")

    def memory(self) -> int:
        """The bytes that the server holds in memory now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def descriptors(self) -> int:
        """How many files and sockets the server has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def threads(self) -> int:
        """How many threads the server has: one more since it heard a signal."""
        return len(list(Path(f"/proc/{self.process.pid}/task").iterdir()))

    def tell(self, number: signal.Signals = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit code; a signal's number is negative."""
        return self.process.wait(patience)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.tell()
            self.wait(PATIENCE)
        self.process.kill()
        self.process.wait(PATIENCE)
        said = self.log()
        self._log.close()
        if kind is None:
            assert self.process.returncode == 0, said
            assert "Traceback" not in said, said
