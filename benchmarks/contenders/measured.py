"""`mcp-server-sqlite`, as it is, that says at SIGUSR1 how many bytes are in use in its process.

With `PYTHONMALLOC=malloc` the C library knows of all that Python, SQLite and the other libraries hold, to the byte; the
resident set also has what the allocator keeps for the next time. The figure is written to the file that the first
argument names; the others are the server's own.
"""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from pathlib import Path
from typing import ClassVar

from mcp_server_sqlite.cli import main

_FIELDS = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class Allocated(ctypes.Structure):
    """What mallinfo2(3) returns; `uordblks` is in use in the arenas, `hblkhd` in mappings of their own."""

    _fields_: ClassVar = [(name, ctypes.c_size_t) for name in _FIELDS]
    uordblks: int
    hblkhd: int


def _answer(_number: int, _frame: object) -> None:
    gc.collect()
    allocated = _library.mallinfo2()
    written = report.with_suffix(".new")
    written.write_text(str(allocated.uordblks + allocated.hblkhd), "utf-8")
    written.rename(report)


report = Path(sys.argv.pop(1))
_library = ctypes.CDLL(None)
_library.mallinfo2.restype = Allocated
signal.signal(signal.SIGUSR1, _answer)
main()
