"""Servers over HTTP in processes of their own, which are killed and come back at the same address."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

SERVER = [str(Path(sys.executable).with_name("mcp-server-ticketing"))]
PATIENCE = 30.0


class Ship:
    """One process."""

    def __init__(self, options: Sequence[str]) -> None:
        self.options = list(options)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.process: asyncio.subprocess.Process | None = None
        self.deaths = 0
        self.served = asyncio.Event()  # set while it is there

    async def start(self) -> None:
        """Start, and wait until the server says where it is."""
        command = [*SERVER, *self.options, "--transport", "http", "--port", str(self.port)]
        self.process = await asyncio.create_subprocess_exec(
            *command, stdin=subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, limit=1 << 22
        )
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            said = b""
            while not re.search(rb"http://127\.0\.0\.1:\d+", said):
                line = await self.process.stderr.readline()
                assert line, said.decode()
                said += line
        self.log = asyncio.create_task(self.process.stderr.read())
        self.served.set()

    async def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; gives the exit code, which is negative after a kill."""
        assert self.process is not None
        self.served.clear()
        self.process.send_signal(number)
        code = await asyncio.wait_for(self.process.wait(), PATIENCE)
        await self.log
        return code

    async def sink(self) -> None:
        """Kill it, and start it again."""
        assert await self.end(signal.SIGKILL) == -signal.SIGKILL
        self.deaths += 1
        await self.start()


@asynccontextmanager
async def launch(options: Sequence[str], size: int) -> AsyncGenerator[list[Ship]]:
    """Start servers on one database; each ends by itself at the end."""
    ships = [Ship(options) for _ in range(size)]
    try:
        for ship in ships:  # one after the other, so that the test of the first start is another one
            await ship.start()
        yield ships
        for ship in ships:
            assert await ship.end() == 0
    finally:
        for ship in ships:
            if ship.process is not None and ship.process.returncode is None:
                ship.process.kill()
                await ship.process.wait()
