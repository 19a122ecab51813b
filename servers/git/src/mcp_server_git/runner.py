"""The one way to git's binary: a list of arguments, an environment made from nothing, fences of time and bytes."""

from __future__ import annotations

import asyncio
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from . import fencing
from .policy import MEMORY_CEILING
from .refusals import Refusal

if sys.platform == "linux":
    import resource

CHUNK: Final = 1 << 16
MOST_ERRORS: Final = 64 * 1024  # bytes kept of what git says on stderr
PROCESSES: Final = 4  # runs of git at once in one repository
LAST_WORDS: Final = 0.5  # seconds that git has to remove its lock files
OLDEST: Final = (2, 32)  # the first git that reads no symbolic link as .gitignore, .gitattributes or .mailmap


@dataclass(frozen=True, slots=True)
class Program:
    """Git's binary, by absolute path."""

    path: str
    version: tuple[int, ...]
    loader: tuple[str, ...] = ()
    fenced: bool = False

    @classmethod
    def find(cls) -> Program:
        """Find git on the PATH; raises `Refusal` when there is none or one that is too old."""
        directories = [each for each in os.get_exec_path() if Path(each).is_absolute()]
        found = shutil.which("git", path=os.pathsep.join(directories))
        if found is None:
            raise Refusal("Git is not installed, or not on the PATH. Install it, then start the server again.")
        return _probe(os.path.realpath(found))


def _probe(path: str) -> Program:
    """Ask git for its version, once inside a fence, to see whether this installation works there."""
    environment = {"PATH": str(Path(path).parent), "LC_ALL": "C"}
    version: tuple[int, ...] = ()
    with suppress(OSError, subprocess.SubprocessError):
        said = subprocess.run([path, "--version"], env=environment, capture_output=True, timeout=10, check=True).stdout  # noqa: S603  an absolute path, no shell
        version = tuple(map(int, re.findall(rb"\d+", said)[:3]))
    if version < OLDEST:
        raise Refusal(f"Git {'.'.join(map(str, version))} at {path} is too old: 2.32 or later is needed.")
    if fencing.supported() < fencing.OLDEST:
        return Program(path, version)
    with suppress(OSError):
        loader = fencing.find_loader(path)
        fence = fencing.Fence((path, *loader), fencing.INSTALLED, ())
        with ThreadPoolExecutor(1, initializer=fence.close) as pool:
            job = Job([path, "--version"], environment, os.sep)
            if pool.submit(job.work).result(10).code == 0:
                return Program(path, version, loader, fenced=True)
    return Program(path, version)


@dataclass(frozen=True, slots=True)
class Output:
    """What a run of git gave. `cut` says that there was more, and git was stopped."""

    data: bytes
    errors: str
    code: int
    cut: bool = False


@dataclass(slots=True)
class Job:
    """One run of git, worked in a thread and stopped from another."""

    argv: Sequence[str | bytes]
    environment: Mapping[str, str]
    directory: str
    stdin: bytes = b""
    skip: int = 0
    limit: int = MEMORY_CEILING
    memory: int = 0
    sieve: Callable[[bytes], bytes] | None = None
    stopped: bool = False
    _process: subprocess.Popen[bytes] | None = None
    _said: bytearray = field(default_factory=bytearray)
    _complained: bytearray = field(default_factory=bytearray)

    def work(self) -> Output:
        """Run to the end, or to the limit of bytes."""
        process = subprocess.Popen(  # noqa: S603  an absolute path and a list of arguments, never a shell
            self.argv,
            stdin=subprocess.PIPE if self.stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.directory,
            env=self.environment,
            bufsize=0,
            process_group=0,
        )
        self._process = process
        cut = False
        try:
            if not _bound(process, self.memory):
                self._complained += b"fatal: Out of memory"
                self.stop()
            else:
                if self.stopped:
                    self.stop()
                cut = not self._exchange(process)
        finally:
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
            if self.stopped:
                self._end(process)
            process.wait()
        said, complained = bytes(self._said[: self.limit]), self._complained.decode("utf-8", "replace")
        return Output(said, complained, process.returncode, cut)

    def stop(self) -> None:
        """Ask git to end; it removes its lock files then. Whatever is left of it is killed a moment later."""
        self.stopped = True
        process = self._process
        if process is not None and process.returncode is None:
            _signal(process, signal.SIGTERM)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Wait a moment for git to end, then kill its whole group, while its number still is its own."""
        deadline = time.monotonic() + LAST_WORDS
        while time.monotonic() < deadline and not _has_ended(process):
            time.sleep(0.001)
        _signal(process, signal.SIGKILL)

    def _exchange(self, process: subprocess.Popen[bytes]) -> bool:
        """Feed stdin and read both outputs until they end; False as soon as the limit is passed."""
        assert process.stdout is not None  # noqa: S101  opened as pipes above
        assert process.stderr is not None  # noqa: S101  as above
        left, view = self.skip, memoryview(self.stdin)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                if self.stopped:  # somebody may hold the pipes open after git was killed
                    return False
                for key, _ in selector.select(0.5):
                    if process.stdin is not None and key.fileobj is process.stdin:
                        view = self._feed(process.stdin, view)
                        if not view:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                        continue
                    data = os.read(key.fd, CHUNK)
                    if not data:
                        selector.unregister(key.fileobj)
                    elif key.fileobj is process.stderr:
                        self._complained += data[: MOST_ERRORS - len(self._complained)]
                    else:
                        self._said += data[left:] if self.sieve is None else self.sieve(data[left:])
                        left = max(left - len(data), 0)
                        if len(self._said) > self.limit:
                            self.stop()
                            return False
        return True

    @staticmethod
    def _feed(pipe: IO[bytes], view: memoryview) -> memoryview:
        try:
            return view[os.write(pipe.fileno(), view[:CHUNK]) :]
        except BlockingIOError:
            return view
        except BrokenPipeError:
            return view[:0]


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _bound(process: subprocess.Popen[bytes], memory: int) -> bool:
    """Bound the bytes that git may write to; False where it has taken more already.

    What it maps of packs does not count, which the system can take back. The bound is set from outside, so that no
    code of ours runs between fork and exec. Git may be quicker, and then its heap shows that it was.
    """
    if not memory or sys.platform != "linux":
        return True
    with suppress(ProcessLookupError, PermissionError, FileNotFoundError):
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (memory, memory))
        pages = Path(f"/proc/{process.pid}/statm").read_bytes().split()
        return int(pages[5]) * resource.getpagesize() <= memory
    return True


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process has ended, without reaping it."""
    if not hasattr(os, "waitid"):
        return False
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


class Runner:
    """Runs git on one repository, as its shadow has it."""

    def __init__(
        self,
        program: Program,
        environment: Mapping[str, str],
        directory: str,
        fence: fencing.Fence | None,
        memory: int = 0,
    ) -> None:
        self.program = program
        self._memory = memory
        self.environment = environment
        self._directory = directory
        initializer = fence.close if fence is not None else None
        self._threads = ThreadPoolExecutor(PROCESSES, thread_name_prefix="git", initializer=initializer)

    async def run(
        self,
        arguments: Sequence[str | bytes],
        seconds: float,
        *,
        stdin: bytes = b"",
        limit: int = MEMORY_CEILING,
        skip: int = 0,
        sieve: Callable[[bytes], bytes] | None = None,
    ) -> Output:
        """Run git and give what it said, whatever its exit code; raises `Refusal` when time is over.

        `sieve` is given what git says as it comes, and gives what of it is to be kept and counts for the limit.
        """
        argv = [self.program.path, *arguments]
        job = Job(argv, self.environment, self._directory, stdin, skip, limit, self._memory, sieve)
        work = asyncio.get_running_loop().run_in_executor(self._threads, job.work)
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise Refusal(
                f"Git did not finish within {seconds:g} s and was stopped. Ask for less: a path, fewer commits, a "
                "narrower pattern."
            ) from None
        finally:
            job.stop()

    def close(self) -> None:
        """Take nothing more; what was asked for before is still done."""
        self._threads.shutdown(wait=False)
