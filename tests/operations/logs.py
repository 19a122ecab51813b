"""Audit logs for tests: written by the real writer, looked at with the real command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp_kernel.console.program import main
from mcp_kernel.operations.audit_file import AuditFile

if TYPE_CHECKING:
    from pathlib import Path

NOON = 1_800_000_000.0


def write_log(path: Path, count: int, *, rotate_bytes: int = 1 << 20, who: str = "ann", batch: int = 1) -> None:
    """Write so many lines."""
    file = AuditFile(path, NOON, rotate_bytes)
    for number in range(0, count, batch):
        file.append([{"event": "call", "principal": who, "number": number + each} for each in range(batch)])
    file.close()


def verify(*words: object) -> int:
    """Run `mcp-kernel audit verify`; returns its exit code."""
    return main(["audit", "verify", *map(str, words)])


def read_records(*paths: Path) -> list[dict[str, Any]]:
    """The lines of files."""
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
