"""Tokens that their issuer is asked about (RFC 7662), where they say nothing by themselves or may be withdrawn.

What an issuer has answered is kept for a short time, by the hash of the token, and not beyond the token's end. So a
token that was withdrawn is good for that long; with `cache_seconds = 0` it is not, and every request asks.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final
from urllib.parse import quote_plus

from mcp_kernel.auth.resource.settings import Introspection
from mcp_kernel.auth.resource.tokens import Claims, Rejected, Unavailable, require_audience, require_life
from mcp_kernel.auth.web import Web
from mcp_kernel.errors import AuthorizationError

_LOG = logging.getLogger("mcp_kernel")

MOST_KEPT: Final = 10_000  # answers
MOST_ASKED: Final = 64  # at once; whoever makes tokens up does not make the issuer suffer more than this
PATIENCE: Final = 8.0  # seconds that a request waits for the issuer
_RETRY: Final = 5


class IntrospectionVerifier:
    """Asks about tokens; requests with one token share one question."""

    def __init__(
        self, settings: Introspection, open_web: Callable[[str], Web] = Web, now: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._open_web = open_web
        self._now = now
        self._web: Web | None = None
        self._kept: OrderedDict[bytes, tuple[float, Claims]] = OrderedDict()
        self._asking: dict[bytes, asyncio.Task[Claims]] = {}

    async def verify(self, token: str, resource: str) -> Claims:
        """Return what a token for a resource claims; raises `Rejected` or `Unavailable`."""
        mark = hashlib.sha256(token.encode()).digest()
        until, claims = self._kept.get(mark, (0.0, {}))
        if until <= self._now():
            claims = await self._ask_once(mark, token)
        if claims.get("active") is not True:
            raise Rejected("The token is not active")
        if claims.get("iss", self._settings.issuer) != self._settings.issuer:
            raise Rejected("The token is of another issuer (iss)")
        require_audience(claims, resource)
        require_life(claims, self._now(), 0, required=False)
        return claims

    async def _ask_once(self, mark: bytes, token: str) -> Claims:
        task = self._asking.get(mark)
        if task is None:
            if len(self._asking) >= MOST_ASKED:
                raise Unavailable(1)
            task = self._asking[mark] = asyncio.create_task(self._ask(token))
            task.add_done_callback(lambda done: self._keep(mark, done))
        await asyncio.wait([task], timeout=PATIENCE)
        if not task.done() or task.cancelled() or task.exception() is not None:
            raise Unavailable(_RETRY)
        return task.result()

    async def _ask(self, token: str) -> Claims:
        """Ask; raises `AuthorizationError` where there is no answer."""
        settings = self._settings
        if self._web is None:
            self._web = self._open_web(settings.url)
        pair = f"{quote_plus(settings.client_id)}:{quote_plus(settings.secret)}"  # RFC 6749, section 2.3.1
        headers = {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        form = {"token": token, "token_type_hint": "access_token"}
        reply = await self._web.post_form(settings.url, form, headers)
        if not reply.succeeded or not isinstance(reply.document.get("active"), bool):
            raise AuthorizationError(f"{settings.url} does not say whether a token is active (status {reply.status})")
        return reply.document

    def _keep(self, mark: bytes, task: asyncio.Task[Claims]) -> None:
        del self._asking[mark]
        if task.cancelled():
            return
        if (error := task.exception()) is not None:
            _LOG.warning(
                "Tokens cannot be checked: %s", error if isinstance(error, AuthorizationError) else repr(error)
            )
            return
        self._kept[mark] = (self._now() + self._settings.cache_seconds, task.result())
        self._kept.move_to_end(mark)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)

    async def close(self) -> None:
        """Leave nothing behind."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._web is not None:
            await self._web.close()
