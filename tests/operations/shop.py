"""A server whose requests end in every way, with an audit log around it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from tests.operations.logs import NOON, read_records, verify

from mcp_kernel import Context, Server, ToolError
from mcp_kernel.errors import ProtocolError
from mcp_kernel.operations.audit import AuditStage
from mcp_kernel.operations.audit_file import AuditFile
from mcp_kernel.operations.audit_writer import AuditWriter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from mcp_kernel.server.pipeline import Stage


class Yes(BaseModel):
    """A form."""

    sure: bool = True


class Shop(Server):
    """A server that remembers what it did."""

    def __init__(self) -> None:
        super().__init__("shop", "1", timeout=0.2)
        self.done: list[str] = []


def make_server() -> Shop:
    server = Shop()

    @server.tool(read_only=True)
    async def echo(text: str) -> str:
        """Say it again."""
        server.done.append(text)
        return text

    @server.tool()
    async def fail(how: str) -> str:
        """Go wrong."""
        raise {"told": ToolError("no"), "peer": ProtocolError(-32602, "no"), "bug": ValueError("no")}[how]

    @server.tool()
    async def hang() -> str:
        """Wait for ever."""
        await asyncio.Event().wait()
        return "never"

    @server.tool()
    async def ask(ctx: Context) -> str:
        """Ask first."""
        await ctx.elicit("sure", "Sure?", Yes)
        return "done"

    @server.tool(task="allowed")
    async def work() -> str:
        """Work as a task."""
        await asyncio.sleep(0)
        return "done"

    @server.resource("note://one")
    async def note() -> str:
        return "a note"

    return server


@asynccontextmanager
async def audited(path: Path, *inner: Stage, required: bool = False) -> AsyncGenerator[Shop]:
    server = make_server()
    log = AuditWriter(AuditFile(path, NOON))
    server.use([AuditStage(log, required=required), *inner])
    try:
        yield server
    finally:
        await log.close()


def sound_calls(path: Path) -> list[dict[str, Any]]:
    """What is written of everything but the handshake, in a log that is as it was written."""
    assert verify(path) == 0
    return calls(path)


def calls(path: Path) -> list[dict[str, Any]]:
    """What is written of everything but the handshake."""
    return [record for record in read_records(path) if record["method"] not in ("initialize", "server/discover")]
