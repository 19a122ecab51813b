"""The same story over every wire: a real process on stdio and over HTTP, in both eras, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.served import serve
from tests.servers.everything.wires import visit
from tests.servers.ticketing.desk import TICKET, call, do, items, read, refuse
from tests.servers.ticketing.fleet import SERVER
from tests.servers.ticketing.place import Place, desk_scene
from tests.stage import MODERN, Json, in_both_eras
from tests.transports.host import Host
from tests.transports.worlds import in_a_world_without_watches

from mcp_server_ticketing.tickets import Actor, Closing

EVERYTHING: Json = {"elicitation": {}, "sampling": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}}


@pytest.fixture(params=["stdio", "http"])
def url(request: pytest.FixtureRequest, place: Place) -> Iterator[str | None]:
    """The URL of a server of the place over HTTP; None for one on stdio, which its client starts."""
    if request.param == "stdio":
        yield None
        return
    with serve([*SERVER, *place.options]) as found:
        yield found


def answer(method: str, params: Json) -> Json:
    """A person who agrees to everything, and a model."""
    if method == "sampling/createMessage":
        return {"role": "assistant", "content": {"type": "text", "text": "In short."}, "model": "test"}
    fields = params["requestedSchema"]["properties"]
    return {"action": "accept", "content": {"priority": "high"} if "priority" in fields else {"confirm": True}}


@in_both_eras
@desk_scene
async def test_every_primitive_works_over_every_wire(place: Place, url: str | None, revision: str) -> None:
    command = [*SERVER, *place.options]
    async with visit(url, revision, capabilities=EVERYTHING, answer=answer, command=command) as client:
        assert "42: Cannot log in" in await read(client, "ticket://list")
        assert (await do(client, "create_ticket", **TICKET))["priority"] == "high"
        assert (await do(client, "summarize_ticket", ticket_id="42"))["summary"] == "In short."
        closed = await do(client, "close_ticket", ticket_id="42", resolution="Reset by hand.")
        assert closed == {"success": True, "closed_ticket_id": "42"}
        assert "is closed since" in await refuse(client, "close_ticket", ticket_id=42, resolution="Again.")
        assert [method for method, _ in client.asked] == [
            "elicitation/create",
            "sampling/createMessage",
            "elicitation/create",
        ]
        moved = await call(client, "escalate_ticket", ticket_id="43", reason="Beyond me.")
        if revision == MODERN:
            task = {"taskId": moved["taskId"]}
            client.request("subscriptions/listen", {"notifications": {"taskIds": [moved["taskId"]]}})
            await client.wire.notification("notifications/subscriptions/acknowledged")
            while (await client.call("tasks/get", task))["status"] == "working":
                await client.wire.notification("notifications/tasks")
        assert "escalated" in await read(client, "ticket://43")
        prompt = await client.call("prompts/get", {"name": "triage", "arguments": {"ticket_id": "43"}})
        assert "escalated by tester: Beyond me." in str(prompt)
        assert [each["uri"] for each in await items(client, "resources/list", "resources")] == [
            "ticket://list",
            "ticket://43",
            "ticket://44",
        ]


@in_both_eras
@desk_scene
async def test_a_subscriber_hears_of_another_process_over_every_wire(
    place: Place, url: str | None, revision: str
) -> None:
    async with visit(url, revision, command=[*SERVER, *place.options]) as client:
        await read(client, "ticket://list")
        await client.subscribe("ticket://43")
        await place.tracker().close(Closing(43, "Done."), Actor("somebody else"))
        heard = await client.wire.notification("notifications/resources/updated")
        assert heard["params"]["uri"] == "ticket://43"  # pyright: ignore[reportIndexIssue]  # an object
        await client.wire.notification("notifications/resources/list_changed")


def test_a_subscriber_hears_where_the_system_has_no_more_watches_to_give(tmp_path: Path) -> None:
    command = [*SERVER, "--db-path", str(tmp_path / "desk.db")]
    with Host(in_a_world_without_watches(command)) as host, Host(command) as other:
        host.open().request("resources/subscribe", uri="ticket://42")
        other.open()
        for number in range(3):  # the first is seen by the look with which the watcher begins
            other.call("add_note", ticket_id="42", text=f"Seen {number}.")
            heard = host.hear(lambda message: message.get("method") == "notifications/resources/updated")
            assert heard["params"]["uri"] == "ticket://42"
