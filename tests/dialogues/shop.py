"""The server of the dialogues: a small shop that asks, reports, remembers and forgets. `python shop.py` serves it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from mcp_kernel import Context, Server, run


@dataclass
class Item:
    name: str
    price: float


@dataclass
class Confirm:
    sure: bool


def make_shop() -> Server:
    """The shop with its shelves full."""
    server = Server("shop", "1.0.0", instructions="Look before you buy.", state_key=b"the key of the dialogues")
    shelf = {"tea": Item("tea", 4.5), "cup": Item("cup", 8.0)}

    @server.tool(read_only=True)
    async def find(words: str) -> list[Item]:
        """Find items by their name.

        Args:
            words: What to look for.
        """
        return [item for item in shelf.values() if words in item.name]

    @server.tool()
    async def buy(name: Literal["tea", "cup"], ctx: Context) -> str:
        """Buy an item."""
        await ctx.elicit("confirm", f"Buy {name} for {shelf[name].price}?", Confirm)
        return f"You bought {name}."

    @server.tool()
    async def pack(count: int, ctx: Context) -> str:
        """Pack parcels, one after the other."""
        for done in range(1, count + 1):
            await ctx.progress(done, count)
            await ctx.log("info", f"parcel {done}")
        return f"{count} packed"

    @server.tool()
    async def wait() -> str:
        """Wait for a customer who never comes."""
        await asyncio.Event().wait()
        return "never"

    @server.tool()
    async def sell_out(name: str, ctx: Context) -> str:
        """Take an item off the shelf."""
        del shelf[name]
        ctx.changed(f"shop://items/{name}")
        ctx.list_changed("resources")
        return f"No {name} any more."

    add_reading(server, shelf)
    return server


def add_reading(server: Server, shelf: dict[str, Item]) -> None:
    """What can be read and picked there."""

    @server.resource("shop://items/{name}", mime_type="text/plain")
    async def item(name: str) -> str:
        """One item."""
        return f"{name}: {shelf[name].price}"

    @server.prompt()
    def recommend(mood: Literal["sunny", "rainy", "snowy"]) -> str:
        """Ask for a recommendation."""
        return f"What should I drink on a {mood} day?"


if __name__ == "__main__":
    run(make_shop())
