"""A server with API keys alone needs nothing that it has not without them."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.auth.entrance import EVERYONE, key_lines

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
for name in {absent}:
    sys.modules[name] = None  # as if it were not installed
from mcp_kernel import Server
from mcp_kernel.cli import CommandLine
from mcp_kernel.deployment import Unfit, prepare
arguments = CommandLine("club", "1", "A club.").parse_args(["--transport", "http", "--auth", sys.argv[1]])
try:
    gate = prepare(Server("club", "1"), arguments)
except Unfit as error:
    print(error)
else:
    print(type(gate).__name__)
"""
ABSENT = ["httpx", "jwt", "cryptography"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (key_lines("a", "k") + EVERYONE, "ResourceGate"),
        (
            "resource = 'https://a.example/mcp'\n[jwt]\nissuer = 'https://i.example'\n" + EVERYONE,
            "auth.toml:2: tokens need more packages: install mcp-kernel[auth]",
        ),
    ],
)
def test_without_the_packages_keys_work_and_tokens_say_what_to_install(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "auth.toml"
    file.write_text(text)
    program = [sys.executable, "-c", PROGRAM.format(absent=ABSENT), str(file)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(said)
