"""A server behind a gate, and its file."""

from __future__ import annotations

import hashlib
import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.transports.guests import visiting

from mcp_kernel import Context, Server
from mcp_kernel.auth.resource.following import AuthFile
from mcp_kernel.auth.resource.gate import ResourceGate
from mcp_kernel.auth.resource.place import Place
from mcp_kernel.transports.http import HttpApp, HttpOptions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from mcp_kernel.testing.asgi import Headers, Site, Visit

META: dict[str, object] = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}
EVERYONE = '[roles.everyone]\ntools = ["*"]\n'
MIRRORED = {"mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "whoami"}


def key_lines(name: str, key: str, *more: str) -> str:
    """A key as it stands in the file."""
    hashed = hashlib.sha256(key.encode()).hexdigest()
    return "\n".join(["[[keys]]", f'name = "{name}"', f'hash = "sha256:{hashed}"', *more, ""])


def request(method: str, params: Mapping[str, object]) -> dict[str, object]:
    """A message under an id that no other has."""
    return {"jsonrpc": "2.0", "id": secrets.randbits(48), "method": method, "params": dict(params)}


def make_server() -> Server:
    server = Server("club", "1")

    @server.tool(read_only=True)
    async def whoami(ctx: Context) -> str:
        """Say who asks."""
        who = ctx.principal
        return "nobody" if who is None else f"{who.name} {sorted(who.roles)} {sorted(who.scopes)}"

    return server


class Entrance:
    """The gate of a file that a test may write again. `seconds` is what both clocks show."""

    def __init__(self, path: Path, text: str, place: Place | None = None, **options: Any) -> None:
        self.path = path / "auth.toml"
        self.seconds = 1_000_000.0
        self.gate = ResourceGate(place or Place("/mcp"), now=lambda: self.seconds, **options)
        self.gate.file = AuthFile(self.path, [self.gate.read], clock=lambda: self.seconds)
        self.write(text)
        self.gate.file.load()

    def write(self, text: str) -> None:
        self.path.write_text(text)

    @asynccontextmanager
    async def visit(self, patience: float = 5.0, **options: Any) -> AsyncGenerator[Site]:
        app = HttpApp(make_server(), HttpOptions(gate=self.gate, **options))
        async with visiting(app, patience=patience) as site:
            yield site
        await app.close(0)


def knock(site: Site, headers: Headers | None = None, path: str = "/mcp") -> Visit:
    """Call the tool that says who asks."""
    message = request("tools/call", {"name": "whoami", "_meta": META})
    return site.post(message, {**MIRRORED, **(headers or {})}, path=path)


async def name_at(site: Site, headers: Headers) -> str:
    """What the tool says."""
    visit = knock(site, headers)
    assert await visit.started() == 200, await visit.whole()
    answer: Any = await visit.json()
    return str(answer["result"]["content"][0]["text"])
