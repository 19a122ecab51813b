"""Servers that do wrong in the middle of a call: a right answer or a typed error, in bounded time, and life goes on."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.client.origin import DISCOVERY, NOTHING, TEXT, Asked, Origin, Play, Reply, modern, session
from tests.stage import scene

from mcp_kernel.client import Client, ClientError, ConnectionLost, InvalidAnswer, Resilience, TimedOut

Json = dict[str, Any]

CONTRARY = [sys.executable, str(Path(__file__).parent / "programs" / "contrary.py")]
ONCE = Resilience(attempts=1, failures=0)

ANSWERED = {"babble": "after garbage", "flood": "after the flood", "repeat": "the first", "mistake": "for you"}
LOST = {
    "die": (ConnectionLost, "SIGKILL"),
    "leave": (ConnectionLost, r"exit code 7[\s\S]*these were the last words"),
    "break_off": (ConnectionLost, "exit code 0"),
    "misshape": (InvalidAnswer, "no answer"),
    "hang": (TimedOut, "not answered in 0.5 s"),
}


@pytest.mark.contrary
@pytest.mark.parametrize("deed", ANSWERED)
@scene
async def test_a_right_answer_is_found_among_what_is_none(deed: str) -> None:
    async with Client([*CONTRARY, deed], timeout=8) as client:
        async with asyncio.timeout(8):
            assert (await client.call_tool("deed")).text == ANSWERED[deed]
        assert [tool.name for tool in await client.list_tools()] == ["deed"]
        assert bool(client.noise) is (deed != "flood")
        assert len(client.noise) <= 20


@pytest.mark.contrary
@pytest.mark.parametrize("deed", LOST)
@scene
async def test_a_call_that_will_not_be_answered_says_why_and_the_next_one_is(deed: str, tmp_path: Path) -> None:
    kind, said = LOST[deed]
    async with Client([*CONTRARY, deed, str(tmp_path / "mark")], resilience=ONCE) as client:
        with pytest.raises(kind, match=said):
            await client.call_tool("deed", timeout=0.5 if deed == "hang" else 8)
        assert (await client.call_tool("deed", timeout=8)).text == "good again"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("deed", "kind", "said"),
    [("fall_silent", ConnectionLost, "closed its output"), ("overdo", InvalidAnswer, "over 67108864 bytes")],
)
@scene
async def test_a_server_that_falls_silent_or_says_too_much(
    deed: str, kind: type[Exception], said: str, tmp_path: Path
) -> None:
    async with Client([*CONTRARY, deed, str(tmp_path / "mark")], resilience=ONCE) as client:
        with pytest.raises(kind, match=said):
            await client.call_tool("deed", timeout=9)
        assert (await client.call_tool("deed", timeout=9)).text == "good again"


@pytest.mark.parametrize("deed", ["die", "leave", "break_off"])
@scene
async def test_a_call_that_does_no_harm_twice_is_answered_by_the_server_started_again(
    deed: str, tmp_path: Path
) -> None:
    async with Client([*CONTRARY, deed, str(tmp_path / "mark")], resilience=Resilience(base=0.001)) as client:
        await client.list_tools()  # which says that the tool only reads
        assert (await client.call_tool("deed")).text == "good again"


@scene
async def test_every_call_in_flight_hears_of_the_end(tmp_path: Path) -> None:
    async with Client([*CONTRARY, "die", str(tmp_path / "mark")], resilience=ONCE) as client:
        large = {"text": "x" * 3_000_000}  # more than the pipe holds
        calls = [client.call_tool("deed", large if number % 2 else {}) for number in range(8)]
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(end, ConnectionLost) for end in ends), ends
        assert (await client.call_tool("deed")).text == "good again"


@scene
async def test_a_server_that_does_not_read_is_given_up_in_time() -> None:
    script = (
        "import sys, time, json\nline = json.loads(sys.stdin.readline())\n"
        f"print(json.dumps({{'jsonrpc': '2.0', 'id': line['id'], 'result': {DISCOVERY}}}), flush=True)\ntime.sleep(60)"
    )
    client = Client([sys.executable, "-c", script], resilience=ONCE)
    await client.connect()
    with pytest.raises(TimedOut):
        await client.call_tool("x", {"text": "x" * 1_000_000}, timeout=0.3)
    with pytest.raises(TimedOut):
        await client.call_tool("x", timeout=0.1)
    async with asyncio.timeout(6):
        await client.close()


# --- over HTTP ---


async def hang_up(asked: Asked, reply: Reply) -> None:
    reply.hang_up()


async def hang_up_in_the_head(asked: Asked, reply: Reply) -> None:
    await reply.raw(b"HTTP/1.1 200 OK\r\ncontent-ty")
    reply.hang_up()


async def speak_no_http(asked: Asked, reply: Reply) -> None:
    await reply.raw(b"220 smtp.example.com ESMTP\r\n")
    reply.hang_up()


async def hang_up_in_the_body(asked: Asked, reply: Reply) -> None:
    await reply.raw(b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"json')
    reply.hang_up()


async def end_without_an_answer(asked: Asked, reply: Reply) -> None:
    await reply.stream()
    await reply.event()
    await reply.end()


async def end_in_an_event(asked: Asked, reply: Reply) -> None:
    await reply.stream()
    await reply.part(b'data: {"jsonrpc":"2.0","id":2,"result":{}}\n')
    await reply.end()


async def stream_garbage_and_answer_twice(asked: Asked, reply: Reply) -> None:
    await reply.stream()
    for garbage in (b"data: {\n\n", b"data: []\n\n", b"data: \xff\n\n", b":\n\n", b"data\n\n", b"\0\0\n\n"):
        await reply.part(garbage)
    await reply.event({"jsonrpc": "2.0", "id": 4711, "result": {}})
    await reply.event({"jsonrpc": "2.0", "id": str(asked.body["id"]), "result": {}})
    await reply.event_result(TEXT)
    await reply.event_result({**TEXT, "content": []})
    await reply.end()


async def answer_wrongly(asked: Asked, reply: Reply) -> None:
    await reply.stream()
    await reply.event({"jsonrpc": "2.0", "id": asked.body["id"], "result": 7})
    await asked.gone.wait()


async def hang(asked: Asked, reply: Reply) -> None:
    await asked.gone.wait()


async def drip(asked: Asked, reply: Reply) -> None:
    await reply.stream()
    while not asked.gone.is_set():
        await reply.part(b": still here\n\n")
        await asyncio.wait([asyncio.ensure_future(asked.gone.wait())], timeout=0.02)


@pytest.mark.contrary
@pytest.mark.parametrize("era", [modern, session])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (hang_up, ConnectionLost),
        (hang_up_in_the_head, ConnectionLost),
        (speak_no_http, ConnectionLost),
        (hang_up_in_the_body, ConnectionLost),
        (end_without_an_answer, ConnectionLost),
        (end_in_an_event, ConnectionLost),
        (answer_wrongly, InvalidAnswer),
        (hang, TimedOut),
        (drip, TimedOut),
        (stream_garbage_and_answer_twice, None),
    ],
)
@scene
async def test_a_fault_over_http_is_a_typed_error_and_the_next_call_is_answered(
    era: Any, fault: Play, kind: type[ClientError] | None
) -> None:
    async def once(asked: Asked, reply: Reply) -> None:
        if len(origin.find("tools/call")) == 1:
            await fault(asked, reply)
        else:
            await reply.result(TEXT)

    async with Origin(era(tools_call=once)) as origin, Client(origin.url, resilience=ONCE) as client:
        if kind is None:
            assert (await client.call_tool("x")).text == "done"
        else:
            with pytest.raises(kind):
                await client.call_tool("x", timeout=0.3 if kind is TimedOut else 5)
        assert (await client.call_tool("x", timeout=5)).text == "done"


@pytest.mark.slow
@scene
async def test_an_event_of_a_hundred_megabytes_is_given_up_and_not_held() -> None:
    async def overdo(asked: Asked, reply: Reply) -> None:
        await reply.stream()
        await reply.part(b"data: ")
        for _ in range(100):
            await reply.part(b"x" * 1024 * 1024)

    async with Origin(modern(tools_call=overdo, tools_list=NOTHING)) as origin, Client(origin.url) as client:
        with pytest.raises(InvalidAnswer, match="67108864 bytes"):
            await client.call_tool("x")
        assert await client.list_tools() == []
