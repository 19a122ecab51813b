"""Watchers: what looks for changes runs while somebody is subscribed, and no longer."""

from __future__ import annotations

import asyncio

import pytest
from tests.stage import (
    Connect,
    Dial,
    in_both_eras,
    modern,
    scene,
)

from mcp_kernel import Server
from mcp_kernel.server.subscriptions import Subscriptions
from mcp_kernel.testing.memory import Wire


def make_server() -> Server:
    server = Server("s", "1")
    for number in (1, 2):
        server.resource(f"a://{number}")(lambda: "")
    return server


def listen(wire: Wire, identifier: int | str = "sub", **wanted: object) -> int | str:
    return wire.request("subscriptions/listen", modern(notifications=wanted), id=identifier)


class Watch:
    """A watcher that says when it begins and when it ends."""

    def __init__(self, server: Server) -> None:
        self.log: list[str] = []
        self.seen: list[set[str]] = []
        self.woken = asyncio.Event()
        server.watcher(self.watch)

    async def watch(self, subscriptions: Subscriptions) -> None:
        self.log.append("began")
        try:
            await self.woken.wait()
            self.seen.append(set(subscriptions))
            await asyncio.Event().wait()
        finally:
            self.log.append("ended")


@in_both_eras
@scene
async def test_a_watcher_runs_while_somebody_is_subscribed(connect: Connect, revision: str) -> None:
    server = make_server()
    watch = Watch(server)
    async with connect(server, revision) as client:
        await client.wire.quiet()
        assert watch.log == []
        await client.subscribe("a://1", "a://2")
        await client.wire.quiet()
        assert watch.log == ["began"]
        watch.woken.set()
        await client.wire.quiet()
        assert watch.seen == [{"a://1", "a://2"}]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert watch.log == ["began", "ended"]


@scene
async def test_a_watcher_that_fails_starts_again_with_the_next_subscription(
    dial: Dial, caplog: pytest.LogCaptureFixture
) -> None:
    server, runs = make_server(), list[int]()

    @server.watcher
    async def watch(subscriptions: Subscriptions) -> None:
        runs.append(len(runs))
        raise OSError("the disk is gone")

    async with dial(server) as wire:
        first = listen(wire, 1, resourceSubscriptions=["a://1"])
        await wire.quiet()
        wire.cancel(first)
        await wire.quiet()
        listen(wire, 2, resourceSubscriptions=["a://1"])
        await wire.quiet()
        assert runs == [0, 1]
        assert "the disk is gone" in caplog.text


@in_both_eras
@scene
async def test_a_watcher_of_lists_runs_while_somebody_hears_of_them(connect: Connect, revision: str) -> None:
    server, log = make_server(), list[str]()

    async def watch(subscriptions: Subscriptions) -> None:
        log.append("began")
        try:
            await asyncio.Event().wait()
        finally:
            log.append("ended")

    server.watcher(watch, lists=True)
    async with connect(server, revision) as client:
        await client.subscribe()
        await client.wire.quiet()
        assert log == ["began"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["began", "ended"]


@scene
async def test_a_watcher_of_lists_waits_for_a_stream_that_asks_for_them(dial: Dial) -> None:
    server, log = make_server(), list[str]()

    async def watch(subscriptions: Subscriptions) -> None:
        log.append("began")
        await asyncio.Event().wait()

    server.watcher(watch, lists=True)
    async with dial(server) as wire:
        listen(wire, 1, toolsListChanged=True)
        await wire.quiet()
        assert log == []
        listen(wire, 2, resourcesListChanged=True)
        await wire.quiet()
        assert log == ["began"]
