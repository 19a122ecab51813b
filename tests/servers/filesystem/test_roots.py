"""Roots of the client narrow the directories of the command line and never widen them, in every revision."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.stage import MODERN, Connect, in_both_eras, scene

from mcp_kernel.testing.eras import Client
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.server import build

Json = dict[str, Any]
EMPTY: tuple[list[str] | None, ...] = ([], None)


@asynccontextmanager
async def client_with_roots(
    connect: Connect, revision: str, directories: list[Path], roots: list[str] | None, *, asks: bool = True
) -> AsyncGenerator[Client]:
    """A client that has these roots, or, with None, does not know of roots."""
    server = build(Sandbox([Directory(path) for path in directories], Policy()), asks_roots=asks)

    def answer(method: str, params: Json) -> Json:
        return {"roots": [{"uri": uri} for uri in roots or ()]}

    capabilities: Json = {} if roots is None else {"roots": {"listChanged": True}}
    async with connect(server, revision, capabilities=capabilities, answer=answer) as client:
        yield client
    await server.close()


async def call(client: Client, tool: str, **arguments: object) -> tuple[bool, str]:
    result: Any = await client.call_tool(tool, arguments)
    return not result.get("isError", False), result["content"][0]["text"]


@in_both_eras
@scene
async def test_a_root_narrows_what_may_be_used(connect: Connect, revision: str, served: Path) -> None:
    roots = [(served / "inner").as_uri()]
    async with client_with_roots(connect, revision, [served], roots) as client:
        assert await call(client, "list_allowed_directories") == (True, f"Allowed directories:\n{served / 'inner'}")
        assert await call(client, "read_text_file", path="b.txt") == (True, "inside\n")
        fine, said = await call(client, "read_text_file", path=str(served / "a.txt"))
        assert not fine
        assert "outside" in said


@in_both_eras
@scene
async def test_a_root_widens_nothing(connect: Connect, revision: str, served: Path) -> None:
    roots = [served.parent.as_uri(), "file:///"]
    async with client_with_roots(connect, revision, [served], roots) as client:
        assert await call(client, "list_allowed_directories") == (True, f"Allowed directories:\n{served}")
        fine, _ = await call(client, "read_text_file", path=str(served.parent / "outside" / "secret.txt"))
        assert not fine


@in_both_eras
@scene
async def test_an_empty_list_and_no_roots_narrow_nothing(connect: Connect, revision: str, served: Path) -> None:
    for roots in EMPTY:
        async with client_with_roots(connect, revision, [served], roots) as client:
            assert (await call(client, "read_text_file", path="a.txt"))[0]


@in_both_eras
@scene
async def test_roots_that_share_nothing_are_named_with_the_way_out(
    connect: Connect, revision: str, served: Path
) -> None:
    other = (served.parent / "outside").as_uri()
    async with client_with_roots(connect, revision, [served], [other]) as client:
        fine, said = await call(client, "list_directory", path=".")
        assert not fine
        assert all(part in said for part in (other, str(served), "--roots ignore"))
    async with client_with_roots(connect, revision, [served], [other], asks=False) as client:
        assert (await call(client, "list_directory", path="."))[0]
        assert client.asked == []


@in_both_eras
@scene
async def test_without_directories_the_roots_are_what_is_served(connect: Connect, revision: str, served: Path) -> None:
    async with client_with_roots(connect, revision, [], [served.as_uri()]) as client:
        assert await call(client, "read_text_file", path=str(served / "inner" / "b.txt")) == (True, "inside\n")
    for roots in EMPTY:
        async with client_with_roots(connect, revision, [], roots) as client:
            fine, said = await call(client, "list_allowed_directories")
            assert not fine
            assert "command line" in said
            assert "roots" in said


@scene
async def test_the_modern_era_asks_once_for_each_call_and_never_for_lists(connect: Connect, served: Path) -> None:
    async with client_with_roots(connect, MODERN, [served], [served.as_uri()]) as client:
        await client.call("resources/list")
        await client.call("tools/list")
        reference = {"type": "ref/resource", "uri": "file://{+path}"}
        await client.call("completion/complete", {"ref": reference, "argument": {"name": "path", "value": ""}})
        assert client.asked == []
        await call(client, "read_text_file", path="a.txt")
        await client.call("resources/read", {"uri": (served / "a.txt").as_uri()})
        assert [method for method, _ in client.asked] == ["roots/list", "roots/list"]


USELESS = ["file:///%00", "file://elsewhere/x", "http://x/", "file:///nothing-here", "file:///etc%2fpasswd"]


@pytest.mark.parametrize("root", USELESS)
@scene
async def test_a_root_that_is_no_directory_here_is_of_no_use(connect: Connect, served: Path, root: str) -> None:
    async with client_with_roots(connect, MODERN, [served], [root, (served / "inner").as_uri()]) as client:
        assert await call(client, "list_allowed_directories") == (True, f"Allowed directories:\n{served / 'inner'}")


@scene
async def test_what_is_denied_counts_from_the_command_line_s_directory(connect: Connect, served: Path) -> None:
    (served / ".ssh").mkdir()
    (served / ".ssh" / "known").write_text("x")
    async with client_with_roots(connect, MODERN, [served], [(served / ".ssh").as_uri()]) as client:
        fine, said = await call(client, "read_text_file", path="known")
        assert not fine
        assert "denied" in said


@scene
async def test_a_session_s_roots_are_asked_after_the_handshake_and_when_they_change(
    connect: Connect, served: Path
) -> None:
    roots = [served.as_uri()]
    async with client_with_roots(connect, "2025-11-25", [served], roots) as client:
        assert await call(client, "list_allowed_directories") == (True, f"Allowed directories:\n{served}")
        await call(client, "list_directory", path=".")
        assert len(client.asked) == 1
        roots[0] = (served / "inner").as_uri()
        client.wire.notify("notifications/roots/list_changed")
        assert await call(client, "list_allowed_directories") == (True, f"Allowed directories:\n{served / 'inner'}")
        assert len(client.asked) == 2
