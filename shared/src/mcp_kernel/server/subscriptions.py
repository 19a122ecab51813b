"""The change bus: who wants to hear of changes, in either era.

Modern clients hold a listen stream open with a filter; legacy sessions hear of every list that changes and of the
resources that they subscribed to. A watcher, which looks for changes made outside the server, runs only while
somebody is subscribed to a resource, or, if it looks for changes of the list too, hears of that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from mcp_kernel.errors import INTERNAL_ERROR, INVALID_PARAMS, ProtocolError, Unsupported
from mcp_kernel.protocol.capabilities import TASKS
from mcp_kernel.protocol.jsonrpc import JsonObject, Notification
from mcp_kernel.protocol.modern import on_stream

if TYPE_CHECKING:
    from mcp_kernel.server.access import View
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.peer import Peer
    from mcp_kernel.server.store import Store
    from mcp_kernel.server.tasks import TaskRecord

Kind: TypeAlias = Literal["tools", "resources", "prompts"]

_LOG = logging.getLogger("mcp_kernel")
_MOST_STREAMS: Final = 10_000  # on one connection: a bound on what a client can make us hold
MOST_URIS: Final = 5_000  # on one stream or session: each is matched with every template, which takes 20 µs
_FILTERS: Final[dict[Kind, str]] = {
    "tools": "toolsListChanged",
    "resources": "resourcesListChanged",
    "prompts": "promptsListChanged",
}


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A listen stream: what it asked for and was granted."""

    exchange: Exchange
    kinds: frozenset[Kind]
    uris: frozenset[str]
    tasks: frozenset[str]

    def send(self, method: str, params: JsonObject) -> None:
        """Send a notification that is marked with the stream, unless the client has taken that back."""
        if self.exchange.ending is None:
            marked = on_stream(params, self.exchange.request.id)
            self.exchange.peer.announce(Notification(method, marked))


Watcher: TypeAlias = "Callable[[Subscriptions], Awaitable[None]]"


class Subscriptions:
    """Everybody who wants to hear of changes of one server."""

    store: Store | None = None
    """The way to the other processes that serve the same clients, where there are any."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._sessions: set[Peer] = set()  # who hears of lists
        self._subscribers: set[Peer] = set()  # who subscribed to resources
        self._watchers: dict[Watcher, bool] = {}  # with whether it looks for changes of the list of resources
        self._watching: dict[Watcher, asyncio.Task[None]] = {}

    @property
    def uris(self) -> set[str]:
        """The URIs that somebody is subscribed to now."""
        found = {uri for peer in self._subscribers for uri in peer.session.subscriptions}
        return found.union(*(listener.uris for listener in self._listeners))

    def __iter__(self) -> Iterator[str]:
        return iter(self.uris)

    def add_watcher(self, watcher: Watcher, lists: bool) -> None:
        """Register a function that runs while somebody is subscribed to a resource, or hears of their list."""
        self._watchers[watcher] = lists

    # --- who listens ---

    def join(self, peer: Peer) -> None:
        """A legacy session is ready to be notified."""
        self._sessions.add(peer)
        self._refresh()

    def subscribe(self, peer: Peer) -> None:
        """What a legacy session is subscribed to has changed."""
        if peer.session.subscriptions:
            self._subscribers.add(peer)
        else:
            self._subscribers.discard(peer)
        self._refresh()

    def leave(self, peer: Peer) -> None:
        """A peer is gone."""
        self._sessions.discard(peer)
        self._subscribers.discard(peer)
        self._refresh()

    async def listen(self, exchange: Exchange) -> JsonObject:
        """Answer `subscriptions/listen`: acknowledge the filter, then hold the stream open until it is ended.

        Raises `Unsupported` when tasks are asked for without the extension.
        """
        server, identifier = exchange.peer.server, exchange.request.id
        asked = cast("JsonObject", exchange.request.params["notifications"])
        if asked.get("taskIds") is not None and not exchange.takes_tasks:
            raise Unsupported(TASKS)
        if exchange.peer.listening >= _MOST_STREAMS:
            raise ProtocolError(INTERNAL_ERROR, f"{_MOST_STREAMS} listen streams are open on this connection already")
        view = exchange.view
        wanted, tasks = _texts(asked, "resourceSubscriptions"), _texts(asked, "taskIds")
        if len(wanted) + len(tasks) > MOST_URIS:
            raise too_many_uris()
        kinds: frozenset[Kind] = frozenset(
            kind for kind, name in _FILTERS.items() if asked.get(name) is True and server.offers(kind, view)
        )
        granted = frozenset(uri for uri in wanted if server.resources.has(uri, view))
        own = {each for each in tasks if await server.tasks.sees(exchange.principal, each)}
        listener = Listener(exchange, kinds, granted, frozenset(own))
        honoured: JsonObject = {_FILTERS[kind]: True for kind in _FILTERS if kind in kinds}
        if granted:
            honoured["resourceSubscriptions"] = [uri for uri in wanted if uri in granted]
        if own:
            honoured["taskIds"] = [each for each in tasks if each in own]
        exchange.limit = None
        acknowledged = on_stream({"notifications": honoured}, identifier)
        exchange.notify("notifications/subscriptions/acknowledged", acknowledged)
        self._listeners.add(listener)
        exchange.peer.listening += 1
        self._refresh()
        try:
            await exchange.peer.wait_closed()
        finally:
            exchange.peer.listening -= 1
            self._listeners.discard(listener)
            self._refresh()
        if exchange.peer.outlet.shared:
            exchange.notify("notifications/cancelled", {"requestId": identifier, "reason": "The server is closing"})
        return on_stream({}, identifier)

    # --- what changed ---

    def changed(self, uri: str) -> None:
        """Tell those who subscribed to a resource, and may still read it, that it changed."""
        for peer in self._subscribers:
            if uri in peer.session.subscriptions and _may_read(peer.view, uri):
                peer.announce(Notification("notifications/resources/updated", {"uri": uri}))
        for listener in self._listeners:
            if uri in listener.uris and _may_read(listener.exchange.view, uri):
                listener.send("notifications/resources/updated", {"uri": uri})

    def list_changed(self, kind: Kind) -> None:
        """Tell the clients that a list changed."""
        method = f"notifications/{kind}/list_changed"
        for peer in self._sessions:
            peer.announce(Notification(method, {}))
        for listener in self._listeners:
            if kind in listener.kinds:
                listener.send(method, {})

    def spread_change(self, uri: str) -> None:
        """Tell also those who are clients of another process."""
        self.changed(uri)
        if self.store is not None:
            self.store.tell("changed", {"which": uri})

    def spread_list_change(self, kind: Kind) -> None:
        """Tell also those who are clients of another process."""
        self.list_changed(kind)
        if self.store is not None:
            self.store.tell("list_changed", {"which": kind})

    def task_changed(self, record: TaskRecord) -> None:
        """Tell those who asked for this task how it stands."""
        if record.id in self.tasks:
            self.tell_task(record.id, record.detail())

    def tell_task(self, identifier: str, detail: JsonObject) -> None:
        """Tell those who asked for a task how it stands: the wire's `DetailedTask`."""
        for listener in self._listeners:
            if identifier in listener.tasks:
                listener.send("notifications/tasks", detail)

    @property
    def tasks(self) -> set[str]:
        """The ids of the tasks that somebody listens to here."""
        return set[str]().union(*(listener.tasks for listener in self._listeners))

    # --- the watchers ---

    def _refresh(self) -> None:
        if not self._watchers:
            return
        subscribed = bool(self._subscribers) or any(listener.uris for listener in self._listeners)
        listening = bool(self._sessions) or any("resources" in listener.kinds for listener in self._listeners)
        for watcher, lists in self._watchers.items():
            if subscribed or (lists and listening):
                task = self._watching.get(watcher)
                if task is None or task.done():
                    loop = asyncio.get_running_loop()  # what it logs is not of the request that happens to begin it
                    self._watching[watcher] = loop.create_task(self._watch(watcher), context=Context())
            elif watcher in self._watching:
                self._watching.pop(watcher).cancel()

    async def _watch(self, watcher: Watcher) -> None:
        try:
            await watcher(self)
        except Exception:
            _LOG.exception("Watching for changes has stopped; it starts again with the next subscription")

    def close(self) -> None:
        """Stop watching."""
        for task in self._watching.values():
            task.cancel()
        self._watching = {}


def too_many_uris() -> ProtocolError:
    """The refusal of more than is held for one stream or session."""
    return ProtocolError(INVALID_PARAMS, f"A client follows at most {MOST_URIS} resources on one stream or session")


def _may_read(view: View | None, uri: str) -> bool:
    return view is None or view.allows("resources", uri)


def _texts(asked: JsonObject, name: str) -> list[str]:
    """The strings of a list in a filter; what is none is passed over."""
    given = asked.get(name)
    return [each for each in cast("list[object]", given) if isinstance(each, str)] if isinstance(given, list) else []
