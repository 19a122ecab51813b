"""A server in memory that says what a test tells it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Unpack, cast

from tests.client.options import FreeOptions
from tests.client.origin import DISCOVERY, SERVER, answer_to
from tests.stage import MODERN

from mcp_kernel.client.client import Client
from mcp_kernel.client.target import Reach

if TYPE_CHECKING:
    from mcp_kernel.client.memory import Outlet
    from mcp_kernel.protocol.jsonrpc import Message

Json = dict[str, Any]


class Refusal:
    """An answer that is a JSON-RPC error."""

    def __init__(self, code: int, data: object = None) -> None:
        self.error = {"code": code, "message": "no", **({} if data is None else {"data": data})}


# A result, an error, bytes as they are, None for silence, or what gives one of these when it is told the request.
Answer = Json | Refusal | bytes | None
Answers = Mapping[str, Answer | Callable[[Json], Answer]]


class Puppet:
    """Answers by its table; what it was sent stands in `seen`."""

    def __init__(self, answers: Answers, revision: str = MODERN, capabilities: Json | None = None) -> None:
        self.answers = dict(answers)
        self.seen: list[Json] = []
        self._heard = asyncio.Event()
        self.outlet: Outlet
        declared = {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "prompts": {}, "completions": {}}
        declared |= {"logging": {}} | (capabilities or {})
        if revision == MODERN:
            self.answers.setdefault("server/discover", {**DISCOVERY, "capabilities": declared})
        else:
            opening = {"protocolVersion": revision, "capabilities": declared, "serverInfo": SERVER}
            self.answers.setdefault("initialize", opening)

    def admit(self, outlet: Outlet) -> Puppet:
        self.outlet = outlet
        return self

    def take(self, message: Message) -> None:
        raise AssertionError("a puppet is reached through the codec")

    def receive(self, data: bytes) -> None:
        message = json.loads(data)
        self.seen.append(message)
        self._heard.set()
        if "id" in message and "method" in message:
            answer = self.answers.get(message["method"], Refusal(-32601))
            self._say(message, answer(message) if callable(answer) else answer)

    def _say(self, message: Json, answer: Answer) -> None:
        if isinstance(answer, bytes):
            self.outlet.send(answer, None)
        elif isinstance(answer, Refusal):
            self.say({"jsonrpc": "2.0", "id": message["id"], "error": answer.error})
        elif answer is not None:
            self.say(answer_to(message, answer))

    def say(self, message: object) -> None:
        self.outlet.send(json.dumps(message).encode(), None)

    def notify(self, method: str, **params: object) -> None:
        self.say({"jsonrpc": "2.0", "method": method, "params": params})

    def sent(self, method: str) -> list[Json]:
        """The params of all that the client sent by this method."""
        return [message.get("params", {}) for message in self.seen if message.get("method") == method]

    async def hear(self, method: str, count: int = 1) -> None:
        """Wait until the client has sent so many messages by this method."""
        while len(self.sent(method)) < count:
            self._heard.clear()
            await self._heard.wait()

    async def answer(self, identifier: object) -> Json:
        """Wait for the client's answer to a request of the puppet's."""
        while not (found := [each for each in self.seen if each.get("id") == identifier and "method" not in each]):
            self._heard.clear()
            await self._heard.wait()
        return found[0]

    async def close(self, grace: float = 0.0) -> None:
        """There is nothing to end."""


@asynccontextmanager
async def play(
    answers: Answers, speaks: str = MODERN, /, **options: Unpack[FreeOptions]
) -> AsyncGenerator[tuple[Client, Puppet]]:
    """A client of a puppet; the client's revision is found out as with any server, unless it is pinned."""
    puppet = Puppet(answers, speaks, options.get("declared"))
    given = {name: value for name, value in options.items() if name != "declared"}
    async with Client(puppet, reach=Reach(codec=True), **cast("Any", given)) as client:
        yield client, puppet
