"""With `--audit-required` nothing is done that is not on the disk before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.operations.shop import audited, calls, sound_calls
from tests.operations.test_audit_writer import fill, small_disk
from tests.stage import in_both_eras, scene
from tests.transports.guests import Member, Modern

from mcp_kernel.testing.asgi import Site
from mcp_kernel.testing.memory import Refused
from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stage import Connect


@in_both_eras
def test_what_is_required_is_on_the_disk_before_the_handler_runs(
    connect: Connect, revision: str, tmp_path: Path
) -> None:
    path = tmp_path / "audit.jsonl"

    @scene
    async def play() -> None:
        async with audited(path, required=True) as server:
            seen: list[list[str]] = []

            @server.tool()
            async def look() -> str:
                """Look into the log."""
                seen.append([record["event"] for record in calls(path)])
                return "seen"

            async with connect(server, revision) as client:
                await client.call_tool("look", {})
            assert seen == [["opened"]]

    play()
    opened, call = sound_calls(path)
    assert (opened["event"], call["event"]) == ("opened", "call")
    assert opened["call"] == call["call"]


@in_both_eras
def test_what_is_required_and_cannot_be_written_is_not_done(connect: Connect, revision: str, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        path = disk / "audit.jsonl"

        @scene
        async def play() -> None:
            async with audited(path, required=True) as server, connect(server, revision) as client:
                await client.call_tool("echo", {"text": "first"})
                fill(disk)
                for _ in range(20):  # the last page of the file has room for a few lines more
                    await client.call_tool("echo", {"text": "x" * 900})
                refused = await client.call_tool("echo", {"text": "x"})
                assert refused["isError"] is True
                assert "audit log cannot be written" in str(refused["content"])
                with pytest.raises(Refused, match="audit log cannot be written"):
                    await client.call("resources/read", {"uri": "note://one"})
                await client.call("tools/list", {})
                done = list(server.done)
                (disk / "ballast").unlink()
                await client.call_tool("echo", {"text": "last"})
                assert server.done == [*done, "last"]

        play()
        refusals = [record for record in sound_calls(path) if record.get("refused_by") == "audit"]
        assert len(refusals) >= 2


@pytest.mark.parametrize("guest", [Member, Modern])
def test_over_http_the_address_is_written_and_an_unwritable_log_is_503(
    guest: type[Member | Modern], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 16) as disk:
        path = disk / "audit.jsonl"

        @scene
        async def play() -> None:
            async with audited(path, required=True) as server, Site(HttpApp(server)) as site:
                client = guest(site)
                if isinstance(client, Member):
                    await client.open()
                assert await client.ask("resources/read", {"uri": "note://one"}).started() == 200
                fill(disk)
                visits = [client.ask("resources/read", {"uri": "note://one"}) for _ in range(20)]
                assert [await visit.started() for visit in visits][-1] == 503
                assert visits[-1].headers["retry-after"] == "5"
                (disk / "ballast").unlink()
                assert await client.ask("resources/read", {"uri": "note://one"}).started() == 200

        play()
        assert {record["address"] for record in sound_calls(path) if record["event"] == "opened"} == {"127.0.0.1"}
