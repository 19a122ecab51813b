"""OpenAI's Chat Completions API, which many others speak too (`OPENAI_BASE_URL`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support_agent.model import ModelFailed
from support_agent.shapes import items, members

if TYPE_CHECKING:
    from support_agent.api import Api
    from support_agent.model import Assignment

URL: Final = "https://api.openai.com/v1"
DEFAULT: Final = "gpt-5.4-mini"


def authorize(key: str) -> dict[str, str]:
    """The header of a request."""
    return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True, slots=True)
class OpenAI:
    """A model of OpenAI's, or of whoever speaks as they do."""

    api: Api
    model: str = DEFAULT

    @property
    def name(self) -> str:
        """As it is shown."""
        return f"{self.model} of OpenAI"

    async def write(self, assignment: Assignment) -> str:
        """The text of the first choice. No temperature is sent: the models that reason refuse one."""
        turns = [{"role": turn.role, "content": turn.text} for turn in assignment.turns]
        answer = await self.api.post(
            "/chat/completions",
            {
                "model": self.model,
                "max_completion_tokens": assignment.max_tokens,
                "messages": [{"role": "system", "content": assignment.system}, *turns],
            },
        )
        choice = members(next(iter(items(answer.get("choices"))), None))
        if choice.get("finish_reason") != "stop":
            raise ModelFailed(f"{self.name} did not come to an end ({choice.get('finish_reason')}). Run it again.")
        return str(members(choice.get("message")).get("content") or "")
