"""Who should hear of a failure: the peer, the model, or the operator.

Every exception of the kernel answers that question with its class. A `ProtocolError` goes to the peer as a
JSON-RPC error, a `ToolError` to the model as a result with `isError: true`; whatever else a handler raises goes to
the operator's log, and the peer learns an id to look it up by, never the exception's text.
"""

from __future__ import annotations

from typing import Final, cast

# JSON-RPC 2.0, section 5.1
PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
# Revisions up to 2025-11-25 only; 2026-07-28 says INVALID_PARAMS instead.
RESOURCE_NOT_FOUND: Final = -32002
# MCP 2026-07-28, basic/index, "Error Codes"
HEADER_MISMATCH: Final = -32020
MISSING_CAPABILITY: Final = -32021
UNSUPPORTED_REVISION: Final = -32022


class ProtocolError(Exception):
    """A failure that the peer should hear as a JSON-RPC error.

    `status` is the HTTP status that carries it where the transport is HTTP; other transports ignore it.
    """

    def __init__(self, code: int, message: str, data: object = None, *, status: int = 200) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data
        self.status = status


class ResourceNotFound(ProtocolError):
    """No resource has this URI; the code on the wire differs by era (-32002 in legacy, -32602 in modern)."""

    def __init__(self, uri: str, reason: str = "") -> None:
        detail = f". {reason}" if reason else ""
        super().__init__(INVALID_PARAMS, f"Resource not found: {uri}{detail}", {"uri": uri})


class ToolError(Exception):
    """A failure that the model should hear: its text says what is wrong and what to do next."""


class InvalidArguments(ToolError):
    """Arguments that do not fit a handler's signature: one line for each field."""


class Declined(ToolError):
    """The user declined or dismissed a question; uncaught, it ends the call and tells the model so.

    `action` is "decline" or "cancel", as the client answered (client/elicitation, "Response Actions").
    """

    def __init__(self, message: str, action: str = "decline") -> None:
        super().__init__(message)
        self.action = action


class Unsupported(Exception):
    """The client did not declare the capability that a question needs, so it cannot be asked.

    A handler may catch it and do without. Uncaught it is -32021 in the modern era and a result with `isError` that
    names the capability in the legacy one. `required` has the shape of `ClientCapabilities`.
    """

    def __init__(self, required: dict[str, object]) -> None:
        self.required = required
        self.capability = _dotted(required)
        super().__init__(f"The client does not support {self.capability}, which this request needs.")


class AuthorizationError(Exception):
    """A client got no token, or no use out of one: the text says why and what to do next, and holds no secret.

    `code` is the error code of OAuth, where the authorisation server sent one (RFC 6749, section 5.2).
    """

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


def _dotted(capability: dict[str, object]) -> str:
    name, inner = next(iter(capability.items()))
    return f"{name}.{_dotted(cast('dict[str, object]', inner))}" if inner else name
