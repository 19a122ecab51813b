"""What is measured over HTTP: calls in both eras, and what a session takes."""

from __future__ import annotations

import asyncio
import socket
import statistics
from collections.abc import Mapping
from contextlib import ExitStack

from .accounting import cpu, resident
from .contenders import FLOOR, MCP, OURS, Contender
from .rows import Aim, Row
from .sockets import exchange, legacy_call, load, modern_call, open_session, post, serving

CONCURRENCY = 32
_SESSION = b"mcp-session-id: " + b"0" * 32 + b"\r\n"  # that the floor, which has none, is sent as well
_SUBSCRIBE = b'{"jsonrpc":"2.0","id":2,"method":"resources/subscribe","params":{"uri":"tiny://thing"}}'


def measure_http(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """Calls of sessions and stateless calls, 32 connections at a time."""
    legacy = Row("HTTP, a session's calls, CPU for 10,000", "s", (Aim(1.8, FLOOR), Aim(1.4, FLOOR)))
    late = Row("HTTP, a session's calls, p99", "ms", (Aim(0.1, MCP),))
    modern = Row("HTTP, stateless calls, CPU for 10,000", "s", (Aim(1.8, FLOOR), Aim(1.4, FLOOR)))
    with ExitStack() as stack:
        places = _open_all(stack, contenders)
        sessions = {name: asyncio.run(open_session(port)) for name, (port, _) in places.items() if name != FLOOR}
        for turn in range(rounds + 1):
            for name, (port, pid) in places.items():
                before = cpu(pid)
                request = legacy_call(port, sessions.get(name, _SESSION))
                took = asyncio.run(load(port, request, calls, CONCURRENCY))
                between = cpu(pid)
                asyncio.run(load(port, modern_call(port), calls, CONCURRENCY))
                if turn:
                    legacy.add(name, (between - before) / calls * 10_000)
                    late.add(name, statistics.quantiles(took, n=100)[98] * 1000)
                    modern.add(name, (cpu(pid) - between) / calls * 10_000)
    return [legacy, late, modern]


def measure_sessions(contenders: Mapping[str, Contender], sessions: int) -> list[Row]:
    """What an open session takes, by so many of them."""
    row = Row("an open session", "KiB", (Aim(2.0),))
    for each in contenders.values():
        if each.http is None or each.name == FLOOR:
            continue
        port = _free_port()
        with serving(each.over_http(port), port) as pid:
            asyncio.run(_open_many(port, 100))
            before = resident(pid)
            asyncio.run(_open_many(port, sessions))
            row.add(each.name, (resident(pid) - before) * 1024 / sessions)
    return [row]


def measure_flatness(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """A call's cost with a thousand sessions, and with a thousand subscribers, beside that with one."""
    rows: list[Row] = []
    for what, first in (("sessions", b""), ("subscribers", _SUBSCRIBE)):
        with ExitStack() as stack:
            places: dict[int, tuple[int, int]] = {}
            for size in (1, 100, 1000):
                port = _free_port()
                pid = stack.enter_context(serving(contenders[OURS].over_http(port), port))
                asyncio.run(_open_many(port, size, first))
                places[size] = port, pid
            rows += _compare(what, places, rounds, calls)
    return rows


def _compare(what: str, places: Mapping[int, tuple[int, int]], rounds: int, calls: int) -> list[Row]:
    spent: dict[int, list[float]] = {size: [] for size in places}
    sessions = {size: asyncio.run(open_session(port)) for size, (port, _) in places.items()}
    for turn in range(rounds + 1):
        for size, (port, pid) in places.items():
            before = cpu(pid)
            asyncio.run(load(port, legacy_call(port, sessions[size]), calls, CONCURRENCY))
            if turn:
                spent[size].append(cpu(pid) - before)
    least = statistics.median(spent[1])
    rows: list[Row] = []
    for size in list(spent)[1:]:
        row = Row(f"a call's CPU with {size:,} {what}, to that with 1", "ratio", (Aim(1.1),))
        row.found[OURS] = [each / least for each in spent[size]]
        rows.append(row)
    return rows


async def _open_many(port: int, number: int, first: bytes = b"") -> None:
    """Open sessions, and send each a first request, if there is one."""
    limit = asyncio.Semaphore(CONCURRENCY)

    async def one() -> None:
        async with limit:
            session = await open_session(port)
            if first:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                _, body = await exchange(reader, writer, post(port, first, session))
                assert b'"result"' in body, body
                writer.close()

    await asyncio.gather(*(one() for _ in range(number)))


def _open_all(stack: ExitStack, contenders: Mapping[str, Contender]) -> dict[str, tuple[int, int]]:
    places: dict[str, tuple[int, int]] = {}
    for each in contenders.values():
        if each.http is not None:
            port = _free_port()
            places[each.name] = port, stack.enter_context(serving(each.over_http(port), port))
    return places


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
