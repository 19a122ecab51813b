"""What a server asks while it works: shown on the terminal, and declined where there is none."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

from mcp_kernel.console.terminal import scrub, tell
from mcp_kernel.protocol.forms import fits

if TYPE_CHECKING:
    from mcp_kernel.client.answers import Elicitation, Page, Reply
    from mcp_kernel.client.options import Options

Field = Mapping[str, object]


class NoAnswer(Exception):
    """The user ended the input."""


class Questions:
    """One question at a time; what a server writes cannot steer the terminal, and no page is opened by itself."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._person = sys.stdin.isatty() and sys.stderr.isatty()

    def take_over(self, options: Options) -> None:
        """Have a client ask here."""
        options["elicit"] = self.elicit
        options["open_page"] = self.open_page

    async def elicit(self, asked: Elicitation) -> Reply:
        """Fill in a form, field by field."""
        if not self._person:
            tell(f"the server asked, and was declined, for there is no terminal: {asked.message}")
            return "decline"
        properties = cast("Mapping[str, Field]", asked.schema.get("properties") or {})
        required = cast("Sequence[str]", asked.schema.get("required") or ())
        async with self._turn:
            self._say(f"\nThe server asks: {asked.message}\n(Ctrl-D declines)\n")
            try:
                if not properties:
                    return {} if await self._confirm("Accept?") else "decline"
                filled = {name: await self._ask(name, field, name in required) for name, field in properties.items()}
            except NoAnswer:
                self._say("\nDeclined.\n")
                return "decline"
        return {name: value for name, value in filled.items() if value is not None}

    async def open_page(self, page: Page) -> Reply:
        """Show an address, and ask whether the user went there."""
        if not self._person:
            tell(f"the server asked to open a page, and was declined, for there is no terminal: {page.url}")
            return "decline"
        async with self._turn:
            self._say(f"\nThe server asks: {page.message}\nIt wants you to open this address:\n\n  {page.url}\n\n")
            try:
                return "accept" if await self._confirm("Open it yourself if you trust it. Go on?") else "decline"
            except NoAnswer:
                return "decline"

    async def _confirm(self, question: str) -> bool:
        return (await self._read_line(f"{question} [y/N] ")).lower() in ("y", "yes")

    async def _ask(self, name: str, field: Field, needed: bool) -> object:
        """Ask until the answer fits; None where it may be left open."""
        if isinstance(field.get("description"), str):
            self._say(f"{field['description']}\n")
        while True:
            line = await self._read_line(_prompt(name, field, needed))
            if not line and (not needed or "default" in field):
                return field.get("default")
            value = read_field(line, field)
            if fits({name: value}, {"properties": {name: field}}):
                return value
            self._say("That does not fit; try again.\n")

    def _say(self, text: str) -> None:
        sys.stderr.write(scrub(text))
        sys.stderr.flush()

    async def _read_line(self, prompt: str) -> str:
        """Wait for a line without a thread, which Ctrl-C could not end."""
        self._say(prompt)
        loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
        ready: asyncio.Future[None] = loop.create_future()
        try:
            loop.add_reader(descriptor, lambda: ready.done() or ready.set_result(None))
        except NotImplementedError:  # Windows: whoever is asked is waited for
            line = sys.stdin.readline().encode()
        else:
            try:
                await ready
            finally:
                loop.remove_reader(descriptor)
            line = os.read(descriptor, 65536)  # a terminal gives one line at a time
        if not line:
            raise NoAnswer
        return line.decode("utf-8", "replace").strip()


def read_field(line: str, field: Field) -> object:
    """What was typed as a value of the field; None where it is none."""
    kind = field.get("type")
    if kind == "boolean":
        return {"y": True, "yes": True, "true": True, "n": False, "no": False, "false": False}.get(line.lower())
    if kind == "array":
        items = cast("Field", field.get("items") or {})
        return [_choose(part.strip(), items) for part in line.split(",") if part.strip()]
    if kind in ("integer", "number"):
        try:
            return int(line) if kind == "integer" else float(line)
        except ValueError:
            return None
    return _choose(line, field)


def _choose(text: str, field: Field) -> str:
    """The value of a choice, which may have been given by its title."""
    return next((value for value, title in _choices(field) if text in (value, title)), text)


def _choices(field: Field) -> list[tuple[str, str]]:
    """Values with their titles."""
    named = field.get("enum")
    if isinstance(named, list):
        values = [str(each) for each in cast("list[object]", named)]
        titles = field.get("enumNames")
        shown = [str(each) for each in cast("list[object]", titles)] if isinstance(titles, list) else values
        return list(zip(values, shown, strict=True)) if len(shown) == len(values) else [(each, each) for each in values]
    options = field.get("oneOf") or field.get("anyOf")
    listed = cast("list[Field]", options) if isinstance(options, list) else []
    return [(str(each.get("const")), str(each.get("title", each.get("const")))) for each in listed]


def _prompt(name: str, field: Field, needed: bool) -> str:
    title = str(field.get("title") or name)
    array = field.get("type") == "array"
    choices = [title for _, title in _choices(cast("Field", field.get("items") or {}) if array else field)]
    if field.get("type") == "boolean":
        choices = ["yes", "no"]
    hints = [*([", ".join(choices)] if choices else []), *(["several, with commas"] if array else [])]
    hint = f" ({'; '.join(hints)})" if hints else ""
    default = f" [{field['default']}]" if "default" in field else "" if needed else " [none]"
    return f"{title}{hint}{default}: "
