"""Peers are installed once, each in a folder of its own; one that cannot be had says why, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

KEPT: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-kernel-benchmarks"
PATIENCE: Final = 600  # seconds for one step


class NotHere(Exception):
    """A peer cannot be installed or started on this machine; says why in a few words."""


def install_python(name: str, *steps: Sequence[str], version: str = "") -> Path:
    """Make an environment with these arguments of `uv pip install`, one call each; returns the folder of its scripts.

    Its Python is this one, or of the `version` that is asked for, as `3.13`. Raises `NotHere`.
    """
    folder = KEPT / name
    if not _is_whole(folder, steps):
        python = _find_python(version) if version else sys.executable
        _run(["uv", "venv", "--quiet", "--python", python, str(folder)])
        for step in steps:
            _run(["uv", "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *step])
        _seal(folder, steps)
    return folder / "bin"


def install_npm(name: str, *packages: str) -> Path:
    """Install packages of the npm registry; returns the folder that has `node_modules`. Raises `NotHere`."""
    folder = KEPT / name
    if shutil.which("node") is None:
        raise NotHere("node is not installed")
    if not _is_whole(folder, [packages]):
        _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *packages])
        _seal(folder, [packages])
    return folder


def _is_whole(folder: Path, steps: Sequence[Sequence[str]]) -> bool:
    """Whether all of these were installed before; what is there of others is thrown away."""
    mark = folder / "whole"
    if mark.exists() and mark.read_text() == repr(steps):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _seal(folder: Path, steps: Sequence[Sequence[str]]) -> None:
    (folder / "whole").write_text(repr(steps))


def _find_python(version: str) -> str:
    """A Python of this version that runs, or the version, which uv then looks for or fetches.

    pyenv puts programs on the PATH for versions that it would not start.
    """
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in filter(None, [shutil.which(f"python{version}"), *map(str, kept)]):
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            return path
    return version


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except FileNotFoundError:
        raise NotHere(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise NotHere(f"{command[0]} took more than {PATIENCE} s") from None
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()] or ["nothing"]
        raise NotHere(f"{command[0]} said: {said[0].strip()}")
