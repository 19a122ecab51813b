"""One process's end of the store: neither a refusal there nor a stray message parts it from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from tests.operations.redis import PATIENCE, RedisServer
from tests.stage import scene

from mcp_kernel.operations.redis_answers import RedisAnswers
from mcp_kernel.operations.redis_link import RedisLink
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.store import Place, StoreGone


@scene
async def test_a_second_writer_who_is_refused_has_not_lost_the_store(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test") for _ in range(2)]
        for link in links:
            await link.ready()
            done = asyncio.Event()
            link.sessions.append(Place("session", "0", 1), link.replica.encode(), done.set)
            await asyncio.wait_for(done.wait(), PATIENCE)
        assert [link.is_reached for link in links] == [True, True]
        events, _ = await links[1].sessions.read(Place("session", "0", 0), 0.0)
        assert events == [(1, links[0].replica.encode())]
        assert not caplog.records
        for link in links:
            await link.close()


@scene
@pytest.mark.parametrize(
    "stray", [b'{"kind":[],"from":"","number":"","body":{}}', b'{"kind":"answer","from":"","number":{},"body":{}}']
)
async def test_what_is_no_message_does_not_end_the_hearing(stray: bytes) -> None:
    with RedisServer() as store:
        here, there = (RedisLink(store.url, "mcp:test") for _ in range(2))
        heard = asyncio.Event()

        async def hear(_: JsonObject) -> None:
            heard.set()

        here.on("news", hear)
        await here.ready()
        await there.redis.publish(there.key("all"), stray)  # pyright: ignore[reportUnknownMemberType]  # its options have no types
        there.tell("news", {})
        await asyncio.wait_for(heard.wait(), PATIENCE)
        for link in (here, there):
            await link.close()


@scene
async def test_what_fails_with_one_sign_of_life_does_not_end_them(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test", lease=0.3)
        seen, again = iter([False, True]), asyncio.Event()

        async def look() -> None:
            if not next(seen, True):
                message = "damaged"
                raise ValueError(message)
            again.set()

        link.on_beat(look)
        await link.ready()
        await asyncio.wait_for(again.wait(), PATIENCE)
        assert "sign of life" in caplog.text
        await link.close()


@scene
async def test_a_call_that_is_cancelled_while_it_is_begun_is_made_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer() as store:
        link, other = (RedisLink(store.url, "mcp:test") for _ in range(2))
        answers, run = RedisAnswers(link), link.run
        await link.ready()

        async def cancelled(command: Awaitable[object]) -> object:
            await run(command)
            monkeypatch.undo()
            raise asyncio.CancelledError

        monkeypatch.setattr(link, "run", cancelled)
        with pytest.raises(asyncio.CancelledError):
            await answers.begin("key", "digest")
        assert await asyncio.wait_for(RedisAnswers(other).begin("key", "digest"), PATIENCE) is None
        await answers.abandon("key")  # it is the other's by now
        entry = other.key("i", "key")
        assert await other.redis.exists(entry)
        for each in (link, other):
            await each.close()


@scene
async def test_a_start_that_fails_leaves_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")

        async def fail() -> None:
            raise StoreGone

        monkeypatch.setattr(link, "_renew", fail)
        for _ in range(5):
            with pytest.raises(StoreGone):
                await link.ready()
        subscribed = [each for each in await link.redis.client_list() if each["sub"] != "0"]  # pyright: ignore[reportUnknownMemberType]  # its options have no types
        assert not subscribed
        await link.close()


@scene
async def test_what_the_store_refuses_is_told_without_the_command(caplog: pytest.LogCaptureFixture) -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        await link.redis.set("text", "a")
        async with link.redis.pipeline() as commands:
            commands.xadd("text", {"d": "a secret"})
            with pytest.raises(StoreGone):
                await link.run(commands.execute())
        assert "refuses a command:" in caplog.text
        assert "WRONGTYPE" in caplog.text
        assert "secret" not in caplog.text
        await link.close()
