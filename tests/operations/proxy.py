"""HAProxy before servers: round-robin by request, with no memory of who was sent where."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

_CONFIGURATION = """
global
    maxconn 1000
defaults
    mode http
    balance roundrobin
    option http-no-delay
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    retries 3
    option redispatch
    retry-on conn-failure
listen servers
    bind fd@{listener}
"""


@contextmanager
def proxy(urls: Sequence[str]) -> Generator[str]:
    """Stand before servers; gives the URL of their endpoint. Skips the test where there is no HAProxy, except in CI."""
    program = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        assert not os.environ.get("CI"), "haproxy is missing"
        pytest.skip("haproxy is not installed")
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryDirectory() as folder:
        lines = [
            f"    server replica{number} {urlsplit(url).netloc} check inter 200ms" for number, url in enumerate(urls)
        ]
        file = Path(folder) / "haproxy.cfg"
        file.write_text(_CONFIGURATION.format(listener=listener.fileno()) + "\n".join(lines) + "\n")
        listener.set_inheritable(True)
        command = [program, "-db", "-q", "-f", str(file)]
        with subprocess.Popen(command, pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL) as process:
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
            finally:
                process.kill()
