"""What is measured over stdio, each contender in its turn, round by round."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from pydantic_core import to_json

from .accounting import resident
from .contenders import FLOOR, MCP, OURS, TYPESCRIPT, Contender
from .pipes import HANDSHAKE, HELLO, LIST, Pipe, write_request
from .rows import Aim, Row

MEBIBYTE = 1 << 20


def measure_starts(contenders: Mapping[str, Contender], rounds: int) -> list[Row]:
    """From nothing to the first list; then what is resident, and how many modules Python has imported by then."""
    starts = Row("start to the first tools/list", "ms", (Aim(0.15, MCP), Aim(1.0, TYPESCRIPT)))
    memory = Row("resident by then", "MiB", (Aim(0.45, MCP),))
    modules = Row("modules imported by then", "", (Aim(220),))
    for turn in range(rounds + 1):
        for each in contenders.values():
            if each.stdio is None:
                continue
            with Pipe(each.stdio) as pipe:
                if turn:  # the first fills the caches of files and bytecode
                    starts.add(each.name, pipe.listed_after * 1000)
                    memory.add(each.name, resident(pipe.pid))
    for each in contenders.values():
        if each.stdio is not None and "python" in each.stdio[0]:
            modules.add(each.name, _count_modules(each.stdio))
    return [starts, memory, modules]


def _count_modules(command: Sequence[str]) -> int:
    """Imports until the end of input, as `-X importtime` lists them; the handshake and one list are sent."""
    words = [command[0], "-Ximporttime", *command[1:]]
    said = write_request(1, b"initialize", HANDSHAKE) + write_request(2, b"tools/list", LIST)
    done = subprocess.run(words, input=said, capture_output=True, check=False, timeout=60)
    return sum(line.startswith(b"import time:") for line in done.stderr.splitlines()) - 1


def measure_calls(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """One call at a time, and 64 in flight."""
    latency = Row("stdio, one at a time, p50", "µs")
    alone = Row("stdio, one at a time, CPU for 10,000", "s", (Aim(0.8, TYPESCRIPT),))
    crowd = Row("stdio, 64 in flight, CPU for 10,000", "s", (Aim(0.5, TYPESCRIPT), Aim(0.1), Aim(1 / 40, MCP)))
    speed = Row("stdio, 64 in flight", "calls/s", (Aim(2.0, TYPESCRIPT, at_least=True),))
    with ExitStack() as stack:
        pipes = _open_all(stack, contenders)
        for turn in range(rounds + 1):
            for name, pipe in pipes.items():
                before = pipe.cpu()
                seconds = pipe.latencies(HELLO, "hello", calls // 4)
                between = pipe.cpu()
                rate = pipe.load(HELLO, "hello", calls, 64)
                if turn:
                    latency.add(name, statistics.median(seconds) * 1e6)
                    alone.add(name, (between - before) / (calls // 4) * 10_000)
                    crowd.add(name, (pipe.cpu() - between) / calls * 10_000)
                    speed.add(name, rate)
    return [alone, latency, crowd, speed]


def measure_large(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """A result of a mebibyte, and an argument of one that comes back."""
    out = Row("a result of 1 MiB, CPU", "ms", (Aim(1.7, FLOOR),))
    both = Row("an argument of 1 MiB and back, CPU", "ms", (Aim(1.3, FLOOR),))
    letters = "y" * MEBIBYTE
    echo = b'{"name":"echo","arguments":{"text":%b}}' % to_json(letters)
    blob = b'{"name":"blob","arguments":{"size":%d}}' % MEBIBYTE
    with ExitStack() as stack:
        pipes = _open_all(stack, contenders)
        for turn in range(rounds + 1):
            for name, pipe in pipes.items():
                before = pipe.cpu()
                pipe.load(blob, "x" * MEBIBYTE, calls, 1)
                between = pipe.cpu()
                pipe.load(echo, letters, calls, 1)
                if turn:
                    out.add(name, (between - before) / calls * 1000)
                    both.add(name, (pipe.cpu() - between) / calls * 1000)
    return [out, both]


def measure_lists(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """`tools/list` of a server with ten tools, and of one with a thousand."""
    return [_measure_list(contenders, rounds, calls, 10), _measure_list(contenders, rounds, max(calls // 20, 3), 1000)]


def _measure_list(contenders: Mapping[str, Contender], rounds: int, calls: int, tools: int) -> Row:
    row = Row(f"tools/list of {tools:,}, CPU", "µs", (Aim(1.5, FLOOR),))
    with ExitStack() as stack:
        pipes = _open_all(stack, contenders, {"TINY_TOOLS": str(tools - 3)})
        for turn in range(rounds + 1):
            for name, pipe in pipes.items():
                before = pipe.cpu()
                for _ in range(calls):
                    assert len(pipe.call(b"tools/list", LIST)["tools"]) >= min(tools, 50)
                if turn:
                    row.add(name, (pipe.cpu() - before) / calls * 1e6)
    return row


def measure_flatness(contenders: Mapping[str, Contender], rounds: int, calls: int) -> list[Row]:
    """A call's cost with many tools, and with many calls that wait, beside that with few."""
    rows: list[Row] = []
    ours = contenders[OURS]
    assert ours.stdio is not None
    for what, sizes in (("tools", (10, 100, 1000)), ("waiting calls", (0, 900))):
        with ExitStack() as stack:
            pipes: dict[int, Pipe] = {}
            for size in sizes:
                pipes[size] = stack.enter_context(Pipe(ours.stdio, {"TINY_TOOLS": str(size if what == "tools" else 0)}))
                for _ in range(size if what == "waiting calls" else 0):
                    pipes[size].send(b"tools/call", b'{"name":"wait","arguments":{}}')
            rows += _compare(what, pipes, rounds, calls)
    return rows


def _compare(what: str, pipes: Mapping[int, Pipe], rounds: int, calls: int) -> Iterator[Row]:
    spent: dict[int, list[float]] = {size: [] for size in pipes}
    for turn in range(rounds + 1):
        for size, pipe in pipes.items():
            before = pipe.cpu()
            pipe.load(HELLO, "hello", calls, 64)
            if turn:
                spent[size].append(pipe.cpu() - before)
    least = statistics.median(spent[min(spent)])
    for size in list(spent)[1:]:
        row = Row(f"a call's CPU with {size:,} {what}, to that with {min(spent)}", "ratio", (Aim(1.1),))
        row.found[OURS] = [each / least for each in spent[size]]
        yield row


def _open_all(
    stack: ExitStack, contenders: Mapping[str, Contender], variables: Mapping[str, str] | None = None
) -> dict[str, Pipe]:
    return {
        each.name: stack.enter_context(Pipe(each.stdio, variables))
        for each in contenders.values()
        if each.stdio is not None
    }
