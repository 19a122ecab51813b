"""Listen streams over HTTP (2026-07-28): acknowledged first, named, kept alive, ended with their result."""

from __future__ import annotations

import asyncio

import pytest
from tests.stage import scene, scene_out_of_time
from tests.transports.guests import Hall, Modern, hear, hear_all, visiting

from mcp_kernel import Server


@pytest.mark.parametrize("id", [7, "7", 0])
@scene
async def test_a_listen_stream_begins_with_its_acknowledgement_and_names_itself(id: int | str) -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit, said = await Modern(site).listen(id, toolsListChanged=True, resourceSubscriptions=["note://one"])
        assert said["method"] == "notifications/subscriptions/acknowledged"
        hall.server.list_changed("tools")
        hall.server.list_changed("prompts")
        hall.server.changed("note://one")
        told = [await hear(visit), await hear(visit)]
        assert [message["method"] for message in told] == [
            "notifications/tools/list_changed",
            "notifications/resources/updated",
        ]
        names = [message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] for message in (said, *told)]
        assert [(name, type(name)) for name in names] == [(id, type(id))] * 3


@scene_out_of_time
async def test_a_quiet_stream_is_kept_alive_by_comments() -> None:
    async with visiting(Hall().server, patience=100) as site:
        visit, _ = await Modern(site).listen(toolsListChanged=True)
        loop = asyncio.get_running_loop()
        before = loop.time()
        for _ in range(3):
            block = await visit.block()
            assert block is not None
            assert (block.comment, block.data) == ("keep-alive", None)
        assert loop.time() - before == pytest.approx(45, abs=1)  # pyright: ignore[reportUnknownMemberType]  # pytest has no types for it


@scene
async def test_closing_ends_a_listen_stream_with_its_result() -> None:
    app = Hall().server.asgi()
    async with visiting(app) as site:
        visit, _ = await Modern(site).listen("x", toolsListChanged=True)
        await app.close()
        (answer,) = await hear_all(visit)
        assert answer["id"] == "x"
        assert answer["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "x"


@scene
async def test_hanging_up_a_listen_stream_leaves_nothing_behind() -> None:
    hall = Hall()
    async with visiting(hall.server) as site:
        visit, _ = await Modern(site).listen(resourceSubscriptions=["note://one"])
        assert hall.server.subscriptions.uris == {"note://one"}
        visit.hang_up()
        await visit.over()
        assert hall.server.subscriptions.uris == set()


@scene
async def test_notices_that_came_while_a_listener_did_not_read_reach_it_when_it_reads_again() -> None:
    server = Server("many", "1.0.0")

    @server.resource("note://{name}")
    async def note(name: str) -> str:  # pyright: ignore[reportUnusedFunction]  # read over the wire
        return name

    uris = [f"note://{number}" for number in range(500)]
    async with visiting(server) as site:
        visit, _ = await Modern(site).listen(resourceSubscriptions=uris)
        visit.stop_reading()
        for _ in range(3):
            for uri in uris:
                server.changed(uri)
        visit.read_on()
        told: set[object] = set()
        while told != set(uris):
            told.add((await hear(visit))["params"]["uri"])
        assert len(visit.body) < 100_000
