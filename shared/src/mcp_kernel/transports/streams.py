"""The streams of a session: what was sent on each, kept within bounds, so that a client can resume one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Final

from mcp_kernel.protocol.jsonrpc import RequestId
from mcp_kernel.server.principal import Headers

MOST_EVENTS: Final = 256  # kept on one stream; older ones cannot be resumed behind
MOST_BYTES: Final = 4 * 1024 * 1024  # kept on one stream, and on all of a session together that have ended
MOST_STREAMS: Final = 16  # that have ended and can still be resumed
_TOLD: Final = frozenset((400, 403, 429, 503))  # statuses that say something to a client with a session


def tell(status: int) -> int:
    """The HTTP status of a session's answer: to its client a JSON-RPC error is no error of HTTP.

    404 would tell it that the session is dead.
    """
    return status if status in _TOLD else 200


class Stream:
    """Messages in the order in which they were sent, with positions from 1.

    One reader at a time: a new one takes the place of the last, so that no message travels twice.
    """

    __slots__ = (
        "_events",
        "_room",
        "_size",
        "_ticket",
        "_wake",
        "answer",
        "delivered",
        "headers",
        "is_finished",
        "is_read",
        "is_streaming",
        "number",
        "release_after",
        "requests",
        "start",
        "status",
    )

    def __init__(self, number: int, *requests: RequestId) -> None:
        self.number = number
        self.requests = requests
        self._events: deque[tuple[int, bytes]] = deque()
        self._size = 0
        self._ticket = 0
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self.answer: bytes | None = None
        self.status = 200
        self.headers: Headers = ()
        self.is_finished = False
        self.is_streaming = False
        self.release_after: int | None = None
        self.is_read = False  # a client waits for it, or reads it now
        self.start = 0  # the last position that is not kept any more
        self.delivered = 0  # the last position that was written to a client

    def event_id(self, position: int) -> str:
        """The id of the event at a position, unique in the session."""
        return f"{self.number}-{position}"

    @property
    def size(self) -> int:
        """How many bytes are kept."""
        return self._size

    @property
    def is_full(self) -> bool:
        """Whether more would push out what nobody has read."""
        return self.start >= self.delivered and (len(self._events) >= MOST_EVENTS or self._size >= MOST_BYTES)

    def restore(self, events: list[tuple[int, bytes]], delivered: int) -> None:
        """Take up messages that another process has kept, with their positions."""
        self._events = deque(events)
        self._size = sum(len(data) for _, data in events)
        self.start = events[0][0] - 1 if events else delivered
        self.delivered = delivered

    @property
    def last(self) -> int:
        """The position of the last message."""
        return self._events[-1][0] if self._events else self.start

    def write(self, data: bytes) -> None:
        """Add a message; the oldest go when there are too many."""
        if (
            not self.is_streaming and self.answer is not None
        ):  # it would have been JSON, and goes before what comes late
            self.is_streaming = True
            self.write(self.answer)
        position = self.last + 1
        self._events.append((position, data))
        self._size += len(data)
        while len(self._events) > MOST_EVENTS or (self._size > MOST_BYTES and len(self._events) > 1):
            self.start, dropped = self._events.popleft()
            self._size -= len(dropped)
        self.is_streaming = True
        self.wake()

    def finish(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer; it is the last message of a stream, or the whole answer where there is no stream."""
        self.answer = data
        self.status = tell(status)
        self.headers = headers
        if self.is_streaming and data is not None:
            self.write(data)
        self.is_finished = True
        self.wake()

    def release(self, retry: int) -> None:
        """Let the client go: it comes back for the rest after `retry` milliseconds."""
        self.is_streaming = True
        self.release_after = retry
        self.wake()

    def after(self, position: int) -> Iterator[tuple[int, bytes]]:
        """The messages behind a position."""
        return iter([event for event in self._events if event[0] > position])

    def attach(self) -> int:
        """Become the reader; returns a ticket that is good until the next one comes."""
        self._ticket += 1
        self.is_read = True
        self.wake()
        return self._ticket

    def is_attached(self, ticket: int) -> bool:
        """Tell whether a reader still is the one."""
        return ticket == self._ticket

    def detach(self, ticket: int) -> None:
        """Read no more."""
        if ticket == self._ticket:
            self.is_read = False
            self._make_room()

    def deliver(self, position: int) -> None:
        """Note what was written to a client."""
        self.delivered = max(position, self.delivered)
        if not self.is_full:
            self._make_room()

    async def drain(self) -> None:
        """Wait for whoever reads a full stream; where nobody does, let others run before more is pushed out."""
        if self.is_full and not self.is_read:
            await asyncio.sleep(0)
        while self.is_full and self.is_read:
            if self._room is None:
                self._room = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._room)

    def _make_room(self) -> None:
        if self._room is not None:
            self._room.set_result(None)
            self._room = None

    def wake(self) -> None:
        """Let the reader look again."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait until something has come, or so many seconds; tells whether something has."""
        self._wake = asyncio.get_running_loop().create_future()
        done, _ = await asyncio.wait([self._wake], timeout=seconds)
        return bool(done)


class StreamStore:
    """The streams of one session."""

    def __init__(self) -> None:
        self.standalone = self.make(0)  # of messages that belong to no request
        self._count = 0
        self._numbered: OrderedDict[int, Stream] = OrderedDict({0: self.standalone})
        self._of_request: dict[RequestId, Stream] = {}
        self._retired: deque[Stream] = deque()

    def make(self, number: int, *requests: RequestId) -> Stream:
        """Make the stream of that number."""
        return Stream(number, *requests)

    @property
    def is_read(self) -> bool:
        """Whether a client reads one of them now, or waits for one."""
        return any(stream.is_read for stream in self._numbered.values())

    @property
    def full(self) -> list[Stream]:
        """Those that have no room."""
        return [stream for stream in self._numbered.values() if stream.is_full and not stream.is_finished]

    def open(self, *requests: RequestId) -> Stream:
        """Open a stream for the POST that brought a request, or those of a batch."""
        self._count += 1
        stream = self._numbered[self._count] = self.make(self._count, *requests)
        stream.is_read = True
        for request in requests:
            known = self._of_request.get(request)
            if known is None or known.is_finished:  # else the id is in flight, and this request will be refused
                self._of_request[request] = stream
        return stream

    def of_request(self, request: RequestId) -> Stream:
        """The stream of a request in flight."""
        return self._of_request.get(request, self.standalone)

    def locate(self, event_id: str) -> tuple[Stream, int] | None:
        """Find the stream and the position of an event id; None for one that is unknown or not kept any more."""
        number, dash, position = event_id.partition("-")
        if not (dash and number.isascii() and number.isdigit() and position.isascii() and position.isdigit()):
            return None
        stream = self._numbered.get(int(number)) if len(number) < 20 and len(position) < 20 else None
        if stream is None or not stream.start <= int(position) <= stream.last:
            return None
        return stream, int(position)

    def finish(self, stream: Stream, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take the answer of a stream's request; where nobody waits any more it is kept if it can be resumed."""
        stream.finish(data, status, headers)
        if not stream.is_read and stream.is_streaming:
            self.retire(stream)
        elif not stream.is_read:
            self.drop(stream)

    def drop(self, stream: Stream) -> None:
        """Forget a stream that was answered with JSON: there is nothing to resume."""
        self._numbered.pop(stream.number, None)
        self._forget_requests(stream)

    def retire(self, stream: Stream) -> None:
        """Keep a stream that was delivered for a client that may not have got all of it; the oldest make room."""
        if stream is self.standalone or stream in self._retired:
            return
        self._forget_requests(stream)
        self._retired.append(stream)
        while len(self._retired) > MOST_STREAMS or (len(self._retired) > 1 and self._retired_bytes() > MOST_BYTES):
            self.drop(self._retired.popleft())

    def _retired_bytes(self) -> int:
        return sum(stream.size for stream in self._retired)

    def _forget_requests(self, stream: Stream) -> None:
        """The ids may serve other requests now."""
        for request in stream.requests:
            if self._of_request.get(request) is stream:
                del self._of_request[request]

    def close(self) -> None:
        """End every stream."""
        for stream in self._numbered.values():
            stream.is_finished = True
            stream.wake()
