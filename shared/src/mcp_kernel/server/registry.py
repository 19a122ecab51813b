"""Named things that a server offers, in the order of their registration, listed page by page."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Protocol, TypeVar, cast

from pydantic_core import from_json

from mcp_kernel.errors import INVALID_PARAMS, ProtocolError
from mcp_kernel.protocol.jsonrpc import JsonObject, Prepared, to_bytes
from mcp_kernel.server.exchange import Exchange

if TYPE_CHECKING:
    from mcp_kernel.server.access import View


class Listed(Protocol):
    """Something that a list can show."""

    def describe(self) -> JsonObject:
        """The wire's description, in the form of the latest revision."""
        ...

    def shows(self, view: View | None) -> bool:
        """Whether it exists for whoever has this view; None is that of a server without a policy."""
        ...


T = TypeVar("T", bound=Listed)

_MOST_PAGES: Final = 256  # cursors come from outside: a bound on what they can fill


class Registry(Generic[T]):
    """A list of one kind; its pages are encoded once for each revision and view, until the list changes.

    A cursor holds the number of the last item of its page, counted from the server's start and never given twice, so
    that it stays right when items come and go.
    """

    def __init__(self, member: str, changed: Callable[[], None], page_size: int = 1000) -> None:
        self._member = member
        self._changed = changed
        self._page_size = page_size
        self._items: dict[str, tuple[int, T]] = {}
        self._last = 0
        self._pages: dict[tuple[str, str | None, View | None], Prepared] = {}

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (item for _, item in self._items.values())

    @property
    def names(self) -> list[str]:
        """The names, in the order of the list."""
        return list(self._items)

    def get(self, name: str) -> T | None:
        """Return the item of that name."""
        found = self._items.get(name)
        return None if found is None else found[1]

    def add(self, name: str, item: T) -> None:
        """Add an item at the end; raises `ValueError` for a name that is taken."""
        if name in self._items:
            raise ValueError(f"{name} is registered already in {self._member}")
        self._last += 1
        self._items[name] = (self._last, item)
        self._pages.clear()
        self._changed()

    def remove(self, name: str) -> None:
        """Take an item off the list; raises `KeyError` when it is not there."""
        del self._items[name]
        self._pages.clear()
        self._changed()

    def any_shown(self, view: View | None) -> bool:
        """Tell whether there is anything for a view."""
        return any(item.shows(view) for item in self)

    def page(self, exchange: Exchange) -> Prepared:
        """Answer a list request; raises `ProtocolError` -32602 for a cursor that this server did not make."""
        cursor = cast("str | None", exchange.request.params.get("cursor"))
        view = exchange.view
        key = (exchange.caller.revision.name, cursor, view)
        page = self._pages.get(key)
        if page is None:
            page = Prepared(to_bytes(exchange.complete(self._make_page(exchange, cursor))))
            if cursor is None or len(self._pages) < _MOST_PAGES:
                self._pages[key] = page
        return page

    def forget(self) -> None:
        """Forget the pages, which showed what may be another's now."""
        self._pages.clear()

    def _make_page(self, exchange: Exchange, cursor: str | None) -> JsonObject:
        shown, last = self.after(0 if cursor is None else read_cursor(cursor).number, exchange.view)
        result: JsonObject = {self._member: [exchange.describe(item.describe()) for item in shown]}
        if last is not None:
            result["nextCursor"] = write_cursor(Cursor(number=last))
        return result

    def after(self, number: int, view: View | None) -> tuple[list[T], int | None]:
        """Return the page of a view behind an item's number, and the number of its last item where more follow."""
        rest = [(each, item) for each, item in self._items.values() if each > number and item.shows(view)]
        shown = rest[: self._page_size]
        return [item for _, item in shown], shown[-1][0] if len(rest) > len(shown) else None


class Cursor(NamedTuple):
    """Where a page ended: behind the registered item of that number, or behind an enumerated URI."""

    number: int = 0
    uri: str = ""


def write_cursor(cursor: Cursor) -> str:
    """Make the opaque form."""
    return urlsafe_b64encode(to_bytes(cursor)).decode("ascii")


def read_cursor(text: str) -> Cursor:
    """Read what `write_cursor` made; raises `ProtocolError` -32602 for anything else."""
    try:
        number, uri = from_json(urlsafe_b64decode(text.encode("ascii")))
        cursor = Cursor(number, uri)
    except (ValueError, TypeError):
        raise _bad_cursor() from None
    if type(cursor.number) is not int or type(cursor.uri) is not str or write_cursor(cursor) != text:
        raise _bad_cursor()
    return cursor


def _bad_cursor() -> ProtocolError:
    return ProtocolError(INVALID_PARAMS, "Invalid cursor: list again from the start, without one")
