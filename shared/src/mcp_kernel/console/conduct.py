"""How a command behaves: bad usage is one line, and the exit code is 0, 1 for what went wrong, 2 for bad usage.

130 is Ctrl-C, and a signal that ends it gives 128 and its number.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import NoReturn

from mcp_kernel.console.terminal import Misuse, fold


class Parser(argparse.ArgumentParser):
    """Bad usage is one line that says what to do."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {fold(message).rstrip('.')}. Try {self.prog} --help.\n")


def conduct(begin: Callable[[], Coroutine[object, object, int]], tell: Callable[[str], None]) -> int:
    """Do what `begin` gives, and return the exit code; `tell` says in one line what went wrong."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream that somebody put there instead
            getattr(stream, "reconfigure")(errors="backslashreplace")  # noqa: B009  # not of every stream, to the types
    try:
        code = _run(begin())
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Misuse as error:
        tell(f"{error}")
        return 2
    except Exception as error:
        tell(_explain(error))
        return 1
    return code


def _explain(error: Exception) -> str:
    """What a person is told of an error; raises it again where it is a defect."""
    from mcp_kernel.client.failures import ClientError

    if isinstance(error, ClientError | OSError):
        return str(error)
    raise error


def _run(work: Coroutine[object, object, int]) -> int:
    """Do it in an event loop; to be told to end, or to lose the terminal, is as Ctrl-C: no child is left."""
    told: list[int] = []

    async def see_through() -> int:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is None or task is None:
                continue
            with contextlib.suppress(NotImplementedError):  # Windows
                loop.add_signal_handler(number, lambda number=number: (told.append(number), task.cancel()))
        return await work

    try:
        return asyncio.run(see_through())
    except asyncio.CancelledError:
        return 128 + told[0] if told else 1
