"""Ways out of the served directory, by every argument of every tool: all are refused, and nothing outside is told."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import cast
from urllib.parse import quote

import pytest
from tests.servers.filesystem.siege import CALLS, LISTERS, READERS, Siege, besiege, in_turn, look, on_every_front
from tests.stage import Json, scene

from mcp_server_filesystem.sandbox import Policy


@pytest.fixture
def siege(served: Path) -> Generator[Siege]:
    with besiege(served) as siege:
        lay_links(siege)
        yield siege


def lay_links(siege: Siege) -> None:
    """Links that lead out, in all their forms, and some that look so and stay inside."""
    secret = siege.outside / "secret.txt"
    for name, target in {
        "link": "../outside/secret.txt",
        "dir": "../outside",
        "absolute": str(secret),
        "absolute-dir": str(siege.outside),
        "chain": "link",
        "long-chain": "chain",
        "inner/far": "../../outside/secret.txt",
        "inner/hop": "../dir",
        "up": "..",
        "root": "/",
        "magic": "/proc/self/root",
        "magic-cwd": "/proc/self/cwd",
        "fd": "/dev/fd",
        "dangling": "../outside/new.txt",
        "dangling-dir": "../outside/new",
        "prefix": "../served-evil",
        "loop": "loop",
        "p": "q",
        "q": "p",
        "through-file": "a.txt/../../outside/secret.txt",
        "slow": "inner/../inner/../dir/secret.txt",
        "good": "inner/../a.txt",
        "good-dir": str(siege.served / "inner"),
    }.items():
        (siege.served / name).symlink_to(target)


# S is the served directory, T the one around it.
WAYS_OUT = [
    "../outside/secret.txt",
    "inner/../../outside/secret.txt",
    "inner//..//..//outside//secret.txt",
    "a.txt/../../outside/secret.txt",
    "absent/../../outside/secret.txt",
    "T/outside/secret.txt",
    "S/../outside/secret.txt",
    "//T/outside/secret.txt",
    "T/served-evil/secret.txt",
    "S-evil/secret.txt",
    "../served-evil/secret.txt",
    "../../../../../../../../../../etc/passwd",
    "/etc/passwd",
    "/",
    "..",
    "T",
    "~/.bashrc",
    "/proc/self/environ",
    "/proc/self/root/T/outside/secret.txt",
    "/proc/self/fd/0",
    "/dev/fd/0",
    "/dev/null",
    "link",
    "dir/secret.txt",
    "dir",
    "dir/../outside/secret.txt",
    "absolute",
    "chain",
    "inner/far",
    "inner/hop/secret.txt",
    "up/outside/secret.txt",
    "root/etc/passwd",
    "rootT/outside/secret.txt",
    "magicT/outside/secret.txt",
    "fd/0",
    "dangling",
    "dangling-dir/x",
    "prefix/secret.txt",
    "loop",
    "p/x",
    "through-file",
    "slow",
    "link/.",
    "a.txt\0/../../outside/secret.txt",
    "\0",
    "..\udcff/../../outside/secret.txt",
]


def aim(siege: Siege, path: str) -> str:
    if path.startswith("S"):
        path = f"{siege.served}{path[1:]}"
    return path.replace("T/", f"{siege.top}/") if "T/" in path else str(siege.top) if path == "T" else path


def is_link(siege: Siege, path: str) -> bool:
    return "\0" not in path and (siege.served / path).is_symlink()


@pytest.mark.parametrize("path", WAYS_OUT)
@in_turn
@scene
async def test_no_tool_follows_a_way_out(siege: Siege, revision: str, by_walking: bool, path: str) -> None:
    target = aim(siege, path)
    before = look(siege.served)
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in CALLS.items():
            if tool == "move_file from" and is_link(siege, target):
                continue  # a link itself may be moved: it is inside
            fine, said = await attacker.call(tool, **arguments(target))
            assert not fine, (tool, said)
        fine, _ = await attacker.ask("resources/read", uri=f"file://{quote(os.fsencode(target))}")
        assert not fine
        assert (await attacker.call("read_text_file", path="a.txt"))[0]
    assert look(siege.served) == before


@on_every_front
@scene
async def test_what_looks_like_a_way_out_and_stays_inside_is_served(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    files = ["good", "inner/../good", "S/../served/a.txt", "good-dir/../a.txt", "./inner/.././a.txt", "//S/a.txt"]
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in files:
            for tool, arguments in READERS.items():
                if "regex" in tool and path != "good":
                    continue  # each takes a process
                fine, said = await attacker.call(tool, **arguments(aim(siege, path.replace("//S", f"/{siege.served}"))))
                assert fine, (path, tool, said)
        for tool, arguments in LISTERS.items():
            fine, said = await attacker.call(tool, **arguments("good-dir"))
            assert fine, said
            assert "b.txt" in said
        assert (await attacker.call("write_file", path="good", content="new"))[0]
        assert (await attacker.call("create_directory", path="good-dir/made"))[0]
        assert (await attacker.call("move_file", source="good-dir/b.txt", destination="inner/made/c.txt"))[0]
    assert (siege.served / "a.txt").read_text() == "new"
    assert (siege.served / "inner" / "made" / "c.txt").read_text() == "inside\n"


@on_every_front
@scene
async def test_cve_2025_53110_a_directory_with_the_same_beginning_is_outside(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    evil = f"{siege.served}-evil"
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in CALLS.items():
            for path in (f"{evil}/secret.txt", f"{evil}/new.txt", evil):
                fine, said = await attacker.call(tool, **arguments(path))
                assert not fine, (tool, said)
        assert await attacker.complete(evil) == []
        assert await attacker.complete(f"{evil}/") == []
        assert await attacker.complete(f"{siege.served}/a") == [
            f"{siege.served}/{name}" for name in ("a.txt", "absolute", "absolute-dir")
        ]


@on_every_front
@scene
async def test_cve_2025_53109_a_link_is_judged_by_what_it_leads_to_and_never_by_its_parent(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    """There the check of a link's target failed, and the check of its parent directory let it through."""
    siege.outside.chmod(0o755)
    (siege.served / "agents").symlink_to(siege.outside / "agents.plist")
    (siege.served / "etc").symlink_to("/etc/passwd")
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in ("agents", "etc", "dangling", "dangling-dir/x"):
            for tool in ("read_text_file", "write_file", "write_file that creates", "edit_file", "create_directory"):
                fine, said = await attacker.call(tool, **CALLS[tool](path))
                assert not fine, (tool, said)
                assert "root:" not in said
        (siege.served / "fresh").symlink_to("inner/fresh.txt")
        assert (await attacker.call("write_file", path="fresh", content="new"))[0]
    assert (siege.served / "inner" / "fresh.txt").read_text() == "new"


@on_every_front
@scene
async def test_cve_2026_33989_a_file_to_be_saved_does_not_climb_out(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    """There a path to save under was passed on with its dots."""
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in ("../outside/shot.png", "inner/../../outside/shot.png", f"{siege.outside}/shot.png"):
            for mode in ("overwrite", "create", "append"):
                fine, _ = await attacker.call("write_file", path=path, content="x", mode=mode)
                assert not fine
        assert (await attacker.call("write_file", path="inner/../shot.png", content="x"))[0]
    assert (siege.served / "shot.png").read_text() == "x"


@on_every_front
@scene
async def test_cve_2026_40576_an_absolute_path_does_not_replace_the_directory(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    """There a path was joined to the directory, and an absolute one took its place."""
    secret = siege.outside / "secret.txt"
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for path in (str(secret), f"/{secret}", f"//{secret}", f"/.{secret}"):
            for tool, arguments in CALLS.items():
                fine, said = await attacker.call(tool, **arguments(path))
                assert not fine, (tool, said)
        assert (await attacker.call("read_text_file", path=f"{siege.served}/a.txt"))[0]
    assert not list(siege.served.rglob("pwned"))


@on_every_front
@scene
async def test_a_refusal_does_not_tell_what_is_outside(siege: Siege, revision: str, by_walking: bool) -> None:
    """The same is said of a file, of nothing, of a directory, and of what may not be looked into."""
    (siege.outside / "sub").mkdir(mode=0)
    siege.settle()
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for tool, arguments in CALLS.items():
            for start in ("../outside", "dir", "inner/hop", str(siege.outside), "up/outside"):
                said: set[str] = set()
                for name in ("secret.txt", "absentabs", "sub/x-more", "secret.txt"):
                    fine, text = await attacker.call(tool, **arguments(f"{start}/{name}"))
                    assert not fine
                    said.add(text.replace(name, "NAME"))
                assert len(said) == 1, (tool, said)


URIS = [
    "file://OUT/secret.txt",
    "file://S/../outside/secret.txt",
    "file://S/%2e%2e/outside/secret.txt",
    "file://S/%252e%252e/outside/secret.txt",
    "file://S/..%2foutside%2fsecret.txt",
    "file://S/inner/..%2f..%2foutside/secret.txt",
    "file://S/a.txt%00/../../outside/secret.txt",
    "file://S-evil/secret.txt",
    "file://evil.exampleS/a.txt",
    "file://evil.example/S/a.txt",
    "file://user@localhostS/a.txt",
    "file://127.0.0.1S/a.txt",
    "file:////OUT/secret.txt",
    "file:///OUT/secret.txt?x",
    "file://S/link",
    "file://S/dir/secret.txt",
    "file://S/..\\outside\\secret.txt",
    "file://S/%c0%ae%c0%ae/outside/secret.txt",
    "FILE://OUT/secret.txt",
    "file:OUT/secret.txt",
    "file://../outside/secret.txt",
    "http://S/a.txt",
    "file://",
    "file:///",
]


@pytest.mark.parametrize("uri", URIS)
@in_turn
@scene
async def test_no_uri_is_a_way_out(siege: Siege, revision: str, by_walking: bool, uri: str) -> None:
    target = uri.replace("OUT", str(siege.outside)).replace("S", str(siege.served))
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        fine, said = await attacker.ask("resources/read", uri=target)
        assert not fine, said
        prefix = target.removeprefix("file://")
        for found in await attacker.complete(prefix):
            assert found.startswith(f"{siege.served}/")
        for honest in (f"file://{siege.served}/inner/%62.txt", f"file://localhost{siege.served}/inner/b.txt"):
            fine, said = await attacker.ask("resources/read", uri=honest)
            assert fine, said
            assert said["contents"][0]["text"] == "inside\n"


@in_turn
@scene
async def test_a_uri_is_decoded_once(siege: Siege, revision: str, by_walking: bool) -> None:
    (siege.served / "%2e").write_text("percent")
    (siege.served / "a?b#c").write_text("marks")
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        for uri, text in (("%252e", "percent"), ("a%3Fb%23c", "marks")):
            fine, said = await attacker.ask("resources/read", uri=f"file://{siege.served}/{uri}")
            assert fine, said
            assert said["contents"][0]["text"] == text


@in_turn
@scene
async def test_a_subscription_tells_nothing_of_what_is_outside_or_denied(
    siege: Siege, revision: str, by_walking: bool
) -> None:
    (siege.served / ".env").touch()
    honest = siege.served / "a.txt"
    hidden = [siege.outside / "secret.txt", siege.outside, siege.served / ".env"]
    ways = [*hidden, siege.served / "link", siege.served / "dir" / "secret.txt", siege.served / "up" / "outside"]
    async with siege.attack(revision, policy=Policy(by_walking=by_walking)) as attacker:
        await attacker.client.subscribe(*(path.as_uri() for path in [*ways, honest]))
        for second in range(1, 4):
            for path in (*hidden, honest):
                os.utime(path, (second, second))
            told = await attacker.client.wire.notification("notifications/resources/updated")
            assert cast("Json", told["params"])["uri"] == honest.as_uri()
