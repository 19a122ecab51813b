"""Whatever bytes come, the server lives, answers the next request, and says nothing that is no message."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

import pytest
from tests.oracle import decode
from tests.transports.host import CLIENT, META, Host, line, request

from mcp_server_sqlite.sample import create_sample

Json = dict[str, Any]

METHODS: Final = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "subscriptions/listen",
    "notifications/cancelled",
    "notifications/initialized",
    "notifications/progress",
    "notifications/roots/list_changed",
    "no/such/method",
    "",
]
MEMBERS: Final = [
    "jsonrpc", "id", "method", "params", "result", "error", "code", "message", "data", "name", "arguments", "uri",
    "cursor", "ref", "argument", "context", "type", "value", "level", "notifications", "requestId", "_meta",
    "progressToken", "protocolVersion", "capabilities", "clientInfo", "elicitation", "inputResponses", "requestState",
    "resourceSubscriptions", "toolsListChanged", "sql", "params", "limit", "task", "version", *META,
]  # fmt: skip
WORDS: Final = [
    "", "2.0", "query", "db://schema", "db://tables/customers", "db://tables/%00", "db://tables/%F0%9F", "SELECT 1",
    "2026-07-28", "2025-11-25", "1999-01-01", "debug", "ref/prompt", "ref/resource", "analyze-table", "\x00", "\ud800",
    "ü\u2028", "x" * 3000, "__class__", "-1", "NaN", "{}", "[]", "../../etc/passwd", "%s%n", "eyJ1IjoiIn0", "\0",
]  # fmt: skip
NUMBERS: Final = [0, -1, 1, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**25, 10**400, 1.5, -0.0, 1e308, 5e-324]


def value(chance: random.Random, depth: int = 0) -> object:
    """Some JSON value, often with the names that the protocol uses."""
    kind = chance.randrange(9 if depth < 5 else 5)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.choice(NUMBERS)
    if kind <= 4:
        return chance.choice(WORDS + METHODS + MEMBERS)
    if kind == 5:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(MEMBERS): value(chance, depth + 1) for _ in range(chance.randrange(6))}


def valid(chance: random.Random) -> Json:
    """A message that is well-formed, for the most part."""
    params: Json = {
        "name": chance.choice(["query", "list_tables", "describe_table", "analyze-table", "write-query"]),
        "arguments": {"sql": "SELECT 1", "table_name": "customers", "question": "?"},
        "uri": chance.choice(["db://schema", "db://tables/orders", "db://tables/none"]),
        "ref": {"type": "ref/prompt", "name": "analyze-table"},
        "argument": {"name": "table_name", "value": "c"},
        "level": "debug",
        "notifications": {"resourceSubscriptions": ["db://schema"]},
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": CLIENT,
        "requestId": chance.randrange(50),
    }
    if chance.random() < 0.5:
        params["_meta"] = dict(META)
    return request(chance.randrange(50), chance.choice(METHODS), **params)


def mutate(chance: random.Random, node: object) -> object:
    """Change something somewhere inside: drop it, replace it, add to it."""
    if isinstance(node, dict) and node and chance.random() < 0.85:
        changed = dict(cast("Json", node))
        key = chance.choice(list(changed))
        if chance.random() < 0.15:
            del changed[key]
        elif chance.random() < 0.15:
            changed[chance.choice(MEMBERS)] = value(chance)
        else:
            changed[key] = mutate(chance, changed[key])
        return changed
    return value(chance)


def structured(chance: random.Random) -> bytes:
    message: object = valid(chance)
    for _ in range(chance.randrange(1, 4)):
        message = mutate(chance, message)
    if chance.random() < 0.05:
        message = [message, valid(chance)]
    return line(message)


def damaged(chance: random.Random) -> bytes:
    """A valid message with bytes changed, lost, doubled or cut off."""
    data = bytearray(line(valid(chance))[:-1])
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                del data[place : place + chance.randrange(1, 20)]
            case 2:
                data[place:place] = data[place : place + chance.randrange(1, 20)]
            case _:
                data[place:place] = chance.randbytes(chance.randrange(1, 8))
    return bytes(data).replace(b"\n", b" ") + b"\n"


def noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(300)) + b"\n"


def splinters(chance: random.Random) -> bytes:
    """Tokens of JSON in no order."""
    tokens = [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b'"',
        b'"id"',
        b"1e9999",
        b"-",
        b"null",
        b"\\u",
        b'"\\ud800"',
        b"\xff",
    ]
    return b"".join(chance.choices(tokens, k=chance.randrange(60))) + b"\n"


MAKERS: Final[list[Callable[[random.Random], bytes]]] = [structured, damaged, noise, splinters]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    create_sample(tmp_path / "x.db")
    command = [sys.executable, "-m", "mcp_server_sqlite", "--db-path", str(tmp_path / "x.db"), "--query-timeout", "2"]
    with Host(command) as host:
        yield host


def torment(host: Host, maker: Callable[[random.Random], bytes], seed: int, rounds: int) -> None:
    """Send what was made, then ask for something, and read up to the answer; each line must be JSON-RPC."""
    chance = random.Random(seed)
    for number in range(rounds):
        data = b"".join(maker(chance) for _ in range(20))
        asked = f"lifeline {seed} {number}"
        host.write(data + line(request(asked, "server/discover", _meta=META)))
        answer: Json = {}
        while answer.get("id") != asked:
            message = decode(host.read_line())
            for answer in cast("list[Json]", message if isinstance(message, list) else [message]):
                assert answer["jsonrpc"] == "2.0", data
                assert ("method" in answer) + ("result" in answer) + ("error" in answer) == 1, data
                assert answer.get("id", "") is not None, data
        assert answer["result"]["supportedVersions"] == ["2026-07-28"]
    assert "Traceback" not in host.log(), host.log()


@pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)
@pytest.mark.parametrize("opened", [False, True], ids=["before the handshake", "in a session"])
def test_no_bytes_bring_the_server_down(host: Host, maker: Callable[[random.Random], bytes], opened: bool) -> None:
    if opened:
        host.open()
    torment(host, maker, seed=7, rounds=25)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_no_bytes_bring_the_server_down_for_long(host: Host, seed: int) -> None:
    host.open(["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"][seed % 4])
    for maker in MAKERS:
        torment(host, maker, seed, rounds=150)
    assert host.memory() < 120 * 1024 * 1024
    host.send(request("at last", "tools/call", name="query", arguments={"sql": "SELECT 1"}, _meta=META))
    assert host.answer("at last")["result"]["structuredContent"]["rows"] == [[1]]
