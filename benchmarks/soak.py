"""A soak: mixed load on a shared server by clients of which many vanish; what it takes must not grow.

    uv run benchmarks/soak.py [MINUTES [CONCURRENCY]]        by default 10 and 100

`mcp-server-sqlite` over HTTP with API keys, roles, limits, figures and an audit log. The clients, of both eras, read,
insert, list, listen, open sessions, and leave at any moment: in the middle of a request, of an answer, of a stream,
of a session. Every half minute a line says what the process holds. At the end every insert that was acknowledged must
be in the table once, no descriptor may be left, the chain of the audit log must be whole, and of memory no more may be
in use than when half of the time was over. Exit code 1 where it is not so.

Memory and descriptors are compared while nobody is there. Memory is what was allocated and not freed, to the byte; the
resident set goes up and down by a tenth with what the C library keeps. What is bounded is filled before each look: the
short strings that pydantic's decoder remembers (16,384), and the pages of each connection to the database (2 MiB, which
SQLite forgets when somebody else has written), of which the table has more from the start.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from pydantic_core import from_json, to_json
from speed.accounting import resident
from speed.sockets import INITIALIZE, META, exchange, post, serving

PORT = 8177
KEY = b"X-API-Key: " + b"k" * 43 + b"\r\n"
AUTH = f"""
[[keys]]
name = "soaker"
hash = "sha256:{sha256(b"k" * 43).hexdigest()}"
roles = ["writer"]

[roles.writer]
tools = ["query", "list_tables", "describe_table", "insert_record"]
resources = ["db://*"]
arguments = {{ insert_record = {{ table = ["events"] }} }}

[limits]
rate = "100000000/minute"
"""
VARIABLES = {
    "PYTHONFAULTHANDLER": "1",
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0",  # what a thread keeps of what it has freed would count as in use
}
GROWTH = 1.02  # from the half to the end: half a MiB, which is what one table of Python's own takes more when it grows
READERS = 16  # more than there are connections that are kept
ROWS = 150_000  # in the table from the start, with numbers that no client gives
STRINGS = 100_000  # six for each place that the decoder has
_BUSY = b"queries are running on this database, as many as may"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Soak:
    """What the clients did, and what they were told."""

    random: random.Random
    acknowledged: set[int] = field(default_factory=set[int])
    done: Counter[str] = field(default_factory=Counter[str])
    strange: list[bytes] = field(default_factory=list[bytes])
    refused: int = 0
    last: int = 0

    def next_number(self) -> int:
        """A number that no other insert has."""
        self.last += 1
        return self.last

    # --- what a client does ---

    async def query(self, connection: Connection) -> None:
        """Read some rows."""
        rows = self.random.choice((1, 10, 500))
        await self._call(connection, "query", {"sql": "SELECT * FROM events ORDER BY id DESC", "limit": rows})

    async def list_tables(self, connection: Connection) -> None:
        """Read the list of tables."""
        await self._call(connection, "list_tables", {})

    async def insert(self, connection: Connection) -> None:
        """Insert a row; only an answer acknowledges it."""
        number = self.next_number()
        arguments = {"table": "events", "data": {"number": number}, "idempotency_key": f"n{number}"}
        await self._call(connection, "insert_record", arguments)
        self.acknowledged.add(number)

    async def vanish(self, connection: Connection) -> None:
        """Send a part of a request, or a whole one, and leave."""
        request = self._write("query", {"sql": "SELECT count(*) FROM events a, events b", "limit": 1})
        whole = self.random.random() < 0.5
        connection[1].write(request if whole else request[: self.random.randrange(len(request))])
        await asyncio.sleep(self.random.random() / 20)
        raise ConnectionAbortedError

    async def listen(self, connection: Connection) -> None:
        """Open a listen stream, read its first event, and leave."""
        wanted = b'{"notifications":{"resourceSubscriptions":["db://schema"]}%b}' % META
        body = b'{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":' + wanted + b"}"
        headers = b"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: subscriptions/listen\r\n"
        connection[1].write(post(PORT, body, headers + KEY))
        head = await connection[0].readuntil(b"\r\n\r\n")
        self._expect(b" 200 " in head, head)
        await connection[0].readuntil(b"\n\n")
        raise ConnectionAbortedError

    async def open_session(self, connection: Connection) -> None:
        """Do the handshake, call, and end the session or leave it behind."""
        head, body = await exchange(*connection, post(PORT, INITIALIZE, KEY))
        self._expect(b"mcp-session-id:" in head.lower(), head + body)
        marker = head.lower().index(b"mcp-session-id:")
        session = head[marker : head.index(b"\r\n", marker) + 2]
        await exchange(
            *connection, post(PORT, b'{"jsonrpc":"2.0","method":"notifications/initialized"}', session + KEY)
        )
        params = b'{"name":"query","arguments":{"sql":"SELECT 1"}}'
        body = b'{"jsonrpc":"2.0","id":2,"method":"tools/call","params":' + params + b"}"
        _, answer = await exchange(*connection, post(PORT, body, session + KEY))
        self._expect(b'"result"' in answer, answer)
        self._judge(answer)
        if self.random.random() < 0.5:
            connection[1].write(b"DELETE /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n%b\r\n" % (PORT, session + KEY))
            self._expect(b" 204 " in await connection[0].readuntil(b"\r\n\r\n"), b"a session was not ended")

    async def _call(self, connection: Connection, tool: str, arguments: Mapping[str, object]) -> None:
        number = self.next_number()
        _, body = await exchange(*connection, self._write(tool, arguments, number))
        message = from_json(body)
        self._expect(message.get("id") == number and "result" in message, body)
        self._judge(body)

    def _judge(self, body: bytes) -> None:
        """A refusal is strange, but that there are more calls than the server takes at once: it says so, clearly."""
        if _BUSY in body:
            self.refused += 1
            raise ConnectionAbortedError
        self._expect(b'"isError"' not in body, body)

    def _write(self, tool: str, arguments: Mapping[str, object], number: int = 1) -> bytes:
        params = b'{"name":"%b","arguments":%b%b}' % (tool.encode(), to_json(arguments), META)
        body = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":%b}' % (number, params)
        mirrored = f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
        return post(PORT, body, mirrored.encode() + KEY)

    def _expect(self, holds: bool, said: bytes) -> None:
        if not holds:
            self.strange.append(said[:300])
            raise ConnectionError("a strange answer")

    async def fill(self) -> None:
        """Have the decoder remember as many strings as it ever will: they are read before they are refused."""
        connection = await asyncio.open_connection("127.0.0.1", PORT)
        strings = {"sql": "SELECT 1", "params": [f"s{number}" for number in range(STRINGS)]}
        _, body = await exchange(*connection, self._write("query", strings))
        self._expect(b'"isError"' in body, body)
        connection[1].close()

    async def settle(self) -> None:
        """Have every connection to the database read a whole table, so that its pages are as many as it may keep."""
        arguments = {"sql": "SELECT count(*), max(at) FROM events"}
        connections = [await asyncio.open_connection("127.0.0.1", PORT) for _ in range(READERS)]
        await asyncio.gather(*(self._call(connection, "query", arguments) for connection in connections))
        for _, writer in connections:
            writer.close()

    # --- one client after the other ---

    async def run(self, until: float) -> None:
        """Be one client after another until a time of the event loop."""
        actions: list[tuple[Callable[[Connection], Awaitable[None]], int]] = [
            (self.query, 8),
            (self.insert, 4),
            (self.list_tables, 3),
            (self.open_session, 2),
            (self.vanish, 2),
            (self.listen, 1),
        ]
        chosen, weights = zip(*actions, strict=True)
        while asyncio.get_running_loop().time() < until:
            connection = await asyncio.open_connection("127.0.0.1", PORT)
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                for action in self.random.choices(chosen, weights, k=self.random.randint(1, 12)):
                    self.done[action.__name__] += 1
                    await action(connection)
            connection[1].transport.abort()


async def report(soak: Soak, pid: int, until: float) -> None:
    """Print what the process holds, every half minute."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()
    print(f"{'seconds':>8}{'MiB':>8}{'descriptors':>13}{'calls / s':>11}  strange answers", flush=True)
    before = sum(soak.done.values())
    while loop.time() < until:
        await asyncio.sleep(min(30, until - loop.time()))
        total = sum(soak.done.values())
        seconds = time.perf_counter() - began
        rate, held = (total - before) / 30, resident(pid)
        print(f"{seconds:8.0f}{held:8.1f}{descriptors(pid):13}{rate:11.0f}  {len(soak.strange)}", flush=True)
        before = total


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@dataclass(frozen=True, slots=True)
class Rest:
    """What the server has while nobody is there."""

    resident: float  # MiB
    used: float  # MiB
    descriptors: int


def rest(soak: Soak, folder: Path, pid: int) -> Rest:
    """Wait until what the clients left behind has run out, and look."""
    time.sleep(15)  # past the timeout of sessions
    asyncio.run(soak.settle())
    time.sleep(2)  # for the server to see its connections closed
    report = folder / "used"
    os.kill(pid, signal.SIGUSR1)
    for _ in range(600):
        if report.exists():
            break
        time.sleep(0.1)
    found = Rest(resident(pid), int(report.read_text("utf-8")) / 2**20, descriptors(pid))
    report.unlink()
    print(f"nobody there: {found.used:.2f} MiB in use, {found.resident:.1f} resident", flush=True)
    return found


def judge(soak: Soak, folder: Path, before: Rest, half: Rest, after: Rest) -> bool:
    """Say what was lost, left or strange; True where nothing is."""
    with closing(sqlite3.connect(folder / "soak.db")) as database:
        rows = Counter(number for (number,) in database.execute("SELECT number FROM events"))
    lost = [number for number in soak.acknowledged if rows[number] != 1]
    twice = [number for number, times in rows.items() if times > 1]
    verified = subprocess.run(
        [sys.executable, "-m", "mcp_kernel", "audit", "verify", str(folder / "audit.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"inserts acknowledged: {len(soak.acknowledged)}, lost: {len(lost)}, made twice: {len(twice)}")
    print(f"descriptors: {before.descriptors} before, {after.descriptors} when the clients were gone")
    print(f"memory in use: {before.used:.2f} MiB after a minute, {half.used:.2f} half-way, {after.used:.2f} at the end")
    print(f"strange answers: {len(soak.strange)} {soak.strange[:3]}")
    print(f"audit log: {verified.stdout.strip() or verified.stderr.strip()}")
    print(f"done: {dict(soak.done)}; refused with a clear word as too many at once: {soak.refused}")
    grown = after.descriptors > before.descriptors + 2 or after.used > half.used * GROWTH
    return not (lost or twice or soak.strange or grown or verified.returncode)


async def drive(soak: Soak, pid: int, minutes: float, concurrency: int) -> None:
    """Have so many clients at a time for so long."""
    until = asyncio.get_running_loop().time() + minutes * 60
    clients = (soak.run(until) for _ in range(concurrency))
    await asyncio.gather(report(soak, pid, until), *clients)


@contextmanager
def show_last_words(log: Path) -> Generator[None]:
    """Print what a server said on stderr, where the clients failed."""
    try:
        yield
    except Exception:
        print(log.read_text("utf-8")[-5000:])
        raise


def prepare(folder: Path) -> list[str]:
    """Make the files that the server needs; returns its command line."""
    (folder / "auth.toml").write_text(AUTH, "utf-8")
    with closing(sqlite3.connect(folder / "soak.db")) as database:
        database.execute(
            "CREATE TABLE events (id INTEGER PRIMARY KEY, number INTEGER, at TEXT DEFAULT CURRENT_TIMESTAMP)"
        )
        database.executemany("INSERT INTO events (number) VALUES (?)", ((-row - 1,) for row in range(ROWS)))
        database.commit()
    command = [sys.executable, str(Path(__file__).parent / "contenders" / "measured.py"), str(folder / "used")]
    command += ["--db-path", str(folder / "soak.db"), "--allow-write"]
    command += ["--transport", "http", "--port", str(PORT), "--session-idle", "10", "--log-level", "error"]
    return [*command, "--auth", str(folder / "auth.toml"), "--audit-log", str(folder / "audit.log"), "--metrics"]


def main(minutes: float, concurrency: int) -> int:
    """Soak, and judge."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        soak = Soak(random.Random(1))  # noqa: S311  # the same clients every time
        log = folder / "stderr"
        with serving(prepare(folder), PORT, VARIABLES, log) as pid, show_last_words(log):
            asyncio.run(soak.fill())
            rests: list[Rest] = []
            for span in (1, minutes / 2, minutes / 2):
                asyncio.run(drive(soak, pid, span, concurrency))
                rests.append(rest(soak, folder, pid))
        return 0 if judge(soak, folder, *rests) else 1


if __name__ == "__main__":
    given = [float(each) for each in sys.argv[1:]]
    sys.exit(main(given[0] if given else 10, int(given[1]) if len(given) > 1 else 100))
