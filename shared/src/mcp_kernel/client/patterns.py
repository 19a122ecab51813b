"""Patterns of a schema from outside, on an engine that takes linear time and cannot backtrack."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic_core import SchemaValidator

# Measured: 50,000 states over 100,000 characters take 44 s, so this many steps are about a second.
MOST_STEPS: Final = 100_000_000
MOST_STATES: Final = 100_000  # the engine compiles nothing larger
COUNT: Final = re.compile(r"\{(\d*),?(\d*)\}")


class Patterns:
    """The patterns of one schema, each compiled once."""

    def __init__(self, tick: Callable[[], None]) -> None:
        """`tick` is called before each search, and raises when the time is over."""
        self._tick = tick
        self._compiled: dict[str, SchemaValidator | None] = {}

    def matches(self, pattern: str, text: str) -> bool | None:
        """Whether the pattern is found in the text; None where that cannot be said in a bounded time.

        That is so for look-around, back-references, and large counts over a long text.
        """
        self._tick()
        counts = [int(count[:9]) for pair in COUNT.findall(pattern) for count in pair if count]
        states = min(MOST_STATES, len(pattern) * prod(max(1, count) for count in counts))
        if states * len(text) > MOST_STEPS:
            return None
        if pattern not in self._compiled:
            self._compiled[pattern] = _compile(pattern)
        engine = self._compiled[pattern]
        return None if engine is None else engine.isinstance_python(text)


def _compile(pattern: str) -> SchemaValidator | None:
    from pydantic_core import SchemaError, SchemaValidator, core_schema

    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except (SchemaError, ValueError):  # not in the engine's language, or too large for it
        return None
