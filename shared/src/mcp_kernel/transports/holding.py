"""Streams that are open without an end, for as long as whoever reads them would be let in.

A key that is taken away, or a token that ends, ends what was opened with it: within fifteen seconds, so that the client
comes again, and hears why it may not. Calls are not cut: they have ends of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_kernel.transports.incoming import Incoming

LOOK_SECONDS: Final = 15.0  # between two looks at whether somebody would still be let in
_LISTEN: Final = "subscriptions/listen"  # which the body says too (`protocol/mirroring.py`)


async def serve_while_let_in(incoming: Incoming, serving: Awaitable[None]) -> None:
    """Serve a request; a stream without an end is ended when its reader would not be let in any more."""
    holds = None if incoming.principal is None else incoming.principal.holds
    if holds is None or not (incoming.method == "GET" or incoming.headers.get("mcp-method") == _LISTEN):
        await serving
        return
    fence = asyncio.timeout(None)
    try:
        async with fence:
            watch = asyncio.ensure_future(_watch(holds, fence))
            try:
                await serving
            finally:
                watch.cancel()
    except TimeoutError:
        if not fence.expired():
            raise
        if incoming.is_streaming:
            await incoming.write(b"", last=True)
        else:
            await incoming.refuse(401, "What let you in holds no longer")


async def _watch(holds: Callable[[], bool], fence: asyncio.Timeout) -> None:
    while holds():  # noqa: ASYNC110  # a clock and a file say so, which tell nobody
        await asyncio.sleep(LOOK_SECONDS)
    fence.reschedule(asyncio.get_running_loop().time())
