"""A conversation with one server: the calls in flight on a link, and what comes in between.

What differs between a server with sessions and one without is in the two subclasses, `session.Session` and
`stateless.Stateless`.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, TypeVar, cast

from mcp_kernel.client.answers import Answers
from mcp_kernel.client.failures import (
    ClientError,
    ConnectionLost,
    InvalidAnswer,
    ServerRefused,
    SessionOver,
    TimedOut,
)
from mcp_kernel.client.link import Link, Waiter
from mcp_kernel.client.tracing import trace_heard, trace_sent
from mcp_kernel.protocol.calls import Calls
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    JsonObject,
    Message,
    Notification,
    Request,
    RequestId,
    Response,
    encode,
)

T = TypeVar("T")

_LOG = logging.getLogger("mcp_kernel.client")

# Takes what is done, the total where it is known, and a message.
ProgressCallback: TypeAlias = Callable[[float, float | None, str | None], object]
# Calls a host's function with what follows it.
CallBack: TypeAlias = Callable[..., None]
# Takes the method and the params of a notification, and what calls the host's functions.
Notice: TypeAlias = Callable[[str, JsonObject, CallBack], None]

# Takes who sends it, "client" or "server", and the bytes of one message, as they are on the wire.
MessageCallback: TypeAlias = Callable[[Literal["client", "server"], bytes], object]

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
REOPENED: Final = "reopened"  # the notice that there was a gap, in which changes went unheard
_NOISE: Final = 20  # things that are no messages, remembered for whoever asks what is wrong


@dataclass(frozen=True, slots=True)
class Profile:
    """What a client says of itself, and how it answers."""

    info: JsonObject
    capabilities: JsonObject
    answers: Answers
    log_level: str | None = None
    on_message: MessageCallback | None = None


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What a server says of itself; none of it is verified."""

    name: str
    version: str
    revision: str
    title: str | None
    instructions: str | None
    capabilities: JsonObject

    @classmethod
    def read(cls, revision: str, info: object, result: JsonObject) -> ServerDescription:
        """Read the result of `initialize` or `server/discover`."""
        fields = cast("JsonObject", info) if isinstance(info, dict) else {}
        declared = result.get("capabilities")
        title, instructions = fields.get("title"), result.get("instructions")
        return cls(
            str(fields.get("name", "")),
            str(fields.get("version", "")),
            revision,
            title if isinstance(title, str) else None,
            instructions if isinstance(instructions, str) else None,
            cast("JsonObject", declared) if isinstance(declared, dict) else {},
        )

    def supports(self, *path: str) -> bool:
        """Tell whether a capability was declared: `supports("resources", "subscribe")`."""
        level = self.capabilities
        for name in path:
            declared = level.get(name)
            if declared is None or declared is False:
                return False
            level = cast("JsonObject", declared) if isinstance(declared, dict) else {}
        return True


@dataclass(frozen=True, slots=True)
class Interest:
    """What a host wants to hear of: whether the lists change, and these resources."""

    lists: bool = False
    uris: frozenset[str] = frozenset()


class Conversation(ABC):
    """One server, with whom a revision was agreed on."""

    server: ServerDescription
    sign_of_life: str
    """The method that costs the server nothing."""

    def __init__(self, link: Link, profile: Profile, notice: Notice, calls: Calls[Waiter] | None = None) -> None:
        self.link = link
        self.calls: Calls[Waiter] = calls if calls is not None else Calls()
        self.lost: ConnectionLost | None = None
        self.noise: deque[str] = deque(maxlen=_NOISE)
        self._profile = profile
        self._notice = notice
        self._progress: dict[RequestId, ProgressCallback] = {}
        self._tasks: set[asyncio.Future[object]] = set()

    # --- calling ---

    async def request(
        self,
        method: str,
        params: JsonObject | None = None,
        *,
        timeout: float | None = None,
        progress: ProgressCallback | None = None,
        headers: Mapping[str, str] = NO_HEADERS,
        begun: Callable[[RequestId], None] | None = None,
    ) -> JsonObject:
        """Send one request and return its result; `begun` is told its id before it is sent.

        Raises `ServerRefused` for a JSON-RPC error, `TimedOut` after `timeout` seconds, `ConnectionLost` and its kin
        where no answer will come, `InvalidAnswer` for one that is none.
        """
        waiter: Waiter = asyncio.get_running_loop().create_future()
        dressed = self._dress(self.calls.open(method, params or {}, waiter), progress is not None)
        with trace_sent(dressed, self.link, self._revision) as call:
            request = call.message
            if progress is not None:
                self._progress[request.id] = progress
            if begun is not None:
                begun(request.id)
            self._note_own(request)
            try:
                async with asyncio.timeout(timeout):
                    await self.link.deliver(request, waiter, headers)
            except TimeoutError:
                self._withdraw(request, "No answer in time")
                raise TimedOut(f"{method} was not answered in {timeout:g} s.{self._heard}") from None
            except asyncio.CancelledError:
                self._withdraw(request, "The caller does not wait any more")
                raise
            finally:
                self._progress.pop(request.id, None)
                self.calls.settle(request.id)
                if waiter.done() and not waiter.cancelled():
                    waiter.exception()  # looked at, so that nobody complains where the link itself said what happened
            answer = waiter.result()
            if isinstance(answer, Failure):
                raise ServerRefused(answer.code, answer.message, answer.data, answer.status)
            return call.end(self._check(method, answer.result))

    @property
    def _revision(self) -> str | None:
        """The revision that was agreed on, None before that."""
        server = getattr(self, "server", None)
        return server.revision if isinstance(server, ServerDescription) else None

    @abstractmethod
    def _dress(self, request: Request, wants_progress: bool) -> Request:
        """Put on what each request carries; the request's id is its progress token."""

    @abstractmethod
    def _check(self, method: str, result: JsonObject) -> JsonObject:
        """Hold a result against what every result must be; raises `InvalidAnswer`."""

    @abstractmethod
    async def watch(self, interest: Interest, timeout: float | None) -> None:
        """Hear of what is of interest, and of nothing else, from now on."""

    @abstractmethod
    async def set_log_level(self, level: str, timeout: float | None) -> None:
        """Hear log messages from this level on."""

    @abstractmethod
    def tell_roots_changed(self) -> None:
        """Tell the server that the roots are others now."""

    def _withdraw(self, request: Request, reason: str) -> None:
        """Tell the server that nobody waits any more, where hanging up does not say it."""
        if self.calls.settle(request.id) is None or self.link.cancels_by_hanging_up or self.lost is not None:
            return
        if request.method != "initialize":  # it must not be cancelled
            self.tell("notifications/cancelled", {"requestId": request.id, "reason": reason})

    def tell(self, method: str, params: JsonObject | None = None) -> None:
        """Send a notification, without waiting for it to be sent."""
        self.own(self._send(Notification(method, params or {})))

    async def _send(self, message: Notification | Response | Failure) -> None:
        try:
            if isinstance(message, Notification):
                await self._notify(message)
            else:
                self._note_own(message)
                await self.link.send(message)
        except ClientError as error:
            _LOG.debug("not sent: %s", error)

    async def _notify(self, notification: Notification) -> None:
        """Send a notification; raises `ConnectionLost`."""
        with trace_sent(notification, self.link, self._revision) as sent:
            self._note_own(sent.message)
            await self.link.send(sent.message)

    def _note_own(self, message: Message) -> None:
        if self._profile.on_message is not None:
            self.call_back(self._profile.on_message, "client", encode(message))

    # --- receiving ---

    def note(self, data: bytes) -> None:
        """Show the bytes of a message to whoever looks on."""
        if self._profile.on_message is not None:
            self.call_back(self._profile.on_message, "server", data)

    def take(self, message: Message) -> None:
        """Take a message of the server."""
        if isinstance(message, Request):
            self._take_request(message)
        elif isinstance(message, Notification):
            with trace_heard(message, self.link, self._revision):
                self._take_notification(message)
        else:
            self._take_answer(message)

    def _take_answer(self, answer: Response | Failure) -> None:
        waiter = self.calls.settle(answer.id)
        if waiter is None and answer.id is None and len(self.calls) == 1:
            waiter = self.calls.drain()[0]  # an error without an id, and one call that it can be about
        if waiter is None:
            self.noise.append(f"an answer to the unknown request {answer.id!r}")
        elif not waiter.done():
            waiter.set_result(answer)

    def _take_notification(self, notification: Notification) -> None:
        if notification.method == "notifications/progress":
            self._report(notification.params)
        else:
            self._notice(notification.method, notification.params, self.call_back)

    def _report(self, params: JsonObject) -> None:
        token = params.get("progressToken")
        callback = self._progress.get(token) if isinstance(token, int | str) else None
        done, total, message = params.get("progress"), params.get("total"), params.get("message")
        if callback is None or not isinstance(done, int | float):
            return
        of = total if isinstance(total, int | float) else None
        self.call_back(callback, done, of, message if isinstance(message, str) else None)

    @abstractmethod
    def _take_request(self, request: Request) -> None:
        """Take a request of the server."""

    def refuse(self, reason: str, answers: RequestId | None = None) -> None:
        """Hear of something that is no message."""
        self.noise.append(reason)
        waiter = self.calls.settle(answers)
        if waiter is not None and not waiter.done():
            waiter.set_exception(InvalidAnswer(f"The server's answer is no answer. {reason}"))

    def spoil(self, reason: str) -> None:
        """Hear that a message was lost: every call in flight may be the one that it answered."""
        self._fail_all(InvalidAnswer(reason))
        self.noise.append(reason)

    def lose(self, error: ConnectionLost) -> None:
        """Hear that the connection is gone."""
        self.lost = error
        if not isinstance(error, SessionOver):  # then each call in flight still has a stream of its own
            self._fail_all(ConnectionLost(str(error)))

    @property
    def _heard(self) -> str:
        """What an error adds where something came that was no message: often that is the reason."""
        return f" What came instead: {self.noise[-1]}" if self.noise else ""

    def _fail_all(self, error: InvalidAnswer | ConnectionLost) -> None:
        """Every call in flight was sent, so that nobody knows any more what became of it."""
        for waiter in self.calls.drain():
            if not waiter.done():
                waiter.set_exception(type(error)(f"{error}{self._heard}"))

    # --- what runs beside ---

    def call_back(self, callback: Callable[..., object], *given: object) -> None:
        """Call a host's function, sync or not; what it raises is the host's log's, and nobody's call fails by it."""
        try:
            result = callback(*given)
        except Exception:
            _LOG.exception("a callback of the client failed")
            return
        if inspect.isawaitable(result):
            self.own(result).add_done_callback(_report_failure)

    def own(self, work: Awaitable[T]) -> asyncio.Future[T]:
        """Run something for as long as the conversation lasts."""
        task = asyncio.ensure_future(work)
        self._tasks.add(cast("asyncio.Future[object]", task))
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """End what runs beside, and the link."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1)
        await self.link.close()
        self.lost = self.lost or ConnectionLost("The client was closed.")
        self._fail_all(ConnectionLost(str(self.lost)))


def _report_failure(callback: asyncio.Future[object]) -> None:
    error = None if callback.cancelled() else callback.exception()
    if error is not None:
        _LOG.error("a callback of the client failed", exc_info=error)
