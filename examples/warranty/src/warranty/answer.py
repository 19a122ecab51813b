"""What became known, written down: a sentence, what to tell the customer, and where each of it is from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from .question import Purchase, Report

_MEANT = {
    "tickets": "what the customer wrote is not known",
    "products": "when it was bought is not known",
    "handbook": "what the house says is not known",
}


def write(report: Report) -> str:
    """The answer as text, with its sources numbered."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterable[str]:
    sources: list[str] = []

    def cite(source: str) -> str:
        if source not in sources:
            sources.append(source)
        return f"[{sources.index(source) + 1}]"

    ticket, purchase = report.ticket, report.purchase
    what = purchase.product if purchase else "product"
    yield f"Is the {what} of ticket {report.number} still under warranty, and what do I tell the customer?\n"
    if ticket is not None:
        source = cite(f"ticket://{ticket.number}, of tickets")
        yield f"{ticket.name or ticket.customer} writes: {ticket.subject} {source}"
    if purchase is not None:
        yield _judge(report, purchase) + " " + cite(f"order {purchase.order}, of products")
    elif ticket is None or "products" in report.problems:
        yield "Whether there is a warranty cannot be said."
    else:
        yield f"It cannot be said: no purchase of {ticket.customer} is of a product that the ticket names."
    if report.passages:
        yield "\nWhat to tell the customer, by the handbook:"
    for passage in report.passages:
        source = cite(f"{PurePath(passage.document).name}, of handbook")
        yield f"\n{source}\n{passage.text.strip()}"
    yield "\nSources:"
    yield from (f"[{number}] {source}" for number, source in enumerate(sources, 1))
    for server, problem in report.problems.items():
        yield f"\nNo answer from {server}, so {_MEANT[server]}: {problem}"


def _judge(report: Report, purchase: Purchase) -> str:
    bought = f"it was bought on {purchase.bought_on} with {purchase.months} months of warranty"
    days = abs((purchase.ends_on - report.today).days)
    if report.is_covered:
        return f"Yes: {bought}, which ends on {purchase.ends_on}, in {days} days."
    return f"No: {bought}, which ended on {purchase.ends_on}, {days} days ago."
