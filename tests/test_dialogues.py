"""Whole conversations, as they stand in tests/dialogues: in memory, and over the pipes of a real process."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.dialogues.shop import make_shop
from tests.stage import Dial, Json, Judge, scene

from mcp_kernel.testing.dialogue import Mismatch, parse, replay

if TYPE_CHECKING:
    from mcp_kernel.testing.dialogue import Names

FOLDER = Path(__file__).parent / "dialogues"
DIALOGUES = sorted(path.stem for path in FOLDER.glob("*.txt"))

every_dialogue = pytest.mark.parametrize("name", DIALOGUES)


def read(name: str) -> str:
    return (FOLDER / f"{name}.txt").read_text()


def test_there_are_dialogues() -> None:
    assert len(DIALOGUES) >= 7


@every_dialogue
@scene
async def test_a_dialogue_goes_as_it_is_written(dial: Dial, name: str) -> None:
    async with dial(make_shop()) as wire:
        await replay(parse(read(name)), wire)
        assert await wire.quiet() == []


class Process:
    """A server in a process of its own, on pipes."""

    def __init__(self, process: asyncio.subprocess.Process, judge: Judge) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.judge = process, judge
        self.stdin, self.stdout = process.stdin, process.stdout

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        self.judge.observe("client", data, malformed)
        self.stdin.write(data + b"\n")

    async def receive(self) -> bytes:
        line = await asyncio.wait_for(self.stdout.readline(), 5)
        self.judge.observe("server", line, False)
        return line

    async def end(self) -> tuple[bytes, int]:
        """Close the pipe; returns what the server said besides, and its exit code."""
        self.stdin.close()
        rest = await asyncio.wait_for(self.stdout.read(), 5)
        return rest, await self.process.wait()


async def start() -> Process:
    pipe = asyncio.subprocess.PIPE
    program = str(FOLDER / "shop.py")
    process = await asyncio.create_subprocess_exec(sys.executable, program, stdin=pipe, stdout=pipe, limit=1 << 20)
    return Process(process, Judge())


@every_dialogue
@scene
async def test_a_dialogue_goes_so_over_stdio(name: str) -> None:
    server = await start()
    await replay(parse(read(name)), server)
    assert await server.end() == (b"", 0)
    server.judge.rule()


class Said:
    """A channel whose server says what it is told to."""

    def __init__(self, *messages: object) -> None:
        self.messages = list(messages)
        self.sent: list[bytes] = []

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        self.sent.append(data)

    async def receive(self) -> bytes:
        return json.dumps(self.messages.pop(0)).encode()


def play(text: str, *messages: object) -> Names:
    return asyncio.run(replay(parse(text), Said(*messages)))


MATCHES: list[tuple[str, object]] = [
    ('< {"a": 1}', {"a": 1}),
    ('< "<x:string>"', "any"),
    ('< {"a": "<>"}', {"a": [1]}),
    ('< {"a": "<:number>", "...": "..."}', {"a": 1.5, "b": 2}),
    ('< [1, "..."]', [1, 2, 3]),
    ('< [1, "..."]', [1]),
    ('< {"a":\n  [1,\n  2]}', {"a": [1, 2]}),
    ('< ["<x>", "<x>"]', [5, 5]),
]
DIFFERS: list[tuple[str, object, str]] = [
    ('< {"a": 1}', {"a": 2}, r"\$\.a: expected 1, got 2"),
    ('< {"a": 1}', {"a": True}, r"\$\.a: expected 1, got true"),
    ('< {"a": 1}', {"a": 1.0}, r"\$\.a: expected 1, got 1\.0"),
    ('< {"a": 1}', {}, r"\$\.a: missing"),
    ('< {"a": 1}', {"a": 1, "b": 2}, r"\$\.b: not expected"),
    ('< {"a": "<:string>"}', {"a": 1}, "of type string"),
    ('< {"a": "<:number>"}', {"a": True}, "of type number"),
    ("< [1, 2]", [1], "expected 2 items, got 1"),
    ("< [1]", [1, 2], "expected 1 items, got 2"),
    ('< [1, 2, "..."]', [1], "expected 2 items or more"),
    ('< ["<x>", "<x>"]', [5, "5"], "expected 5 again"),
    ('# a\n\n< {"a": {"b": [0, 1]}}', {"a": {"b": [0, 2]}}, r"line 3:\n  \$\.a\.b\[1\]: expected 1"),
]


@pytest.mark.parametrize(("text", "message"), MATCHES)
def test_what_was_expected_matches(text: str, message: object) -> None:
    play(text, message)


@pytest.mark.parametrize(("text", "message", "difference"), DIFFERS)
def test_what_differs_is_said(text: str, message: object, difference: str) -> None:
    with pytest.raises(Mismatch, match=difference):
        play(text, message)


def test_what_the_server_said_can_be_said_back() -> None:
    channel = Said({"state": "xyz", "n": 7})
    text = '< {"state": "<state>", "n": "<n>"}\n> {"a": "<state>", "b": ["<n>", "<unknown>", "x<state>"]}\n! <state>'
    names = asyncio.run(replay(parse(text), channel))
    assert names == {"state": "xyz", "n": 7}
    sent: Json = json.loads(channel.sent[0])
    assert sent == {"a": "xyz", "b": [7, "<unknown>", "x<state>"]}
    assert channel.sent[1] == b"<state>"


@pytest.mark.parametrize(
    ("text", "complaint"), [("> {", "line 1 is no JSON"), ("\nhello", "line 2 begins with none of"), (" > 1", "line 1")]
)
def test_a_file_that_is_no_dialogue_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)
