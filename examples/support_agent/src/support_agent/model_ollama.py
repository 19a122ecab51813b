"""A model on this machine or in this network, served by Ollama (docs/api.md, "Generate a chat completion")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from support_agent.model import ModelFailed
from support_agent.shapes import items, members

if TYPE_CHECKING:
    from support_agent.api import Api
    from support_agent.model import Assignment


@dataclass(frozen=True, slots=True)
class Ollama:
    """A local model; without a name the one that was last changed there."""

    api: Api
    model: str = ""

    @property
    def name(self) -> str:
        """As it is shown."""
        return f"{self.model or 'the newest model'} of Ollama"

    async def write(self, assignment: Assignment) -> str:
        """The text of the answer."""
        turns = [{"role": turn.role, "content": turn.text} for turn in assignment.turns]
        answer = await self.api.post(
            "/api/chat",
            {
                "model": self.model or await self._find_model(),
                "stream": False,
                "options": {"num_predict": assignment.max_tokens},
                "messages": [{"role": "system", "content": assignment.system}, *turns],
            },
        )
        if answer.get("done_reason", "stop") != "stop":
            raise ModelFailed(f"{self.name} did not come to an end ({answer.get('done_reason')}). Run it again.")
        return str(members(answer.get("message")).get("content") or "")

    async def _find_model(self) -> str:
        """The first of the list, which has the newest first."""
        listed = items((await self.api.get("/api/tags")).get("models"))
        name = members(next(iter(listed), None)).get("name")
        if not isinstance(name, str):
            raise ModelFailed("Ollama has no model. Get one with `ollama pull llama3.2`, or use --api template.")
        return name
