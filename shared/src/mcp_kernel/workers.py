"""Several processes of one server on one socket: a parent that listens, starts them, and starts them again.

The parent serves nobody. It hands its socket, already listening, to processes that run the command line it was started
with; the kernel gives each connection to one of them. They end when it tells them to, or when it is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

_VARIABLE: Final = "MCP_WORKER"  # how a worker is told what `Seat` holds
_KEY: Final = "MCP_STATE_KEY"
_SOON: Final = 2.0  # seconds: a worker that ends before has hardly begun
_MOST_SOON: Final = 5  # of which so many in a row are the end


class Seat(NamedTuple):
    """What a parent gives to a worker: its place among the others, from 1, and descriptors.

    `parent` is a pipe that ends with the parent, `listener` the socket to serve on. 0 is what there is not: `figures`,
    a socket to tell the parent what was counted, and `aside`, one to show that on.
    """

    place: int
    parent: int
    listener: int
    figures: int
    aside: int


def find_seat() -> Seat | None:
    """What this process was given by a parent that listens for it; None where it is no worker."""
    words = os.environ.get(_VARIABLE)
    return None if words is None else Seat(*map(int, words.split(",")))


def take_seat(seat: Seat) -> socket.socket:
    """Return the parent's socket, and see to it that this process ends with the parent."""
    del os.environ[_VARIABLE]  # what this process starts is no worker
    threading.Thread(target=_end_with, args=(seat.parent,), name="parent", daemon=True).start()
    return socket.socket(fileno=seat.listener)


def _end_with(pipe: int) -> None:
    os.read(pipe, 1)  # nothing is ever written to it
    os.kill(os.getpid(), signal.SIGTERM)


class Workers:
    """The processes of one parent.

    Args:
        listeners: The sockets, which listen: the one to serve on, and perhaps one aside.
        count: How many are to run.
        patience: Seconds that each may take to end.
        say: Takes a line for the operator.
        enter: Returns a socket for one more worker to tell its figures on, where that is wanted.
    """

    def __init__(
        self,
        listeners: Sequence[socket.socket],
        count: int,
        patience: float,
        say: Callable[[str], object],
        enter: Callable[[], socket.socket] | None = None,
    ) -> None:
        self._listeners = listeners
        self._enter = enter
        self._count = count
        self._patience = patience
        self._say = say
        self._pipe, self._ours = os.pipe()
        self._started: dict[int, tuple[subprocess.Popen[bytes], float]] = {}
        self._free = list(range(1, count + 1))  # places, of which one that is started takes the first
        self._places: dict[int, int] = {}  # by process
        self._is_ending = False

    def run(self) -> int:
        """Keep them running until a signal comes; returns the exit code."""
        os.environ.setdefault(_KEY, os.urandom(32).hex())
        signal.signal(signal.SIGALRM, lambda number, frame: self._tell(signal.SIGKILL))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: self._end())
        for _ in range(self._count):
            if not self._is_ending:
                self._start()
        soon = 0
        while self._started:
            ended, code, age = self._wait()
            if self._is_ending:
                continue
            soon = soon + 1 if age < _SOON else 0
            if code == 2 or soon >= _MOST_SOON:  # it was started wrongly, or cannot live
                self._say(f"worker {ended} ended with {code}, and so would another")
                self._end()
                self._reap()
                return code if code > 0 else 1
            self._say(f"worker {ended} ended with {code}; another takes its place")
            self._start()
        return 0

    def _start(self) -> None:
        place = self._free.pop(0)
        figures = self._enter() if self._enter is not None else None
        listener, aside = [each.fileno() for each in self._listeners] + [0] * (2 - len(self._listeners))
        seat = Seat(place, self._pipe, listener, figures.fileno() if figures else 0, aside)
        surroundings = {**os.environ, _VARIABLE: ",".join(map(str, seat))}
        command = [sys.executable, *sys.orig_argv[1:]]
        passed = [each for each in seat[1:] if each]
        worker = subprocess.Popen(command, env=surroundings, pass_fds=passed)  # noqa: S603  # our own command line
        if figures is not None:
            figures.close()  # the worker has it alone, so that it ends with the worker
        self._started[worker.pid] = (worker, time.monotonic())
        self._places[worker.pid] = place
        if self._is_ending:  # the signal came while it was started
            self._tell(signal.SIGTERM)

    def _wait(self) -> tuple[int, int, float]:
        """Wait until one has ended; returns its id, its exit code and its age in seconds."""
        pid, status = os.waitpid(-1, 0)
        worker, since = self._started.pop(pid, (None, time.monotonic()))
        if pid in self._places:
            self._free.append(self._places.pop(pid))
        code = os.waitstatus_to_exitcode(status)
        if worker is not None:
            worker.returncode = code
        return pid, code, time.monotonic() - since

    def _reap(self) -> None:
        while self._started:
            self._wait()

    def _end(self) -> None:
        """Tell all to end; who has not when the time is over is ended."""
        if not self._is_ending:
            self._is_ending = True
            signal.setitimer(signal.ITIMER_REAL, self._patience)
        self._tell(signal.SIGTERM)

    def _tell(self, number: signal.Signals) -> None:
        """Signal to all. Not by `Popen`, which looks first whether they have ended, and takes that from `_wait`."""
        for pid in list(self._started):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
