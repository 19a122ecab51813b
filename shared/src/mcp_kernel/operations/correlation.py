"""Which request is served here and now: so that what is logged meanwhile, by anybody, can name it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.server.monitor import ARRIVAL

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed

_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_LONGEST: Final = 64  # characters of an id that a client chose


@dataclass(frozen=True, slots=True)
class Mark:
    """What identifies a request.

    `trace` is the trace that it belongs to, of its client where that names one; `session` is a digest, since the id
    itself opens the session.
    """

    trace: str
    request: str
    method: str
    session: str | None = None
    principal: str | None = None

    def members(self) -> dict[str, object]:
        """What there is, by name."""
        found = {
            "trace": self.trace,
            "request": self.request,
            "method": self.method,
            "session": self.session,
            "principal": self.principal,
        }
        return {name: value for name, value in found.items() if value is not None}

    def __str__(self) -> str:
        return " ".join(f"{name}={_spell(str(value))}" for name, value in self.members().items())


_CURRENT: Final[ContextVar[Mark | None]] = ContextVar("mcp_kernel.mark", default=None)


_TRACE: Final[ContextVar[str | None]] = ContextVar("mcp_kernel.trace", default=None)


def name_trace(trace: str) -> None:
    """Say to which trace the request that is served belongs, where somebody makes spans of it."""
    _TRACE.set(trace)


def current() -> Mark | None:
    """What identifies the request that is served, None where none is."""
    return _CURRENT.get()


class Correlation:
    """The stage that marks a request.

    The mark stays for as long as the request's own task runs: what goes wrong in it is logged when the stages are left.
    Tasks and threads that the handler starts inherit it.
    """

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        _CURRENT.set(describe(exchange))
        return await proceed(exchange)


def describe(exchange: Exchange) -> Mark:
    """Return what identifies a request."""
    found = _PARENT.fullmatch(read_parent(exchange).get("traceparent", ""))
    return Mark(
        trace=_TRACE.get() or (os.urandom(16).hex() if found is None else found[1]),
        request=str(exchange.request.id)[:_LONGEST],
        method=exchange.request.method,
        session=find_session(),
        principal=None if exchange.principal is None else exchange.principal.name,
    )


def read_parent(exchange: Exchange) -> Mapping[str, str]:
    """The W3C trace context of a request: of its `_meta` (SEP-414), else of the HTTP request that brought it."""
    meta = exchange.request.params.get("_meta")
    fields: Mapping[str, object] = cast("Mapping[str, object]", meta) if isinstance(meta, dict) else {}
    arrival = ARRIVAL.get()
    if not isinstance(fields.get("traceparent"), str):
        fields = {} if arrival is None else arrival.headers
    found = {name: fields.get(name) for name in ("traceparent", "tracestate", "baggage")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def find_session() -> str | None:
    """A digest of the session that a request over HTTP names."""
    arrival = ARRIVAL.get()
    identifier = None if arrival is None else arrival.headers.get("mcp-session-id")
    return None if identifier is None else sha256(identifier.encode("utf-8", "replace")).hexdigest()[:16]


def _spell(value: str) -> str:
    """A value as one word of a line."""
    plain = value.encode("ascii", "backslashreplace").decode()
    return re.sub(r"[^!-~]|[\]\[\"=]", "_", plain)
