"""Pages whose blocks are followed: `sh` blocks in one shell, one after the other, blocks with a file's name as files.

```python server.py          a file
```python server.py 3        put into that file, three lines before its end
```text                      lines that must stand in what the block before it printed, in this order

An HTML comment before a block says what a reader knows who sees it, and a program does not:

<!-- newcomer: passes by: REASON -->       the block cannot be followed everywhere, for this reason
<!-- newcomer: waits for URL -->           the block serves until Ctrl-C; it must answer at this address
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

_BLOCK: Final = re.compile(
    r"(?:^<!-- newcomer: (?P<mark>[^>]*?) -->\n)?"
    r"^```(?P<kind>[a-z]+)(?: +(?P<file>\S+))?(?: +(?P<place>\d+))?\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_PASSES: Final = "passes by: "
_WAITS: Final = "waits for "
_PAUSE: Final = 0.1  # seconds between two looks at an address
_ENDING: Final = 20.0  # seconds for a program to end after Ctrl-C


class NotSo(AssertionError):
    """A page says what is not so."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page, and the line it begins on; `place` is how many lines from the end of its file it goes."""

    kind: Literal["sh", "file", "text"]
    text: str
    line: int
    file: str | None = None
    place: int | None = None
    mark: str | None = None

    @property
    def reason(self) -> str | None:
        """Why the block is not followed."""
        return self.mark.removeprefix(_PASSES) if self.mark and self.mark.startswith(_PASSES) else None

    @property
    def address(self) -> str | None:
        """Where the program of the block answers."""
        return self.mark.removeprefix(_WAITS) if self.mark and self.mark.startswith(_WAITS) else None


def read_blocks(text: str) -> list[Block]:
    """The blocks that are run or compared. Raises `ValueError` for a comment that means nothing."""
    found: list[Block] = []
    for match in _BLOCK.finditer(text):
        file, place, mark = match["file"], match["place"], match["mark"]
        line = text.count("\n", 0, match.start()) + 1
        mark = " ".join(mark.split()) if mark else None
        if mark and not mark.startswith((_PASSES, _WAITS)):
            raise ValueError(f"line {line}: a newcomer cannot {mark!r}")
        if file:
            found.append(Block("file", match["text"], line, file, int(place) if place else None, mark))
        elif (kind := match["kind"]) in ("sh", "text"):
            found.append(Block("sh" if kind == "sh" else "text", match["text"], line, mark=mark))
    return found


class Shell:
    """A bash that keeps its directory and its jobs from one block to the next; closing it ends what it started.

    Args:
        folder: Where it begins.
        environment: All that it knows of the world.
        patience: Seconds for one block.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], patience: float) -> None:
        self._patience = patience
        self._environment = dict(environment)
        self._folder = folder
        self._done, told = os.pipe()
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],  # noqa: S607  # the reader's
            cwd=folder,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=[told],
            start_new_session=True,
        )
        self._told = told
        os.close(told)
        self._notes = Path(self._environment["HOME"], ".followed")
        self._notes.mkdir(exist_ok=True)
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _end_group(self._bash, signal.SIGKILL)
        os.close(self._done)
        if self._bash.stdin:
            self._bash.stdin.close()

    def run(self, text: str) -> str:
        """Run a block; returns what it printed. Raises `NotSo` where a command fails, or none ends in time."""
        script, printed = self._prepare(text)
        told = f'. "{script}" </dev/null >"{printed}" 2>&1 {self._told}>&-; pwd >&{self._told}\n'
        assert self._bash.stdin is not None  # noqa: S101  # it is a pipe
        self._bash.stdin.write(f"set -e; {told}".encode())
        self._bash.stdin.flush()
        folder = self._hear()
        said = printed.read_text("utf-8", "replace")
        if not folder:
            raise NotSo(f"a block failed:\n{said[-3000:]}")
        self._folder = Path(folder)
        return said

    def serve(self, text: str, address: str) -> str:
        """Run a block until it answers at an address, then end it as Ctrl-C does; returns what it printed."""
        script, printed = self._prepare(text)
        with printed.open("wb") as output:
            program = subprocess.Popen(  # noqa: S603  # what the page says
                ["bash", str(script)],  # noqa: S607  # the reader's
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                answered = self._await(program, address)
                _end_group(program, signal.SIGINT)
            finally:
                _end_group(program, signal.SIGKILL)
        said = printed.read_text("utf-8", "replace")
        if not answered:
            raise NotSo(f"{address} did not answer:\n{said[-3000:]}")
        return said

    def _prepare(self, text: str) -> tuple[Path, Path]:
        self._count += 1
        script, printed = self._notes / f"{self._count}.sh", self._notes / f"{self._count}.txt"
        script.write_text(text, "utf-8")
        printed.touch()
        return script, printed

    def _hear(self) -> str:
        """The shell's directory when the block is done; nothing where the shell ended, or takes too long."""
        os.set_blocking(self._done, False)
        heard = b""
        for _ in _moments(self._patience):
            try:
                part = os.read(self._done, 4096)
            except BlockingIOError:
                continue
            heard += part
            if not part or heard.endswith(b"\n"):
                break
        return heard.decode().strip()

    def _await(self, program: subprocess.Popen[bytes], address: str) -> bool:
        for _ in _moments(self._patience):
            if program.poll() is not None:
                return False
            try:
                urllib.request.urlopen(address, timeout=5).close()  # noqa: S310  # what the page names
            except urllib.error.HTTPError:
                return True
            except OSError:
                continue
            return True
        return False


def _moments(patience: float) -> Iterator[None]:
    """Look again and again, until time is over."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        yield
        time.sleep(_PAUSE)


def _end_group(program: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a program and to all that it started, and wait for it."""
    try:
        os.killpg(program.pid, number)
        program.wait(_ENDING)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        if program.poll() is None and number is not signal.SIGKILL:
            raise NotSo("the program does not end at Ctrl-C") from None


def follow(block: Block, said: str, shell: Shell) -> str:
    """Do what a block says; returns what it printed, or what the block before it did. Raises `NotSo`."""
    if block.kind == "text":
        compare(block.text, said)
        return said
    if block.kind == "file":
        shell.run(_write(block))
        return ""
    return shell.serve(block.text, block.address) if block.address else shell.run(block.text)


def compare(expected: str, said: str) -> None:
    """Hold a `text` block against what was printed; raises `NotSo`."""
    rest = said
    for line in expected.splitlines():
        _, found, rest = rest.partition(line.strip())
        if not found:
            raise NotSo(f"{line!r} is not in what was printed:\n{said}")


def _write(block: Block) -> str:
    """Shell that writes or extends a file."""
    text = block.text.rstrip("\n") + "\n"
    if block.place is None:
        return f"cat > {block.file} <<'END_OF_BLOCK'\n{text}END_OF_BLOCK\n"
    head = f"head -n -{block.place} {block.file} > .head; tail -n {block.place} {block.file} > .tail"
    return f"{head}\ncat .head - .tail > {block.file} <<'END_OF_BLOCK'\n\n\n{text}\nEND_OF_BLOCK\nrm .head .tail\n"


def follow_page(page: Path, shell: Shell, tell: Callable[[str], object]) -> list[str]:
    """Follow a page, telling of each block as it is done; returns what was passed by, and why. Raises `NotSo`."""
    said, passed = "", list[str]()
    for block in read_blocks(page.read_text("utf-8")):
        where = f"{page.name}:{block.line}"
        if reason := _why_not(block):
            passed.append(f"{where} passed by: {reason}")
            continue
        begun = time.monotonic()
        try:
            said = follow(block, said, shell)
        except NotSo as error:
            raise NotSo(f"{where}\n{block.text}\n{error}") from None
        first = block.text.strip().partition("\n")[0]
        tell(f"{where:18} {time.monotonic() - begun:5.1f} s  {'as printed' if block.kind == 'text' else first[:90]}")
    return passed


def _why_not(block: Block) -> str | None:
    """Why a block cannot be followed: because the text says so, or because this machine is in use."""
    if block.address and _is_taken(block.address):
        return f"another program listens at {block.address}"
    return block.reason


def _is_taken(address: str) -> bool:
    parts = urlsplit(address)
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((parts.hostname or "127.0.0.1", parts.port or 80)) == 0
