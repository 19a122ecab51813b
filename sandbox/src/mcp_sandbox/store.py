"""The Redis that replicas share, where this machine has one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from secrets import token_hex

from mcp_sandbox.children import Failed, Family, Program


def find_redis() -> str | None:
    """Where Redis is on this machine; None where it is not."""
    return shutil.which("redis-server")


async def start_store(family: Family, folder: Path) -> str:
    """Start a Redis on a socket in the folder; returns its URL. Raises `Failed`.

    The key that the replicas sign with goes into the environment that they inherit, if it has none.
    """
    program = find_redis()
    if program is None:
        raise Failed("redis-server is not installed")
    os.environ.setdefault("MCP_STATE_KEY", token_hex(32))
    place = folder / "store.sock"
    words = ["--port", "0", "--unixsocket", str(place), "--save", "", "--dir", str(folder), "--logfile", "/dev/stderr"]
    environment = {"PATH": os.environ.get("PATH", os.defpath)}
    everything = " "  # what it says of itself is for nobody here
    ready = "eady to accept connections"  # 7.2 says "Ready …", 7.0 "The server is now ready …"
    await family.start(Program("store", [program, *words], folder, environment, ready, everything))
    return f"unix://{place}"
