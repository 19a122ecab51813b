"""The tasks extension (`io.modelcontextprotocol/tasks`): work that outlives the request that asked for it.

A call that becomes a task is answered with a handle at once; from then on its work belongs to the `TaskStore`. No
connection that closes ends it: `tasks/cancel`, its own time limit, its time to live and the end of the server do.
What happens meanwhile is told to whoever asks with `tasks/get`, or listens to that task by its id.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias, TypeVar, cast

from mcp_kernel.errors import INVALID_PARAMS, Declined, ProtocolError, ToolError, Unsupported
from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject, Response
from mcp_kernel.server.exchange import Ending

if TYPE_CHECKING:
    from mcp_kernel.protocol.jsonrpc import Failure
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.principal import Principal
    from mcp_kernel.server.questions import Question

T = TypeVar("T")

Status: TypeAlias = Literal["working", "input_required", "completed", "failed", "cancelled"]
Waiter: TypeAlias = "asyncio.Future[Response | Failure]"

_POLL_INTERVAL: Final = 1000  # milliseconds that a client should wait before it asks again
_FAREWELL: Final = 0.5  # seconds that the work has for its end when the server closes


class _Asked(NamedTuple):
    question: Question[object]
    waiter: Waiter


class TaskRecord:
    """One task: what the client is told of it, and the questions that its work waits for.

    `id` is a secret of 128 bits; `principal` is who may use it. Once a task is finished nothing changes it.
    """

    __slots__ = (
        "_asked",
        "_changed",
        "_clock",
        "_created",
        "_outcome",
        "_ttl",
        "_updated",
        "exchange",
        "expiry",
        "id",
        "message",
        "principal",
        "status",
    )

    def __init__(
        self, exchange: Exchange, ttl: float, clock: Callable[[], float], changed: Callable[[TaskRecord], None]
    ) -> None:
        self.id = os.urandom(16).hex()
        self.exchange: Exchange | None = exchange  # whose handler does the work; None once that has ended
        self.principal = exchange.principal
        self.status: Status = "working"
        self.message: str | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self._ttl = ttl
        self._clock = clock
        self._changed = changed
        self._created = self._updated = clock()
        self._asked: dict[str, _Asked] = {}
        self._outcome: JsonObject = {}

    # --- what the client is told ---

    def describe(self) -> JsonObject:
        """The wire's `Task`; times are ISO 8601 in UTC."""
        task: JsonObject = {
            "taskId": self.id,
            "status": self.status,
            "createdAt": _write_time(self._created),
            "lastUpdatedAt": _write_time(self._updated),
            "ttlMs": max(round(self._ttl * 1000), 1),
            "pollIntervalMs": _POLL_INTERVAL,
        }
        if self.message is not None:
            task["statusMessage"] = self.message
        return task

    def detail(self) -> JsonObject:
        """The wire's `DetailedTask`: with the open questions, the result or the error, as the status has it."""
        task = {**self.describe(), **self._outcome}
        if self.status == "input_required":
            task["inputRequests"] = {key: asked.question.to_wire() for key, asked in self._asked.items()}
        return task

    @property
    def is_finished(self) -> bool:
        """Whether the status is a last one."""
        return self.status in ("completed", "failed", "cancelled")

    # --- what the work says ---

    def tell(self, message: str | None) -> None:
        """Say how the work stands, without a notification: progress may come often."""
        if not self.is_finished:
            self.message = message
            self._updated = self._clock()

    def report(self, progress: float, total: float | None, message: str | None) -> None:
        """Progress of a task has no notification, so it becomes the status message."""
        self.tell(message or (f"{progress:.15g}" if total is None else f"{progress:.15g} of {total:.15g}"))

    async def ask(self, question: Question[T], waiter: Waiter) -> T:
        """Put a question into the task and wait for `tasks/update` to answer it; raises `Declined`."""
        self._asked[question.key] = _Asked(cast("Question[object]", question), waiter)
        self._look_again()
        try:
            answer = await waiter
        finally:
            if self._asked.pop(question.key, None) is not None:
                self._look_again()
        return question.read(cast("Response", answer).result)

    def complete(self, result: JsonObject) -> None:
        """The work has a result: exactly that of the call, `isError` or not."""
        self._finish("completed", None, {"result": result})

    def fail(self, error: ProtocolError) -> None:
        """The work ended with a JSON-RPC error."""
        failure: JsonObject = {"code": error.code, "message": error.message}
        if error.data is not None:
            failure["data"] = error.data
        self._finish("failed", error.message, {"error": failure})

    def cancel(self) -> None:
        """The work was stopped and has ended, or has had its time for it."""
        self._finish("cancelled", "The task was cancelled before it had a result", {})

    # --- what the client says ---

    def answer(self, responses: JsonObject) -> None:
        """Take the answers to open questions; other keys are ignored, and what is no answer leaves its question."""
        for key, given in responses.items():
            asked = self._asked.get(key)
            if asked is None or not isinstance(given, dict):
                continue
            fields = cast("JsonObject", given)
            if not asked.waiter.done() and _is_answer(asked.question, fields):
                del self._asked[key]
                asked.waiter.set_result(Response(key, fields))
                self._look_again()

    def stop(self) -> None:
        """Tell the work to stop; the status follows when it has."""
        if self.exchange is not None:
            self.exchange.stop(Ending.CANCELLED)

    def _look_again(self) -> None:
        """What is asked has changed, and the status with it."""
        if not self.is_finished:
            self.status = "input_required" if self._asked else "working"
            self._updated = self._clock()
            self._changed(self)

    def _finish(self, status: Status, message: str | None, outcome: JsonObject) -> None:
        if not self.is_finished:
            self.status, self.message, self._outcome = status, message, outcome
            self.exchange = None
            self._asked.clear()
            self._updated = self._clock()
            self._changed(self)


class TaskStore:
    """The tasks of a server, in the memory of this process.

    Args:
        changed: Told of each change of a task's status, or of its questions.
        ttl: Seconds, counted from its creation, after which a task is forgotten, and stopped if it still works.
        most: How many tasks are kept; the oldest finished one makes room for another, of the same principal's first.
            Half of them may work for one principal, so that nobody takes all of them from the others.
        clock: The time of day, in seconds since 1970.
    """

    def __init__(
        self,
        changed: Callable[[TaskRecord], None],
        *,
        ttl: float = 3600.0,
        most: int = 1000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._changed = changed
        self.ttl = ttl
        self.most = most
        self._clock = clock
        self._records: dict[str, TaskRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def open(self, exchange: Exchange, message: str | None) -> TaskRecord:
        """Make a task of a request, with its first status message; raises `ToolError` when too many work."""
        self._hold_to_share(exchange.principal)
        if len(self._records) >= self.most:
            self._make_room(exchange.principal)
        record = TaskRecord(exchange, self.ttl, self._clock, self._changed)
        record.message = message
        record.expiry = exchange.peer.loop.call_later(self.ttl, self._expire, record)
        self._records[record.id] = record
        return record

    async def sees(self, principal: Principal | None, identifier: str) -> bool:
        """Tell whether there is a task of that id for this principal."""
        record = self._records.get(identifier)
        return record is not None and record.principal == principal

    # --- methods ---

    async def get(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/get`."""
        return self._find(exchange).detail()

    async def update(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/update`; a coroutine, because answers from outside are read here and may go wrong."""
        self._find(exchange).answer(cast("JsonObject", exchange.request.params["inputResponses"]))
        return {}

    async def cancel(self, exchange: Exchange) -> JsonObject:
        """Answer `tasks/cancel`: the work is told to stop, and the status follows when it has."""
        self._find(exchange).stop()
        return {}

    def _find(self, exchange: Exchange) -> TaskRecord:
        """Raises `Unsupported` without the extension, and `ProtocolError` -32602 that does not tell why."""
        record = self._records.get(asked_for(exchange))
        if record is None or record.principal != exchange.principal:
            raise unknown_task()
        return record

    # --- ends ---

    def _hold_to_share(self, principal: Principal | None) -> None:
        if principal is None:
            return  # nobody is told from another
        share = (self.most + 1) // 2
        if sum(each.principal == principal and not each.is_finished for each in self._records.values()) >= share:
            raise ToolError(f"The server works on {share} tasks of yours already. Try again when one has finished.")

    def _make_room(self, principal: Principal | None) -> None:
        finished = [record for record in self._records.values() if record.is_finished]
        if not finished:
            raise ToolError(f"The server works on {self.most} tasks already. Try again when one of them has finished.")
        self._forget(next((record for record in finished if record.principal == principal), finished[0]))

    def _expire(self, record: TaskRecord) -> None:
        self._forget(record)
        if record.exchange is not None:
            record.exchange.stop(Ending.TIMED_OUT)

    def _forget(self, record: TaskRecord) -> None:
        del self._records[record.id]
        if record.expiry is not None:
            record.expiry.cancel()

    async def close(self) -> None:
        """Stop what works and forget everything."""
        running: list[asyncio.Task[None]] = []
        for record in list(self._records.values()):
            self._forget(record)
            if (work := record.exchange) is not None:
                work.stop(Ending.CLOSED)
                running += [work.task] if work.task is not None else []
                self._abandon(record)
        if running:
            await asyncio.wait(running, timeout=_FAREWELL)

    def _abandon(self, record: TaskRecord) -> None:
        """The work of a task ends with this process; in memory so does all that is known of it."""


def asked_for(exchange: Exchange) -> str:
    """Return the id of the task that a request names; raises `Unsupported` without the extension."""
    if not exchange.takes_tasks:
        raise Unsupported(TASKS)
    return cast("str", exchange.request.params["taskId"])


def unknown_task() -> ProtocolError:
    """The one answer to ids that are unknown, another's or forgotten."""
    return ProtocolError(INVALID_PARAMS, "Task not found: no task of yours has this id, or its time is over")


def _is_answer(question: Question[object], given: JsonObject) -> bool:
    try:
        question.read(given)
    except Declined:
        return True
    except ValueError:
        return False
    return True


def _write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
