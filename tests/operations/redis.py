"""A Redis of the test's own on a Unix socket, which can be killed and started again; nothing of it stays."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from types import TracebackType

PATIENCE = 10.0


class RedisServer:
    """A `redis-server` that keeps nothing on disk; skips the test where there is none, except in CI."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            assert not os.environ.get("CI"), "redis-server is missing"
            pytest.skip("redis-server is not installed")
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="redis")
        self.path = Path(self._folder.name) / "redis.sock"
        self.url = f"unix://{self.path}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        words = ["--port", "0", "--unixsocket", str(self.path), "--save", "", "--dir", self._folder.name]
        self._process = subprocess.Popen([self._program, *words], stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        with self._process.stdout as log:
            while line := log.readline():
                if b"The server is now ready" in line or b"Ready to accept connections" in line:
                    break
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE)
            probe.connect(str(self.path))

    def kill(self) -> None:
        """End it as a machine does whose power fails."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE)
        with suppress(FileNotFoundError):
            self.path.unlink()

    def halt(self) -> None:
        """Let it take connections and answer nobody, as a machine that is out of breath."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._folder.cleanup()


async def turn(seconds: float = 0.02) -> None:
    """Let so much time pass that processes which talk through Redis may have got further."""
    await asyncio.wait([asyncio.get_running_loop().create_future()], timeout=seconds)
