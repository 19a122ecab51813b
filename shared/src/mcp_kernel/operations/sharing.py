"""Whether a server is one of several that serve the same clients, as the command line says."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mcp_kernel.operations.redis_link import RedisLink
    from mcp_kernel.server.server import Server

_ALONE: Final = (
    "needs --store redis://HOST:PORT/DATABASE: sessions (every revision before 2026-07-28), tasks and notices of "
    "changes would be known to one worker, and clients reach any"
)
_NO_KEY: Final = (
    "Neither MCP_STATE_KEY nor MCP_STATE_KEY_FILE is set: give every replica the same secret, or an answer to a "
    "question counts only at the replica that asked it\n"
)


def share_as_asked(server: Server, store: str, workers: int, transport: str) -> RedisLink | None:
    """Have a server share a store, if it is to; returns the way there.

    Raises `ValueError` for what cannot be served so: the text says what to do.
    """
    if workers == 0:
        raise ValueError("--workers 0 would serve nobody: leave it out for one process")
    if transport != "http" and (workers > 1 or store != "memory"):
        raise ValueError(f"--workers and --store are for --transport http; {transport} has one process")
    if workers > 1 and sys.platform == "win32":
        raise ValueError("--workers passes a socket on, which Windows cannot: start several on ports of their own")
    if store == "memory":
        if workers > 1:
            raise ValueError(f"--workers {workers} {_ALONE}")
        return None
    try:
        from mcp_kernel.operations.redis_link import find_trouble
        from mcp_kernel.operations.redis_store import share
    except ImportError:
        raise ValueError("--store redis://… needs the package redis: install mcp-kernel[redis]") from None
    try:
        link = share(server, store)
    except ValueError as error:
        raise ValueError(f"--store takes memory, redis://, rediss:// or unix://: {error}") from None
    trouble = find_trouble(store)
    if trouble is not None:
        sys.stderr.write(f"--store cannot be used now: {trouble} What needs it is refused until it can be.\n")
    file = os.environ.get("MCP_STATE_KEY_FILE")
    if file:
        server.state_key = _read_key(Path(file))
    elif workers == 1 and not os.environ.get("MCP_STATE_KEY"):
        sys.stderr.write(_NO_KEY)
    return link


def _read_key(file: Path) -> bytes:
    try:
        key = file.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"MCP_STATE_KEY_FILE: {file} cannot be read: {error.strerror or error}") from None
    if not key:
        raise ValueError(f"MCP_STATE_KEY_FILE: {file} is empty")
    return key
