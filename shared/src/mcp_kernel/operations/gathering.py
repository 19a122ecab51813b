"""The figures of several workers in one: kept by their parent, which outlives them, and asked for by any of them.

Each worker has a pair of sockets with the parent and speaks of itself alone. Who shows the page sends its own report
and is told the total: the parent asks the others, and waits for them a second at the most. Who does not answer counts
with what it said last, and is not waited for again until it has answered; of who is gone stays what only grows. So no
counter ever goes back, and a worker that is killed takes along only what it counted since the page was shown last.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from mcp_kernel.operations.figures import (
    Figures,
    Report,
    Total,
    add,
    add_up,
    read_line,
    read_report,
    read_total,
    write_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PATIENCE: Final = 1.0  # seconds for which the parent waits for a worker
WHOLE_PATIENCE: Final = 3.0  # seconds for which a worker waits for the parent
_MOST: Final = 16 * 1024 * 1024  # bytes of a message


class _Member:
    """A worker, as the parent knows it."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self.report = Report()
        self.asked: asyncio.Future[None] | None = None
        """Until it has answered."""

    def ask(self, number: int) -> asyncio.Future[None]:
        """Ask for its report; returns what is done once it is here."""
        self.asked = asyncio.get_running_loop().create_future()
        self.writer.write(write_line("report", number))
        return self.asked

    def rest(self) -> None:
        """Have nobody wait for it any more."""
        if self.asked is not None:
            self.asked.set_result(None)
            self.asked = None


class Gathering:
    """The parent's part, in a thread of its own: `enter` lets a worker in, and `close` ends it."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._members: dict[_Member, None] = {}
        self._gone: Figures = {}
        self._turn = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="figures", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if sys.platform != "win32":  # a signal that came to this thread would not wake the one that waits for it
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    def enter(self) -> socket.socket:
        """Return the socket of one more worker, which is to hold it alone: when it is closed, the worker is gone."""
        ours, theirs = socket.socketpair()
        self._loop.call_soon_threadsafe(lambda: self._own(self._attend(ours)))
        return theirs

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _own(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attend(self, ours: socket.socket) -> None:
        """Hear a worker until it is gone, or says what nobody understands."""
        reader, writer = await asyncio.open_unix_connection(sock=ours, limit=_MOST)
        member = _Member(writer)
        self._members[member] = None
        try:
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    self._hear(member, line)
        finally:
            del self._members[member]
            add(self._gone, member.report.lasting)
            member.rest()
            writer.close()

    def _hear(self, member: _Member, line: bytes) -> None:
        kind, number, parts = read_line(line)
        report = read_report(parts[0] if parts else None)
        member.report = report
        if kind == "total":
            self._own(self._tell(member, number))
        elif number:  # without one it was not asked for
            member.rest()

    async def _tell(self, member: _Member, number: int) -> None:
        """Tell a worker the total, in which its own part is what it has just reported."""
        async with self._turn:
            others = [each for each in self._members if each is not member]
            waiting = [each.ask(number) for each in others if each.asked is None]
            if waiting:
                await asyncio.wait(waiting, timeout=self._patience)
            others = [each for each in self._members if each is not member]  # who has gone meanwhile counts as gone
            silent = sum(each.asked is not None for each in others)
            figures = add_up([member.report, *(each.report for each in others)], self._gone)
        member.writer.write(write_line("total", number, Total(figures, len(others) + 1 - silent, silent)))


class Reporter:
    """A worker's part.

    Args:
        descriptor: Of the socket that `Gathering.enter` has returned.
    """

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._report: Callable[[], Report] = Report
        self._task: asyncio.Task[None] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._asked: dict[int, asyncio.Future[Total]] = {}
        self._count = 0
        self._turn = asyncio.Lock()

    async def open(self, report: Callable[[], Report]) -> None:
        """Answer from now on, on the running loop, with what the function returns."""
        self._report = report
        reader, self._writer = await asyncio.open_unix_connection(sock=self._socket, limit=_MOST)
        self._task = asyncio.ensure_future(self._listen(reader, self._writer))

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, ValueError):
                while line := await reader.readline():
                    self._hear(line, writer)
        finally:
            writer.close()
            self._writer = None
            for each in self._asked.values():
                each.cancel()

    def _hear(self, line: bytes, writer: asyncio.StreamWriter) -> None:
        kind, number, parts = read_line(line)
        waiter = self._asked.get(number)
        if kind == "report":
            writer.write(write_line("report", number, self._report()))
        elif kind == "total" and waiter is not None and not waiter.done():
            waiter.set_result(read_total(parts[0] if parts else None))

    async def total(self) -> Total | None:
        """Return the figures of all workers; None where the parent does not say them in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(WHOLE_PATIENCE), self._turn:
                return await self._ask()
        return None

    async def _ask(self) -> Total | None:
        if self._writer is None:
            return None
        self._count += 1
        number = self._count
        waiter = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(write_line("total", number, self._report()))
            await asyncio.wait([waiter])
            return None if waiter.cancelled() else waiter.result()
        finally:
            del self._asked[number]

    async def close(self) -> None:
        """Say for the last time what was counted, and be gone."""
        if self._writer is not None:
            with suppress(OSError, TimeoutError):
                self._writer.write(write_line("report", 0, self._report()))
                async with asyncio.timeout(PATIENCE):
                    await self._writer.drain()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
