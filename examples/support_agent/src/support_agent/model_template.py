"""What is written where no model is set up. It reads nothing of the ticket, and says of itself what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from support_agent.model import Assignment

RESOLUTION: Final = (
    "Hi, thank you for writing to us: we have looked into what you told us and taken care of it. If anything still "
    "does not work, answer this message and we will go on from there. — Support Team"
)
SHOWN: Final = 300  # characters of what a server gave, in the answer to a sampling request
MARKS: Final = ("[untrusted text ", "[end of ")  # the lines around what others wrote


class Template:
    """No model at all."""

    @property
    def name(self) -> str:
        """As it is shown."""
        return "the built-in template"

    async def write(self, assignment: Assignment) -> str:
        """One resolution for every ticket; for a server that asks, the beginning of what it gave."""
        if assignment.purpose == "resolution":
            return RESOLUTION
        lines = [line for line in assignment.turns[-1].text.splitlines() if not line.startswith(MARKS)]
        given = " ".join(" ".join(lines).split())
        shown = given if len(given) <= SHOWN else f"{given[:SHOWN]}…"
        return f"(No model is set up; this is how the text begins.) {shown}"
