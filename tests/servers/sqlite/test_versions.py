"""The same tests on a current SQLite: what holds on the system's old one has to hold on the next.

The wheel of pysqlite3 carries a current SQLite and exports its functions. Preloaded, they take the place of the system
library beneath the standard sqlite3 module, which keeps `setlimit` (pysqlite3's own module has none).
"""

import importlib.util
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_server_sqlite.fences import FIXED

HERE = Path(__file__).parent
VERSION = "import sqlite3; print(sqlite3.sqlite_version)"
MARK = "MCP_TEST_OTHER_SQLITE"


def find_library() -> str | None:
    found = importlib.util.find_spec("pysqlite3")
    folders = found.submodule_search_locations if found else None
    return next((str(file) for folder in folders or [] for file in Path(folder).glob("_sqlite3*.so")), None)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LD_PRELOAD": find_library() or "", MARK: "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.skipif(MARK in os.environ, reason="this is the run on the other SQLite")
def test_the_fences_hold_on_a_current_sqlite() -> None:
    if sqlite3.sqlite_version_info >= FIXED:
        pytest.skip("this Python's own SQLite is current: the other tests ran on it")
    if find_library() is None or tuple(map(int, run("-c", VERSION).stdout.split(".") or [0])) < FIXED:
        pytest.skip("no current SQLite can be preloaded here (Linux, and a Python that links the system's)")
    # The domain's tests: those of the process start shells and other Pythons, which the library does not fit.
    others = [f"--ignore={HERE / name}" for name in ("test_command_line.py", "test_server.py", "test_documents.py")]
    done = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE), *others)
    assert done.returncode == 0, done.stdout[-4000:]
