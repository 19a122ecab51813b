"""What one call costs: how often it goes to a thread, and what it asks of the system there."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import BuiltinFunctionType, FrameType

import pytest
from tests.servers.filesystem.siege import Siege, besiege
from tests.stage import scene

from mcp_server_filesystem.crew import Crew
from mcp_server_filesystem.system import open_beneath


def has_openat2() -> bool:
    try:
        os.close(open_beneath(-100, ".", os.O_RDONLY))  # AT_FDCWD
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_openat2(), reason="counts what is done by openat2")

LOOK = Counter(fstat=1, readlink=2, close=1)
"""Whether the served directory is still there, the names of it and of what was opened in it, and the end of that."""
READ = Counter(fstat=1, set_blocking=1, pread=1)
CALLS: dict[str, tuple[dict[str, object], Counter[str]]] = {
    "list_directory": ({"path": "inner"}, LOOK + Counter(scandir=1)),
    "read_text_file": ({"path": "a.txt"}, LOOK + READ),
    "get_file_info": ({"path": "a.txt"}, LOOK + READ + Counter(fstat=2, open=1, close=1)),
    "write_file": (
        {"path": "a.txt", "content": "x"},
        # The folder by its name, the old file, the new one with rights like the old one's, and the one for the other.
        LOOK
        + READ
        + Counter(readlink=1, open=2, close=2, write=1, fstat=2, listxattr=2, fchmod=1, fsync=1, urandom=1, replace=1),
    ),
}


NO_CALLS = ("fspath", "_path_normpath")


@contextmanager
def counted() -> Generator[Counter[str]]:
    """Count the system calls of threads that are started meanwhile, as Python names them."""
    found: Counter[str] = Counter()

    def see(frame: FrameType, event: str, called: object) -> None:
        if event == "call" and frame.f_code is Crew._work.__code__:  # pyright: ignore[reportPrivateUsage]  # one of each job
            found["thread"] += 1
        elif event == "c_call" and isinstance(called, BuiltinFunctionType) and called.__module__ == "posix":
            found[called.__name__] += called.__name__ not in NO_CALLS

    threading.setprofile(see)
    try:
        yield found
    finally:
        threading.setprofile(None)


async def count(siege: Siege, tool: str, times: int) -> Counter[str]:
    """What a server does for so many calls, from its start to the end of its threads."""
    with counted() as found:
        async with siege.attack("2025-11-25") as attacker:
            for _ in range(times):
                assert (await attacker.call(tool, **CALLS[tool][0]))[0]
        for thread in threading.enumerate():
            if thread.name == "files":
                thread.join(10)
    return found


@pytest.mark.parametrize("tool", CALLS)
@scene
async def test_a_call_goes_to_a_thread_once_and_asks_no_more_than_it_must(served: Path, tool: str) -> None:
    with besiege(served) as siege:
        once, thrice = await count(siege, tool, 1), await count(siege, tool, 3)
    thrice.subtract(once)
    each = {name: number / 2 for name, number in thrice.items() if number}
    assert each == {"thread": 1, **CALLS[tool][1]}
