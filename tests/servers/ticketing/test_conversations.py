"""Whole conversations, as they stand in dialogues/: in memory, and over the pipes of a real process."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.servers.ticketing.fleet import SERVER
from tests.servers.ticketing.place import Place, desk_scene
from tests.stage import Judge, judged_wire
from tests.test_dialogues import Process

from mcp_kernel.testing.dialogue import parse, replay
from mcp_server_ticketing.server import build

FOLDER = Path(__file__).parent / "dialogues"
every_dialogue = pytest.mark.parametrize("name", ["closing_rounds", "closing_session"])


@every_dialogue
@desk_scene
async def test_a_dialogue_goes_as_it_is_written(place: Place, name: str) -> None:
    server = build(place.tracker())
    async with judged_wire(server) as wire:
        await replay(parse((FOLDER / f"{name}.txt").read_text()), wire)
        assert await wire.quiet() == []
    await server.close()


@every_dialogue
@desk_scene
async def test_a_dialogue_goes_so_over_stdio(place: Place, name: str) -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*SERVER, *place.options, stdin=pipe, stdout=pipe, limit=1 << 20)
    server = Process(process, Judge())
    await replay(parse((FOLDER / f"{name}.txt").read_text()), server)
    assert await server.end() == (b"", 0)
    server.judge.rule()
