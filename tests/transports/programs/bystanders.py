"""A server among libraries that print: when they are imported, when the loop starts, and at the end."""

import atexit
import ctypes
import os
import subprocess
import sys

from mcp_kernel import Server, run

if "import" in os.environ:
    print(os.environ["import"])  # noqa: T201  # not flushed: it waits in Python's buffer when the server starts
if "C at import" in os.environ:
    ctypes.CDLL(None).puts(os.environ["C at import"].encode())
    atexit.register(ctypes.CDLL(None).fflush, None)
if "atexit" in os.environ:
    atexit.register(print, os.environ["atexit"])

server = Server("bystanders", version="1.0.0")


@server.tool(read_only=True)
async def descriptors_of_a_child() -> str:
    """List the descriptors that a child inherits when nothing is closed for it."""
    listing = "import os; print(*[fd for fd in range(64) if os.path.exists(f'/proc/self/fd/{fd}')])"
    command = [sys.executable, "-c", listing]
    return subprocess.run(command, check=True, capture_output=True, text=True, close_fds=False).stdout.strip()


if "start" in os.environ:
    sys.stdout.write(os.environ["start"] + "\n")
run(server)
