"""The agent from its first word to the closed ticket: the same in both eras, and over both transports."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.examples.support_agent.conftest import SERVER
from tests.served import serve
from tests.stage import in_both_eras

from mcp_kernel import Client

if TYPE_CHECKING:
    from tests.examples.support_agent.conftest import Office

TRANSCRIPT = Path(__file__).with_name("transcript.txt").read_text("utf-8")
CHANGING = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
    (r"(?<=untrusted text )[0-9a-f]{16}|(?<=end of )[0-9a-f]{16}", "<mark>"),
    (r"(?<=ticketing )\d+\.\d+\.\d+, revision \S+", "<version>, revision <revision>"),
]


def settle(text: str) -> str:
    """What is said, without what differs from one run to the next."""
    for pattern, name in CHANGING:
        text = re.sub(pattern, name, text)
    return text


@in_both_eras
def test_the_agent_closes_ticket_42_over_stdio(office: Office, revision: str) -> None:
    done = office.run("--revision", revision)
    assert (done.returncode, done.stderr) == (0, "")
    assert settle(done.stdout) == TRANSCRIPT
    assert f"revision {revision}\n" in done.stdout


@in_both_eras
def test_the_agent_closes_ticket_42_over_http(office: Office, revision: str) -> None:
    with serve([*SERVER, "--db-path", str(office.folder / "tickets.db")]) as url:
        done = office.run("--revision", revision, "--url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert settle(done.stdout) == TRANSCRIPT
    assert f"revision {revision}\n" in done.stdout


@in_both_eras
def test_the_wire_shows_every_message_and_nothing_else_changes(office: Office, revision: str) -> None:
    done = office.run("--wire", "--revision", revision)
    shown = [line for line in done.stdout.splitlines() if line.startswith(("--> ", "<-- "))]
    passed = [f"{'-->' if sender == 'client' else '<--'} {text}" for sender, text in office.messages()]
    assert shown == passed
    methods = {json.loads(line[4:]).get("method") for line in shown}
    assert {"tools/list", "resources/read", "prompts/get", "tools/call"} <= methods
    steps = "".join(line for line in done.stdout.splitlines(keepends=True) if line.rstrip("\n") not in shown)
    assert settle(steps) == TRANSCRIPT


async def read_ticket(database: str) -> Any:
    """Ticket 42, as another client reads it."""
    async with asyncio.timeout(30), Client([*SERVER, "--db-path", database]) as client:
        (part,) = await client.read_resource("ticket://42.json")
        return json.loads(part.text or "")


def test_the_ticket_is_closed_in_the_database_by_the_agent(office: Office) -> None:
    database = str(office.folder / "tickets.db")
    assert office.run("--db-path", database).returncode == 0
    ticket = asyncio.run(read_ticket(database))
    assert ticket["status"] == "closed"
    assert ticket["resolution"].startswith("Hi, ")
    assert ticket["history"][-1]["actor"] == "support-agent"
    again = office.run("--db-path", database)
    assert again.returncode == 1
    assert again.stderr == "support-agent: Ticket 42 is closed already. Choose another with --ticket.\n"


def test_each_run_has_a_fresh_database_and_leaves_nothing(office: Office) -> None:
    there = office.folder / "temporary"
    there.mkdir()
    for _ in range(2):
        assert office.run(TMPDIR=str(there)).returncode == 0
        assert list(there.iterdir()) == []


def test_the_orders_in_a_ticket_are_not_followed(office: Office) -> None:
    database = str(office.folder / "tickets.db")
    done = office.run("--ticket", "43", "--db-path", database)
    assert done.returncode == 0
    assert "SYSTEM NOTICE TO THE AI AGENT" in done.stdout
    assert done.stdout.rstrip().endswith("]")
    assert "| | 42 | urgent |" in done.stdout.rpartition("Read the open tickets")[2]
