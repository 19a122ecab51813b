"""Calls with one key that arrive at several processes, and are made at one."""

from __future__ import annotations

import asyncio

import pytest
from tests.operations.redis import RedisServer
from tests.stage import scene

from mcp_kernel.operations.redis_answers import RedisAnswers
from mcp_kernel.operations.redis_link import RedisLink
from mcp_kernel.server.repeats import KeyReused
from mcp_kernel.server.store import StoreGone


@scene
async def test_a_call_is_made_at_one_process_and_answered_at_all() -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test") for _ in range(2)]
        here, there = (RedisAnswers(link) for link in links)
        assert await here.begin("key", "digest") is None
        waiting = asyncio.ensure_future(there.begin("key", "digest"))
        with pytest.raises(KeyReused):
            await there.begin("key", "another")
        assert not waiting.done()
        await here.finish("key", b"done")
        assert await waiting == b"done"
        assert await here.begin("key", "digest") == b"done"
        for link in links:
            await link.close()


@scene
async def test_what_was_abandoned_or_held_by_the_dead_is_made_by_the_next() -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test", lease=0.2) for _ in range(2)]
        here, there = (RedisAnswers(link) for link in links)
        assert await here.begin("key", "digest") is None
        await here.abandon("key")
        assert await there.begin("key", "digest") is None
        await links[1].close()  # it gives no sign of life any more
        assert await here.begin("key", "digest") is None
        await links[0].close()


@scene
async def test_without_the_store_a_call_with_a_key_is_refused_and_one_that_was_made_is_answered() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        answers = RedisAnswers(link)
        assert await answers.begin("key", "digest") is None
        store.kill()
        await answers.finish("key", b"done")
        with pytest.raises(StoreGone):
            await answers.begin("other", "digest")
        await link.close()
