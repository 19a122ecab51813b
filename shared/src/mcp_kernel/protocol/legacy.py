"""The handshake era (2024-11-05 to 2025-11-25): a session as a transition table.

The session knows in which state the handshake stands, which revision was agreed on and what the client declared.
It also brings results down to what that revision can carry.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, cast

from mcp_kernel.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, ProtocolError
from mcp_kernel.protocol.capabilities import Caller
from mcp_kernel.protocol.jsonrpc import JsonObject, Request, to_bytes
from mcp_kernel.protocol.modern import PROTOCOL_VERSION
from mcp_kernel.protocol.revisions import LATEST_LEGACY, LEGACY, Revision, negotiate
from mcp_kernel.protocol.shapes import LEGACY_REQUESTS, LOG_LEVELS, check

MOST_DECLARED: Final = 64 * 1024
"""Bytes of what a client declares of itself, which is kept as long as its session; icons may be in it."""


class State(Enum):
    """Where the handshake stands."""

    NEW = "new"
    OPEN = "open"  # initialize was answered
    READY = "ready"  # the client said notifications/initialized: it may be notified


# What each state does with a method; a method that is not named stays in the state, where the state serves it.
_INITIALIZE: Final = {State.NEW: State.OPEN}
_INITIALIZED: Final = {State.OPEN: State.READY, State.READY: State.READY}
_SERVED: Final = {State.NEW: frozenset({"initialize", "ping"})}  # the other states serve everything


_UNKNOWN: Final = Caller(LATEST_LEGACY, {})  # who has not said yet who he is


class Session:
    """One handshake and what came of it: the state that a legacy client and its server share."""

    __slots__ = ("caller", "log_level", "state", "subscriptions")

    def __init__(self) -> None:
        self.state = State.NEW
        self.caller = _UNKNOWN
        self.log_level = "info"  # until logging/setLevel; the specification leaves the default to the server
        self.subscriptions: set[str] = set()

    @property
    def revision(self) -> Revision:
        """The revision that was agreed on; the latest legacy one before the handshake."""
        return self.caller.revision

    @property
    def is_open(self) -> bool:
        """Whether the handshake was answered."""
        return self.state is not State.NEW

    @property
    def is_ready(self) -> bool:
        """Whether the client may be notified."""
        return self.state is State.READY

    def admit(self, request: Request) -> None:
        """Refuse a request that this era, or the state of the handshake, does not have.

        Raises `ProtocolError`: -32601 for an unknown method, -32600 out of order, -32602 for params that lack a
        field. Nothing changes before `initialize` is called.
        """
        _, method, params = request
        shape = LEGACY_REQUESTS.get(method)
        if shape is None or self.state is not State.READY or method == "initialize":
            self._refuse_out_of_order(request)
        if shape:
            check(method, shape, params)

    def _refuse_out_of_order(self, request: Request) -> None:
        if request.method not in LEGACY_REQUESTS:
            raise ProtocolError(METHOD_NOT_FOUND, f"Unknown method: {request.method}", status=404)
        served = _SERVED.get(self.state)
        if served is not None and request.method not in served:
            raise ProtocolError(
                INVALID_REQUEST,
                f"{request.method} came before initialize. Send initialize first, or put {PROTOCOL_VERSION} into "
                "params._meta to be served without a session.",
                status=400,
            )
        if request.method == "initialize" and self.state not in _INITIALIZE:
            raise ProtocolError(INVALID_REQUEST, "This session is initialized already", status=400)

    def initialize(self, params: JsonObject, capabilities: JsonObject, server: JsonObject) -> JsonObject:
        """Open the session and return the result of `initialize`, without the server's instructions.

        `capabilities` and `server` are the server's, in the shapes of the latest revision. Raises `ProtocolError`
        -32602 where the client declares more of itself than is kept.
        """
        revision = negotiate(params["protocolVersion"])
        if len(to_bytes([params["capabilities"], params["clientInfo"]])) > MOST_DECLARED:
            raise ProtocolError(
                INVALID_PARAMS, f"capabilities and clientInfo have more than {MOST_DECLARED} bytes together", status=400
            )
        declared = cast("JsonObject", params["capabilities"])
        self.caller = Caller(revision, declared, cast("JsonObject", params["clientInfo"]))
        self.state = _INITIALIZE[self.state]
        return {
            "protocolVersion": revision.name,
            "capabilities": lower_capabilities(capabilities, revision),
            "serverInfo": lower_named(server, revision),
        }

    def confirm(self) -> None:
        """The client said `notifications/initialized`; said out of order it means nothing."""
        self.state = _INITIALIZED.get(self.state, self.state)

    def set_log_level(self, level: object) -> None:
        """`logging/setLevel`; raises `ProtocolError` -32602 for a level that RFC 5424 does not have."""
        if level not in LOG_LEVELS:
            raise ProtocolError(INVALID_PARAMS, f"Unknown log level; one of: {', '.join(LOG_LEVELS)}")
        self.log_level = cast("str", level)

    def dump(self) -> JsonObject:
        """Return what another process needs to go on with the session, all but its subscriptions, as JSON."""
        caller = self.caller
        return {
            "state": self.state.value,
            "logLevel": self.log_level,
            "revision": caller.revision.name,
            "capabilities": caller.capabilities,
            "clientInfo": caller.info,
        }

    def restore(self, dumped: JsonObject) -> None:
        """Take up what `dump` has written down."""
        self.state = State(dumped["state"])
        self.log_level = cast("str", dumped["logLevel"])
        revision = LEGACY[cast("str", dumped["revision"])]
        capabilities = cast("JsonObject", dumped["capabilities"])
        self.caller = Caller(revision, capabilities, cast("JsonObject | None", dumped["clientInfo"]))


def lower_capabilities(capabilities: JsonObject, revision: Revision) -> JsonObject:
    """Leave out what the revision has no word for."""
    unknown = {"extensions"} if revision.annotations else {"extensions", "completions"}
    return {name: value for name, value in capabilities.items() if name not in unknown}


def lower_named(item: JsonObject, revision: Revision) -> JsonObject:
    """Bring a description (tool, resource, template, prompt, implementation) down to a revision."""
    if revision.icons and (revision.any_structure or "outputSchema" not in item):
        return item
    lowered = dict(item)
    if not revision.icons:
        for name in ("icons", "websiteUrl"):
            lowered.pop(name, None)
        if "version" in item:
            lowered.pop("description", None)
    if not revision.structured_output:
        for name in ("title", "outputSchema"):
            lowered.pop(name, None)
    if not revision.annotations and "inputSchema" in item:
        lowered.pop("annotations", None)
    schema = lowered.get("outputSchema")
    if schema is not None and not is_object_schema(schema):
        lowered["outputSchema"] = wrap_schema(cast("JsonObject", schema))
    return lowered


def is_object_schema(schema: object) -> bool:
    """Tell whether every value of a schema is an object, which structured content had to be up to 2025-11-25."""
    return isinstance(schema, dict) and cast("JsonObject", schema).get("type") == "object"


def wrap_schema(schema: JsonObject) -> JsonObject:
    """The schema of `{"result": …}`, which carries a structured value that is no object."""
    inner = {name: value for name, value in schema.items() if name != "$defs"}
    wrapped: JsonObject = {"type": "object", "properties": {"result": inner}, "required": ["result"]}
    if "$defs" in schema:  # references are written from the root, so the definitions stay there
        wrapped["$defs"] = schema["$defs"]
    return wrapped


def lower_content(content: list[JsonObject], revision: Revision) -> list[JsonObject]:
    """Bring content blocks down to a revision; what it cannot carry is named in a text, never dropped in silence."""
    if revision.structured_output:
        return content
    return [_lower_block(block, revision) for block in content]


def lower_messages(messages: list[JsonObject], revision: Revision) -> list[JsonObject]:
    """Bring the messages of a prompt, or of a conversation to sample, down to a revision."""
    if revision.structured_output:
        return messages
    return [{**each, "content": _lower_block(cast("JsonObject", each["content"]), revision)} for each in messages]


def _lower_block(block: JsonObject, revision: Revision) -> JsonObject:
    if block["type"] == "resource_link":
        label = block.get("description") or block.get("name")
        return {"type": "text", "text": f"{label}: {block['uri']}"}
    if block["type"] == "audio" and not revision.audio:
        return {"type": "text", "text": f"[{block['mimeType']} left out: {revision.name} cannot carry audio]"}
    return block
