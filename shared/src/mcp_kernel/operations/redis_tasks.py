"""Tasks that any process answers for: the work runs where it began, and the store knows where that is.

A task's entry in the store says who works on it, whose it is and how it stood last. Questions about a task that still
works go to its worker; a finished one is answered from the store. Where a worker's lease is over, the task has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from pydantic_core import from_json, to_json

from mcp_kernel.errors import INTERNAL_ERROR, ProtocolError
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, encode
from mcp_kernel.server.exchange import RETRY_SOON, Ending
from mcp_kernel.server.store import StoreGone, owner_of
from mcp_kernel.server.tasks import TaskRecord, TaskStore, asked_for, unknown_task

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink
    from mcp_kernel.server.exchange import Exchange, Sink
    from mcp_kernel.server.principal import Headers, Principal
    from mcp_kernel.server.server import Server

_DEAD: Final = "The process that worked on the task has ended before it had a result. Start it again"

# Once a task is finished nothing changes it. KEYS: the entry. ARGV: owner, principal, final ("0" or "1"), detail, ttl
# in milliseconds. Returns whether it was written.
_KEEP: Final = """
if redis.call('HGET', KEYS[1], 'final') == '1' then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'principal', ARGV[2], 'final', ARGV[3], 'detail', ARGV[4])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
return 1
"""


class _Kept(NamedTuple):
    """A task's entry in the store."""

    owner: str
    principal: str
    final: bool
    detail: JsonObject


class SharedTasks(TaskStore):
    """The tasks of one process, and the way to those of the others.

    Args:
        server: Whose tasks they are, with the limits of the store that they take the place of.
        link: The way to the store.
    """

    def __init__(self, server: Server, link: RedisLink) -> None:
        before = server.tasks
        super().__init__(self._note, ttl=before.ttl, most=before.most)
        self._server = server
        self._link = link
        self._keep = cast("Callable[..., Awaitable[int]]", link.redis.register_script(_KEEP))
        link.on("task.get", self._get_for)
        link.on("task.update", self._update_for)
        link.on("task.cancel", self._cancel_for)
        link.on("task.changed", self._hear)
        link.on_beat(self._look_after)
        link.on_return(self._keep_all)

    # --- what happens here ---

    def open(self, exchange: Exchange, message: str | None) -> TaskRecord:
        """Make a task of a request; its client gets the handle when every process can answer for it."""
        record = super().open(exchange, message)
        exchange.sink = _Announcement(record, exchange.sink, self._write(record))
        return record

    def _note(self, record: TaskRecord) -> None:
        """A task has changed: write it down before the others hear of it."""
        self._server.subscriptions.task_changed(record)
        detail = record.detail()
        self._link.later(lambda: self._write(record))
        self._link.tell("task.changed", {"id": record.id, "detail": detail})

    async def _write(self, record: TaskRecord) -> None:
        await self._link.ready()
        kept = _Kept(self._link.replica, owner_of(record.principal), record.is_finished, record.detail())
        await self._put(record.id, kept)

    async def _put(self, identifier: str, kept: _Kept) -> bool:
        values = [kept.owner, kept.principal, str(int(kept.final)), to_json(kept.detail), round(self.ttl * 1000)]
        key = self._link.key("t", identifier)
        return bool(await self._link.run(self._keep(keys=[key], args=values)))

    async def _keep_all(self) -> None:
        """The store is back, and may be empty."""
        for record in list(self._records.values()):
            await self._write(record)

    # --- what others ask of us ---

    def _own(self, body: JsonObject) -> TaskRecord | None:
        return self._records.get(cast("str", body["id"]))

    async def _get_for(self, body: JsonObject) -> JsonObject:
        record = self._own(body)
        return {} if record is None else {"detail": record.detail()}

    async def _update_for(self, body: JsonObject) -> JsonObject:
        record = self._own(body)
        if record is not None:
            record.answer(cast("JsonObject", body["responses"]))
        return {}

    async def _cancel_for(self, body: JsonObject) -> JsonObject:
        record = self._own(body)
        if record is not None:
            record.stop()
        return {}

    async def _hear(self, body: JsonObject) -> None:
        self._server.subscriptions.tell_task(cast("str", body["id"]), cast("JsonObject", body["detail"]))

    # --- what we ask of others ---

    async def sees(self, principal: Principal | None, identifier: str) -> bool:
        """Tell whether there is a task of that id for this principal, anywhere."""
        if identifier in self._records:
            return await super().sees(principal, identifier)
        kept = await self._load(identifier)
        return kept is not None and kept.principal == owner_of(principal)

    async def get(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/get`."""
        identifier = asked_for(exchange)
        if identifier in self._records:
            return await super().get(exchange)
        kept = await self._find_elsewhere(exchange, identifier)
        if kept.final:
            return kept.detail
        said = await self._link.ask(kept.owner, "task.get", {"id": identifier})
        if said:
            return cast("JsonObject", said["detail"])
        return (await self._judge(identifier, kept)).detail

    async def update(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/update`."""
        identifier = asked_for(exchange)
        if identifier in self._records:
            return await super().update(exchange)
        body: JsonObject = {"id": identifier, "responses": exchange.request.params["inputResponses"]}
        return await self._pass_on(exchange, "task.update", body)

    async def cancel(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/cancel`."""
        identifier = asked_for(exchange)
        if identifier in self._records:
            return await super().cancel(exchange)
        return await self._pass_on(exchange, "task.cancel", {"id": identifier})

    async def _pass_on(self, exchange: Exchange, kind: str, body: JsonObject) -> JsonObject:
        identifier = cast("str", body["id"])
        kept = await self._find_elsewhere(exchange, identifier)
        if kept.final or await self._link.ask(kept.owner, kind, body) is not None:
            return {}
        if not (await self._judge(identifier, kept)).final:
            raise StoreGone  # the worker lives, and does not hear us now
        return {}

    async def _find_elsewhere(self, exchange: Exchange, identifier: str) -> _Kept:
        kept = await self._load(identifier)
        if kept is None or kept.principal != owner_of(exchange.principal):
            raise unknown_task()
        return kept

    async def _load(self, identifier: str) -> _Kept | None:
        await self._link.ready()
        names = ["owner", "principal", "final", "detail"]
        found = await self._link.run(self._link.redis.hmget(self._link.key("t", identifier), names))  # pyright: ignore[reportArgumentType]  # typed for both kinds of client
        owner, principal, final, detail = cast("list[bytes | None]", found)
        if owner is None or principal is None or detail is None:
            return None
        return _Kept(owner.decode(), principal.decode(), final == b"1", from_json(detail))

    async def _judge(self, identifier: str, kept: _Kept) -> _Kept:
        """Return how a task stands whose worker does not answer: it has failed where that one is dead."""
        if await self._link.is_alive(kept.owner):
            return kept
        failure = {"code": INTERNAL_ERROR, "message": _DEAD}
        detail = {**kept.detail, "status": "failed", "statusMessage": _DEAD, "error": failure}
        detail.pop("inputRequests", None)
        failed = kept._replace(final=True, detail=detail)
        if not await self._put(identifier, failed):
            return await self._load(identifier) or failed  # another was quicker
        self._server.subscriptions.tell_task(identifier, detail)
        self._link.tell("task.changed", {"id": identifier, "detail": detail})
        return failed

    async def _look_after(self) -> None:
        """Somebody listens here to tasks of others, whose workers may have died."""
        for identifier in self._server.subscriptions.tasks - self._records.keys():
            kept = await self._load(identifier)
            if kept is not None and not kept.final:
                await self._judge(identifier, kept)

    def _abandon(self, record: TaskRecord) -> None:
        """The process ends: whoever asks another one hears that the task has failed."""
        record.fail(ProtocolError(INTERNAL_ERROR, _DEAD))


class _Announcement:
    """The sink of a request that becomes a task: holds the handle until the store has the task."""

    def __init__(self, record: TaskRecord, sink: Sink, writing: object) -> None:
        self._record = record
        self._sink = sink
        self._writing = asyncio.ensure_future(cast("asyncio.Future[None]", writing))

    def __call__(self, data: bytes | None, status: int, headers: Headers = (), /) -> None:
        self._writing.add_done_callback(lambda _: self._go_on(data, status, headers))

    def _go_on(self, data: bytes | None, status: int, headers: Headers) -> None:
        error = None if self._writing.cancelled() else self._writing.exception()
        if error is None:
            self._sink(data, status, headers)
            return
        gone = error if isinstance(error, StoreGone) else StoreGone()
        exchange = self._record.exchange
        if exchange is not None:
            exchange.stop(Ending.CLOSED)
        identifier = None if exchange is None else exchange.request.id
        self._sink(encode(Failure(identifier, gone.code, gone.message, status=gone.status)), gone.status, (RETRY_SOON,))
