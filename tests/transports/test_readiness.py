"""`/readyz`: whether what a server needs can be used, told to anybody and telling no more than that."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from tests.stage import elapse, scene, scene_out_of_time

from mcp_kernel import Server
from mcp_kernel.server.principal import Knock, Principal, Refusal
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SECRET = "postgresql://ann:hush-7741@db/shop"


class Backend:
    """Something that a server needs, which counts who asks after it."""

    def __init__(self) -> None:
        self.asked = 0
        self.came = asyncio.Event()
        self.is_broken = False
        self.holds: asyncio.Event | None = None

    async def check(self) -> None:
        self.asked += 1
        self.came.set()
        if self.holds is not None:
            await self.holds.wait()
        if self.is_broken:
            raise RuntimeError(f"cannot reach {SECRET}")


class Closed:
    """A gate that lets nobody in."""

    async def admit(self, knock: Knock) -> Principal | Refusal:
        return Refusal(401, "Nobody")

    def document(self, knock: Knock) -> bytes | None:
        return None

    async def close(self) -> None:
        pass


def make_server(check: Callable[[], Awaitable[None]] | None = None) -> Server:
    server = Server("shop", "1")
    if check is not None:
        server.ready_check("database")(check)
    return server


async def ask(site: Site, path: str = "/readyz") -> tuple[int, str]:
    visit = site.get(path)
    return await visit.started(), (await visit.whole()).decode()


@scene
async def test_a_server_that_needs_nothing_is_ready() -> None:
    async with Site(HttpApp(make_server())) as site:
        assert await ask(site) == (200, "ready")
        assert await site.post("{}", path="/readyz").started() == 404


@scene_out_of_time
async def test_what_cannot_be_used_is_named_and_its_secrets_are_not(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend()
    async with Site(HttpApp(make_server(backend.check), HttpOptions(gate=Closed()))) as site:
        assert await ask(site) == (200, "ready")
        backend.is_broken = True
        await elapse(1.1)
        with caplog.at_level(logging.WARNING, "mcp_kernel"):
            status, said = await ask(site)
            assert (status, said) == (503, "database: cannot be used; the server's log says why")
            await elapse(1.1)
            assert await ask(site) == (status, said)
        assert [SECRET in record.getMessage() for record in caplog.records] == [True]
        assert await ask(site, "/healthz") == (200, "ok")
        backend.is_broken = False
        await elapse(1.1)
        assert await ask(site) == (200, "ready")
        assert caplog.records[-1].getMessage() == "Ready again, database"


@scene_out_of_time
async def test_many_who_ask_cost_no_more_than_one() -> None:
    backend = Backend()
    async with Site(HttpApp(make_server(backend.check))) as site:
        assert set(await asyncio.gather(*(ask(site) for _ in range(50)))) == {(200, "ready")}
        await elapse(0.9)
        await ask(site)
        assert backend.asked == 1
        await elapse(0.2)
        await ask(site)
        assert backend.asked == 2


@scene_out_of_time
async def test_a_backend_that_hangs_is_asked_once_until_it_answers() -> None:
    backend = Backend()
    backend.holds = asyncio.Event()
    async with Site(HttpApp(make_server(backend.check))) as site:
        for _ in range(3):
            assert await ask(site) == (503, "database: does not answer within 2 s")
            await elapse(1.1)
        assert backend.asked == 1
        backend.holds.set()
        await elapse(0)
        assert await ask(site) == (200, "ready")


@scene
async def test_who_asks_and_leaves_does_not_end_the_check() -> None:
    backend = Backend()
    backend.holds = asyncio.Event()
    readiness = make_server(backend.check).readiness
    assert readiness is not None
    impatient, patient = asyncio.create_task(readiness.problems()), asyncio.create_task(readiness.problems())
    await backend.came.wait()
    impatient.cancel()
    backend.holds.set()
    assert await patient == []
    assert impatient.cancelled()


@scene
async def test_a_server_that_closes_is_not_ready_and_leaves_no_check_behind() -> None:
    backend = Backend()
    app = HttpApp(make_server(backend.check))
    async with Site(app) as site:
        await ask(site)
        await app.close()
        assert await ask(site) == (503, "closing")
