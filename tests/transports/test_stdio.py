"""Calls over stdio: concurrent, answered as they end, cancelled, and served on whatever kind of descriptor there is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.oracle import Witness
from tests.transports.host import (
    META,
    TOOLS,
    Host,
    Json,
    Plugs,
    line,
    notification,
    pipe_in,
    pipe_out,
    request,
    socket_pair,
    surroundings,
    until,
)

PLUGS: dict[str, Plugs] = {
    "pipes": (pipe_in, pipe_out),
    "sockets": (socket_pair, socket_pair),
    "a socket in, a pipe out": (socket_pair, pipe_out),
    "a pipe in, a socket out": (pipe_in, socket_pair),
}


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(TOOLS) as host:
        yield host.open()


def modern_echo(identifier: object, text: str) -> Json:
    return request(identifier, "tools/call", name="echo", arguments={"text": text}, _meta=META)


@pytest.mark.parametrize("plugs", PLUGS.values(), ids=PLUGS)
def test_small_and_large_answers_pass_whatever_the_descriptors_are(plugs: Plugs) -> None:
    with Host(TOOLS, plugs=plugs) as host:
        host.open().check_alive()
        assert len(host.call("large", size=3_000_000)["content"][0]["text"]) == 3_000_000
        assert host.end() == 0
        assert host.log() == ""


def test_one_socket_serves_both_ways() -> None:
    def same() -> tuple[int, int]:
        return os.dup(ends[0]), os.dup(ends[1])

    ends = socket_pair()
    with Host(TOOLS, plugs=(same, same)) as host:
        for end in ends:
            os.close(end)
        assert len(host.open().call("large", size=3_000_000)["content"][0]["text"]) == 3_000_000
        host.process.terminate()
        assert host.wait() == 0


@pytest.mark.parametrize("out", ["a pipe", "a file"])
def test_a_regular_file_is_served_to_its_end(tmp_path: Path, out: str) -> None:
    requests = [modern_echo(number, f"text {number % 10}") for number in range(5000)]
    (tmp_path / "in").write_bytes(b"".join(map(line, requests)))
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        stdout = sink if out == "a file" else subprocess.PIPE
        done = subprocess.run(TOOLS, stdin=source, stdout=stdout, stderr=subprocess.PIPE, timeout=20, check=True)
    answers = (done.stdout or (tmp_path / "out").read_bytes()).splitlines()
    assert [json.loads(answer)["id"] for answer in answers] == list(range(5000))
    assert done.stderr == b""
    witness = Witness()
    for each in requests:
        witness.see("client", each)
    for answer in answers:
        witness.see("server", answer)


@pytest.mark.parametrize(
    "redirection", ["</dev/null", "<&-", "</dev/null >/dev/null", "</dev/null >&-", "<&- >&-", "<&- >&- 2>&-"]
)
def test_a_server_without_a_client_ends_at_once(redirection: str) -> None:
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *TOOLS]
    done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_answers_may_go_to_the_null_device() -> None:
    with Host(["sh", "-c", 'exec "$@" >/dev/null', "sh", *TOOLS]) as host:
        for number in range(3):
            host.send(modern_echo(number, "x" * 100_000))
        assert host.end() == 0
        assert host.log() == ""


@pytest.mark.parametrize("plugs", [(pipe_in, pipe_out), (pipe_in, socket_pair)], ids=["a pipe", "a socket"])
def test_a_stderr_that_shares_the_stream_loses_nothing(plugs: Plugs) -> None:
    """As with `2>&1`: text and messages mix, but O_NONBLOCK set on one would make the other drop what is too much."""
    with Host(["sh", "-c", 'exec "$@" 2>&1', "sh", *TOOLS], plugs=plugs) as host:
        for number in range(100):
            arguments = {"how": "print", "text": f"{number:05},", "times": 1000}
            host.send(request(number, "tools/call", name="say", arguments=arguments, _meta=META))
        lines = [host.read_line() for _ in range(200)]
        assert [each for each in lines if not each.startswith(b"{")] == [b"%05d," % n * 1000 for n in range(100)]
        answers = [each for each in lines if each.startswith(b"{")]
        assert len([host.witness.see("server", answer) for answer in answers]) == 100


def test_calls_are_answered_as_they_end(host: Host) -> None:
    first, second = host.ask_tool("hold", name="first"), host.ask_tool("hold", name="second")
    host.call("free", name="second")
    assert host.read()["id"] == second
    host.call("free", name="first")
    assert host.read()["id"] == first


def test_a_blocked_thread_and_a_waiting_call_hold_up_nobody(host: Host) -> None:
    with Host(TOOLS) as own:
        own.open().ask_tool("block")
        own.ask_tool("hold", name="for ever")
        until(lambda: "blocking" in own.log() and "holding" in own.log())
        own.check_alive()


def test_a_cancelled_call_gets_no_answer(host: Host) -> None:
    held = host.ask_tool("hold", name="unwanted")
    until(lambda: "holding unwanted" in host.log())
    host.send(notification("notifications/cancelled", requestId=held, reason="changed my mind"))
    until(lambda: "cancelled unwanted" in host.log())
    host.call("free", name="unwanted")
    host.check_alive()
    assert host.heard == []


def test_cancelling_what_is_not_in_flight_is_passed_over(host: Host) -> None:
    done = host.ask_tool("echo", text="done")
    host.answer(done)
    for identifier in (done, 987_654, "nobody's", ""):
        host.send(notification("notifications/cancelled", requestId=identifier))
    odd_values: list[object] = [None, [], {}, True, 1.5]
    for odd in odd_values:
        host.send(notification("notifications/cancelled", requestId=odd), malformed=True)
    host.send(notification("notifications/cancelled"), malformed=True)
    host.check_alive()
    assert host.heard == []


def test_a_second_request_under_an_id_in_flight_is_refused_and_the_first_goes_on() -> None:
    with Host(TOOLS) as host:
        host.open()
        call = request("twin", "tools/call", name="hold", arguments={"name": "a"})
        host.send(call)
        host.send(call, malformed=True)
        assert host.read()["error"]["code"] == -32600
        host.call("free", name="a")
        # The witness holds the request answered by the refusal, so the answer itself is not shown to it.
        assert json.loads(host.read_line()) == {
            "jsonrpc": "2.0",
            "id": "twin",
            "result": {"content": [{"type": "text", "text": "a"}]},
        }
        host.check_alive()


@pytest.mark.parametrize("identifier", [0, -1, "", "0", "ü", 2**53 + 1, 10**40, "x" * 10_000])
def test_an_id_comes_back_as_it_was_sent(host: Host, identifier: object) -> None:
    host.send(modern_echo(identifier, "x"))
    answer = host.read()
    assert (type(answer["id"]), answer["id"]) == (type(identifier), identifier)


def test_both_eras_share_the_pipe(host: Host) -> None:
    for number in range(20):
        host.send(modern_echo(f"modern {number}", "m"))
        host.send(request(f"legacy {number}", "tools/call", name="echo", arguments={"text": "l"}))
    answers = {answer["id"]: answer["result"] for answer in (host.read() for _ in range(40))}
    assert all(("resultType" in result) == key.startswith("modern") for key, result in answers.items())


def test_an_argument_of_five_megabytes_arrives_whole(host: Host) -> None:
    assert host.call("length", text="ü" * 2_500_000)["structuredContent"] == {"result": 2_500_000}


def test_a_terminal_s_worth_of_programs_may_serve_at_once() -> None:
    with Host(TOOLS) as one, Host(TOOLS) as other:
        one.open()
        other.open()
        one.hang_up()
        assert one.wait() == 0
        other.check_alive()


def test_the_module_named_runs_as_a_script_too(tmp_path: Path) -> None:
    program = "from mcp_kernel import Server, run; run(Server('bare', '1'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=line(request(1, "ping")),
        capture_output=True,
        timeout=10,
        check=True,
        env=surroundings(),
    )
    assert json.loads(done.stdout) == {"jsonrpc": "2.0", "id": 1, "result": {}}
