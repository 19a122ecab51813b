"""The process's title: what other users of the machine see of its arguments."""

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_FIRST_ADDRESS, _LAST_ADDRESS = 47, 48  # fields of /proc/PID/stat, counted from 0: arg_start and arg_end


def hide_arguments(secrets: Sequence[str]) -> None:
    """Overwrite secrets where the system shows a process's arguments.

    Linux keeps them in the process's own memory, and shows what stands there now. Elsewhere nothing is done: the
    servers' READMEs say where a password goes instead.
    """
    if not (secrets and sys.platform.startswith("linux")):
        return
    with suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[_FIRST_ADDRESS - 2]), int(fields[_LAST_ADDRESS - 2])
        with Path("/proc/self/mem").open("r+b", buffering=0) as memory:
            memory.seek(start)
            shown = memory.read(end - start)
            hidden = shown
            for secret in sorted(map(str.encode, secrets), key=len, reverse=True):
                hidden = hidden.replace(secret, b"*" * len(secret))
            if hidden != shown:
                memory.seek(start)
                memory.write(hidden)
