"""An HTTP client of an ASGI application in the same process: no socket, yet streams, disconnects and slow readers.

async with Site(server.asgi()) as site:
    visit = site.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"mcp-session-id": session})
    assert await visit.started() == 200
    first = await visit.event()
    visit.hang_up()

Nothing here sleeps: each wait ends with what it waits for, or with `TimeoutError`. An application that breaks the rules
of ASGI, or raises, fails the test that visits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeAlias, TypeVar, cast

from pydantic_core import from_json

from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes

if TYPE_CHECKING:
    from mcp_kernel.testing.memory import Observer

T = TypeVar("T")

Part: TypeAlias = MutableMapping[str, object]
App: TypeAlias = Callable[[Part, Callable[[], Awaitable[Part]], Callable[[Part], Awaitable[None]]], Awaitable[None]]
# By name in any case; None leaves a usual header out, a list sends it several times.
Headers: TypeAlias = Mapping[str, "str | list[str] | None"]

_USUAL: Final = {
    "host": "127.0.0.1:8000",
    "content-type": "application/json",
    "accept": "application/json, text/event-stream",
}


class Event(NamedTuple):
    """One server-sent event, or a comment; what the block does not have is None."""

    data: str | None = None
    id: str | None = None
    name: str | None = None
    retry: int | None = None
    comment: str | None = None


class Visit:
    """One request on its way, and what has come of its answer."""

    def __init__(self, observe: Callable[[Visit, bytes, Event | None], None], patience: float) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        """What the application has sent, as far as no event was taken from it."""
        self.is_whole = False
        """Whether the answer has come to its end."""
        self.task: asyncio.Task[None] | None = None
        self._observe = observe
        self._patience = patience
        self._parts: list[Part] = []
        self._gone = False
        self._reading = True
        self._changed: asyncio.Future[None] | None = None

    # --- what a client does ---

    def feed(self, body: bytes, *, more: bool = False) -> None:
        """Send a part of the body."""
        self._parts.append({"type": "http.request", "body": body, "more_body": more})
        self._wake()

    def hang_up(self) -> None:
        """Close the connection."""
        self._gone = True
        self._wake()

    def stop_reading(self) -> None:
        """Read no more: the application waits at its next part, as it does when the socket's buffer is full."""
        self._reading = False

    def read_on(self) -> None:
        """Read again."""
        self._reading = True
        self._wake()

    # --- what comes of it ---

    async def started(self) -> int:
        """Wait for the head of the answer; returns the status."""
        return await self.until(lambda: self.status, "the head of an answer")

    async def whole(self) -> bytes:
        """Wait for the end of the answer; returns the body as far as no event was taken from it."""
        await self.until(lambda: self.is_whole or None, "the end of the answer")
        return bytes(self.body)

    async def json(self) -> JsonObject:
        """Wait for the end of an answer that is one JSON object."""
        body = await self.whole()
        assert self.headers.get("content-type") == "application/json", (self.status, self.headers, body)  # noqa: S101  # a test's word
        return cast("JsonObject", from_json(body))

    async def block(self) -> Event | None:
        """Wait for the next event or comment; None at the end of the stream."""

        def find() -> tuple[Event | None] | None:
            end = self.body.find(b"\n\n")
            if end < 0:
                return (None,) if self.is_whole else None
            block = bytes(self.body[:end])
            del self.body[: end + 2]
            return (read_block(block),)

        return (await self.until(find, "the next event"))[0]

    async def event(self) -> Event | None:
        """Wait for the next event with a message; None at the end of the stream."""
        while (block := await self.block()) is not None:
            if block.data:
                return block
        return None

    async def message(self) -> JsonObject:
        """Wait for the next message of the stream."""
        event = await self.event()
        if event is None:
            raise EOFError("the stream ended")
        return cast("JsonObject", from_json(event.data or ""))

    async def messages(self) -> list[JsonObject]:
        """Wait for the end of the stream; returns its messages."""
        found: list[JsonObject] = []
        while (event := await self.event()) is not None:
            found.append(cast("JsonObject", from_json(event.data or "")))
        return found

    async def over(self) -> None:
        """Wait until the application is done with the request; raises what it raised."""
        assert self.task is not None  # noqa: S101  # the site has started it
        async with asyncio.timeout(self._patience):
            await asyncio.shield(self.task)

    async def until(self, find: Callable[[], T | None], what: str) -> T:
        """Wait until something can be found; looks again whenever the application has sent or ended."""
        try:
            async with asyncio.timeout(self._patience):
                while (found := find()) is None:
                    if self.task is not None and self.task.done():
                        await self.task
                        raise EOFError(f"the application has ended, and {what} did not come: {self.status} {self.body}")
                    await self._change()
        except TimeoutError:
            raise TimeoutError(f"{what} did not come; so far: {self.status} {bytes(self.body[-500:])}") from None
        return found

    # --- the application's side ---

    async def receive(self) -> Part:
        """The application's `receive`."""
        while not self._parts:
            if self._gone or self.is_whole:
                return {"type": "http.disconnect"}
            await self._change()
        return self._parts.pop(0)

    async def send(self, part: Part) -> None:
        """The application's `send`; what comes after a disconnect is lost, as servers have it."""
        while not self._reading and not self._gone:
            await self._change()
        if self._gone:
            return
        if part["type"] == "http.response.start":
            assert self.status is None, "an answer begins twice"  # noqa: S101  # a test's word
            self.status = cast("int", part["status"])
            pairs = cast("list[tuple[bytes, bytes]]", part["headers"])
            self.headers = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in pairs}
            assert len(self.headers) == len(pairs), f"a header comes twice: {pairs}"  # noqa: S101  # as above
        else:
            self._take(cast("bytes", part.get("body", b"")), whole=not part.get("more_body"))
        self._wake()

    def _take(self, data: bytes, *, whole: bool) -> None:
        assert self.status is not None, "a body without a head"  # noqa: S101  # a test's word
        assert not self.is_whole, "a body after its end"  # noqa: S101  # as above
        self.body += data
        self.is_whole = whole
        if self.headers.get("content-type") == "text/event-stream":
            for block in data.split(b"\n\n")[:-1]:  # an application writes whole events
                self._observe(self, b"", read_block(block))
        elif whole:
            announced = int(self.headers.get("content-length", len(self.body)))
            assert announced == len(self.body), (self.headers, self.body)  # noqa: S101  # as above
            self._observe(self, bytes(self.body), None)

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _change(self) -> None:
        if self._changed is None or self._changed.done():
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)


class Site:
    """A client of one application, with as many requests at once as it likes.

    Args:
        app: The application.
        observe: Sees every JSON-RPC message, in both directions; an event that is sent again is the same message.
        patience: Seconds that a wait may take.
        root: The `root_path` under which the application is mounted.
    """

    def __init__(self, app: App, *, observe: Observer | None = None, patience: float = 5.0, root: str = "") -> None:
        self._app = app
        self._observe = observe
        self._patience = patience
        self._root = root
        self._replayed: set[tuple[str, str]] = set()
        self._visits: list[Visit] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for visit in self._visits:
            visit.hang_up()
        for visit in self._visits:
            await visit.over()

    def post(
        self, message: object, headers: Headers | None = None, *, path: str = "/mcp", malformed: bool = False
    ) -> Visit:
        """POST a message, or bytes as they are; `malformed` tells the observer that it is broken on purpose."""
        body = message if isinstance(message, bytes) else to_bytes(message)
        if self._observe is not None:
            self._observe("client", body, malformed)
        visit = self.open("POST", path, headers)
        visit.feed(body)
        return visit

    def get(self, path: str = "/mcp", headers: Headers | None = None) -> Visit:
        """Send a request without a body."""
        return self.send("GET", path, headers)

    def send(self, method: str, path: str = "/mcp", headers: Headers | None = None) -> Visit:
        """Send a request without a body."""
        visit = self.open(method, path, headers)
        visit.feed(b"")
        return visit

    def open(self, method: str, path: str = "/mcp", headers: Headers | None = None) -> Visit:
        """Send the head of a request; its body, or its end, is left to `Visit.feed`."""
        given = {name.lower(): value for name, value in (headers or {}).items()}
        pairs: list[tuple[bytes, bytes]] = []
        for name, value in {**_USUAL, **given}.items():
            values = value if isinstance(value, list) else [] if value is None else [value]
            pairs += [(name.encode("ascii"), each.encode("latin-1")) for each in values]
        session = str(given.get("mcp-session-id"))
        visit = Visit(lambda visit, data, event: self._see(session, data, event), self._patience)
        scope = self._scope(method, path)
        scope["headers"] = pairs
        visit.task = asyncio.ensure_future(self._serve(scope, visit))
        self._visits.append(visit)
        return visit

    def _scope(self, method: str, path: str) -> Part:
        path, _, query = path.partition("?")
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method,
            "root_path": self._root,
            "path": self._root + path,
            "raw_path": (self._root + path).encode("ascii"),
            "query_string": query.encode("ascii"),
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 8000),
        }

    async def _serve(self, scope: Part, visit: Visit) -> None:
        try:
            await self._app(scope, visit.receive, visit.send)
        finally:
            visit.read_on()  # whoever waits looks again

    def _see(self, session: str, data: bytes, event: Event | None) -> None:
        if event is not None:
            data = (event.data or "").encode()
            seen = (session, event.id or "")
            if event.name == "endpoint" or (event.id is not None and seen in self._replayed):
                return
            self._replayed.add(seen)
        if self._observe is not None and data[:1] in (b"{", b"["):
            self._observe("server", data, False)


def read_block(block: bytes) -> Event:
    """Read one block of an event stream (HTML, "Parsing an event stream")."""
    fields: dict[str, str] = {}
    for line in block.decode().split("\n"):
        name, _, value = line.partition(":")
        fields[name or "comment"] = value.removeprefix(" ")
    unknown = fields.keys() - {"data", "id", "event", "retry", "comment"}
    assert not unknown, f"fields that no client knows: {unknown}"  # noqa: S101  # a test's word
    retry = fields.get("retry")
    return Event(
        fields.get("data"),
        fields.get("id"),
        fields.get("event"),
        None if retry is None else int(retry),
        fields.get("comment"),
    )
