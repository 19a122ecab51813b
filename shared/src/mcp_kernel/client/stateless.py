"""A conversation without a handshake (2026-07-28): every request says who asks, and nothing is remembered between."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Final, cast

from mcp_kernel.client.conversation import REOPENED, Conversation, Interest, Notice, Profile, ServerDescription
from mcp_kernel.client.failures import ClientError, InvalidAnswer
from mcp_kernel.client.link import Link, Waiter
from mcp_kernel.protocol.calls import Calls
from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject, Notification, Request, RequestId
from mcp_kernel.protocol.modern import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    LOG_LEVEL,
    PROTOCOL_VERSION,
    SERVER_INFO,
    SUBSCRIPTION_ID,
)
from mcp_kernel.protocol.revisions import LATEST
from mcp_kernel.protocol.shapes import ASKING

_LOG = logging.getLogger("mcp_kernel.client")

_PAUSE: Final = (0.1, 10.0)  # seconds before a listen stream that ended is opened again: the first pause, the longest


class Stateless(Conversation):
    """Answers to questions travel in retries of the call, and changes on a stream of their own."""

    sign_of_life = "server/discover"

    def __init__(self, link: Link, profile: Profile, notice: Notice, calls: Calls[Waiter] | None = None) -> None:
        super().__init__(link, profile, notice, calls)
        self.revision = LATEST.name
        self._level = profile.log_level
        self._listener: asyncio.Future[None] | None = None
        self._unacknowledged: dict[RequestId, Callable[[], None]] = {}

    def describe(self, result: JsonObject) -> None:
        """Take what the server said of itself in answer to `server/discover`."""
        meta = result.get("_meta")
        stamped = cast("JsonObject", meta).get(SERVER_INFO) if isinstance(meta, dict) else None
        self.server = ServerDescription.read(self.revision, stamped or result.get("serverInfo"), result)

    def _dress(self, request: Request, wants_progress: bool) -> Request:
        given = request.params.get("_meta")
        meta: JsonObject = {
            **(cast("JsonObject", given) if isinstance(given, dict) else {}),
            PROTOCOL_VERSION: self.revision,
            CLIENT_INFO: self._profile.info,
            CLIENT_CAPABILITIES: _with_tasks(self._profile.capabilities),
        }
        if self._level is not None:
            meta[LOG_LEVEL] = self._level
        if wants_progress:
            meta["progressToken"] = request.id
        return Request(request.id, request.method, {**request.params, "_meta": meta})

    def _check(self, method: str, result: JsonObject) -> JsonObject:
        kind = result.get("resultType", "complete")
        known = ("complete", "input_required", "task") if method in ASKING else ("complete",)
        if kind not in known:
            raise InvalidAnswer(f"The server answered {method} with a result of the unknown type {kind!r}.")
        return result

    async def set_log_level(self, level: str, timeout: float | None) -> None:
        self._level = level

    def tell_roots_changed(self) -> None:
        """They are asked for anew in each call."""

    def _take_request(self, request: Request) -> None:
        self.noise.append(f"a request of the server, {request.method}, which this revision does not have")

    # --- listening ---

    async def watch(self, interest: Interest, timeout: float | None) -> None:
        wanted = self._filter(interest)
        listener = await self._begin_to_listen(wanted, timeout) if wanted else None
        before, self._listener = self._listener, listener
        if before is not None:
            before.cancel()
            await asyncio.wait({before})  # so that no change is told twice which the next call makes

    async def _begin_to_listen(self, wanted: JsonObject, timeout: float | None) -> asyncio.Future[None]:
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        listener = self.own(self._listen(wanted, opened))
        try:
            async with asyncio.timeout(timeout):
                await opened
        except BaseException as error:
            listener.cancel()
            if isinstance(error, TimeoutError):
                raise InvalidAnswer("The server did not acknowledge the subscription.") from None
            raise
        return listener

    def _filter(self, interest: Interest) -> JsonObject:
        """What is asked for, of that which the server says it tells."""
        wanted: JsonObject = {}
        for kind in ("tools", "prompts", "resources"):
            if interest.lists and self.server.supports(kind, "listChanged"):
                wanted[f"{kind}ListChanged"] = True
        if interest.uris:
            wanted["resourceSubscriptions"] = sorted(interest.uris)
        return wanted

    async def _listen(self, wanted: JsonObject, opened: asyncio.Future[None]) -> None:
        """Keep a listen stream open; once it was, it is opened again however it ends."""
        pause, longest = _PAUSE
        while self.lost is None:
            identifiers: list[RequestId] = []
            began = asyncio.get_running_loop().time()
            try:
                await self._listen_once(wanted, opened, identifiers)
            except ClientError as error:
                if not opened.done():
                    opened.set_exception(error)
                    return
                _LOG.debug("a listen stream ended: %s", error)
            finally:
                for identifier in identifiers:
                    self._unacknowledged.pop(identifier, None)
            if not opened.done():
                opened.set_exception(InvalidAnswer("The server ended the subscription before it began."))
                return
            if asyncio.get_running_loop().time() - began > longest:
                pause = _PAUSE[0]  # it held for a while, so that the server is not in trouble
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # spreads clients, guards nothing
            pause = min(pause * 2, longest)

    async def _listen_once(
        self, wanted: JsonObject, opened: asyncio.Future[None], identifiers: list[RequestId]
    ) -> None:
        def acknowledge() -> None:
            if opened.done():
                self._notice(REOPENED, wanted, self.call_back)
            else:
                opened.set_result(None)

        def begin(identifier: RequestId) -> None:
            identifiers.append(identifier)
            self._unacknowledged[identifier] = acknowledge

        await self.request("subscriptions/listen", {"notifications": wanted}, begun=begin)

    def _take_notification(self, notification: Notification) -> None:
        if notification.method != "notifications/subscriptions/acknowledged":
            super()._take_notification(notification)
            return
        meta = notification.params.get("_meta")
        identifier = cast("JsonObject", meta).get(SUBSCRIPTION_ID) if isinstance(meta, dict) else None
        acknowledge = self._unacknowledged.pop(identifier, None) if isinstance(identifier, int | str) else None
        if acknowledge is not None:
            acknowledge()


def _with_tasks(capabilities: JsonObject) -> JsonObject:
    """Declare the tasks extension, beside the extensions of the host."""
    extensions = capabilities.get("extensions")
    others = cast("JsonObject", extensions) if isinstance(extensions, dict) else {}
    return {**capabilities, "extensions": {**cast("JsonObject", TASKS["extensions"]), **others}}
