"""`ClientGroup`: many servers as one, of which each may be down without the others."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from os import PathLike
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypeAlias, TypeVar, Unpack, cast

from mcp_kernel.client.catalog import Prompt, Resource, ResourceTemplate, Tool
from mcp_kernel.client.client import Client
from mcp_kernel.client.conversation import ProgressCallback
from mcp_kernel.client.failures import ClientError, TimedOut
from mcp_kernel.client.formats import FORMATS, Format, InvalidCall, ToolNames
from mcp_kernel.client.options import Options, point_at
from mcp_kernel.client.results import ToolResult
from mcp_kernel.protocol.jsonrpc import JsonObject

if TYPE_CHECKING:
    from mcp_kernel.client.channel import Dial
    from mcp_kernel.client.configuration import Configuration
    from mcp_kernel.client.memory import Host
    from mcp_kernel.client.placeholders import Ask

T = TypeVar("T")
Make: TypeAlias = Callable[[], Client]
Api: TypeAlias = Literal["anthropic", "openai", "openai-chat", "gemini"]
Prefix: TypeAlias = Literal["needed", "always"]

_LOG = logging.getLogger("mcp_kernel.client")


class UnknownTool(ClientError):
    """No server of the group has a tool of this name."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where a name leads: the server, and what the tool is called there."""

    server: str
    tool: str


class Routes:
    """Names for the tools of all servers. A name that was given leads to the same tool for as long as the group lives.

    So a call that a model makes late reaches what the model was shown, and no server that comes later, or changes its
    list, can have the calls that are meant for another.
    """

    def __init__(self, servers: Sequence[str], prefix: Prefix) -> None:
        self._servers = sorted(servers, key=len, reverse=True)
        self._always = prefix == "always"
        self._routes: dict[str, Route] = {}
        self._names: dict[Route, str] = {}

    def name_all(self, offered: Sequence[Route]) -> list[str]:
        """The name of each of these tools."""
        counts = Counter(route.tool for route in dict.fromkeys(offered))
        for route in offered:
            if route not in self._names:
                alone = counts[route.tool] == 1 and route.tool not in self._routes
                bare = alone and not self._always and self._split(route.tool) is None
                name = route.tool if bare else f"{route.server}__{route.tool}"
                while name in self._routes:  # of a server `a` with a tool `b__c`, and a server `a__b` with a tool `c`
                    name += "_"
                self._names[route], self._routes[name] = name, route
        return [self._names[route] for route in offered]

    def find(self, name: str) -> Route | None:
        """Where a name leads: one that was given, or that names its server."""
        return self._routes.get(name) or self._split(name)

    def _split(self, name: str) -> Route | None:
        for server in self._servers:
            if name.startswith(f"{server}__"):
                return Route(server, name[len(server) + 2 :])
        return None

    def similar(self, tool: str) -> list[str]:
        """Under which names there are tools that their servers call so."""
        return [name for name, route in self._routes.items() if route.tool == tool]


class ClientGroup:
    """Clients of many servers, by name; a server is started when it is first needed.

        async with ClientGroup.from_config(".mcp.json") as group:
            tools = await group.tools_for("anthropic")
            ...
            answer = await group.answer_for("anthropic", block)     # a call that the model made

    Lists are those of all servers that answer in time; `problems` says which did not, and why. Each server's own client
    is `group["name"]`.

    Args:
        servers: What each name stands for: a target as for `Client`, or a client.
        prefix: Whether a tool of the server `git` is called `git__status` always, or only where two servers have one.
        limit: Seconds that a list waits for one server, its start included.
        options: The options of each client, as for `Client`.
    """

    def __init__(
        self,
        servers: Mapping[str, str | Sequence[str] | Host | Dial | Client],
        *,
        prefix: Prefix = "needed",
        limit: float = 30.0,
        **options: Unpack[Options],
    ) -> None:
        self._clients = {
            name: given if isinstance(given, Client) else Client(given, **options) for name, given in servers.items()
        }
        self._make: dict[str, Make] = {}
        self._set_up(list(servers), prefix, limit)

    def _set_up(self, names: Sequence[str], prefix: Prefix, limit: float) -> None:
        self._servers = names
        self._limit = limit
        self._routes = Routes(names, prefix)
        self._formats: dict[str, Format] = {}
        self._names = ToolNames()
        self._problems: dict[str, ClientError] = {}
        self._listed = False

    @classmethod
    def from_config(
        cls,
        path: str | PathLike[str],
        *,
        prefix: Prefix = "needed",
        limit: float = 30.0,
        ask: Ask | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """The servers of a host's file; raises `InvalidConfiguration` where the file as a whole cannot be read.

        `ask` is called for the inputs of a server when that server is first needed.
        """
        from mcp_kernel.client.configuration import load_configuration

        file = load_configuration(path, ask=ask)
        group = cls({}, prefix=prefix, limit=limit)
        group._make = {name: partial(_make_client, file, name, options) for name in file.names}
        group._set_up(file.names, prefix, limit)
        return group

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave all servers, at the same time."""
        ends = await asyncio.gather(*(client.close() for client in self._clients.values()), return_exceptions=True)
        for end in ends:
            if isinstance(end, BaseException):
                _LOG.error("a client did not close as it should", exc_info=end)

    def __iter__(self) -> Iterator[str]:
        """The names of the servers."""
        return iter(self._servers)

    def __getitem__(self, server: str) -> Client:
        """The client of one server; raises `KeyError`, and `InvalidConfiguration` for an entry that is unusable."""
        if server not in self._clients:
            self._clients[server] = self._make[server]()
        return self._clients[server]

    @property
    def problems(self) -> Mapping[str, ClientError]:
        """The servers that had no answer when they were last needed, and why."""
        return MappingProxyType(self._problems)

    # --- lists ---

    async def list_tools(self) -> list[Tool]:
        """All tools, each under the name that `call_tool` takes."""
        listed = await self._ask_all("tools", Client.list_tools)
        self._listed = True
        offered = [(Route(server, tool.name), tool) for server, tools in listed.items() for tool in tools]
        names = self._routes.name_all([route for route, _ in offered])
        return [
            replace(tool, name=name, wire={**tool.wire, "name": name})
            for name, (_, tool) in zip(names, offered, strict=True)
        ]

    async def list_resources(self) -> dict[str, list[Resource]]:
        """All resources, by server."""
        return await self._ask_all("resources", Client.list_resources)

    async def list_resource_templates(self) -> dict[str, list[ResourceTemplate]]:
        """All templates, by server."""
        return await self._ask_all("resources", Client.list_resource_templates)

    async def list_prompts(self) -> dict[str, list[Prompt]]:
        """All prompts, by server."""
        return await self._ask_all("prompts", Client.list_prompts)

    async def _ask_all(self, capability: str, ask: Callable[[Client], Awaitable[list[T]]]) -> dict[str, list[T]]:
        """Ask all servers at once; the answer of one that has none to give is empty."""
        tasks = [asyncio.ensure_future(self._ask(server, capability, ask)) for server in self._servers]
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            # Not by `gather`, which is done with the first that is cancelled: the others still have to leave.
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not task.cancelled() and (defect := task.exception()) is not None:
                raise defect
        return {server: task.result() for server, task in zip(self._servers, tasks, strict=True)}

    async def _ask(self, server: str, capability: str, ask: Callable[[Client], Awaitable[list[T]]]) -> list[T]:
        try:
            async with asyncio.timeout(self._limit):
                client = self[server]
                description = await client.connect()
                answer = await ask(client) if description.supports(capability) else []
        except ClientError as error:
            self._problems[server] = error
        except TimeoutError:
            self._problems[server] = TimedOut(f"The server {server} has not answered in {self._limit:g} s.")
        else:
            self._problems.pop(server, None)
            return answer
        return []

    # --- calls ---

    async def find_tool(self, name: str) -> Route:
        """Say which server has a tool, and what it is called there; raises `UnknownTool`."""
        route = self._routes.find(name)
        if route is None and not self._listed:
            await self.list_tools()
            route = self._routes.find(name)
        if route is not None:
            return route
        similar = self._routes.similar(name)
        hint = f" Say which: {', '.join(similar)}." if similar else ""
        down = f" No answer came from {', '.join(self._problems)}." if self._problems else ""
        raise UnknownTool(f"There is no tool {name!r}.{hint}{down}")

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressCallback | None = None,
        idempotency_key: str | None = None,
    ) -> ToolResult:
        """Call a tool by its name in the group, as `Client.call_tool` does. Only its server is started for that."""
        route = await self.find_tool(name)
        return await self[route.server].call_tool(
            route.tool, arguments, timeout=timeout, on_progress=on_progress, idempotency_key=idempotency_key
        )

    # --- for a model ---

    async def tools_for(self, api: Api) -> list[JsonObject]:
        """All tools in the format of a model's API: what its request's field `tools` takes."""
        return self._format(api).declare([tool.wire for tool in await self.list_tools()])

    async def answer_for(
        self, api: Api, call: Mapping[str, object], *, on_progress: ProgressCallback | None = None
    ) -> JsonObject:
        """Make the call in a model's output, and return what tells the model its result.

        A call that fails, or whose arguments are no JSON, is told to the model as a result that is an error, for it may
        know another way. Raises `formats.InvalidCall` for something that is no call at all.
        """
        form = self._format(api)
        made = form.read(_without_arguments(call))
        try:
            made = form.read(call)
            result = (await self.call_tool(made.name, made.arguments, on_progress=on_progress)).wire
        except (ClientError, InvalidCall) as error:
            result = {"content": [{"type": "text", "text": str(error)}], "isError": True}
        return form.answer(made, result)

    def _format(self, api: Api) -> Format:
        if api not in self._formats:
            if api not in FORMATS:
                raise ValueError(f"no API is called {api!r}; there are {', '.join(FORMATS)}")
            self._formats[api] = FORMATS[api](self._names)
        return self._formats[api]


def _without_arguments(call: Mapping[str, object]) -> dict[str, object]:
    """Who is called, without what a model may have written wrongly."""
    return {
        key: _without_arguments(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else value
        for key, value in call.items()
        if key not in ("arguments", "input", "args")
    }


def _make_client(file: Configuration, name: str, options: Options) -> Client:
    target, merged = point_at(file.entry(name), options)
    return Client(target, **merged)
