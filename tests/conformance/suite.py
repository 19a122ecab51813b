"""The official conformance suite: fetched once, run once for each requirement set, its verdicts sorted by scenario."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LOCKED = ("package.json", "package-lock.json")
OLDEST_NODE = 22
DOWNLOAD = 120.0  # seconds
PATIENCE = 300.0  # seconds for one run of the suite, which takes a twentieth of it on an idle machine

Check = dict[str, Any]


class Missing(Exception):
    """The suite cannot be run on this machine; the text says why."""


def fetch(fallback: Path, locked: Path = HERE) -> Path:
    """Return the folder with the suite and all that it needs, as the lock file has it; raises `Missing`.

    `locked` is another folder with a lock file, for other packages.

    It is named after the lock file and kept in the user's cache for the next run; where that cannot be written, in the
    folder given.
    """
    digest = hashlib.sha256(b"".join((locked / name).read_bytes() for name in LOCKED)).hexdigest()[:16]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-conformance"
    cache = home if _is_writable(home) else fallback
    ready = cache / digest
    if not ready.is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _install(Path(folder), locked)
            _move(Path(folder) / "suite", ready)
    return ready


def _is_writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _install(folder: Path, locked: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not on the PATH")
    (folder / "suite").mkdir()
    for name in LOCKED:
        shutil.copy(locked / name, folder / "suite")
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        subprocess.run(command, cwd=folder / "suite", capture_output=True, text=True, timeout=DOWNLOAD, check=True)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm ci did not end in {DOWNLOAD:g} seconds") from None
    except subprocess.CalledProcessError as error:
        raise Missing(f"npm ci failed: {str(error.stderr)[-500:]}") from None


def _move(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        if not target.is_dir():  # another run was quicker, and its folder is as good
            raise


def find_node(folder: Path) -> str:
    """Return a Node that is new enough: the one that the lock file pins, or this machine's; raises `Missing`."""
    pinned = folder.glob("node_modules/node-*/bin/node")
    for candidate in (*map(str, pinned), shutil.which("node")):
        if candidate is not None and _version(candidate) >= OLDEST_NODE:
            return candidate
    raise Missing(f"the suite needs Node {OLDEST_NODE} or later")


def _version(node: str) -> int:
    """The major version of a Node; 0 for one that does not run here."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    version = re.match(r"v(\d+)\.", said)
    return int(version[1]) if version else 0


def run_server(folder: Path, url: str, revision: str, results: Path) -> dict[str, list[Check]]:
    """Try a server: everything that a revision requires, and what it only reports; the checks of each scenario."""
    return _run(folder, ["server", "--url", url], revision, results)


def run_client(folder: Path, command: str, revision: str, results: Path) -> dict[str, list[Check]]:
    """Try a client: `command` is started for each scenario, with the URL of the suite's own server behind it."""
    return _run(folder, ["client", "--command", command], revision, results)


def _run(folder: Path, words: list[str], revision: str, results: Path) -> dict[str, list[Check]]:
    program = folder / "node_modules" / "@modelcontextprotocol" / "conformance" / "dist" / "index.js"
    command = [find_node(folder), str(program), *words, "--requirements", revision, "-o", str(results)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    verdicts: dict[str, list[Check]] = {}
    for file in results.rglob("checks.json"):
        folder_name = file.parent.relative_to(results).as_posix()
        named = re.fullmatch(r"(?:server-)?(.+)-\d{4}-\d\d-\d\dT[\d-]+Z", folder_name)
        assert named is not None, file
        verdicts[named[1]] = json.loads(file.read_text("utf-8"))
    assert verdicts, f"the suite did not run:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return verdicts


def tell(check: Check) -> str:
    """A check that did not succeed, in a line."""
    return f"{check['status']} {check['id']}: {check.get('errorMessage') or check['description']}"
