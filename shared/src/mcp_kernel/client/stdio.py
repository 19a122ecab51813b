"""A link to a server that is a child process, over its stdin and stdout (basic/transports/stdio)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mcp_kernel.client.duplex import Duplex
from mcp_kernel.client.failures import CannotStart, ConnectionLost
from mcp_kernel.client.link import MESSAGE_LIMIT, Carried
from mcp_kernel.protocol.framing import Lines, Oversized
from mcp_kernel.protocol.jsonrpc import Message, encode

_CHUNK: Final = 256 * 1024
_KEPT: Final = 64 * 1024  # bytes of stderr, the last ones
_SHOWN: Final = 12  # lines of stderr in an error's text
_PATIENCE: Final = 2.0  # seconds for the server to end by itself, and again after it was told to

# What programs need to find their files, and to speak the user's language: no token of another program is among it.
_INHERITED: Final = (
    "APPDATA COMSPEC HOMEDRIVE HOMEPATH LOCALAPPDATA PATH PATHEXT PROCESSOR_ARCHITECTURE PROGRAMDATA PROGRAMFILES "
    "SYSTEMDRIVE SYSTEMROOT TEMP TMP USERNAME USERPROFILE WINDIR"
    if sys.platform == "win32"
    else "HOME LANG LC_ALL LC_CTYPE LOGNAME PATH SHELL TERM TMPDIR TZ USER"
).split()


@dataclass(frozen=True, slots=True)
class Command:
    """A program to start: `env` is set beside the few variables that it inherits, and never shown."""

    words: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    cwd: str | Path | None = None

    def environment(self) -> dict[str, str]:
        """The environment of the process."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {**inherited, **self.env}


class _Child(asyncio.subprocess.SubprocessStreamProtocol):
    """Its pipes as streams; `ended` tells when it ended, which its pipes outlive where another process has them too."""

    def __init__(self) -> None:
        super().__init__(limit=_CHUNK, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        self.ended.set()
        super().process_exited()


class StdioLink(Duplex):
    """The process is the first of its own group, so that whatever it starts ends with it."""

    def __init__(self, command: Command) -> None:
        super().__init__()
        self._command = command
        self._transport: asyncio.SubprocessTransport | None = None
        self._child: _Child
        self._stderr = bytearray()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    @property
    def carried(self) -> Carried:
        return Carried("pipe")

    @property
    def stderr(self) -> str:
        """The last of what the server wrote to stderr."""
        return self._stderr.decode("utf-8", "replace")

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._transport is None else self._transport.get_pid()

    async def open(self) -> None:
        environment = self._command.environment()
        program = self._find(environment)
        try:
            self._transport, self._child = await asyncio.get_running_loop().subprocess_exec(
                _Child,
                program,
                *self._command.words[1:],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=environment,
                cwd=self._command.cwd,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            where = "" if self._command.cwd is None else f" in {self._command.cwd}"
            raise CannotStart(f"{program} cannot be started{where}: {reason}.") from None
        stdout, stderr = self._child.stdout, self._child.stderr
        if stdout is not None and stderr is not None:  # both are pipes
            errors = asyncio.create_task(self._read_stderr(stderr))
            self._tasks = [errors, asyncio.create_task(self._read(self._transport, stdout, errors))]

    def _find(self, environment: Mapping[str, str]) -> str:
        if not self._command.words:
            raise CannotStart("There is no command to start.")
        word = self._command.words[0]
        path = environment.get("PATH", os.defpath)
        is_path = os.path.dirname(word) != ""  # noqa: PTH120  # to a Path "./x" is "x", which is looked for elsewhere
        # A path is one from the directory that the server runs in, as the system takes it.
        found = shutil.which(Path(self._command.cwd or "", word).absolute() if is_path else word, path=path)
        if found is None:
            where = "" if is_path else f" on the PATH {path}"
            raise CannotStart(f"The command {word!r} was not found{where}. Install it, or give its full path.")
        return str(found)

    # --- what comes and goes ---

    async def _write(self, message: Message) -> None:
        if self._transport is None or self._child.stdin is None or self._closing:
            raise ConnectionLost("The client was closed.")
        try:
            self._child.stdin.write(encode(message) + b"\n")
            await self._child.stdin.drain()
        except (OSError, RuntimeError):
            await asyncio.wait(self._tasks, timeout=_PATIENCE)  # the end of its stdout tells why
            raise self._lost or ConnectionLost(self._describe_end("does not read any more")) from None

    async def _read(
        self, transport: asyncio.SubprocessTransport, stdout: asyncio.StreamReader, errors: asyncio.Task[None]
    ) -> None:
        messages = asyncio.create_task(self._read_messages(stdout))
        ending = asyncio.create_task(self._child.ended.wait())
        try:
            await asyncio.wait({messages, ending}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({messages, ending, errors}, timeout=_PATIENCE)  # the end, and its last words
        finally:
            messages.cancel()
            ending.cancel()
        code, ended = transport.get_returncode(), "closed its output"
        if code is not None:
            ended = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        self._lose(ConnectionLost(self._describe_end(ended)))

    async def _read_messages(self, stdout: asyncio.StreamReader) -> None:
        lines = Lines(MESSAGE_LIMIT)
        while chunk := await stdout.read(_CHUNK):
            for line in lines.feed(chunk):
                if isinstance(line, Oversized):
                    self._receiver.spoil(f"The server sent a message of over {MESSAGE_LIMIT} bytes: it was not read.")
                else:
                    self._receive(line)

    def _describe_end(self, ended: str) -> str:
        last = self.stderr.strip().splitlines()[-_SHOWN:]
        words = "It wrote nothing to stderr." if not last else "Its last lines on stderr:\n" + "\n".join(last)
        return f"The server {self._command.words[0]} {ended}. {words}"

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        while chunk := await stderr.read(_CHUNK):
            self._stderr += chunk
            del self._stderr[:-_KEPT]

    # --- the end ---

    async def close(self) -> None:
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        pid = transport.get_pid()
        try:
            if self._child.stdin is not None:
                self._child.stdin.close()
            for number in (None, signal.SIGTERM):
                if number is not None:
                    self._signal(pid, number)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE):
                        await self._child.ended.wait()
                        break
        finally:
            # Also when the process has ended: what it started may still be there.
            self._signal(pid, getattr(signal, "SIGKILL", signal.SIGTERM))
            for task in self._tasks:
                task.cancel()
            transport.close()  # its pipes too, which a process that left the group may keep open
        await self._child.ended.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(OSError):
            if sys.platform == "win32":
                os.kill(pid, number)
            else:
                os.killpg(pid, number)
