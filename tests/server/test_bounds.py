"""How much of what a client follows is held for it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.stage import LEGACY, Connect, Dial, modern, scene

from mcp_kernel import Server
from mcp_kernel.server.subscriptions import MOST_URIS
from mcp_kernel.testing.memory import Refused, Wire


def open_server() -> Server:
    server = Server("s", "1")

    @server.resource("t://{x}")
    def any_of(x: str) -> str:
        return x

    return server


def listen(wire: Wire, identifier: str, **wanted: object) -> int | str:
    return wire.request("subscriptions/listen", modern(notifications=wanted), id=identifier)


@scene
async def test_a_stream_follows_so_many_resources_and_one_more_is_refused(dial: Dial) -> None:
    server = open_server()
    async with dial(server) as wire:
        uris = [f"t://{number}" for number in range(MOST_URIS + 1)]
        refusal: Any = await wire.answer(listen(wire, "more", resourceSubscriptions=uris))
        assert refusal["error"]["code"] == -32602
        listen(wire, "most", resourceSubscriptions=uris[1:])
        await wire.notification("notifications/subscriptions/acknowledged")
        assert server.subscriptions.uris == set(uris[1:])


@scene
async def test_a_connection_holds_so_many_streams(dial: Dial) -> None:
    async with dial(open_server()) as wire:
        wire.peer.listening = 10_000
        refusal: Any = await wire.answer(listen(wire, "one more"))
        assert refusal["error"]["code"] == -32603


@pytest.mark.parametrize("revision", LEGACY)
@scene
async def test_a_session_follows_so_many_resources_and_one_more_is_refused(connect: Connect, revision: str) -> None:
    async with connect(open_server(), revision) as client:
        held = client.wire.peer.session.subscriptions
        held.update(f"t://{number}" for number in range(MOST_URIS))
        with pytest.raises(Refused, match=f"at most {MOST_URIS}"):
            await client.subscribe("t://one-more")
        await client.subscribe("t://1")  # which it follows already
        assert len(held) == MOST_URIS
