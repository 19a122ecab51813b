"""The steps, each a conversation with the server in a few lines, and shown as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from mcp_kernel.client import InvalidAnswer
from support_agent.model import SYSTEM, Assignment, Stopped, Turn, read_turns
from support_agent.resolution import check_resolution
from support_agent.shapes import parse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp_kernel import Client
    from support_agent.model import Model
    from support_agent.screen import Screen

LIST: Final = "ticket://list"
MAX_TOKENS: Final = 1000  # three sentences are about a hundred; a model may think before it writes


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the agent decides on; everything else about a ticket is for the model and the reader."""

    number: str
    tier: str
    status: str


async def discover(client: Client, screen: Screen) -> None:
    """Ask the server who it is, and what it offers."""
    server = client.server
    screen.say(f"{server.name} {server.version}, revision {server.revision}")
    if server.instructions:
        screen.say(f"it says: {server.instructions}")
    screen.say(f"tools: {', '.join(tool.name for tool in await client.list_tools())}")
    resources = [resource.uri for resource in await client.list_resources()]
    templates = [template.uri_template for template in await client.list_resource_templates()]
    screen.say(f"resources: {', '.join([*resources, *templates])}")
    screen.say(f"prompts: {', '.join(prompt.name for prompt in await client.list_prompts())}")


async def read_open_tickets(client: Client, screen: Screen) -> None:
    """Read a resource at a fixed address."""
    screen.step("Read the open tickets")
    screen.quote(await read_text(client, LIST))


async def read_ticket(client: Client, number: str, screen: Screen) -> Ticket:
    """Read a resource of a template twice: as markdown for people, and as JSON for what a program decides on."""
    screen.step(f"Read ticket {number}")
    screen.quote(await read_text(client, f"ticket://{number}"))
    ticket = parse_ticket(await read_text(client, f"ticket://{number}.json"))
    if ticket.status != "open":
        raise Stopped(f"Ticket {number} is {ticket.status} already. Choose another with --ticket.")
    return ticket


async def summarize(client: Client, ticket: Ticket, screen: Screen) -> None:
    """Call a tool that asks this side's model before it answers; the work goes on without a summary."""
    screen.step("Have the ticket summarized")
    try:
        result = await client.call_tool("summarize_ticket", {"ticket_id": ticket.number})
    except InvalidAnswer as error:  # a question that was refused ends the call, where the revision has no word for it
        screen.say(f"There is no summary: {error}")
        return
    screen.quote(result.text)


async def fetch_prompt(client: Client, ticket: Ticket, screen: Screen) -> Sequence[Turn]:
    """Fetch the words that the server has for this work, with the ticket in them."""
    screen.step("Fetch the prompt for the resolution")
    arguments = {"ticket_id": ticket.number, "account_tier": ticket.tier}
    prompt = await client.get_prompt("resolution_prompt", arguments)
    turns = read_turns(prompt.messages)
    for turn in turns:
        screen.quote(f"{turn.role}: {turn.text}", most=4)  # the ticket was shown above
    return turns


async def write_resolution(model: Model, prompt: Sequence[Turn], screen: Screen) -> str:
    """Let the model write, and look at what it wrote before anything is done with it."""
    screen.step(f"Write the resolution with {model.name}")
    text = await model.write(Assignment("resolution", SYSTEM, prompt, MAX_TOKENS))
    resolution = check_resolution(text, model.name)
    screen.quote(resolution)
    return resolution


async def close(client: Client, ticket: Ticket, resolution: str, screen: Screen) -> None:
    """Call the tool that changes something. The key makes it safe to call again should the connection break."""
    screen.step(f"Close ticket {ticket.number}")
    arguments = {"ticket_id": ticket.number, "resolution": resolution}
    result = await client.call_tool("close_ticket", arguments, idempotency_key=uuid4().hex)
    if result.is_error:
        raise Stopped(f"Ticket {ticket.number} stays open: {result.text}")
    screen.say(result.text)


async def read_text(client: Client, uri: str) -> str:
    """The text of a resource."""
    return "\n".join(part.text for part in await client.read_resource(uri) if part.text is not None)


def parse_ticket(text: str) -> Ticket:
    """Read a ticket's JSON; a server is not trusted to have sent what it should."""
    match parse(text):
        case {"ticket_id": str(number), "tier": str(tier), "status": str(status)}:
            return Ticket(number, tier, status)
        case _:
            raise Stopped("The server's ticket has no ticket_id, tier and status. Is it an mcp-server-ticketing?")
