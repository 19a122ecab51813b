"""How a server ends: at the end of its input, by a signal, with its parent; and what does not end it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import sys
import termios
import time
from collections.abc import Callable

import pytest
from tests.transports.host import (
    META,
    PROGRAMS,
    TOOLS,
    Host,
    is_alive,
    line,
    request,
    until,
)

BOUND = 1.6
"""Seconds: the contract says one, a loaded machine may take some more; two waits of a half would be too many."""

STUCK: dict[str, tuple[str, dict[str, object], str]] = {
    "waits": ("hold", {"name": "a"}, "holding a"),
    "swallows its cancellation": ("cling", {}, "clinging"),
    "blocks a thread": ("block", {}, "blocking"),
    "spins in a thread": ("spin", {}, "spinning"),
}
stuck = pytest.mark.parametrize(("tool", "arguments", "sign"), STUCK.values(), ids=STUCK)


def hang_up(host: Host) -> None:
    host.hang_up()


def terminate(host: Host) -> None:
    host.process.terminate()


def break_the_pipe(host: Host) -> None:
    """Nobody reads any more; the server learns of it when it writes."""
    host.close(host.outlet)
    host.write(line(request("into the void", "ping")))


ends = pytest.mark.parametrize("finish", [hang_up, terminate, break_the_pipe])


def time_to_end(host: Host) -> float:
    began = time.monotonic()
    assert host.wait() == 0
    return time.monotonic() - began


@ends
def test_an_idle_server_ends_at_once_and_says_nothing(finish: Callable[[Host], None]) -> None:
    with Host(TOOLS) as host:
        host.open()
        finish(host)
        assert time_to_end(host) < 0.5
        assert host.log() == ""


@stuck
@ends
@pytest.mark.slow
def test_a_server_ends_whatever_its_handlers_do(
    tool: str, arguments: dict[str, object], sign: str, finish: Callable[[Host], None]
) -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool(tool, **arguments)
        until(lambda: sign in host.log())
        finish(host)
        assert time_to_end(host) < BOUND
        assert "Traceback" not in host.log()


def test_a_call_that_ends_soon_after_the_input_is_answered() -> None:
    with Host(TOOLS) as host:
        call = host.open().ask_tool("last", seconds=0.25)
        assert host.end() == 0
        assert [answer["id"] for answer in host.read_all()] == [call]


def test_a_call_that_takes_longer_is_cancelled_and_not_answered() -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("hold", name="a")
        until(lambda: "holding a" in host.log())
        host.hang_up()
        assert 0.4 < time_to_end(host) < BOUND
        assert host.read_all() == []
        assert "cancelled a" in host.log()


def test_what_was_written_before_the_end_of_the_input_is_served() -> None:
    with Host(TOOLS) as host:
        for number in range(500):
            host.send(request(number, "tools/call", name="echo", arguments={"text": "x"}, _meta=META))
        host.hang_up()
        assert [answer["id"] for answer in host.read_all()] == list(range(500))


def test_a_listen_stream_is_ended_and_answered_at_the_end_of_the_input() -> None:
    with Host(TOOLS) as host:
        wanted = {"resourceSubscriptions": ["note://one"]}
        stream = host.ask("subscriptions/listen", notifications=wanted, _meta=META)
        assert host.read()["method"] == "notifications/subscriptions/acknowledged"
        host.hang_up()
        assert time_to_end(host) < 0.5
        cancelled, answer = host.read_all()
        assert (cancelled["method"], cancelled["params"]["requestId"]) == ("notifications/cancelled", stream)
        assert answer["id"] == stream


@pytest.mark.parametrize(("what", "code"), [("hang", 0), ("raise", 1)])
def test_what_cannot_be_closed_does_not_keep_the_server(what: str, code: int) -> None:
    with Host([sys.executable, str(PROGRAMS / "bystanders.py")], environment={"AT_CLOSING": what}) as host:
        host.open()
        host.hang_up()
        assert host.wait(BOUND) == code
        assert host.read_line() == b""
        assert ("it cannot be closed" in host.log()) == (what == "raise")


def test_ctrl_c_ends_the_server_at_once_with_130() -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("block")
        host.ask_tool("hold", name="a")
        until(lambda: "holding a" in host.log())
        began = time.monotonic()
        host.process.send_signal(signal.SIGINT)
        assert host.wait() == 130
        assert time.monotonic() - began < 0.5
        assert "Traceback" not in host.log()


@pytest.mark.parametrize("tool", ["say", "say_in_a_thread"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_even_a_server_whose_stderr_nobody_reads(tool: str, number: int, code: int) -> None:
    """Its handler hangs in a write, and whoever flushes what is written then hangs as well."""
    ours, theirs = os.pipe()
    with Host(TOOLS, stderr=theirs) as host:
        os.close(theirs)
        arguments = {"how": "print", "text": "noise ", "times": 100_000}
        host.send(request(1, "tools/call", name=tool, arguments=arguments, _meta=META))
        until(lambda: waiting_in(ours) == 65_536)
        host.process.send_signal(number)
        assert host.wait(3) == code
    os.close(ours)


def waiting_in(pipe: int) -> int:
    """How many bytes nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["hold", "block"])
def test_a_server_whose_parent_is_killed_ends(tool: str) -> None:
    with Host([sys.executable, str(PROGRAMS / "parent.py"), tool]) as host:
        until(lambda: "ing" in host.log())  # holding or blocking
        (found,) = re.findall(r"server (\d+)", host.log())
        host.process.kill()
        until(lambda: not is_alive(int(found)), 5)


@pytest.mark.slow
@pytest.mark.parametrize("finish", [hang_up, terminate], ids=lambda finish: finish.__name__)
@pytest.mark.parametrize("how", ["asyncio", "a thread"])
def test_children_of_handlers_do_not_outlive_the_server(how: str, finish: Callable[[Host], None]) -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("start_child", how=how)
        until(lambda: host.log().count("child") == 2)
        children = [int(pid) for pid in re.findall(r"child (\d+)", host.log())]
        try:
            finish(host)
            assert time_to_end(host) < BOUND
            until(lambda: not any(map(is_alive, children)), 1)
        finally:
            for child in filter(is_alive, children):
                os.kill(child, signal.SIGKILL)


@pytest.mark.slow
def test_terminating_ends_a_server_whose_event_loop_is_blocked() -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("freeze")
        until(lambda: "freezing" in host.log())
        host.process.terminate()
        assert host.wait(3) == 0


def test_a_handler_that_reports_for_ever_lets_others_run() -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("report")
        ping = host.ask("ping")
        assert host.hear(lambda message: message.get("id") == ping, 1)


FALLS = ["ValueError", "RecursionError", "MemoryError", "AssertionError", "StopIteration", "StopAsyncIteration"]
BREAKOUTS = [
    "SystemExit",
    "KeyboardInterrupt",
    "GeneratorExit",
]


def raise_and_look(host: Host, tool: str, kind: str) -> None:
    answer = host.answer(host.ask_tool(tool, kind=kind))
    assert answer["error"]["code"] == -32603
    assert "secret words" not in str(answer)
    assert answer["error"]["message"].split()[-1] in host.log()
    host.check_alive()


def test_a_handler_that_raises_is_answered_for_and_takes_nothing_down() -> None:
    with Host(TOOLS) as host:
        host.open()
        for kind in FALLS:
            raise_and_look(host, "fall", kind)
        for kind in FALLS:
            if kind != "StopIteration":
                raise_and_look(host, "fall_in_a_thread", kind)


def test_a_handler_in_a_thread_that_raises_stop_iteration_is_answered_for() -> None:
    with Host(TOOLS) as host:
        call = host.open().ask_tool("fall_in_a_thread", kind="StopIteration")
        assert host.hear(lambda message: message.get("id") == call, 2)["error"]["code"] == -32603


@pytest.mark.parametrize("kind", BREAKOUTS)
@pytest.mark.parametrize("tool", ["fall", "fall_in_a_thread"])
def test_a_handler_that_tries_to_end_the_process_does_not(tool: str, kind: str) -> None:
    with Host(TOOLS) as host:
        host.open()
        host.send(request("fatal", "tools/call", name=tool, arguments={"kind": kind}))
        assert host.hear(lambda message: message.get("id") == "fatal", 1)["error"]["code"] == -32603
        host.check_alive()
