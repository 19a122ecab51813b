"""A server over HTTP in a process of its own, on a free port of this machine."""

from __future__ import annotations

import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import IO

PATIENCE = 20.0
"""Seconds for the start, and for the end."""


@contextmanager
def serve(
    command: Sequence[str],
    options: Sequence[str] = ("--transport", "http"),
    port: int = 0,
    heard: list[bytes] | None = None,
) -> Generator[str]:
    """Start a server; gives its URL. At the end it must end by itself, at once and without a complaint.

    What it has logged since is in `heard` by then.
    """
    with subprocess.Popen([*command, *options, "--port", str(port)], stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            url = _read_url(process.stderr)
            lines = [] if heard is None else heard
            log = threading.Thread(target=lines.extend, args=(process.stderr,), name="log", daemon=True)
            log.start()  # a full pipe would stop the server
            yield url
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE) == 0
            log.join(PATIENCE)
        finally:
            process.kill()


def _read_url(log: IO[bytes]) -> str:
    """Wait for the line in which the server says where it is; it has opened its socket by then."""
    said = b""
    deadline = time.monotonic() + PATIENCE
    while not (found := re.search(rb"(http://127\.0\.0\.1:\d+\S*)\n", said)):
        ready = select.select([log], [], [], max(deadline - time.monotonic(), 0))[0]
        line = log.readline() if ready else b""
        assert line, f"the server does not start: {said.decode()}"
        said += line
    return found[1].decode()
