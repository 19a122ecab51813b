"""What the server asks of the host: forms and pages for the user, the host's model, its roots.

A callback that is there declares the capability; one that is not is never asked.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, TypeVar, cast

from mcp_kernel.errors import INVALID_PARAMS, METHOD_NOT_FOUND, ProtocolError
from mcp_kernel.protocol.forms import fits
from mcp_kernel.protocol.jsonrpc import JsonObject

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Elicitation:
    """A form for the user: `schema` is an object of flat primitives (client/elicitation, "Requested Schema")."""

    message: str
    schema: JsonObject

    def takes(self, fields: Mapping[str, object]) -> bool:
        """Whether the form takes these fields, once what is left open has its default."""
        return fits(_complete(fields, self.schema), self.schema)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that the user is asked to open, for what must not pass through the host.

    It is the host's duty to show the whole address and to have consent before it opens it; it is never fetched here.
    """

    message: str
    url: str


Reply: TypeAlias = Mapping[str, object] | Literal["accept", "decline", "cancel"] | None
"""What a callback may give: the filled-in fields, or an action; None declines."""

Elicit: TypeAlias = Callable[[Elicitation], Reply | Awaitable[Reply]]
OpenPage: TypeAlias = Callable[[Page], Reply | Awaitable[Reply]]
# Takes the params of `sampling/createMessage`; gives a `CreateMessageResult`, or the model's words.
Sample: TypeAlias = Callable[[JsonObject], Mapping[str, object] | str | Awaitable[Mapping[str, object] | str]]
Roots: TypeAlias = Sequence[str | Path] | Callable[[], Sequence[str | Path] | Awaitable[Sequence[str | Path]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """The callbacks of a host."""

    elicit: Elicit | None = None
    open_page: OpenPage | None = None
    sample: Sample | None = None
    roots: Roots | None = None

    def capabilities(self) -> JsonObject:
        """The `ClientCapabilities` that follow from the callbacks."""
        declared: JsonObject = {}
        modes: JsonObject = {}
        if self.elicit is not None:
            modes["form"] = {}
        if self.open_page is not None:
            modes["url"] = {}
        if modes:
            declared["elicitation"] = modes
        if self.sample is not None:
            declared["sampling"] = {}
        if self.roots is not None:
            declared["roots"] = {"listChanged": True}
        return declared

    async def answer(self, method: str, params: JsonObject) -> JsonObject:
        """The result of a request of the server; raises `ProtocolError` for one that nobody here answers."""
        if method == "elicitation/create":
            return await self._elicit(params)
        if method == "sampling/createMessage" and self.sample is not None:
            return _to_message(await _settle(self.sample(params)))
        if method == "roots/list" and self.roots is not None:
            given = await _settle(self.roots()) if callable(self.roots) else self.roots
            return {"roots": [_to_root(each) for each in given]}
        raise ProtocolError(METHOD_NOT_FOUND, f"This client does not answer {method}")

    async def _elicit(self, params: JsonObject) -> JsonObject:
        message = str(params.get("message", ""))
        if params.get("mode") == "url":
            if self.open_page is None:
                raise ProtocolError(INVALID_PARAMS, "This client opens no pages")
            reply = await _settle(self.open_page(Page(message, str(params.get("url", "")))))
            return {"action": reply} if isinstance(reply, str) else {"action": _DECLINE if reply is None else _ACCEPT}
        schema = params.get("requestedSchema")
        if self.elicit is None:
            raise ProtocolError(INVALID_PARAMS, "This client shows no forms")
        if not _is_form(schema):
            raise ProtocolError(INVALID_PARAMS, "A form is an object of flat primitives")
        form = cast("JsonObject", schema)
        return _fill(await _settle(self.elicit(Elicitation(message, form))), form)


_ACCEPT: Final = "accept"
_DECLINE: Final = "decline"


def _is_form(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    form = cast("JsonObject", schema)
    fields, required = form.get("properties", {}), form.get("required", [])
    if not isinstance(fields, dict) or not isinstance(required, list):
        return False
    names = all(isinstance(name, str) for name in cast("list[object]", required))
    return names and all(_is_field(field) for field in cast("JsonObject", fields).values())


def _is_field(given: object) -> bool:
    """Only as far as it must hold to be looked at; a type that is unknown here is the host's to show or not."""
    if not isinstance(given, dict):
        return False
    field = cast("JsonObject", given)
    choices = [field.get(name, []) for name in ("enum", "oneOf", "anyOf")]
    if not isinstance(field.get("type", ""), str) or not all(isinstance(each, list) for each in choices):
        return False
    _, *constants = cast("list[list[object]]", choices)
    if not all(isinstance(each, dict) for those in constants for each in those):
        return False
    return "items" not in field or _is_field(field["items"])


def _fill(reply: Reply, form: JsonObject) -> JsonObject:
    """Make a reply an `ElicitResult`; what the user left open has the form's default."""
    if reply is None or reply in (_DECLINE, "cancel"):
        return {"action": reply or _DECLINE}
    content = _complete({} if isinstance(reply, str) else reply, form)
    if not fits(content, form):
        raise ValueError(f"the reply {content} does not fit the form that the server showed: {form}")
    return {"action": _ACCEPT, "content": content}


def _complete(fields: Mapping[str, object], form: JsonObject) -> JsonObject:
    properties = cast("Mapping[str, JsonObject]", form.get("properties") or {})
    defaults = {name: field["default"] for name, field in properties.items() if _has_default(field)}
    return {**defaults, **fields}


def _has_default(field: JsonObject) -> bool:
    """Whether a field has a default that it would take itself."""
    return "default" in field and fits({"x": field["default"]}, {"properties": {"x": field}})


def _to_message(answer: Mapping[str, object] | str) -> JsonObject:
    if not isinstance(answer, str):
        return dict(answer)
    content = {"type": "text", "text": answer}
    return {"role": "assistant", "content": content, "model": "unknown", "stopReason": "endTurn"}


def _to_root(given: str | Path) -> JsonObject:
    """A URI stays; a path becomes one."""
    if isinstance(given, str) and "://" in given:
        return {"uri": given}
    path = Path(given).absolute()
    return {"uri": path.as_uri(), "name": path.name}


async def _settle(value: T | Awaitable[T]) -> T:
    return cast("T", await value if inspect.isawaitable(value) else value)


def merge(declared: JsonObject, given: Mapping[str, object]) -> JsonObject:
    """Capabilities beside those that follow from the callbacks, one level deep."""
    merged = dict(declared)
    for name, value in given.items():
        before = merged.get(name)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[name] = {**cast("JsonObject", before), **cast("JsonObject", value)} if both else value
    return merged
