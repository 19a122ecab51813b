"""The log: no secret in any line, a request's mark in each line that is logged while it is served."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.operations.watching import SECRET, Shop
from tests.served import serve
from tests.stage import LEGACY, META, MODERN, scene
from tests.transports.guests import Member
from tests.transports.host import TOOLS, Host

from mcp_kernel import Server
from mcp_kernel.operations.logs import write_lines
from mcp_kernel.testing.asgi import Site
from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.stage import Connect

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl"
KEY = "mk_8f1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e"
TRACE = "0af7651916cd43dd8448eb211c80319c"
EVERYTHING = [sys.executable, "-m", "mcp_server_everything"]
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the root of the log writes."""
    root, stream = logging.getLogger(), io.StringIO()
    handler = logging.StreamHandler(stream)
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


@pytest.mark.parametrize("as_json", [False, True])
def test_an_exceptions_text_and_its_traceback_hold_no_secret_either(log: io.StringIO, as_json: bool) -> None:
    write_lines(as_json=as_json)
    try:
        raise ValueError(f"the answer to Authorization: Bearer {TOKEN} was no")
    except ValueError:
        logging.getLogger("x").exception("While asking https://x.example/?token=%s", KEY)
    said = log.getvalue()
    assert "Traceback" in said
    assert TOKEN not in said
    assert KEY not in said


def test_no_client_can_write_a_line_of_its_own(log: io.StringIO) -> None:
    write_lines(as_json=False)
    logging.getLogger("x").warning("The Host %s is not served", "a\nERROR x: all is lost\x1b[2J\r")
    assert log.getvalue() == "WARNING x: The Host a\\nERROR x: all is lost\\x1b[2J\\x0d is not served\n"


def test_the_text_of_an_exception_begins_no_line_either(log: io.StringIO) -> None:
    write_lines(as_json=False)
    try:
        raise ValueError("a\nERROR x: all is lost\x1b[2J\r\nWARNING x: \x85nor is this")
    except ValueError as error:
        logging.getLogger("x").exception("It failed")
        logging.getLogger("x").error("It failed: %r", "with this", exc_info=error)
    lines = log.getvalue().splitlines()
    assert [line for line in lines if not line.startswith("  ")] == [
        "ERROR x: It failed",
        "ERROR x: It failed: 'with this'",
    ]
    assert "  ERROR x: all is lost\\x1b[2J\\x0d" in lines


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.mark.parametrize("revision", [LEGACY[-1], MODERN])
@scene
async def test_each_line_of_a_request_has_its_mark(connect: Connect, log: io.StringIO, revision: str) -> None:
    write_lines(as_json=True)
    shop = Shop()
    async with connect(shop.server, revision, principal="ann") as client:
        await client.call_tool("echo", {"text": "x"})
        await client.call_tool("work", {})
        with pytest.raises(Exception, match="Internal error"):
            await client.call_tool("fail", {})
    logging.getLogger("shop").warning("afterwards")
    echo, work, failure, after = lines(log)
    assert [each["message"] for each in (echo, work)] == ["echoing x", "working"]
    assert failure["logger"] == "mcp_kernel"
    assert SECRET in failure["exception"]
    assert {each["principal"] for each in (echo, work, failure)} == {"ann"}
    assert {each["method"] for each in (echo, work, failure)} == {"tools/call"}
    assert len({each["trace"] for each in (echo, work, failure)}) == 3
    assert len({each["request"] for each in (echo, work, failure)}) == 3
    assert "trace" not in after


@pytest.mark.parametrize(
    ("parent", "is_taken"),
    [
        (PARENT, True),
        (PARENT.replace("00-", "cc-", 1) + "-more", True),
        (PARENT.replace("00-", "ff-", 1), False),
        (PARENT.replace(TRACE, "0" * 32), False),
        (PARENT.upper(), False),
        (PARENT + "\n", False),
        ("x" * 10_000, False),
        (17, False),
        (None, False),
    ],
)
@scene
async def test_the_trace_is_the_clients_where_it_names_one(
    connect: Connect, log: io.StringIO, parent: object, is_taken: bool
) -> None:
    write_lines(as_json=True)
    shop = Shop()
    async with connect(shop.server, MODERN) as client:
        meta = {**META, "traceparent": parent}
        await client.call("tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": meta})
    (line,) = lines(log)
    assert (line["trace"] == TRACE) == is_taken


@scene
async def test_over_http_a_line_names_the_session_without_opening_it(log: io.StringIO) -> None:
    write_lines(as_json=True)
    shop = Shop()
    async with Site(HttpApp(shop.server)) as site:
        member = Member(site)
        await member.open()
        headers = {**member.headers, "traceparent": PARENT}
        call = member.message("tools/call", {"name": "echo", "arguments": {"text": "x"}})
        await site.post(call, headers).whole()
        await member.ask_tool("work").whole()
    first, second = lines(log)
    assert first["session"] == second["session"]
    assert member.session not in log.getvalue()
    assert first["trace"] == TRACE != second["trace"]


@scene
async def test_a_mark_in_text_cannot_be_forged(connect: Connect, log: io.StringIO) -> None:
    write_lines(as_json=False)
    shop = Shop()
    async with connect(shop.server, MODERN) as client:
        call: Callable[..., Any] = client.call
        await call("tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": META})
    assert " request=" in log.getvalue()
    assert log.getvalue().startswith("WARNING shop [trace=")


@scene
async def test_what_a_request_sets_going_for_all_is_not_logged_as_its_own(connect: Connect, log: io.StringIO) -> None:
    write_lines(as_json=False)
    server = Server("watched", "1")
    server.resource("note://x")(lambda: "x")
    looked = asyncio.Event()

    async def watch(subscribed: object) -> None:
        looked.set()
        raise OSError("gone")

    server.watcher(watch)
    async with connect(server, MODERN) as client:
        await client.subscribe("note://x")
        await looked.wait()
        await client.wire.quiet()
    assert log.getvalue().startswith("ERROR mcp_kernel: Watching for changes has stopped")


MARK = r"\[trace=[0-9a-f]{32} request=\d+ method=tools/call\]"


def test_over_a_pipe_each_line_names_its_request_without_being_asked_to() -> None:
    with Host(TOOLS) as host:
        host.open()
        host.answer(host.ask_tool("fall", kind="LookupError"))
        first = host.log().splitlines()[0]
    assert re.match(rf"ERROR mcp_kernel {MARK}: Incident [0-9a-f]{{8}} in tools/call", first), first


def test_over_http_a_request_that_is_turned_away_is_named_by_its_trace_and_address() -> None:
    said = list[bytes]()
    with serve(EVERYTHING, ["--transport", "http"], heard=said) as url:
        headers = {"host": "evil.example", "traceparent": PARENT, "content-type": "application/json"}
        assert httpx.post(url, content=b"{}", headers=headers).status_code == 421
    line = b"".join(said).decode()
    assert line.startswith(f"WARNING mcp_kernel [trace={TRACE} http=POST_/mcp address=127.0.0.1]: "), line


def test_over_a_pipe_the_program_writes_json_to_stderr() -> None:
    with Host([*TOOLS, "--log-format", "json"]) as host:
        host.open()
        host.answer(host.ask_tool("fall", kind="LookupError"))
        found = [json.loads(line) for line in host.log().splitlines()]
    assert [each["method"] for each in found if "exception" in each] == ["tools/call"]
