"""Links that are swapped in while a call is under way, thousands of times a second: none of them wins anything."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers.filesystem.conftest import CANARY
from tests.servers.filesystem.siege import CALLS, LISTERS, READERS, WRITERS, Siege, besiege, on_every_front
from tests.stage import scene

from mcp_server_filesystem.sandbox import Policy

SWAPPER = Path(__file__).with_name("swapper.py")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="two names are swapped in one act on Linux only"),
]


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        yield siege


@contextmanager
def swapping(first: Path, second: Path) -> Generator[None]:
    """Swap two names all the while."""
    words = [sys.executable, str(SWAPPER), str(first), str(second)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            assert process.stdout.readline() == "ready\n"
            yield
            process.stdin.close()
            assert int(process.stdout.read()) > 1000, "hardly anything was swapped"
            assert process.wait(10) == 0
        finally:
            process.kill()


async def storm(
    siege: Siege, revision: str, by_walking: bool, tools: dict[str, object], paths: list[str], rounds: int
) -> set[bool]:
    """Call tools on paths again and again; tells whether some calls were served, and whether some were refused.

    A busy machine makes fewer rounds: no more begins when three seconds are over.
    """
    outcomes: set[bool] = set()
    end = time.monotonic() + 3
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for _ in range(rounds):
            if time.monotonic() > end:
                break
            for tool in tools:
                for path in paths:
                    fine, said = await attacker.call(tool, **CALLS[tool](path))
                    assert CANARY not in said, (tool, path)
                    outcomes.add(fine)
    return outcomes


@on_every_front
@scene
async def test_a_file_that_becomes_a_link_is_not_read_through_it(siege: Siege, revision: str, by_walking: bool) -> None:
    (siege.served / "f").write_text("harmless canary")
    (siege.served / "l").symlink_to(siege.outside / "secret.txt")
    with swapping(siege.served / "f", siege.served / "l"):
        outcomes = await storm(siege, revision, by_walking, dict(READERS), ["f", "l"], 60)
    assert outcomes == {True, False}


@on_every_front
@scene
async def test_a_directory_that_becomes_a_link_is_not_looked_into_through_it(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    (siege.served / "d").mkdir()
    (siege.served / "d" / "secret.txt").write_text("harmless canary")
    (siege.served / "l").symlink_to("../outside")
    with swapping(siege.served / "d", siege.served / "l"):
        found = await storm(siege, revision, by_walking, dict(READERS), ["d/secret.txt"], 80)
        listed = await storm(siege, revision, by_walking, dict(LISTERS), ["d", "."], 60)
    assert found == {True, False}
    assert listed == {True, False}


@on_every_front
@scene
async def test_a_secret_that_takes_an_open_name_is_not_read_under_it(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    """Only a link can be swapped in by who may not read the secret: it is told by its real name."""
    (siege.served / ".ssh").mkdir()
    (siege.served / ".ssh" / "id").write_text(CANARY)
    (siege.served / "d").mkdir()
    (siege.served / "d" / "id").write_text("harmless canary")
    (siege.served / "l").symlink_to(".ssh")
    with swapping(siege.served / "d", siege.served / "l"):
        await storm(siege, revision, by_walking, dict(READERS), ["d/id", "d", "."], 30)


@on_every_front
@scene
async def test_nothing_is_written_through_a_link_that_is_swapped_in(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    writers = {name: None for name in WRITERS if not name.startswith("move_file")}
    for name in ("d", "f"):
        siege.served.joinpath(name).mkdir()
    (siege.served / "d" / "secret.txt").write_text("harmless canary")
    (siege.served / "l").symlink_to(siege.outside)
    with swapping(siege.served / "d", siege.served / "l"):
        await storm(siege, revision, by_walking, dict(writers), ["d/secret.txt", "d/new", "d"], 60)
    siege.check()


@on_every_front
@scene
async def test_nothing_is_moved_in_or_out_through_a_link_that_is_swapped_in(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    (siege.served / "d").mkdir()
    (siege.served / "l").symlink_to(siege.outside)
    stolen: list[str] = []
    with swapping(siege.served / "d", siege.served / "l"):
        async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
            for number in range(200):
                (siege.served / f"m{number}").write_text("x")
                await attacker.call("move_file", source=f"m{number}", destination=f"d/m{number}")
                fine, said = await attacker.call("move_file", source="d/secret.txt", destination=f"stolen{number}")
                stolen += [said] if fine else []
    assert stolen == []
    siege.check()
