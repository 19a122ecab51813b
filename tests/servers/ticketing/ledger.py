"""A model of the tracker: what clients did, what they were told, and whether a database can have come of it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, cast

from mcp_kernel import Client
from mcp_kernel.client.failures import ClientError
from mcp_server_ticketing.tickets import Dossier

Outcome = Literal["done", "refused", "unknown"]


@dataclass
class Deed:
    """One call of a client: what it wished for, by an unmistakable word, and what came of it. Times are counted."""

    kind: Literal["create", "note", "escalate", "close"]
    word: str
    ticket: int | None
    began: int
    outcome: Outcome = "unknown"
    ended: int = 1 << 60
    said: str = ""


@dataclass
class Ledger:
    """Every deed of every client."""

    deeds: list[Deed] = field(default_factory=list[Deed])
    tickets: list[int] = field(default_factory=list[int])
    clock: int = 0

    def __post_init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Event]] = []

    async def reach(self, deeds: int) -> None:
        """Wait until so many deeds were begun."""
        if len(self.deeds) < deeds:
            event = asyncio.Event()
            self._waiting.append((deeds, event))
            await event.wait()

    def tick(self) -> int:
        self.clock += 1
        return self.clock

    def open(self, kind: Literal["create", "note", "escalate", "close"], word: str, ticket: int | None = None) -> Deed:
        deed = Deed(kind, word, ticket, self.tick())
        self.deeds.append(deed)
        for deeds, event in self._waiting:
            if len(self.deeds) >= deeds:
                event.set()
        return deed

    async def perform(self, client: Client, deed: Deed, tool: str, **arguments: object) -> None:
        """Call a tool, and write down what came of it; without an answer it is not known."""
        try:
            result = await client.call_tool(tool, arguments)
        except ClientError as error:
            deed.said = str(error)
            return
        deed.ended = self.tick()
        deed.outcome = "refused" if result.is_error else "done"
        deed.said = result.text
        if tool == "create_ticket" and not result.is_error:
            deed.ticket = int(str(cast("dict[str, object]", result.structured)["ticket_id"]))
            self.tickets.append(deed.ticket)

    async def act(self, client: Client, dice: random.Random, word: str, served: asyncio.Event) -> None:
        """Do one thing, whatever the dice say. `served` is set while the server is there."""
        choice = dice.random()
        if choice < 0.25 or not self.tickets:
            deed = self.open("create", word)
            arguments = {
                "subject": word,
                "customer": f"c{dice.randrange(20)}@example.com",
                "body": "x",
                "priority": "low",
            }
            await self.perform(client, deed, "create_ticket", **arguments)
            return
        ticket = dice.choice(self.tickets)
        if choice < 0.5:
            await self.perform(client, self.open("note", word, ticket), "add_note", ticket_id=ticket, text=word)
        elif choice < 0.65:
            await self.perform(
                client, self.open("escalate", word, ticket), "escalate_ticket", ticket_id=ticket, reason=word
            )
        elif choice < 0.8:
            deed = self.open("close", word, ticket)
            await self.perform(client, deed, "close_ticket", ticket_id=ticket, resolution=word)
        else:
            await self.insist(client, ticket, word, served)

    async def insist(self, client: Client, ticket: int, word: str, served: asyncio.Event) -> None:
        """Close with a key, again and again until there is an answer; and once more, which must change nothing."""
        deed = self.open("close", word, ticket)
        arguments = {"ticket_id": str(ticket), "resolution": word, "idempotency_key": word}
        for _ in range(50):
            await served.wait()
            await self.perform(client, deed, "close_ticket", **arguments)
            if deed.outcome != "unknown":
                break
        assert deed.outcome != "unknown", deed.said
        again = Deed("close", word, ticket, self.tick())
        await self.perform(client, again, "close_ticket", **arguments)
        assert again.outcome in (deed.outcome, "unknown"), (deed, again)

    def settle(self, dossiers: dict[int, Dossier]) -> None:
        """Hold the database against what was done: nothing acknowledged is lost, nothing is done twice."""
        subjects = Counter(dossier.ticket.subject for dossier in dossiers.values())
        for deed in self.deeds:
            if deed.kind == "create":
                assert subjects[deed.word] <= 1, deed
                assert subjects[deed.word] == 1 or deed.outcome != "done", deed
                assert deed.outcome != "refused", deed
        for number, dossier in dossiers.items():
            mine = [deed for deed in self.deeds if deed.ticket == number]
            _settle_notes(dossier, [deed for deed in mine if deed.kind == "note"])
            _settle_once(dossier, "escalated", [deed for deed in mine if deed.kind == "escalate"])
            _settle_once(dossier, "closed", [deed for deed in mine if deed.kind == "close"])
            assert dossier.history[0].what == "created"
            once = (dossier.ticket.status == "closed") + (dossier.ticket.queue == "human")
            assert len(dossier.history) == 1 + len(dossier.notes) + once, dossier


def _settle_notes(dossier: Dossier, deeds: list[Deed]) -> None:
    written = Counter(note.text for note in dossier.notes)
    for deed in deeds:
        assert deed.outcome != "refused", deed
        assert written[deed.word] == 1 or (written[deed.word] == 0 and deed.outcome == "unknown"), deed
    assert set(written) <= {deed.word for deed in deeds}


def _settle_once(dossier: Dossier, what: Literal["escalated", "closed"], deeds: list[Deed]) -> None:
    """What happens to a ticket once: who was told of success did it, and nobody was told of it too early."""
    events = [event.detail for event in dossier.history if event.what == what]
    assert len(events) <= 1, dossier
    done = [deed for deed in deeds if deed.outcome == "done"]
    assert [deed.word for deed in done] in ([], events), (events, done)
    if what == "closed":
        assert (dossier.ticket.status == "closed") == bool(events)
        assert dossier.ticket.resolution == (events[0] if events else None)
    wins = [deed for deed in deeds if deed.word in events]
    assert len(wins) == len(events), (events, deeds)
    for deed in deeds:
        if deed.outcome == "refused" and f"is {what}" in deed.said:
            assert wins, deed
            assert wins[0].began < deed.ended, (deed, wins)  # nobody hears of what has not begun
        if deed.outcome == "refused" and wins and wins[0].ended < deed.began:
            assert wins[0] is not deed
