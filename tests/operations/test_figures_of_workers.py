"""Figures of several processes on one port: any of them shows what all of them have counted."""

from __future__ import annotations

import os
import re
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.operations.pages import figure, read
from tests.operations.redis import RedisServer
from tests.operations.test_workers import children
from tests.transports.host import until
from tests.transports.listening import Listening, head

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

COUNT = 3


def scrape(server: Listening) -> bytes:
    """The page, as one of the workers shows it."""
    with server.connect() as connection:
        connection.send(head("GET", "/metrics", {"Host": "localhost"}))
        status, page = connection.read_answer()
    assert status == 200, page
    return page


def echoes(page: bytes) -> float:
    return figure(page, "mcp_requests_total", method="tools/call", tool="echo", outcome="ok")


def states(page: bytes) -> list[float]:
    return [figure(page, "mcp_workers", state=state) for state in ("heard", "silent")]


def call(server: Listening, count: int) -> None:
    """Call a tool, each time on a connection of its own."""
    for _ in range(count):
        with server.connect() as connection:
            assert "result" in connection.call("echo", text="x").read_message()


def counters(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """What may never go back."""
    gauges = {"mcp_requests_in_flight", "mcp_http_streams", "mcp_sessions", "mcp_workers", "mcp_server_info"}
    return {each: value for each, value in read(page).items() if each[0] not in gauges}


def all_started(server: Listening) -> Callable[[], bool]:
    return lambda: states(scrape(server)) == [float(COUNT), 0.0]


@pytest.mark.parametrize("own_port", [False, True])
def test_each_worker_shows_what_all_have_counted(own_port: bool) -> None:
    options = ["--metrics-port", "0"] if own_port else ["--metrics"]
    with RedisServer() as store, Listening("--workers", str(COUNT), "--store", store.url, *options) as server:
        main, aside = server.address, re.search(r"http://[^/]*:(\d+)/metrics", server.log())
        assert (aside is not None) == own_port
        page_address = main if aside is None else ("127.0.0.1", int(aside[1]))
        with ExitStack() as stack:
            sessions = [server.open_session(stack.enter_context(server.connect())) for _ in range(5)]
            call(server, 40)
            for number in range(30):
                with server.connect() as connection:
                    connection.post({"jsonrpc": "2.0", "id": number, "method": "ping"}, sessions[number % 5])
                    connection.read_answer()
        server.address = page_address
        until(all_started(server))
        pages = [scrape(server) for _ in range(12)]
        server.address = main
    for page in pages:
        assert (echoes(page), states(page)) == (40.0, [COUNT, 0.0])
        assert figure(page, "mcp_request_duration_seconds_count", method="tools/call", tool="echo") == 40.0
        assert figure(page, "mcp_requests_total", method="ping", tool="", outcome="ok") == 30.0
        assert [figure(page, name) for name in ("mcp_sessions", "mcp_requests_in_flight")] == [5.0, 0.0]
        assert figure(page, "mcp_server_info", name="tools", version="1.0.0") == 1.0
    begun = [figure(page, "mcp_http_responses_total", status="200") for page in pages]
    assert begun == [begun[0] + number for number in range(12)]


def test_no_counter_goes_back_when_workers_are_killed() -> None:
    with RedisServer() as store, Listening("--workers", str(COUNT), "--store", store.url, "--metrics") as server:
        until(all_started(server))
        total, last = 0, counters(scrape(server))
        for _ in range(2):
            with server.connect() as held:
                held.call("hold", name="a")
                call(server, 20)
                total += 20
                until(lambda: figure(scrape(server), "mcp_requests_in_flight") == 1.0)
                for victim in list(children(server))[:2]:
                    os.kill(victim, signal.SIGKILL)
                for _ in range(10):
                    now = counters(scrape(server))
                    assert {each: now.get(each, -1.0) for each in last if now.get(each, -1.0) < last[each]} == {}
                    last = now
            until(all_started(server))
            until(lambda: figure(scrape(server), "mcp_requests_in_flight") == 0.0)
            assert echoes(scrape(server)) == total


def test_a_worker_that_is_stopped_holds_nobody_up_and_counts_as_it_was() -> None:
    with RedisServer() as store, Listening("--workers", str(COUNT), "--store", store.url, "--metrics") as server:
        until(all_started(server))
        call(server, 30)
        assert echoes(scrape(server)) == 30.0
        stopped = children(server).pop()
        os.kill(stopped, signal.SIGSTOP)
        try:
            began = time.monotonic()
            pages = [scrape(server) for _ in range(20)]
            assert time.monotonic() - began < 5.0
            assert {echoes(page) for page in pages} == {30.0}
            assert states(pages[-1]) == [COUNT - 1, 1.0]
        finally:
            os.kill(stopped, signal.SIGCONT)
        until(all_started(server))
        assert echoes(scrape(server)) == 30.0
