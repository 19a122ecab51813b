"""Viewer, agent and admin, with the roles that the README gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers.ticketing.desk import do, items, read, refuse
from tests.servers.ticketing.place import Enter, Place, desk_scene
from tests.stage import in_both_eras

from mcp_kernel.auth.policy import Policy, read_policy
from mcp_kernel.auth.resource import document
from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.eras import Client
from mcp_kernel.testing.memory import Refused
from mcp_server_ticketing.storage import Change

README = Path(__file__).parents[3] / "servers" / "ticketing" / "README.md"
VIEWER = ["search_tickets", "get_customer"]
AGENT = [*VIEWER, "summarize_ticket", "create_ticket", "add_note", "close_ticket", "escalate_ticket"]


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """The roles as the README has them."""
    path = tmp_path_factory.mktemp("auth") / "auth.toml"
    path.write_text(README.read_text("utf-8").partition("```toml\n")[2].partition("```")[0], "utf-8")
    said = document.read(path)
    policy = read_policy(said)
    said.require_sound()
    return policy


def holder(role: str) -> Principal:
    return Principal(f"{role} 1", (role,))


async def tools_of(client: Client) -> list[str]:
    return [str(tool["name"]) for tool in await items(client, "tools/list", "tools")]


@in_both_eras
@desk_scene
async def test_each_role_sees_its_tools(place: Place, enter: Enter, policy: Policy, revision: str) -> None:
    for role, expected in {"viewer": VIEWER, "agent": AGENT}.items():
        async with enter(revision, principal=holder(role), policy=policy) as client:
            assert sorted(await tools_of(client)) == sorted(expected)
            assert "Cannot log in" in await read(client, "ticket://42")
    async with enter(revision, principal=holder("admin"), policy=policy) as client:
        assert sorted(await tools_of(client)) == sorted([*AGENT, "update_account"])
    async with enter(revision, principal=holder("stranger"), policy=policy) as client:
        assert await tools_of(client) == []
        with pytest.raises(Refused, match="Resource not found"):
            await read(client, "ticket://42")


@in_both_eras
@desk_scene
async def test_a_viewer_changes_nothing(place: Place, enter: Enter, policy: Policy, revision: str) -> None:
    async with enter(revision, principal=holder("viewer"), policy=policy) as client:
        assert "tickets" in await do(client, "search_tickets")
        for tool, arguments in {
            "add_note": {"ticket_id": "42", "text": "x"},
            "close_ticket": {"ticket_id": "42", "resolution": "x"},
            "update_account": {"email": "a@example.com", "tier": "free"},
        }.items():
            with pytest.raises(Refused, match=f"Unknown tool: {tool}"):
                await client.call_tool(tool, arguments)
        with pytest.raises(Refused, match="Unknown prompt"):
            await client.call("prompts/get", {"name": "triage", "arguments": {"ticket_id": "42"}})
        assert "| noted" not in await read(client, "ticket://42")


@in_both_eras
@desk_scene
async def test_an_agent_works_and_an_admin_decides(place: Place, enter: Enter, policy: Policy, revision: str) -> None:
    async with enter(revision, principal=holder("agent"), policy=policy) as client:
        assert (await do(client, "add_note", ticket_id="42", text="seen"))["success"] is True
        with pytest.raises(Refused, match="Unknown tool: update_account"):
            await client.call_tool("update_account", {"email": "a@example.com", "tier": "pro"})
        (email,) = {line["customer"] for line in (await do(client, "search_tickets", query="42"))["tickets"]}
    async with enter(revision, principal=holder("admin"), policy=policy) as client:
        for tier in ("free", "free", "pro"):
            assert (await do(client, "update_account", email=email, tier=tier))["tier"] == tier
            assert (await do(client, "get_customer", email=email))["tier"] == tier
        assert "There is no customer" in await refuse(client, "update_account", email="no@example.com", tier="pro")
        assert "tier" in await refuse(client, "update_account", email=email, tier="gold")
        assert "name" in await refuse(client, "update_account", email=email, tier="pro", name="x")


@in_both_eras
@desk_scene
async def test_without_a_policy_there_is_no_such_tool(place: Place, enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        assert sorted(await tools_of(client)) == sorted(AGENT)
        with pytest.raises(Refused, match="Unknown tool: update_account"):
            await client.call_tool("update_account", {"email": "a@example.com", "tier": "pro"})


@desk_scene
async def test_a_changed_tier_is_told_of_each_ticket_that_shows_it(place: Place) -> None:
    tracker, told = place.tracker(), list[Change | None]()
    ticket = (await tracker.read(42)).ticket
    tracker.storage.listener = told.append
    await tracker.update_account(ticket.customer.email, "free")
    await tracker.update_account(ticket.customer.email, "free")  # nothing changes
    assert told == [Change(42, listed=False)]
