"""`--console`: what it needs, and what it says."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from .browsing import page_of

EVERYTHING = str(Path(sys.executable).with_name("mcp-server-everything"))


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ([], "--transport http"),
        (["--transport", "stdio"], "--transport http"),
        (["--transport", "sse"], "--transport http"),
        (["--transport", "http", "--path", "/"], "--path"),
    ],
)
def test_what_it_needs_is_said_in_one_line(options: list[str], hint: str) -> None:
    command = [EVERYTHING, "--console", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 2
    assert re.fullmatch(rf"mcp-server-everything: [^\n]*{hint}[^\n]*\n", done.stderr), done.stderr
    assert done.stdout == ""


def test_the_page_and_the_endpoint_are_served_beside_each_other() -> None:
    with page_of([EVERYTHING]) as url:
        root = url.removesuffix("mcp")
        with urllib.request.urlopen(root, timeout=10) as answer:
            assert b"<title>Console</title>" in answer.read()
        with urllib.request.urlopen(f"{root}servers.json", timeout=10) as answer:
            assert b'"path":"/mcp"' in answer.read()
        with urllib.request.urlopen(f"{root}healthz", timeout=10) as answer:
            assert answer.read() == b"ok"
        head = urllib.request.Request(f"{root}page/main.js", method="HEAD")  # of this machine
        with urllib.request.urlopen(head, timeout=10) as answer:
            assert answer.read() == b""
            assert int(answer.headers["content-length"]) > 1000
