"""Lines of the audit log about requests that were refused before any stage saw them, bounded whatever comes.

Who sends nothing but what is refused must not fill the disk. Sixty lines in a minute are written about what comes from
one address, and 600 about all together; what is more is counted. The count stands as `more` in the next line, which
comes with the next refusal that has one, or by itself after a minute, or when the server ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mcp_kernel.operations.audit_file import write_time
from mcp_kernel.operations.hiding import hide
from mcp_kernel.operations.rates import MemoryBuckets, Rate
from mcp_kernel.operations.redaction import cut

if TYPE_CHECKING:
    from mcp_kernel.operations.audit_writer import AuditWriter
    from mcp_kernel.protocol.jsonrpc import JsonObject
    from mcp_kernel.server.principal import Refused

_OF_ALL: Final = Rate(600, 60.0)
_OF_AN_ADDRESS: Final = Rate(60, 60.0)
_PAUSE: Final = 60.0  # seconds after which a count is written that no line has taken


class Refusals:
    """Hears of what is refused, and writes it down; see the module.

    Args:
        log: What writes.
        clock: The time of day, in seconds since 1970.
    """

    def __init__(self, log: AuditWriter, clock: Callable[[], float] = time.time) -> None:
        self._log = log
        self._clock = clock
        self._buckets = MemoryBuckets()
        self._more = 0
        self._timer: asyncio.TimerHandle | None = None

    def __call__(self, refused: Refused) -> None:
        """Write a line, or count."""
        demands = {"all": _OF_ALL, f"address {refused.address}": _OF_AN_ADDRESS}
        if self._buckets.take_now(demands, time.monotonic()) == 0:
            self._note(_describe(refused))
            return
        self._more += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self._sum_up)

    async def close(self) -> None:
        """Write the count that is left."""
        self._sum_up()

    def _sum_up(self) -> None:
        if self._more:
            self._note({"decision": "refused"})

    def _note(self, said: JsonObject) -> None:
        record: JsonObject = {"time": write_time(self._clock()), "event": "refused", **said}
        if self._more:
            record["more"] = self._more
            self._more = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._log.note(record)


def _describe(refused: Refused) -> JsonObject:
    """Who asked for what, as far as it was known."""
    record: JsonObject = {"principal": None if refused.principal is None else refused.principal.name}
    known = {"address": refused.address, "http": refused.http, "method": refused.method}
    record |= {name: cut(text) for name, text in known.items() if text is not None}
    record |= {"decision": "refused", "refused_by": refused.by}
    numbers = {"status": refused.status, "code": refused.code}
    record |= {name: number for name, number in numbers.items() if number is not None}
    record["reason"] = cut(hide(refused.reason))
    return record
