"""The thread that writes the audit log: whatever comes while the disk works goes to it together."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from mcp_kernel.operations.audit_file import AuditFile, write_time

_LOG = logging.getLogger("mcp_kernel.audit")

Record: TypeAlias = Mapping[str, object]

MOST_PENDING: Final = 10_000
_GATHER: Final = 0.02  # seconds that a record nobody waits for may wait for others
_RETRY: Final = 0.5  # seconds between two tries to write to a disk that refused
_SHOUT: Final = 10.0  # seconds between two complaints of the same
_FAREWELL: Final = 0.5  # seconds for the last records at the end


class Unwritable(Exception):
    """The log could not be written; the text says why."""


class _Wish(NamedTuple):
    """A record that somebody waits for."""

    record: Record
    loop: asyncio.AbstractEventLoop
    written: asyncio.Future[None]


class AuditWriter:
    """Takes records from any thread and writes them in their order, a batch with each turn of the disk.

    While the disk refuses, records are kept, `most` of them; those beyond are lost, and a line says how many. A record
    that somebody waits for is not kept: he is told, and does not do what it would have recorded.
    """

    def __init__(self, file: AuditFile, most: int = MOST_PENDING, clock: Callable[[], float] = time.time) -> None:
        self._file = file
        self._most = most
        self._clock = clock
        self._changed = threading.Condition()
        self._pending: list[Record] = []
        self._wishes: list[_Wish] = []
        self._lost = 0
        self._closing = False
        self._thread: threading.Thread | None = None
        self._shouted = float("-inf")
        self.trouble: str | None = None
        """Why the last try to write failed; None when it did not."""

    def note(self, record: Record) -> None:
        """Have a record written soon; it never waits."""
        with self._changed:
            if len(self._pending) >= self._most:
                self._lost += 1
                self._shout(f"{self.trouble or 'the disk does not keep up'}; {self._lost} records are lost")
                return
            self._pending.append(record)
            self._begin()
            if len(self._pending) == 1:
                self._changed.notify()

    async def secure(self, record: Record) -> None:
        """Have a record written, and wait until the disk has it; raises `Unwritable`."""
        if self._closing:
            raise Unwritable("The log is closed")
        loop = asyncio.get_running_loop()
        wish = _Wish(record, loop, loop.create_future())
        with self._changed:
            self._wishes.append(wish)
            self._begin()
            self._changed.notify()
        await wish.written

    async def close(self) -> None:
        """Write what is left, as far as half a second goes, and close the file."""
        with self._changed:
            self._closing = True
            thread = self._thread
            self._changed.notify()
        if thread is None:
            self._file.close()
        else:
            await asyncio.to_thread(thread.join, _FAREWELL)

    def _begin(self) -> None:
        """Start the thread with the first record: not before, since a process may be forked until then."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
            self._thread.start()

    # --- in the thread ---

    def _run(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._wait()
                closing = self._closing  # what comes from now on comes too late
                records, wishes, lost = self._pending, self._wishes, self._lost
                self._pending, self._wishes, self._lost = [], [], 0
            if records or wishes or lost:
                self._write(records, wishes, lost)
        self._file.close()

    def _wait(self) -> None:
        """Wait until there is something to write, and a little longer for more of it where nobody waits for it."""
        if self.trouble is not None:
            self._changed.wait_for(lambda: self._closing or self._wishes, _RETRY)
            return
        self._changed.wait_for(lambda: self._closing or self._pending or self._wishes)
        self._changed.wait_for(lambda: self._closing or self._wishes, _GATHER)

    def _write(self, records: list[Record], wishes: list[_Wish], lost: int) -> None:
        said: list[Record] = [*records, *(wish.record for wish in wishes)]
        if lost:
            said.append({"time": write_time(self._clock()), "event": "lost", "count": lost})
        try:
            self._file.append(said)
        except OSError as error:
            self._fail(error, records, wishes, lost)
        else:
            self.trouble = None
            _tell(wishes, None)

    def _fail(self, error: OSError, records: list[Record], wishes: list[_Wish], lost: int) -> None:
        reason = error.strerror or str(error)
        self.trouble = reason
        with self._changed:
            kept = [*records, *self._pending]
            self._lost += lost + max(len(kept) - self._most, 0)
            self._pending = kept[: self._most]
            self._shout(f"{reason}; {len(self._pending)} records wait, {self._lost} are lost")
        _tell(wishes, reason)

    def _shout(self, text: str) -> None:
        now = time.monotonic()
        if now - self._shouted >= _SHOUT or self._closing:
            self._shouted = now
            _LOG.error("The audit log %s cannot be written: %s", self._file.path, text)


def _tell(wishes: list[_Wish], reason: str | None) -> None:
    """Tell those who wait, each on its loop, which may be gone."""

    def settle(wish: _Wish) -> None:
        if wish.written.done():
            return
        if reason is None:
            wish.written.set_result(None)
        else:
            wish.written.set_exception(Unwritable(reason))

    for wish in wishes:
        with contextlib.suppress(RuntimeError):
            wish.loop.call_soon_threadsafe(settle, wish)
