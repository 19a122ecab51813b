"""A server whose tools end in every way there is, for what watches requests."""

from __future__ import annotations

import asyncio
import logging

from pydantic import BaseModel

from mcp_kernel import Context, Server, ToolError
from mcp_kernel.errors import ProtocolError

SECRET = "hush-7741"


class Sure(BaseModel):
    sure: bool


class Shop:
    """The server; `entered` is set when a call of `wait` has begun."""

    def __init__(self) -> None:
        self.server = Server("shop", "1.2")
        self.entered = asyncio.Event()
        self._add_plain()
        self._add_waiting()

    def _add_plain(self) -> None:
        @self.server.tool()
        async def echo(text: str) -> str:
            """Say it again."""
            logging.getLogger("shop").warning("echoing %s", text)
            return text

        @self.server.tool()
        async def refuse() -> str:
            """Refuse."""
            raise ToolError("No. Ask for something else.")

        @self.server.tool()
        async def limit() -> str:
            """Say that it is too much."""
            raise ProtocolError(-32000, "Too many", status=429)

        @self.server.tool()
        async def fail() -> str:
            """Fail unforeseen."""
            raise LookupError(f"no such key {SECRET}")

        @self.server.tool()
        def work() -> str:
            """Work in a thread."""
            logging.getLogger("shop").warning("working")
            return "done"

        @self.server.resource("shop://{name}")
        async def item(name: str) -> str:
            return name

        @self.server.prompt()
        def greet(name: str) -> str:
            return f"Hello {name}"

        self.tools = (echo, refuse, limit, fail, work, item, greet)

    def _add_waiting(self) -> None:
        @self.server.tool()
        async def wait() -> str:
            """Wait for ever."""
            self.entered.set()
            await asyncio.Event().wait()
            return "never"

        @self.server.tool()
        async def confirm(ctx: Context) -> str:
            """Ask first."""
            await ctx.elicit("sure", "Sure?", Sure)
            return "done"

        self.waiting = (wait, confirm)
