"""Wires to `mcp-server-everything` as its users have them: over stdio and over HTTP, every message judged."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from tests.servers.everything.web import Response, send
from tests.stage import MODERN, Judge

from mcp_kernel import Server
from mcp_kernel.testing.eras import Answerer, Client, LegacyClient, ModernClient, say_nothing
from mcp_kernel.testing.memory import Observer, Wire

if TYPE_CHECKING:
    from mcp_kernel.server.peer import Peer

COMMAND = [str(Path(sys.executable).with_name("mcp-server-everything"))]
Json = dict[str, Any]
Enter = Callable[..., AbstractAsyncContextManager[Client]]


@dataclass(frozen=True, slots=True)
class _Here:
    """All that the clients ask of a peer that is not in this process."""

    loop: asyncio.AbstractEventLoop


class FarWire(Wire):
    """A wire whose server is elsewhere; what arrives is read by tasks."""

    def __init__(self, observe: Observer) -> None:
        super().__init__(Server("elsewhere", "0"), observe=observe)
        self._reading: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self.peer = cast("Peer", _Here(asyncio.get_running_loop()))
        return self

    def _note(self, data: bytes, malformed: bool) -> None:
        assert self._observe is not None
        self._observe("client", data, malformed)


class StdioWire(FarWire):
    """A child process and its pipes."""

    def __init__(self, observe: Observer, command: Sequence[str] = COMMAND) -> None:
        super().__init__(observe)
        self._command = command

    async def __aenter__(self) -> Self:
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        self._child = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=nowhere, limit=1 << 22
        )
        self._reading.add(asyncio.create_task(self._read()))
        return await super().__aenter__()

    async def _read(self) -> None:
        assert self._child.stdout is not None
        while line := await self._child.stdout.readline():
            self._take(line.rstrip(b"\n"))

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        self._note(data, malformed)
        assert self._child.stdin is not None
        self._child.stdin.write(data + b"\n")

    async def close(self, grace: float = 0.0) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        assert await self._child.wait() == 0
        await asyncio.gather(*self._reading)


class HttpWire(FarWire):
    """POSTs one after the other, each when the last is being answered; streams that break are taken up again."""

    def __init__(self, url: str, observe: Observer) -> None:
        super().__init__(observe)
        self.resumed = 0
        self._url = url
        self._session: dict[str, str] = {}
        self._turn = asyncio.Lock()

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        self._note(data, malformed)
        self._reading.add(asyncio.create_task(self._post(data)))

    def listen(self) -> None:
        """Open the stream of what belongs to no request."""
        self._reading.add(asyncio.create_task(self._listen()))

    async def _listen(self) -> None:
        await self._get({})

    async def _post(self, data: bytes) -> None:
        message = cast("Json", json.loads(data))
        headers = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
        async with self._turn:
            response = await send("POST", self._url, {**headers, **self._tell(message)}, data)
        last = await self._read(response, message)
        while "method" in message and "id" in message and last and not self.was_answered(message["id"]):
            self.resumed += 1
            last = await self._get({"last-event-id": last})

    async def _get(self, headers: dict[str, str]) -> str:
        headers = {"accept": "text/event-stream", **self._session, **headers}
        return await self._read(await send("GET", self._url, headers), {})

    def _tell(self, message: Json) -> dict[str, str]:
        """The headers of the session, or those that repeat a stateless request."""
        params = cast("Json", message.get("params") or {})
        version = params.get("_meta", {}).get("io.modelcontextprotocol/protocolVersion")
        if version is None:
            return self._session
        headers = {"mcp-protocol-version": version, "mcp-method": message["method"]}
        names = [params[member] for member in ("name", "uri", "taskId") if member in params]
        if names:
            headers["mcp-name"] = names[0]
        if names == ["test_header_mirroring"]:
            headers |= {f"mcp-param-{name}": str(value) for name, value in params["arguments"].items()}
        return headers

    async def _read(self, response: Response, message: Json) -> str:
        """Take what a response brings; returns the id of the last event, if there was one."""
        last = ""
        if response.headers.get("content-type") != "text/event-stream":
            body = await response.body()
            if message.get("method") == "initialize":
                version = json.loads(body)["result"]["protocolVersion"]
                self._session = {"mcp-session-id": response.headers["mcp-session-id"], "mcp-protocol-version": version}
            if body:
                self._take(body)
            return last
        async for line in response.lines():
            if line.startswith("id: "):
                last = line.removeprefix("id: ")
            elif line.startswith("data: {"):
                self._take(line.removeprefix("data: ").encode())
        return last

    async def close(self, grace: float = 0.0) -> None:
        if self._session:
            ended = await send("DELETE", self._url, self._session)
            await ended.close()
            assert ended.status == 204
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)


@asynccontextmanager
async def visit(
    url: str | None,
    revision: str = MODERN,
    *,
    capabilities: Json | None = None,
    answer: Answerer = say_nothing,
    command: Sequence[str] = COMMAND,
) -> AsyncGenerator[Client]:
    """Open a client of the server at a URL, or of one that is started for it; every message is judged."""
    judge = Judge()
    kind = ModernClient if revision == MODERN else LegacyClient
    try:
        async with StdioWire(judge.observe, command) if url is None else HttpWire(url, judge.observe) as wire:
            client = kind(wire, revision, capabilities or {}, answer)
            await client.open()
            if isinstance(wire, HttpWire) and kind is LegacyClient:
                wire.listen()
            yield client
    finally:
        judge.rule()
