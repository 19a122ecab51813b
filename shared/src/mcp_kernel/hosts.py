"""The hosts that are known: which file each keeps its servers in, and what an entry of that file looks like.

Sources: each host's documentation. Claude Desktop and Windsurf have a file of the user's alone; Claude Code, Cursor,
VS Code and Zed one for each folder too.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit
from urllib.request import url2pathname

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class HostFormat:
    """A host: its name, the key under which its file has the servers, and what stands in each entry beside the command.

    `user` is the path of the user's own file below a place that depends on the platform, `project` that of a folder's.
    """

    title: str
    section: str
    place: Literal["home", "settings", "config", "claude"]
    user: str
    project: str | None
    marks: Mapping[str, str]


_STDIO: Final = {"type": "stdio"}

HOSTS: Final[dict[str, HostFormat]] = {
    "claude-desktop": HostFormat(
        "Claude Desktop", "mcpServers", "settings", "Claude/claude_desktop_config.json", None, {}
    ),
    "claude-code": HostFormat("Claude Code", "mcpServers", "claude", ".claude.json", ".mcp.json", _STDIO),
    "vscode": HostFormat("VS Code", "servers", "settings", "Code/User/mcp.json", ".vscode/mcp.json", _STDIO),
    "cursor": HostFormat("Cursor", "mcpServers", "home", ".cursor/mcp.json", ".cursor/mcp.json", {}),
    "windsurf": HostFormat("Windsurf", "mcpServers", "home", ".codeium/windsurf/mcp_config.json", None, {}),
    "zed": HostFormat(
        "Zed", "context_servers", "config", "zed/settings.json", ".zed/settings.json", {"source": "custom"}
    ),
}


@dataclass(frozen=True, slots=True)
class Machine:
    """Whose files are meant: the user's folder, the environment, and the platform as `sys.platform` has it."""

    home: Path
    environment: Mapping[str, str]
    platform: str = sys.platform

    def user_file(self, host: str) -> Path:
        """The file of the user's own servers."""
        kept = HOSTS[host]
        return self._place(kept.place) / kept.user

    def _place(self, place: str) -> Path:
        roaming = Path(self.environment.get("APPDATA") or self.home / "AppData" / "Roaming")
        config = Path(self.environment.get("XDG_CONFIG_HOME") or self.home / ".config")
        if place == "home":
            return self.home
        if place == "claude":
            return Path(self.environment.get("CLAUDE_CONFIG_DIR") or self.home)
        if self.platform == "win32":
            return roaming
        if self.platform == "darwin":  # where Zed keeps to `.config`, and does not ask the environment
            return self.home / "Library" / "Application Support" if place == "settings" else self.home / ".config"
        return config


def this_machine() -> Machine:
    """The one that this process runs on."""
    return Machine(Path.home(), os.environ)


def project_file(host: str, folder: Path) -> Path | None:
    """The file of the servers that are for one folder; None for a host that has no such file."""
    name = HOSTS[host].project
    return folder / name if name else None


def file_name(host: str) -> str:
    """What a person is told to look for: the file of the folder where there is one, and else the user's own."""
    return HOSTS[host].project or Path(HOSTS[host].user).name


def configuration(host: str, program: str, arguments: Sequence[str]) -> str:
    """Write the entry that makes a host start `program` with these arguments, as JSON."""
    command, *rest = command_line(program)
    kept = HOSTS[host]
    entry: Entry = {**kept.marks, "command": command, "args": [*rest, *arguments]}
    return json.dumps({kept.section: {program.removeprefix("mcp-server-"): entry}}, indent=2)


def command_line(program: str) -> list[str]:
    """Return the command that starts a program the way this one was installed.

    From an index that is `uvx PROGRAM`; from a folder or a wheel, which no index knows, `uvx --from PATH PROGRAM`; from
    a checkout in editable mode, the script itself. `uvx` is spelled with its whole path, since a host that was not
    started in a terminal has no PATH to speak of.
    """
    try:
        text = metadata.distribution(program).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return _this_program()
    if text is None:
        return [find_uvx(), program]
    origin = json.loads(text)
    if origin.get("dir_info", {}).get("editable"):
        return _this_program()
    source = urlsplit(str(origin["url"]))
    if source.scheme != "file":
        return [find_uvx(), "--from", str(origin["url"]), program]
    path = Path(url2pathname(source.path))
    # A wheel's dependencies lie beside it where an index does not have them.
    beside = ["--find-links", str(path.parent)] if path.suffix == ".whl" else []
    return [find_uvx(), *beside, "--from", str(path), program]


def find_uvx(environment: Mapping[str, str] | None = None) -> str:
    """The whole path of `uvx`; the bare name where it cannot be found.

    uv tells the processes that it starts where it is itself (`UV`), and `uvx` lies beside it.
    """
    environment = os.environ if environment is None else environment
    uv = environment.get("UV")
    beside = shutil.which("uvx", path=str(Path(uv).parent)) if uv else None
    found = beside or shutil.which("uvx", path=environment.get("PATH"))
    return str(Path(found).absolute()) if found else "uvx"


def _this_program() -> list[str]:
    """The command that runs the script, or with `-m` the package, that runs now."""
    script = Path(sys.argv[0]).absolute()
    if script.name == "__main__.py":
        return [sys.executable, "-m", script.parent.name]
    return [sys.executable, str(script)] if script.suffix == ".py" else [str(script)]
