"""Subscribers hear of every change once, whoever made it, in both eras and of both databases."""

from __future__ import annotations

from typing import cast

from tests.servers.ticketing.desk import do, read
from tests.servers.ticketing.place import Place, desk_scene, open_client
from tests.stage import Json, in_both_eras

from mcp_kernel.testing.eras import Client
from mcp_server_ticketing.tickets import Actor, Closing, Draft

SOMEBODY = Actor("somebody else")
UPDATED, LISTED = "notifications/resources/updated", "notifications/resources/list_changed"


async def hear(client: Client, method: str, uri: str = "") -> Json:
    """Wait for a notification, of one resource."""
    while True:
        heard: Json = dict(await client.wire.notification(method))
        if not uri or heard["params"]["uri"] == uri:
            return heard


async def said(client: Client) -> list[str]:
    """What has been said since it was last asked: the URIs that changed, in order, and `list`."""
    await client.wire.quiet()
    heard = [message for message in client.wire.received if str(message.get("method")) in (UPDATED, LISTED)]
    client.wire.received.clear()
    return sorted(str(cast("Json", message.get("params") or {}).get("uri", "list")) for message in heard)


@in_both_eras
@desk_scene
async def test_a_change_of_ones_own_is_told_once(place: Place, revision: str) -> None:
    async with open_client(place, revision) as client:
        await client.subscribe("ticket://43", "ticket://43.json", "ticket://42", "ticket://list?tier=free")
        await read(client, "ticket://list")
        await said(client)
        await do(client, "add_note", ticket_id="43", text="Hm.")
        assert await said(client) == ["ticket://43", "ticket://43.json", "ticket://list?tier=free"]
        await do(client, "escalate_ticket", ticket_id="43", reason="Hm.")
        assert await said(client) == ["ticket://43", "ticket://43.json", "ticket://list?tier=free"]
        wish = {"ticket_id": "43", "resolution": "Done.", "idempotency_key": "k"}
        await do(client, "close_ticket", **wish)
        assert await said(client) == ["list", "ticket://43", "ticket://43.json", "ticket://list?tier=free"]
        await do(client, "close_ticket", **wish)
        assert await said(client) == []


@in_both_eras
@desk_scene
async def test_a_change_by_another_process_is_told(place: Place, revision: str) -> None:
    other = place.tracker()
    await other.search()
    async with open_client(place, revision) as client:
        await read(client, "ticket://list")
        await client.subscribe("ticket://42", "ticket://list")
        await other.add_note(42, "Seen.", SOMEBODY)
        await hear(client, UPDATED, "ticket://42")
        await hear(client, UPDATED, "ticket://list")
        assert "Seen." in await read(client, "ticket://42")
        ticket = await other.create(Draft("New", "carol@example.com", "x", "low"), SOMEBODY)
        await hear(client, LISTED)
        listed = await client.list_all("resources/list", "resources")
        assert f"ticket://{ticket.id}" in [resource["uri"] for resource in listed]
        await other.close(Closing(42, "Done."), SOMEBODY)
        await hear(client, LISTED)


@in_both_eras
@desk_scene
async def test_who_only_hears_of_the_list_hears_of_another_process(place: Place, revision: str) -> None:
    other = place.tracker()
    await other.search()
    async with open_client(place, revision) as client:
        await read(client, "ticket://list")
        await client.subscribe()
        await other.close(Closing(43, "Done."), SOMEBODY)
        await hear(client, LISTED)


@in_both_eras
@desk_scene
async def test_a_change_by_hand_is_told_to_everybody(place: Place, revision: str) -> None:
    async with open_client(place, revision) as client:
        await read(client, "ticket://list")
        await client.subscribe("ticket://43")
        await do(client, "add_note", ticket_id="43", text="So that whoever watches has begun.")
        other = place.tracker()
        await other.add_note(43, "And one more.", SOMEBODY)
        for _ in range(2):
            await hear(client, UPDATED, "ticket://43")
        await place.run_sql("UPDATE customers SET tier = 'pro' WHERE email = 'bob@example.com'")
        await hear(client, UPDATED, "ticket://43")
        assert "tier pro" in await read(client, "ticket://43")
