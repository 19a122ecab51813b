"""Reads the tables of the settings file that say how a server is run, and notes every mistake with its place."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Protocol, cast

from mcp_kernel.operations.rates import Rate, parse_rate


class Complain(Protocol):
    """Takes what is wrong, with the keys that lead to it."""

    def __call__(self, text: str, *keys: str) -> None: ...


class Section:
    """A table whose keys are taken one by one, by their type; what is wrong goes to `complain`.

    What is wrong is taken for left out, so that all mistakes are found at once.
    """

    def __init__(self, value: object, path: tuple[str, ...], complain: Complain) -> None:
        self.path = path
        self._complain = complain
        self._table = cast("Mapping[str, object]", value) if isinstance(value, Mapping) else dict[str, object]()
        self._known: set[str] = set()
        if not isinstance(value, Mapping):
            self.complain("is not a table")

    def complain(self, text: str, key: str | None = None) -> None:
        """Note a mistake of a key, or of the whole table."""
        path = self.path if key is None else (*self.path, key)
        self._complain(f"{'.'.join(path)} {text}", *path)

    def _take(self, key: str) -> object:
        self._known.add(key)
        return self._table.get(key)

    def whole(self, key: str, least: int = 1) -> int | None:
        """Take a whole number."""
        value = self._take(key)
        if value is None or (type(value) is int and value >= least):
            return value
        self.complain(f"is not a whole number from {least}", key)
        return None

    def seconds(self, key: str) -> float | None:
        """Take a number of seconds."""
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool) or not (isfinite(value) and value > 0):
            self.complain("is not a number of seconds above 0", key)
            return None
        return float(value)

    def rate(self, key: str) -> Rate | None:
        """Take a rate."""
        value = self._take(key)
        if value is None:
            return None
        try:
            return parse_rate(value if isinstance(value, str) else "")
        except ValueError as error:
            self.complain(f"is no rate: {error}", key)
            return None

    def words(self, key: str) -> tuple[str, ...]:
        """Take a list of texts."""
        value = self._take(key)
        if value is None:
            return ()
        items = cast("list[object]", value) if isinstance(value, list) else [None]
        if not all(isinstance(item, str) and item for item in items):
            self.complain("is not a list of texts", key)
            return ()
        return tuple(cast("list[str]", items))

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """Take one of several words; left out, it is the first."""
        value = self._take(key)
        for choice in choices:
            if choice == value:
                return choice
        if value is not None:
            self.complain(f"is none of {', '.join(choices)}", key)
        return choices[0]

    def sections(self, key: str) -> dict[str, Section]:
        """Take a table of tables, by their names."""
        value = self._take(key)
        if value is None:
            return {}
        inner = Section(value, (*self.path, key), self._complain)
        return {name: Section(table, (*inner.path, name), self._complain) for name, table in inner._table.items()}

    def close(self) -> None:
        """Complain of the keys that nobody took."""
        known = ", ".join(sorted(self._known))
        for key in self._table:
            if key not in self._known:
                self.complain(f"is unknown; there are {known}", key)
