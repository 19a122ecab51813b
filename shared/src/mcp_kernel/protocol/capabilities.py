"""Who asks, and what that client said it can do."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.protocol.revisions import Revision

FORM: Final[JsonObject] = {"elicitation": {}}
URL: Final[JsonObject] = {"elicitation": {"url": {}}}
SAMPLING: Final[JsonObject] = {"sampling": {}}
SAMPLING_WITH_TOOLS: Final[JsonObject] = {"sampling": {"tools": {}}}
ROOTS: Final[JsonObject] = {"roots": {}}

TASKS_EXTENSION: Final = "io.modelcontextprotocol/tasks"
TASKS: Final[JsonObject] = {"extensions": {TASKS_EXTENSION: {}}}


class Caller(NamedTuple):
    """The client behind a request, in its own words: none of it is verified.

    `info` has the shape of `Implementation` (name, version, …) or is None where the client said nothing. A tuple, as
    `Request` is: without a session one is made for every call.
    """

    revision: Revision
    capabilities: JsonObject
    info: JsonObject | None = None

    def supports(self, required: JsonObject) -> bool:
        """Tell whether every capability in `required` (the shape of `ClientCapabilities`) was declared."""
        if "elicitation" in required and not self.revision.elicitation:
            return False
        if required in (URL, SAMPLING_WITH_TOOLS) and not self.revision.icons:
            return False
        if required == FORM:
            return _takes_forms(self.capabilities.get("elicitation"))
        return _contains(self.capabilities, required)

    def can_show(self, form: object) -> bool:
        """Tell whether the client's revision knows every kind of field of a form (its schema, or None).

        A choice of several, which is a list, came with 2025-11-25; a client from before cannot answer it.
        """
        fields = cast("JsonObject", form).get("properties") if isinstance(form, dict) else None
        shown = cast("JsonObject", fields).values() if isinstance(fields, dict) else ()
        return self.revision.icons or not any(cast("JsonObject", field).get("type") == "array" for field in shown)


def _takes_forms(elicitation: object) -> bool:
    """An empty declaration means forms (2025-06-18 knew nothing else); one that names modes must name this one."""
    return isinstance(elicitation, dict) and (not elicitation or "form" in elicitation)


def _contains(declared: object, required: JsonObject) -> bool:
    if not isinstance(declared, dict):
        return False
    level = cast("JsonObject", declared)
    return all(
        isinstance(level.get(name), dict) and _contains(level[name], cast("JsonObject", inner))
        for name, inner in required.items()
    )
