"""Who takes part: our kernel, the peers, the floors; each peer in an environment of its own, installed once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parents[1]
PROGRAMS: Final = HERE / "contenders"
KEPT: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mcp-kernel-benchmarks"

OURS: Final = "ours"
MCP: Final = "mcp 2.3"
FASTMCP: Final = "fastmcp 4.1"
TYPESCRIPT: Final = "TypeScript 2.4"
FLOOR: Final = "floor"
ASYNCIO: Final = "floor, asyncio"

_PYPI: Final = {MCP: "mcp==2.3.0", FASTMCP: "fastmcp==4.1.7"}
_NPM: Final = ("@modelcontextprotocol/server@2.4.0", "@modelcontextprotocol/node@2", "zod@4")


@dataclass(frozen=True, slots=True)
class Contender:
    """A server of the three tools: how it is started over stdio and, with a port for `{port}`, over HTTP.

    None where it does not take part.
    """

    name: str
    stdio: Sequence[str] | None
    http: Sequence[str] | None

    def over_http(self, port: int) -> list[str]:
        """The command line that listens on a port."""
        return [word.replace("{port}", str(port)) for word in self.http or ()]


def gather() -> dict[str, Contender]:
    """Install what is not installed yet, and return everybody by name."""
    python = sys.executable
    kernel = [python, str(PROGRAMS / "tiny_kernel.py"), "--timeout", "86400"]  # calls that wait do so to the end
    floors = {name: [python, str(PROGRAMS / f"floor_{name}.py")] for name in ("stdio", "asyncio", "http")}
    found = [
        Contender(FLOOR, floors["stdio"], [*floors["http"], "{port}"]),
        Contender(ASYNCIO, floors["asyncio"], None),
        Contender(OURS, kernel, [*kernel, "--transport", "http", "--port", "{port}", "--log-level", "error"]),
        _python(MCP, "tiny_mcp.py"),
        _python(FASTMCP, "tiny_fastmcp.py"),
        _typescript(),
    ]
    return {each.name: each for each in found}


def _python(name: str, program: str) -> Contender:
    folder = KEPT / _PYPI[name].replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)])
        _run(["uv", "pip", "install", "--quiet", "--python", str(python), _PYPI[name]])
        (folder / "whole").touch()
    words = [str(python), str(PROGRAMS / program)]
    return Contender(name, words, [*words, "{port}"])


def _typescript() -> Contender:
    folder = KEPT / "typescript"
    if not (folder / "whole").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run(["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", *_NPM])
        (folder / "whole").touch()
    # Node looks for packages beside the program, wherever it is started.
    program = folder / "tiny.mjs"
    shutil.copyfile(PROGRAMS / "tiny.mjs", program)
    words = ["node", str(program)]
    return Contender(TYPESCRIPT, words, [*words, "{port}"])


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, timeout=600)
