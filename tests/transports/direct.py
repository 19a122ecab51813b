"""A hall behind connections that answer from within the read, and clients that write what they like."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import uvicorn
from tests.stage import META, MODERN
from tests.transports.guests import INFO, LATEST, HttpJudge
from uvicorn.server import ServerState

from mcp_kernel.direct import Direct

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from mcp_kernel.transports.http import HttpApp

Json = dict[str, Any]


class Tapped(Direct):
    """A connection that tells what is written to it, which headers are parsed, and when something was read."""

    writes: list[bytes]
    parsed: list[bytes]
    heard: asyncio.Event

    def connection_made(self, transport: asyncio.Transport) -> None:
        write = transport.write

        def tap(data: bytes) -> None:
            self.writes.append(data)
            write(data)

        transport.write = tap  # pyright: ignore[reportAttributeAccessIssue]  # a method, in the place of one
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.heard.set()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.parsed.append(name)
        super().on_header(name, value)


class Line:
    """A client's connection; what it carries is judged."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, judge: HttpJudge) -> None:
        self.reader, self.writer, self.judge = reader, writer, judge
        self.session: dict[str, str] = {}

    async def open(self, *, is_modern: bool) -> Self:
        """Shake hands where the era has it."""
        if not is_modern:
            params = {"protocolVersion": LATEST, "capabilities": {}, "clientInfo": INFO}
            self.writer.write(self.spell({"jsonrpc": "2.0", "id": "hello", "method": "initialize", "params": params}))
            _, head, _ = await self.read()
            self.session = {"Mcp-Session-Id": head["mcp-session-id"]}
        return self

    def spell(self, message: object, headers: dict[str, str] | None = None) -> bytes:
        """The bytes of a POST."""
        body = json.dumps(message).encode()
        self.judge.observe("client", body, malformed=False)
        given = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": str(len(body))}
        lines = [f"{name}: {value}" for name, value in {**given, **(headers or {})}.items()]
        return "\r\n".join(["POST /mcp HTTP/1.1", *lines, "", ""]).encode() + body

    def call(self, identifier: object, tool: str, headers: dict[str, str] | None = None, **arguments: object) -> bytes:
        """The bytes of a call in this connection's era."""
        params: Json = {"name": tool, "arguments": arguments}
        message: Json = {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params}
        if self.session:
            return self.spell(message, {**self.session, **(headers or {})})
        params["_meta"] = META
        mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
        return self.spell(message, {**mirrored, **(headers or {})})

    async def read(self) -> tuple[str, dict[str, str], Json]:
        """The next answer: its status line, headers without the date, and message."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        headers.pop("date")
        body = await self.reader.readexactly(int(headers["content-length"]))
        if headers.get("content-type") == "application/json":
            self.judge.observe("server", body, malformed=False)
            return first, headers, json.loads(body)
        return first, headers, {}

    async def text(self) -> str:
        """The text of the next answer."""
        return (await self.read())[2]["result"]["content"][0]["text"]


class House:
    """A hall behind connections of ours, on a port of its own."""

    def __init__(self, app: HttpApp) -> None:
        self.config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, proxy_headers=False)
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        self.judge = HttpJudge()
        self.writes: list[bytes] = []
        self.parsed: list[bytes] = []
        self.connections: list[Tapped] = []
        self.heard = asyncio.Event()
        self.port = 0
        self._lines: list[Line] = []

    def connect(self) -> Tapped:
        """Take in a connection."""
        made = Tapped(self.config, self.state, {})
        made.writes, made.parsed, made.heard = self.writes, self.parsed, self.heard
        self.connections.append(made)
        return made

    async def dial(self, *, is_modern: bool) -> Line:
        """Connect, and begin."""
        line = Line(*await asyncio.open_connection("127.0.0.1", self.port), self.judge)
        self._lines.append(line)
        return await line.open(is_modern=is_modern)

    async def hang_up(self) -> None:
        for line in self._lines:
            line.writer.close()
            with suppress(ConnectionError):
                await line.writer.wait_closed()


@asynccontextmanager
async def serving(app: HttpApp) -> AsyncGenerator[House]:
    """Listen with `Direct`; a message that the oracle refuses fails the test."""
    house = House(app)
    house.config.load()
    server = await asyncio.get_running_loop().create_server(house.connect, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    try:
        yield house
    finally:
        await house.hang_up()
        server.close()
        await app.close(0.1)
    house.judge.rule()
