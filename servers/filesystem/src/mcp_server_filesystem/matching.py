"""Regular expressions, matched in a process that can be ended: one for each search."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from .channel import open_channel
from .errand import Errand
from .refusals import Refusal

FILE_SECONDS = 1.0
MOST_OF_FILE = 400
BATCH = 16
"""Texts on their way at once; their answers, short as they are, fit into a pipe that nobody reads yet."""

_PROGRAM = Path(__file__).with_name("matcher.py")
_POLL = 0.1
_START = 9.0  # for an interpreter to start, which takes long where much else runs
_PATIENCE = 2.0  # beyond the program's own fence, after which it is held to be stuck


class Expression:
    """A compiled expression; raises `Refusal` for one that is none. Ends its process with the `with`."""

    def __init__(self, source: str, errand: Errand, most: int) -> None:
        self._errand = errand
        self._received = bytearray()
        data = source.encode("utf-8", "surrogatepass")
        self._process = subprocess.Popen(  # noqa: S603  # this very interpreter, with a program of ours
            [sys.executable, "-I", "-S", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},  # Windows needs it
            bufsize=0,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        pipes = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        self._channel = open_channel(*pipes)
        try:
            self._send([struct.pack("<IId", len(data), min(most, MOST_OF_FILE), FILE_SECONDS), data])
            said = self._read_line(_START)
            if said is None:
                raise Refusal(
                    "The regular expression was not read in time: it is very large, or this machine is very busy. "
                    "Try again, or search for a plain text."
                )
            if said != "ready":
                raise Refusal(f"The regular expression is not valid: {said.partition(' ')[2]}.")
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def find(self, texts: list[bytes]) -> list[list[int] | None]:
        """The lines of each text in which matches begin; None for one that took too long.

        Fewer answers than texts say that the process gave up: the expression is too slow.
        """
        frames: list[bytes] = []
        for text in texts:
            frames += [struct.pack("<I", len(text)), text]
        self._send(frames)
        answers: list[list[int] | None] = []
        for _ in texts:
            line = self._read_line()
            if line is None:
                break
            answers.append(None if line == "late" else [] if line == "-" else [int(each) for each in line.split()])
        return answers

    def _send(self, frames: Iterable[bytes]) -> None:
        self._channel.send(b"".join(frames), self._errand.check)

    def _read_line(self, patience: float = _PATIENCE) -> str | None:
        """The next answer; None where the process has ended, or is stuck."""
        waited = 0.0
        while (end := self._received.find(b"\n")) < 0:
            self._errand.check()
            chunk = self._channel.receive(_POLL)
            if chunk == b"":
                return None
            if chunk is not None:
                self._received += chunk
            elif (waited := waited + _POLL) > FILE_SECONDS + patience:
                return None
        line = self._received[:end].decode("utf-8", "replace")
        del self._received[: end + 1]
        return line

    def _end(self) -> None:
        self._process.kill()
        self._channel.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
