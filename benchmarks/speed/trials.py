"""A server beside its peers over stdio: the same calls in turn, so that whatever else the machine does falls on all.

The floor is the same work done in this process, with its answer as JSON: no server, no pipe, and none of the checks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from .accounting import peak
from .contenders import FLOOR, OURS
from .installing import NotHere
from .pipes import Pipe
from .rows import Aim, Part, Row

PEER: Final = "peer"
PATIENCE: Final = 120.0  # seconds of silence

Call: TypeAlias = tuple[str, Mapping[str, object]]


@dataclass(frozen=True, slots=True)
class Program:
    """A server's command line, and what it takes from its environment."""

    words: Sequence[str]
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def start(self) -> Pipe:
        """Start it, and do the handshake; raises `NotHere`."""
        try:
            return Pipe(self.words, self.variables, PATIENCE)
        except (AssertionError, LookupError, OSError, RuntimeError, ValueError) as error:  # TimeoutError is an OSError
            raise NotHere(f"does not start: {error}") from None


@dataclass(frozen=True, slots=True)
class Trial:
    """What is measured: the calls of a contender at a turn (none: it cannot), and the same work without a server.

    Every answer must hold the text `holds`. There are `times` turns a round; without any it happens once in all.
    """

    title: str
    calls: Callable[[str, int], Sequence[Call]]
    floor: Callable[[int], bytes]
    holds: str = ""
    times: int = 10
    aims: tuple[Aim, ...] = (Aim(1.0, PEER),)
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Contest:
    """A server, its peers by name, and the trials; `first` are calls that one needs once, before all others."""

    heading: str
    about: str
    ours: Program
    peers: Mapping[str, Callable[[], Program]]
    trials: Sequence[Trial]
    first: Mapping[str, Sequence[Call]] = field(default_factory=dict[str, Sequence[Call]])


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: so many rounds; `quick` only what is quick; `alone` ours and the floor."""

    rounds: int
    quick: bool = False
    alone: bool = False

    def choose(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that are made."""
        return [trial for trial in trials if trial.quick or not self.quick]


@contextmanager
def timed(name: str) -> Generator[None]:
    """Say on stderr how long a section took."""
    began = time.perf_counter()
    yield
    print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)


def same(tool: str, arguments: Mapping[str, object]) -> Callable[[str, int], Sequence[Call]]:
    """The same call for everybody at every turn."""
    return lambda _name, _turn: [(tool, arguments)]


def compete(contest: Contest, effort: Effort) -> Part:
    """Measure a server and those of its peers that can be had."""
    part = Part(contest.heading, contest.about, tuple(contest.peers), tuple(contest.peers))
    programs, absent = {OURS: contest.ours}, dict[str, str]()
    for name, install in contest.peers.items():
        try:
            if not effort.alone:
                programs[name] = install()
        except NotHere as error:
            absent[name] = str(error)
    aims = tuple(Aim(1.0, name) for name in contest.peers)
    memory = Row("peak memory", "MiB", aims)
    with ExitStack() as stack:
        pipes = dict[str, Pipe]()
        for name, program in programs.items():
            try:
                pipes[name] = _open(stack, program, contest.first.get(name, ()))
            except NotHere as error:
                if name == OURS:
                    raise
                absent[name] = str(error)
        part.rows += [_measure(trial, pipes, effort) for trial in effort.choose(contest.trials)]
        for name, pipe in pipes.items():
            with suppress(OSError, RuntimeError):  # a peer that failed at a call may be gone
                memory.add(name, peak(pipe.pid))
    if not effort.quick:
        part.rows.insert(0, _measure_starts({name: programs[name] for name in pipes}, effort.rounds, aims))
    part.rows.append(memory)
    part.lack(absent)
    return part


def _open(stack: ExitStack, program: Program, first: Sequence[Call]) -> Pipe:
    pipe = stack.enter_context(program.start())
    for tool, arguments in first:
        try:
            pipe.ask(tool, arguments, "")
        except (AssertionError, OSError, RuntimeError) as error:
            raise NotHere(str(error)) from None
    return pipe


def _measure_starts(programs: Mapping[str, Program], rounds: int, aims: tuple[Aim, ...]) -> Row:
    row = Row("start to the list of tools", "ms", aims)
    for _ in range(rounds):
        for name, program in programs.items():
            with program.start() as pipe:
                row.add(name, pipe.listed_after * 1000)
    return row


def _measure(trial: Trial, pipes: Mapping[str, Pipe], effort: Effort) -> Row:
    row = Row(trial.title, "ms", trial.aims)
    turns = effort.rounds * (min(trial.times, 3) if effort.quick else trial.times)
    for turn in range(turns + 1):
        counts = turn or not turns  # the first fills the caches
        began = time.perf_counter()
        answer = trial.floor(turn)
        took = time.perf_counter() - began
        assert trial.holds.encode() in answer, (trial.title, answer[:200])
        if counts:
            row.add(FLOOR, took * 1000)
        for name, pipe in pipes.items():
            calls: Sequence[Call] = () if name in row.missing else trial.calls(name, turn)
            try:
                took = sum(pipe.ask(tool, arguments, trial.holds) for tool, arguments in calls)
            except (AssertionError, OSError, RuntimeError) as error:
                if name == OURS:
                    raise
                row.found.pop(name, None)
                row.missing[name] = str(error)
                continue
            if calls and counts:
                row.add(name, took * 1000)
    return row
