"""One request in flight: everything in which the eras differ meets in this class and its two subclasses.

The subclasses are `exchange_legacy.LegacyExchange` and `exchange_modern.ModernExchange`.

A handler, and the methods of `dispatch`, talk to an `Exchange` and never learn which of the two it is.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextvars import ContextVar
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar, cast

from mcp_kernel.errors import (
    INTERNAL_ERROR,
    MISSING_CAPABILITY,
    ProtocolError,
    Unsupported,
)
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    JsonObject,
    Notification,
    Prepared,
    Request,
    Response,
    encode,
    encode_result,
)
from mcp_kernel.protocol.shapes import ASKING, LOG_LEVELS
from mcp_kernel.server.results import ToolResult, error_result

if TYPE_CHECKING:
    from mcp_kernel.protocol.capabilities import Caller
    from mcp_kernel.server.access import View
    from mcp_kernel.server.peer import Peer
    from mcp_kernel.server.principal import Headers
    from mcp_kernel.server.questions import Question, Root

T = TypeVar("T")

_NO_TABLES: Final[frozenset[str]] = frozenset()
_NO_PROGRESS: Final = float("-inf")
_UNAVAILABLE: Final = 503  # HTTP
RETRY_SOON: Final = (b"retry-after", b"5")
"""The header of an answer with that status, which is about something that will pass."""
_LAST_WORDS: Final = 1.0  # seconds in which a handler that was stopped may tidy up before it is answered for


class Sink(Protocol):
    """Takes the one answer to a request, None when there is none to give; `status` and `headers` are HTTP's."""

    def __call__(self, data: bytes | None, status: int, headers: Headers = (), /) -> None: ...


class Ending(Enum):
    """Why a handler was cancelled."""

    CANCELLED = "cancelled"  # the client took the request back: no answer
    CLOSED = "closed"  # the connection is gone: nobody to answer
    TIMED_OUT = "timed out"
    PARKED = "parked"  # the answer is the handler's questions (modern)


SERVED: Final[ContextVar[Exchange | None]] = ContextVar("mcp_kernel.served", default=None)
"""The request whose handler runs here; tasks and threads that the handler starts have it too."""


class TaskOffer(NamedTuple):
    """What a tool says of tasks: after how many seconds its call becomes one, and how many its work may take then.

    0 is at once, before the handler runs; None leaves it to the handler, or the work without a limit.
    """

    after: float | None
    limit: float | None


class Exchange(ABC):
    """One request, from its arrival to its answer."""

    __slots__ = (
        "_deadline",
        "_progress",
        "_remaining",
        "_timer",
        "_waiting",
        "answered",
        "arrival",
        "asked",
        "budget",
        "caller",
        "denied_tables",
        "ending",
        "headers",
        "limit",
        "offer",
        "peer",
        "principal",
        "refusal",
        "request",
        "ruling",
        "sink",
        "task",
        "trace_id",
    )

    def __init__(self, peer: Peer, request: Request, caller: Caller, sink: Sink) -> None:
        self.peer = peer
        self.principal = peer.principal  # of this request: a session's next one may come with a fresher token
        self.arrival = peer.arrival  # None where it did not come over HTTP
        self.trace_id: str | None = None  # by which what is logged and traced of it is found, once anything is
        self.request = request
        self.caller = caller
        self.sink = sink
        self.headers: Headers = ()  # that go with the answer over HTTP
        self.denied_tables = _NO_TABLES  # that do not exist for this request
        server = peer.server
        self.limit = server.timeout  # seconds for the handler; None: no limit
        self.ruling: float | None = None  # seconds that the operator gives this call, whatever its tool says
        self.budget = server.max_output_bytes  # the most bytes of a tool's result; 0: no limit
        self.refusal: str | None = None  # which stage refused the request, in a word or two
        self.offer: TaskOffer | None = None  # None: this request never becomes a task
        self.task: asyncio.Task[None] | None = None
        self.ending: Ending | None = None
        self.answered = False
        self.asked: dict[str, asyncio.Future[Response | Failure]] | None = None  # by key: what waits for the answer
        self._progress = _NO_PROGRESS
        self._timer: asyncio.TimerHandle | None = None
        self._remaining: float | None = None
        self._deadline = 0.0
        self._waiting = 0

    @property
    def view(self) -> View | None:
        """What of the server whoever asks may use; None where there is no policy."""
        policy = self.peer.server.policy
        return None if policy is None else policy.view(self.principal)

    @property
    def address(self) -> str | None:
        """Where the request came from, where that is known."""
        return None if self.arrival is None else self.arrival.address

    # --- the answer ---

    def finish(self, result: JsonObject | Prepared | ToolResult) -> None:
        """Send the answer."""
        if type(result) is ToolResult:
            self._deliver(self._render(result))
        elif type(result) is dict:
            self._deliver(self.complete(result))
        else:
            self._deliver(result)  # pyright: ignore[reportArgumentType]  # it was prepared; a cast is a call

    def _deliver(self, result: JsonObject | Prepared) -> None:
        self._send(encode_result(self.request.id, result))

    def fail(self, error: ProtocolError) -> None:
        """Send the error as the answer."""
        error = self.lower(error)
        failure = Failure(self.request.id, error.code, error.message, error.data, error.status)
        if error.status == _UNAVAILABLE:
            self.headers = (*self.headers, RETRY_SOON)
        self._send(encode(failure), error.status)

    def lower(self, error: ProtocolError) -> ProtocolError:
        """Bring an error into the form of the era."""
        return error

    def refuse(self, error: Unsupported) -> None:
        """Answer that the client lacks the capability that the request needs."""
        refusal = self.describe_lack(error)
        if isinstance(refusal, ProtocolError):
            self.fail(refusal)
        else:
            self.finish(refusal)

    def describe_lack(self, error: Unsupported) -> ProtocolError | ToolResult:
        """What a client is told that lacks a capability."""
        data = {"requiredCapabilities": error.required}
        return ProtocolError(MISSING_CAPABILITY, str(error), data, status=400)

    def _send(self, data: bytes, status: int = 200) -> None:
        if not self.answered:
            self.answered = True
            self.sink(data, status, self.headers)

    @abstractmethod
    def complete(self, result: JsonObject) -> JsonObject:
        """Bring a complete result into the form of the era."""

    @abstractmethod
    def describe(self, item: JsonObject) -> JsonObject:
        """Bring a description (of a tool, a resource, …) into the form of the revision."""

    @abstractmethod
    def _render(self, result: ToolResult) -> JsonObject | Prepared: ...

    # --- what happens on the way ---

    def notify(self, method: str, params: JsonObject) -> None:
        """Send a notification that belongs to this request; after the answer there is none."""
        if not self.answered and self.ending is None:
            self.peer.tell(Notification(method, params), self)

    def report(self, progress: float, total: float | None, message: str | None) -> None:
        """Send progress, if the client asked for it; it only ever rises (basic/patterns/progress)."""
        meta = self.request.params.get("_meta")
        token = cast("JsonObject", meta).get("progressToken") if type(meta) is dict else None
        if type(token) not in (str, int) or not (isfinite(progress) and progress > self._progress):
            return
        self._progress = progress
        params: JsonObject = {"progressToken": token, "progress": progress}
        if total is not None and isfinite(total):
            params["total"] = total
        if message is not None:
            params["message"] = message
        self.notify("notifications/progress", params)

    def log(self, level: str, data: object, logger: str | None) -> None:
        """Send a log message, if the client wants to hear of this level."""
        threshold = self.log_level
        if threshold is None or LOG_LEVELS.index(level) < LOG_LEVELS.index(threshold):
            return
        params: JsonObject = {"level": level, "data": data}
        if logger is not None:
            params["logger"] = logger
        self.notify("notifications/message", params)

    async def drain(self) -> None:
        """Wait while the client does not read what this request has to say; after its answer that is nothing."""
        if not self.answered:
            await asyncio.sleep(0)  # a handler that only ever reports lets the others run
            await self.peer.drain()

    @property
    @abstractmethod
    def log_level(self) -> str | None:
        """The level from which on the client wants to hear log messages; None: none at all."""

    # --- questions ---

    async def ask(self, question: Question[T]) -> T:
        """Ask the client and return the answer.

        Raises `Unsupported` when the client did not declare the capability, `Declined` when the user said no,
        `ToolError` when no answer could be had. A key can be asked once in a call.
        """
        self._check(question)
        if self.asked is None:
            self.asked = {}
        if question.key in self.asked:
            raise RuntimeError(f"The question {question.key!r} was asked twice; give each its own key")
        self.asked[question.key] = self.peer.loop.create_future()
        return await self._ask(question)

    def _check(self, question: Question[T]) -> None:
        """Refuse what cannot be asked: raises as `ask`."""
        if self.request.method not in ASKING:
            raise RuntimeError(f"{self.request.method} cannot ask the client anything")
        if self.ending is not None or self.done:
            raise asyncio.CancelledError  # a handler that swallowed its end, or left a task behind
        form = question.params.get("requestedSchema")
        if not self.caller.supports(question.required) or not self.caller.can_show(form):
            raise Unsupported(question.required)

    async def find_roots(self, question: Question[list[Root]]) -> list[Root]:
        """Return the client's roots, asked for or as the session knows them; raises as `ask`."""
        return await self.ask(question)

    @abstractmethod
    async def _ask(self, question: Question[T]) -> T: ...

    # --- tasks ---

    @property
    def takes_tasks(self) -> bool:
        """Whether the client may be answered with a task."""
        return False

    def offer_task(self, offer: TaskOffer) -> None:
        """Allow the request to become a task; raises `ToolError` when it should now and there are too many."""
        self.offer = offer

    async def become_task(self, message: str | None) -> None:
        """Answer with a task, if the client takes one and has none yet; raises as `offer_task`.

        Raises `RuntimeError` where no task was offered: the server has not declared that it has any.
        """
        if self.offer is None:
            raise RuntimeError('Declare the tool with task="allowed" or task="required" before it becomes a task')

    # --- time and ends ---

    @property
    def done(self) -> bool:
        """Whether nothing is wanted of the handler any more: its result was taken."""
        return self.answered

    def arm(self, seconds: float | None) -> None:
        """Give the handler so much time from now on, not counting the time in which it waits for a person."""
        if self._waiting:
            self._remaining = seconds
        elif seconds is not None and self.ending is None and not self.done:
            loop = self.peer.loop
            self._deadline = loop.time() + seconds
            self._timer = loop.call_later(seconds, self.stop, Ending.TIMED_OUT)

    def give(self, seconds: float | None) -> None:
        """Let the handler's time be another, counted from now."""
        self.limit = seconds
        if self.task is not None:  # else the clock does not run yet
            self.disarm()
            self.arm(seconds)

    @property
    def is_paused(self) -> bool:
        """Whether a person is asked, and nothing is done until the answer comes."""
        return self._waiting > 0

    def pause(self) -> None:
        """A person is asked, who may take longer to answer than a handler may take to run."""
        self._waiting += 1
        self.disarm()

    def go_on(self) -> None:
        """The answer has come, or nobody waits for it any more."""
        self._waiting -= 1
        if not self._waiting:
            self.arm(self._remaining)

    def disarm(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._remaining = max(self._deadline - self.peer.loop.time(), 0.0)
            self._timer.cancel()
            self._timer = None

    def stop(self, ending: Ending) -> None:
        """Cancel the handler; the first reason given counts."""
        if self.ending is None and not self.done:
            self.ending = ending
            self.disarm()
            if self.task is not None:
                self.task.cancel()
                self._timer = self.peer.loop.call_later(_LAST_WORDS, self.settle)

    def settle(self) -> None:
        """The handler has ended, or will not: answer for it if it was stopped and an answer is due."""
        if self._timer is not None:
            self.disarm()
        if self.answered and self.ending is None and self.asked is None:
            return
        for waiter in (self.asked or {}).values():
            waiter.cancel()  # of a task that the handler left behind
        if self.ending is Ending.TIMED_OUT:
            self.time_out()
        elif self.ending is Ending.PARKED:
            self.park()
        if not self.answered:
            self.answered = True
            self.sink(None, 200)

    def time_out(self) -> None:
        """Answer that the time was over."""
        text = f"{self.request.params.get('name', self.request.method)} did not finish in time and was stopped."
        if self.request.method == "tools/call":
            self.finish(error_result(f"{text} Ask for less, or try again later."))
        else:
            self.fail(ProtocolError(INTERNAL_ERROR, text))

    def park(self) -> None:
        """Answer with the questions that the handler waits for."""
        raise AssertionError("only a stateless request is parked")
