"""Rates that several processes count together."""

from __future__ import annotations

import asyncio

from redis.exceptions import RedisError
from tests.operations.redis import RedisServer, turn
from tests.stage import scene

from mcp_kernel.operations.rates import MemoryBuckets, Rate
from mcp_kernel.operations.redis_buckets import RedisBuckets
from mcp_kernel.operations.redis_link import RedisLink

HOURLY = Rate(6, 3600.0)


@scene
async def test_a_caller_has_one_allowance_at_all_processes() -> None:
    with RedisServer() as store:
        links = [RedisLink(store.url, "mcp:test") for _ in range(2)]
        here, there = (RedisBuckets(link) for link in links)
        waits = await asyncio.gather(*(each.take({"ann": HOURLY}, 0.0) for each in [here, there] * 5))
        assert sorted(waits)[:6] == [0.0] * 6
        assert all(590 < wait <= 600 for wait in sorted(waits)[6:]), "what memory says, too"
        assert await there.take({"bob": HOURLY}, 0.0) == 0.0
        for link in links:
            await link.close()


@scene
async def test_of_two_buckets_both_are_taken_from_or_none() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        buckets = RedisBuckets(link)
        tool = Rate(1, 3600.0)
        assert await buckets.take({"ann": HOURLY, "ann tool": tool}, 0.0) == 0.0
        assert await buckets.take({"ann": HOURLY, "ann tool": tool}, 0.0) > 3590
        assert [await buckets.take({"ann": HOURLY}, 0.0) for _ in range(5)] == [0.0] * 5, "the refusal took nothing"
        assert await buckets.take({"ann": HOURLY}, 0.0) > 0.0
        await link.close()


@scene
async def test_the_store_counts_as_memory_does() -> None:
    rate = Rate(3, 3600.0)
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        shared, alone = RedisBuckets(link), MemoryBuckets()
        for _ in range(6):
            wait, expected = await shared.take({"k": rate}, 0.0), await alone.take({"k": rate}, 0.0)
            assert abs(wait - expected) < 5
        await link.close()


@scene
async def test_without_the_store_each_process_holds_its_callers_to_the_rate() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        buckets = RedisBuckets(link)
        assert await buckets.take({"ann": HOURLY}, 0.0) == 0.0
        store.kill()
        waits = [await buckets.take({"ann": HOURLY}, 0.0) for _ in range(8)]
        assert [wait > 0 for wait in waits] == [False] * 6 + [True] * 2
        await link.close()


@scene
async def test_a_store_that_does_not_answer_holds_nobody_up() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        buckets = RedisBuckets(link)
        await buckets.take({"ann": HOURLY}, 0.0)
        store.halt()
        async with asyncio.timeout(2.5):  # one second for the first, which finds it out
            waits = [await buckets.take({"ann": HOURLY}, 0.0) for _ in range(8)]
        assert [wait > 0 for wait in waits] == [False] * 6 + [True] * 2
        store.go_on()
        await link.close()


@scene
async def test_a_store_that_is_back_counts_again_though_nothing_else_needs_it() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        buckets = RedisBuckets(link)
        store.kill()
        await buckets.take({"ann": HOURLY}, 0.0)  # from the first call on it is not there
        store.start()
        async with asyncio.timeout(10):
            while not await _is_counted(link, "bob"):
                await buckets.take({"bob": Rate(10_000, 3600.0)}, 0.0)
                await turn()
        store.kill()
        await buckets.take({"ann": HOURLY}, 0.0)
        store.start()
        async with asyncio.timeout(10):
            while not await _is_counted(link, "eve"):
                await buckets.take({"eve": Rate(10_000, 3600.0)}, 0.0)
                await turn()
        await link.close()


async def _is_counted(link: RedisLink, name: str) -> bool:
    try:
        return bool(await link.redis.exists(f"mcp:test:b:{name}"))
    except RedisError:
        return False


@scene
async def test_what_is_kept_of_a_caller_ends_when_its_bucket_is_full() -> None:
    with RedisServer() as store:
        link = RedisLink(store.url, "mcp:test")
        await RedisBuckets(link).take({"ann": HOURLY}, 0.0)
        left = await link.redis.pttl("mcp:test:b:ann")
        assert 0 < int(left) <= 600_001
        await link.close()
