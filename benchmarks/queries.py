"""The PostgreSQL server beside npm's `@modelcontextprotocol/server-postgres` and PyPI's `postgres-mcp`.

    uv run benchmarks/queries.py [ROUNDS [ROWS [POSTGRES_MCP]]]

Needs Node, the npm registry, PyPI and a PostgreSQL, which is found and started as the tests do. PyPI's wants Python
3.12: under an older one give the path of its script, POSTGRES_MCP, in an environment that has one. Every call is made
on one server and on the others in turn; the first is not counted. At the end each server is asked for a table of ROWS
rows, of which ours returns 100 and says that there are more; the others return them all, or fail.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contest import install_npm, install_python, peak
from tests.cluster import run_cluster
from tests.servers.postgres.conftest import command

from mcp_kernel.client import Client

NPM = "@modelcontextprotocol/server-postgres@0.6.2"
PYPI = "postgres-mcp==0.3.0"
TABLE = """
CREATE TABLE items AS SELECT g AS id, 'item ' || g AS name, g * 1.5 AS price FROM generate_series(1, 20000) g;
ALTER TABLE items ADD PRIMARY KEY (id); ANALYZE items;
CREATE ROLE reader LOGIN; GRANT SELECT ON items TO reader
"""
QUERIES = {
    "1 row by its key": ("SELECT id, name, price FROM items WHERE id = 77", 10),
    "1 row, always another statement": ("SELECT id, name, price FROM items WHERE id = {round}", 10),
    "an aggregate": ("SELECT count(*), avg(price) FROM items", 3),
    "100 rows": ("SELECT id, name, price FROM items LIMIT 100", 5),
    "10,000 rows": ("SELECT id, name, price FROM items LIMIT 10000", 1),
}
"""SQL, and by how much the rounds are multiplied."""
TOOLS = {"ours": "query", "npm": "query", "pypi": "execute_sql"}


async def ask(client: Client, name: str, sql: str) -> float:
    """Seconds that a query took."""
    arguments: dict[str, object] = {"sql": sql}
    if name == "ours":
        arguments["limit"] = 20000
    began = time.perf_counter()
    result = await client.call_tool(TOOLS[name], arguments)
    took = time.perf_counter() - began
    assert not result.is_error, (name, sql, result.text[:300])
    return took


async def compete(servers: Mapping[str, list[str]], rounds: int) -> None:
    """Ask all of them in turn, and print medians and ratios."""
    async with AsyncExitStack() as stack:
        clients = {name: await stack.enter_async_context(Client(words, timeout=120)) for name, words in servers.items()}
        print(f"{'ms':34}{'ours':>10}{'npm':>10}{'pypi':>10}{'ours/npm':>10}{'ours/pypi':>10}")
        for title, (sql, times) in QUERIES.items():
            measured: dict[str, list[float]] = {name: [] for name in servers}
            for turn in range(rounds * times + 1):
                for name, client in clients.items():
                    seconds = await ask(client, name, sql.replace("{round}", str(turn + 1)))
                    if turn:
                        measured[name].append(seconds)
            ours, npm, pypi = (statistics.median(measured[name]) * 1000 for name in servers)
            print(f"{title:34}{ours:10.2f}{npm:10.2f}{pypi:10.2f}{ours / npm:10.2f}{ours / pypi:10.2f}")
        print("peak memory, MiB", {name: round(peak(words)) for name, words in servers.items()})


async def cut(servers: Mapping[str, list[str]], rows: int) -> None:
    """Ask each for very many rows, and print what it says and what memory it took."""
    sql = f"SELECT g AS id, 'item ' || g AS name FROM generate_series(1, {rows}) g"  # noqa: S608  # a number
    for name, words in servers.items():
        async with Client(words, timeout=100) as client:
            began = time.perf_counter()
            arguments: dict[str, object] = {"sql": sql, "limit": 100} if name == "ours" else {"sql": sql}
            try:
                result = await client.call_tool(TOOLS[name], arguments)
                said = f"{'failed' if result.is_error else 'answered'} with {len(result.text)} characters"
            except Exception as error:  # whatever a server does that was asked for too much
                said = f"{type(error).__name__}: {error}"
            took = time.perf_counter() - began
            try:
                memory = f"{peak(words):.0f} MiB at most"
            except RuntimeError:
                memory = "the process is gone"
        print(f"{name}: {rows} rows: {said[:100]} after {took:.2f} s, {memory}")


def main(rounds: int, rows: int, script: str) -> None:
    """Start a database, install the peers, compete."""
    with tempfile.TemporaryDirectory() as work, run_cluster() as cluster:
        command(cluster.url(), TABLE)
        dsn = cluster.url("reader")
        npm = install_npm(Path(work, "npm"), NPM)
        pypi = script or str(install_python(Path(work, "pypi"), PYPI) / "postgres-mcp")
        ours = [sys.executable, "-m", "mcp_server_postgres", dsn, "--max-rows", "20000", "--max-output-bytes", "0"]
        servers = {
            "ours": ours,
            "npm": ["node", str(npm / "dist" / "index.js"), dsn],
            "pypi": [pypi, dsn, "--access-mode=restricted"],
        }
        asyncio.run(compete(servers, rounds))
        asyncio.run(cut(servers, rows))


if __name__ == "__main__":
    given = dict(enumerate(sys.argv))
    main(int(given.get(1, 10)), int(given.get(2, 10_000_000)), given.get(3, ""))
