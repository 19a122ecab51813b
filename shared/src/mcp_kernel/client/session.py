"""A conversation that began with a handshake: revisions up to 2025-11-25."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from time import perf_counter
from typing import Final

from mcp_kernel.client.conversation import Conversation, Interest, Notice, Profile, ServerDescription
from mcp_kernel.client.failures import InvalidAnswer, ServerRefused
from mcp_kernel.client.link import Link, Waiter
from mcp_kernel.client.negotiation import Next, judge_handshake
from mcp_kernel.client.tracing import record_session, trace_heard
from mcp_kernel.errors import INTERNAL_ERROR, ProtocolError
from mcp_kernel.protocol.calls import Calls
from mcp_kernel.protocol.jsonrpc import Failure, JsonObject, Notification, Request, RequestId, Response
from mcp_kernel.protocol.revisions import LATEST_LEGACY

_PATIENCE: Final = 1.0  # seconds; a server may open the stream only when it has something to say
_LOG = logging.getLogger("mcp_kernel.client")


class Session(Conversation):
    """The server may ask in between, and is answered on the same link."""

    sign_of_life = "ping"

    def __init__(self, link: Link, profile: Profile, notice: Notice, calls: Calls[Waiter] | None = None) -> None:
        super().__init__(link, profile, notice, calls)
        self._answering: dict[RequestId, asyncio.Future[None]] = {}
        self._watched: frozenset[str] = frozenset()
        self._began: float | None = None  # when the hands were shaken

    async def shake_hands(self, pinned: str | None, timeout: float | None) -> None:
        """Do the handshake; raises `InvalidAnswer` where the server speaks nothing that is known here."""
        params: JsonObject = {
            "protocolVersion": pinned or LATEST_LEGACY.name,
            "capabilities": self._profile.capabilities,
            "clientInfo": self._profile.info,
        }
        result = await self.request("initialize", params, timeout=timeout)
        verdict = judge_handshake(result, pinned)
        if verdict.next is not Next.GO_ON or verdict.revision is None:
            raise InvalidAnswer(f"No common revision: {verdict.reason}.")
        self.server = ServerDescription.read(verdict.revision, result.get("serverInfo"), result)
        self._began = perf_counter()
        self.link.agree(verdict.revision)
        await self._notify(Notification("notifications/initialized", {}))
        await self._listen()
        if self._profile.log_level is not None and self.server.supports("logging"):
            await self.set_log_level(self._profile.log_level, timeout)

    async def close(self) -> None:
        began, self._began, lost = self._began, None, self.lost
        if began is not None:
            record_session(perf_counter() - began, self.link, self.server.revision, lost)
        await super().close()

    async def _listen(self) -> None:
        """Open the stream for what belongs to no request, before a request makes the server say something on it."""
        settled = asyncio.Event()
        self.own(self.link.listen(settled))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await settled.wait()

    def _dress(self, request: Request, wants_progress: bool) -> Request:
        if not wants_progress:
            return request
        return Request(request.id, request.method, {**request.params, "_meta": {"progressToken": request.id}})

    def _check(self, method: str, result: JsonObject) -> JsonObject:
        return {name: value for name, value in result.items() if name != "resultType"}  # it means nothing here

    async def set_log_level(self, level: str, timeout: float | None) -> None:
        await self.request("logging/setLevel", {"level": level}, timeout=timeout)

    async def watch(self, interest: Interest, timeout: float | None) -> None:
        refused: ServerRefused | None = None
        for uri in interest.uris - self._watched:
            try:
                await self.request("resources/subscribe", {"uri": uri}, timeout=timeout)
                self._watched |= {uri}
            except ServerRefused as error:  # the others are still of interest
                refused = refused or error
        for uri in self._watched - interest.uris:
            self._watched -= {uri}
            try:
                await self.request("resources/unsubscribe", {"uri": uri}, timeout=timeout)
            except ServerRefused as error:  # gone, perhaps: then there is nothing more to hear of it
                _LOG.debug("unsubscribing from %s: %s", uri, error)
        if refused is not None:
            raise refused

    def tell_roots_changed(self) -> None:
        self.tell("notifications/roots/list_changed")

    def _take_request(self, request: Request) -> None:
        task = self.own(self._answer(request))
        self._answering[request.id] = task
        task.add_done_callback(lambda done: self._answering.pop(request.id, None))

    def _take_notification(self, notification: Notification) -> None:
        if notification.method == "notifications/cancelled":
            identifier = notification.params.get("requestId")
            task = self._answering.get(identifier) if isinstance(identifier, int | str) else None
            if task is not None:
                task.cancel()
        else:
            super()._take_notification(notification)

    async def _answer(self, request: Request) -> None:
        with trace_heard(request, self.link, self._revision) as heard:
            await self._send(heard.answer(await self._find_answer(request)))

    async def _find_answer(self, request: Request) -> Response | Failure:
        if request.method == "ping":
            return Response(request.id, {})
        try:
            return Response(request.id, await self._profile.answers.answer(request.method, request.params))
        except ProtocolError as error:
            return Failure(request.id, error.code, error.message, error.data)
        except Exception:
            _LOG.exception("%s could not be answered", request.method)
            return Failure(request.id, INTERNAL_ERROR, "The host failed to answer")
