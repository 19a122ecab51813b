"""Who answers when the server asks the user: a person at the terminal, or a policy that is stated beforehand."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from mcp_kernel.client import Elicitation
from mcp_kernel.console.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_kernel.client import Reply
    from support_agent.screen import Screen

Stance: TypeAlias = Literal["ask", "accept", "decline"]


class Policy:
    """Answers forms (elicitation).

    - `ask`: the person at the terminal fills in the form, and says whether the model may answer a server.
    - `accept`: the form is agreed to with its defaults, and what must be ticked is ticked; one that needs more than
      that is dismissed, for nobody here may invent an answer. The model answers those who ask it.
    - `decline`: every form is declined, and the model answers no server.
    """

    def __init__(self, stance: Stance, screen: Screen) -> None:
        self._stance = stance
        self._screen = screen
        self._questions = Questions()

    @property
    def lets_models_answer(self) -> bool:
        """Whether a server may ask this side's model at all."""
        return self._stance != "decline"

    async def allows(self, words: str) -> bool:
        """Whether the model may answer these words of a server's: the person at the terminal decides."""
        if self._stance != "ask":
            return True
        agreement = Elicitation(f"May your model answer this? {words}", {"type": "object", "properties": {}})
        return await self._questions.elicit(agreement) == {}

    async def elicit(self, asked: Elicitation) -> Reply:
        """The fields of the form, or what became of it instead."""
        if self._stance == "ask":
            return await self._questions.elicit(asked)
        self._screen.ask(f"The server asks: {asked.message}")
        if self._stance == "decline":
            self._screen.say("declined, by the policy “decline”")
            return "decline"
        fields = tick(asked)
        if asked.takes(fields):
            self._screen.say("agreed to, by the policy “accept”")
            return fields
        self._screen.say("this cannot be answered without a person, and was dismissed; run it in a terminal")
        return "cancel"


def find_stance(given: Stance | None) -> Stance:
    """What the command line says; else a person is asked where there is one, and the form agreed to where not."""
    if given is not None:
        return given
    return "ask" if sys.stdin.isatty() and sys.stderr.isatty() else "accept"


def tick(asked: Elicitation) -> dict[str, object]:
    """The boxes that must be ticked for the form to be agreed to; what is left open has the form's default."""
    fields = cast("Mapping[str, Mapping[str, object]]", asked.schema.get("properties") or {})
    required = cast("list[str]", asked.schema.get("required") or [])
    boxes = [name for name, field in fields.items() if field.get("type") == "boolean" and "default" not in field]
    return {name: True for name in boxes if name in required}
