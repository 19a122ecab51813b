"""`mcp-kernel install` and `uninstall`: put a server into a host's configuration, and take it out."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from mcp_kernel.cli import is_terminal
from mcp_kernel.console.amendment import Amendment, read
from mcp_kernel.console.destination import split_command
from mcp_kernel.console.jsonc import NoObject, put, take
from mcp_kernel.console.terminal import Misuse, show, tell
from mcp_kernel.hosts import HOSTS, Entry, HostFormat, find_uvx, project_file, this_machine

if TYPE_CHECKING:
    from mcp_kernel.client.configuration import Values

Work = Coroutine[object, object, int]

_PATIENCE: Final = 300.0  # seconds; uvx may have to build a package first


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `install` and `uninstall`."""
    text = "put a server into a host's configuration; the change is shown first, and what was there is kept"
    parser = commands.add_parser("install", help=text, description=text, allow_abbrev=False)
    parser.add_argument(
        "server", metavar="SERVER", help="its command in one word, as 'mcp-server-sqlite --db-path x.db'"
    )
    _add_options(parser)
    parser.add_argument("--name", metavar="NAME", help="what the host calls it (default: as the server says)")
    parser.set_defaults(run=install)
    text = "take a server out of a host's configuration"
    parser = commands.add_parser("uninstall", help=text, description=text, allow_abbrev=False)
    parser.add_argument("server", metavar="SERVER", help="its name in the host's file")
    _add_options(parser)
    parser.set_defaults(run=uninstall)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", choices=HOSTS, required=True, metavar="HOST", help=", ".join(HOSTS))
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--project", nargs="?", type=Path, const=Path(), metavar="DIR", help="for one folder (default: the user's own)"
    )
    where.add_argument("--file", type=Path, metavar="FILE", help="this file, in the host's format")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def install(arguments: argparse.Namespace) -> Work:
    """Follow the command line."""
    host = HOSTS[arguments.host]
    words = _complete(split_command(arguments.server))
    name, entry = _ask_server(words, arguments.host)
    name = arguments.name or name

    def amend(text: str, servers: Values) -> str:
        there = servers.get(name)
        if there is None:
            return put(text, (host.section, name), entry)
        if not isinstance(there, Mapping) or "command" not in there:
            raise Misuse(f"{name} is there already, and is no command; take another name: --name {name}2")
        for key, value in entry.items():  # the rest of it is the user's: variables, what is allowed, what is off
            if cast("Values", there).get(key) != value:
                text = put(text, (host.section, name, key), value)
        return text

    return _change(arguments, f"{name} is in {{path}} already, as it should be", amend)


def uninstall(arguments: argparse.Namespace) -> Work:
    """Follow the command line."""
    host = HOSTS[arguments.host]

    def amend(text: str, servers: Values) -> str:
        bare = arguments.server.removeprefix("mcp-server-")
        name = arguments.server if arguments.server in servers else bare
        if name not in servers:
            known = f"it has {', '.join(servers)}" if servers else "it has none"
            raise Misuse(f"{host.title} has no server {name}; {known}")
        return take(text, (host.section, name))

    return _change(arguments, "", amend)


async def _change(arguments: argparse.Namespace, done: str, amend: Callable[[str, Values], str]) -> int:
    """Read, change, show, ask and write; the exit code is 1 where nothing was written that should have been."""
    host, path = HOSTS[arguments.host], _file_of(arguments)
    before = read(path)
    try:
        after = amend(before or "", _servers(path, before, host))
    except NoObject as error:
        raise Misuse(f"{path}: {error}") from None
    amendment = Amendment(path, before, after)
    if after == (before or ""):
        tell(done.format(path=path))
        return 0
    _check(amendment, host)
    show(amendment.difference())
    if not arguments.yes and not _consents():
        tell("nothing was written")
        return 1
    amendment.write()
    tell(f"wrote {path}" + (f"; what was there is in {amendment.backup.name}" if before is not None else ""))
    return 0


def _consents() -> bool:
    if not (is_terminal() and sys.stderr.isatty()):
        tell("to write this without being asked: --yes")
        return False
    sys.stderr.write("Write this? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _file_of(arguments: argparse.Namespace) -> Path:
    if arguments.file is not None:
        return arguments.file.absolute()
    if arguments.project is None:
        return this_machine().user_file(arguments.host)
    path = project_file(arguments.host, arguments.project.absolute())
    if path is None:
        raise Misuse(f"{HOSTS[arguments.host].title} has one file for all folders; leave out --project")
    return path


def _servers(path: Path, text: str | None, host: HostFormat) -> Values:
    """The servers that a file has; raises `InvalidConfiguration` for one that cannot be read."""
    servers = _parse(path, text).get(host.section, {})
    if not isinstance(servers, Mapping):
        raise Misuse(f"{path}: {host.section} is not an object, and is left alone")
    return cast("Values", servers)


def _check(amendment: Amendment, host: HostFormat) -> None:
    """Make sure, by reading both, that nothing but one server differs; raises `Misuse`, and nothing is written."""
    path = amendment.path
    old, new = _servers(path, amendment.before, host), _servers(path, amendment.after, host)
    changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
    rest = [_parse(path, text, but=host.section) for text in (amendment.before, amendment.after)]
    if len(changed) > 1 or rest[0] != rest[1]:
        raise Misuse(f"{path} is written in a way that cannot be changed without loss, and is left alone")


def _parse(path: Path, text: str | None, *, but: str | None = None) -> dict[str, object]:
    """What a file says, without one of its keys; one that is empty, or is not there, says nothing."""
    from mcp_kernel.client.configuration import parse_text

    if not text or not text.strip("\ufeff \t\r\n"):
        return {}
    return {key: value for key, value in parse_text(path, text).items() if key != but}


def _complete(words: list[str]) -> list[str]:
    """The command as it can be run: a bare name is looked for among the programs, with `mcp-server-` before it too."""
    program, *rest = words
    here = Path(sys.executable).parent
    for name in (f"mcp-server-{program}", program):  # `git` alone is another program
        found = shutil.which(name) or shutil.which(name, path=str(here))
        if found:
            return [found, *rest]
    raise Misuse(
        f"{program} is not installed here; say how it is started, as 'uvx --from DIR mcp-server-{program} …'. "
        "A name alone is not looked up in an index, where it may be somebody else's"
    )


def _ask_server(words: Sequence[str], host: str) -> tuple[str, Entry]:
    """Let the server itself print its entry: it knows how it was installed, and makes its paths absolute."""
    try:
        done = subprocess.run(  # noqa: S603  # the command is what the user typed
            [*words, "--print-config", host],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Misuse(f"{shlex.join(words)} did not print its entry within {_PATIENCE:g} seconds") from None
    except OSError as error:
        raise Misuse(f"{words[0]} cannot be started: {error.strerror}") from None
    try:
        section = cast("dict[str, Entry]", json.loads(done.stdout)[HOSTS[host].section])
        ((name, entry),) = section.items()
        entry |= _keep_index(words, entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        why = f": {done.stderr}" if done.stderr.strip() else ""
        raise Misuse(f"{shlex.join(words)} --print-config {host} printed no entry{why}") from None
    for line in done.stderr.splitlines():
        if line.startswith("mcp-server-"):  # a warning of the server's: of a password that it did not print, say
            tell(line)
    return name, entry


def _keep_index(words: Sequence[str], entry: Entry) -> Entry:
    """Where uvx took the server from an index that was named, the server does not know: the options are kept."""
    command = [str(entry["command"]), *map(str, cast("list[object]", entry["args"]))]
    if Path(words[0]).stem != "uvx" or Path(command[0]).stem != "uvx" or command[1] not in words[1:]:
        return {}
    program = words.index(command[1], 1)
    return {"command": find_uvx(), "args": [*words[1:program], *command[1:]]}
