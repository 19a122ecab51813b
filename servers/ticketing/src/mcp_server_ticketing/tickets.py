"""What a support desk keeps: customers, their tickets, notes, and who did what when."""

from dataclasses import dataclass
from typing import Final, Literal

Tier = Literal["free", "pro"]
Priority = Literal["low", "medium", "high", "urgent"]
Status = Literal["open", "closed"]
Queue = Literal["support", "human"]
Deed = Literal["created", "noted", "escalated", "closed"]

TIERS: Final = ("free", "pro")
PRIORITIES: Final = ("low", "medium", "high", "urgent")

LONGEST_SUBJECT: Final = 200
LONGEST_TEXT: Final = 10_000
"""Characters of a customer's text, a note, a resolution or a reason."""
LONGEST_ADDRESS: Final = 254  # RFC 5321, 4.5.3.1.3, without the brackets
LONGEST_NAME: Final = 100
LONGEST_KEY: Final = 200
LONGEST_QUERY: Final = 200


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who writes tickets; `name` is what they call themselves, and may be empty."""

    email: str
    name: str
    tier: Tier


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket. Times are ISO 8601 in UTC; `closed_at` and `resolution` are None while it is open."""

    id: int
    subject: str
    body: str
    customer: Customer
    priority: Priority
    status: Status
    queue: Queue
    opened_at: str
    closed_at: str | None = None
    resolution: str | None = None

    @property
    def needs_confirmation(self) -> bool:
        """Whether a person should agree before it is closed: a paying customer's urgent one, or one of the humans'."""
        return (self.customer.tier == "pro" and self.priority == "urgent") or self.queue == "human"


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote about a ticket."""

    author: str
    written_at: str
    text: str


@dataclass(frozen=True, slots=True)
class Event:
    """What somebody did to a ticket."""

    actor: str
    happened_at: str
    what: Deed
    detail: str | None


@dataclass(frozen=True, slots=True)
class Dossier:
    """A ticket with everything about it, the oldest first."""

    ticket: Ticket
    notes: list[Note]
    history: list[Event]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `principal` is who is authenticated, "" where nobody is; `name` is how the history calls them."""

    name: str
    principal: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket that is not there yet."""

    subject: str
    customer: str
    body: str
    priority: Priority


@dataclass(frozen=True, slots=True)
class Closing:
    """A wish to close a ticket. Repeated with the same key, it is one wish."""

    ticket_id: int
    resolution: str
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Tickets that a search found, the newest first, and how many there are in all."""

    tickets: list[Ticket]
    total: int
