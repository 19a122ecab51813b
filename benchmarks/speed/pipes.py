"""The load generator for stdio: prepared bytes into a pipe, every answer checked."""

from __future__ import annotations

import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

from pydantic_core import from_json, to_json

from .accounting import cpu

HELLO: Final = b'{"name":"echo","arguments":{"text":"hello"}}'
LIST: Final = b"{}"
HANDSHAKE: Final = b'{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"load","version":"1"}}'


def write_request(identifier: int, method: bytes, params: bytes) -> bytes:
    """A request as a line."""
    return b'{"jsonrpc":"2.0","id":%d,"method":"%b","params":%b}\n' % (identifier, method, params)


def _parse(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """The answers among lines; notifications are passed over, and what some peers print."""
    return [message for line in lines if line.startswith(b"{") and "id" in (message := from_json(line))]


class Pipe:
    """A server behind two pipes, after the handshake of 2025-11-25; `listed_after` is the time of its first list.

    Seconds; the first list counts from the start of the process.
    """

    def __init__(
        self, command: Sequence[str], variables: Mapping[str, str] | None = None, patience: float | None = None
    ) -> None:
        """Start it. `patience` is how many seconds it may be silent before `TimeoutError`; None: for ever."""
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **(variables or {})},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._held = b""
        self._last = 0
        self._patience = patience
        try:
            self.call(b"initialize", HANDSHAKE)
            self._write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
            self.tools = self.call(b"tools/list", LIST)["tools"]
        except BaseException:
            self.close()
            raise
        self.listed_after = time.perf_counter() - began

    @property
    def pid(self) -> int:
        """The server's process."""
        return self._process.pid

    def cpu(self) -> float:
        """CPU seconds that the server has used."""
        return cpu(self.pid)

    def call(self, method: bytes, params: bytes) -> dict[str, Any]:
        """Send one request and return its result."""
        self.send(method, params)
        (answer,) = self._read(1)
        assert answer["id"] == self._last, answer
        return answer["result"]

    def send(self, method: bytes, params: bytes) -> None:
        """Send one request whose answer nobody waits for here."""
        self._last += 1
        self._write(write_request(self._last, method, params))

    def ask(self, tool: str, arguments: Mapping[str, object], holds: str) -> float:
        """Call a tool, and return the seconds until its answer was there whole; it is looked at after that.

        Raises `AssertionError` for an error, and for an answer without the text that it has to hold.
        """
        self._last += 1
        params = to_json({"name": tool, "arguments": arguments})
        request = write_request(self._last, b"tools/call", params)
        began = time.perf_counter()
        self._write(request)
        while True:
            lines = self._read_lines()
            took = time.perf_counter() - began
            for answer in _parse(lines):
                said = f"{b' '.join(lines)[:200]!r}"
                assert answer["id"] == self._last, f"an answer to nothing: {said}"
                assert "result" in answer, f"{tool} was refused: {said}"
                assert not answer["result"].get("isError"), f"{tool} failed: {said}"
                assert any(holds.encode() in line for line in lines), f"{tool} without {holds!r}: {said}"
                return took

    def load(self, params: bytes, text: str, calls: int, window: int) -> float:
        """Make so many calls, `window` of them in flight, and return calls per second.

        Raises `AssertionError` for an answer that is wrong, or is nobody's.
        """
        waiting: set[int] = set()
        began, made, done = time.perf_counter(), 0, 0
        while done < calls:
            room = min(window - len(waiting), calls - made)
            if room:
                ids = range(self._last + 1, self._last + room + 1)
                self._last += room
                made += room
                waiting.update(ids)
                message = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":' + params + b"}\n"
                self._write(b"".join([message % each for each in ids]))
            for answer in self._read(1):
                waiting.remove(answer["id"])
                assert answer["result"]["content"][0]["text"] == text, answer
                done += 1
        return calls / (time.perf_counter() - began)

    def latencies(self, params: bytes, text: str, calls: int) -> list[float]:
        """Make so many calls one after the other, and return the seconds that each took."""
        return [1 / self.load(params, text, 1, 1) for _ in range(calls)]

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._in, data) :]

    def _read(self, least: int) -> list[dict[str, Any]]:
        """Read until at least so many answers have come; notifications are passed over."""
        answers: list[dict[str, Any]] = []
        while len(answers) < least:
            answers += _parse(self._read_lines())
        return answers

    def _read_lines(self) -> list[bytes]:
        """Read until a line is whole, and return those that are."""
        parts = [self._held]
        while True:
            if self._patience is not None and not select.select([self._out], [], [], self._patience)[0]:
                raise TimeoutError(f"silent for {self._patience:.0f} s")
            data = os.read(self._out, 1 << 20)
            if not data:
                raise RuntimeError(f"{self._process.args!r} ended")
            parts.append(data)
            if b"\n" in data:
                *lines, self._held = b"".join(parts).split(b"\n")
                return lines

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(10)
        for end in (self._process.stdin, self._process.stdout):
            if end is not None:
                end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
