"""All tests of this server once more, as under a kernel without openat2: every path is walked, name after name."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.servers.filesystem.old_kernel import RENAMEAT2

HERE = Path(__file__).parent
OLD = [sys.executable, str(HERE / "old_kernel.py")]
PROBE = """
from mcp_server_filesystem.system import open_beneath, rename_exclusively
try:
    open_beneath(0, ".", 0)
except OSError as error:
    print(error.errno, rename_exclusively((0, "a"), (0, "b")))
"""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux" or platform.machine() not in RENAMEAT2, reason="needs seccomp"),
]


def test_every_test_passes_under_a_kernel_without_openat2() -> None:
    probed = subprocess.run([*OLD, sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=True)
    assert probed.stdout == "38 False\n"  # ENOSYS
    words = [*OLD, sys.executable, "-m", "pytest", "-q", "-m", "slow or not slow", "-p", "no:cacheprovider"]
    words += [str(HERE), f"--ignore={__file__}", f"--ignore={HERE / 'test_odd_disks.py'}"]  # no kernel matters to these
    run = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    assert run.returncode == 0, run.stdout[-8_000:]
    passed = re.search(r"(\d+) passed", run.stdout)
    assert passed is not None, run.stdout[-2_000:]
    assert int(passed[1]) > 600
