"""The arguments that several handlers share, as a model sees them, and who it is that calls."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Len
from pydantic import Field, Strict

from mcp_kernel import Context

from .tickets import (
    LONGEST_ADDRESS,
    LONGEST_KEY,
    LONGEST_QUERY,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    Actor,
)
from .wording import ADDRESS

Digits = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,14}$")]
Number = Annotated[int, Strict(), Field(ge=1, le=10**15 - 1)]  # strict: true is a number to Python
TicketId = Digits | Number
Address = Annotated[str, Field(pattern=ADDRESS, max_length=LONGEST_ADDRESS, json_schema_extra={"format": "email"})]
Subject = Annotated[str, Len(1, LONGEST_SUBJECT)]
Text = Annotated[str, Len(1, LONGEST_TEXT)]
Key = Annotated[str, Len(1, LONGEST_KEY)]
Query = Annotated[str, Len(0, LONGEST_QUERY)]


def who(ctx: Context) -> Actor:
    """Who calls: whoever is authenticated, or the client by the name that it gives itself."""
    if ctx.principal is not None:
        return Actor(ctx.principal.name, ctx.principal.name)
    return Actor(str(ctx.client.get("name") or "unknown"))
