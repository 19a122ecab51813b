"""How a host is told to start a server: the entry for its configuration file."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import url2pathname

Entry = dict[str, object]


def _in_mcp_servers(key: str, entry: Entry) -> Entry:
    return {"mcpServers": {key: entry}}


def _in_servers(key: str, entry: Entry) -> Entry:
    return {"servers": {key: {"type": "stdio", **entry}}}


def _typed(key: str, entry: Entry) -> Entry:
    return {"mcpServers": {key: {"type": "stdio", **entry}}}


HOSTS: Final[dict[str, tuple[str, Callable[[str, Entry], Entry]]]] = {
    "claude-desktop": ("claude_desktop_config.json", _in_mcp_servers),
    "claude-code": (".mcp.json", _typed),
    "vscode": (".vscode/mcp.json", _in_servers),
    "cursor": (".cursor/mcp.json", _in_mcp_servers),
}


def file_name(host: str) -> str:
    """The file in which a host keeps its servers."""
    return HOSTS[host][0]


def configuration(host: str, program: str, arguments: Sequence[str]) -> str:
    """Write the entry that makes a host start `program` with these arguments, as JSON."""
    command, *rest = command_line(program)
    entry: Entry = {"command": command, "args": [*rest, *arguments]}
    key = program.removeprefix("mcp-server-")
    return json.dumps(HOSTS[host][1](key, entry), indent=2)


def command_line(program: str) -> list[str]:
    """Return the command that starts a program the way this one was installed.

    From an index that is `uvx PROGRAM`; from a folder, which no index knows, `uvx --from FOLDER PROGRAM`; from a
    checkout in editable mode, the script itself.
    """
    try:
        text = metadata.distribution(program).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return _this_program()
    if text is None:
        return ["uvx", program]
    origin = json.loads(text)
    if origin.get("dir_info", {}).get("editable"):
        return _this_program()
    source = urlsplit(str(origin["url"]))
    folder = url2pathname(source.path) if source.scheme == "file" else str(origin["url"])
    return ["uvx", "--from", folder, program]


def _this_program() -> list[str]:
    """The command that runs the script, or with `-m` the package, that runs now."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "__main__.py":
        return [sys.executable, "-m", script.parent.name]
    return [sys.executable, str(script)] if script.suffix == ".py" else [str(script)]
