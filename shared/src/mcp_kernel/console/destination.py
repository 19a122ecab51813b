"""TARGET: a URL, a name in a host's configuration, or a command; and the options of how to get there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
from getpass import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from mcp_kernel.cli import positive
from mcp_kernel.console.terminal import Misuse, scrub, tell
from mcp_kernel.protocol.revisions import LEGACY, MODERN

if TYPE_CHECKING:
    from mcp_kernel.client.configuration import InputSpec, ServerEntry
    from mcp_kernel.client.options import Options

Target: TypeAlias = "str | list[str]"

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # the name of a header (RFC 9110, 5.6.2)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add TARGET, and the options of every command that has one."""
    parser.add_argument("target", metavar="TARGET", help="a URL, a command in one word, or a name in a host's file")
    group = parser.add_argument_group("how to get there")
    group.add_argument("--config", type=Path, metavar="FILE", help="TARGET is a name in this host's file")
    group.add_argument(
        "--header", type=_header, action="append", default=[], metavar="K:V", help="a header, where TARGET is a URL"
    )
    group.add_argument(
        "--env",
        type=_variable,
        action="append",
        default=[],
        metavar="K=V",
        help="a variable, where TARGET is a command; K alone passes on the one that is set",
    )
    revisions = [*LEGACY, *MODERN]
    group.add_argument("--revision", choices=revisions, metavar="R", help=f"speak this one: {', '.join(revisions)}")
    group.add_argument("--timeout", type=positive, default=60.0, metavar="S", help="seconds for one call (default: 60)")
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")


def find_destination(arguments: argparse.Namespace) -> tuple[Target, Options]:
    """What a client is to be pointed at, and how; raises `Misuse`, and `ClientError` for a file that is unusable."""
    from mcp_kernel.client.options import point_at
    from mcp_kernel.client.target import Reach

    word: str = arguments.target
    reach = Reach(env=dict(arguments.env), headers=dict(arguments.header))
    options: Options = {"revision": arguments.revision, "timeout": arguments.timeout, "reach": reach}
    entry = _find_entry(word, arguments.config)
    target: Target
    if entry is not None:
        target, options = point_at(entry, options)
    elif word.startswith(("http://", "https://")):
        target = word
    else:
        target = split_command(word)
    if arguments.header and not isinstance(target, str):
        raise Misuse("--header is for a URL, and this TARGET is a command; --env K=V sets a variable for it")
    if arguments.env and isinstance(target, str):
        raise Misuse("--env is for a command, and this TARGET is a URL; --header K:V sends a header to it")
    return target, options


def _find_entry(word: str, file: Path | None) -> ServerEntry | None:
    from mcp_kernel.client.configuration import InvalidConfiguration, find_configurations, load_configuration

    if file is not None:
        return load_configuration(file, ask=ask_input).entry(word)
    if re.search(r"[\s/\\]", word):
        return None
    for path, host in find_configurations().items():
        try:
            found = load_configuration(path, ask=ask_input)
        except InvalidConfiguration as error:
            tell(f"left out: {error}")
            continue
        if word in found.names:
            tell(f"{word} of {path} ({host})")
            return found.entry(word)
    return None


def split_command(word: str) -> list[str]:
    """The words of a command that was given as one; raises `Misuse`."""
    try:
        words = shlex.split(word, posix=os.name != "nt")
    except ValueError as error:
        raise Misuse(f"the TARGET {word!r} is no command: {error}") from None
    if not words:
        raise Misuse("the TARGET is empty; give a URL, a command or a name in a host's file")
    return words


def ask_input(spec: InputSpec) -> str:
    """Ask on the terminal for what a host's file wants from its user."""
    from mcp_kernel.client.placeholders import InvalidConfiguration

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidConfiguration(f"the input {spec.id!r} must be typed in: run this in a terminal")
    choices = f" ({', '.join(spec.options)})" if spec.options else ""
    default = f" [{spec.default}]" if spec.default else ""
    prompt = scrub(f"{spec.description or spec.id}{choices}{default}: ")
    if spec.password:
        return getpass(prompt) or (spec.default or "")
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line:
        raise InvalidConfiguration(f"the input {spec.id!r} was not given")
    return line.rstrip("\n") or (spec.default or "")


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name.strip()):
        raise argparse.ArgumentTypeError("a header is written NAME:VALUE")  # its value may be a secret
    return name.strip(), value.strip()


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name:
        raise argparse.ArgumentTypeError("a variable is written NAME=VALUE")
    if not equals and name not in os.environ:
        raise argparse.ArgumentTypeError(f"the variable {name} is not set here; write {name}=VALUE")
    return name, value if equals else os.environ[name]
