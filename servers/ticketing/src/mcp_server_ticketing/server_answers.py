"""What the server answers: as data for programs, as text for models, with everything that people wrote marked."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

from mcp_kernel import Untrusted

from .tickets import Dossier, Found, Priority, Queue, Status, Ticket, Tier
from .tracker import Account

_EXCERPT = 500  # characters of a ticket's text in a list
_ENVELOPE = 600  # bytes that one ticket of a list takes besides its texts


@dataclass(frozen=True, slots=True)
class Closed:
    """The ticket is closed."""

    success: bool
    closed_ticket_id: str

    def __str__(self) -> str:
        return f"Ticket {self.closed_ticket_id} is closed."


@dataclass(frozen=True, slots=True)
class Escalated:
    """The ticket is in the humans' queue."""

    success: bool
    ticket_id: str
    queue: Queue

    def __str__(self) -> str:
        return f"Ticket {self.ticket_id} is in the humans' queue now. Tell the customer that a person will answer."


@dataclass(frozen=True, slots=True)
class Created:
    """The ticket is there. `priority_from` says who chose the priority: the caller, the user, or nobody."""

    ticket_id: str
    subject: Untrusted
    customer: str
    tier: Tier
    priority: Priority
    priority_from: str
    status: Status

    def __str__(self) -> str:
        chosen = "" if self.priority_from != "default" else " (nobody could be asked)"
        return (
            f"Ticket {self.ticket_id} is open, with priority {self.priority}{chosen}. It is ticket://{self.ticket_id}."
        )


@dataclass(frozen=True, slots=True)
class Noted:
    """The note is written."""

    success: bool
    ticket_id: str
    notes: int

    def __str__(self) -> str:
        return f"Ticket {self.ticket_id} has {self.notes} note{'' if self.notes == 1 else 's'} now."


@dataclass(frozen=True, slots=True)
class Line:
    """A ticket in a list; `excerpt` is the beginning of what the customer wrote."""

    ticket_id: str
    subject: Untrusted
    customer: str
    tier: Tier
    priority: Priority
    status: Status
    queue: Queue
    opened_at: str
    excerpt: Untrusted


@dataclass(frozen=True, slots=True)
class Listed:
    """Tickets, the newest first; `total` counts those that are left out, too, and `note` says how to see them."""

    tickets: list[Line]
    total: int
    note: str | None = None

    def __str__(self) -> str:
        return "\n".join(_list_lines("Tickets", self))

    def fit(self, budget: int) -> Listed:
        """Keep the newest that fit."""
        spent, kept = _ENVELOPE, 0
        for line in self.tickets:
            spent += _ENVELOPE + 2 * len(json.dumps([line.subject, line.excerpt]))
            if spent > budget:
                break
            kept += 1
        return replace(self, tickets=self.tickets[:kept], note=_say_rest(kept, self.total))


@dataclass(frozen=True, slots=True)
class Overview:
    """The list of tickets as a document."""

    title: str
    listed: Listed

    def __str__(self) -> str:
        return "\n".join(_list_lines(self.title, self.listed))


@dataclass(frozen=True, slots=True)
class Person:
    """A customer, with the numbers of their newest tickets."""

    email: str
    name: Untrusted
    tier: Tier
    tickets: list[Line]
    ticket_count: int

    def __str__(self) -> str:
        listed = Listed(self.tickets, self.ticket_count)
        return "\n".join([f"{self.email}, tier {self.tier}", *_list_lines("Their tickets", listed)])

    def fit(self, budget: int) -> Person:
        """Keep the newest tickets that fit."""
        return replace(self, tickets=Listed(self.tickets, self.ticket_count).fit(budget).tickets)


@dataclass(frozen=True, slots=True)
class Remark:
    """A note."""

    author: Untrusted
    written_at: str
    text: Untrusted


@dataclass(frozen=True, slots=True)
class Step:
    """A line of the history."""

    actor: Untrusted
    happened_at: str
    what: str
    detail: Untrusted | None


@dataclass(frozen=True, slots=True)
class Document:
    """A ticket with everything about it; as text it is markdown."""

    ticket_id: str
    subject: Untrusted
    customer: str
    customer_name: Untrusted
    tier: Tier
    priority: Priority
    status: Status
    queue: Queue
    opened_at: str
    closed_at: str | None
    body: Untrusted
    resolution: Untrusted | None
    notes: list[Remark]
    history: list[Step]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterable[str]:
        yield f"# Ticket {self.ticket_id}"
        yield ""
        yield f"- status: {self.status}" + (", escalated to the humans' queue" if self.queue == "human" else "")
        yield f"- priority: {self.priority}"
        yield f"- customer: {self.customer}, tier {self.tier}"
        yield f"- opened: {self.opened_at}" + (f", closed: {self.closed_at}" if self.closed_at else "")
        yield f"\n## Subject\n\n{self.subject.fenced}"
        yield f"\n## What the customer wrote\n\n{self.body.fenced}"
        if self.resolution is not None:
            yield f"\n## Resolution\n\n{self.resolution.fenced}"
        for note in self.notes:
            yield f"\n## Note, {note.written_at}\n\n{note.text.fenced}"
        yield "\n## History\n"
        yield _fence(map(_show_step, self.history))

    def to_json(self) -> str:
        """The document as JSON, in one line for each member of the top."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document that reads as JSON."""

    document: Document

    def __str__(self) -> str:
        return self.document.to_json()


@dataclass(frozen=True, slots=True)
class Summary:
    """What a ticket is about. `source` is `model`, or `extract` where the client has no model to ask."""

    ticket_id: str
    summary: Untrusted
    source: str

    def __str__(self) -> str:
        how = "summarized" if self.source == "model" else "in extract"
        return f"Ticket {self.ticket_id}, {how}:\n{self.summary.fenced}"


def locate(ticket_id: int) -> str:
    """The URI of a ticket."""
    return f"ticket://{ticket_id}"


def show_ticket(dossier: Dossier) -> Document:
    """Everything about a ticket, with what people wrote marked."""
    ticket = dossier.ticket
    source = locate(ticket.id)
    return Document(
        ticket_id=str(ticket.id),
        subject=Untrusted(ticket.subject, source),
        customer=ticket.customer.email,
        customer_name=Untrusted(ticket.customer.name, source),
        tier=ticket.customer.tier,
        priority=ticket.priority,
        status=ticket.status,
        queue=ticket.queue,
        opened_at=ticket.opened_at,
        closed_at=ticket.closed_at,
        body=Untrusted(ticket.body, source),
        resolution=None if ticket.resolution is None else Untrusted(ticket.resolution, source),
        notes=[Remark(Untrusted(n.author, source), n.written_at, Untrusted(n.text, source)) for n in dossier.notes],
        history=[
            Step(
                Untrusted(event.actor, source),
                event.happened_at,
                event.what,
                None if event.detail is None else Untrusted(event.detail, source),
            )
            for event in dossier.history
        ],
    )


def show_found(found: Found) -> Listed:
    """Tickets as lines."""
    rest = _say_rest(len(found.tickets), found.total) if found.total > len(found.tickets) else None
    return Listed([_show_line(ticket) for ticket in found.tickets], found.total, rest)


def show_account(account: Account) -> Person:
    """A customer and their tickets."""
    customer = account.customer
    return Person(
        customer.email,
        Untrusted(customer.name, customer.email),
        customer.tier,
        [_show_line(ticket) for ticket in account.tickets],
        account.total,
    )


def extract(dossier: Dossier) -> str:
    """A summary that no model made: subject, the first sentences, the last note, how it ended."""
    ticket = dossier.ticket
    parts = [f"{ticket.subject}. {_first_sentences(ticket.body)}"]
    if dossier.notes:
        parts.append(f"Last note: {_first_sentences(dossier.notes[-1].text)}")
    if ticket.resolution is not None:
        parts.append(f"Resolution: {_first_sentences(ticket.resolution)}")
    return "\n".join(parts)


def _first_sentences(text: str) -> str:
    """The first two sentences, or as much of them as a line holds."""
    words = " ".join(text.split())
    ends = [at + 1 for at, character in enumerate(words[:-1]) if character in ".!?" and words[at + 1] == " "]
    cut = words[: ends[1]] if len(ends) > 1 else words
    return cut if len(cut) <= _EXCERPT else f"{cut[:_EXCERPT]}…"


def _show_line(ticket: Ticket) -> Line:
    source = locate(ticket.id)
    excerpt = ticket.body if len(ticket.body) <= _EXCERPT else f"{ticket.body[:_EXCERPT]}…"
    return Line(
        ticket_id=str(ticket.id),
        subject=Untrusted(ticket.subject, source),
        customer=ticket.customer.email,
        tier=ticket.customer.tier,
        priority=ticket.priority,
        status=ticket.status,
        queue=ticket.queue,
        opened_at=ticket.opened_at,
        excerpt=Untrusted(excerpt, source),
    )


def _list_lines(title: str, listed: Listed) -> Iterable[str]:
    yield f"# {title}\n"
    if not listed.tickets:
        yield "None."
        return
    yield "| ticket | priority | customer | tier | status | opened |"
    yield "|---|---|---|---|---|---|"
    for line in listed.tickets:
        status = "escalated" if line.queue == "human" and line.status == "open" else line.status
        cells = (line.ticket_id, line.priority, line.customer, line.tier, status, line.opened_at)
        yield f"| {' | '.join(cells)} |"
    yield "\nWhat they are about, in the customers' words:\n"
    yield _fence(f"{line.ticket_id}: {line.subject}" for line in listed.tickets)
    if listed.note:
        yield f"\n{listed.note}"


def _show_step(step: Step) -> str:
    """A line; the reason of an escalation stands nowhere else."""
    reason = f": {' '.join(step.detail.split())}" if step.what == "escalated" and step.detail else ""
    return f"{step.happened_at} {step.what} by {step.actor}{reason}"


def _fence(lines: Iterable[str]) -> str:
    return Untrusted("\n".join(lines), "the ticket desk").fenced


def _say_rest(shown: int, total: int) -> str:
    return f"{shown} of {total} tickets are shown, the newest. Narrow the search by words or status to see others."
