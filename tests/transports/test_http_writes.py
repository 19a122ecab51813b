"""How an answer is written: its head with what follows at once, and in its turn whatever follows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.stage import scene
from tests.transports.listening import Listening, head

from mcp_kernel.connections import LARGE, Together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Wire(asyncio.Transport):
    """Keeps what is written, call by call."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes | list[bytes]] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.calls.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.calls.append([bytes(data) for data in list_of_data])

    def close(self) -> None:
        self.calls.append(b"closed")


async def next_turn() -> None:
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(done.set_result, None)
    await done


@scene
async def test_a_head_is_written_with_its_body_and_alone_where_nothing_follows_at_once() -> None:
    wires = [Wire() for _ in range(4)]
    whole, stream, large, ended = [Together(wire, asyncio.get_running_loop()) for wire in wires]
    for each in (whole, stream, large, ended):
        each.write(b"head ")
    assert [wire.calls for wire in wires] == [[], [], [], []]
    whole.write(b"body")
    large.write(b"x" * LARGE)
    ended.close()
    await next_turn()
    stream.write(b"event")
    whole.write(b"more")
    await next_turn()
    assert wires[0].calls == [b"head body", b"more"]
    assert wires[1].calls == [b"head ", b"event"]
    assert wires[2].calls == [[b"head ", b"x" * LARGE]], "not copied"
    assert wires[3].calls == [b"head ", b"closed"]


@pytest.fixture
def server() -> Iterator[Listening]:
    with Listening() as server:
        yield server


def test_a_head_without_a_body_comes_before_the_next_answer(server: Listening) -> None:
    asked = head("HEAD", "/healthz", {"Host": "localhost"})
    with server.connect() as connection:
        for _ in range(20):
            connection.send(asked).call("echo", text="next")
            status, fields = connection.read_head()
            assert (status, fields["content-length"]) == (200, "2")
            assert "next" in str(connection.read_message())
