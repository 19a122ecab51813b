"""What a principal may use of a server: how a policy is asked, and the stage that asks it.

A server with a `policy` shows each principal a view of itself. Lists, capabilities and completion show what the view
allows and nothing else; the stage checks every call and read again, and what is not allowed is answered exactly as
what does not exist, so that nobody learns from a refusal what there is. Only a rule about arguments is told, for it
speaks of a tool that the principal knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, cast

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError, ResourceNotFound, ToolError
from mcp_kernel.protocol.jsonrpc import JsonObject
from mcp_kernel.server.prompts import find_prompt
from mcp_kernel.server.tools import find_tool

if TYPE_CHECKING:
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.pipeline import Answer, Proceed
    from mcp_kernel.server.principal import Principal
    from mcp_kernel.server.server import Server

_BETWEEN_SENTENCES: Final = re.compile(r"(?<=[.!?])\s+")
Sort: TypeAlias = Literal["tools", "resources", "prompts"]


class View(Protocol):
    """What one principal may use. Equal views, by identity or by `==`, see the same lists, which are kept for them.

    A name is that of a tool or a prompt, or the URI of a resource, or the outline of a template
    (`UriTemplate.outline`), of which the question then is whether all its members are allowed.
    """

    @property
    def is_bare(self) -> bool:
        """Whether nothing at all is allowed, because the principal has no role that the policy knows."""
        ...

    @property
    def has_figures(self) -> bool:
        """Whether the figures may be seen, which name every tool and tell what all others do."""
        ...

    def allows(self, sort: Sort, name: str, arguments: Mapping[str, object] | None = None) -> bool:
        """Tell whether something may be used; a tool with these arguments, or without them with any at all."""
        ...

    def has_rules(self, tool: str) -> bool:
        """Tell whether the answer for a tool depends on its arguments."""
        ...

    def denied_tables(self, sort: Sort, name: str, arguments: Mapping[str, object] | None = None) -> frozenset[str]:
        """The tables that do not exist for a use that is allowed."""
        ...

    def explain(self, tool: str, arguments: Mapping[str, object]) -> str:
        """Say of a tool that may be used why it may not be with these arguments, and with which it may."""
        ...


def instruct(server: Server, view: View | None) -> str | None:
    """The server's instructions, for whoever has this view without the sentences that name what he may not use."""
    if server.instructions is None or view is None:
        return server.instructions
    hidden = [tool.name for tool in server.tools if not tool.shows(view)]
    hidden += [prompt.name for prompt in server.prompts if not prompt.shows(view)]
    hidden += [resource.uri for resource in server.resources.fixed if not resource.shows(view)]
    hidden += [template.template.template for template in server.resources.templates if not template.shows(view)]
    if not hidden:
        return server.instructions
    named = re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, hidden))})(?![\w-])")
    sentences = _BETWEEN_SENTENCES.split(server.instructions)
    return " ".join(each for each in sentences if not named.search(each)) or None


class Policy(Protocol):
    """Says what everybody may use."""

    def view(self, principal: Principal | None) -> View:
        """The view of a principal, None being somebody whom nobody authenticated."""
        ...


class Denied(Exception):
    """The cause of an error that hides a refusal: what the log may know and the client may not."""


class Authorization:
    """The stage that lets nobody use what the server's policy does not allow."""

    async def run(self, exchange: Exchange, proceed: Proceed) -> Answer:
        """See `Stage.run`."""
        view = exchange.view
        check = _CHECKS.get(exchange.request.method)
        if view is not None and check is not None:
            if view.is_bare:
                raise _refuse_bare(exchange) from Denied(str(exchange.principal))
            check(exchange, view)
        return await proceed(exchange)


def _refuse_bare(exchange: Exchange) -> ProtocolError:
    """The answer for what does not exist, for whom nothing does; it says the same of every name."""
    exchange.refusal = "policy"
    params = exchange.request.params
    reason = f"{exchange.principal or 'Whoever asks'} has no role on this server, and may do nothing: ask its operator"
    if "uri" in params:
        return ResourceNotFound(str(params["uri"]), reason)
    kind = "prompt" if exchange.request.method == "prompts/get" else "tool"
    return ProtocolError(INVALID_PARAMS, f"Unknown {kind}: {params['name']}. {reason}")


def _check_call(exchange: Exchange, view: View) -> None:
    tool = find_tool(exchange)
    arguments: Mapping[str, object] = {}
    if view.has_rules(tool.name):  # they hold for the values that the tool will see, its defaults too
        given = cast("JsonObject", exchange.request.params.get("arguments") or {})
        arguments = tool.handler.arguments.parse(given)
        if not view.allows("tools", tool.name, arguments):
            exchange.refusal = "policy"
            raise ToolError(view.explain(tool.name, arguments)) from Denied(str(exchange.principal))
    exchange.denied_tables = view.denied_tables("tools", tool.name, arguments)


def _check_uri(exchange: Exchange, view: View) -> None:
    uri = cast("str", exchange.request.params["uri"])
    if not view.allows("resources", uri):
        exchange.refusal = "policy"
        raise ResourceNotFound(uri) from Denied(str(exchange.principal))
    exchange.denied_tables = view.denied_tables("resources", uri)


def _check_prompt(exchange: Exchange, view: View) -> None:
    prompt = find_prompt(exchange)
    exchange.denied_tables = view.denied_tables("prompts", prompt.name)


_CHECKS: Final[Mapping[str, Callable[[Exchange, View], None]]] = {
    "tools/call": _check_call,
    "resources/read": _check_uri,
    "resources/subscribe": _check_uri,
    "prompts/get": _check_prompt,
}
