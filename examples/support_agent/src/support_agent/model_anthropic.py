"""Anthropic's Messages API (platform.claude.com, "Create a Message")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from support_agent.model import ModelFailed
from support_agent.shapes import items, members

if TYPE_CHECKING:
    from support_agent.api import Api
    from support_agent.model import Assignment

URL: Final = "https://api.anthropic.com"
VERSION: Final = "2026-10-21"
DEFAULT: Final = "claude-haiku-5-5"


def authorize(key: str) -> dict[str, str]:
    """The headers of a request. The API also takes the key as a bearer; others who speak its format take this one."""
    return {"x-api-key": key, "anthropic-version": VERSION}


@dataclass(frozen=True, slots=True)
class Anthropic:
    """Claude."""

    api: Api
    model: str = DEFAULT

    @property
    def name(self) -> str:
        """As it is shown."""
        return f"{self.model} of Anthropic"

    async def write(self, assignment: Assignment) -> str:
        """The text blocks of the answer. No temperature is sent: this version of the API refuses one."""
        answer = await self.api.post(
            "/v1/messages",
            {
                "model": self.model,
                "max_tokens": assignment.max_tokens,
                "system": assignment.system,
                "messages": [{"role": turn.role, "content": turn.text} for turn in assignment.turns],
            },
        )
        if answer.get("stop_reason") != "end_turn":
            raise ModelFailed(f"{self.name} did not come to an end ({answer.get('stop_reason')}). Run it again.")
        blocks = [members(block) for block in items(answer.get("content"))]
        return "\n".join(str(block.get("text", "")) for block in blocks if block.get("type") == "text")
