"""File descriptor 1 is the protocol's alone: whatever else is written there comes out on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from tests.transports.host import PROGRAMS, TOOLS, Host, until

WAYS = ["print", "sys.__stdout__", "os.write", "C", "C write", "child", "/dev/stdout", "logging"]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with Host(TOOLS) as host:
        yield host.open()


@pytest.mark.parametrize("how", WAYS)
def test_what_is_written_to_stdout_comes_out_on_stderr(host: Host, how: str) -> None:
    text = f"stray words by {how}"
    result = host.call("say", how=how, text=text)
    assert result["content"][0]["text"] == how
    assert host.log().count(text) == 1
    assert host.heard == []


@pytest.mark.parametrize("how", WAYS)
def test_a_forged_message_on_stdout_reaches_no_client(host: Host, how: str) -> None:
    forged = f'{{"jsonrpc":"2.0","id":"{how}","result":{{}}}}'
    host.call("say", how=how, text=forged)
    host.check_alive()
    assert host.heard == []
    assert forged in host.log()


def test_handlers_and_their_children_read_nothing_from_stdin(host: Host) -> None:
    reading = host.ask_tool("read_stdin")
    host.check_alive()
    assert host.answer(reading)["result"]["content"][0]["text"] == "b'' b''"


def test_children_inherit_none_of_the_protocol_s_descriptors() -> None:
    with Host([sys.executable, str(PROGRAMS / "bystanders.py")]) as host:
        host.open()
        (text,) = host.call("descriptors_of_a_child")["content"]
        assert text["text"] == "0 1 2"


@pytest.mark.parametrize("when", ["AT_IMPORT", "AT_START", "AT_IMPORT_IN_C", "AT_EXIT"])
def test_what_is_printed_outside_of_handlers_comes_out_on_stderr(when: str) -> None:
    text = f"stray words at {when}"
    with Host(
        [sys.executable, str(PROGRAMS / "bystanders.py"), "--log-level", "info"], environment={when: text}
    ) as host:
        host.open().check_alive()
        assert host.end() == 0
        assert host.read_line() == b""
        assert host.log().count(text) == 1


def test_what_a_handler_prints_while_it_is_cancelled_comes_out_on_stderr() -> None:
    with Host(TOOLS) as host:
        host.open().ask_tool("hold", name="a")
        until(lambda: "holding a" in host.log())
        assert host.end() == 0
        assert host.read_line() == b""
        assert "cancelled a" in host.log()


def test_the_client_s_pipe_stays_in_the_mode_it_had() -> None:
    """O_NONBLOCK belongs to what the descriptors share: a host's other programs would lose output."""
    with Host(TOOLS) as host:
        host.open().call("large", size=300_000)
        assert os.get_blocking(host.outlet)
