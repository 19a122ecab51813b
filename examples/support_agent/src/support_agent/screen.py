"""What the agent shows: its steps, what the server says, and every message if that is wanted."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

from mcp_kernel.console.terminal import fold, scrub

if TYPE_CHECKING:
    from collections.abc import Iterable

ARROWS: Final = {"client": "-->", "server": "<--"}


class Screen:
    """Lines on stdout. Nothing that is shown can steer the terminal, and no key is ever in it.

    Args:
        secrets: What must not be shown, whoever says it: three stars stand for it.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted(filter(None, secrets), key=len, reverse=True)
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self._print(f"\n{self._steps}. {title}" if self._steps > 1 else f"1. {title}")

    def say(self, text: str) -> None:
        """A line of the agent's own."""
        self._print(f"   {fold(text)}")

    def ask(self, text: str) -> None:
        """A question of the server's."""
        self._print(f"   ? {fold(text)}")

    def quote(self, text: str, most: int = 100) -> None:
        """What somebody else wrote, line by line, as far as it is of interest."""
        lines = text.splitlines()
        for line in lines[:most]:
            self._print(f"   | {line}")
        if len(lines) > most:
            self._print(f"   … and {len(lines) - most} more lines")

    def show_log(self, level: str, data: object, logger: str | None) -> None:
        """A log message of the server's (`on_log`)."""
        text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
        with suppress(BrokenPipeError):  # the next step meets it, and ends
            self.say(f"{level}{f' of {logger}' if logger else ''}: {text}")

    def show_message(self, sender: Literal["client", "server"], data: bytes) -> None:
        """A message as it is on the wire (`on_message`)."""
        with suppress(BrokenPipeError):  # as above
            self._print(f"{ARROWS[sender]} {data.decode('utf-8', 'backslashreplace').strip()}")

    def complain(self, text: str) -> None:
        """What went wrong, in one line on stderr."""
        print(f"support-agent: {fold(self._clean(text))}", file=sys.stderr, flush=True)  # noqa: T201  # this is where it belongs

    def _print(self, text: str) -> None:
        print(self._clean(text), flush=True)  # noqa: T201  # this is where it belongs

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return scrub(text)
