"""One client for each era behind one face, so that a test body runs in every revision.

async with connect(server, "2025-11-25", capabilities={"elicitation": {}}, answer=say_yes) as client:
    result = await client.call_tool("drop", {"name": "notes"})

`answer` is the person, or the model, behind the client. In the sessions of the legacy era it is asked when the server
sends a request; in the modern era when a result asks for input, and the call is sent again with what it said.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from mcp_kernel.protocol.jsonrpc import JsonObject, RequestId
from mcp_kernel.protocol.modern import CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROTOCOL_VERSION
from mcp_kernel.protocol.revisions import LEGACY, MODERN
from mcp_kernel.testing.memory import Observer, Wire, result_of

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Principal
    from mcp_kernel.server.server import Server

# Takes the method and the params of what the server asks; None leaves it without an answer.
Answerer: TypeAlias = "Callable[[str, JsonObject], JsonObject | None]"

MOST_ROUNDS: Final = 10  # a call that still asks then asks for ever
INFO: Final[JsonObject] = {"name": "tester", "version": "1"}


class Client(ABC):
    """A client that speaks one revision; what it was asked stands in `asked`, as (method, params)."""

    def __init__(self, wire: Wire, revision: str, capabilities: JsonObject, answer: Answerer) -> None:
        self.wire = wire
        self.revision = revision
        self.capabilities = capabilities
        self.asked: list[tuple[str, JsonObject]] = []
        self._answer = answer

    @abstractmethod
    async def open(self) -> JsonObject:
        """Do what comes before the first call; returns what the server said of itself."""

    @abstractmethod
    async def subscribe(self, *uris: str) -> None:
        """Ask to hear of every list that changes, and of these resources."""

    @abstractmethod
    async def set_log_level(self, level: str) -> None:
        """Ask for log messages from this level on."""

    @abstractmethod
    def request(self, method: str, params: Mapping[str, object] | None = None) -> RequestId:
        """Send a request and return its id, without waiting and without answering what it asks."""

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> JsonObject:
        """Call a method and return the result, however many questions that takes; raises `Refused`."""
        return result_of(await self.wire.answer(self.request(method, params)))

    async def call_tool(self, name: str, arguments: Mapping[str, object] | None = None) -> JsonObject:
        """Call a tool."""
        return await self.call("tools/call", {"name": name, "arguments": dict(arguments or {})})

    async def list_all(self, method: str, member: str) -> list[JsonObject]:
        """List something to its last page."""
        page = await self.call(method)
        items = cast("list[JsonObject]", page[member])
        while "nextCursor" in page:
            page = await self.call(method, {"cursor": page["nextCursor"]})
            items += cast("list[JsonObject]", page[member])
        return items

    def _ask(self, method: str, params: JsonObject) -> JsonObject | None:
        self.asked.append((method, params))
        return self._answer(method, params)


class LegacyClient(Client):
    """A client with a session; it answers the server's requests as they come."""

    async def open(self) -> JsonObject:
        self.wire.on_question = self._take_question
        params: JsonObject = {
            "protocolVersion": self.revision,
            "capabilities": self.capabilities,
            "clientInfo": INFO,
        }
        said = await self.wire.call("initialize", params)
        self.wire.notify("notifications/initialized")
        return said

    async def subscribe(self, *uris: str) -> None:
        for uri in uris:
            await self.call("resources/subscribe", {"uri": uri})

    async def set_log_level(self, level: str) -> None:
        await self.call("logging/setLevel", {"level": level})

    def request(self, method: str, params: Mapping[str, object] | None = None) -> RequestId:
        return self.wire.request(method, None if params is None else dict(params))

    def _take_question(self, question: JsonObject) -> None:
        params = cast("JsonObject", question.get("params") or {})
        answer = self._ask(cast("str", question["method"]), params)
        if answer is not None:
            # Not from inside the server's own call to send, as no client is that quick.
            self.wire.peer.loop.call_soon(self.wire.reply, question, answer)


class ModernClient(Client):
    """A client without a session: every request says who asks, and a result that asks is called again."""

    def __init__(self, wire: Wire, revision: str, capabilities: JsonObject, answer: Answerer) -> None:
        super().__init__(wire, revision, capabilities, answer)
        self.rounds: list[list[str]] = []
        """The keys of the questions of each result that asked."""
        self._log_level: str | None = None

    async def open(self) -> JsonObject:
        return await self.call("server/discover")

    async def subscribe(self, *uris: str) -> None:
        everything = {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True}
        self.request("subscriptions/listen", {"notifications": {**everything, "resourceSubscriptions": list(uris)}})
        await self.wire.notification("notifications/subscriptions/acknowledged")

    async def set_log_level(self, level: str) -> None:
        self._log_level = level

    def request(self, method: str, params: Mapping[str, object] | None = None) -> RequestId:
        given = dict(params or {})
        meta = {**self.meta(), **cast("JsonObject", given.get("_meta") or {})}
        return self.wire.request(method, {**given, "_meta": meta})

    def meta(self) -> JsonObject:
        """What this client puts into the `_meta` of each request."""
        meta: JsonObject = {
            PROTOCOL_VERSION: self.revision,
            CLIENT_CAPABILITIES: self.capabilities,
            CLIENT_INFO: INFO,
        }
        return meta if self._log_level is None else {**meta, LOG_LEVEL: self._log_level}

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> JsonObject:
        result = await super().call(method, params)
        for _ in range(MOST_ROUNDS):
            if result.get("resultType") != "input_required":
                return result
            result = await super().call(method, {**(params or {}), **self._respond(result)})
        raise AssertionError(f"{method} still asks after {MOST_ROUNDS} rounds: {result}")

    def _respond(self, result: JsonObject) -> JsonObject:
        """What the retry adds: the answers, and the state byte for byte where there was one."""
        questions = cast("dict[str, JsonObject]", result.get("inputRequests") or {})
        self.rounds.append(list(questions))
        responses: JsonObject = {}
        for key, question in questions.items():
            answer = self._ask(cast("str", question["method"]), cast("JsonObject", question.get("params") or {}))
            if answer is not None:
                responses[key] = answer
        retry: JsonObject = {"inputResponses": responses}
        if "requestState" in result:
            retry["requestState"] = result["requestState"]
        return retry


_CLIENTS: Final[dict[str, type[Client]]] = {
    **dict.fromkeys(LEGACY, LegacyClient),
    **dict.fromkeys(MODERN, ModernClient),
}

REVISIONS: Final = tuple(_CLIENTS)
"""Every revision, the oldest first."""


def say_nothing(method: str, params: JsonObject) -> None:
    """Leave every question without an answer."""


@asynccontextmanager
async def connect(
    server: Server,
    revision: str,
    *,
    capabilities: JsonObject | None = None,
    answer: Answerer = say_nothing,
    principal: Principal | str | None = None,
    observe: Observer | None = None,
) -> AsyncGenerator[Client]:
    """Open a client that speaks a revision, and close it at the end.

    Args:
        server: Whom to talk to.
        revision: One of `REVISIONS`.
        capabilities: What the client says it can do.
        answer: Answers what the server asks.
        principal: Who is authenticated.
        observe: Sees every message.
    """
    async with Wire(server, principal=principal, observe=observe) as wire:
        client = _CLIENTS[revision](wire, revision, capabilities or {}, answer)
        await client.open()
        yield client
