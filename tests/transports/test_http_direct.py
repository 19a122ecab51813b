"""A POST that came whole is served where it came: without a task, in one write, and like any other in all else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import META, MODERN, scene
from tests.transports.direct import serving
from tests.transports.guests import Hall
from tests.transports.listening import Listening, head

from mcp_kernel.transports.http import HttpApp

if TYPE_CHECKING:
    from mcp_kernel.transports.incoming import Answer, App, Begin, Client, Pairs

in_both_eras = pytest.mark.parametrize("is_modern", [False, True])


def count_tasks() -> list[object]:
    """Let the loop count the tasks that are made from now on."""
    made: list[object] = []

    def make(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
        made.append(work)
        return asyncio.Task(work, loop=loop, **more)

    asyncio.get_running_loop().set_task_factory(make)
    return made


@in_both_eras
@scene
async def test_a_call_that_is_answered_at_once_takes_no_task_and_one_write(is_modern: bool) -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        house.writes.clear()
        tasks = count_tasks()
        for number in range(5):
            line.writer.write(line.call(number, "echo", text=f"words {number}"))
            assert await line.text() == f"words {number}"
        assert tasks == []
        assert len(house.writes) == 5


@in_both_eras
@scene
async def test_a_call_that_waits_goes_on_in_a_task_and_is_answered(is_modern: bool) -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        line.writer.write(line.call(1, "hold", name="door"))
        await hall.until(hall.entered, "door")
        hall.free("door")
        assert await line.text() == "door"
        line.writer.write(line.call(2, "echo", text="next"))
        assert await line.text() == "next"


@scene
async def test_who_hangs_up_cancels_the_stateless_call_that_waits_and_no_other() -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        for is_modern in (False, True):
            line = await house.dial(is_modern=is_modern)
            line.writer.write(line.call(f"held {is_modern}", "hold", name=f"modern: {is_modern}"))
            await hall.until(hall.entered, f"modern: {is_modern}")
            line.writer.close()
        await hall.until(hall.cancelled, "modern: True")
        assert hall.cancelled == ["modern: True"]


@in_both_eras
@scene
async def test_a_request_that_comes_in_two_parts_is_answered_as_one_that_comes_whole(is_modern: bool) -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        data = line.call("x", "echo", text="words")
        line.writer.write(data)
        whole = await line.read()
        for cut in {*range(1, len(data), 9), data.index(b"\r\n\r\n") + 4, len(data) - 1}:
            assert line.call("x", "echo", text="words") == data
            house.heard.clear()
            line.writer.write(data[:cut])
            await house.heard.wait()
            line.writer.write(data[cut:])
            assert await line.read() == whole


@in_both_eras
@scene
async def test_calls_in_one_write_are_answered_in_their_order_though_one_waits(is_modern: bool) -> None:
    hall = Hall()
    async with serving(hall.server.asgi()) as house:
        line = await house.dial(is_modern=is_modern)
        echoes = [line.call(number, "echo", text=f"words {number}") for number in range(4)]
        line.writer.write(b"".join([*echoes[:2], line.call("held", "hold", name="door"), *echoes[2:]]))
        await hall.until(hall.entered, "door")
        hall.free("door")
        said = [await line.text() for _ in range(5)]
        assert said == ["words 0", "words 1", "door", "words 2", "words 3"]


@scene
async def test_of_calls_that_came_in_one_read_the_first_is_served_at_once_and_the_others_give_way() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        tasks = count_tasks()
        line.writer.write(b"".join(line.call(number, "echo", text="words") for number in range(5)))
        assert [await line.text() for _ in range(5)] == ["words"] * 5
        assert len(tasks) == 4


@scene
async def test_of_many_calls_that_came_together_few_are_answered_to_a_client_that_does_not_read() -> None:
    hall = Hall()
    made: list[int] = []

    @hall.server.tool()
    async def blob(number: int) -> str:  # pyright: ignore[reportUnusedFunction]  # called over the wire
        made.append(number)
        return "x" * 4_000_000

    async with serving(hall.server.asgi()) as house:
        line, other = await house.dial(is_modern=True), await house.dial(is_modern=True)
        line.writer.write(b"".join(line.call(number, "blob", number=number) for number in range(50)))
        await house.heard.wait()
        for number in range(50, 60):
            other.writer.write(other.call(number, "echo", text="words"))
            assert await other.text() == "words"
        assert 1 <= len(made) <= 3
        line.writer.transport.abort()


@scene
async def test_what_reports_before_it_answers_is_a_stream() -> None:
    async with serving(Hall().server.asgi()) as house:
        for is_modern in (False, True):
            line = await house.dial(is_modern=is_modern)
            meta = {"progressToken": "t"} if line.session else {**META, "progressToken": "t"}
            params = {"name": "report", "arguments": {"count": 2}, "_meta": meta}
            mirrored = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "report"}
            message = {"jsonrpc": "2.0", "id": f"report {is_modern}", "method": "tools/call", "params": params}
            line.writer.write(line.spell(message, line.session or mirrored))
            said = (await line.reader.readuntil(b"0\r\n\r\n")).decode()
            assert "text/event-stream" in said
            assert said.count("notifications/progress") == 2
            assert said.index("2 reports") > said.rindex("notifications/progress")


@scene
async def test_what_follows_a_body_in_pieces_is_nobody_s_header() -> None:
    async with serving(Hall().server.asgi()) as house:
        line = await house.dial(is_modern=True)
        head, _, body = line.call(1, "echo", text="words").partition(b"\r\n\r\n")
        lines = [each for each in head.split(b"\r\n") if not each.startswith((b"Mcp-Name", b"Content-Length"))]
        trailer = b"Mcp-Name: echo\r\n"
        pieces = b"%x\r\n%b\r\n0\r\n%b\r\n" % (len(body), body, trailer)
        line.writer.write(b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", b""]) + pieces)
        status, _, answer = await line.read()
        assert " 400 " in status
        assert "mcp-name is missing" in answer["error"]["message"]


class _Faulty(HttpApp):
    """Fails at a head that names a fault, and at a body that does."""

    def meet(self, pairs: Pairs, client: Client) -> Begin | None:
        if (b"x-fault", b"head") in pairs:
            raise ZeroDivisionError
        begin = super().meet(pairs, client)
        assert begin is not None

        def fail(body: bytes) -> Answer | App | None:
            if b"fault" in body:
                raise ZeroDivisionError
            return begin(body)

        return fail


@pytest.mark.parametrize("calls", [0, 1, 2])
@scene
async def test_a_fault_of_ours_is_answered_with_500_behind_any_head(calls: int) -> None:
    async with serving(_Faulty(Hall().server)) as house:
        for said, headers in (("fault", {}), ("words", {"X-Fault": "head"})):
            line = await house.dial(is_modern=True)
            for number in range(calls):
                line.writer.write(line.call(f"{len(headers)} {number}", "echo", text="words"))
                assert await line.text() == "words"
            line.writer.write(line.call(f"{len(headers)}, the last", "echo", headers, text=said))
            assert " 500 " in (await line.read())[0]


def test_a_started_server_serves_so() -> None:
    """Nothing stands between its connections and its endpoint."""
    with Listening() as server, server.connect() as connection:
        tasks = connection.call("tasks").read_message()["result"]["content"][0]["text"]
        assert "Uvicorn" in tasks or "Server" in tasks
        assert "run_asgi" not in tasks


def test_what_stands_when_a_server_starts_is_not_looked_through_again() -> None:
    with Listening() as server, server.connect() as connection:
        frozen = connection.call("frozen").read_message()["result"]["structuredContent"]
        assert frozen > 10_000


def test_a_head_over_the_limit_is_refused_where_the_endpoint_is_the_root() -> None:
    """A head that is refused is read on as if it were for the root."""
    with Listening("--path", "/") as server, server.connect() as connection:
        large = {"Host": "localhost", "Content-Type": "application/json", "Content-Length": "2", "X": "x" * 70_000}
        connection.send(head("POST", "/", large) + b"{}")
        assert connection.read_head()[0] == 431
        connection.post(
            {"jsonrpc": "2.0", "method": "notifications/initialized"}, {"MCP-Protocol-Version": MODERN}, path="/"
        )
        assert connection.read_answer()[0] == 202
