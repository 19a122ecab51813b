"""The question, taken to three servers: what each is asked, and what is known when one of them has no answer."""

from __future__ import annotations

import json
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import date
from typing import Final, TypeVar, cast

from mcp_kernel import ClientGroup
from mcp_kernel.client import ClientError

T = TypeVar("T")

SERVERS: Final = ("tickets", "products", "handbook")
_PURCHASES: Final = """
SELECT sales.order_number, products.name, products.sku, sales.bought_on, products.warranty_months,
       date(sales.bought_on, '+' || products.warranty_months || ' months') AS ends_on
FROM sales JOIN products ON products.sku = sales.sku WHERE sales.customer = ? ORDER BY sales.bought_on DESC
"""


class Unanswered(Exception):
    """A server has no answer to what it was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket, as far as the question needs it."""

    number: str
    customer: str
    name: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True)
class Purchase:
    """Something that the customer bought; days are those of the shop."""

    order: int
    product: str
    sku: str
    bought_on: date
    months: int
    ends_on: date


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of the handbook, and the document that it is from."""

    document: str
    text: str


@dataclass(slots=True)
class Report:
    """All that became known. What is None was not found, or its server is among the problems."""

    number: str
    today: date
    ticket: Ticket | None = None
    purchase: Purchase | None = None
    passages: list[Passage] = field(default_factory=list[Passage])
    problems: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def subject(self) -> str:
        """What the ticket is about."""
        return "" if self.ticket is None else self.ticket.subject

    @property
    def is_covered(self) -> bool | None:
        """Whether the warranty still runs; on its last day it does. None where nobody knows."""
        return None if self.purchase is None else self.today <= self.purchase.ends_on


async def ask(group: ClientGroup, number: str, today: date) -> Report:
    """Ask the servers in turn, each with what those before it knew; one that is down is noted, and passed over.

    Raises `Unanswered` where the group has not the three.
    """
    report = Report(number, today)
    for server in SERVERS:
        if server not in list(group):
            raise Unanswered(f"there is no server {server!r}; it takes {', '.join(SERVERS)}")
    await group.list_tools()  # all of them start at the same time
    report.ticket = await _note(report, "tickets", read_ticket(group, number))
    if report.ticket is not None:
        purchases = await _note(report, "products", find_purchases(group, report.ticket.customer))
        report.purchase = choose(purchases or [], report.ticket)
    found = await _note(report, "handbook", consult(group, _word(report))) or []
    report.passages = [each for each in found if is_about(each, report.purchase)]
    return report


async def _note(report: Report, server: str, answer: Awaitable[T]) -> T | None:
    try:
        return await answer
    except (ClientError, Unanswered) as problem:
        report.problems[server] = str(problem)
        return None


async def read_ticket(group: ClientGroup, number: str) -> Ticket:
    """Read the ticket, a resource; raises `ClientError`."""
    (contents,) = await group["tickets"].read_resource(f"ticket://{number}.json")
    found = _members(json.loads(contents.text or "null"))
    wanted = ("ticket_id", "customer", "customer_name", "subject", "body")
    return Ticket(*(str(found.get(name, "")) for name in wanted))


async def find_purchases(group: ClientGroup, customer: str) -> list[Purchase]:
    """Ask the database what a customer bought, the newest first."""
    answer = await _call(group, "query", {"sql": _PURCHASES, "params": [customer]})
    rows = cast("list[list[str]]", answer.get("rows", []))
    return [
        Purchase(int(order), product, sku, date.fromisoformat(bought), int(months), date.fromisoformat(ends))
        for order, product, sku, bought, months, ends in rows
    ]


def choose(purchases: list[Purchase], ticket: Ticket) -> Purchase | None:
    """The newest purchase whose product the ticket names; a guess would be worse than none."""
    told = f"{ticket.subject}\n{ticket.body}".casefold()
    return next((each for each in purchases if each.product.casefold() in told), None)


async def consult(group: ClientGroup, questions: list[str]) -> list[Passage]:
    """Index the handbook, as far as it changed, and take the best passage for each question."""
    await _call(group, "index_files", {"paths": [], "collection": "handbook", "glob": "*.md"})
    found: list[Passage] = []
    for question in questions:
        answer = await _call(group, "semantic_search", {"query": question, "collection": "handbook", "top_k": 1})
        for each in cast("list[dict[str, object]]", answer.get("results", [])):
            passage = Passage(str(each.get("id")), str(each.get("text")))
            found += [passage] if passage not in found else []
    return found


def is_about(passage: Passage, purchase: Purchase | None) -> bool:
    """Whether a passage is about how to answer, or names the product: what is said of another would mislead."""
    return purchase is None or "customer" in passage.text or purchase.product in passage.text.casefold()


def _word(report: Report) -> list[str]:
    """What the handbook is asked: how to answer, and what is wrong with the product, where there is one."""
    standing = {True: "product is under warranty", False: "warranty has ended", None: "purchase is not found"}
    telling = f"What to tell a customer whose {standing[report.is_covered]}"
    return [telling] if report.purchase is None else [f"{report.purchase.product}: {report.subject}", telling]


async def _call(group: ClientGroup, tool: str, arguments: dict[str, object]) -> dict[str, object]:
    result = await group.call_tool(tool, arguments)
    if result.is_error:
        raise Unanswered(result.text)
    return _members(result.structured)


def _members(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Unanswered("It answered with something else than was asked for.")
    return cast("dict[str, object]", value)
