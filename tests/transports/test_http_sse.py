"""HTTP+SSE (2024-11-05): a stream to read, and an address to post to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import INFO, Guest, Hall, Json, hear, hear_all, visiting

from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from mcp_kernel.testing.asgi import Visit
    from mcp_kernel.transports.http import HttpApp

SSE = HttpOptions(sse=True)


def pairs(app: HttpApp) -> int:
    return len(app._pair._pairs)  # pyright: ignore[reportPrivateUsage]  # what would leak


class Reader(Guest):
    """A client of the old transport."""

    async def open(self, **capabilities: object) -> Visit:
        """Open the stream and shake hands."""
        self.stream = self.site.get("/sse")
        named = await self.stream.block()
        assert named is not None
        assert named.name == "endpoint"
        self.address = str(named.data)
        params = {"protocolVersion": "2024-11-05", "capabilities": capabilities, "clientInfo": INFO}
        assert "result" in await self.request("initialize", params)
        await self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return self.stream

    async def tell(self, message: object, *, malformed: bool = False) -> None:
        """Post a message, which is accepted at once."""
        visit = self.site.post(message, path=self.address, malformed=malformed)
        await visit.whole()
        assert visit.status == 202

    async def request(self, method: str, params: Json) -> Json:
        """Post a request and read its answer."""
        await self.tell(self.message(method, params))
        return await hear(self.stream)

    async def ask_tool(self, tool: str, token: object = None, **arguments: object) -> None:
        """Post a call."""
        meta = {} if token is None else {"_meta": {"progressToken": token}}
        await self.tell(self.message("tools/call", {"name": tool, "arguments": arguments, **meta}))


@scene
async def test_whoever_asks_elsewhere_is_told_where_the_stream_is() -> None:
    async with visiting(Hall().server, SSE) as site:
        assert "the endpoint is /sse" in str(await site.get("/mcp").json())


@scene
async def test_the_stream_names_the_address_and_carries_the_answers() -> None:
    async with visiting(Hall().server, SSE) as site:
        reader = Reader(site)
        stream = await reader.open()
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-accel-buffering"] == "no"
        await reader.ask_tool("echo", text="hi")
        event = await stream.event()
        assert event is not None
        assert (event.name, event.id, event.retry) == ("message", None, None)
        assert "hi" in str(event.data)


@scene
async def test_progress_questions_and_notices_share_the_one_stream() -> None:
    hall = Hall()
    async with visiting(hall.server, SSE) as site:
        reader = Reader(site)
        stream = await reader.open()
        await reader.ask_tool("hold", token="t", name="a", reports=1)
        assert (await hear(stream))["params"]["progressToken"] == "t"
        hall.server.list_changed("tools")
        assert (await hear(stream))["method"] == "notifications/tools/list_changed"
        hall.free("a")
        assert [(await hear(stream)).get("id") for _ in range(2)] == [None, 2]


@scene
async def test_two_clients_with_the_same_ids_do_not_cross() -> None:
    hall = Hall()
    app = hall.server.asgi(SSE)
    async with visiting(app) as one, visiting(app) as other:
        first, second = Reader(one), Reader(other)
        await first.open()
        await second.open()
        assert first.address != second.address
        await first.ask_tool("echo", text="first")
        await second.ask_tool("echo", text="second")
        assert "second" in str(await hear(second.stream))
        assert "first" in str(await hear(first.stream))
        assert not first.stream.body
        assert not second.stream.body


@pytest.mark.parametrize("query", ["", "?session_id=", "?session_id=0", "?session_id=a&session_id=b", "?other=1"])
@scene
async def test_an_address_that_nobody_was_given_is_404(query: str) -> None:
    app = Hall().server.asgi(SSE)
    async with visiting(app) as site, Site(app) as unjudged:
        await Reader(site).open()
        visit = unjudged.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, path=f"/messages{query}")
        assert await visit.started() == 404


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/sse", 405), ("GET", "/messages", 405), ("GET", "/mcp", 404)]
)
@scene
async def test_other_methods_and_addresses_are_refused(method: str, path: str, status: int) -> None:
    async with visiting(Hall().server, SSE) as site:
        assert await site.send(method, path).started() == status


@scene
async def test_hanging_up_ends_the_session_and_its_calls() -> None:
    hall = Hall()
    app = hall.server.asgi(SSE)
    async with visiting(app) as site:
        reader = Reader(site)
        stream = await reader.open()
        await reader.ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        stream.hang_up()
        await hall.until(hall.cancelled, "a")
        await stream.over()
        assert pairs(app) == 0
        gone = site.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, path=reader.address)
        assert await gone.started() == 404


@scene
async def test_streams_that_were_opened_and_left_leave_nothing_behind() -> None:
    app = Hall().server.asgi(SSE)
    async with visiting(app) as site:
        for _ in range(100):
            visit = site.get("/sse")
            await visit.block()
            visit.hang_up()
            await visit.over()
        assert pairs(app) == 0


@scene
async def test_closing_ends_the_stream_after_the_answers_of_calls_in_flight() -> None:
    hall = Hall()
    app = hall.server.asgi(SSE)
    async with visiting(app) as site:
        reader = Reader(site)
        stream = await reader.open()
        await reader.ask_tool("hold", name="a")
        await hall.until(hall.entered, "a")
        closing = asyncio.ensure_future(app.close())
        hall.free("a")
        assert [message["id"] for message in await hear_all(stream)] == [2]
        await closing
        assert await site.get("/sse").started() == 503


@scene_out_of_time
async def test_a_quiet_stream_is_kept_alive() -> None:
    async with visiting(Hall().server, SSE, patience=100) as site:
        stream = site.get("/sse")
        await stream.block()
        block = await stream.block()
        assert block is not None
        assert block.comment == "keep-alive"


@scene
async def test_the_stream_does_not_dry_up() -> None:
    hall = Hall()
    async with visiting(hall.server, SSE) as site:
        stream = await Reader(site).open()
        for _ in range(700):
            hall.server.list_changed("tools")
            assert (await hear(stream))["method"] == "notifications/tools/list_changed"


@scene
async def test_a_client_that_reads_late_gets_every_answer() -> None:
    hall = Hall()
    async with visiting(hall.server, SSE) as site:
        reader = Reader(site)
        stream = await reader.open()
        stream.stop_reading()
        calls = [asyncio.ensure_future(reader.ask_tool("echo", text="x" * 30_000)) for _ in range(400)]
        await asyncio.wait(calls, timeout=0.2)
        assert any(not call.done() for call in calls), "who does not read may not ask on"
        stream.read_on()
        found = [(await hear(stream))["id"] for _ in range(400)]
        assert sorted(found) == list(range(2, 402))
        await asyncio.gather(*calls)


@scene
async def test_a_flood_waits_for_its_reader_and_stops_with_it() -> None:
    hall = Hall()
    async with visiting(hall.server, SSE) as site:
        reader = Reader(site)
        stream = await reader.open()
        stream.stop_reading()
        await reader.ask_tool("report", token=1, count=1_000_000)
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(hall.ended) < 300
        stream.hang_up()
        await stream.over()
        assert len(hall.ended) < 1_000_000


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'{"jsonrpc":"2.0","id":true,"method":"ping"}'])
@scene
async def test_what_is_no_message_is_answered_on_the_stream_and_the_session_goes_on(body: bytes) -> None:
    async with visiting(Hall().server, SSE) as site:
        reader = Reader(site)
        stream = await reader.open()
        await reader.tell(body, malformed=True)
        assert "error" in await hear(stream)
        await reader.ask_tool("echo", text="hi")
        assert "hi" in str(await hear(stream))
