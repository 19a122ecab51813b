"""Sessions that several processes serve: any of them takes any message and any stream of any session.

What is kept of a session stands in the store; each process that has met it has a peer of its own for it, with the
requests that came to this one. A request is worked on where it arrived, and its stream is written there; read it can be
anywhere. What belongs to no request is sent by one process, the session's home: the one at which the client reads the
stream of GET. Answers to a question go to the process that asked, whose name its id begins with; other notifications go
to all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.errors import INTERNAL_ERROR
from mcp_kernel.protocol.framing import KEEP_ALIVE, write_event
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    InvalidMessage,
    JsonObject,
    Message,
    Notification,
    Response,
    decode,
    encode,
)
from mcp_kernel.server import dispatch
from mcp_kernel.server.exchange import RETRY_SOON
from mcp_kernel.server.store import Place, SavedSession, Store, StoreGone, owner_of
from mcp_kernel.transports.http_legacy import IDLE_SECONDS, LAST_EVENT_HEADER, MOST_SESSIONS, SessionEndpoint
from mcp_kernel.transports.http_modern import KEEP_ALIVE_SECONDS
from mcp_kernel.transports.shared_session import SharedSession

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Principal
    from mcp_kernel.server.server import Server
    from mcp_kernel.transports.http_session import HttpSession
    from mcp_kernel.transports.incoming import Answer, Arriving, Incoming, Rest

_INITIALIZED: Final = "notifications/initialized"  # of which the state tells the others
_LOOK_SECONDS: Final = 1.0  # for which the store is asked to wait for an event
_DIGITS: Final = frozenset("0123456789abcdef")


class SharedEndpoint(SessionEndpoint):
    """Serves sessions that other processes serve too; without the store it refuses them, with HTTP status 503."""

    def __init__(self, server: Server, store: Store, *, idle: float = IDLE_SECONDS, most: int = MOST_SESSIONS) -> None:
        super().__init__(server, idle=idle, most=most)
        self._store = store
        self._seconds = idle
        store.on("session.note", self._hear_note)
        store.on("session.answer", self._hear_answer)
        store.on("session.state", self._hear_state)
        store.on("session.home", self._leave_home)
        store.on("session.stream", self._leave_stream)
        store.on("session.ended", self._hear_end)
        store.on_beat(self._touch_busy)
        store.on_return(self._look_again)

    # --- HTTP ---

    def begin(self, message: Message | list[Message | InvalidMessage], arriving: Arriving) -> Answer | Rest | None:
        """Begin nothing at once: the store is asked first."""
        return None

    async def post(self, message: Message | list[Message | InvalidMessage], incoming: Incoming) -> None:
        """Serve one message, or a batch of 2025-03-26."""
        await _unless_gone(super().post(message, incoming), incoming)

    async def get(self, incoming: Incoming) -> None:
        """Open the stream of messages that belong to no request, or resume a stream, wherever it is written."""
        await _unless_gone(self._get(incoming), incoming)

    async def delete(self, incoming: Incoming) -> None:
        """End the session, everywhere."""
        await _unless_gone(self._delete(incoming), incoming)

    async def _get(self, incoming: Incoming) -> None:
        session = cast("SharedSession | None", await self.find(incoming))
        if session is None:
            return
        last = incoming.headers.get(LAST_EVENT_HEADER)
        name = None if last is None else last.partition("-")[0]
        if name in (None, "0"):
            await self._come_home(session)
        found = None if last is None else session.streams.locate(last)
        if last is None:
            stream = session.streams.standalone
            await self.deliver(session, stream, stream.delivered, incoming)
        elif found is not None:
            await self.deliver(session, found[0], found[1], incoming)
        else:
            await self._follow(session, last, incoming)

    async def _delete(self, incoming: Incoming) -> None:
        session = await self.find(incoming)
        if session is not None:
            await self._store.sessions.delete(session.identifier)
            self._store.tell("session.ended", {"session": session.identifier})
            self.sessions.pop(session.identifier, None)
            await session.close()
            await incoming.respond(204)

    # --- the session, as the store has it ---

    def make(self, principal: Principal | None) -> HttpSession:
        """Make a session that has no handshake yet."""
        return SharedSession(self.server, self._store, principal)

    async def look_up(self, identifier: str, principal: Principal | None) -> HttpSession | None:
        """Return what we have of a session, made as the store says."""
        if len(identifier) != 32 or not _DIGITS.issuperset(identifier):
            return None
        saved = await self._store.sessions.load(identifier, self._seconds)
        if saved is None:
            self._end(identifier)
            return None
        if saved.owner != owner_of(principal):
            return None
        session = cast("SharedSession | None", self.sessions.get(identifier))
        if session is None:
            session = SharedSession(self.server, self._store, principal, identifier)
            self.add(session)
        if saved.home == self._store.replica and not session.is_home:
            await self._move_in(session, saved)
        session.take_up(saved)
        return session

    async def keep(self, session: HttpSession) -> None:
        """Write down what a message has changed of a session, and tell the others."""
        assert isinstance(session, SharedSession)  # noqa: S101  # made here
        state, uris = session.peer.session.dump(), frozenset(session.peer.session.subscriptions)
        if (state, uris) == (session.known, session.subscriptions):
            return
        is_new, was_ready = session.known["state"] == "new", session.known["state"] == "ready"
        gone, more = session.subscriptions - uris, uris - session.subscriptions
        session.known, session.subscriptions = state, uris
        saved = SavedSession(owner_of(session.peer.principal), state, more)
        if is_new:
            await self._store.sessions.save(session.identifier, saved, self._seconds)
            return
        if not await self._store.sessions.change(session.identifier, saved, gone):
            self._end(session.identifier)
            return
        if session.peer.session.is_ready and not was_ready:
            await self._come_home(session, from_nowhere=True)
        session.take_up(SavedSession(saved.owner, state, uris))
        self._store.tell("session.state", {"session": session.identifier})

    async def pass_on(self, session: HttpSession, message: Message | list[Message | InvalidMessage]) -> None:
        """Pass on what others wait for: answers to their questions, and what is said of requests that they have."""
        for each in message if isinstance(message, list) else [message]:
            if isinstance(each, Response | Failure):
                await self._pass_answer(session.identifier, each)
            elif isinstance(each, Notification) and each.method != _INITIALIZED:
                body: JsonObject = {"session": session.identifier, "message": encode(each).decode()}
                self._store.tell("session.note", body)

    async def _pass_answer(self, identifier: str, answer: Response | Failure) -> None:
        asker = answer.id.partition(".")[0] if isinstance(answer.id, str) else ""
        if asker in ("", self._store.replica) or not _DIGITS.issuperset(asker):
            return
        body: JsonObject = {"session": identifier, "message": encode(answer).decode()}
        said = await self._store.ask(asker, "session.answer", body)
        if said is None and await self._store.is_alive(asker):
            raise StoreGone  # it lives and did not hear; the client may send its answer again

    def _end(self, identifier: str) -> None:
        session = self.sessions.get(identifier)
        if session is not None:
            self.forget(session)

    async def _touch_busy(self) -> None:
        busy = [identifier for identifier, session in self.sessions.items() if session.is_busy]
        if busy:
            await self._store.sessions.touch(busy, self._seconds)

    async def _look_again(self) -> None:
        """What others said while the store was gone, nobody heard: their clients may have moved, or ended sessions."""
        for identifier, session in list(self.sessions.items()):
            saved = await self._store.sessions.load(identifier, self._seconds)
            if saved is None and not session.is_busy:
                self._end(identifier)
            elif saved is not None and saved.home != self._store.replica and cast("SharedSession", session).is_home:
                cast("SharedSession", session).move_out()

    # --- the home ---

    async def _come_home(self, session: SharedSession, *, from_nowhere: bool = False) -> None:
        """Send from here what belongs to no request, in the place of the process that did, if any.

        Both hear of what changes meanwhile: a notice that is sent twice does less harm than one that is lost.
        """
        if session.is_home or session.held is not None:
            return
        session.held = []
        here = SavedSession("", session.known, session.subscriptions)
        try:
            session.take_up(here)
            await self._move(session, from_nowhere=from_nowhere)
        finally:
            held, session.held = session.held, None
            session.take_up(here)
        for data in held:
            session.send(data, None)
        if session.is_home:
            session.peer.follow_roots()

    async def _move(self, session: SharedSession, *, from_nowhere: bool) -> None:
        us, sessions = self._store.replica, self._store.sessions
        before = await sessions.move(session.identifier, us, from_nowhere=from_nowhere)
        if before is None or (from_nowhere and before.home):
            return
        if before.home not in ("", us):
            await self._store.ask(before.home, "session.home", {"session": session.identifier})
        await self._move_in(session, before)

    async def _move_in(self, session: SharedSession, saved: SavedSession) -> None:
        events, _ = await self._store.sessions.read(Place(session.identifier, "0", 0), 0)
        session.move_in(events, saved.delivered)

    # --- what others say ---

    def _known(self, body: JsonObject) -> SharedSession | None:
        return cast("SharedSession | None", self.sessions.get(cast("str", body["session"])))

    async def _hear_note(self, body: JsonObject) -> None:
        session = self._known(body)
        if session is not None:
            message = decode(cast("str", body["message"]).encode())
            if isinstance(message, Notification):
                dispatch.note(session.peer, message)  # its span is where the client told it
            else:
                dispatch.take(session.peer, cast("Message", message), session.peer.reply)

    async def _hear_answer(self, body: JsonObject) -> JsonObject:
        await self._hear_note(body)
        return {}

    async def _hear_state(self, body: JsonObject) -> None:
        session = self._known(body)
        if session is not None:
            saved = await self._store.sessions.load(session.identifier, self._seconds)
            if saved is not None:
                session.take_up(saved)

    async def _leave_home(self, body: JsonObject) -> JsonObject:
        """Another process sends now what belongs to no request of a session; first all is written that we sent."""
        session = self._known(body)
        if session is not None and session.is_home:
            session.move_out()
            await self._store.settle()
        return {}

    async def _leave_stream(self, body: JsonObject) -> JsonObject:
        """A client reads elsewhere the stream of a request that is worked on here."""
        session = self._known(body)
        found = None if session is None else session.streams.locate(cast("str", body["event"]))
        if found is not None:
            found[0].detach(found[0].attach())
        return {}

    async def _hear_end(self, body: JsonObject) -> None:
        self._end(cast("str", body["session"]))

    # --- streams that are written elsewhere ---

    async def _follow(self, session: SharedSession, last: str, incoming: Incoming) -> None:
        """Write to a client what another process sends on the stream of a request."""
        name, _, digits = last.partition("-")
        writer, _, number = name.partition(".")
        is_name = bool(writer) and _DIGITS.issuperset(writer) and number.isascii() and number.isdigit()
        position = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else -1
        place = Place(session.identifier, name, position)
        span = await self._store.sessions.span(place) if is_name and len(name) < 40 else None
        if span is None or not span[0] <= position <= span[1]:
            await incoming.refuse(400, "The stream of this Last-Event-ID is not kept any more")
            return
        await self._store.ask(writer, "session.stream", {"session": session.identifier, "event": last})
        session.followers += 1
        gone = asyncio.ensure_future(incoming.wait_gone())
        try:
            await incoming.open_stream()
            await self._copy(place, writer, incoming, gone)
        finally:
            session.followers -= 1
            gone.cancel()

    async def _copy(self, place: Place, writer: str, incoming: Incoming, gone: asyncio.Future[None]) -> None:
        """Write what comes behind a place, until the stream ends, or who writes it, or the store, or the client."""
        quiet = 0.0
        while not gone.done() and self.sessions.get(place.session) is not None:
            try:
                events, is_over = await self._store.sessions.read(place, _LOOK_SECONDS)
                if quiet and not events and not await self._store.is_alive(writer):
                    await self._give_up(place)
            except StoreGone:
                break  # the client comes back with the last event that it has
            for position, data in events:
                await incoming.write(write_event(data, identifier=f"{place.stream}-{position}"))
                place = replace(place, position=position)
            if is_over:
                break
            quiet = 0.0 if events else quiet + _LOOK_SECONDS
            if quiet >= KEEP_ALIVE_SECONDS:
                quiet = 0.0
                await incoming.write(KEEP_ALIVE)
        if not gone.done():
            await incoming.write(b"", last=True)

    async def _give_up(self, place: Place) -> None:
        """Answer for a process that died: once, whoever is the first to see it."""
        for identifier in await self._store.sessions.requests(place):
            place = replace(place, position=place.position + 1)
            failure = Failure(identifier, INTERNAL_ERROR, "The process that worked on the request has ended")
            self._store.sessions.append(place, encode(failure), lambda: None)
        self._store.sessions.end(replace(place, position=place.position + 1))
        await self._store.settle()


async def _unless_gone(serving: Awaitable[None], incoming: Incoming) -> None:
    """Serve, and say what to do where the store cannot be reached."""
    try:
        await serving
    except StoreGone as error:
        await incoming.refuse(error.status, error.message, (RETRY_SOON,))
