"""A server that is a child process: what it inherits, how it is ended, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stage import scene
from tests.transports.host import until

from mcp_kernel.client import CannotStart, Client, ConnectionLost, NotConnected, Reach
from mcp_kernel.client.stdio import Command, StdioLink

CONTRARY = [sys.executable, str(Path(__file__).parent / "programs" / "contrary.py")]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # a thread of an earlier test that ends just now
            found.update((task / "children").read_text().split())
    return found


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    return False


Family = Callable[[], set[str]]


@pytest.fixture(autouse=True)
def born() -> Iterator[Family]:
    """The children since the test began; in the end no process and no descriptor is left, whatever the test did."""
    gc.collect()
    before = descriptors(), children()
    yield lambda: children() - before[1]
    gc.collect()
    assert descriptors() <= before[0]  # what an earlier test left may go meanwhile
    assert children() <= before[1]


@scene
async def test_a_secret_of_this_process_is_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("LANG", "C.UTF-8")
    async with Client([*CONTRARY, "undress"], reach=Reach(env={"GIVEN": "yes", "TZ": "UTC"})) as client:
        seen = json.loads((await client.call_tool("deed")).text)
    assert "OPENAI_API_KEY" not in seen
    assert (seen["GIVEN"], seen["TZ"], seen["LANG"], seen["PATH"]) == ("yes", "UTC", "C.UTF-8", os.environ["PATH"])


def test_what_is_given_to_a_server_is_never_shown() -> None:
    given = {"TOKEN": "sk-secret"}
    assert "sk-secret" not in repr(Command(["x"], given))
    assert "sk-secret" not in repr(Reach(env=given, headers={"authorization": "sk-secret"}))


@scene
async def test_what_the_server_started_ends_with_it() -> None:
    async with Client([*CONTRARY, "breed"]) as client:
        grandchild = int((await client.call_tool("deed")).text)
        assert is_alive(grandchild)
    until(lambda: not is_alive(grandchild))


@pytest.mark.slow
@scene
async def test_a_process_that_left_the_group_does_not_keep_the_end_of_the_server_secret() -> None:
    begun = time.monotonic()
    async with Client([*CONTRARY, "cast_off"]) as client:
        with pytest.raises(ConnectionLost, match=r"exit code 0.*\s+child \d+") as caught:
            await client.call_tool("deed")
    assert time.monotonic() - begun < 5
    os.kill(int(str(caught.value).rpartition(" ")[2]), signal.SIGKILL)


@scene
async def test_a_server_ends_by_itself_when_its_input_does() -> None:
    link = StdioLink(Command([*CONTRARY, "hang"]))
    await link.open()
    begun = time.monotonic()
    await link.close()
    assert time.monotonic() - begun < 1.5
    assert "its input has ended" in link.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("deed", "least", "most"), [("stubborn", 1.9, 3.5), ("deaf", 3.9, 5.5)])
@scene
async def test_a_server_that_stays_is_told_and_then_killed(born: Family, deed: str, least: float, most: float) -> None:
    client = Client([*CONTRARY, deed])
    await client.connect()
    (pid,) = born()
    begun = time.monotonic()
    await client.close()
    assert least < time.monotonic() - begun < most
    assert not is_alive(int(pid))


@pytest.mark.parametrize("word", ["no-such-command-anywhere", ""])
@scene
async def test_a_command_that_is_not_there_names_the_path_that_was_searched(word: str) -> None:
    with pytest.raises(CannotStart, match=r"was not found on the PATH /nowhere:/neither.*full path"):
        await Client([word], reach=Reach(env={"PATH": "/nowhere:/neither"})).connect()


@scene
async def test_what_cannot_be_started_says_why(tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match=r"'\./x/server' was not found\. Install"):
        await Client(["./x/server"], reach=Reach(cwd=tmp_path)).connect()
    script = tmp_path / "server"
    script.write_text("no interpreter, no magic")
    script.chmod(0o755)
    with pytest.raises(CannotStart, match="cannot be started: Exec format error"):
        await Client([str(script)]).connect()
    with pytest.raises(CannotStart, match="missing-folder"):
        await Client([*CONTRARY, "hang"], reach=Reach(cwd=tmp_path / "missing-folder")).connect()
    with pytest.raises(CannotStart, match="no command"):
        await Client([]).connect()
    with pytest.raises(CannotStart, match="null"):
        await Client([*CONTRARY, "a\0b"]).connect()


@scene
async def test_a_program_is_found_from_the_directory_that_it_runs_in(tmp_path: Path) -> None:
    script = tmp_path / "server"
    script.write_text(f"#!/bin/sh\nexec {' '.join(CONTRARY)} hang")
    script.chmod(0o755)
    async with Client(["./server"], reach=Reach(cwd=tmp_path)) as client:
        assert [tool.name for tool in await client.list_tools()] == ["deed"]


@scene
async def test_a_server_that_dies_at_its_start_says_with_what_and_its_last_words() -> None:
    with pytest.raises(CannotStart, match=r"exit code 3") as caught:
        await Client([*CONTRARY, "stillborn"]).connect()
    text = str(caught.value)
    assert "line 39" in text
    assert "line 27\n" not in text, "only the last twelve lines"


@scene
async def test_a_server_that_is_killed_says_by_which_signal() -> None:
    async with Client([*CONTRARY, "die"]) as client:
        with pytest.raises(ConnectionLost, match=r"SIGKILL.*nothing to stderr"):
            await client.call_tool("deed")


@scene
async def test_stderr_is_kept_to_its_last_part() -> None:
    link = StdioLink(Command([sys.executable, "-c", "import sys\nfor n in range(99999): print(n, file=sys.stderr)"]))

    class Deaf:
        def lose(self, error: ConnectionLost) -> None:
            lost.set()

    lost = asyncio.Event()
    link.attach(Deaf())  # pyright: ignore[reportArgumentType]  # nothing but the end comes
    await link.open()
    await lost.wait()
    assert len(link.stderr) <= 64 * 1024
    assert link.stderr.endswith("99998\n")
    await link.close()


@scene
async def test_a_client_that_is_closed_twice_or_was_never_open_is_closed(born: Family) -> None:
    client = Client([*CONTRARY, "hang"])
    await client.close()
    with pytest.raises(NotConnected, match="async with"):
        _ = client.server
    async with client:
        await client.close()
        await client.close()
        assert born() == set()
        await client.list_tools()


@scene
async def test_a_client_that_is_closed_during_a_call_ends_the_call_and_starts_nothing(born: Family) -> None:
    client = Client([*CONTRARY, "hang"])
    await client.list_tools()
    calling = asyncio.ensure_future(client.call_tool("deed"))  # which may be repeated, by its hints
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(ConnectionLost):
        await calling
    assert born() == set()


@scene
async def test_a_caller_who_goes_away_while_the_server_starts_leaves_no_process(born: Family) -> None:
    connecting = asyncio.ensure_future(Client([sys.executable, "-c", "for line in open(0): pass"]).connect())
    await asyncio.sleep(0)  # as far as the child, since only that makes it wait
    await asyncio.get_running_loop().run_in_executor(None, until, born)
    connecting.cancel()
    await asyncio.wait({connecting})
    assert connecting.cancelled()
    assert born() == set()


@pytest.mark.contrary
@scene
async def test_what_a_server_printed_before_it_died_is_told_with_its_end() -> None:
    chatty = [sys.executable, "-c", "print('Welcome!')"]
    with pytest.raises(CannotStart, match=r"(?s)exit code 0.*What came instead.*Welcome!"):
        await Client(chatty).connect()
