"""The protocol's measures, by the words that choose them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from . import http_measures, stdio_measures
from .contenders import ASYNCIO, FASTMCP, FLOOR, MCP, TYPESCRIPT, gather
from .installing import NotHere
from .rows import Part, Row
from .trials import Effort, Program, timed

SECTIONS: Final = ("start", "stdio", "large", "lists", "http", "sessions", "flat")
QUICK: Final = SECTIONS[:-1]
PEERS: Final = (MCP, FASTMCP, TYPESCRIPT)
QUICK_PEERS: Final = (MCP, TYPESCRIPT)  # fastmcp takes half of the time of all
CALLS: Final = 10_000
QUICK_CALLS: Final = 600
ABOUT: Final = (
    "The same tiny server on `mcp-kernel`, on PyPI's `mcp` 2.3.0 and `fastmcp` 4.1.7, on npm's "
    "`@modelcontextprotocol/server` 2.4.0, and a floor that only decodes with pydantic_core and writes prepared "
    "answers (over HTTP: a constant under the same uvicorn); the same on asyncio's pipes. CPU is the server's own, by "
    "the system's accounting."
)


def measure(chosen: Collection[str], effort: Effort) -> Part:
    """The table of these sections; peers that are not installed yet are, and those that do not start are left out."""
    peers = () if effort.alone else QUICK_PEERS if effort.quick else PEERS
    contenders, absent = gather(peers)
    for name in [name for name in peers if name in contenders]:
        try:
            Program(contenders[name].stdio or ()).start().close()
        except NotHere as error:
            absent[name] = str(error)
            del contenders[name]
    rounds, calls = effort.rounds, QUICK_CALLS if effort.quick else CALLS
    sections: dict[str, Callable[[], list[Row]]] = {
        "start": lambda: stdio_measures.measure_starts(contenders, 1 if effort.quick else rounds * 2 + 1),
        "stdio": lambda: stdio_measures.measure_calls(contenders, rounds, calls),
        "large": lambda: stdio_measures.measure_large(contenders, rounds, max(calls // 100, 5)),
        "lists": lambda: stdio_measures.measure_lists(contenders, rounds, max(calls // 20, 20)),
        "http": lambda: http_measures.measure_http(contenders, rounds, calls // 2),
        "sessions": lambda: http_measures.measure_sessions(contenders, max(calls // 10, 100)),
        "flat": lambda: [
            *stdio_measures.measure_flatness(contenders, rounds * 2 + 1, calls),
            *http_measures.measure_flatness(contenders, rounds * 2 + 1, calls // 4),
        ],
    }
    part = Part("The protocol", ABOUT, PEERS, (MCP,), (FLOOR, ASYNCIO))
    for name in chosen:
        with timed(name):
            part.rows += sections[name]()
    part.lack(absent | ({FASTMCP: "not with --quick"} if effort.quick else {}))
    return part
