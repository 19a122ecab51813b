"""A client of a server in the same process: no transport, no thread, yet every message is bytes on its way.

async with Wire(server) as wire:
    await wire.call("initialize", {...})
    ticket = wire.request("tools/call", {"name": "drop", "arguments": {}})
    question = await wire.question("elicitation/create")
    wire.reply(question, {"action": "accept", "content": {}})
    answer = await wire.answer(ticket)

Nothing here sleeps: each wait ends with the message that it waits for, or with `TimeoutError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, TypeAlias, TypeVar, cast

from pydantic_core import from_json

from mcp_kernel.protocol.jsonrpc import JsonObject, RequestId, to_bytes
from mcp_kernel.server.peer import Peer
from mcp_kernel.server.principal import Principal

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.server import Server

T = TypeVar("T")

Sender: TypeAlias = Literal["client", "server"]

_QUIET: Final = 12  # turns of the loop without a message, after which nothing more is on its way


class Observer(Protocol):
    """Sees every message that passes, as bytes; `malformed` marks what is broken on purpose."""

    def __call__(self, sender: Sender, data: bytes, malformed: bool) -> None: ...


class Refused(Exception):
    """The server answered with a JSON-RPC error."""

    def __init__(self, code: int, message: str, data: object) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.data = data


class _Outlet:
    """The server's way out; a test may say that the client does not read."""

    shared = True

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self.congested = False
        self._take = take
        self._drained: asyncio.Event = asyncio.Event()

    def send(self, data: bytes, exchange: Exchange | None) -> None:
        self._take(data)

    def release(self, exchange: Exchange, retry: int) -> None:
        """There is one stream, and it stays."""

    async def drain(self) -> None:
        self._drained.clear()
        await self._drained.wait()

    def wake(self) -> None:
        self._drained.set()


class Wire:
    """One client and its server, back to back.

    Args:
        server: Whom to talk to.
        principal: Who is authenticated, as an HTTP transport would say.
        observe: Sees every message, in both directions.
        patience: Seconds that a wait may take; whoever waits longer gets a `TimeoutError`.
    """

    def __init__(
        self,
        server: Server,
        *,
        principal: Principal | str | None = None,
        observe: Observer | None = None,
        patience: float = 5.0,
    ) -> None:
        self.server = server
        self.received: list[JsonObject] = []
        """Every message of the server, the members of batches one by one."""
        self.on_question: Callable[[JsonObject], None] | None = None
        """Called with each request of the server, instead of leaving it to `question`."""
        self._principal = Principal(principal) if isinstance(principal, str) else principal
        self._observe = observe
        self.patience = patience
        self._raw: list[bytes] = []
        self._answers: dict[RequestId | None, list[JsonObject]] = {}
        self._questions: list[JsonObject] = []
        self._notifications: list[JsonObject] = []
        self._arrived: asyncio.Future[None] | None = None
        self._last = 0

    async def __aenter__(self) -> Self:
        self.server.attach()
        self._outlet = _Outlet(self._take)
        self.peer = Peer(self.server, self._outlet, principal=self._principal)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self, grace: float = 0.0) -> None:
        """Hang up: calls in flight get `grace` seconds to end."""
        self._outlet.wake()
        await self.peer.close(grace)

    # --- sending ---

    def send_bytes(self, data: bytes, *, malformed: bool = False) -> None:
        """Send bytes as they are; `malformed` tells the observer that they are broken on purpose."""
        if self._observe is not None:
            self._observe("client", data, malformed)
        self.peer.receive(data)

    def send(self, message: JsonObject | list[JsonObject], *, malformed: bool = False) -> None:
        """Send a message or a batch, written out in full."""
        self.send_bytes(to_bytes(message), malformed=malformed)

    def request(
        self,
        method: str,
        params: Mapping[str, object] | None = None,
        *,
        id: RequestId | None = None,
        malformed: bool = False,
    ) -> RequestId:
        """Send a request, under a fresh id where none is given, and return its id at once."""
        if id is None:
            self._last += 1
            id = self._last
        message: JsonObject = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not None:
            message["params"] = dict(params)
        self.send(message, malformed=malformed)
        return id

    def notify(self, method: str, params: Mapping[str, object] | None = None) -> None:
        """Send a notification."""
        message: JsonObject = {"jsonrpc": "2.0", "method": method}
        if params is not None:
            message["params"] = dict(params)
        self.send(message)

    def cancel(self, identifier: RequestId) -> None:
        """Take a request back."""
        self.notify("notifications/cancelled", {"requestId": identifier})

    def reply(self, question: JsonObject, result: Mapping[str, object]) -> None:
        """Answer a request of the server."""
        self.send({"jsonrpc": "2.0", "id": question["id"], "result": dict(result)})

    def refuse(self, question: JsonObject, code: int = -1, message: str = "The user refused") -> None:
        """Answer a request of the server with an error."""
        self.send({"jsonrpc": "2.0", "id": question["id"], "error": {"code": code, "message": message}})

    # --- waiting ---

    async def call(self, method: str, params: Mapping[str, object] | None = None) -> JsonObject:
        """Send a request and return its result; raises `Refused` for an error."""
        return result_of(await self.answer(self.request(method, params)))

    async def answer(self, identifier: RequestId | None) -> JsonObject:
        """Wait for the answer to a request; None is the next error that carries no id."""
        return await self._until(
            lambda: _take_first(self._answers.get(identifier, [])), f"the answer to {identifier!r}"
        )

    async def question(self, method: str | None = None) -> JsonObject:
        """Wait for the next request of the server, of any method or of this one."""
        return await self._until(lambda: _take_first(self._questions, method), f"a request {method or ''}")

    async def notification(self, method: str | None = None) -> JsonObject:
        """Wait for the next notification, of any method or of this one."""
        return await self._until(lambda: _take_first(self._notifications, method), f"a notification {method or ''}")

    async def receive(self) -> bytes:
        """Wait for the next message, or batch, as bytes; what `answer` and its like return passes here as well."""
        return await self._until(lambda: self._raw.pop(0) if self._raw else None, "a message")

    async def quiet(self) -> list[JsonObject]:
        """Let the server work until it has nothing more to say, and return what it said meanwhile."""
        before = len(self.received)
        last, still = before, 0
        while still < _QUIET:
            await asyncio.sleep(0)
            still = still + 1 if len(self.received) == last else 0
            last = len(self.received)
        return self.received[before:]

    def stop_reading(self) -> None:
        """Behave as a client that reads nothing any more: the server sees congestion."""
        self._outlet.congested = True

    def read_on(self) -> None:
        """Read again, as a transport reports it."""
        self._outlet.congested = False
        self._outlet.wake()
        self.peer.release()

    def notifications(self, method: str | None = None) -> list[JsonObject]:
        """The notifications so far that nobody waited for, of any method or of this one."""
        return [each for each in self._notifications if method in (None, each["method"])]

    def was_answered(self, identifier: RequestId) -> bool:
        """Tell whether an answer to this request has come, ever."""
        return any("method" not in each and each.get("id") == identifier for each in self.received)

    # --- receiving ---

    def _take(self, data: bytes) -> None:
        if self._observe is not None:
            self._observe("server", data, False)
        self._raw.append(data)
        decoded = cast("object", from_json(data))
        for message in cast("list[JsonObject]", decoded if isinstance(decoded, list) else [decoded]):
            self._file(message)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    def _file(self, message: JsonObject) -> None:
        self.received.append(message)
        if "method" not in message:
            self._answers.setdefault(cast("RequestId | None", message.get("id")), []).append(message)
        elif "id" not in message:
            self._notifications.append(message)
        elif self.on_question is not None:
            self.on_question(message)
        else:
            self._questions.append(message)

    async def _until(self, find: Callable[[], T | None], what: str) -> T:
        try:
            async with asyncio.timeout(self.patience):
                while (found := find()) is None:
                    self._arrived = asyncio.get_running_loop().create_future()
                    await self._arrived
        except TimeoutError:
            raise TimeoutError(f"{what} did not come in {self.patience} s; so far: {self.received[-3:]}") from None
        return found


def result_of(answer: JsonObject) -> JsonObject:
    """Return the result of an answer; raises `Refused` where it is an error."""
    if "result" in answer:
        return cast("JsonObject", answer["result"])
    error = cast("JsonObject", answer["error"])
    raise Refused(cast("int", error["code"]), cast("str", error["message"]), error.get("data"))


def _take_first(messages: list[JsonObject], method: str | None = None) -> JsonObject | None:
    for index, message in enumerate(messages):
        if method in (None, message.get("method")):
            return messages.pop(index)
    return None
