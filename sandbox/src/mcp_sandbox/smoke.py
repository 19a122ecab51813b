"""A client that calls every server in both eras and says how it went: is what runs there alive, with its data?"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Final, TypeAlias, cast

import httpx

from mcp_kernel import Client
from mcp_sandbox.members import TITLES

ERAS: Final = ("2025-11-25", "2026-07-28")
_SECONDS: Final = 60.0  # of one server; the vector server may have its documents still to index
_COUNT: Final = {"sql": "SELECT count(*) FROM orders"}
_QUESTION: Final = {"query": "who pays for the parcel when I send something back?", "top_k": 2}

Call: TypeAlias = tuple[str, Mapping[str, object], str]

CALLS: Final[dict[str, Call]] = {
    "sqlite": ("query", _COUNT, "3000"),
    "postgres": ("query", _COUNT, "3000"),
    "git": ("git_log", {"max_count": 1}, "The Guji of the new harvest"),
    "filesystem": ("read_text_file", {"path": "returns.md"}, "Thirty days from delivery"),
    "vector": ("semantic_search", _QUESTION, "returns.md"),
    "ticketing": ("search_tickets", {}, "Cannot log in after password change"),
    "everything": ("greet", {"name": "Ada"}, "Hello, Ada!"),
}
"""A tool of each server, its arguments, and what its answer holds if the server has the demo data."""


async def check(base: str) -> int:
    """Call all that the page at `base` lists, and print a line for each; returns 1 where something failed."""
    try:
        async with httpx.AsyncClient() as web:
            listed = cast("list[dict[str, str]]", (await web.get(f"{base}/servers.json")).raise_for_status().json())
    except httpx.HTTPError as error:
        sys.stdout.write(f"failed  {base}: {error or type(error).__name__}\n")
        return 1
    paths = {each["name"]: each["path"] for each in listed}
    results = [await _try(name, base + paths[name] if name in paths else None, era) for name in TITLES for era in ERAS]
    return 0 if all(results) else 1


async def _try(name: str, url: str | None, era: str) -> bool:
    problem = await _call(name, url, era) if url else "the page does not list it"
    sys.stdout.write(f"{'failed' if problem else 'ok':6}  {name:10}  {era}  {problem}".rstrip() + "\n")
    sys.stdout.flush()
    return not problem


async def _call(name: str, url: str, era: str) -> str:
    """Call a server's tool until its answer is what it must be, for so long; returns what is wrong, or nothing."""
    tool, arguments, expected = CALLS[name]
    said = "it does not answer"
    try:
        async with asyncio.timeout(_SECONDS), Client(url, revision=era) as client:
            while True:
                result = await client.call_tool(tool, arguments)
                said = result.text
                if expected in said and not result.is_error:
                    return ""
                if name != "vector":
                    break
                await asyncio.sleep(0.5)  # it indexes meanwhile
    except Exception as error:  # whatever it is, it is what was asked for
        return " ".join(f"{type(error).__name__}: {error or said}".split())
    return f"{tool} said: {' '.join(said.split())[:200]}"
