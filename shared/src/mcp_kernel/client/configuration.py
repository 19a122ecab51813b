"""Reading which servers a host starts, from the host's own file.

`claude_desktop_config.json`, `.mcp.json` and `~/.claude.json` (Claude Code), Cursor's `mcp.json` and Windsurf's
`mcp_config.json` keep servers under `mcpServers`, VS Code's `mcp.json` under `servers`, with `inputs` beside them, and
Zed's `settings.json` under `context_servers`. All are read alike: as JSON that may have comments and trailing commas,
with the placeholders of all hosts.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias, cast
from urllib.parse import urlsplit

from mcp_kernel.client.placeholders import Ask, InputSpec, InvalidConfiguration, Surroundings
from mcp_kernel.hosts import HOSTS, Machine, project_file

__all__ = [
    "Ask",
    "Configuration",
    "InputSpec",
    "InvalidConfiguration",
    "ServerEntry",
    "find_configurations",
    "load_configuration",
    "read_configuration",
]

Transport: TypeAlias = Literal["stdio", "http", "sse"]
Values: TypeAlias = Mapping[str, object]

TRANSPORTS: Final[Mapping[str, Transport]] = {
    "stdio": "stdio",
    "http": "http",
    "streamable-http": "http",
    "streamableHttp": "http",
    "streamable_http": "http",
    "sse": "sse",
}
# A text, a comment, and a comma before a closing bracket. Possessive, so that a quote without end costs nothing.
TEXT_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*+"?|//[^\n]*+|/\*(?:.*?\*/|.*+)', re.DOTALL)
TEXT_OR_COMMA: Final = re.compile(r'"(?:\\.|[^"\\])*+"?|,(?=\s*+[}\]])', re.DOTALL)
ENV_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][\w.]*)\s*=\s*(.*?)\s*")


@dataclass(frozen=True, slots=True, repr=False)
class ServerEntry:
    """How to reach one server: a command to start, or a URL. Its repr shows no value that may be secret.

    `http` stands for the Streamable HTTP transport, with the older pair of addresses to fall back to; `sse` for that
    pair at once. `secrets` are the values that came from the environment or from a question.
    """

    name: str
    transport: Transport
    command: str | None = None
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    secrets: frozenset[str] = frozenset()

    def redact(self, text: str) -> str:
        """The text with `***` for each secret in it."""
        for secret in sorted(self.secrets - {""}, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def __repr__(self) -> str:
        shown = [repr(self.name), f"transport={self.transport!r}"]
        if self.url is not None:
            shown += [f"url={self.redact(_origin(self.url))!r}", f"headers={sorted(self.headers)}"]
        else:
            # Arguments are counted: people write keys and passwords there.
            shown += [
                f"command={self.redact(self.command or '')!r}",
                f"args={len(self.args)}",
                f"env={sorted(self.env)}",
            ]
        return f"ServerEntry({', '.join(shown)})"


class Configuration:
    """The servers of one file. A server's placeholders are resolved when its entry is asked for, and not before."""

    def __init__(self, path: Path, servers: Values, around: Surroundings) -> None:
        self.path = path
        self._servers = servers
        self._around = around

    @property
    def names(self) -> list[str]:
        """In the order of the file."""
        return list(self._servers)

    def entry(self, name: str) -> ServerEntry:
        """Raises `InvalidConfiguration` for a server that is not there, or cannot be made out."""
        if name not in self._servers:
            known = f"it has {', '.join(self.names)}" if self.names else "it has none"
            raise InvalidConfiguration(f"there is no server {name!r} in {self.path}; {known}")
        secrets: set[str] = set()
        try:
            return _Reader(name, self._around, secrets).read(self._servers[name])
        except InvalidConfiguration as error:
            raise InvalidConfiguration(f"{self.path}: {error}") from None


def read_configuration(
    path: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
    ask: Ask | None = None,
) -> dict[str, ServerEntry]:
    """All servers of a host's file by their names; see `load_configuration`."""
    loaded = load_configuration(path, workspace=workspace, environment=environment, home=home, ask=ask)
    return {name: loaded.entry(name) for name in loaded.names}


def load_configuration(
    path: str | os.PathLike[str],
    *,
    workspace: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
    home: Path | None = None,
    ask: Ask | None = None,
) -> Configuration:
    """Read a host's file. Raises `InvalidConfiguration`, which never tells a value.

    Args:
        path: The file.
        workspace: The folder for `${workspaceFolder}`; by default the one that the file belongs to.
        environment: Where variables come from; by default the process's own.
        home: The user's folder.
        ask: Called for each input that is needed, once; without it an input is an error.
    """
    file = Path(path)
    home = home or Path.home()
    folder = Path(workspace) if workspace is not None else _folder_of(file, home)
    data = _read(file)
    around = Surroundings(os.environ if environment is None else environment, home, folder, _inputs(data, file), ask)
    servers = {**_zed_servers(data, file), **_section(data, "servers", file), **_section(data, "mcpServers", file)}
    # Claude Code keeps what is for one folder alone in the user's file, under that folder.
    projects = _section(data, "projects", file)
    project = projects.get(str(folder)) if folder is not None else None
    if isinstance(project, Mapping):
        servers |= _section(cast("Values", project), "mcpServers", file)
    return Configuration(file, servers, around)


def find_configurations(
    workspace: Path | None = None,
    *,
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
    platform: str = sys.platform,
) -> dict[Path, str]:
    """The files of the known hosts that there are on this machine, each with its host.

    Those of the folder that is worked on come first, then the user's own.
    """
    folder, home = workspace or Path.cwd(), home or Path.home()
    machine = Machine(home, os.environ if environment is None else environment, platform)
    of_folder = {path: host for host in HOSTS if (path := project_file(host, folder)) is not None}
    of_user = {machine.user_file(host): host for host in HOSTS}
    return {path: host for path, host in {**of_folder, **of_user}.items() if path.is_file()}


class _Reader:
    """Reads the entry of one server."""

    def __init__(self, name: str, around: Surroundings, secrets: set[str]) -> None:
        self._name = name
        self._around = around
        self._secrets = secrets

    def read(self, value: object) -> ServerEntry:
        if not isinstance(value, Mapping):
            raise self._wrong("it must be an object")
        given = _spell_as_others(cast("Values", value))
        if self._transport(given) == "stdio":
            return self._command(given)
        url = self._text(given.get("url"), "url")
        headers = self._texts(given, "headers")
        return ServerEntry(
            self._name, self._transport(given), url=url, headers=headers, secrets=frozenset(self._secrets)
        )

    def _command(self, given: Values) -> ServerEntry:
        command = self._text(given.get("command"), "command")
        values = given.get("args", [])
        if not isinstance(values, list):
            raise self._wrong("args must be a list of texts")
        args = [self._text(value, f"args[{n}]") for n, value in enumerate(cast("list[object]", values))]
        env = {**self._env_file(given), **self._texts(given, "env")}
        cwd = self._text(given["cwd"], "cwd") if given.get("cwd") is not None else None
        return ServerEntry(self._name, "stdio", command, tuple(args), env, cwd, secrets=frozenset(self._secrets))

    def _transport(self, given: Values) -> Transport:
        kind = given.get("type", given.get("transport"))
        if kind is None:
            if ("command" in given) == ("url" in given):
                raise self._wrong("it needs a command to start or a url to reach, one of the two")
            return "stdio" if "command" in given else "http"
        if not isinstance(kind, str) or kind not in TRANSPORTS:
            raise self._wrong("its type must be stdio, http or sse")
        needed = "command" if TRANSPORTS[kind] == "stdio" else "url"
        if needed not in given:
            raise self._wrong(f"its type is {kind}, so that it needs a {needed}")
        return TRANSPORTS[kind]

    def _texts(self, given: Values, key: str) -> dict[str, str]:
        values = given.get(key) or dict[str, object]()
        if not isinstance(values, Mapping):
            raise self._wrong(f"{key} must be an object")
        named = cast("Values", values).items()
        return {name: self._text(value, f"{key}.{name}") for name, value in named if value is not None}

    def _text(self, value: object, where: str) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise self._wrong(f"{where} must be a text")
        return self._around.resolve(value, self._name, self._secrets)

    def _env_file(self, given: Values) -> dict[str, str]:
        if given.get("envFile") is None:
            return {}
        path = (self._around.workspace or Path()) / self._text(given["envFile"], "envFile")
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise self._wrong(f"its envFile cannot be read: {_reason(error)}") from None
        found = [match.groups() for line in lines if (match := ENV_LINE.fullmatch(line))]
        variables = {name: _unquote(value) for name, value in found}
        self._secrets.update(variables.values())
        return variables

    def _wrong(self, what: str) -> InvalidConfiguration:
        return InvalidConfiguration(f"server {self._name!r}: {what}")


def _read(file: Path) -> Values:
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfiguration(f"{file} cannot be read: {_reason(error)}") from None
    return parse_text(file, text)


def parse_text(file: Path, text: str) -> Values:
    """Read the text of a host's file: JSON with comments. Raises `InvalidConfiguration`."""
    try:
        data: object = json.loads(_plain(text.removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        raise InvalidConfiguration(f"{file}:{error.lineno}:{error.colno}: this is no JSON: {error.msg}") from None
    except (ValueError, RecursionError):
        raise InvalidConfiguration(f"{file}: this is no JSON that can be read") from None
    if not isinstance(data, dict):
        raise InvalidConfiguration(f"{file}: it must hold an object with mcpServers or servers")
    return cast("Values", data)


def _plain(text: str) -> str:
    """JSON without comments and trailing commas; what is left stays on its line and in its column."""

    def blank(found: re.Match[str]) -> str:
        return found[0] if found[0][0] == '"' else re.sub(r"[^\n]", " ", found[0])

    return TEXT_OR_COMMA.sub(blank, TEXT_OR_COMMENT.sub(blank, text))


def _section(data: Values, key: str, file: Path) -> dict[str, object]:
    section = data.get(key) or dict[str, object]()
    if not isinstance(section, dict):
        raise InvalidConfiguration(f"{file}: {key} must be an object")
    return cast("dict[str, object]", section)


def _zed_servers(data: Values, file: Path) -> dict[str, object]:
    """Those of Zed's that are programs or URLs; what only sets up an extension names neither."""
    section = _section(data, "context_servers", file)
    return {
        name: entry
        for name, entry in section.items()
        if not isinstance(entry, Mapping) or {"command", "url", "type"} & set(cast("Values", entry))
    }


def _spell_as_others(entry: Values) -> Values:
    """Windsurf's `serverUrl` is a URL; older Zed files have the command as an object, with its arguments inside."""
    if "serverUrl" in entry and "url" not in entry:
        entry = {**entry, "url": entry["serverUrl"]}
    command = entry.get("command")
    if isinstance(command, Mapping) and "path" in command:
        inside = cast("Values", command)
        entry = {**entry, **inside, "command": inside["path"]}
    return entry


def _inputs(data: Values, file: Path) -> dict[str, InputSpec]:
    inputs = data.get("inputs") or list[object]()
    if not isinstance(inputs, list):
        raise InvalidConfiguration(f"{file}: inputs must be a list")
    specs = [_input(cast("Values", each)) for each in cast("list[object]", inputs) if isinstance(each, Mapping)]
    return {spec.id: spec for spec in specs}


def _input(given: Values) -> InputSpec:
    default, options = given.get("default"), given.get("options")
    choices = cast("list[object]", options) if isinstance(options, list) else []
    return InputSpec(
        id=str(given.get("id", "")),
        kind=str(given.get("type", "promptString")),
        description=str(given.get("description", "")),
        password=given.get("password") is True,
        default=default if isinstance(default, str) else None,
        options=tuple(_choice(choice) for choice in choices),
    )


def _choice(option: object) -> str:
    """An option is a text, or an object with a label and a value."""
    return str(cast("Values", option).get("value", "")) if isinstance(option, Mapping) else str(option)


def _folder_of(file: Path, home: Path) -> Path | None:
    """The folder that a file is for, by where it lies; the user's own files are for none."""
    parent = file.absolute().parent
    if parent.name in (".vscode", ".cursor", ".zed"):
        parent = parent.parent
    elif file.name != ".mcp.json":
        return None
    return None if parent == home else parent


def _unquote(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _origin(url: str) -> str:
    """What of a URL is no secret: user, path and query may all hold a key."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    except ValueError:
        return "…"


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else "it is not UTF-8"
