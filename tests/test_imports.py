"""What a server loads before it answers: modules are most of its start-up time and of its memory."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from typing import Any, Final

import pytest
from tests.oracle import Witness

FEW_ENOUGH: Final = 220
"""Modules loaded once a server has answered `tools/list`. The peer SDK (`mcp` 2.3) loads four times as many."""

HEAVY: Final = frozenset(
    (
        "aiosqlite",
        "anyio",
        "asyncpg",
        "chromadb",
        "email",
        "git",
        "h11",
        "html",
        "http",
        "httpcore",
        "httpx",
        "jinja2",
        "jsonschema",
        "mcp",
        "mcp_types",
        "multiprocessing",
        "opentelemetry",
        "pip",
        "pkg_resources",
        "pydantic_settings",
        "pydoc",
        "redis",
        "requests",
        "rich",
        "setuptools",
        "sqlite3",
        "starlette",
        "tkinter",
        "unittest",
        "urllib.request",
        "urllib3",
        "uvicorn",
        "uvloop",
        "watchfiles",
        "xml",
    )
)

PROGRAM: Final = """
import sys
from mcp_kernel import Server, run

server = Server("modules", version="1.0.0")

@server.tool(read_only=True)
async def modules() -> list[str]:
    "Names what is loaded."
    return sorted(sys.modules)

run(server)
"""


def loaded_by(statement: str) -> set[str]:
    """The modules of a fresh interpreter after this statement."""
    program = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stdout.split())


@cache
def loaded_by_a_server() -> frozenset[str]:
    """The modules of a server on stdio that was initialized, listed its tools, and then ran one that looks."""
    client = {"name": "c", "version": "1"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "modules"}},
    ]
    witness = Witness()
    answers: dict[object, Any] = {}
    with subprocess.Popen(
        [sys.executable, "-I", "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for message in messages:
            witness.see("client", message)
            process.stdin.write(json.dumps(message).encode() + b"\n")
            if "id" in message:
                line = process.stdout.readline()
                answers[message["id"]] = witness.see("server", line)
        process.stdin.close()
        assert process.wait(10) == 0
    return frozenset(answers[3]["result"]["structuredContent"]["result"])


def heavy(modules: frozenset[str] | set[str]) -> set[str]:
    return {name for name in modules if name in HEAVY or name.partition(".")[0] in HEAVY}


@pytest.mark.parametrize("module", ["mcp_kernel", "mcp_kernel.transports.stdio", "mcp_kernel.protocol.uri_template"])
def test_importing_the_kernel_loads_nothing_heavy(module: str) -> None:
    assert heavy(loaded_by(f"import {module}")) == set()


def test_a_server_that_answered_has_loaded_nothing_heavy() -> None:
    assert heavy(loaded_by_a_server()) == set()


def test_a_server_that_answered_has_loaded_few_modules() -> None:
    assert len(loaded_by_a_server()) <= FEW_ENOUGH


def test_a_heavy_import_is_seen() -> None:
    assert heavy(loaded_by("import email.message, xml.dom, unittest")) >= {"email.message", "xml.dom", "unittest"}
