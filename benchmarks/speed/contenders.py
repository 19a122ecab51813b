"""Who takes part: our kernel, the peers, the floors; each peer in an environment of its own, installed once."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .installing import NotHere, install_npm, install_python

HERE: Final = Path(__file__).resolve().parents[1]
PROGRAMS: Final = HERE / "contenders"

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


def gather(wanted: Collection[str]) -> tuple[dict[str, Contender], dict[str, str]]:
    """The floors, ours and the wanted peers by name, and for each peer that cannot be had here the reason.

    What is not installed yet is installed.
    """
    python = sys.executable
    kernel = [python, str(PROGRAMS / "tiny_kernel.py"), "--timeout", "86400"]  # calls that wait do so to the end
    floors = {name: [python, str(PROGRAMS / f"floor_{name}.py")] for name in ("stdio", "asyncio", "http")}
    found = [
        Contender(FLOOR, floors["stdio"], [*floors["http"], "{port}"]),
        Contender(ASYNCIO, floors["asyncio"], None),
        Contender(OURS, kernel, [*kernel, "--transport", "http", "--port", "{port}", "--log-level", "error"]),
    ]
    absent: dict[str, str] = {}
    peers: dict[str, Callable[[], Contender]] = {
        MCP: lambda: _python(MCP, "tiny_mcp.py"),
        FASTMCP: lambda: _python(FASTMCP, "tiny_fastmcp.py"),
        TYPESCRIPT: _typescript,
    }
    for name in wanted:
        try:
            found.append(peers[name]())
        except NotHere as error:
            absent[name] = str(error)
    return {each.name: each for each in found}, absent


def _python(name: str, program: str) -> Contender:
    scripts = install_python(_PYPI[name].replace("==", "-"), [_PYPI[name]])
    words = [str(scripts / "python"), str(PROGRAMS / program)]
    return Contender(name, words, [*words, "{port}"])


def _typescript() -> Contender:
    folder = install_npm("typescript", *_NPM)
    # Node looks for packages beside the program, wherever it is started.
    program = folder / "tiny.mjs"
    shutil.copyfile(PROGRAMS / "tiny.mjs", program)
    words = ["node", str(program)]
    return Contender(TYPESCRIPT, words, [*words, "{port}"])
