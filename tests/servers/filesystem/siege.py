"""A siege: a served directory, what lies around it and must neither be seen nor change, and a client that attacks."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.servers.filesystem.conftest import CANARY
from tests.stage import MODERN, Json, judged_client

from mcp_kernel.testing.memory import Refused
from mcp_server_filesystem.sandbox import Directory, Policy, Sandbox
from mcp_server_filesystem.server import build

if TYPE_CHECKING:
    from mcp_kernel.testing.eras import Client

Arguments = Callable[[str], Json]
FRONTS = (("2025-11-25", False), (MODERN, True))
"""Both eras and both ways of opening a path, each of them once."""

in_turn = pytest.mark.parametrize(("revision", "by_walking"), FRONTS, ids=["legacy-openat2", "modern-walk"])
on_every_front = pytest.mark.parametrize(
    ("revision", "by_walking"),
    [*FRONTS, ("2025-11-25", True), (MODERN, False)],
    ids=["legacy-openat2", "modern-walk", "legacy-walk", "modern-openat2"],
)
TEMPLATE = "file://{+path}"

READERS: dict[str, Arguments] = {
    "read_text_file": lambda path: {"path": path},
    "read_text_file by its tail": lambda path: {"path": path, "tail": 5},
    "read_text_file by lines": lambda path: {"path": path, "offset": 1, "limit": 5},
    "read_file": lambda path: {"path": path},
    "read_multiple_files": lambda path: {"paths": [path]},
    "read_media_file": lambda path: {"path": path},
    "get_file_info": lambda path: {"path": path},
    "search_file_contents": lambda path: {"path": path, "query": "canary"},
    "search_file_contents by a regex": lambda path: {"path": path, "query": "c.nary", "regex": True},
}
LISTERS: dict[str, Arguments] = {
    "list_directory": lambda path: {"path": path},
    "list_directory_with_sizes": lambda path: {"path": path},
    "directory_tree": lambda path: {"path": path},
    "search_files": lambda path: {"path": path, "pattern": "**"},
}
WRITERS: dict[str, Arguments] = {
    "write_file": lambda path: {"path": path, "content": "pwned"},
    "write_file that creates": lambda path: {"path": path, "content": "pwned", "mode": "create"},
    "write_file that appends": lambda path: {"path": path, "content": "pwned", "mode": "append"},
    "edit_file": lambda path: {"path": path, "edits": [{"oldText": "canary", "newText": "pwned"}]},
    "create_directory": lambda path: {"path": f"{path}/pwned"},
    "move_file from": lambda path: {"source": path, "destination": "taken"},
    "move_file to": lambda path: {"source": "a.txt", "destination": path},
}
CALLS = READERS | LISTERS | WRITERS


def look(folder: Path) -> dict[str, object]:
    """Everything below a directory: kinds, modes, targets and contents."""
    seen: dict[str, object] = {}
    for place, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            path = Path(place, name)
            status = path.lstat()
            content: object = None
            if stat.S_ISREG(status.st_mode):
                content = path.read_bytes() if status.st_size < 1 << 20 else status.st_size
            elif stat.S_ISLNK(status.st_mode):
                content = path.readlink()
            seen[str(path.relative_to(folder))] = (oct(status.st_mode), content)
    return seen


@dataclass
class Attacker:
    """A client that writes down all that it is told."""

    client: Client
    said: list[str]
    roots: list[str] = field(default_factory=list[str])

    async def call(self, tool: str, /, **arguments: object) -> tuple[bool, str]:
        """Whether a call was served, and the text of its answer; what follows a tool's name is not sent."""
        try:
            result = await self.client.call_tool(tool.partition(" ")[0], arguments)
        except Refused as refused:
            self.said.append(str(refused))
            return False, str(refused)
        self.said.append(json.dumps(result, ensure_ascii=False))
        blocks = cast("list[Json]", result["content"])
        text = "\n".join(str(block.get("text", block)) for block in blocks)
        failed = bool(result.get("isError")) or (tool == "read_multiple_files" and ": Error - " in text)
        return not failed, text

    async def call_at_once(self, *calls: tuple[str, Json]) -> list[bool]:
        """Make calls without waiting between them; tells which were served."""
        tickets = [self.client.request("tools/call", {"name": tool, "arguments": given}) for tool, given in calls]
        answers = [await self.client.wire.answer(ticket) for ticket in tickets]
        self.said += [json.dumps(answer, ensure_ascii=False) for answer in answers]
        return [not cast("Json", answer["result"]).get("isError", False) for answer in answers]

    async def ask(self, method: str, /, **params: object) -> tuple[bool, Any]:
        """Whether a request was served, and its result or error."""
        try:
            result = await self.client.call(method, params)
        except Refused as refused:
            self.said.append(str(refused))
            return False, str(refused)
        self.said.append(json.dumps(result, ensure_ascii=False))
        return True, result

    async def complete(self, prefix: str) -> list[str]:
        """The paths that are offered for the beginning of one."""
        reference = {"type": "ref/resource", "uri": TEMPLATE}
        _, result = await self.ask("completion/complete", ref=reference, argument={"name": "path", "value": prefix})
        return cast("list[str]", result["completion"]["values"])


@dataclass
class Siege:
    """The ground: `served` is served, `outside` and `served-evil` beside it are not."""

    top: Path
    served: Path
    before: dict[str, object] = field(default_factory=dict[str, object])
    said: list[str] = field(default_factory=list[str])

    @asynccontextmanager
    async def attack(
        self, revision: str, *folders: Directory, policy: Policy | None = None, roots: list[str] | None = None
    ) -> AsyncGenerator[Attacker]:
        """Open a client in one of the revisions, perhaps with roots, on a server of `served`, or of these folders."""
        sandbox = Sandbox(folders or [Directory(self.served)], policy or Policy())
        server = build(sandbox)
        given = list(roots or ())

        def answer(method: str, params: Json) -> Json:
            return {"roots": [{"uri": uri} for uri in given]}

        declared: Json | None = None if roots is None else {"roots": {"listChanged": True}}
        try:
            async with judged_client(server, revision, capabilities=declared, answer=answer) as client:
                yield Attacker(client, self.said, given)
        finally:
            await server.close()

    @property
    def outside(self) -> Path:
        """The directory with the canary."""
        return self.top / "outside"

    def settle(self) -> None:
        """From now on nothing may change around what is served."""
        self.before = self._around()

    def check(self) -> None:
        """Nothing got out and nothing got changed."""
        for text in self.said:
            assert CANARY not in text, text
        assert self._around() == self.before

    def _around(self) -> dict[str, object]:
        beside = [each for each in self.top.iterdir() if each != self.served]
        return {str(each): look(each) if each.is_dir() else each.read_bytes() for each in beside}


@contextmanager
def besiege(served: Path) -> Generator[Siege]:
    """Lay the ground around a served directory with `outside` beside it; look at the end whether it is as it was."""
    evil = served.with_name(f"{served.name}-evil")
    evil.mkdir()
    (evil / "secret.txt").write_text(CANARY)
    siege = Siege(served.parent, served)
    siege.settle()
    yield siege
    siege.check()
