"""The agent: reach the server, take one step after the other, and end with a closed ticket."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from support_agent import steps
from support_agent.desk import reach_desk
from support_agent.sampling import Sampler

if TYPE_CHECKING:
    from mcp_kernel.client import Options
    from support_agent.desk import Place
    from support_agent.model import Model
    from support_agent.policy import Policy
    from support_agent.screen import Screen


@dataclass(frozen=True, slots=True)
class Agent:
    """Who works: the model that writes, whoever answers the server's questions, and the screen that shows it all."""

    model: Model
    policy: Policy
    screen: Screen

    async def close_ticket(self, number: str, place: Place, *, revision: str | None, wire: bool) -> None:
        """Do the whole of it. Raises `Stopped` or `ClientError` where it cannot go on; then nothing was closed."""
        self.screen.step("Discover what is offered")
        async with reach_desk(place, self._options(revision, wire), self.screen) as client:
            await steps.discover(client, self.screen)
            await steps.read_open_tickets(client, self.screen)
            ticket = await steps.read_ticket(client, number, self.screen)
            await steps.summarize(client, ticket, self.screen)
            prompt = await steps.fetch_prompt(client, ticket, self.screen)
            resolution = await steps.write_resolution(self.model, prompt, self.screen)
            await steps.close(client, ticket, resolution, self.screen)
            await steps.read_open_tickets(client, self.screen)

    def _options(self, revision: str | None, wire: bool) -> Options:
        """What the client can be asked, and who looks on. A callback that is there declares its capability."""
        options: Options = {
            "elicit": self.policy.elicit,
            "info": {"name": "support-agent", "version": "0.1.0"},
            "on_log": self.screen.show_log,
            "revision": revision,  # None: the newest that both sides speak
        }
        if self.policy.lets_models_answer:
            options["sample"] = Sampler(self.model, self.policy, self.screen).sample
        if wire:
            options["on_message"] = self.screen.show_message
        return options
