"""`Server`: what is offered, declared with decorators on plain functions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar, cast

from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject, to_bytes
from mcp_kernel.protocol.modern import SERVER_INFO
from mcp_kernel.protocol.shapes import CACHEABLE
from mcp_kernel.server.completion import Completions
from mcp_kernel.server.exchange import Exchange
from mcp_kernel.server.handlers import Handler, name_of
from mcp_kernel.server.prompts import Prompt
from mcp_kernel.server.registry import Registry
from mcp_kernel.server.resources import Label, Resource, Resources, Template
from mcp_kernel.server.steps import Steps
from mcp_kernel.server.subscriptions import Kind, Subscriptions
from mcp_kernel.server.tasks import TaskStore
from mcp_kernel.server.threads import Threads
from mcp_kernel.server.tools import Declaration, Hints, TaskMode, Tool

if TYPE_CHECKING:
    from mcp_kernel.server.access import Policy, View
    from mcp_kernel.server.channel import Send
    from mcp_kernel.server.peer import Outlet, Peer
    from mcp_kernel.server.pipeline import Answer, Method, Stage
    from mcp_kernel.server.principal import Principal, Refused
    from mcp_kernel.server.readiness import Readiness
    from mcp_kernel.server.repeats import Answers
    from mcp_kernel.server.store import Store
    from mcp_kernel.server.tracer import Tracer
    from mcp_kernel.transports.http import HttpApp, HttpOptions

F = TypeVar("F", bound=Callable[..., object])

_LIST_TTL: Final = 60_000  # milliseconds that a client may keep a list without asking again
_LISTS: Final = CACHEABLE - {"resources/read", "resources/list"}  # both may show what changes outside the server


class Server:
    """A set of tools, resources, prompts and completions, served in every revision over every transport.

    Args:
        name: The program's name, as clients show it in their logs.
        version: The program's version.
        title: The name that people read.
        instructions: What a model should know before it uses the server.
        website_url: Where people read more.
        tool_errors: Exceptions of the domain whose text is meant for the model, treated as `ToolError`.
        own_failures: Those of `tool_errors` which say that nothing is wrong with the request: a database is away. Of a
            resource's handler, and of a prompt's, they are told as -32603, and the others as -32602.
        not_found: Exceptions of the domain which say, of a resource's handler, that nothing is at its URI, and of a
            prompt's, that an argument names nothing.
        timeout: Seconds that a handler may run; None for no limit. Waiting for a person does not count.
        max_output_bytes: The most that one result may have; 0 for no limit.
        page_size: How many items one page of a list shows.
        state_key: Signs `requestState`; from the environment variable MCP_STATE_KEY, or made at random, by default.
            Several processes that serve the same clients need the same key.
        task_timeout: Seconds that the work of a task may take once it is one, where its tool has no timeout of its
            own; None for no limit but `task_ttl`. Waiting for a person does not count.
        task_ttl: Seconds, counted from its creation, after which a task is forgotten, finished or not.
        max_tasks: How many tasks are kept; the oldest finished one makes room for another.
        follow_roots: Ask a client with a session for its roots at its beginning and when they change, and answer
            `Context.roots` from that; without it, and wherever there is no session, each call asks.
    """

    def __init__(  # the options of a public constructor, all by name
        self,
        name: str,
        version: str,
        *,
        title: str | None = None,
        instructions: str | None = None,
        website_url: str | None = None,
        tool_errors: tuple[type[Exception], ...] = (),
        own_failures: tuple[type[Exception], ...] = (),
        not_found: tuple[type[Exception], ...] = (),
        timeout: float | None = 60.0,
        max_output_bytes: int = 0,
        page_size: int = 1000,
        state_key: bytes | None = None,
        task_timeout: float | None = 1800.0,
        task_ttl: float = 3600.0,
        max_tasks: int = 1000,
        follow_roots: bool = False,
    ) -> None:
        optional = {"title": title, "websiteUrl": website_url}
        self.info: JsonObject = {"name": name, "version": version}
        self.info.update({key: value for key, value in optional.items() if value is not None})
        self.instructions = instructions
        self.tool_errors, self.own_failures, self.not_found = tool_errors, own_failures, not_found
        self.timeout = timeout
        self.max_output_bytes = max_output_bytes
        self.state_key = state_key or os.fsencode(os.environ.get("MCP_STATE_KEY", "")) or os.urandom(32)
        self.task_timeout = task_timeout
        self.follow_roots = follow_roots
        self.subscriptions = Subscriptions()
        self.tasks = TaskStore(self.subscriptions.task_changed, ttl=task_ttl, most=max_tasks)
        self.tools: Registry[Tool] = Registry("tools", lambda: self.list_changed("tools"), page_size)
        self.prompts: Registry[Prompt] = Registry("prompts", lambda: self.list_changed("prompts"), page_size)
        self.resources = Resources(lambda: self.list_changed("resources"), page_size)
        self.completions = Completions(self.prompts, self.resources)
        self._threads = Threads()
        self._closers: list[Callable[[], Awaitable[None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._steps: Steps | None = None

    stages: Callable[[Exchange, Method], Awaitable[Answer]] | None = None
    """What stands around every request; see `use`."""
    policy: Policy | None = None
    """What everybody may use; see `govern`."""
    answers: Answers | None = None
    """Where answers to calls with an idempotency key are kept; in memory for a day, where nothing else is set."""
    store: Store | None = None
    """What is shared with the other processes that serve the same clients, where anything is."""
    refusals: Callable[[Refused], None] | None = None
    """Who hears of requests that are refused before any stage sees them."""
    tracer: Tracer | None = None
    """Who follows the messages that no stage sees."""

    # --- declaring ---

    def tool(  # the options of a public decorator, all by name
        self,
        name: str | None = None,
        *,
        title: str | None = None,
        read_only: bool = False,
        destructive: bool = True,
        idempotent: bool = False,
        open_world: bool = True,
        timeout: float | None = None,
        input_schema: Mapping[str, object] | None = None,
        task: TaskMode = "never",
        task_after: float | None = 0.0,
        scopes: Sequence[str] = (),
        privileged: bool = False,
        idempotency_key: str | None = None,
    ) -> Callable[[F], F]:
        """Declare a tool: its signature and docstring become the schema, its return type the output schema.

        Args:
            name: The function's name by default.
            title: The name that people read.
            read_only: It changes nothing.
            destructive: It may undo or overwrite what is there.
            idempotent: Calling it twice is calling it once.
            open_world: It reaches beyond what the server owns.
            timeout: Seconds, instead of the server's.
            input_schema: Shown to clients untouched, instead of the one made from the signature.
            task: Whether a call may become a task, which its client asks after instead of waiting (the extension
                io.modelcontextprotocol/tasks). "allowed" runs as a call for clients without tasks, "required"
                refuses them (-32021).
            task_after: When it becomes one: after so many seconds, or when its handler awaits
                `Context.become_task`, whichever comes first. 0 is at once, before the handler runs, so that it asks
                its questions in the task; None leaves it to the handler, which can ask its questions first.
            scopes: What the token of whoever calls it must hold, all of them. A call without is refused, over HTTP
                with 403 and a challenge that names them, so that the client can ask for more; where nobody is
                authenticated nobody holds any.
            privileged: It exists only for those whom a policy lets use it, and where there is no policy for nobody.
            idempotency_key: The argument by which a call is known when it is made again: it is answered as the first
                was, and not done twice. For what has no transaction of its own to keep the key in.
        """
        hints = Hints(read_only=read_only, destructive=destructive, idempotent=idempotent, open_world=open_world)

        def register(function: F) -> F:
            declaration = Declaration(
                name=name or name_of(function),
                title=title,
                hints=hints,
                timeout=timeout,
                input_schema=input_schema,
                task=task,
                task_after=task_after,
                scopes=tuple(scopes),
                privileged=privileged,
                idempotency_key=idempotency_key,
            )
            self.tools.add(declaration.name, Tool(function, declaration, self._threads))
            return function

        return register

    def resource(
        self, uri: str, *, name: str | None = None, title: str | None = None, mime_type: str | None = None
    ) -> Callable[[F], F]:
        """Declare a resource at a URI, or at every URI of an RFC 6570 template, whose variables are arguments."""

        def register(function: F) -> F:
            label = Label(name=name or name_of(function), title=title, mime_type=mime_type)
            if "{" in uri:
                self.resources.templates.add(uri, Template(uri, function, label, self._threads))
            else:
                self.resources.fixed.add(uri, Resource(uri, function, label, self._threads))
            return function

        return register

    def members(self, template: str) -> Callable[[F], F]:
        """Declare how to enumerate a template, so that its members stand in `resources/list`.

        The function returns a list of mappings from variable names to values.
        """

        def register(function: F) -> F:
            found = self.resources.templates.get(template)
            if found is None:
                raise ValueError(f"No resource is declared at {template}")
            found.members = Handler(function, self._threads)
            return function

        return register

    def prompt(self, name: str | None = None, *, title: str | None = None) -> Callable[[F], F]:
        """Declare a prompt: a function of strings that returns a text or a list of `Message`."""

        def register(function: F) -> F:
            prompt = Prompt(name or name_of(function), function, self._threads, title)
            self.prompts.add(prompt.name, prompt)
            return function

        return register

    def complete(self, reference: str, argument: str) -> Callable[[F], F]:
        """Declare completion for an argument of a prompt (by its name) or a variable of a template.

        The function takes what was typed so far and returns the values that fit, the likeliest first; further
        parameters are other arguments of the same prompt or template, by name, as far as they are filled in.
        """

        def register(function: F) -> F:
            self.completions.add(reference, argument, function, self._threads)
            return function

        return register

    def watcher(self, function: Callable[[Subscriptions], Awaitable[None]], *, lists: bool = False) -> None:
        """Declare a coroutine function that runs while somebody is subscribed to a resource.

        It looks for changes made elsewhere and calls `changed`; the argument iterates over the subscribed URIs. With
        `lists` it looks for changes of the list of resources too, calls `list_changed`, and runs also while somebody
        hears of that: a client with a session always, one without as long as it listens for it.
        """
        self.subscriptions.add_watcher(function, lists)

    def on_close(self, function: Callable[[], Awaitable[None]]) -> None:
        """Declare what is to be done when serving ends."""
        self._closers.append(function)

    def ready_check(self, name: str) -> Callable[[F], F]:
        """Declare a coroutine function that returns where `name` can be used now, and raises where it cannot.

        `/readyz` runs it, at most once in a second; whoever asks is told the name, and the log what was raised.
        """

        def register(function: F) -> F:
            from mcp_kernel.server.readiness import Readiness

            if self.readiness is None:
                self.readiness = Readiness()
            self.readiness.add(name, cast("Callable[[], Awaitable[None]]", function))
            return function

        return register

    readiness: Readiness | None = None
    """Whether what the server needs can be used; None where nothing was declared."""

    def use(self, stages: Sequence[Stage]) -> None:
        """Put stages around every request, the first outermost, in place of those that were there."""
        from mcp_kernel.server.pipeline import compose

        self.stages = compose(stages) if stages else None

    def govern(self, policy: Policy | None) -> None:
        """Show everybody what a policy allows, from now on; what checks the calls is the stage `Authorization`."""
        self.policy = policy
        for registry in (self.tools, self.prompts, self.resources.fixed, self.resources.templates):
            registry.forget()
        for kind in ("tools", "prompts", "resources"):
            self.list_changed(kind)

    # --- changing ---

    def changed(self, uri: str) -> None:
        """Tell those who subscribed to a resource that it changed; may be called from any thread."""
        self._on_loop(lambda: self.subscriptions.spread_change(uri))

    def list_changed(self, kind: Kind) -> None:
        """Tell the clients that a list changed; may be called from any thread."""
        self._on_loop(lambda: self.subscriptions.spread_list_change(kind))

    def _on_loop(self, work: Callable[[], None]) -> None:
        if self._loop is None:
            return  # nobody is connected yet
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self._loop:
            work()
        else:
            self._loop.call_soon_threadsafe(work)

    # --- what the exchanges ask for ---

    def capabilities(self, view: View | None) -> JsonObject:
        """The wire's `ServerCapabilities` for whoever has this view, in the form of the latest revision."""
        declared: JsonObject = {"logging": {}}
        if self.offers("tools", view):
            declared["tools"] = {"listChanged": True}
        if self.offers("resources", view):
            declared["resources"] = {"listChanged": True, "subscribe": True}
        if self.offers("prompts", view):
            declared["prompts"] = {"listChanged": True}
        if "prompts" in declared or (len(self.completions) and "resources" in declared):
            declared["completions"] = {}
        if any(tool.declaration.task != "never" and tool.shows(view) for tool in self.tools):
            declared.update(TASKS)
        return declared

    def offers(self, kind: Kind, view: View | None) -> bool:
        """Tell whether there is anything of a kind for whoever has this view."""
        registries = {"tools": self.tools, "prompts": self.prompts, "resources": self.resources}
        return registries[kind].any_shown(view)

    def cache_hints(self, method: str) -> tuple[int, str]:
        """How long, in milliseconds, and by whom a result of this method may be kept (server/utilities/caching)."""
        if method not in _LISTS:
            return 0, "private"
        return _LIST_TTL, "public" if self.policy is None else "private"

    @property
    def result_tail(self) -> bytes:
        """The members that close every result of the modern era, as JSON: encoded once, sent with each call."""
        if self._tail is None:
            meta = to_bytes({SERVER_INFO: self.info})
            self._tail = b'"resultType":"complete","_meta":%b' % meta
        return self._tail

    _tail: bytes | None = None

    # --- living ---

    def asgi(self, options: HttpOptions | None = None) -> HttpApp:
        """Return an ASGI application that serves every revision at `/mcp`; it mounts in any framework.

        Serve with several processes only behind one key: see `state_key`.
        """
        from mcp_kernel.transports.http import HttpApp

        return HttpApp(self, options)

    async def converse(self, messages: AsyncIterable[bytes], send: Send, *, principal: Principal | None = None) -> None:
        """Serve one client over a transport of your own, until `messages` end or `send` raises.

        Each of `messages`, and each that `send` is given, is JSON-RPC as bytes, without a line feed. What either raises
        is raised here, once nothing is left behind. `principal` is whoever the transport authenticated.
        """
        from mcp_kernel.server.channel import converse

        await converse(self, messages, send, principal=principal)

    def attach(self) -> tuple[asyncio.AbstractEventLoop, Steps]:
        """Return the running event loop, on which a peer is served, and what starts handlers there."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._steps = loop, Steps(loop)
        return loop, cast("Steps", self._steps)

    def admit(self, outlet: Outlet) -> Peer:
        """Take in one more client of the same process; what it is told goes to the outlet."""
        from mcp_kernel.server.peer import Peer

        return Peer(self, outlet)

    async def close(self) -> None:
        """Serving has ended: stop watching, stop the tasks, close what the handlers opened."""
        self.subscriptions.close()
        if self.readiness is not None:
            self.readiness.close()
        await self.tasks.close()
        if self._steps is not None:
            self._steps.close()
        for closer in self._closers:
            await closer()
        self._threads.close()
