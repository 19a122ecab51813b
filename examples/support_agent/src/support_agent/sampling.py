"""Answering a server that asks for this side's model (sampling)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from support_agent.model import SYSTEM, Assignment, ModelFailed, Stopped, read_turns
from support_agent.model_template import Template
from support_agent.shapes import items, members

if TYPE_CHECKING:
    from support_agent.model import Model
    from support_agent.policy import Policy
    from support_agent.screen import Screen

REFUSED: Final = -1  # the code for "User rejected sampling request" (client/sampling, "Error Handling")
MOST_TOKENS: Final = 500
"""However many a server asks for: the bill is the user's."""


class Sampler:
    """Answers with the agent's own model, and with the built-in template where that fails."""

    def __init__(self, model: Model, policy: Policy, screen: Screen) -> None:
        self._model = model
        self._policy = policy
        self._screen = screen

    async def sample(self, params: Mapping[str, object]) -> Mapping[str, object]:
        """From the params of `sampling/createMessage` to its result."""
        try:
            assignment = read_assignment(params)
        except Stopped as stop:
            raise ProtocolError(INVALID_PARAMS, str(stop).rstrip(".")) from None  # for the server to hear
        words = assignment.turns[0].text
        self._screen.ask(f"The server asks the model: {words}")
        if not await self._policy.allows(words):
            raise ProtocolError(REFUSED, "The user does not let the model answer")
        model = self._model
        try:
            text = await model.write(assignment)
        except ModelFailed as failure:
            self._screen.say(f"The model failed: {failure}")
            model = Template()
            text = await model.write(assignment)
        self._screen.say(f"{model.name} answers")
        return {
            "role": "assistant",
            "content": {"type": "text", "text": text},
            "model": model.name,
            "stopReason": "endTurn",
        }


def read_assignment(params: Mapping[str, object]) -> Assignment:
    """What a server asks for; its system prompt comes after the agent's own. Raises `Stopped`."""
    wanted, system = params.get("maxTokens"), params.get("systemPrompt")
    turns = read_turns(members(message) for message in items(params.get("messages")))
    if not turns:
        raise Stopped("The server asks the model for an answer to nothing.")
    return Assignment(
        "sampling",
        f"{SYSTEM}\n\n{system}" if isinstance(system, str) else SYSTEM,
        turns,
        min(wanted, MOST_TOKENS) if isinstance(wanted, int) and wanted > 0 else MOST_TOKENS,
    )
