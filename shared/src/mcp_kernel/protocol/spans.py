"""What a message is in a span, by OpenTelemetry's semantic conventions for MCP: names and numbers, without its API.

The conventions are open-telemetry/semantic-conventions-genai, docs/gen-ai/mcp.md and model/mcp. Names of spans, and
what a figure is counted by, must be few, and a peer can make up any method: one that the protocol does not have is
`_OTHER`, with what was sent in `rpc.method_original`, as the conventions for RPC have it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from mcp_kernel.errors import INVALID_PARAMS, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RESOURCE_NOT_FOUND
from mcp_kernel.protocol.jsonrpc import Request
from mcp_kernel.protocol.shapes import LEGACY_REQUESTS, MODERN_REQUESTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_kernel.protocol.jsonrpc import Notification

Attributes = dict[str, str | int]

OTHER: Final = "_OTHER"
NAMED: Final = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
BOUNDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)  # seconds
ONCE: Final = frozenset(
    ("jsonrpc.request.id", "mcp.session.id", "mcp.resource.uri", "rpc.method_original", "client.address", "client.port")
)
"""What is of a span and of no figure: each would be a series of its own."""
OF_THE_CALLER: Final = frozenset((PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS, RESOURCE_NOT_FOUND))
"""Codes that say what was wrong with the request, and so of no failure here (model/mcp, "mcp.server.status")."""
FIGURES: Final = {
    "mcp.client.operation.duration": "From the sending of a request to its answer, and of a notification.",
    "mcp.client.session.duration": "From the handshake of a session to its end, for the client.",
    "mcp.server.operation.duration": "From the arrival of a request to its answer, and what a notification took.",
    "mcp.server.session.duration": "From the handshake of a session to its end, for the server.",
}
UNTRACED: Final = frozenset(("notifications/progress", "notifications/message"))
"""What comes by the thousand, and belongs to a request that has a span."""

_NOTIFICATIONS: Final = frozenset(
    (
        "notifications/cancelled",
        "notifications/initialized",
        "notifications/roots/list_changed",
        "notifications/tools/list_changed",
        "notifications/prompts/list_changed",
        "notifications/resources/list_changed",
        "notifications/resources/updated",
        "notifications/subscriptions/acknowledged",
        "notifications/elicitation/complete",
        "notifications/tasks",
        *UNTRACED,
    )
)
_QUESTIONS: Final = frozenset(("elicitation/create", "sampling/createMessage", "roots/list"))
_METHODS: Final = _NOTIFICATIONS | _QUESTIONS | LEGACY_REQUESTS.keys() | MODERN_REQUESTS.keys()
_USER: Final = re.compile(r"(?<=://)[^/?#@\s]*@")  # of a URI: who opens it, and often with what
_LONGEST: Final = 1000  # characters of what a peer chose


def name_method(method: str) -> str:
    """The method, where the protocol has it."""
    return method if method in _METHODS else OTHER


def describe(message: Request | Notification) -> Attributes:
    """What a message says of itself, without the name of a tool or prompt, which may not be there."""
    method = name_method(message.method)
    found: Attributes = {"mcp.method.name": method}
    if method == OTHER:
        found["rpc.method_original"] = spell(message.method)
    if isinstance(message, Request):
        found["jsonrpc.request.id"] = spell(str(message.id))
    if method == "tools/call":
        found["gen_ai.operation.name"] = "execute_tool"
    uri = message.params.get("uri")
    if isinstance(uri, str) and method != OTHER:
        found["mcp.resource.uri"] = spell(_USER.sub("", uri))
    return found


def spell(text: str) -> str:
    """A text that a peer chose, as an exporter can write it: cut, and lone surrogates, which are no UTF-8, escaped."""
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode()


def name_span(attributes: Mapping[str, str | int]) -> str:
    """The method, and the tool or prompt that it is about."""
    target = next((attributes[name] for name in NAMED.values() if name in attributes), "")
    return f"{attributes['mcp.method.name']} {target}".rstrip()


def keep(attributes: Attributes) -> Attributes:
    """What of a span is of its figure too."""
    return {name: value for name, value in attributes.items() if name not in ONCE}
