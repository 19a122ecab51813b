"""Which methods each era has, and the fields that the params of each must carry.

A table costs little to define and to check, and no model of the params has to be built; what a table cannot say
(the arguments of a tool, for one) is checked by whoever owns it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject

# (field, accepted types, required). type() is compared, so that a bool is no integer.
Field: TypeAlias = tuple[str, tuple[type, ...], bool]
Shape: TypeAlias = tuple[Field, ...]

_CURSOR: Final[Shape] = (("cursor", (str,), False),)
_COMPLETE: Final[Shape] = (("ref", (dict,), True), ("argument", (dict,), True), ("context", (dict,), False))
_CALL: Final[Shape] = (("name", (str,), True), ("arguments", (dict,), False))
_READ: Final[Shape] = (("uri", (str,), True),)
_TASK: Final[Shape] = (("taskId", (str,), True),)
_RETRY: Final[Shape] = (("inputResponses", (dict,), False), ("requestState", (str,), False))

_BOTH: Final[dict[str, Shape]] = {
    "tools/list": _CURSOR,
    "resources/list": _CURSOR,
    "resources/templates/list": _CURSOR,
    "prompts/list": _CURSOR,
    "completion/complete": _COMPLETE,
}
LEGACY_REQUESTS: Final[dict[str, Shape]] = _BOTH | {
    "initialize": (
        ("protocolVersion", (str,), True),
        ("capabilities", (dict,), True),
        ("clientInfo", (dict,), True),
    ),
    "ping": (),
    "tools/call": _CALL,
    "resources/read": _READ,
    "prompts/get": _CALL,
    "resources/subscribe": _READ,
    "resources/unsubscribe": _READ,
    "logging/setLevel": (("level", (str,), True),),
}
MODERN_REQUESTS: Final[dict[str, Shape]] = _BOTH | {
    "server/discover": (),
    "tools/call": _CALL + _RETRY,
    "resources/read": _READ + _RETRY,
    "prompts/get": _CALL + _RETRY,
    "subscriptions/listen": (("notifications", (dict,), True),),
    # the extension io.modelcontextprotocol/tasks
    "tasks/get": _TASK,
    "tasks/update": (*_TASK, ("inputResponses", (dict,), True)),
    "tasks/cancel": _TASK,
}

# Methods whose answer may ask (basic/patterns/mrtr, "Supported Requests"), and those whose answer may be cached
# (server/utilities/caching, "Cacheable Results").
ASKING: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
CACHEABLE: Final = frozenset(
    {
        "server/discover",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
        "resources/read",
    }
)

LOG_LEVELS: Final = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")

_JSON_NAMES: Final = {str: "a string", dict: "an object", list: "an array", int: "an integer", bool: "a boolean"}


def check(method: str, shape: Shape, params: JsonObject) -> None:
    """Hold params against a shape; raises `ProtocolError` (-32602) that names the field and what it must be."""
    for name, types, required in shape:
        value = params.get(name)
        if type(value) in types:
            continue
        if value is None and not required:  # left out, or null as some clients spell it
            continue
        wanted = " or ".join(_JSON_NAMES[each] for each in types)
        raise ProtocolError(INVALID_PARAMS, f"{method}: params.{name} must be {wanted}")
