"""Clients over HTTP, of either era, whose every message is judged; and a server with something to wait for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BaseModel, Field
from pydantic_core import from_json
from tests.oracle import Sender, validate
from tests.stage import META, MODERN, Judge

from mcp_kernel import Context, Server
from mcp_kernel.testing.asgi import Headers, Site, Visit
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

Json = dict[str, Any]

LATEST = "2025-11-25"
INFO = {"name": "tester", "version": "1"}


class HttpJudge(Judge):
    """Of what passes over HTTP: a refusal without an id answers an HTTP request, and no message."""

    def observe(self, sender: Sender, data: bytes, malformed: bool) -> None:
        decoded: object = None
        if sender == "server":
            with suppress(ValueError):  # it is no JSON, then, which the judge says himself
                decoded = from_json(data)
        if isinstance(decoded, dict) and "authorization_servers" in decoded:
            return  # what a resource says of itself (RFC 9728)
        if isinstance(decoded, dict) and "error" in decoded and "id" not in decoded:
            try:
                validate(cast("Json", decoded), revision=LATEST, sender="server")
            except AssertionError as error:
                self.refusals.append(error)
            return
        super().observe(sender, data, malformed)


class Guest:
    """A client of one endpoint; `number` is its last id, to be given where several clients share one judge."""

    def __init__(self, site: Site, number: int = 0) -> None:
        self.site = site
        self.number = number

    def message(self, method: str, params: Mapping[str, object] | None, id: object = None) -> Json:
        """A request under the next id, or another."""
        if id is None:
            self.number += 1
            id = self.number
        return {"jsonrpc": "2.0", "id": id, "method": method, "params": dict(params or {})}


class Modern(Guest):
    """A client of 2026-07-28."""

    capabilities: Json

    def __init__(self, site: Site, number: int = 0) -> None:
        super().__init__(site, number)
        self.capabilities = {}

    def ask(
        self,
        method: str,
        params: Json | None = None,
        headers: Headers | None = None,
        *,
        id: object = None,
        token: Any = None,
    ) -> Visit:
        """Send a request with the headers that mirror it, some of them replaced."""
        meta = {**META, "io.modelcontextprotocol/clientCapabilities": self.capabilities}
        given = {"_meta": meta if token is None else {**meta, "progressToken": token}, **(params or {})}
        mirrored: dict[str, str | list[str] | None] = {"mcp-protocol-version": MODERN, "mcp-method": method}
        name = given.get("uri") if method == "resources/read" else given.get("name")
        if method in ("tools/call", "prompts/get", "resources/read"):
            mirrored["mcp-name"] = cast("str", name)
        return self.site.post(self.message(method, given, id), {**mirrored, **(headers or {})})

    def ask_tool(self, tool: str, /, *, id: object = None, token: Any = None, **arguments: object) -> Visit:
        """Call a tool."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, id=id, token=token)

    async def call(self, tool: str, /, **arguments: object) -> Json:
        """Call a tool and return its result."""
        answer = await self.ask_tool(tool, **arguments).json()
        assert "result" in answer, answer
        return cast("Json", answer["result"])

    async def listen(self, id: object = None, **notifications: object) -> tuple[Visit, Json]:
        """Open a listen stream; returns the acknowledgement, too."""
        visit = self.ask("subscriptions/listen", {"notifications": notifications}, id=id)
        return visit, await hear(visit)


class Member(Guest):
    """A client with a session."""

    def __init__(self, site: Site, revision: str = LATEST, number: int = 0) -> None:
        super().__init__(site, number)
        self.revision = revision
        self.session = ""

    @property
    def headers(self) -> dict[str, str | list[str] | None]:
        return {"mcp-session-id": self.session, "mcp-protocol-version": self.revision}

    async def open(self, **capabilities: object) -> Visit:
        """Shake hands; returns the visit that brought the session."""
        params = {"protocolVersion": self.revision, "capabilities": capabilities, "clientInfo": INFO}
        visit = self.site.post(self.message("initialize", params))
        assert "result" in await visit.json()
        self.session = visit.headers["mcp-session-id"]
        noted = self.tell({"jsonrpc": "2.0", "method": "notifications/initialized"})
        assert (await noted.started(), await noted.whole()) == (202, b"")
        return visit

    def tell(self, message: object) -> Visit:
        """POST a message of any kind."""
        return self.site.post(message, self.headers)

    def ask(self, method: str, params: Json | None = None, *, id: object = None, token: Any = None) -> Visit:
        """Send a request."""
        given = {**(params or {}), **({} if token is None else {"_meta": {"progressToken": token}})}
        return self.tell(self.message(method, given, id))

    def ask_tool(self, tool: str, /, *, id: object = None, token: Any = None, **arguments: object) -> Visit:
        """Call a tool."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments}, id=id, token=token)

    def reply(self, question: Json, result: Json) -> Visit:
        """Answer a request of the server."""
        return self.tell({"jsonrpc": "2.0", "id": question["id"], "result": result})

    def get(self, last: str | None = None) -> Visit:
        """Open the stream of the session, or resume one."""
        more: Headers = {} if last is None else {"last-event-id": last}
        return self.site.get(headers={**self.headers, **more})

    def delete(self) -> Visit:
        """End the session."""
        return self.site.send("DELETE", headers=self.headers)


async def hear(visit: Visit) -> Json:
    """The next message of a stream."""
    return await visit.message()


async def hear_all(visit: Visit) -> list[Json]:
    """The messages of a stream up to its end."""
    return await visit.messages()


@asynccontextmanager
async def visiting(
    app: HttpApp | Server, options: HttpOptions | None = None, *, patience: float = 5.0
) -> AsyncGenerator[Site]:
    """Visit a server over HTTP; a message that the oracle refuses fails the test."""
    judge = HttpJudge()
    served = app.asgi(options) if isinstance(app, Server) else app
    try:
        async with Site(served, observe=judge.observe, patience=patience) as site:
            yield site
    finally:
        judge.rule()


class Confirm(BaseModel):
    """A form."""

    sure: bool


class Hall:
    """A server whose calls can be held, and what became of them."""

    def __init__(self) -> None:
        self.server = Server("hall", "1.0.0")
        self.entered: list[str] = []
        self.cancelled: list[str] = []
        self.ended: list[str] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        for tool in (self.echo, self.hold, self.report, self.confirm, self.route, self.lean):
            self.server.tool()(tool)
        self.server.resource("note://one")(lambda: "a note")

    def free(self, name: str) -> None:
        """Let a call go on."""
        self._gates.setdefault(name, asyncio.Event()).set()

    async def until(self, where: list[str], name: str) -> None:
        """Wait until a call has got somewhere."""
        async with asyncio.timeout(5):
            while name not in where:
                self._changed.clear()
                await self._changed.wait()

    def _note(self, where: list[str], name: str) -> None:
        where.append(name)
        self._changed.set()

    async def echo(self, text: str) -> str:
        """Give the text back."""
        return text

    async def hold(self, name: str, ctx: Context, reports: int = 0) -> str:
        """Report so often, then wait to be freed, then report once more if it did."""
        for done in range(reports):
            await ctx.progress(done + 1)
        self._note(self.entered, name)
        try:
            await self._gates.setdefault(name, asyncio.Event()).wait()
        except asyncio.CancelledError:
            self._note(self.cancelled, name)
            raise
        if reports:
            await ctx.progress(reports + 1)
        self._note(self.ended, name)
        return name

    async def report(self, ctx: Context, count: int, size: int = 0) -> str:
        """Report progress so often."""
        for done in range(count):
            await ctx.progress(done + 1, message="y" * size)
            self._note(self.ended, f"report {done + 1}")
        return f"{count} reports"

    async def confirm(self, ctx: Context, name: str = "it") -> str:
        """Ask before answering."""
        answer = await ctx.elicit("sure", f"Sure of {name}?", Confirm)
        return f"sure of {name}: {answer.sure}"

    async def lean(self, ctx: Context, retry: int) -> str:
        """Let the client go, then wait."""
        ctx.release_stream(retry)
        return await self.hold("lean", ctx)

    async def route(
        self,
        region: Annotated[str | None, Field(json_schema_extra={"x-mcp-header": "Region", "type": "string"})] = None,
        count: Annotated[int | None, Field(json_schema_extra={"x-mcp-header": "Count", "type": "integer"})] = None,
        dry: Annotated[bool | None, Field(json_schema_extra={"x-mcp-header": "Dry", "type": "boolean"})] = None,
    ) -> str:
        """Say what came."""
        return f"{region} {count} {dry}"
