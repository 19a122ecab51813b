"""Handlers as users write them: in threads, raising what they like, leaving variables behind."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import (
    MODERN,
    Connect,
    Dial,
    Json,
    in_both_eras,
    in_every_revision,
    modern,
    scene,
    shake_hands,
    text_of,
)

from mcp_kernel import Context, Declined, Server, ToolError
from mcp_kernel.testing.memory import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

WHO: ContextVar[str] = ContextVar("who", default="nobody")


class Shortage(Exception):
    """An exception of a domain that is meant for the model."""


RAISES: dict[str, Callable[[], object]] = {
    "KeyError": lambda: dict[str, str]()["secret"],
    "RuntimeError": lambda: _raise(RuntimeError("the password is hunter2")),
    "StopIteration": lambda: next(iter(())),
    "RecursionError": lambda: _raise(RecursionError("secret")),
    "MemoryError": lambda: _raise(MemoryError("secret")),
    "SystemExit": lambda: sys.exit("secret"),
    "ExceptionGroup": lambda: _raise(ExceptionGroup("secret", [KeyError("secret"), ToolError("told")])),
    "TimeoutError": lambda: _raise(TimeoutError("secret")),
    "InvalidStateError": lambda: _raise(asyncio.InvalidStateError("secret")),
    "AssertionError": lambda: _raise(AssertionError("secret")),
}


def _raise(error: BaseException) -> object:
    raise error


def make_raising_server() -> Server:
    server = Server("s", "1", tool_errors=(Shortage,))

    @server.tool()
    async def fail(how: str) -> str:
        RAISES[how]()
        return "never"

    @server.tool()
    async def fail_later(how: str) -> str:
        await asyncio.sleep(0)
        RAISES[how]()
        return "never"

    @server.tool()
    def fail_in_thread(how: str) -> str:
        RAISES[how]()
        return "never"

    @server.resource("fail://{how}")
    def read(how: str) -> str:
        RAISES[how]()
        return "never"

    @server.prompt()
    def say(how: str) -> str:
        RAISES[how]()
        return "never"

    return server


@pytest.mark.parametrize("how", RAISES)
@pytest.mark.parametrize("tool", ["fail", "fail_later", "fail_in_thread"])
@in_both_eras
@scene
async def test_whatever_a_handler_raises_becomes_an_incident_that_tells_nothing(
    connect: Connect, revision: str, tool: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(make_raising_server(), revision) as client:
        with caplog.at_level(logging.CRITICAL + 1), pytest.raises(Refused) as caught:
            await client.call_tool(tool, {"how": how})
        assert caught.value.code == -32603
        assert "secret" not in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert caught.value.data is None
        assert "tools" in await client.call("tools/list")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("resources/read", {"uri": "fail://KeyError"}),
        ("prompts/get", {"name": "say", "arguments": {"how": "KeyError"}}),
    ],
)
@in_both_eras
@scene
async def test_prompts_and_resources_fail_as_tools_do(
    connect: Connect, revision: str, method: str, params: Json, caplog: pytest.LogCaptureFixture
) -> None:
    async with connect(make_raising_server(), revision) as client:
        with pytest.raises(Refused, match="incident") as caught:
            await client.call(method, params)
        assert caught.value.code == -32603
        assert "secret" not in str(caught.value)


@scene
async def test_the_log_has_what_the_peer_is_not_told(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    async with dial(make_raising_server()) as wire:
        with pytest.raises(Refused) as caught:
            await wire.call("tools/call", modern(name="fail", arguments={"how": "RuntimeError"}))
        found = re.search(r"incident (\w+)", caught.value.message)
        assert found is not None
        (record,) = caplog.records
        assert f"Incident {found[1]} in tools/call 'fail'" in record.getMessage()
        assert "hunter2" in caplog.text


@scene
async def test_two_incidents_have_two_ids(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    async with dial(make_raising_server()) as wire:
        messages: set[str] = set()
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                await wire.call("tools/call", modern(name="fail", arguments={"how": "KeyError"}))
            messages.add(caught.value.message)
        assert len(messages) == 2


@scene
async def test_a_client_writes_no_lines_into_the_log(dial: Dial, caplog: pytest.LogCaptureFixture) -> None:
    async with dial(make_raising_server()) as wire:
        with pytest.raises(Refused):
            await wire.call("resources/read", modern(uri="fail://KeyError%0A\nERROR forged"))
        assert all("\nERROR forged" not in record.getMessage() for record in caplog.records)


@in_every_revision
@scene
async def test_an_error_for_the_model_reaches_it(connect: Connect, revision: str) -> None:
    server = Server("s", "1", tool_errors=(Shortage,))

    @server.tool()
    async def buy(what: str) -> list[int]:
        if what == "tea":
            raise ToolError("No tea. Try coffee.")
        raise Shortage(f"No {what} left.")

    async with connect(server, revision) as client:
        for what, text in (("tea", "No tea. Try coffee."), ("milk", "No milk left.")):
            result = await client.call_tool("buy", {"what": what})
            assert result["isError"] is True
            assert text_of(result) == text
            assert "structuredContent" not in result


@in_both_eras
@scene
async def test_a_refusal_without_a_model_to_tell_blames_the_request_or_the_server(
    connect: Connect, revision: str
) -> None:
    class Away(Exception): ...

    class WrongPaper(Exception): ...

    raised: dict[str, tuple[type[Exception], int]] = {
        "tool": (ToolError, -32602),
        "domain": (WrongPaper, -32602),
        "away": (Away, -32603),
        "declined": (Declined, -32603),
    }
    server = Server("s", "1", tool_errors=(WrongPaper, Away), own_failures=(Away,))

    @server.prompt()
    def letter(how: str) -> str:
        raise raised[how][0]("No paper left.")

    server.resource("letter://{how}")(letter)

    async with connect(server, revision) as client:
        for how, (_, code) in raised.items():
            for method, params in (
                ("prompts/get", {"name": "letter", "arguments": {"how": how}}),
                ("resources/read", {"uri": f"letter://{how}"}),
            ):
                with pytest.raises(Refused, match="No paper left") as caught:
                    await client.call(method, params)
                assert caught.value.code == code, (how, method)


@pytest.mark.parametrize("waits", [0, 2])
@scene
async def test_variables_do_not_leak_from_one_call_to_the_next(dial: Dial, waits: int) -> None:
    server = Server("s", "1")

    @server.tool()
    async def who(name: str) -> str:
        before = WHO.get()
        WHO.set(name)
        for _ in range(waits):
            await asyncio.sleep(0)
        return f"{before} {WHO.get()}"

    async with dial(server) as wire:
        ids = [wire.request("tools/call", modern(name="who", arguments={"name": f"{n}"})) for n in range(5)]
        for number, identifier in enumerate(ids):
            answer: Any = await wire.answer(identifier)
            assert text_of(answer["result"]) == f"nobody {number}"


@in_both_eras
@scene
async def test_a_handler_knows_whom_it_serves(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def who(ctx: Context) -> str:
        return f"{ctx.principal} {ctx.client['name']} {ctx.request_id}"

    async with connect(server, revision, principal="alice") as client:
        identifier = client.request("tools/call", {"name": "who"})
        answer: Any = await client.wire.answer(identifier)
        assert text_of(answer["result"]) == f"alice tester {identifier}"


@scene
async def test_the_context_may_have_any_name_and_never_shows(dial: Dial) -> None:
    server = Server("s", "1")

    @server.tool()
    async def who(a: int, me: Context, b: int = 2) -> str:
        return f"{a} {b} {me.request_id}"

    async with dial(server) as wire:
        tools: Any = (await wire.call("tools/list", modern()))["tools"]
        assert list(tools[0]["inputSchema"]["properties"]) == ["a", "b"]
        result = await wire.call("tools/call", modern(name="who", arguments={"a": 1, "me": 3}))
        assert result["isError"] is True


@scene
async def test_a_handler_may_call_the_asyncio_that_it_knows(dial: Dial) -> None:
    server = Server("s", "1")

    async def say(letter: str) -> str:
        await asyncio.sleep(0)
        return letter

    @server.tool()
    async def everything() -> str:
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            first = group.create_task(say("a"))
        second, third = await asyncio.gather(say("b"), asyncio.to_thread(str, "c"))
        fourth = await asyncio.wait_for(say("d"), 5)
        lock = asyncio.Lock()
        async with lock:
            return "".join([first.result(), second, third, fourth])

    async with dial(server) as wire:
        for _ in range(3):
            assert text_of(await wire.call("tools/call", modern(name="everything"))) == "abcd"


@scene
async def test_a_method_and_a_callable_object_may_be_handlers(dial: Dial) -> None:
    class Counter:
        def __init__(self) -> None:
            self.count = 0

        async def up(self, by: int = 1) -> str:
            self.count += by
            return f"{self.count}"

        def down(self) -> str:
            self.count -= 1
            return f"{self.count}"

    server, counter = Server("s", "1"), Counter()
    server.tool()(counter.up)
    server.tool("less")(counter.down)
    async with dial(server) as wire:
        assert text_of(await wire.call("tools/call", modern(name="up", arguments={"by": 3}))) == "3"
        assert text_of(await wire.call("tools/call", modern(name="less"))) == "2"
    await server.close()


@in_every_revision
@scene
async def test_an_unknown_tool_names_the_nearest(connect: Connect, revision: str) -> None:
    server = Server("s", "1")

    @server.tool()
    async def list_tables() -> str:
        return ""

    async with connect(server, revision) as client:
        with pytest.raises(Refused, match="Did you mean list_tables") as caught:
            await client.call_tool("list_table")
        assert caught.value.code == -32602
        with pytest.raises(Refused) as caught:
            await client.call_tool("")
        assert caught.value.code == -32602


def test_a_name_is_taken_once() -> None:
    server = Server("s", "1")
    server.tool("a")(lambda: "x")
    with pytest.raises(ValueError, match="a is registered already"):
        server.tool("a")(lambda: "y")


@scene
async def test_a_server_lives_without_a_client(dial: Dial) -> None:
    server = Server("s", "1")
    server.list_changed("tools")
    server.changed("a:b")
    closed: list[str] = []

    @server.on_close
    async def close() -> None:
        closed.append("closed")

    async with dial(server) as wire:
        await shake_hands(wire)
    await server.close()
    assert closed == ["closed"]
    assert MODERN
