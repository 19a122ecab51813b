"""Sessions in Redis: a hash for each and a set of its subscriptions, and a Redis stream for each of its streams.

All of it is text and JSON. An event's id is its position, moved by one so that the opening of a stream has one too;
Redis refuses an id that is not above the last, and so a second writer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Final, cast

from pydantic_core import from_json, to_json
from redis.exceptions import ResponseError

from mcp_kernel.server.store import Place, SavedSession

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink
    from mcp_kernel.protocol.jsonrpc import RequestId

# A session that has ended stays so: what is written to it late finds no key. KEYS: the hash, the subscriptions.
_CHANGE: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[1])
local more = tonumber(ARGV[2])
for i = 3, #ARGV do
    if i - 2 <= more then redis.call('SADD', KEYS[2], ARGV[i]) else redis.call('SREM', KEYS[2], ARGV[i]) end
end
redis.call('PEXPIRE', KEYS[2], redis.call('PTTL', KEYS[1]))
return 1
"""
# KEYS: the hash. ARGV: the new home; whether only one of none may be given one. Returns all fields as they were.
_MOVE: Final = """
local before = redis.call('HGETALL', KEYS[1])
if #before > 0 and (ARGV[2] == '0' or redis.call('HGET', KEYS[1], 'home') == '') then
    redis.call('HSET', KEYS[1], 'home', ARGV[1])
end
return before
"""
_DELIVER: Final = "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'delivered', ARGV[1]) end"
_BEHIND: Final = "specified in XADD is equal or smaller"  # what Redis says of an id that is not above the last
_KEPT_SECONDS: Final = 1800  # a stream after its last event
_ENDED_SECONDS: Final = 300  # a stream that is complete


class RedisSessions:
    """The sessions of all processes at one store; `server.store.Sessions` says what each method does."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._redis = link.redis
        self._change = cast("Callable[..., Awaitable[int]]", link.redis.register_script(_CHANGE))
        self._move = cast("Callable[..., Awaitable[list[bytes]]]", link.redis.register_script(_MOVE))
        self._deliver = cast("Callable[..., Awaitable[None]]", link.redis.register_script(_DELIVER))

    def _key(self, identifier: str, *more: str) -> str:
        return self._link.key("s", identifier, *more)

    # --- sessions ---

    async def save(self, identifier: str, saved: SavedSession, idle: float) -> None:
        """Write down a new session."""
        await self._link.ready()
        fields = {"owner": saved.owner, "state": to_json(saved.state), "home": saved.home, "delivered": 0}
        async with self._redis.pipeline() as commands:
            commands.hset(self._key(identifier), mapping=fields)  # pyright: ignore[reportArgumentType]  # its type is invariant
            commands.pexpire(self._key(identifier), _milliseconds(idle))
            await self._link.run(commands.execute())

    async def load(self, identifier: str, idle: float) -> SavedSession | None:
        """Return a session and count that as a use of it."""
        await self._link.ready()
        key, uris = self._key(identifier), self._key(identifier, "u")
        async with self._redis.pipeline() as commands:
            commands.hgetall(key)
            commands.smembers(uris)
            for each in (key, uris):
                commands.pexpire(each, _milliseconds(idle))
            found = cast(
                "tuple[dict[bytes, bytes], set[bytes], object, object]", await self._link.run(commands.execute())
            )
        return _read(found[0], frozenset(uri.decode() for uri in found[1]))

    async def change(self, identifier: str, saved: SavedSession, gone: frozenset[str]) -> bool:
        """Write down a session's state and its subscriptions."""
        values = [to_json(saved.state), len(saved.subscriptions), *saved.subscriptions, *gone]
        keys = [self._key(identifier), self._key(identifier, "u")]
        return bool(await self._link.run(self._change(keys=keys, args=values)))

    async def move(self, identifier: str, home: str, *, from_nowhere: bool = False) -> SavedSession | None:
        """Make a process the home of a session."""
        values = [home, int(from_nowhere)]
        flat = await self._link.run(self._move(keys=[self._key(identifier)], args=values))
        return _read(dict(zip(flat[::2], flat[1::2], strict=True)), frozenset())

    async def delete(self, identifier: str) -> None:
        """Forget a session, and the stream of its own; those of requests expire."""
        keys = (self._key(identifier), self._key(identifier, "u"), self._key(identifier, "e", "0"))
        await self._link.run(self._redis.delete(*keys))

    async def touch(self, identifiers: Iterable[str], idle: float) -> None:
        """Count as used what is in use."""
        async with self._redis.pipeline(transaction=False) as commands:
            for identifier in identifiers:
                for key in (self._key(identifier), self._key(identifier, "u")):
                    commands.pexpire(key, _milliseconds(idle))
            await self._link.run(commands.execute())

    def deliver(self, identifier: str, position: int) -> None:
        """Note how far a session's own stream was read."""
        self._link.later(lambda: self._link.run(self._deliver(keys=[self._key(identifier)], args=[position])))

    # --- streams ---

    def begin(self, place: Place, requests: Sequence[RequestId]) -> None:
        """Say of which requests a stream is."""
        self._link.later(lambda: self._add(place, {"r": to_json(requests)}))

    async def requests(self, place: Place) -> list[RequestId]:
        """Return of which requests a stream is."""
        key = self._key(place.session, "e", place.stream)
        found = await self._link.run(self._redis.xrange(key, "0-1", "0-1"))
        opening = cast("list[tuple[bytes, dict[bytes, bytes]]]", found)
        return from_json(opening[0][1].get(b"r", b"[]")) if opening else []

    def append(self, place: Place, data: bytes, done: Callable[[], None]) -> None:
        """Write an event."""

        async def write() -> None:
            try:
                if self._link.is_reached:
                    await self._add(place, {"d": data})
            finally:
                done()

        if not self._link.later(write, in_any_case=True):
            done()

    def end(self, place: Place) -> None:
        """Say that a stream has come to its end."""
        self._link.later(lambda: self._add(place, {"e": b""}))

    async def _add(self, place: Place, fields: dict[str, bytes]) -> None:
        key = self._key(place.session, "e", place.stream)
        async with self._redis.pipeline() as commands:
            commands.xadd(key, fields, f"0-{place.position + 1}")  # pyright: ignore[reportArgumentType]  # its type is invariant
            commands.expire(key, _ENDED_SECONDS if "e" in fields else _KEPT_SECONDS)
            if place.start:
                commands.xtrim(key, minid=f"0-{place.start + 2}", approximate=False)
            await self._link.run(_unless_behind(commands.execute()))

    async def span(self, place: Place) -> tuple[int, int] | None:
        """Return the positions behind which a stream can be resumed."""
        key = self._key(place.session, "e", place.stream)
        async with self._redis.pipeline() as commands:
            commands.xrange(key, count=1)
            commands.xrevrange(key, count=1)
            first, last = cast("list[list[tuple[bytes, object]]]", await self._link.run(commands.execute()))
        if not first or not last:
            return None
        return max(_position(first[0][0]) - 1, 0), _position(last[0][0])

    async def read(self, place: Place, seconds: float) -> tuple[list[tuple[int, bytes]], bool]:
        """Return the events behind a place."""
        key, block = self._key(place.session, "e", place.stream), _milliseconds(seconds) or None
        found = await self._link.run(self._redis.xread({key: f"0-{place.position + 1}"}, block=block))
        streams = cast("list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]", found)
        entries = streams[0][1] if streams else []
        events = [(_position(name), fields[b"d"]) for name, fields in entries if fields.get(b"d")]
        return events, any(b"e" in fields for _, fields in entries)


def _read(fields: dict[bytes, bytes], subscriptions: frozenset[str]) -> SavedSession | None:
    if not fields.keys() >= {b"owner", b"state", b"home"}:
        return None
    return SavedSession(
        fields[b"owner"].decode(),
        from_json(fields[b"state"]),
        subscriptions,
        fields[b"home"].decode(),
        int(fields.get(b"delivered", 0)),
    )


async def _unless_behind(command: Awaitable[object]) -> None:
    """Write where the stream has not got another home, nor gone on while the store was gone.

    It is asked before the link sees the refusal: a store that refuses a second writer is there.
    """
    try:
        await command
    except ResponseError as error:
        if _BEHIND not in str(error):
            raise


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _position(name: bytes) -> int:
    return int(name.partition(b"-")[2]) - 1
