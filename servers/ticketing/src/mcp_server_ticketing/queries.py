"""Questions to the tables: what a reader sees of tickets and customers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, cast

from .refusals import UnknownCustomer, UnknownTicket
from .storage import Row, Value, Work
from .tickets import Customer, Deed, Dossier, Event, Found, Note, Priority, Queue, Status, Ticket, Tier

State = Literal["open", "closed", "escalated"]
"""What a search may ask for: `escalated` is open and in the humans' queue."""

MOST_WORDS: Final = 8

_COLUMNS: Final = (
    "t.id, t.subject, t.body, t.priority, t.status, t.queue, t.opened_at, t.closed_at, t.resolution, "
    "c.email, c.name, c.tier FROM tickets t JOIN customers c ON c.email = t.customer"
)
_STATES: Final[dict[str, str]] = {
    "open": "t.status = 'open'",
    "closed": "t.status = 'closed'",
    "escalated": "t.status = 'open' AND t.queue = 'human'",
}
_WORD: Final = (
    "(CAST(t.id AS TEXT) = ? OR fold(t.subject) LIKE ? ESCAPE '\\' OR fold(t.body) LIKE ? ESCAPE '\\' "
    "OR fold(coalesce(t.resolution, '')) LIKE ? ESCAPE '\\' OR t.customer LIKE ? ESCAPE '\\' "
    "OR fold(c.name) LIKE ? ESCAPE '\\' OR EXISTS (SELECT 1 FROM notes n WHERE n.ticket_id = t.id "
    "AND fold(n.text) LIKE ? ESCAPE '\\'))"
)


async def find_ticket(work: Work, ticket_id: int) -> Ticket:
    """Read one ticket; raises `UnknownTicket`."""
    rows = await work.fetch(f"SELECT {_COLUMNS} WHERE t.id = ?", ticket_id)  # the columns are ours
    if not rows:
        raise UnknownTicket(ticket_id)
    return _read_ticket(rows[0])


async def read_dossier(work: Work, ticket_id: int) -> Dossier:
    """Read a ticket with its notes and its history; raises `UnknownTicket`."""
    ticket = await find_ticket(work, ticket_id)
    notes = await work.fetch("SELECT author, written_at, text FROM notes WHERE ticket_id = ? ORDER BY id", ticket_id)
    events = await work.fetch(
        "SELECT actor, happened_at, what, detail FROM history WHERE ticket_id = ? ORDER BY id", ticket_id
    )
    return Dossier(
        ticket,
        [Note(str(author), _tell_time(when), str(text)) for author, when, text in notes],
        [
            Event(str(actor), _tell_time(when), cast("Deed", what), _text_or_none(detail))
            for actor, when, what, detail in events
        ],
    )


async def search(work: Work, words: Sequence[str], state: State | None, tier: Tier | None, limit: int) -> Found:
    """Find tickets in which every word stands somewhere, as a part of a word too; the newest first."""
    conditions, values = ["1 = 1"], list[Value]()
    if state is not None:
        conditions.append(_STATES[state])
    if tier is not None:
        conditions.append("c.tier = ?")
        values.append(tier)
    for word in words[:MOST_WORDS]:
        conditions.append(_WORD)
        values += [word, *[f"%{_escape(word.lower())}%"] * (_WORD.count("?") - 1)]
    where = f"{_COLUMNS} WHERE {' AND '.join(conditions)}"
    rows = await work.fetch(f"SELECT {where} ORDER BY t.id DESC LIMIT {int(limit)}", *values)  # ours
    ((total,),) = await work.fetch(f"SELECT count(*) FROM {where.partition(' FROM ')[2]}", *values)  # noqa: S608  # ours
    return Found([_read_ticket(row) for row in rows], int(str(total)))


async def ticket_numbers(work: Work, prefix: str, state: State | None, most: int) -> list[int]:
    """The numbers of the tickets that begin with these digits, the newest first."""
    condition = "1 = 1" if state is None else _STATES[state]
    sql = f"SELECT t.id FROM tickets t WHERE {condition} AND CAST(t.id AS TEXT) LIKE ? ORDER BY t.id DESC LIMIT ?"  # noqa: S608  # ours
    return [int(str(number)) for (number,) in await work.fetch(sql, f"{prefix}%", most)]


async def find_customer(work: Work, email: str) -> Customer:
    """Read one customer; raises `UnknownCustomer`."""
    rows = await work.fetch("SELECT email, name, tier FROM customers WHERE email = ?", email)
    if not rows:
        raise UnknownCustomer(
            f"There is no customer {email}. Check the address with search_tickets; a customer is there from their "
            "first ticket on."
        )
    return _read_customer(rows[0])


async def tickets_of(work: Work, email: str, limit: int) -> Found:
    """The tickets of one customer, the newest first."""
    rows = await work.fetch(f"SELECT {_COLUMNS} WHERE c.email = ? ORDER BY t.id DESC LIMIT ?", email, limit)  # ours
    ((total,),) = await work.fetch("SELECT count(*) FROM tickets WHERE customer = ?", email)
    return Found([_read_ticket(row) for row in rows], int(str(total)))


def _read_ticket(row: Row) -> Ticket:
    number, subject, body, priority, status, queue, opened, closed, resolution, *customer = row
    return Ticket(
        id=int(str(number)),
        subject=str(subject),
        body=str(body),
        customer=_read_customer(customer),
        priority=cast("Priority", priority),
        status=cast("Status", status),
        queue=cast("Queue", queue),
        opened_at=_tell_time(opened),
        closed_at=None if closed is None else _tell_time(closed),
        resolution=_text_or_none(resolution),
    )


def _read_customer(row: Row) -> Customer:
    email, name, tier = row
    return Customer(str(email), str(name), cast("Tier", tier))


def _text_or_none(value: object) -> str | None:
    return None if value is None else str(value)


def _tell_time(value: object) -> str:
    """ISO 8601 to the second, whether the engine keeps times as such or as texts."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _escape(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
