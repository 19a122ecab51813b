"""What a server says without being asked, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast

from mcp_kernel.client.conversation import REOPENED, CallBack

if TYPE_CHECKING:
    from mcp_kernel.protocol.jsonrpc import JsonObject

Kind: TypeAlias = Literal["tools", "resources", "prompts"]
# Takes the level, the data (any JSON value) and the logger's name.
LogCallback: TypeAlias = Callable[[str, object, str | None], object]
ListChangedCallback: TypeAlias = Callable[[Kind], object]
# Takes the URI of the resource.
UpdatedCallback: TypeAlias = Callable[[str], object]

_KINDS: Final[tuple[Kind, ...]] = ("tools", "resources", "prompts")
_LISTS: Final[dict[str, Kind]] = {f"notifications/{kind}/list_changed": kind for kind in _KINDS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notices:
    """The callbacks of a host; each may be sync or a coroutine function."""

    log: LogCallback | None = None
    list_changed: ListChangedCallback | None = None
    updated: UpdatedCallback | None = None


class Board:
    """Tells the callbacks, after it told those who remember what the server said.

    Args:
        notices: The callbacks.
        forget_list: Hears of each list that changed.
        forget_resource: Hears of each resource that changed.
    """

    def __init__(
        self,
        notices: Notices,
        forget_list: Callable[[Kind], None],
        forget_resource: Callable[[str], None],
    ) -> None:
        self._notices = notices
        self._forget_list = forget_list
        self._forget_resource = forget_resource
        self.watched: frozenset[str] = frozenset()

    def take(self, method: str, params: JsonObject, call_back: CallBack) -> None:
        """Take a notification; `call_back` runs a callback, so that what it raises harms nobody."""
        if method in _LISTS:
            self._tell_list(_LISTS[method], call_back)
        elif method == "notifications/resources/updated":
            self._tell_resource(str(params.get("uri", "")), call_back)
        elif method == "notifications/message" and self._notices.log is not None:
            logger = cast("str | None", params.get("logger"))
            call_back(self._notices.log, str(params.get("level", "info")), params.get("data"), logger)
        elif method == REOPENED:
            self.tell_all(call_back)

    def tell_all(self, call_back: CallBack) -> None:
        """After a gap everything may have changed, and is told so."""
        for kind in _KINDS:
            self._tell_list(kind, call_back)
        for uri in sorted(self.watched):
            self._tell_resource(uri, call_back)

    def _tell_list(self, kind: Kind, call_back: CallBack) -> None:
        self._forget_list(kind)
        if self._notices.list_changed is not None:
            call_back(self._notices.list_changed, kind)

    def _tell_resource(self, uri: str, call_back: CallBack) -> None:
        self._forget_resource(uri)
        if self._notices.updated is not None:
            call_back(self._notices.updated, uri)
