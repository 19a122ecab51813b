"""A thousand deeds of twenty clients, while their servers are killed: the database is what a model of it says."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from tests.servers.ticketing.fleet import Ship, launch
from tests.servers.ticketing.ledger import Ledger
from tests.servers.ticketing.place import Place

from mcp_kernel import Client
from mcp_kernel.client.resilience import Resilience

CLIENTS, DEEDS, KILLS = 20, 50, 12
ONCE = Resilience(attempts=1, failures=0)  # a call that is made again is a deed of the test's own


async def work(ship: Ship, ledger: Ledger, number: int, seed: int) -> None:
    dice = random.Random(f"{seed} {number}")
    async with Client(ship.url, resilience=ONCE, timeout=20) as client:
        for deed in range(DEEDS):
            await ledger.act(client, dice, f"w{number}x{deed}", ship.served)
            await ship.served.wait()  # else all deeds would be done before it is there again


async def harass(ships: list[Ship], ledger: Ledger, dice: random.Random) -> None:
    """Kill a server whenever so many deeds more have been done."""
    for kill in range(1, KILLS + 1):
        await ledger.reach(kill * CLIENTS * DEEDS // (KILLS + 2))
        await dice.choice(ships).sink()


async def play(place: Place, seed: int) -> None:
    ledger = Ledger()
    async with launch(place.options, 2) as ships:
        async with asyncio.timeout(240), asyncio.TaskGroup() as group:
            group.create_task(harass(ships, ledger, random.Random(seed)))
            for number in range(CLIENTS):
                group.create_task(work(ships[number % 2], ledger, number, seed))
        assert sum(ship.deaths for ship in ships) == KILLS
    tracker = place.tracker()
    try:
        numbers = range(1, max(ledger.tickets) + 20)
        found = (await tracker.search(limit=10_000)).tickets
        assert all(ticket.id in numbers for ticket in found)
        dossiers = {ticket.id: await tracker.read(ticket.id) for ticket in found if ticket.customer.email[0] == "c"}
    finally:
        await place.close()
    ledger.settle(dossiers)
    outcomes = Counter(deed.outcome for deed in ledger.deeds)
    assert len(ledger.deeds) == CLIENTS * DEEDS
    assert outcomes["done"] > 300, outcomes
    assert outcomes["unknown"] > 0, outcomes  # else nobody was killed in the middle of anything


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_acknowledged_is_lost_and_nothing_is_done_twice(place: Place, seed: int) -> None:
    with asyncio.Runner() as runner:
        runner.run(play(place, seed))
