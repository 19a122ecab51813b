"""What belongs to one principal does not exist for another: sessions, their streams, `requestState`."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tests.stage import scene
from tests.transports.guests import Hall, Member, Modern

from mcp_kernel.server.principal import Principal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp, HttpOptions
from mcp_kernel.transports.incoming import PRINCIPAL

if TYPE_CHECKING:
    from mcp_kernel.transports.incoming import Receive, Scope, Send


class Gatekeeper:
    """Stands where authentication will: whoever the switch names is the principal."""

    def __init__(self, hall: Hall, options: HttpOptions | None = None) -> None:
        self.app = HttpApp(hall.server, options)
        self.who: str | None = "alice"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, PRINCIPAL: None if self.who is None else Principal(self.who)}, receive, send)


@scene
async def test_a_session_of_another_principal_does_not_exist() -> None:
    gate = Gatekeeper(Hall())
    async with Site(gate) as site:
        member = Member(site)
        await member.open()
        for stranger in ("mallory", None):
            gate.who = stranger
            assert await member.ask_tool("echo", text="x").started() == 404
            assert await member.get().started() == 404
            assert await member.delete().started() == 404
        gate.who = "alice"
        assert "result" in await member.ask_tool("echo", text="x").json()


@scene
async def test_whoever_opens_session_after_session_pushes_out_their_own() -> None:
    gate = Gatekeeper(Hall(), HttpOptions(most_sessions=3))
    async with Site(gate) as site:
        quiet = Member(site)
        await quiet.open()
        gate.who = "mallory"
        greedy = [Member(site, number=1000 * each) for each in range(1, 6)]
        for each in greedy:
            await each.open()
        assert [await each.ask("tools/list").started() for each in greedy] == [404, 404, 404, 200, 200]
        gate.who = "alice"
        assert "result" in await quiet.ask("tools/list").json()
        gate.who = "bob"  # who has none yet
        await Member(site, number=9000).open()
        gate.who = "mallory"
        assert await greedy[3].ask("tools/list").started() == 404


@scene
async def test_a_stream_of_another_principal_cannot_be_resumed() -> None:
    hall = Hall()
    gate = Gatekeeper(hall)
    async with Site(gate) as site:
        member = Member(site)
        await member.open()
        visit = member.ask_tool("hold", name="held", reports=1, token=1)
        event = await visit.event()
        assert event is not None
        gate.who = "mallory"
        assert await member.get(event.id).started() == 404
        hall.free("held")


@scene
async def test_a_request_state_of_another_principal_is_refused() -> None:
    gate = Gatekeeper(Hall())
    async with Site(gate) as site:
        guest = Modern(site)
        guest.capabilities = {"elicitation": {}}
        asked = await guest.ask_tool("confirm").json()
        state = cast("dict[str, str]", asked["result"])["requestState"]
        retry: dict[str, object] = {"name": "confirm", "arguments": {}, "requestState": state}
        gate.who = "mallory"
        refused = cast("dict[str, object]", (await guest.ask("tools/call", retry).json())["error"])
        assert "another principal" in str(refused["message"])
        gate.who = "alice"
        assert "result" in await guest.ask("tools/call", retry).json()


@scene
async def test_the_address_of_another_principals_stream_takes_nothing() -> None:
    gate = Gatekeeper(Hall(), HttpOptions(sse=True))
    async with Site(gate) as site:
        stream = site.get(path="/sse")
        block = await stream.block()
        assert block is not None
        address = str(block.data)
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        gate.who = "mallory"
        assert await site.post(ping, path=address).started() == 404
        gate.who = "alice"
        assert await site.post(ping, path=address).started() == 202
