"""The stateless era (2026-07-28): functions, because nothing is remembered between requests.

`admit` reads off a request who asks and refuses what is malformed, rung by rung; `stamp` puts on a result what the
era wants there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from mcp_kernel.errors import INVALID_PARAMS, METHOD_NOT_FOUND, UNSUPPORTED_REVISION, ProtocolError
from mcp_kernel.protocol import mirroring
from mcp_kernel.protocol.capabilities import Caller
from mcp_kernel.protocol.jsonrpc import JsonObject, Request, RequestId
from mcp_kernel.protocol.revisions import MODERN
from mcp_kernel.protocol.shapes import CACHEABLE, LOG_LEVELS, MODERN_REQUESTS, check

PROTOCOL_VERSION: Final = "io.modelcontextprotocol/protocolVersion"
CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
CLIENT_CAPABILITIES: Final = "io.modelcontextprotocol/clientCapabilities"
LOG_LEVEL: Final = "io.modelcontextprotocol/logLevel"
SERVER_INFO: Final = "io.modelcontextprotocol/serverInfo"
SUBSCRIPTION_ID: Final = "io.modelcontextprotocol/subscriptionId"


def is_modern(params: JsonObject) -> bool:
    """Tell whether a request is of this era: it names its revision in `_meta`, whatever the name is."""
    meta = params.get("_meta")
    return type(meta) is dict and PROTOCOL_VERSION in meta


def admit(request: Request, headers: Mapping[str, str] | None = None) -> Caller:
    """Say who asks. Raises `ProtocolError`; the first rung that fails decides.

    1. `_meta` is complete (-32602, status 400). 2. over HTTP, the headers say what the body says (-32020). 3. the
    revision is known (-32022). 4. the method exists (-32601). 5. its params carry their fields (-32602).
    """
    meta = request.params.get("_meta")
    if type(meta) is not dict:
        raise _malformed("params._meta must be an object")
    fields = cast("JsonObject", meta)
    version, capabilities = fields.get(PROTOCOL_VERSION), fields.get(CLIENT_CAPABILITIES)
    info = fields.get(CLIENT_INFO)
    if type(version) is not str:
        raise _malformed(f"params._meta needs {PROTOCOL_VERSION}, a string")
    revision = MODERN.get(version)
    if type(capabilities) is not dict:
        raise _malformed(f"params._meta needs {CLIENT_CAPABILITIES}, an object")
    if info is not None and not _is_implementation(info):
        raise _malformed(f"params._meta.{CLIENT_INFO} must be an object with a name and a version")
    if LOG_LEVEL in fields and fields[LOG_LEVEL] not in LOG_LEVELS:
        raise _malformed(f"params._meta.{LOG_LEVEL} must be one of: {', '.join(LOG_LEVELS)}")
    if headers is not None:
        mirroring.compare(headers, version, request)
    if revision is None:
        raise unsupported(version)
    shape = MODERN_REQUESTS.get(request.method)
    if shape is None:
        raise ProtocolError(METHOD_NOT_FOUND, f"Unknown method: {request.method}", status=404)
    if shape:
        check(request.method, shape, request.params)
    return Caller(revision, cast("JsonObject", capabilities), cast("JsonObject | None", info))


def _is_implementation(info: object) -> bool:
    if type(info) is not dict:
        return False
    fields = cast("JsonObject", info)
    return type(fields.get("name")) is str and type(fields.get("version")) is str


def _malformed(message: str) -> ProtocolError:
    return ProtocolError(INVALID_PARAMS, message, status=400)


def unsupported(requested: str) -> ProtocolError:
    """-32022 with the revisions that are served without a handshake (basic/versioning)."""
    data = {"supported": list(MODERN), "requested": requested}
    return ProtocolError(UNSUPPORTED_REVISION, "Unsupported protocol version", data, status=400)


def log_level(params: JsonObject) -> str | None:
    """The level from which on this request wants to hear log messages; None: none at all."""
    meta = params.get("_meta")
    level = cast("JsonObject", meta).get(LOG_LEVEL) if type(meta) is dict else None
    return cast("str | None", level)


def stamp(method: str, result: JsonObject, server: JsonObject, ttl_ms: int, scope: str) -> JsonObject:
    """Put on a complete result what every result of the era carries; fields that the result has are kept."""
    meta = cast("JsonObject", result.get("_meta") or {})
    stamped: JsonObject = {"resultType": "complete", **result, "_meta": {SERVER_INFO: server, **meta}}
    if method in CACHEABLE:
        stamped.setdefault("ttlMs", ttl_ms)
        stamped.setdefault("cacheScope", scope)
    return stamped


def input_required(questions: JsonObject, state: str, server: JsonObject) -> JsonObject:
    """The result that asks: keys to requests, and the sealed state of the request (basic/patterns/mrtr)."""
    result: JsonObject = {"resultType": "input_required", "_meta": {SERVER_INFO: server}, "requestState": state}
    if questions:
        result["inputRequests"] = questions
    return result


def on_stream(params: JsonObject, subscription: RequestId) -> JsonObject:
    """Mark the params of a notification with the listen stream that it belongs to; the id keeps its JSON type."""
    meta = cast("JsonObject", params.get("_meta") or {})
    return {**params, "_meta": {**meta, SUBSCRIPTION_ID: subscription}}
