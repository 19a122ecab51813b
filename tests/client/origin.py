"""An HTTP server on a free port that answers as a test tells it, byte for byte where it must be wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

Json = dict[str, Any]

MODERN = "2026-07-28"
SESSION = "2025-11-25"
SERVER = {"name": "origin", "version": "1"}
DISCOVERY: Json = {
    "resultType": "complete",
    "supportedVersions": [MODERN],
    "capabilities": {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "prompts": {}},
    "ttlMs": 0,
    "cacheScope": "private",
    "_meta": {"io.modelcontextprotocol/serverInfo": SERVER},
}


@dataclass
class Asked:
    """One request; `gone` is set when its client hangs up before it is answered."""

    verb: str
    path: str
    headers: Mapping[str, str]
    data: bytes
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> Json:
        return json.loads(self.data) if self.data else {}

    @property
    def method(self) -> str:
        """The JSON-RPC method, or the verb of what is no POST."""
        return str(self.body.get("method", "")) if self.verb == "POST" else self.verb


NEW = frozenset({"resultType", "ttlMs", "cacheScope"})
"""Members of results that no session has."""


def answer_to(request: Json, result: Json) -> Json:
    """The response with this result, without what the request's era does not have."""
    modern = "io.modelcontextprotocol/protocolVersion" in request.get("params", {}).get("_meta", {})
    known = result if modern else {name: value for name, value in result.items() if name not in NEW}
    return {"jsonrpc": "2.0", "id": request["id"], "result": known}


class Reply:
    """The way back: whole answers, streams, and pieces of either."""

    def __init__(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self._asked = asked
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def whole(self, status: int, data: bytes = b"", kind: str = "text/plain", **headers: str) -> None:
        given = {"content-type": kind, "content-length": str(len(data)), **headers}
        await self.raw(write_head(status, given) + data)

    async def result(self, result: Json, **headers: str) -> None:
        message = answer_to(self._asked.body, result)
        await self.whole(200, json.dumps(message).encode(), "application/json", **headers)

    async def refuse(self, status: int, code: int, data: object = None) -> None:
        error = {"code": code, "message": "no", **({} if data is None else {"data": data})}
        message = {"jsonrpc": "2.0", "id": self._asked.body["id"], "error": error}
        await self.whole(status, json.dumps(message).encode(), "application/json")

    async def stream(self, **headers: str) -> None:
        await self.raw(
            write_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked", **headers})
        )

    async def part(self, data: bytes) -> None:
        await self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, message: object = "", identifier: str | None = None) -> None:
        head = "" if identifier is None else f"id: {identifier}\n"
        text = message if isinstance(message, str) else json.dumps(message)
        await self.part(f"{head}data: {text}\n\n".encode())

    async def event_result(self, result: Json, identifier: str | None = None) -> None:
        await self.event(answer_to(self._asked.body, result), identifier)

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    def hang_up(self) -> None:
        self._writer.transport.abort()


Play = Callable[[Asked, Reply], Awaitable[None]]


class Origin:
    """Listens while its block lasts; what it was asked stands in `asked`."""

    def __init__(self, play: Play, port: int = 0) -> None:
        self.play = play
        self.asked: list[Asked] = []
        self.connections = 0
        self._port = port
        self._heard = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/mcp"

    @property
    def port(self) -> int:
        return self._port

    def methods(self) -> list[str]:
        return [asked.method for asked in self.asked]

    def find(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    async def hear(self, method: str, count: int = 1) -> Asked:
        """Wait until there were so many requests by this method; gives the last of them."""
        while len(self.find(method)) < count:
            self._heard.clear()
            await self._heard.wait()
        return self.find(method)[-1]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._take_requests(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client, or the test, has gone
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _take_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(1)
        while first:
            asked = _read(first + await reader.readuntil(b"\r\n\r\n"))
            asked.data = await reader.readexactly(int(asked.headers.get("content-length", 0)))
            self.asked.append(asked)
            self._heard.set()
            playing = asyncio.ensure_future(self.play(asked, Reply(asked, writer)))
            following = asyncio.ensure_future(reader.read(1))
            try:
                await asyncio.wait({playing, following}, return_when=asyncio.FIRST_COMPLETED)
                if not playing.done():
                    asked.gone.set()
                await playing
                first = await following
            finally:
                playing.cancel()
                following.cancel()


def _read(head: bytes) -> Asked:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    verb, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return Asked(verb, path, {name.strip().lower(): value.strip() for name, _, value in pairs}, b"")


def write_head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def saying(status: int, data: bytes = b"", kind: str = "text/plain", **headers: str) -> Play:
    async def answer(asked: Asked, reply: Reply) -> None:
        await reply.whole(status, data, kind, **headers)

    return answer


def modern(**answers: Play | Json) -> Play:
    """A server without sessions; `tools_call=` is how it answers tools/call, a result or a way to play it."""

    async def play(asked: Asked, reply: Reply) -> None:
        answer = answers.get(asked.method.replace("/", "_"))
        if callable(answer):
            await answer(asked, reply)
        elif answer is not None:
            await reply.result(answer)
        elif asked.method == "server/discover":
            await reply.result(DISCOVERY)
        elif asked.verb == "POST":
            await reply.refuse(404, -32601)
        else:
            await reply.whole(405)

    return play


def session(**answers: Play | Json) -> Play:
    """A server with sessions, which meets a modern request with status 400; without `GET=` it has no stream beside."""

    async def play(asked: Asked, reply: Reply) -> None:
        answer = answers.get(asked.method.replace("/", "_"))
        if callable(answer):
            await answer(asked, reply)
        elif answer is not None:
            await reply.result(answer)
        elif asked.method == "initialize":
            result: Json = {
                "protocolVersion": SESSION,
                "capabilities": {"tools": {}, "resources": {}},
                "serverInfo": SERVER,
            }
            await reply.result(result, mcp_session_id="s1")
        elif asked.method.startswith("notifications/"):
            await reply.whole(202)
        elif asked.verb == "DELETE":
            await reply.whole(204)
        elif asked.verb == "GET":
            await reply.whole(405)
        else:
            await reply.whole(400, b"no session")

    return play


TEXT: Json = {"resultType": "complete", "content": [{"type": "text", "text": "done"}], "isError": False}
NOTHING: Json = {"resultType": "complete", "tools": [], "ttlMs": 0, "cacheScope": "private"}
NO_PROMPTS: Json = {"resultType": "complete", "prompts": [], "ttlMs": 0, "cacheScope": "private"}
