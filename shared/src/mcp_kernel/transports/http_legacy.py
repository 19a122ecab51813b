"""Streamable HTTP with sessions (2025-03-26 to 2025-11-25): POST, the GET stream, DELETE, resumable streams.

A request belongs to its session and not to the POST that brought it: a disconnect does not cancel it, and what it
sends meanwhile is kept for a client that comes back with `Last-Event-ID`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import Final

from mcp_kernel.protocol.framing import KEEP_ALIVE, write_event, write_retry
from mcp_kernel.protocol.jsonrpc import InvalidMessage, Message, Request
from mcp_kernel.server import dispatch
from mcp_kernel.server.principal import Principal
from mcp_kernel.server.server import Server
from mcp_kernel.transports.http_modern import KEEP_ALIVE_SECONDS
from mcp_kernel.transports.http_session import Begun, HttpSession
from mcp_kernel.transports.incoming import Answer, Arriving, Incoming, Rest
from mcp_kernel.transports.streams import Stream

SESSION_HEADER: Final = "mcp-session-id"
LAST_EVENT_HEADER: Final = "last-event-id"
MOST_SESSIONS: Final = 10_000  # at the cap, the one idle longest makes room
IDLE_SECONDS: Final = 1800.0
_RETRY: Final = 1000  # milliseconds until a client whose stream broke connects again


class SessionEndpoint:
    """Serves sessions."""

    def __init__(self, server: Server, *, idle: float = IDLE_SECONDS, most: int = MOST_SESSIONS) -> None:
        self.server = server
        self._idle = idle
        self._most = most
        self.sessions: OrderedDict[str, HttpSession] = OrderedDict()  # the one used last at the end
        self._sweeper: asyncio.TimerHandle | None = None
        self._closers: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self.sessions)

    # --- POST ---

    def begin(self, message: Message | list[Message | InvalidMessage], arriving: Arriving) -> Answer | Rest | None:
        """Run the first step of a request of a session; None, and nothing is done, for what only `post` serves."""
        session = self.sessions.get(arriving.headers.get(SESSION_HEADER, ""))
        if (
            session is None
            or session.peer.principal != arriving.principal
            or type(message) is not Request
            or message.method == "initialize"
        ):
            return None
        self._meet(session, arriving)
        begun = session.begin(message)
        if begun.is_whole and not begun.headers:
            return Answer(begun.status, begun.answer or b"")
        return partial(self._conclude, session, begun)

    async def post(self, message: Message | list[Message | InvalidMessage], incoming: Incoming) -> None:
        """Serve one message, or a batch of 2025-03-26."""
        if isinstance(message, Request) and message.method == "initialize":
            await self._initialize(message, incoming)
            return
        session = await self.find(incoming)
        if session is None:
            return
        await self.pass_on(session, message)
        session.peer.principal = incoming.principal  # again: meanwhile a request with another token may have come
        if isinstance(message, list):
            stream = session.streams.open(*(each.id for each in message if isinstance(each, Request)))
            dispatch.take_batch(session.peer, message, partial(session.finish, stream))
            if not any(isinstance(each, Request | InvalidMessage) for each in message):
                stream.finish(None, 202)
        elif isinstance(message, Request):
            await self._conclude(session, session.begin(message), incoming)
            return
        else:
            dispatch.take(session.peer, message, session.peer.reply)
            await self.keep(session)
            await incoming.respond(202)
            return
        await self._answer(session, stream, incoming)

    async def _initialize(self, request: Request, incoming: Incoming) -> None:
        """Open a session; one whose handshake was refused is none."""
        session = self.make(incoming.principal)
        session.peer.arrival = incoming.keep()
        stream = Stream(0)
        dispatch.take(session.peer, request, stream.finish)
        if session.peer.session.is_open:
            await self.keep(session)
            self.add(session)
            incoming.extra.append((b"mcp-session-id", session.identifier.encode("ascii")))
        await incoming.respond_json(stream.status, stream.answer or b"", stream.headers)

    async def _conclude(self, session: HttpSession, begun: Begun, incoming: Incoming) -> None:
        """Answer a request whose first step is run."""
        if not begun.is_whole:
            await self._answer(session, begun.open(), incoming)
            return
        self.touch(session)
        await self.keep(session)
        await incoming.respond_json(begun.status, begun.answer or b"", begun.headers)

    async def _answer(self, session: HttpSession, stream: Stream, incoming: Incoming) -> None:
        """Answer with JSON where the answer comes first, with a stream where anything else does."""
        if not stream.is_streaming and not stream.is_finished:
            gone = asyncio.ensure_future(incoming.wait_gone())
            gone.add_done_callback(lambda _: stream.wake())
            try:
                while not (stream.is_streaming or stream.is_finished or gone.done()):
                    await stream.wait()
            finally:
                gone.cancel()
            if not (stream.is_streaming or stream.is_finished):
                stream.is_read = False
                await incoming.leave()  # the request goes on
                return
        if stream.is_streaming:
            await self.deliver(session, stream, 0, incoming)
            return
        session.streams.drop(stream)
        self.touch(session)
        await self.keep(session)
        if stream.answer is None and session.identifier not in self.sessions:
            await incoming.refuse(404, "The session has ended, and the request with it")
        elif stream.answer is None:
            await incoming.respond(202)
        else:
            await incoming.respond_json(stream.status, stream.answer, stream.headers)

    async def deliver(self, session: HttpSession, stream: Stream, after: int, incoming: Incoming) -> None:
        """Write a stream's events behind a position to the client, until the stream or the client ends."""
        ticket = stream.attach()
        session.note_reader()
        gone = asyncio.ensure_future(incoming.wait_gone())
        gone.add_done_callback(lambda _: stream.wake())
        try:
            await incoming.open_stream()
            if session.is_resumable and after == 0:
                await incoming.write(write_event(b"", identifier=stream.event_id(0)) + write_retry(_RETRY))
            while not gone.done() and stream.is_attached(ticket):
                for position, data in stream.after(after):
                    if not stream.is_attached(ticket):
                        break
                    await incoming.write(write_event(data, identifier=stream.event_id(position)))
                    stream.deliver(position)
                    after = position
                session.relieve()
                if stream.release_after is not None and session.is_resumable:
                    await incoming.write(write_retry(stream.release_after), last=True)
                    stream.release_after = None
                    return
                if any(stream.after(after)):
                    continue  # more came while the last was written
                if stream.is_finished and after >= stream.last:
                    session.streams.retire(stream)
                    break
                if not await stream.wait(KEEP_ALIVE_SECONDS):
                    await incoming.write(KEEP_ALIVE)
            if not gone.done():
                await incoming.write(b"", last=True)
        finally:
            stream.detach(ticket)
            session.note_reader()
            gone.cancel()
            session.relieve()
            self.touch(session)

    # --- GET and DELETE ---

    async def get(self, incoming: Incoming) -> None:
        """Open the stream of messages that belong to no request, or resume a stream that broke."""
        session = await self.find(incoming)
        if session is None:
            return
        last = incoming.headers.get(LAST_EVENT_HEADER)
        if last is None:
            await self.deliver(session, session.streams.standalone, session.streams.standalone.delivered, incoming)
            return
        found = session.streams.locate(last)
        if found is None:
            # 404 would tell the client that the session is dead.
            await incoming.refuse(400, "The stream of this Last-Event-ID is not kept any more")
            return
        await self.deliver(session, found[0], found[1], incoming)

    async def delete(self, incoming: Incoming) -> None:
        """End the session."""
        session = await self.find(incoming)
        if session is not None:
            del self.sessions[session.identifier]
            await session.close()
            await incoming.respond(204)

    # --- the sessions ---

    def make(self, principal: Principal | None) -> HttpSession:
        """Make a session that has no handshake yet."""
        return HttpSession(self.server, principal)

    async def look_up(self, identifier: str, principal: Principal | None) -> HttpSession | None:
        """Return the session of an id; whose it is remains to be seen."""
        return self.sessions.get(identifier)

    async def pass_on(self, session: HttpSession, message: Message | list[Message | InvalidMessage]) -> None:
        """A message has come for a session, which several processes may serve: this one does it alone."""

    async def keep(self, session: HttpSession) -> None:
        """A message may have changed a session, which is kept in memory here."""

    async def find(self, incoming: Incoming) -> HttpSession | None:
        """Return the session of a request; answers itself where there is none."""
        identifier = incoming.headers.get(SESSION_HEADER)
        if identifier is None:
            await incoming.refuse(400, "Mcp-Session-Id is missing: send initialize first, and its answer's id since")
            return None
        session = await self.look_up(identifier, incoming.principal)
        if session is None or session.peer.principal != incoming.principal:  # another's session does not exist
            await incoming.refuse(404, "There is no such session (any more): send initialize again")
            return None
        self._meet(session, incoming)
        return session

    def _meet(self, session: HttpSession, arriving: Arriving) -> None:
        """The client of a session has come again."""
        session.peer.principal = arriving.principal  # the same one, whose token may say more or less than the last
        session.peer.arrival = arriving.keep()
        self.touch(session)

    def touch(self, session: HttpSession) -> None:
        """Note that a session is in use."""
        session.last_used = session.peer.loop.time()
        if session.identifier in self.sessions:
            self.sessions.move_to_end(session.identifier)

    def add(self, session: HttpSession) -> None:
        if len(self.sessions) >= self._most:
            idle = [each for each in self.sessions.values() if not each.is_busy]
            own = (each for each in idle if each.peer.principal == session.peer.principal)  # nobody pushes out others
            self.forget(next(own, None) or next(iter(idle or self.sessions.values())))
        session.last_used = self._now()
        self.sessions[session.identifier] = session
        self._sweep_later()

    def forget(self, session: HttpSession) -> None:
        """Take a session off the list and end it: at once where nothing is in flight, else in the background."""
        if self.sessions.pop(session.identifier, None) is None:
            return
        if not session.is_busy:
            session.let_go()
        else:
            task = asyncio.ensure_future(session.close())
            self._closers.add(task)
            task.add_done_callback(self._closers.discard)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _sweep_later(self) -> None:
        if self._sweeper is None and self.sessions:
            oldest = next(iter(self.sessions.values()))
            delay = max(oldest.last_used + self._idle - self._now(), self._idle / 20)
            self._sweeper = asyncio.get_running_loop().call_later(delay, self._sweep)

    def _sweep(self) -> None:
        """End the sessions that were idle for too long; they stand at the front.

        One that waits for an answer, of a client that reads none of its streams, is idle: nobody will be asked.
        """
        self._sweeper = None
        limit = self._now() - self._idle
        for session in list(self.sessions.values()):
            if session.last_used > limit:
                break
            if session.peer.is_working or session.streams.is_read:
                self.touch(session)
            else:
                self.forget(session)
        if not self.sessions:
            self.sessions.clear()  # the table of a dict that was emptied one by one stays as large as it was
        self._sweep_later()

    async def close(self, grace: float) -> None:
        """End every session: their streams at once, calls in flight after `grace` seconds."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        sessions = list(self.sessions.values())
        self.sessions.clear()
        await asyncio.gather(*(session.close(grace) for session in sessions), *self._closers)


def names_session(headers: Mapping[str, str]) -> bool:
    """Tell whether a request names a session."""
    return SESSION_HEADER in headers
