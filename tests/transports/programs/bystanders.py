"""A server among libraries that print: when they are imported, when the loop starts, and at the end."""

import asyncio
import atexit
import ctypes
import os
import subprocess
import sys

from mcp_kernel import Server, run

if "AT_IMPORT" in os.environ:
    print(os.environ["AT_IMPORT"])  # noqa: T201  # not flushed: it waits in Python's buffer when the server starts
if "AT_IMPORT_IN_C" in os.environ:
    ctypes.CDLL(None).puts(os.environ["AT_IMPORT_IN_C"].encode())
    atexit.register(ctypes.CDLL(None).fflush, None)
if "AT_EXIT" in os.environ:
    atexit.register(print, os.environ["AT_EXIT"])

server = Server("bystanders", version="1.0.0")


@server.tool(read_only=True)
def descriptors_of_a_child() -> str:
    """List the descriptors that a child inherits when nothing is closed for it."""
    listing = "import os; print(*[fd for fd in range(64) if os.path.exists(f'/proc/self/fd/{fd}')])"
    command = [sys.executable, "-c", listing]
    return subprocess.run(command, check=True, capture_output=True, text=True, close_fds=False).stdout.strip()


if "AT_CLOSING" in os.environ:

    @server.on_close
    async def close() -> None:
        """Close what cannot be closed."""
        if os.environ["AT_CLOSING"] == "raise":
            raise RuntimeError("it cannot be closed")
        await asyncio.Event().wait()


if "AT_START" in os.environ:
    sys.stdout.write(os.environ["AT_START"] + "\n")
run(server)
