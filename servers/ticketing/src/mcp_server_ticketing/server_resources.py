"""Tickets as resources, and word of their changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from mcp_kernel import Server

from .queries import State
from .refusals import Refusal
from .server_answers import Document, Encoded, Overview, locate, show_found, show_ticket
from .server_arguments import Digits
from .storage import Change
from .tickets import TIERS, Tier
from .tracker import Tracker

LIST: Final = "ticket://list"
FILTERED: Final = "ticket://list{?status,tier}"
TICKET: Final = "ticket://{ticket_id}"
JSON: Final = "ticket://{ticket_id}.json"
_PAUSE: Final = 1.0  # seconds until a database that was away is tried again


def add_resources(server: Server, tracker: Tracker) -> None:
    """Add the lists, the tickets, and the completion of their numbers."""

    @server.resource(LIST, name="tickets", title="Open tickets", mime_type="text/markdown")
    async def tickets() -> Overview:  # pyright: ignore[reportUnusedFunction]  # registered
        """The open tickets, the newest first."""
        return Overview("Open tickets", show_found(await tracker.search(state="open")))

    @server.resource(FILTERED, name="tickets-filtered", title="Tickets by status and tier", mime_type="text/markdown")
    async def filtered(status: State = "open", tier: Tier | None = None) -> Overview:  # pyright: ignore[reportUnusedFunction]  # registered
        """The tickets of one status (open, closed, escalated), of one tier (free, pro) or of all."""
        title = f"{status.capitalize()} tickets" + (f" of {tier} customers" if tier else "")
        return Overview(title, show_found(await tracker.search(state=status, tier=tier)))

    @server.resource(TICKET, name="ticket", title="A ticket", mime_type="text/markdown")
    async def ticket(ticket_id: Digits) -> Document:  # pyright: ignore[reportUnusedFunction]  # registered
        """A ticket with its notes and its history."""
        return show_ticket(await tracker.read(int(ticket_id)))

    @server.resource(JSON, name="ticket-data", title="A ticket as data", mime_type="application/json")
    async def data(ticket_id: Digits) -> Encoded:  # pyright: ignore[reportUnusedFunction]  # registered
        """A ticket with its notes and its history, as JSON."""
        return Encoded(show_ticket(await tracker.read(int(ticket_id))))

    @server.members(TICKET)
    async def members() -> list[dict[str, str]]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [{"ticket_id": number} for number in await number_tickets(server, tracker, "", "open")]

    _add_completion(server, tracker)


def _add_completion(server: Server, tracker: Tracker) -> None:
    async def complete(prefix: str) -> list[str]:
        return await number_tickets(server, tracker, prefix)

    for template in (TICKET, JSON):
        server.complete(template, "ticket_id")(complete)

    @server.complete(FILTERED, "status")
    def statuses(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [status for status in ("open", "closed", "escalated") if status.startswith(prefix)]

    @server.complete(FILTERED, "tier")
    def tiers(prefix: str) -> list[str]:  # pyright: ignore[reportUnusedFunction]  # registered
        return [tier for tier in TIERS if tier.startswith(prefix)]


async def number_tickets(server: Server, tracker: Tracker, prefix: str, state: State | None = None) -> list[str]:
    """Numbers of tickets; none while the database cannot be opened, since lists must answer all the same."""
    try:
        return [str(number) for number in await tracker.numbers(prefix, state)]
    except server.tool_errors:
        return []


def add_notices(server: Server, tracker: Tracker) -> None:
    """Tell subscribers of every change, whoever made it, once it is stored."""

    def hear(change: Change | None) -> None:
        for uri in sorted(server.subscriptions.uris):
            if (
                change is None
                or uri.startswith(LIST)
                or uri in (locate(change.ticket_id), f"{locate(change.ticket_id)}.json")
            ):
                server.changed(uri)
        if change is None or change.listed:
            server.list_changed("resources")

    tracker.storage.listener = hear

    async def watch(_subscribed: Iterable[str]) -> None:
        while True:
            with suppress(Refusal):  # the database is away: the calls say so
                await tracker.storage.watch()
            await asyncio.sleep(_PAUSE)

    server.watcher(watch, lists=True)

    @server.on_close
    async def close() -> None:  # pyright: ignore[reportUnusedFunction]  # registered
        await tracker.storage.close()
