"""The app inside other apps: no lifespan is wired, and nothing is redirected."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount
from tests.stage import META, MODERN, scene
from tests.transports.guests import Hall, Json, Member, Modern, hear, hear_all

from mcp_kernel.testing.asgi import App, Site
from mcp_kernel.transports.http import HttpOptions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from mcp_kernel.transports.http import HttpApp


def in_starlette(app: HttpApp, path: str) -> App:
    return cast("App", Starlette(routes=[Mount(path, app=cast("App", app))]))  # pyright: ignore[reportArgumentType]  # another spelling of ASGI's types


def in_fastapi(app: HttpApp, path: str) -> App:
    outer = FastAPI()

    @outer.get("/hello")
    async def hello() -> str:  # pyright: ignore[reportUnusedFunction]  # asked over HTTP
        return "hello"

    outer.mount(path, cast("App", app))  # pyright: ignore[reportArgumentType]  # as above
    return cast("App", outer)


async def pass_on(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    """A middleware as people write them."""
    return await go_on(request)


def behind_middleware(app: HttpApp, path: str) -> App:
    routes = [Mount(path, app=cast("App", app))]  # pyright: ignore[reportArgumentType]  # as above
    return cast("App", Starlette(routes=routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)]))


everywhere = pytest.mark.parametrize("mount", [in_starlette, in_fastapi, behind_middleware])
MESSAGE: Json = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": META}}
HEADERS: dict[str, str | list[str] | None] = {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"}


@everywhere
@pytest.mark.parametrize("path", ["/", "/api", "/api/v1"])
@scene
async def test_a_mounted_app_serves_both_eras_without_a_redirect(
    mount: Callable[[HttpApp, str], App], path: str
) -> None:
    outer = mount(Hall().server.asgi(), path)
    for end in ("/mcp", "/mcp/"):
        async with Site(outer) as site:
            endpoint = path.rstrip("/") + end
            visit = site.post(MESSAGE, HEADERS, path=endpoint)
            assert "result" in await visit.json()
            params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
            first = site.post({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}, path=endpoint)
            assert "result" in await first.json()
            session: dict[str, str | list[str] | None] = {"mcp-session-id": first.headers["mcp-session-id"]}
            ping = site.post({"jsonrpc": "2.0", "id": 2, "method": "ping"}, session, path=endpoint)
            assert (await ping.json())["result"] == {}
            assert await site.get(path.rstrip("/") + "/healthz").started() == 200


@everywhere
@scene
async def test_an_app_without_a_path_of_its_own_answers_where_it_is_mounted(
    mount: Callable[[HttpApp, str], App],
) -> None:
    async with Site(mount(Hall().server.asgi(HttpOptions(path="/")), "/tools")) as site:
        visit = site.post(MESSAGE, HEADERS, path="/tools/")
        assert "result" in await visit.json()


@everywhere
@scene
async def test_hanging_up_is_heard_through_the_frame(mount: Callable[[HttpApp, str], App]) -> None:
    hall = Hall()
    async with Site(mount(hall.server.asgi(), "/")) as site:
        guest = Modern(site)
        plain, streaming = guest.ask_tool("hold", name="a"), guest.ask_tool("hold", token=1, name="b", reports=1)
        await hear(streaming)
        await hall.until(hall.entered, "a")
        plain.hang_up()
        streaming.hang_up()
        await hall.until(hall.cancelled, "a")
        await hall.until(hall.cancelled, "b")


@everywhere
@scene
async def test_sessions_stream_through_the_frame(mount: Callable[[HttpApp, str], App]) -> None:
    hall = Hall()
    async with Site(mount(hall.server.asgi(), "/")) as site:
        member = Member(site)
        await member.open(elicitation={})
        call = member.ask_tool("confirm", name="x")
        question = await hear(call)
        await member.reply(question, {"action": "accept", "content": {"sure": True}}).whole()
        assert "True" in str(await hear_all(call))
        assert await member.delete().started() == 204


@everywhere
@scene
async def test_the_old_pair_names_an_address_that_exists_where_it_is_mounted(
    mount: Callable[[HttpApp, str], App],
) -> None:
    async with Site(mount(Hall().server.asgi(HttpOptions(sse=True)), "/api")) as site:
        stream = site.get("/api/sse")
        named = await stream.block()
        assert named is not None
        address = str(named.data)
        assert address.startswith("/api/messages?session_id=")
        visit = site.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, path=address)
        assert await visit.started() == 202
        assert (await hear(stream))["result"] == {}


@scene
async def test_the_frame_keeps_its_own_addresses() -> None:
    async with Site(in_fastapi(Hall().server.asgi(), "/api")) as site:
        assert (await site.get("/hello").whole()) == b'"hello"'


@scene
async def test_an_app_on_its_own_lives_and_ends_by_the_lifespan_where_there_is_one() -> None:
    app = Hall().server.asgi()
    said: list[str] = []
    told = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, object]:
        return {"type": next(told)}

    async def send(message: object) -> None:
        said.append(str(cast("Json", message)["type"]))

    await app({"type": "lifespan"}, receive, send)  # pyright: ignore[reportArgumentType]  # a stub
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    async with Site(app) as site:
        assert await site.get("/healthz").started() == 503


@scene
async def test_a_server_that_cancels_its_requests_at_the_end_takes_the_handlers_along() -> None:
    hall = Hall()
    site = Site(hall.server.asgi())
    visit = Modern(site).ask_tool("hold", name="a")
    await hall.until(hall.entered, "a")
    assert visit.task is not None
    visit.task.cancel()
    await hall.until(hall.cancelled, "a")
