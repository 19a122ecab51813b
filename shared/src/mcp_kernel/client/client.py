"""`Client`: one server, whatever it speaks and however it is reached."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar, Unpack, cast

from mcp_kernel.client.answers import Answers, Elicit, OpenPage, Roots, Sample, merge
from mcp_kernel.client.cache import ResponseCache
from mcp_kernel.client.catalog import Prompt, Resource, ResourceTemplate, Tool
from mcp_kernel.client.connection import Call, Connection
from mcp_kernel.client.conversation import (
    CallBack,
    Interest,
    MessageCallback,
    Profile,
    ProgressCallback,
    ServerDescription,
)
from mcp_kernel.client.failures import NotConnected, ServerRefused
from mcp_kernel.client.handle import TaskHandle
from mcp_kernel.client.notices import Board, Kind, ListChangedCallback, LogCallback, Notices, UpdatedCallback
from mcp_kernel.client.opening import Terms
from mcp_kernel.client.options import Options, point_at
from mcp_kernel.client.paging import read_pages
from mcp_kernel.client.resilience import Resilience
from mcp_kernel.client.results import Completion, Contents, InputRequired, PromptResult, ToolResult
from mcp_kernel.client.rounds import respond, see_through
from mcp_kernel.client.target import Reach, find_way, identify
from mcp_kernel.errors import HEADER_MISMATCH
from mcp_kernel.protocol import mirroring
from mcp_kernel.protocol.jsonrpc import JsonObject

if TYPE_CHECKING:
    from mcp_kernel.client.channel import Dial
    from mcp_kernel.client.memory import Host
    from mcp_kernel.client.placeholders import Ask
    from mcp_kernel.client.validation import OutputCheck

T = TypeVar("T")

_LOG = logging.getLogger("mcp_kernel.client")


class Client:
    """A client of one server.

        async with Client(["uvx", "mcp-server-git"]) as client:
            for tool in await client.list_tools(): ...
            result = await client.call_tool("git_status", {"repo_path": "."})

    The revision is found out by itself. Where the server is lost the next call reaches it again, and calls that do no
    harm twice are made again. Whatever fails between the two is a `ClientError`.

    Args:
        target: A URL, a command as a list of words, a server in this process, or a function that opens a channel.
        elicit: Shows a form to the user; its presence declares the capability, as do the next three.
        open_page: Has the user open a page.
        sample: Asks the host's model.
        roots: The directories and files that the host works on: paths, URIs, or a function that gives them.
        on_log: Hears the server's log messages from `log_level` on.
        on_message: Sees every message that passes: who sends it, and its bytes before they are read.
        on_list_changed: Hears that a list changed.
        on_updated: Hears that a resource changed which was subscribed to.
        revision: Pins the revision, instead of finding the newest that both speak.
        capabilities: Declared beside those that follow from the callbacks, as `{"sampling": {"tools": {}}}`.
        timeout: Seconds for one call; None for no limit.
        resilience: When to call again, and when to leave the server alone.
        info: What the client calls itself: name, version, title.
        validate: Hold structured results against the output schemas of their tools.
        cache: Where answers are kept for as long as the server allows; its own by default.
        principal: Whose credentials the requests carry, for a cache that several clients share.
        reach: Environment and directory of a command, headers and authorisation of a URL.
    """

    def __init__(  # the options of a public constructor, all by name
        self,
        target: str | Sequence[str] | Host | Dial,
        *,
        elicit: Elicit | None = None,
        open_page: OpenPage | None = None,
        sample: Sample | None = None,
        roots: Roots | None = None,
        on_log: LogCallback | None = None,
        log_level: str = "info",
        on_message: MessageCallback | None = None,
        on_list_changed: ListChangedCallback | None = None,
        on_updated: UpdatedCallback | None = None,
        revision: str | None = None,
        capabilities: Mapping[str, object] | None = None,
        timeout: float | None = 60.0,
        resilience: Resilience | None = None,
        info: Mapping[str, object] | None = None,
        validate: bool = False,
        cache: ResponseCache | None = None,
        principal: str = "",
        reach: Reach | None = None,
    ) -> None:
        answers = Answers(elicit=elicit, open_page=open_page, sample=sample, roots=roots)
        declared = merge(answers.capabilities(), capabilities or {})
        level = log_level if on_log is not None else None
        profile = Profile(dict(info or _own_info()), declared, answers, level, on_message)
        self._answers = answers
        notices = Notices(log=on_log, list_changed=on_list_changed, updated=on_updated)
        self._board = Board(notices, self._forget_list, self._forget_resource)
        name, opener = find_way(target, reach or Reach())
        terms = Terms(profile, self._board.take, revision, pinned=revision is not None, timeout=timeout)
        self._connection = Connection(name, opener, terms, resilience or Resilience())
        self._connection.interest = self._interest = Interest(lists=on_list_changed is not None)
        self._connection.on_reopened(self._reopen)
        self._shelf = (ResponseCache() if cache is None else cache).shelf(identify(target), principal)
        self._timeout = timeout
        self._validate = validate
        self._tools: dict[str, Tool] | None = None
        self._checks: dict[str, OutputCheck] = {}

    @classmethod
    def from_config(
        cls, path: str | PathLike[str], name: str, *, ask: Ask | None = None, **options: Unpack[Options]
    ) -> Self:
        """A client of a server in a host's file; `ask` gives the inputs it needs. Raises `InvalidConfiguration`."""
        from mcp_kernel.client.configuration import load_configuration

        target, merged = point_at(load_configuration(path, ask=ask).entry(name), options)
        return cls(target, **merged)

    # --- the connection ---

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def connect(self) -> ServerDescription:
        """Reach the server, and return what it says of itself; every call does this by itself where it must."""
        return (await self._connection.reach()).server

    async def close(self) -> None:
        """Leave the server; a child process is ended."""
        await self._connection.close()

    @property
    def server(self) -> ServerDescription:
        """What the server said of itself, its revision among it; raises `NotConnected` where there is no connection."""
        conversation = self._connection.conversation
        if conversation is None:
            raise NotConnected("There is no connection yet: use `async with`, or await `connect()`.")
        return conversation.server

    @property
    def noise(self) -> Sequence[str]:
        """What came from the server that was no message, or answered nothing: the last of it."""
        conversation = self._connection.conversation
        return list(conversation.noise) if conversation is not None else []

    # --- lists ---

    async def tools(self) -> AsyncIterator[Tool]:
        """Every tool, page by page; over HTTP without those whose `x-mcp-header` breaks the rules."""
        mirrors = (await self._connection.reach()).link.mirrors
        async for tool in read_pages(self._fetch, "tools/list", Tool.read):
            if not mirrors or _is_valid(tool):
                yield tool

    def resources(self) -> AsyncIterator[Resource]:
        """Every resource, page by page."""
        return read_pages(self._fetch, "resources/list", Resource.read)

    def resource_templates(self) -> AsyncIterator[ResourceTemplate]:
        """Every template, page by page."""
        return read_pages(self._fetch, "resources/templates/list", ResourceTemplate.read)

    def prompts(self) -> AsyncIterator[Prompt]:
        """Every prompt, page by page."""
        return read_pages(self._fetch, "prompts/list", Prompt.read)

    async def list_tools(self) -> list[Tool]:
        """All tools; they are remembered, so that calls know the hints and the schemas of what they call."""
        tools = [tool async for tool in self.tools()]
        self._tools = {tool.name: tool for tool in tools}
        self._checks.clear()
        return tools

    async def list_resources(self) -> list[Resource]:
        """All resources."""
        return [each async for each in self.resources()]

    async def list_resource_templates(self) -> list[ResourceTemplate]:
        """All templates."""
        return [each async for each in self.resource_templates()]

    async def list_prompts(self) -> list[Prompt]:
        """All prompts."""
        return [each async for each in self.prompts()]

    # --- calls ---

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float | None = None,
        on_progress: ProgressCallback | None = None,
        idempotency_key: str | None = None,
    ) -> ToolResult:
        """Call a tool and see it through: its questions are answered, a task is waited for.

        Args:
            name: The tool.
            arguments: Its arguments.
            timeout: Seconds for each round, instead of the client's.
            on_progress: Hears how far it is.
            idempotency_key: Goes along as the argument `idempotency_key`, and makes the call safe to repeat.
        """
        params = _tool_params(name, arguments, idempotency_key)
        how = await self._prepare(params, Call(timeout=timeout or self._timeout, progress=on_progress))
        wire = await self._run_tool(params, how)
        if wire.get("resultType") == "task":
            return self._check(name, await self._await_task(self._handle(wire)))
        return self._check(name, ToolResult.read(wire))

    async def start_tool(self, name: str, arguments: Mapping[str, object] | None = None) -> TaskHandle | ToolResult:
        """Call a tool, and get the task that the server makes of it; its result where the server makes none."""
        params = _tool_params(name, arguments, None)
        wire = await self._run_tool(params, await self._prepare(params, Call(timeout=self._timeout)))
        return self._handle(wire) if wire.get("resultType") == "task" else self._check(name, ToolResult.read(wire))

    async def call_tool_once(
        self, name: str, arguments: Mapping[str, object] | None = None, retry: JsonObject | None = None
    ) -> ToolResult | InputRequired | TaskHandle:
        """Call a tool for one round; `retry` is `InputRequired.retry(answers)` of the round before."""
        params = _tool_params(name, arguments, None)
        how = await self._prepare(params, Call(timeout=self._timeout))
        wire = await self._connection.call("tools/call", {**params, **(retry or {})}, how)
        if wire.get("resultType") == "input_required":
            return InputRequired.read(wire)
        return self._handle(wire) if wire.get("resultType") == "task" else self._check(name, ToolResult.read(wire))

    def resume_task(self, identifier: str) -> TaskHandle:
        """A handle for a task whose id was kept."""
        return self._handle({"taskId": identifier})

    async def read_resource(self, uri: str) -> list[Contents]:
        """Read a resource."""
        return Contents.read_all(await self._fetch_asking("resources/read", {"uri": uri}))

    async def get_prompt(self, name: str, arguments: Mapping[str, str] | None = None) -> PromptResult:
        """Fill in a prompt."""
        params: JsonObject = {"name": name, "arguments": dict(arguments or {})}
        return PromptResult.read(await self._fetch_asking("prompts/get", params))

    async def complete(
        self, ref: Prompt | ResourceTemplate, argument: str, value: str, known: Mapping[str, str] | None = None
    ) -> Completion:
        """Complete what is typed for an argument; `known` are the arguments that are filled in already."""
        if isinstance(ref, Prompt):
            reference: JsonObject = {"type": "ref/prompt", "name": ref.name}
        else:
            reference = {"type": "ref/resource", "uri": ref.uri_template}
        params: JsonObject = {"ref": reference, "argument": {"name": argument, "value": value}}
        if known:
            params["context"] = {"arguments": dict(known)}
        return Completion.read(await self._fetch("completion/complete", params))

    async def ping(self) -> None:
        """Ask for a sign of life, in whatever form the server's revision has one."""
        conversation = await self._connection.reach()
        await self._connection.call(conversation.sign_of_life, {}, Call(repeatable=True, timeout=self._timeout))

    # --- what is told without being asked ---

    async def subscribe(self, *uris: str) -> None:
        """Hear of changes of these resources too, by `on_updated`; again after every reconnection."""
        await self._watch(self._interest.uris | set(uris))

    async def unsubscribe(self, *uris: str) -> None:
        """Hear no more of them."""
        await self._watch(self._interest.uris - set(uris))

    async def _watch(self, uris: frozenset[str]) -> None:
        interest = Interest(self._interest.lists, uris)
        await self._connection.watch(interest)
        self._interest = interest
        self._board.watched = uris

    async def set_log_level(self, level: str) -> None:
        """Hear log messages from this level on."""
        await (await self._connection.reach()).set_log_level(level, self._timeout)

    async def tell_roots_changed(self) -> None:
        """Tell the server that the roots are others now; where nothing is remembered nobody need be told."""
        (await self._connection.reach()).tell_roots_changed()

    # --- inside ---

    async def _fetch(self, method: str, params: JsonObject) -> JsonObject:
        """Call a method that only tells; an answer that may be used again is."""
        place = self._shelf.look(method, params)
        if place.result is not None:
            return place.result
        result = await self._connection.call(method, params, Call(repeatable=True, timeout=self._timeout))
        place.keep(result)
        return result

    async def _fetch_asking(self, method: str, params: JsonObject) -> JsonObject:
        """Call a method that only tells, but may ask before it does."""
        how = Call(repeatable=True, timeout=self._timeout)
        first = await self._fetch(method, params)
        return await see_through(first, self._answers, lambda added: self._connection.call(method, params | added, how))

    async def _run_tool(self, params: JsonObject, how: Call) -> JsonObject:
        first = await self._call_mirrored(params, how)
        return await see_through(first, self._answers, lambda added: self._call_mirrored(params | added, how))

    async def _call_mirrored(self, params: JsonObject, how: Call) -> JsonObject:
        """Call a tool; a server that misses headers has changed its tools, so they are listed again."""
        try:
            return await self._connection.call("tools/call", params, how)
        except ServerRefused as error:
            if error.code != HEADER_MISMATCH:
                raise
        self._shelf.forget("tools")
        await self.list_tools()
        return await self._connection.call("tools/call", params, await self._prepare(params, how))

    async def _prepare(self, params: JsonObject, how: Call) -> Call:
        """What the tool's description says of how it is called; a tool that was never listed says nothing."""
        tool = (self._tools or {}).get(str(params["name"]))
        arguments = cast("JsonObject", params["arguments"])
        repeatable = how.repeatable or "idempotency_key" in arguments or (tool is not None and tool.is_repeatable)
        headers = mirroring.write_arguments(tool.mirrored(), arguments) if tool and await self._mirrors() else {}
        return replace(how, repeatable=repeatable, headers=headers)

    async def _mirrors(self) -> bool:
        return (await self._connection.reach()).link.mirrors

    async def _await_task(self, task: TaskHandle) -> ToolResult:
        try:
            return await task.result()
        except asyncio.CancelledError:  # whoever called does not know of the task, and cannot cancel it
            conversation = self._connection.conversation
            if conversation is not None:
                conversation.own(task.cancel())
            raise

    def _handle(self, wire: JsonObject) -> TaskHandle:
        return TaskHandle(wire, self._fetch, lambda asked: respond(self._answers, asked))

    def _check(self, name: str, result: ToolResult) -> ToolResult:
        tool = (self._tools or {}).get(name)
        if self._validate and tool is not None and tool.output_schema is not None and not result.is_error:
            from mcp_kernel.client.validation import OutputCheck

            if name not in self._checks:
                self._checks[name] = OutputCheck(tool.output_schema)
            self._checks[name].check(result.structured)
        return result

    def _reopen(self, call_back: CallBack) -> None:
        """After a gap nothing that was kept is sure any more."""
        self._shelf.forget_all()
        self._board.tell_all(call_back)

    def _forget_list(self, kind: Kind) -> None:
        self._shelf.forget(kind)
        if kind == "tools":
            self._tools = None

    def _forget_resource(self, uri: str) -> None:
        self._shelf.forget_resource(uri)


def _tool_params(name: str, arguments: Mapping[str, object] | None, key: str | None) -> JsonObject:
    given = dict(arguments or {})
    return {"name": name, "arguments": given if key is None else {**given, "idempotency_key": key}}


def _is_valid(tool: Tool) -> bool:
    try:
        tool.mirrored()
    except ValueError as error:
        _LOG.warning("the tool %s is left out: %s", tool.name, error)
        return False
    return True


def _own_info() -> JsonObject:
    return {"name": "mcp-kernel", "version": metadata.version("mcp-kernel")}
