"""A client that does not read, or writes too much, cannot make the server's memory grow; and nothing is lost."""

from __future__ import annotations

import fcntl
import json
import os
from typing import cast

import pytest
from tests.transports.host import (
    CLIENT,
    META,
    TOOLS,
    Ends,
    Host,
    Json,
    Plugs,
    line,
    notification,
    pipe_in,
    pipe_out,
    request,
    socket_pair,
    until,
)

MIB = 1024 * 1024
PLUGS: dict[str, Plugs] = {"pipes": (pipe_in, pipe_out), "sockets": (socket_pair, socket_pair)}

F_SETPIPE_SZ = 1031


def wide_pipe_in() -> Ends:
    """A pipe that takes a megabyte at once, so that the server finds all of it in one read or four."""
    theirs, ours = pipe_in()
    fcntl.fcntl(ours, F_SETPIPE_SZ, MIB)
    return theirs, ours


def tool_call(identifier: object, tool: str, /, **arguments: object) -> Json:
    return request(identifier, "tools/call", name=tool, arguments=arguments, _meta=META)


def feed_and_read(host: Host, data: bytes, expected: int) -> list[bytes]:
    """Write as the server takes it, reading meanwhile; judged later, so as not to keep the server waiting."""
    answers: list[bytes] = []
    taken = 0
    while len(answers) < expected:
        if taken < len(data):
            taken += host.write(data[taken : taken + MIB], 0.01)
        while len(answers) < expected and host.has_line():
            answers.append(host.read_line())
    return answers


def judge(host: Host, data: bytes, lines: list[bytes]) -> list[Json]:
    """Show the witness all that was sent, and all that it was answered with; returns the answers."""
    for each in data.splitlines():
        host.witness.see("client", each)
    return [cast("Json", host.witness.see("server", each)) for each in lines]


@pytest.mark.slow
@pytest.mark.parametrize("plugs", PLUGS.values(), ids=PLUGS)
def test_a_client_that_writes_and_never_reads_is_made_to_wait_and_loses_nothing(plugs: Plugs) -> None:
    requests = [tool_call(number, "echo", text="x" * 200) for number in range(100_000)]
    data = b"".join(map(line, requests))
    with Host(TOOLS, plugs=plugs) as host:
        host.check_alive()
        before = host.memory()
        taken = host.write(data, 2)
        assert taken < len(data) / 4, "the server reads on and on"
        assert host.memory() - before < 16 * MIB
        answers = judge(host, data, feed_and_read(host, data[taken:], len(requests)))
        assert [answer["id"] for answer in answers] == list(range(100_000))
        host.check_alive()
        assert host.memory() - before < 32 * MIB


@pytest.mark.slow
@pytest.mark.parametrize("plugs", [(wide_pipe_in, pipe_out), (socket_pair, socket_pair)], ids=["pipes", "sockets"])
def test_large_answers_to_requests_that_came_together_are_not_made_all_at_once(plugs: Plugs) -> None:
    requests = [tool_call(number, "large", size=MIB) for number in range(300)]
    data = b"".join(map(line, requests))
    with Host(TOOLS, plugs=plugs) as host:
        host.check_alive()
        before = host.memory()
        taken = host.write(data, 1)
        lines = feed_and_read(host, data[taken:], len(requests))
        assert host.memory() - before < 32 * MIB
        answers = judge(host, data, lines)
        assert {len(answer["result"]["content"][0]["text"]) for answer in answers} == {MIB}
        assert [answer["id"] for answer in answers] == list(range(300))


def test_an_answer_larger_than_every_buffer_arrives_whole() -> None:
    with Host(TOOLS) as host:
        size = 24 * MIB
        assert len(host.open().call("large", size=size)["content"][0]["text"]) == size


def test_progress_waits_for_a_client_that_does_not_read() -> None:
    with Host(TOOLS) as host:
        host.open()
        before = host.memory()
        count = 60_000
        call = host.ask("tools/call", name="report", arguments={"count": count}, _meta={"progressToken": "p"})
        until(host.has_line)
        reports = [host.read()["params"]["progress"] for _ in range(count)]
        assert reports == sorted(set(reports))
        assert reports[-1] == count
        assert host.answer(call)["result"]["content"][0]["text"] == f"{count} reports"
        assert host.memory() - before < 16 * MIB


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_changes_are_told_once_to_a_client_that_does_not_read(era: str) -> None:
    with Host(TOOLS) as host:
        host.open()
        if era == "legacy":
            host.request("resources/subscribe", uri="note://one")
        else:
            wanted = {"resourceSubscriptions": ["note://one"]}
            host.ask("subscriptions/listen", notifications=wanted, _meta=META)
            assert host.read()["method"] == "notifications/subscriptions/acknowledged"
        before = host.memory()
        touching = host.ask_tool("touch", count=100_000, wait=0.3)
        plug = host.ask_tool("large", size=4 * MIB)
        until(lambda: "touched" in host.log())
        host.answer(plug)
        host.answer(touching)
        host.check_alive()
        changes = [message for message in host.heard if message.get("method") == "notifications/resources/updated"]
        assert len(changes) == 1
        assert host.memory() - before < 32 * MIB


def test_calls_that_are_cancelled_all_at_once_do_not_stop_the_reading() -> None:
    """As many as may be in flight, and their cancellations, in one read: none of them is answered."""
    count = 1000
    calls = [request(f"c{number}", "tools/call", name="hold", arguments={"name": "h"}) for number in range(count)]
    withdrawals = [notification("notifications/cancelled", requestId=f"c{number}") for number in range(count)]
    hello = request("hello", "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=CLIENT)
    messages = [hello, notification("notifications/initialized"), *calls, *withdrawals]
    data = b"".join(json.dumps(each, separators=(",", ":")).encode() + b"\n" for each in messages)

    def filled_pipe() -> Ends:
        theirs, ours = wide_pipe_in()
        assert os.write(ours, data) == len(data)
        return theirs, ours

    with Host(TOOLS, plugs=(filled_pipe, pipe_out)) as host:
        for each in messages:
            host.witness.see("client", each)
        assert host.read()["id"] == "hello"
        host.check_alive()
        until(lambda: host.log().count("cancelled h") == count)
        assert host.heard == []


def test_more_calls_than_may_be_in_flight_wait_their_turn() -> None:
    with Host(TOOLS, plugs=(wide_pipe_in, pipe_out)) as host:
        calls = [tool_call(number, "last", seconds=0.01) for number in range(3000)]
        data = b"".join(map(line, calls))
        answers = judge(host, data, feed_and_read(host, data, len(calls)))
        assert sorted(answer["id"] for answer in answers) == list(range(3000))
        host.check_alive()


@pytest.mark.slow
def test_memory_comes_to_rest_over_many_calls() -> None:
    with Host(TOOLS) as host:
        host.open()
        sizes: list[int] = []
        for _ in range(4):
            requests = [request(number, "tools/call", name="echo", arguments={"text": "y"}) for number in range(5000)]
            data = b"".join(map(line, requests))
            judge(host, data, feed_and_read(host, data, len(requests)))
            sizes.append(host.memory())
        assert sizes[-1] - sizes[1] < 2 * MIB, sizes
