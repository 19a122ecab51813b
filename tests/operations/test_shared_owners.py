"""What belongs to one principal, asked for at a process that knows of it from the store alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.operations.proxy import proxy
from tests.operations.redis import RedisServer
from tests.operations.replicas import capable, replicas
from tests.server.workshop import Workshop
from tests.stage import scene
from tests.transports.listening import Connection, Listening

from mcp_kernel.server.principal import Knock, Principal, Refusal
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from tests.transports.guests import Json, Modern


class Named:
    """A gate that believes whoever knocks."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        return Principal(knock.values(b"x-name")[0].decode())

    def document(self, knock: Knock) -> bytes | None:
        return None

    async def close(self) -> None:
        """It holds nothing."""


async def ask(client: Modern, who: str, method: str, task: str, **more: object) -> Json:
    return dict(await client.ask(method, {"taskId": task, **more}, {"mcp-name": task, "x-name": who}).json())


@scene
async def test_a_task_of_another_is_unknown_at_every_process() -> None:
    one, other = Workshop(), Workshop()
    with RedisServer() as store:
        async with replicas(store, [one.server, other.server], options=HttpOptions(gate=Named())) as sites:
            here, there = capable(sites[0], 0), capable(sites[1], 100)
            called = here.ask("tools/call", {"name": "work", "arguments": {}}, {"x-name": "ann"})
            made: Json = dict(await called.json())
            task = str(made["result"]["taskId"])
            for client in (here, there):
                asked: list[tuple[str, Json]] = [("get", {}), ("update", {"inputResponses": {}}), ("cancel", {})]
                for method, more in asked:
                    for who in ("bob", ""):
                        assert (await ask(client, who, f"tasks/{method}", task, **more))["error"]["code"] == -32602
                assert (await ask(client, "ann", "tasks/get", task))["result"]["status"] == "working"
            assert one.trace == ["work began"], "nobody's cancel got to it"


@pytest.mark.slow
def test_a_session_outlives_the_process_that_opened_it() -> None:
    complained_of = pytest.raises(AssertionError, match=r"tools 1\.0\.0 serves")  # that it is killed, with its log
    with (
        RedisServer() as store,
        Listening("--store", store.url, MCP_STATE_KEY="k") as left,
        complained_of,
        Listening("--store", store.url, MCP_STATE_KEY="k") as lost,
        proxy([url(left), url(lost)]) as front,
    ):
        place = ("127.0.0.1", int(front.split(":")[2].split("/")[0]))
        with lost.connect() as connection:
            session = lost.open_session(connection)
        lost.process.kill()
        assert lost.wait() != 0
        for number in range(1, 9):
            with Connection(place) as connection:
                ping = {"jsonrpc": "2.0", "id": number, "method": "ping"}
                assert connection.post(ping, session).read_message() == {"jsonrpc": "2.0", "id": number, "result": {}}


def url(server: Listening) -> str:
    assert isinstance(server.address, tuple)
    return f"http://127.0.0.1:{server.address[1]}/mcp"
