"""Which request is served here and now: so that what is logged meanwhile, by anybody, can name it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.server.exchange import SERVED
from mcp_kernel.server.principal import Knock

if TYPE_CHECKING:
    from logging import LogRecord

    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.peer import Peer

_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_LONGEST: Final = 64  # characters of an id that a client chose


@dataclass(frozen=True, slots=True)
class Mark:
    """What identifies a request.

    `trace` is the trace that it belongs to, of its client where that names one; `session` is a digest, since the id
    itself opens the session. Of a request over HTTP that was turned away before it was read, all that is known is
    `http`, which is its verb and path, and `address`, where it came from.
    """

    trace: str
    request: str | None = None
    method: str | None = None
    session: str | None = None
    principal: str | None = None
    http: str | None = None
    address: str | None = None

    def members(self) -> dict[str, object]:
        """What there is, by name."""
        found = {
            "trace": self.trace,
            "request": self.request,
            "method": self.method,
            "session": self.session,
            "principal": self.principal,
            "http": self.http,
            "address": self.address,
        }
        return {name: value for name, value in found.items() if value is not None}

    def __str__(self) -> str:
        return " ".join(f"{name}={_spell(str(value))}" for name, value in self.members().items())


def find_mark(record: LogRecord) -> Mark | None:
    """What identifies the request that a line of the log belongs to, None where it belongs to none.

    It is the one that is served where the line is made, which tasks and threads that a handler starts are part of, also
    once it is answered; or the one that was turned away, as the line's `knock` has it.
    """
    exchange = SERVED.get()
    if exchange is not None:
        return describe(exchange)
    knock = getattr(record, "knock", None)
    return describe_knock(knock) if isinstance(knock, Knock) else None


def describe_knock(knock: Knock) -> Mark:
    """Return what identifies a request over HTTP of which nothing but its head was read."""
    given = b",".join(knock.values(b"traceparent")).decode("latin-1")
    http = f"{knock.method} {knock.path}"[:_LONGEST]
    return Mark(_read_trace(given), http=http, address=knock.client)


def describe(exchange: Exchange) -> Mark:
    """Return what identifies a request."""
    return Mark(
        trace=find_trace(exchange),
        request=str(exchange.request.id)[:_LONGEST],
        method=exchange.request.method,
        session=find_session(exchange.peer),
        principal=None if exchange.principal is None else exchange.principal.name,
    )


def find_trace(exchange: Exchange) -> str:
    """The trace that a request belongs to: its client's, else one of its own, which it keeps."""
    if exchange.trace_id is None:
        carried = "" if exchange.arrival is None else exchange.arrival.trace.get("traceparent", "")
        exchange.trace_id = _read_trace(read_meta(exchange.request.params).get("traceparent") or carried)
    return exchange.trace_id


def _read_trace(parent: str) -> str:
    found = _PARENT.fullmatch(parent)
    return os.urandom(16).hex() if found is None else found[1]


def read_meta(params: JsonObject) -> Mapping[str, str]:
    """The W3C trace context that a message has in its `_meta` (SEP-414)."""
    meta = params.get("_meta")
    fields: Mapping[str, object] = cast("Mapping[str, object]", meta) if isinstance(meta, dict) else {}
    found = {name: fields.get(name) for name in ("traceparent", "tracestate", "baggage")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def find_session(peer: Peer) -> str | None:
    """A digest of the id by which a client names its session over HTTP; the id itself opens the session."""
    identifier = peer.identifier
    return None if identifier is None else sha256(identifier.encode("utf-8", "replace")).hexdigest()[:16]


def _spell(value: str) -> str:
    """A value as one word of a line."""
    plain = value.encode("ascii", "backslashreplace").decode()
    return re.sub(r"[^!-~]|[\]\[\"=]", "_", plain)
