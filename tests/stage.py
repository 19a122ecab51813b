"""What a test of a conversation stands on: an event loop of its own, a clock that need not be waited for, a judge."""

from __future__ import annotations

import asyncio
import functools
import json
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, cast

import pytest
from tests.oracle import Sender, Witness

from mcp_kernel.testing.eras import REVISIONS, Answerer, Client, connect, say_nothing
from mcp_kernel.testing.memory import Wire

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from mcp_kernel import Server
    from mcp_kernel.server.principal import Principal

P = ParamSpec("P")
Json = dict[str, Any]

LEGACY = [name for name in REVISIONS if name < "2026"]
MODERN = "2026-07-28"

in_every_revision = pytest.mark.parametrize("revision", REVISIONS)
in_both_eras = pytest.mark.parametrize("revision", ["2025-11-25", MODERN])
in_every_session = pytest.mark.parametrize("revision", LEGACY)

META: Json = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
"""The least that a modern request carries."""


def scene(play: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run an async test, bounded in time; what a task or a callback left unsaid fails it too."""
    return _stage(play, asyncio.new_event_loop)


def scene_out_of_time(play: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run an async test by a clock that jumps to the next timer whenever there is nothing else to do.

    For time-outs without waiting; of no use where a thread works meanwhile, which the clock does not wait for.
    """
    return _stage(play, _JumpingLoop)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        self._now += seconds


class _Jumping(selectors.DefaultSelector):
    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self._jump(timeout)
        return ready if timeout is not None or ready else super().select(1)


def _stage(
    play: Callable[P, Coroutine[object, object, None]], make_loop: Callable[[], asyncio.AbstractEventLoop]
) -> Callable[P, None]:
    @functools.wraps(play)
    def test(*args: P.args, **kwargs: P.kwargs) -> None:
        mishaps: list[Json] = []

        async def bounded() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: mishaps.append(context))
            async with asyncio.timeout(10_000 if make_loop is _JumpingLoop else 10):
                await play(*args, **kwargs)

        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(bounded())
        assert not mishaps, mishaps

    return test


class Connect(Protocol):
    """Opens a client of a server whose every message is judged."""

    def __call__(
        self,
        server: Server,
        revision: str = ...,
        *,
        capabilities: Json | None = ...,
        answer: Answerer = ...,
        principal: Principal | str | None = ...,
    ) -> AbstractAsyncContextManager[Client]: ...


class Dial(Protocol):
    """Opens a bare wire to a server whose every message is judged."""

    def __call__(
        self, server: Server, *, principal: Principal | str | None = None
    ) -> AbstractAsyncContextManager[Wire]: ...


def is_contrary(request: pytest.FixtureRequest) -> bool:
    """Whether the server of a test is wrong on purpose."""
    return request.node.get_closest_marker("contrary") is not None  # pyright: ignore[reportUnknownMemberType]  # pytest's own


class Judge:
    """Keeps what the witness refuses, since a server would take the exception for its own.

    Of a `contrary` server all is allowed.
    """

    def __init__(self, *, contrary: bool = False) -> None:
        self.witness = Witness()
        self.refusals: list[AssertionError] = []
        self._contrary = contrary

    def observe(self, sender: Sender, data: bytes, malformed: bool) -> None:
        try:
            self.witness.see(sender, data, malformed=malformed)
        except AssertionError as error:
            if self._contrary and sender == "server":
                self.witness.see(sender, data, malformed=True)
            else:
                self.refusals.append(error)

    def rule(self) -> None:
        if self.refusals:
            raise self.refusals[0]


def judge_transcript(transcript: Path, *, contrary: bool = False) -> int:
    """Judge what `tests/watched.py` wrote of a program's messages; returns how many there are."""
    judges: dict[str, Judge] = {}
    lines = transcript.read_text("ascii").splitlines() if transcript.exists() else []
    for line in lines:
        connection, sender, text = json.loads(line)
        found = judges.setdefault(connection, Judge(contrary=contrary))
        found.observe(sender, text.encode("utf-8", "surrogateescape"), malformed=False)
    for found in judges.values():
        found.rule()
    return len(lines)


@asynccontextmanager
async def judged_client(
    server: Server,
    revision: str = MODERN,
    *,
    capabilities: Json | None = None,
    answer: Answerer = say_nothing,
    principal: Principal | str | None = None,
) -> AsyncGenerator[Client]:
    judge = Judge()
    options = cast("Json", {"capabilities": capabilities, "answer": answer, "principal": principal})
    try:
        async with connect(server, revision, observe=judge.observe, **options) as client:
            yield client
    finally:
        judge.rule()


@asynccontextmanager
async def judged_wire(server: Server, *, principal: Principal | str | None = None) -> AsyncGenerator[Wire]:
    judge = Judge()
    try:
        async with Wire(server, principal=principal, observe=judge.observe) as wire:
            yield wire
    finally:
        judge.rule()


async def shake_hands(wire: Wire, revision: str = "2025-11-25", **capabilities: object) -> Json:
    """Open a session on a bare wire; returns what the server said."""
    info = {"name": "tester", "version": "1"}
    params: Json = {"protocolVersion": revision, "capabilities": capabilities, "clientInfo": info}
    said = await wire.call("initialize", params)
    wire.notify("notifications/initialized")
    return said


def modern(**params: object) -> Json:
    """The params of a modern request that declares nothing."""
    return {**params, "_meta": META}


def text_of(result: Json) -> str:
    """The text of a result that has one block of it."""
    (block,) = result["content"]
    return cast("str", block["text"])


async def elapse(seconds: float) -> None:
    """Wait by the clock that jumps; only in `scene_out_of_time`."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, _JumpingLoop)
    done: asyncio.Future[None] = loop.create_future()
    loop.call_later(seconds, lambda: done.done() or done.set_result(None))
    await done
