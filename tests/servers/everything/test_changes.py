"""What the server says on its way: logs, progress, changes, streams that end early, calls that are cancelled."""

from __future__ import annotations

from typing import cast

import pytest
from tests.servers.everything.wires import Enter, HttpWire, visit
from tests.stage import MODERN, Json, in_both_eras, scene, text_of

from mcp_kernel.testing.eras import Client

LEVELS = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"]
WATCHED = "test://watched-resource"


def notes(client: Client, method: str) -> list[Json]:
    """The params of the notifications of a method that came so far."""
    return [cast("Json", each["params"]) for each in client.wire.notifications(method)]


@in_both_eras
@scene
async def test_logs_come_from_the_level_that_was_asked_for(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        await client.set_log_level("warning")
        await client.call_tool("test_logging_tool")
        assert [each["level"] for each in notes(client, "notifications/message")] == LEVELS[3:]
        assert notes(client, "notifications/message")[1]["data"] == {
            "text": "A message at level error",
            "data": [1, 2, 3],
        }


@in_both_eras
@scene
async def test_a_tool_logs_as_it_works(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        await client.set_log_level("debug")
        await client.call_tool("test_tool_with_logging")
        said = [each["data"] for each in notes(client, "notifications/message")]
        assert said == ["Tool execution started", "Tool processing data", "Tool execution completed"]


@scene
async def test_nothing_is_logged_for_a_stateless_request_that_did_not_ask(enter: Enter) -> None:
    async with enter(MODERN) as client:
        await client.call_tool("test_logging_tool")
        assert client.wire.notifications() == []


@in_both_eras
@pytest.mark.parametrize("token", ["p-1", 0, ""])
@scene
async def test_progress_rises_under_the_token_of_the_call(enter: Enter, revision: str, token: str | int) -> None:
    async with enter(revision) as client:
        call: Json = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": token}}
        await client.call("tools/call", call)
        progress = notes(client, "notifications/progress")
        assert [each["progress"] for each in progress] == [0, 50, 100]
        assert {(each["progressToken"], each["total"]) for each in progress} == {(token, 100)}


@in_both_eras
@pytest.mark.parametrize(
    ("tool", "method", "member", "extra"),
    [
        ("test_trigger_tool_change", "tools/list", "tools", "test_extra_tool"),
        ("test_trigger_prompt_change", "prompts/list", "prompts", "test_extra_prompt"),
    ],
)
@scene
async def test_a_list_changes_and_its_listeners_hear_of_it(
    enter: Enter, revision: str, tool: str, method: str, member: str, extra: str
) -> None:
    async with enter(revision) as client:
        await client.subscribe(WATCHED)
        for here in (True, False):
            told = text_of(await client.call_tool(tool))
            assert told == f"{extra} was {'added' if here else 'removed'}."
            await client.wire.notification(f"notifications/{member}/list_changed")
            assert (extra in [each["name"] for each in await client.list_all(method, member)]) is here


@in_both_eras
@scene
async def test_a_subscriber_hears_that_a_resource_has_changed(enter: Enter, revision: str) -> None:
    async with enter(revision) as client:
        await client.subscribe(WATCHED)
        await client.call_tool("test_trigger_resource_change")
        heard = await client.wire.notification("notifications/resources/updated")
        assert cast("Json", heard["params"])["uri"] == WATCHED
        (contents,) = cast("list[Json]", (await client.call("resources/read", {"uri": WATCHED}))["contents"])
        assert contents["text"].startswith("Changed ")


# A stateless request over HTTP is cancelled by closing its connection.
@pytest.mark.parametrize(("http", "revision"), [(False, "2025-11-25"), (False, MODERN), (True, "2025-11-25")])
@scene
async def test_a_call_that_is_cancelled_is_not_answered(url: str, http: bool, revision: str) -> None:
    async with visit(url if http else None, revision) as client:
        call: Json = {"name": "test_cancellation", "arguments": {}, "_meta": {"progressToken": 1}}
        request = client.request("tools/call", call)
        await client.wire.notification("notifications/progress")
        client.wire.cancel(request)
        assert text_of(await client.call_tool("test_simple_text"))
        assert not client.wire.was_answered(request)


@scene
async def test_a_stream_that_ended_early_is_taken_up_again(url: str) -> None:
    async with visit(url, "2025-11-25") as client:
        assert isinstance(client.wire, HttpWire)
        told = text_of(await client.call_tool("test_reconnection"))
        assert told == "The stream ended in between, and was taken up again."
        assert client.wire.resumed == 1


@pytest.mark.parametrize("revision", ["2025-03-26", "2025-06-18", MODERN])
@scene
async def test_a_stream_that_cannot_be_taken_up_again_does_not_end_early(url: str, revision: str) -> None:
    async with visit(url, revision) as client:
        assert isinstance(client.wire, HttpWire)
        await client.call_tool("test_reconnection")
        assert client.wire.resumed == 0
