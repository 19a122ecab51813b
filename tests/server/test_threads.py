"""Handlers that are no coroutines: in threads, a bounded number of them."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
from tests.stage import (
    Connect,
    Dial,
    in_both_eras,
    modern,
    scene,
    text_of,
)

from mcp_kernel import Server
from mcp_kernel.server.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Coroutine

WHO: ContextVar[str] = ContextVar("who", default="nobody")


def is_done_at_once(work: Coroutine[object, None, object]) -> bool:
    """Whether a piece of work ends before the event loop is asked to do something else."""
    try:
        work.send(None)
    except StopIteration:
        return True
    work.close()
    return False


@scene
async def test_the_loop_waits_for_work_that_is_done_at_once_and_is_not_woken_for_it() -> None:
    threads = Threads(moment=30)

    def fail() -> None:
        raise TimeoutError("its own")

    for _ in range(3):
        assert is_done_at_once(threads.run(lambda: "told"))
        with pytest.raises(TimeoutError, match="its own"):
            is_done_at_once(threads.run(fail))
    threads.close()


@scene
async def test_the_loop_waits_for_nothing_while_something_else_is_at_work() -> None:
    threads, gate = Threads(moment=0.001), threading.Event()
    first = asyncio.ensure_future(threads.run(lambda: gate.wait(10)))
    await asyncio.sleep(0)
    try:
        assert not is_done_at_once(threads.run(lambda: "told"))
        assert await threads.run(lambda: "told") == "told"
    finally:
        gate.set()
    assert await first
    threads.close()


@scene
async def test_sync_handlers_run_in_threads_and_do_not_hold_up_others(dial: Dial) -> None:
    server = Server("s", "1")
    gate = threading.Event()

    @server.tool()
    def block() -> str:
        assert gate.wait(5)
        return threading.current_thread().name

    async with dial(server) as wire:
        identifier = wire.request("tools/call", modern(name="block"))
        assert "tools" in await wire.call("tools/list", modern())
        gate.set()
        answer: Any = await wire.answer(identifier)
        assert text_of(answer["result"]) != threading.main_thread().name
    await server.close()


@scene
async def test_the_threads_are_bounded(dial: Dial) -> None:
    server = Server("s", "1")
    gate, running, most = threading.Event(), 0, 0
    lock = threading.Lock()

    @server.tool()
    def block() -> str:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        assert gate.wait(5)
        with lock:
            running -= 1
        return "done"

    async with dial(server) as wire:
        ids = [wire.request("tools/call", modern(name="block")) for _ in range(100)]
        await wire.quiet()
        gate.set()
        for identifier in ids:
            assert "result" in await wire.answer(identifier)
        assert most <= 32
    await server.close()


@in_both_eras
@scene
async def test_a_sync_handler_out_of_time_is_answered_for(connect: Connect, revision: str) -> None:
    server = Server("s", "1")
    gate = threading.Event()

    @server.tool(timeout=0.02)
    def block() -> str:
        gate.wait(5)
        return "never"

    async with connect(server, revision) as client:
        assert "did not finish in time" in text_of(await client.call_tool("block"))
        gate.set()
    await server.close()


@scene
async def test_a_sync_handler_sees_the_variables_of_its_call(dial: Dial) -> None:
    server = Server("s", "1")

    @server.tool()
    def who() -> str:
        before = WHO.get()
        WHO.set("left behind")
        return before

    async with dial(server) as wire:
        for name in ("alice", "bob"):
            token = WHO.set(name)
            said = text_of(await wire.call("tools/call", modern(name="who")))
            WHO.reset(token)
            assert said == name
        assert WHO.get() == "nobody"
    await server.close()
