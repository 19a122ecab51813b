"""The sandbox as its users start it, with a folder for its data to look into, and everything that it started."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.transports.host import is_alive, surroundings, until

if TYPE_CHECKING:
    from types import TracebackType

Json = dict[str, Any]

NAMES = ("sqlite", "postgres", "git", "filesystem", "vector", "ticketing", "everything")
PATIENCE = 90.0
"""Seconds for the start on a busy machine."""


@dataclass(frozen=True)
class Process:
    """A process that the sandbox started, or that one of its own did."""

    pid: int
    command: str


class Playground:
    """A started sandbox. As a context manager it is told to end, and must then leave nothing."""

    def __init__(self, *arguments: str, command: tuple[str, ...] = ("-m", "mcp_sandbox"), **variables: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="t-"))  # a short name: sockets lie in it
        self.folder.chmod(0o711)  # PostgreSQL may run as another account
        self._log = (self.folder / "log").open("w+b")
        self.table: Json = {}
        self._mark = f"SANDBOX_OF_TEST={self.folder}"
        self.process = subprocess.Popen(
            [sys.executable, *command, "--port", "0", "--json", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=surroundings(TMPDIR=str(self.folder), SANDBOX_OF_TEST=str(self.folder), **variables),
        )

    def start(self) -> Self:
        """Wait for the table."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log()
        self.table = json.loads(line)
        return self

    @property
    def base(self) -> str:
        """Where the page is, without the slash."""
        return str(self.table["page"]).rstrip("/")

    def url(self, name: str) -> str:
        (found,) = (each["url"] for each in self.table["servers"] if each["name"] == name)
        assert found, self.table
        return str(found)

    def problems(self) -> dict[str, str]:
        """Why which servers do not run."""
        return {each["name"]: each["problem"] for each in self.table["servers"] if each["problem"]}

    def log(self) -> str:
        """What was said on stderr so far."""
        return (self.folder / "log").read_text("utf-8", "backslashreplace")

    def processes(self) -> list[Process]:
        """All that runs because of the sandbox, the sandbox too: whoever inherited the mark in its environment."""
        found: list[Process] = []
        for place in Path("/proc").glob("[0-9]*"):
            try:
                marked = self._mark.encode() in (place / "environ").read_bytes().split(b"\0")
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if marked and is_alive(int(place.name)):
                found.append(Process(int(place.name), command))
        return found

    def find(self, part: str) -> int:
        """The process whose command has this in it, and which the sandbox itself started."""
        return next(
            each.pid for each in self.processes() if part in each.command and _parent(each.pid) == self.process.pid
        )

    def left(self) -> list[str]:
        """The files that are there, apart from the log."""
        return sorted(each.name for each in self.folder.iterdir() if each.name != "log")

    def tell(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The exit code; a signal's number is negative."""
        return self.process.wait(PATIENCE)

    def check_gone(self) -> None:
        """Nothing runs any more, and nothing lies there."""
        assert self.processes() == []
        assert self.left() == []

    def close(self) -> None:
        """Let go of what the test itself holds, its folder too."""
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        shutil.rmtree(self.folder)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.process.kill()
            self.process.wait()
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tell(signal.SIGTERM)
        try:
            code = self.wait()
            if kind is None:
                self.check_gone()
                assert code == 0, self.log()
                assert "Traceback" not in self.log(), self.log()
        finally:
            for each in self.processes():
                os.kill(each.pid, signal.SIGKILL)
            self.close()


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def settle(playground: Playground) -> None:
    """Wait until all that the sandbox started has ended by itself."""
    try:
        until(lambda: not playground.processes(), PATIENCE)
    finally:
        for each in playground.processes():
            os.kill(each.pid, signal.SIGKILL)
        playground.close()
