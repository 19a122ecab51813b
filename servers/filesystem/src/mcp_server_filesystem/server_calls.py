"""What stands between a handler and the domain: the roots of the client, a thread, progress, an end.

The roots are asked for first, since in the stateless era a question ends the request and the handler runs again from
its top. Then the work runs in a thread, which opens what it needs and closes it itself, so that a call which is
cancelled, or whose time is over, can leave behind a thread that a dead disk holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from typing import TypeVar

from mcp_kernel import Context, Unsupported

from .confinement import Scope
from .crew import Crew
from .errand import Errand
from .refusals import explain
from .sandbox import Sandbox

T = TypeVar("T")

_REPORT = 0.5  # seconds between two words of progress


class Calls:
    """Runs the work of calls.

    Args:
        sandbox: What may be reached.
        asks_roots: Whether the client's roots narrow it.
    """

    def __init__(self, sandbox: Sandbox, *, asks_roots: bool) -> None:
        self.sandbox = sandbox
        self._asks_roots = asks_roots
        self._crew = Crew()

    async def run(self, ctx: Context, work: Callable[[Scope, Errand], T], seconds: float = 30.0) -> T:
        """Run a piece of work on what this client may use; `seconds` are for a walk to come to its end."""
        return await self._run(await self._ask_roots(ctx), work, Errand(seconds), ctx)

    async def run_unasked(self, work: Callable[[Scope, Errand], T]) -> T:
        """Run a piece of work where the client cannot be asked: on what the command line names."""
        return await self._run(None, work, Errand(), None)

    async def check(self) -> None:
        """Open what the command line names, which fails where it is gone."""
        await self.run_unasked(lambda scope, _: [scope.renew(anchor) for anchor in scope.anchors])

    def close(self) -> None:
        """Let the threads go."""
        self._crew.close()
        self.sandbox.close()

    async def _ask_roots(self, ctx: Context) -> list[str] | None:
        if not self._asks_roots or not ctx.supports(roots={}):
            return None
        try:
            return [root.uri for root in await ctx.roots()]
        except Unsupported:
            return None

    async def _run(
        self, roots: list[str] | None, work: Callable[[Scope, Errand], T], errand: Errand, ctx: Context | None
    ) -> T:
        closing = ExitStack()

        def act() -> T:
            try:
                return work(closing.enter_context(self.sandbox.scope(roots)), errand)
            except OSError as error:
                raise explain(error, error.filename or "The path") from None

        call_later = asyncio.get_running_loop().call_later
        reports: list[asyncio.Task[None]] = []
        timer = None if ctx is None else call_later(_REPORT, lambda: reports.append(_start(_report(ctx, errand))))
        try:
            return await self._crew.run(act, closing.close)
        finally:
            errand.stop()
            if timer is not None:
                timer.cancel()
            for report in reports:
                report.cancel()


def _start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)


async def _report(ctx: Context, errand: Errand) -> None:
    """Say now and then how far a walk is."""
    while True:
        if errand.seen:
            await ctx.progress(errand.seen, message=f"{errand.seen} entries so far")
        await asyncio.sleep(_REPORT)
