"""The tracker: what can be done with tickets, each deed in one transaction, together with its trace in the history."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from . import queries
from .opening import Clock, now
from .queries import State
from .refusals import Refusal
from .storage import Change, Storage, Value, Work
from .tickets import LONGEST_NAME, Actor, Closing, Customer, Deed, Dossier, Draft, Event, Found, Ticket, Tier
from .wording import read_address, read_line, read_text

LIVELIEST = 100
"""Tickets that a list shows, and numbers that a completion offers."""


@dataclass(frozen=True, slots=True)
class Account:
    """A customer and their tickets, the newest first; `total` counts all of them."""

    customer: Customer
    tickets: list[Ticket]
    total: int


class Tracker:
    """A support desk on a database.

    Everything raises `Refusal` where the answer is no.
    """

    def __init__(self, storage: Storage, clock: Clock = now) -> None:
        self.storage = storage
        self._clock = clock

    # --- reading ---

    async def check(self) -> None:
        """Read from the database."""
        async with self.storage.reading() as work:
            await queries.ticket_numbers(work, "", None, 1)

    async def read(self, ticket_id: int) -> Dossier:
        """A ticket with all about it; raises `UnknownTicket`."""
        async with self.storage.reading() as work:
            return await queries.read_dossier(work, ticket_id)

    async def search(
        self, query: str = "", state: State | None = None, tier: Tier | None = None, limit: int = LIVELIEST
    ) -> Found:
        """Find tickets by words, the newest first."""
        if "\0" in query or any("\ud800" <= character <= "\udfff" for character in query):
            return Found([], 0)  # no text that is stored holds one
        async with self.storage.reading() as work:
            return await queries.search(work, query.split(), state, tier, limit)

    async def numbers(self, prefix: str = "", state: State | None = None) -> list[int]:
        """The numbers of the newest tickets, as far as they begin with these digits."""
        if not (prefix.isascii() and (prefix.isdigit() or not prefix)):
            return []
        async with self.storage.reading() as work:
            return await queries.ticket_numbers(work, prefix, state, LIVELIEST)

    async def account(self, email: str) -> Account:
        """A customer with their newest tickets; raises `UnknownCustomer`."""
        address = read_address(email)
        async with self.storage.reading() as work:
            customer = await queries.find_customer(work, address)
            found = await queries.tickets_of(work, address, LIVELIEST)
            return Account(customer, found.tickets, found.total)

    # --- writing ---

    async def update_account(self, email: str, tier: Tier) -> Account:
        """Put a customer into a tier, and return them as they are now; raises `UnknownCustomer`."""
        address = read_address(email)
        async with self.storage.writing() as work:
            changed = await work.run("UPDATE customers SET tier = ? WHERE email = ? AND tier <> ?", tier, address, tier)
            customer = await queries.find_customer(work, address)
            found = await queries.tickets_of(work, address, LIVELIEST)
            if changed:
                for ticket in found.tickets:  # each shows the tier
                    work.tell(Change(ticket.id, listed=False))
            return Account(customer, found.tickets, found.total)

    async def create(self, draft: Draft, actor: Actor) -> Ticket:
        """Open a ticket; a customer who is new is there from now on, with the free tier."""
        subject, body = read_line("subject", draft.subject), read_text("body", draft.body)
        address = read_address(draft.customer)
        async with self.storage.writing() as work:
            await work.run(
                "INSERT INTO customers (email, name, tier) VALUES (?, '', 'free') ON CONFLICT (email) DO NOTHING",
                address,
            )
            number = await work.insert(
                "INSERT INTO tickets (subject, customer, body, priority, opened_at) VALUES (?, ?, ?, ?, ?)",
                subject,
                address,
                body,
                draft.priority,
                self._clock(),
            )
            await self._record(work, number, actor, "created")
            return await queries.find_ticket(work, number)

    async def add_note(self, ticket_id: int, text: str, actor: Actor) -> int:
        """Write a note about a ticket, closed ones too; returns how many notes it has. Raises `UnknownTicket`."""
        text = read_text("text", text)
        async with self.storage.writing() as work:
            await queries.find_ticket(work, ticket_id)
            await work.run(
                "INSERT INTO notes (ticket_id, author, written_at, text) VALUES (?, ?, ?, ?)",
                ticket_id,
                _name(actor),
                self._clock(),
                text,
            )
            await self._record(work, ticket_id, actor, "noted")
            ((count,),) = await work.fetch("SELECT count(*) FROM notes WHERE ticket_id = ?", ticket_id)
            return int(str(count))

    async def escalate(self, ticket_id: int, reason: str, actor: Actor) -> Ticket:
        """Move an open ticket to the humans' queue; raises `Refusal` where it is there already, or closed."""
        reason = read_text("reason", reason)
        async with self.storage.writing() as work:
            moved = await work.run(
                "UPDATE tickets SET queue = 'human' WHERE id = ? AND status = 'open' AND queue = 'support'", ticket_id
            )
            if not moved:
                dossier = await queries.read_dossier(work, ticket_id)
                raise Refusal(_refuse(dossier, "escalated" if dossier.ticket.status == "open" else "closed"))
            await self._record(work, ticket_id, actor, "escalated", reason)
            return await queries.find_ticket(work, ticket_id)

    async def check_closing(self, closing: Closing, actor: Actor) -> Ticket | None:
        """Say which ticket a wish is about, before anybody is asked; None where the wish has come true already.

        Raises:
            Refusal: There is no such ticket, it is closed, or the key stands for another wish.
        """
        read_text("resolution", closing.resolution)
        async with self.storage.reading() as work:
            if await self._recall(work, closing, actor):
                return None
            dossier = await queries.read_dossier(work, closing.ticket_id)
        if dossier.ticket.status == "closed":
            raise Refusal(_refuse(dossier, "closed"))
        return dossier.ticket

    async def close(self, closing: Closing, actor: Actor) -> bool:
        """Close a ticket; False where the same wish, by its key, closed it before. Raises as `check_closing`.

        Of many who try at once one succeeds: the engine changes an open ticket's row once.
        """
        resolution = read_text("resolution", closing.resolution)
        async with self.storage.writing() as work:
            if closing.key is not None and not await self._claim(work, closing, actor):
                await self._recall(work, closing, actor)
                return False
            closed = await work.run(
                "UPDATE tickets SET status = 'closed', closed_at = ?, resolution = ? WHERE id = ? AND status = 'open'",
                self._clock(),
                resolution,
                closing.ticket_id,
            )
            if not closed:
                raise Refusal(_refuse(await queries.read_dossier(work, closing.ticket_id), "closed"))
            await self._record(work, closing.ticket_id, actor, "closed", resolution)
            return True

    async def _record(self, work: Work, ticket_id: int, actor: Actor, what: Deed, detail: str | None = None) -> None:
        values: tuple[Value, ...] = (ticket_id, self._clock(), _name(actor), what, detail, self.storage.origin)
        await work.run(
            "INSERT INTO history (ticket_id, happened_at, actor, what, detail, origin) VALUES (?, ?, ?, ?, ?, ?)",
            *values,
        )
        work.tell(Change(ticket_id, what in ("created", "closed")))

    async def _claim(self, work: Work, closing: Closing, actor: Actor) -> bool:
        """Take the key, in the transaction of the deed; False where it is taken.

        Somebody who is about to store the same key is waited for: what is done once is not done twice.
        """
        stored = await work.run(
            "INSERT INTO idempotency_keys (principal, key, digest, stored_at) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (principal, key) DO NOTHING",
            actor.principal,
            closing.key,
            _digest(closing),
            self._clock(),
        )
        return stored == 1

    async def _recall(self, work: Work, closing: Closing, actor: Actor) -> bool:
        """Tell whether this wish was granted before; raises `Refusal` where its key stands for another one."""
        if closing.key is None:
            return False
        sql = "SELECT digest FROM idempotency_keys WHERE principal = ? AND key = ?"
        rows = await work.fetch(sql, actor.principal, closing.key)
        if rows and rows[0][0] != _digest(closing):
            raise Refusal(
                "This idempotency_key was used before with other arguments, and nothing was changed. Use a new key for "
                "a new wish, and the same key only to repeat a call exactly."
            )
        return bool(rows)


def last_event(events: Sequence[Event], what: Deed) -> Event | None:
    """The last event of a kind."""
    return next((event for event in reversed(events) if event.what == what), None)


def _refuse(dossier: Dossier, what: Deed) -> str:
    event, ticket = last_event(dossier.history, what), dossier.ticket
    when = f" since {event.happened_at}" if event else ""
    if what == "closed":
        return (
            f"Ticket {ticket.id} is closed{when}, and nothing was changed. add_note still works; if the customer needs "
            "more, open a new ticket with create_ticket."
        )
    return (
        f"Ticket {ticket.id} is in the humans' queue{when} already, and nothing was changed. Tell them more with "
        "add_note."
    )


def _name(actor: Actor) -> str:
    return (
        " ".join(actor.name.replace("\0", "").split()).encode("utf-8", "replace").decode()[:LONGEST_NAME] or "unknown"
    )


def _digest(closing: Closing) -> str:
    wish: Mapping[str, object] = {"tool": "close", "ticket_id": closing.ticket_id, "resolution": closing.resolution}
    return hashlib.sha256(json.dumps(wish, sort_keys=True).encode()).hexdigest()
