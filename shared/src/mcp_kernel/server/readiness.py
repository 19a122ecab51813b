"""Whether what a server needs can be used now: its database answers, its directories are there.

A server declares checks (`Server.ready_check`), and `/readyz` asks them. Anybody may ask, so that nothing a check finds
out is told but its name; the log has the rest, once for each change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

Check: TypeAlias = Callable[[], Awaitable[None]]

_LOG = logging.getLogger("mcp_kernel")

CHECK_SECONDS: Final = 2.0  # for all checks together, which run side by side
FRESH_SECONDS: Final = 1.0  # in which an answer is given again


class Readiness:
    """The checks of one server, asked within `seconds`.

    What they found is kept for `fresh` seconds, so that many who ask cost no more than one.
    """

    def __init__(self, seconds: float = CHECK_SECONDS, fresh: float = FRESH_SECONDS) -> None:
        self.seconds = seconds
        self.fresh = fresh
        self._checks: dict[str, Check] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._said: dict[str, str] = {}  # what the log has of each
        self._asking: asyncio.Task[list[str]] | None = None
        self._until = 0.0

    def add(self, name: str, check: Check) -> None:
        """Declare a check; one of a name that is taken takes its place."""
        self._checks[name] = check

    async def problems(self) -> list[str]:
        """Return what cannot be used, each in a phrase that anybody may read; empty where all is well."""
        if not self._checks:
            return []
        loop = asyncio.get_running_loop()
        if self._asking is None or (self._asking.done() and loop.time() >= self._until):
            self._asking = loop.create_task(self._ask())
        return await asyncio.shield(self._asking)

    async def _ask(self) -> list[str]:
        """Run the checks.

        One that does not end in time is left to itself and not begun again before it has: a thread that a dead disk
        holds cannot be called back, and a new one each second would soon be all there are.
        """
        for name, check in self._checks.items():
            if name not in self._running:
                self._running[name] = asyncio.ensure_future(_run(check))
        await asyncio.wait(self._running.values(), timeout=self.seconds)
        found = {name: self._conclude(name) for name in self._checks}
        self._until = asyncio.get_running_loop().time() + self.fresh
        return [f"{name}: {problem}" for name, problem in found.items() if problem]

    def _conclude(self, name: str) -> str:
        task = self._running[name]
        if not task.done():
            self._note(name, f"no answer within {self.seconds:g} s")
            return f"does not answer within {self.seconds:g} s"
        del self._running[name]
        error = None if task.cancelled() else task.exception()
        if error is None and not task.cancelled():
            self._note(name, "")
            return ""
        self._note(name, f"{type(error).__name__}: {error}")
        return "cannot be used; the server's log says why"

    def _note(self, name: str, said: str) -> None:
        if said != self._said.get(name, ""):
            self._said[name] = said
            _LOG.warning("Not ready, %s: %s" if said else "Ready again, %s%s", name, said)

    def close(self) -> None:
        """Stop the checks that still run."""
        for task in (*self._running.values(), *filter(None, [self._asking])):
            task.cancel()
        self._running.clear()


async def _run(check: Check) -> None:
    await check()
