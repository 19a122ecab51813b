"""The program that matches regular expressions: a process of its own, since Python cannot stop a match from outside.

It reads an expression and then texts, and answers each with one line: "-" for no match, the numbers of the lines in
which matches begin, or "late". It knows no file and nothing of the package, so that it starts in a moment. An alarm
looks in on it: it ends a match that takes too long, and the process when nobody is there any more to hear of it.
"""

import contextlib
import os
import re
import signal
import struct
import sys
import time

if sys.platform != "win32":
    import resource

MOST_LATE = 3
_TICK = 0.1
_MEMORY = 2 * 1024 * 1024 * 1024


class Late(Exception):
    """A match takes too long."""


class Clock:
    """The time of one match."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.deadline = time.monotonic() + seconds
        self.parent = os.getppid()
        self.is_running = True

    def tick(self, number: int, frame: object) -> None:
        """Look in, by the alarm."""
        if os.getppid() != self.parent:
            os._exit(0)
        if self.is_running and time.monotonic() > self.deadline:
            raise Late


def find_lines(expression: re.Pattern[str], text: str, most: int) -> list[int]:
    """The numbers of the lines in which matches begin, each once."""
    lines: list[int] = []
    number, at = 1, 0
    for match in expression.finditer(text):
        if match.start() == len(text) and text.endswith("\n"):
            break  # an empty match behind the last line
        number += text.count("\n", at, match.start())
        at = match.start()
        if not lines or lines[-1] != number:
            lines.append(number)
            if len(lines) >= most:
                break
    return lines


def answer(clock: Clock, expression: re.Pattern[str], text: str, most: int) -> str:
    """Match one text."""
    clock.deadline = time.monotonic() + clock.seconds
    try:
        clock.is_running = True
        lines = find_lines(expression, text, most)
        clock.is_running = False
    except Late:
        return "late"
    except (MemoryError, RecursionError):
        return "late"
    finally:
        clock.is_running = False
    return " ".join(map(str, lines)) or "-"


def read_exactly(size: int) -> bytes:
    """Read so many bytes, or end the process where there are none."""
    data = sys.stdin.buffer.read(size)
    if len(data) < size:
        os._exit(0)
    return data


def compile_expression(clock: Clock, source: str) -> "re.Pattern[str] | None":
    """Compile, or say what is wrong."""
    try:
        expression = re.compile(source, re.MULTILINE)
    except (re.error, OverflowError, RecursionError, MemoryError) as error:
        say(f"error {error or type(error).__name__}")
        return None
    except Late:
        say("error it takes too long to compile")
        return None
    clock.is_running = False
    say("ready")
    return expression


def say(line: str) -> None:
    """Write one line, at once."""
    sys.stdout.buffer.write(line.replace("\n", " ").encode("utf-8", "replace") + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Serve one expression until the input ends."""
    size, most, seconds = struct.unpack("<IId", read_exactly(16))
    clock = Clock(seconds)
    if sys.platform != "win32":  # there, who asked ends this process instead
        with contextlib.suppress(OSError, ValueError):  # macOS has no such limit
            resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        signal.signal(signal.SIGALRM, clock.tick)
        signal.setitimer(signal.ITIMER_REAL, _TICK, _TICK)
    expression = compile_expression(clock, read_exactly(size).decode("utf-8", "surrogatepass"))
    late = 0
    while expression is not None and late < MOST_LATE:
        (size,) = struct.unpack("<I", read_exactly(4))
        line = answer(clock, expression, read_exactly(size).decode("utf-8", "replace"), most)
        late += line == "late"
        say(line)


if __name__ == "__main__":
    main()
