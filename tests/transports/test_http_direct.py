"""A POST that came whole is served where it came: without a task, in one write, and like any other in all else."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import pytest
import uvicorn
from tests.stage import META, MODERN, scene
from tests.transports.guests import INFO, LATEST, Hall, HttpJudge
from tests.transports.listening import Listening, head
from uvicorn.server import ServerState

from mcp_kernel.connections import Direct
from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

Json = dict[str, Any]
in_both_eras = pytest.mark.parametrize("is_modern", [False, True])


class Tapped(Direct):
    """A connection that tells what is written to it, and when something was read."""

    writes: list[bytes]
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

    def call(self, identifier: object, tool: str, **arguments: object) -> bytes:
        """The bytes of a call in this connection's era."""
        params: Json = {"name": tool, "arguments": arguments}
        message: Json = {"jsonrpc": "2.0", "id": identifier, "method": "tools/call", "params": params}
        if self.session:
            return self.spell(message, self.session)
        params["_meta"] = META
        return self.spell(message, {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool})

    async def read(self) -> tuple[str, dict[str, str], Json]:
        """The next answer: its status line, headers without the date, and message."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        headers.pop("date")
        body = await self.reader.readexactly(int(headers["content-length"]))
        if headers["content-type"] == "application/json":
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
        self.heard = asyncio.Event()
        self.port = 0
        self._lines: list[Line] = []

    def connect(self) -> Tapped:
        """Take in a connection."""
        made = Tapped(self.config, self.state, {})
        made.writes, made.heard = self.writes, self.heard
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


def count_tasks() -> list[object]:
    """Let the loop count the tasks that are made from now on."""
    made: list[object] = []

    def make(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(work)
        return asyncio.Task(work, loop=loop, **more)

    asyncio.get_running_loop().set_task_factory(make)
    return made


@in_both_eras
@scene
async def test_a_call_that_is_answered_at_once_takes_no_task_and_one_write(is_modern: bool) -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        house.writes.clear()
        tasks = count_tasks()
        for number in range(5):
            line.writer.write(line.call(number, "echo", text=f"words {number}"))
            assert await line.text() == f"words {number}"
        assert tasks == []
        assert len(house.writes) == 5


@in_both_eras
@scene
async def test_a_call_that_waits_goes_on_in_a_task_and_is_answered(is_modern: bool) -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        line.writer.write(line.call(1, "hold", name="door"))
        await hall.until(hall.entered, "door")
        hall.free("door")
        assert await line.text() == "door"
        line.writer.write(line.call(2, "echo", text="next"))
        assert await line.text() == "next"


@scene
async def test_who_hangs_up_cancels_the_stateless_call_that_waits_and_no_other() -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        for is_modern in (False, True):
            line = await house.dial(is_modern=is_modern)
            line.writer.write(line.call(f"held {is_modern}", "hold", name=f"modern: {is_modern}"))
            await hall.until(hall.entered, f"modern: {is_modern}")
            line.writer.close()
        await hall.until(hall.cancelled, "modern: True")
        assert hall.cancelled == ["modern: True"]


@in_both_eras
@scene
async def test_a_request_that_comes_in_two_parts_is_answered_as_one_that_comes_whole(is_modern: bool) -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        data = line.call("x", "echo", text="words")
        line.writer.write(data)
        whole = await line.read()
        for cut in {*range(1, len(data), 9), data.index(b"\r\n\r\n") + 4, len(data) - 1}:
            assert line.call("x", "echo", text="words") == data
            house.heard.clear()
            line.writer.write(data[:cut])
            await house.heard.wait()
            line.writer.write(data[cut:])
            assert await line.read() == whole


@in_both_eras
@scene
async def test_calls_in_one_write_are_answered_in_their_order_though_one_waits(is_modern: bool) -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        echoes = [line.call(number, "echo", text=f"words {number}") for number in range(4)]
        line.writer.write(b"".join([*echoes[:2], line.call("held", "hold", name="door"), *echoes[2:]]))
        await hall.until(hall.entered, "door")
        hall.free("door")
        said = [await line.text() for _ in range(5)]
        assert said == ["words 0", "words 1", "door", "words 2", "words 3"]


@scene
async def test_of_calls_that_came_in_one_read_the_first_is_served_at_once_and_the_others_give_way() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        tasks = count_tasks()
        line.writer.write(b"".join(line.call(number, "echo", text="words") for number in range(5)))
        assert [await line.text() for _ in range(5)] == ["words"] * 5
        assert len(tasks) == 4


@scene
async def test_of_many_calls_that_came_together_few_are_answered_to_a_client_that_does_not_read() -> None:
    hall = Hall()
    made: list[int] = []

    @hall.server.tool()
    async def blob(number: int) -> str:  # pyright: ignore[reportUnusedFunction]  # called over the wire
        made.append(number)
        return "x" * 4_000_000

    async with serving(hall.server.asgi()) as house:
        line, other = await house.dial(is_modern=True), await house.dial(is_modern=True)
        line.writer.write(b"".join(line.call(number, "blob", number=number) for number in range(50)))
        await house.heard.wait()
        for number in range(50, 60):
            other.writer.write(other.call(number, "echo", text="words"))
            assert await other.text() == "words"
        assert 1 <= len(made) <= 3
        line.writer.transport.abort()


@scene
async def test_what_reports_before_it_answers_is_a_stream() -> None:
    async with serving(Hall().server.asgi()) as house:
        for is_modern in (False, True):
            line = await house.dial(is_modern=is_modern)
            meta = {"progressToken": "t"} if line.session else {**META, "progressToken": "t"}
            params = {"name": "report", "arguments": {"count": 2}, "_meta": meta}
            mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "report"}
            message = {"jsonrpc": "2.0", "id": f"report {is_modern}", "method": "tools/call", "params": params}
            line.writer.write(line.spell(message, line.session or mirrored))
            said = (await line.reader.readuntil(b"0\r\n\r\n")).decode()
            assert "text/event-stream" in said
            assert said.count("notifications/progress") == 2
            assert said.index("2 reports") > said.rindex("notifications/progress")


@scene
async def test_what_follows_a_body_in_pieces_is_nobody_s_header() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        head, _, body = line.call(1, "echo", text="words").partition(b"\r\n\r\n")
        lines = [each for each in head.split(b"\r\n") if not each.startswith((b"Mcp-Name", b"Content-Length"))]
        trailer = b"Mcp-Name: echo\r\n"
        pieces = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailer)
        line.writer.write(b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""]) + pieces)
        status, _, answer = await line.read()
        assert " 400 " in status
        assert "mcp-name is missing" in answer["error"]["message"]


class _Faulty(HttpApp):
    def begin(self, pairs: object, client: object, body: bytes) -> None:
        raise ZeroDivisionError


@scene
async def test_a_fault_of_ours_is_answered_with_500() -> None:
    async with serving(_Faulty(Hall().server)) as house:
        line = await house.dial(is_modern=True)
        line.writer.write(line.call(1, "echo", text="words"))
        assert " 500 " in (await line.read())[0]


def test_a_started_server_serves_so() -> None:
    """Nothing stands between its connections and its endpoint."""
    with Listening() as server, server.connect() as connection:
        tasks = connection.call("tasks").read_message()["result"]["content"][0]["text"]
        assert "Uvicorn" in tasks or "Server" in tasks
        assert "run_asgi" not in tasks


def test_what_stands_when_a_server_starts_is_not_looked_through_again() -> None:
    with Listening() as server, server.connect() as connection:
        frozen = connection.call("frozen").read_message()["result"]["structuredContent"]
        assert frozen > 10_000


def test_a_head_over_the_limit_is_refused_where_the_endpoint_is_the_root() -> None:
    """A head that is refused is read on as if it were for the root."""
    with Listening("--path", "/") as server, server.connect() as connection:
        large = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "2", "X": "x" * 70_000}
        connection.send(head("POST", "/", large) + b"{}")
        assert connection.read_head()[0] == 431
        connection.post(
            {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"MCP-Protocol-Version": MODERN}, path="/"
        )
        assert connection.read_answer()[0] == 202
