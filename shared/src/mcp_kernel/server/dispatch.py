"""A message to its handler, the handler's result to its answer.

The path of a request: `receive` decodes, `_open` admits it by its era, `_serve` runs the method, and the exchange
answers. Nothing here knows which era it serves beyond choosing the exchange.
"""

from __future__ import annotations

import asyncio
import logging
from binascii import hexlify
from collections.abc import Awaitable, Mapping
from os import urandom
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.errors import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    Declined,
    ProtocolError,
    ResourceNotFound,
    ToolError,
    Unsupported,
)
from mcp_kernel.protocol import mirroring, modern
from mcp_kernel.protocol.jsonrpc import (
    Failure,
    InvalidMessage,
    JsonObject,
    Message,
    Notification,
    Prepared,
    Request,
    Response,
    decode,
    encode,
)
from mcp_kernel.protocol.revisions import MODERN
from mcp_kernel.server.exchange import SERVED, Ending, Exchange, Sink
from mcp_kernel.server.exchange_legacy import LegacyExchange
from mcp_kernel.server.exchange_modern import ModernExchange
from mcp_kernel.server.prompts import get_prompt
from mcp_kernel.server.results import error_result
from mcp_kernel.server.subscriptions import MOST_URIS, too_many_uris
from mcp_kernel.server.tools import call_tool, find_mirrored

if TYPE_CHECKING:
    from mcp_kernel.server.peer import Peer
    from mcp_kernel.server.pipeline import Answer, Method
    from mcp_kernel.server.principal import Headers, Refused

_LOG = logging.getLogger("mcp_kernel")


def receive(peer: Peer, data: bytes) -> None:
    """Take the bytes of one message or batch; the answers go to the peer's outlet."""
    try:
        message = decode(data)
    except ProtocolError as error:
        _give_up(peer, error)
        reject(peer, error, peer.reply)
        return
    if type(message) is Request:
        _serve(peer, message, peer.reply, None)
    elif type(message) is list:
        take_batch(peer, message, peer.reply)
    else:
        take(peer, cast("Message", message), peer.reply)


def reject(peer: Peer, error: ProtocolError, sink: Sink, request: Request | None = None) -> None:
    """Answer what never became an exchange; an id that could not be read is left out, a notification not answered."""
    identifier = None if request is None else request.id
    is_answered = True
    if isinstance(error, InvalidMessage):
        identifier, is_answered = error.id, not error.is_notification
    if peer.server.refusals is not None:
        peer.server.refusals(_describe_refused(peer, error, request))
    if peer.server.tracer is not None:
        peer.server.tracer.refuse(peer, error, request)
    failure = Failure(identifier, error.code, error.message, error.data)
    sink(encode(failure) if is_answered else None, error.status)


def _describe_refused(peer: Peer, error: ProtocolError, request: Request | None) -> Refused:
    from mcp_kernel.server.principal import Refused

    return Refused(
        by="protocol",
        reason=error.message,
        principal=peer.principal,
        address=peer.address,
        code=error.code,
        method=None if request is None else request.method,
    )


class _Batch:
    """Collects the answers of a batch (2025-03-26) and sends them as one array."""

    def __init__(self, expected: int, send: Sink) -> None:
        self._expected = expected
        self._send = send
        self._answers: list[bytes] = []

    def take(self, data: bytes | None, status: int, headers: Headers = ()) -> None:
        """Take one answer, or None from a request that has none to give; headers would be the whole batch's."""
        self._expected -= 1
        if data is not None:
            self._answers.append(data)
        if self._expected == 0:
            self._send(b"[%b]" % b",".join(self._answers) if self._answers else None, 200)


def take_batch(peer: Peer, messages: list[Message | InvalidMessage], sink: Sink) -> None:
    """Take the members of a batch; their answers go to the sink together, None when there are none."""
    if not peer.session.revision.batching or not peer.session.is_open:
        reject(peer, InvalidMessage("batches exist in revision 2025-03-26 alone"), sink)
        return
    expected = sum(isinstance(message, Request | InvalidMessage) for message in messages)
    batch = _Batch(expected, sink)
    for message in messages:
        if isinstance(message, InvalidMessage):
            _give_up(peer, message)
            reject(peer, message, batch.take)
        else:  # `initialize` too: the session is open, and refuses a second one
            take(peer, message, batch.take)


def take(peer: Peer, message: Message, sink: Sink, headers: Mapping[str, str] | None = None) -> None:
    """Take one message. `headers` are those that mirror a stateless request over HTTP, by lower-case name."""
    if type(message) is Request:
        _serve(peer, message, sink, headers)
    elif type(message) is Notification:
        _hear(peer, message)
    else:
        _settle(peer, cast("Response | Failure", message))


# --- requests ---


def _serve(peer: Peer, request: Request, sink: Sink, headers: Mapping[str, str] | None) -> None:
    identifier, method, _ = request
    if identifier in peer.exchanges:
        reject(peer, ProtocolError(INVALID_REQUEST, "A request with this id is in flight"), sink, request)
        return
    try:
        exchange = _open(peer, request, sink, headers)
    except ProtocolError as error:
        reject(peer, error, sink, request)
        return
    stages = peer.server.stages
    try:
        answer = _METHODS[method](exchange) if stages is None else stages(exchange, _METHODS[method])
    except ProtocolError as error:
        exchange.fail(error)
        return
    except Unsupported as error:
        exchange.refuse(error)
        return
    if type(answer) is dict or type(answer) is Prepared:
        exchange.finish(answer)
        return
    peer.exchanges[identifier] = exchange
    task = peer.steps.begin(_run(exchange, answer))  # pyright: ignore[reportArgumentType]  # not an answer, so it is awaited for one; a cast is a call
    if task is not None and not exchange.done:
        exchange.task = task
        exchange.arm(exchange.limit)


def _open(peer: Peer, request: Request, sink: Sink, headers: Mapping[str, str] | None) -> Exchange:
    """Admit a request by its era; raises `ProtocolError`."""
    if headers is not None or modern.is_modern(request.params):
        exchange = ModernExchange(peer, request, modern.admit(request, headers), sink)
        if headers is not None:
            mirroring.compare_arguments(headers, find_mirrored(exchange), request.params)
        exchange.resume()
        return exchange
    session = peer.session
    session.admit(request)
    return LegacyExchange(peer, request, session.caller, sink)


async def _run(exchange: Exchange, answer: Awaitable[Answer]) -> None:
    """Run a method to its end and answer, whatever that end is."""
    served = SERVED.set(exchange)
    try:
        result = await answer
        if exchange.ending is None:  # a handler may swallow its cancellation; its result is not wanted any more
            exchange.finish(result)
    except asyncio.CancelledError:
        if exchange.ending is None:  # nobody stopped it: the handler cancelled itself, and the client waits
            exchange.fail(_report_incident(exchange))
        raise
    except (SystemExit, KeyboardInterrupt, GeneratorExit):  # raised by a handler, they do not end the server
        if exchange.ending is None:
            exchange.fail(_report_incident(exchange))
    except Exception as error:  # whatever a handler raises, the server goes on
        if exchange.ending is None:
            _answer_error(exchange, error)
    finally:
        exchanges, identifier = exchange.peer.exchanges, exchange.request.id
        if exchanges.get(identifier) is exchange:  # after a task's handle the client may use its id again
            del exchanges[identifier]
        exchange.settle()
        SERVED.reset(served)  # else the task in reserve could not serve the next one (`steps.py`)


def _answer_error(exchange: Exchange, error: Exception) -> None:
    told = (ToolError, *exchange.peer.server.tool_errors)
    error = _unwrap(error, (*told, ProtocolError, Unsupported))
    if isinstance(error, ProtocolError):
        exchange.fail(error)
    elif isinstance(error, Unsupported):
        exchange.refuse(error)
    elif not isinstance(error, told):
        exchange.fail(_report_incident(exchange))
    elif exchange.request.method == "tools/call":
        exchange.finish(error_result(str(error)))
    else:
        exchange.fail(ProtocolError(blame(exchange, error), str(error)))


def blame(exchange: Exchange, error: BaseException) -> int:
    """The code of a refusal where there is no model to tell: was it the request, or what became of it here?"""
    unblamed = (Declined, *exchange.peer.server.own_failures)
    return INTERNAL_ERROR if isinstance(error, unblamed) else INVALID_PARAMS


def _unwrap(error: Exception, told: tuple[type[Exception], ...]) -> Exception:
    """Of what the tasks of a `TaskGroup` raised the first, where all of it is meant for the client."""
    if not isinstance(error, ExceptionGroup):
        return error
    group = cast("ExceptionGroup[Exception]", error)
    return group if group.split(told)[1] is not None else _unwrap(group.exceptions[0], told)


def _report_incident(exchange: Exchange) -> ProtocolError:
    """Log the exception being handled under an id, and tell the peer the id alone."""
    incident = hexlify(urandom(4)).decode()
    what = exchange.request.params.get("name") or exchange.request.params.get("uri") or ""
    _LOG.exception("Incident %s in %s %r", incident, exchange.request.method, what)
    return ProtocolError(INTERNAL_ERROR, f"Internal error; the server's log has it as incident {incident}")


# --- methods ---


def _initialize(exchange: Exchange) -> JsonObject:
    server, session = exchange.peer.server, exchange.peer.session
    result = session.initialize(exchange.request.params, server.capabilities(exchange.view), server.info)
    if instructions := _instruct(exchange):
        result["instructions"] = instructions
    return result


def _instruct(exchange: Exchange) -> str | None:
    """What a model should know before it uses what whoever asks may use."""
    server, view = exchange.peer.server, exchange.view
    if view is None:
        return server.instructions
    from mcp_kernel.server.access import instruct

    return instruct(server, view)


def _discover(exchange: Exchange) -> JsonObject:
    server = exchange.peer.server
    result: JsonObject = {"supportedVersions": list(MODERN), "capabilities": server.capabilities(exchange.view)}
    if instructions := _instruct(exchange):
        result["instructions"] = instructions
    return result


def _set_level(exchange: Exchange) -> JsonObject:
    exchange.peer.session.set_log_level(exchange.request.params["level"])
    return {}


def _subscribe(exchange: Exchange) -> JsonObject:
    peer, uri = exchange.peer, cast("str", exchange.request.params["uri"])
    if not peer.server.resources.has(uri, exchange.view):
        raise ResourceNotFound(uri)
    if len(peer.session.subscriptions) >= MOST_URIS and uri not in peer.session.subscriptions:
        raise too_many_uris()
    peer.session.subscriptions.add(uri)
    peer.server.subscriptions.subscribe(peer)
    return {}


def _unsubscribe(exchange: Exchange) -> JsonObject:
    peer = exchange.peer
    peer.session.subscriptions.discard(cast("str", exchange.request.params["uri"]))
    peer.server.subscriptions.subscribe(peer)
    return {}


_METHODS: Final[dict[str, Method]] = {
    "initialize": _initialize,
    "server/discover": _discover,
    "ping": lambda exchange: {},
    "logging/setLevel": _set_level,
    "tools/list": lambda exchange: exchange.peer.server.tools.page(exchange),
    "tools/call": call_tool,
    "resources/list": lambda exchange: exchange.peer.server.resources.page(exchange),
    "resources/templates/list": lambda exchange: exchange.peer.server.resources.templates.page(exchange),
    "resources/read": lambda exchange: exchange.peer.server.resources.read(exchange),
    "resources/subscribe": _subscribe,
    "resources/unsubscribe": _unsubscribe,
    "prompts/list": lambda exchange: exchange.peer.server.prompts.page(exchange),
    "prompts/get": get_prompt,
    "completion/complete": lambda exchange: exchange.peer.server.completions.complete(exchange),
    "subscriptions/listen": lambda exchange: exchange.peer.server.subscriptions.listen(exchange),
    "tasks/get": lambda exchange: exchange.peer.server.tasks.get(exchange),
    "tasks/update": lambda exchange: exchange.peer.server.tasks.update(exchange),
    "tasks/cancel": lambda exchange: exchange.peer.server.tasks.cancel(exchange),
}


# --- what is not answered ---


def _hear(peer: Peer, notification: Notification) -> None:
    tracer = peer.server.tracer
    if tracer is None:
        note(peer, notification)
        return
    with tracer.hear(peer, notification):
        note(peer, notification)


def note(peer: Peer, notification: Notification) -> None:
    """Do what a notification of the client asks for."""
    if notification.method == "notifications/cancelled":
        identifier = notification.params.get("requestId")
        exchange = peer.exchanges.get(identifier) if type(identifier) in (int, str) else None  # pyright: ignore[reportArgumentType]  # narrowed by type()
        if exchange is not None:
            exchange.stop(Ending.CANCELLED)
    elif notification.method == "notifications/initialized":
        was_ready = peer.session.is_ready
        peer.session.confirm()
        if peer.session.is_ready and not was_ready:
            peer.server.subscriptions.join(peer)
            peer.follow_roots()
    elif notification.method == "notifications/roots/list_changed":
        peer.follow_roots()


def _give_up(peer: Peer, error: ProtocolError) -> None:
    """A broken answer settles its question all the same: no better one will come."""
    if isinstance(error, InvalidMessage) and error.answers is not None:
        _settle(peer, Failure(error.answers, error.code, error.message))


def _settle(peer: Peer, answer: Response | Failure) -> None:
    waiter = peer.calls.settle(answer.id)
    if waiter is not None and not waiter.done():
        waiter.set_result(answer)
    elif waiter is None:
        _LOG.debug("An answer came that nobody waits for: %r", answer.id)
