"""Who asks, and what that client said it can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.protocol.revisions import Revision

FORM: Final[JsonObject] = {"elicitation": {}}
URL: Final[JsonObject] = {"elicitation": {"url": {}}}
SAMPLING: Final[JsonObject] = {"sampling": {}}
SAMPLING_WITH_TOOLS: Final[JsonObject] = {"sampling": {"tools": {}}}
ROOTS: Final[JsonObject] = {"roots": {}}


@dataclass(frozen=True, slots=True)
class Caller:
    """The client behind a request, in its own words: none of it is verified.

    `info` has the shape of `Implementation` (name, version, …) or is None where the client said nothing.
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
