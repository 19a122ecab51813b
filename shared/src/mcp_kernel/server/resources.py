"""Resources: what a client may read, at fixed URIs and at templates of them (RFC 6570)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mcp_kernel.errors import InvalidArguments, ResourceNotFound
from mcp_kernel.protocol.jsonrpc import JsonObject, Prepared
from mcp_kernel.protocol.uri_template import UriTemplate
from mcp_kernel.server.handlers import Handler
from mcp_kernel.server.registry import Cursor, Registry, read_cursor, write_cursor
from mcp_kernel.server.results import to_contents

if TYPE_CHECKING:
    from mcp_kernel.server.access import View
    from mcp_kernel.server.exchange import Exchange
    from mcp_kernel.server.threads import Threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """How a resource is shown; what is None is left out."""

    name: str
    title: str | None = None
    mime_type: str | None = None

    def describe(self, address: JsonObject, description: str) -> JsonObject:
        """The wire's `Resource` or `ResourceTemplate`, by the address it is given."""
        described: JsonObject = {**address, "name": self.name}
        if self.title is not None:
            described["title"] = self.title
        if description:
            described["description"] = description
        if self.mime_type is not None:
            described["mimeType"] = self.mime_type
        return described


class Resource:
    """A function that reads one URI, as it was registered."""

    __slots__ = ("handler", "label", "uri")

    def __init__(self, uri: str, function: Callable[..., object], label: Label, threads: Threads) -> None:
        self.uri = uri
        self.label = label
        self.handler = Handler(function, threads)

    def describe(self) -> JsonObject:
        """The wire's `Resource`."""
        return self.label.describe({"uri": self.uri}, self.handler.description)

    def shows(self, view: View | None) -> bool:
        """Whether the resource exists for whoever has this view."""
        return view is None or view.allows("resources", self.uri)


class Template:
    """A function that reads the URIs of a template, its variables as arguments.

    `members` enumerates the URIs that exist now, so that they stand in `resources/list`: it returns the values of
    the variables for each. None where nobody can tell.
    """

    __slots__ = ("handler", "label", "members", "template")

    def __init__(self, template: str, function: Callable[..., object], label: Label, threads: Threads) -> None:
        self.template = UriTemplate(template)
        if self.template.unmatchable is not None:
            raise ValueError(f"{template} cannot be read: {self.template.unmatchable}")
        self.label = label
        self.handler = Handler(function, threads)
        self.members: Handler | None = None
        known = set(cast("dict[str, object]", self.handler.arguments.schema.get("properties", {})))
        missing = [name for name in self.template.variables if name not in known]
        if missing:
            raise TypeError(f"{function.__qualname__} takes no argument {missing[0]}, a variable of {template}")

    def describe(self) -> JsonObject:
        """The wire's `ResourceTemplate`."""
        return self.label.describe({"uriTemplate": self.template.template}, self.handler.description)

    def shows(self, view: View | None) -> bool:
        """Whether all that it can read exists for whoever has this view."""
        return view is None or view.allows("resources", self.template.outline)

    async def enumerate(self, exchange: Exchange) -> list[JsonObject]:
        """The wire's `Resource` of every member that exists for whoever asks, sorted by URI."""
        if self.members is None:
            return []
        view = exchange.view
        if view is not None:
            exchange.denied_tables = view.denied_tables("resources", self.template.outline)
        found = cast("list[Mapping[str, str]]", await self.members.call(exchange, {}))
        uris = {self.template.expand(values): values for values in found}
        shown = sorted(uri for uri in uris if view is None or view.allows("resources", uri))
        return [self._describe_member(uri, uris[uri]) for uri in shown]

    def _describe_member(self, uri: str, values: Mapping[str, str]) -> JsonObject:
        name = " ".join(values.values()) or self.label.name
        label = Label(name=name, mime_type=self.label.mime_type)
        return label.describe({"uri": uri}, self.handler.description.partition("\n")[0])


class Resources:
    """All that a server lets a client read."""

    def __init__(self, changed: Callable[[], None], page_size: int) -> None:
        self.fixed: Registry[Resource] = Registry("resources", changed, page_size)
        self._page_size = page_size
        self.templates: Registry[Template] = Registry("resourceTemplates", changed, page_size)

    async def page(self, exchange: Exchange) -> JsonObject | Prepared:
        """Answer `resources/list`: the fixed resources, then the members of the templates that can be enumerated."""
        enumerable = [template for template in self.templates if template.members is not None]
        if not enumerable:
            return self.fixed.page(exchange)
        text = cast("str | None", exchange.request.params.get("cursor"))
        cursor = Cursor() if text is None else read_cursor(text)
        shown: list[JsonObject] = []
        last: int | None = None
        if not cursor.uri:
            fixed, last = self.fixed.after(cursor.number, exchange.view)
            shown = [exchange.describe(resource.describe()) for resource in fixed]
        if last is not None:
            return {"resources": shown, "nextCursor": write_cursor(Cursor(last))}
        members = [each for template in enumerable for each in await template.enumerate(exchange)]
        rest = sorted((each for each in members if str(each["uri"]) > cursor.uri), key=lambda each: str(each["uri"]))
        room = max(self._page_size - len(shown), 0)
        shown += [exchange.describe(each) for each in rest[:room]]
        result: JsonObject = {"resources": shown}
        if len(rest) > room:
            result["nextCursor"] = write_cursor(Cursor(uri=str(rest[room - 1]["uri"]) if room else "\0"))
        return result

    async def read(self, exchange: Exchange) -> JsonObject:
        """Answer `resources/read`; raises `ResourceNotFound` for a URI that nothing here reads."""
        uri = cast("str", exchange.request.params["uri"])
        fixed = self.fixed.get(uri)
        if fixed is not None:
            value = await fixed.handler.call(exchange, {})
            return {"contents": to_contents(value, uri, fixed.label.mime_type)}
        template, values = self.match(uri)
        try:
            value = await template.handler.call(exchange, dict(values))
        except (InvalidArguments, *exchange.peer.server.not_found) as error:
            raise ResourceNotFound(uri, str(error)) from None
        return {"contents": to_contents(value, uri, template.label.mime_type)}

    def match(self, uri: str) -> tuple[Template, Mapping[str, str]]:
        """Find the template that fits a URI most closely; raises `ResourceNotFound`."""
        candidates = sorted(self.templates, key=lambda each: each.template.specificity, reverse=True)
        for candidate in candidates:
            values = candidate.template.match(uri)
            if values is not None:
                return candidate, values
        raise ResourceNotFound(uri)

    def any_shown(self, view: View | None) -> bool:
        """Tell whether there is anything for a view."""
        return self.fixed.any_shown(view) or self.templates.any_shown(view)

    def has(self, uri: str, view: View | None) -> bool:
        """Tell whether a URI is one that something here reads for whoever has this view."""
        if view is not None and not view.allows("resources", uri):
            return False
        if self.fixed.get(uri) is not None:
            return True
        return any(each.template.match(uri) is not None for each in self.templates)
