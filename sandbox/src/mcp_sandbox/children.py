"""The programs that the sandbox runs: started, listened to, and ended with everything that they started."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

START_SECONDS: Final = 30.0
END_SECONDS: Final = 6.0  # a server gives the calls in flight three, and itself two more
_LINE_LIMIT: Final = 64 * 1024  # bytes of a line of a log
_PR_SET_PDEATHSIG: Final = 1


class Failed(Exception):
    """A program did not start; the text says why."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `ready` is in the line of its log that says that it has started, `chatter` in those to leave out.

    `ending` is the signal that asks it to end. `account` is the user and the group to run as.
    """

    name: str
    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    ready: str
    chatter: str | None = None
    ending: signal.Signals = signal.SIGTERM
    account: tuple[int, int] | None = None


@dataclass(slots=True)
class Child:
    """A program that was started; `on_end` is told when it ends unasked."""

    program: Program
    process: asyncio.subprocess.Process
    on_end: Callable[[Self], None]
    reading: asyncio.Task[None] | None = None
    last: str = ""
    asked: bool = False
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self.process.returncode
        if code is None:
            return "it runs"
        return f"it ended with exit code {code}" if code >= 0 else f"it was ended by {signal.Signals(-code).name}"

    async def read(self) -> None:
        """Pass on what it says on stderr, until it ends."""
        log = self.process.stderr
        assert log is not None  # noqa: S101  it is a pipe
        while line := await _read_line(log):
            if self.program.ready in line:
                self.started.set()
            elif not (self.program.chatter and self.program.chatter in line):
                self.last = line.strip()
                sys.stderr.write(f"{self.program.name}: {line.rstrip()}\n")
        await self.process.wait()
        if not self.asked and self.started.is_set():
            self.on_end(self)

    def tell(self, number: signal.Signals) -> None:
        """Send a signal to it alone, if it still runs."""
        self.asked = True
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def sweep(self) -> None:
        """Kill it and all that it has started and left."""
        self.asked = True
        with suppress(ProcessLookupError, PermissionError):  # the last: macOS, where only zombies are left
            os.killpg(self.process.pid, signal.SIGKILL)


async def _read_line(log: asyncio.StreamReader) -> str:
    try:
        return (await log.readline()).decode("utf-8", "replace")
    except ValueError:  # longer than the limit: what was read of it is dropped
        return "…\n"


class Family:
    """All the programs. Leaving it ends them, in the opposite order; a second cancellation ends them at once."""

    def __init__(self, on_end: Callable[[Child], None]) -> None:
        self._children: list[Child] = []
        self._on_end = on_end
        self._libc: ctypes.CDLL | None = ctypes.CDLL(None) if sys.platform == "linux" else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        children = self._children[::-1]
        try:
            for ending in sorted({child.program.ending for child in children}, reverse=True):
                # Servers (SIGTERM) before the database that they use (SIGINT).
                await self._end([child for child in children if child.program.ending is ending])
        finally:
            for child in children:
                child.sweep()
            await asyncio.gather(*(child.reading for child in children if child.reading), return_exceptions=True)

    async def start(self, program: Program) -> Child:
        """Start a program and wait until it says that it has started; raises `Failed`."""
        child = await self._spawn(program)
        child.reading = asyncio.create_task(child.read())
        started = asyncio.create_task(child.started.wait())
        try:
            waiting = (started, child.reading)
            await asyncio.wait(waiting, timeout=START_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
        if child.started.is_set():
            return child
        slow = child.process.returncode is None
        await self._end([child])
        raise Failed(f"it did not start in {START_SECONDS:g} seconds" if slow else child.last or child.end)

    async def _spawn(self, program: Program) -> Child:
        user, group = program.account or (None, None)
        try:
            process = await asyncio.create_subprocess_exec(
                *program.command,
                cwd=program.folder,
                env=program.environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                limit=_LINE_LIMIT,
                user=user,
                group=group,
                extra_groups=None if group is None else [group],
                start_new_session=True,  # Ctrl-C in a terminal is heard here alone
                preexec_fn=self._bind(program.ending),
            )
        except OSError as error:
            raise Failed(f"{program.command[0]} cannot be run: {error.strerror or error}") from None
        child = Child(program, process, self._on_end)
        self._children.append(child)
        return child

    def _bind(self, ending: signal.Signals) -> Callable[[], None] | None:
        """What a child does before it becomes its program: on Linux it asks to end when we are killed."""
        libc, parent = self._libc, os.getpid()
        if libc is None:
            return None

        def bind() -> None:
            libc.prctl(_PR_SET_PDEATHSIG, int(ending))
            if os.getppid() != parent:
                os._exit(1)

        return bind

    @staticmethod
    async def _end(children: Sequence[Child]) -> None:
        """Ask these to end, and end those that do not."""
        for child in children:
            child.tell(child.program.ending)
        ends = [asyncio.create_task(child.process.wait()) for child in children]
        try:
            if ends:
                await asyncio.wait(ends, timeout=END_SECONDS)
        finally:
            for end in ends:
                end.cancel()
            for child in children:
                child.sweep()
