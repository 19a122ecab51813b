"""A table of the file, read with its types: what is missing, wrong or unknown is noted with its line."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import cast

from mcp_kernel.auth.resource.document import Document


class Section:
    """A table at a path of keys; what is asked for is known, and `finish` complains of all else."""

    def __init__(self, document: Document, *path: str | int) -> None:
        self._document = document
        self._path = path
        self._known: set[str] = set()
        value = document.value(*path)
        self._table: Mapping[str, object] = {}
        if isinstance(value, dict):
            self._table = cast("dict[str, object]", value)
        else:
            document.complain(f"{self._spell()} is a table", *path)

    def __contains__(self, name: str) -> bool:
        return name in self._table

    def complain(self, text: str, *keys: str | int) -> None:
        """Note that something is wrong with a key of this table, or with the table."""
        self._document.complain(text, *self._path, *keys)

    def value(self, name: str) -> object:
        """A value of any type; None where the key is not there."""
        self._known.add(name)
        return self._table.get(name)

    def text(self, name: str, *, required: bool = False) -> str:
        """A text that is not empty; empty where the key is not there."""
        value = self.value(name)
        if value is None and required:
            self.complain(f"{self._spell(name)} is missing")
        elif value is not None and not (isinstance(value, str) and value):
            self.complain(f"{self._spell(name)} is a text that is not empty, in quotes", name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> tuple[str, ...] | None:
        """A list of texts; None where the key is not there."""
        value = self.value(name)
        if value is None:
            return None
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        found = tuple(item for item in items if isinstance(item, str) and item)
        if len(found) != len(items):
            self.complain(f'{self._spell(name)} is a list of texts, as ["one", "two"]', name)
        return found

    def number(self, name: str, least: int, most: int, default: int) -> int:
        """A whole number between two."""
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self.complain(f"{self._spell(name)} is a whole number from {least} to {most}", name)
            return default
        return value

    def finish(self, *others: str) -> None:
        """Complain of keys that nobody asked for; `others` are read elsewhere."""
        known = self._known | set(others)
        for name in self._table:
            if name not in known:
                self.complain(f"{self._spell(name)} is unknown{suggest(name, known)}", name)

    def _spell(self, *keys: str) -> str:
        """A key as it is named in a complaint: `keys[0].name`."""
        words = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in (*self._path, *keys)]
        return "".join(words).removeprefix(".")


def suggest(word: str, known: Collection[str]) -> str:
    """What may be meant by an unknown word, to be said behind it."""
    near = difflib.get_close_matches(word, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}" if known else ""
