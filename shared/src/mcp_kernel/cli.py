"""The command line that every server shares."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NoReturn, cast

from mcp_kernel.server.server import Server

if TYPE_CHECKING:
    from mcp_kernel.server.principal import Gate

_LEVELS: Final = ("debug", "info", "warning", "error")
_TRANSPORTS: Final = ("stdio", "http", "sse")
_HOSTS: Final = ("claude-desktop", "claude-code", "vscode", "cursor", "windsurf", "zed")
_KINDS: Final = {"file": re.compile(r"\b(FILE|PATH)\b"), "directory": re.compile(r"\bDIR\b")}  # by the metavar
_SECRETS: Final = re.compile(r"\b(DSN|KEY|TOKEN|PASSWORD|SECRET)\b")
_ASIDE: Final = re.compile(r"\s*\((?:default|environment): [^()]*\)")  # said of an option elsewhere than in its text


@dataclass(frozen=True, slots=True)
class Option:
    """An argument that only this server has, for those who fill it in: a registry's entry, a form.

    `name` is the option with its dashes, or what a positional argument is called; `text` is a sentence. `kind` is
    text, number, file, directory or switch (which is on or off); `default` is None where leaving the argument out is
    not the same as any value.
    """

    name: str
    text: str
    kind: str
    default: str | None
    choices: tuple[str, ...]
    repeated: bool
    required: bool
    secret: bool


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment that the server reads. `instead_of` is an option that one must give without it."""

    name: str
    text: str
    secret: bool = False
    path: bool = False
    instead_of: str | None = None


class CommandLine(argparse.ArgumentParser):
    """A parser with the options of every server; bad usage is one line that says what to do, and exit code 2.

    A switch is also read as `--read-only=true` and `--read-only=false`, which is how a registry's clients write it.

    Args:
        program: The console script, which is also the distribution's name.
        version: The distribution's version.
        description: What the server does, in a sentence.
        max_output_bytes: The default of the option of that name.
        title: What people call the server; left out, the program's name.
    """

    def __init__(
        self, program: str, version: str, description: str, max_output_bytes: int = 0, title: str | None = None
    ) -> None:
        super().__init__(prog=program, description=description, allow_abbrev=False)
        self.version = version
        self.title = title or program.removeprefix("mcp-server-").capitalize()
        self.variables: list[Variable] = []
        self.add_argument("--version", action="version", version=f"{program} {version}")
        shared = self.add_argument_group("options of every server")
        shared.add_argument(
            "--transport", choices=_TRANSPORTS, default="stdio", help="how clients connect (default: stdio)"
        )
        _add_http(self.add_argument_group("options of --transport http and sse"))
        shared.add_argument(
            "--timeout", type=positive, default=60.0, metavar="S", help="seconds for one call (default: 60)"
        )
        shared.add_argument(
            "--max-output-bytes",
            type=count,
            default=max_output_bytes,
            metavar="N",
            help=f"the most text that one answer holds; 0: no limit (default: {max_output_bytes})",
        )
        shared.add_argument(
            "--log-level", choices=_LEVELS, default="warning", help="of the log on stderr (default: warning)"
        )
        shared.add_argument(
            "--print-config", choices=_HOSTS, metavar="HOST", help=f"print a host's entry: {', '.join(_HOSTS)}"
        )
        shared_use = self.add_argument_group("options for a server that several people use")
        _add_shared_use(shared_use)
        self._shared_use = [action.dest for action in shared_use._group_actions]  # pyright: ignore[reportPrivateUsage]  # it has no public name
        self._shared = len(self._actions)

    def add_variable(
        self, name: str, text: str, *, secret: bool = False, path: bool = False, instead_of: str | None = None
    ) -> None:
        """Declare a variable of the environment that the server reads; see `Variable`."""
        self.variables.append(Variable(name, _sentence(text), secret, path, instead_of))

    def own_options(self) -> list[Option]:
        """The arguments that other servers do not have, in the order of their declaration."""
        needed = {variable.instead_of for variable in self.variables}
        return [_describe(action, needed) for action in self._actions[self._shared :]]

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]  # overloads that differ in the namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse, with the switches that have a value written as the others are.

        Where it is this process's own command line, SIGTERM ends the process well from now on.
        """
        if args is None:
            end_when_told()
        words = sys.argv[1:] if args is None else args
        return super().parse_known_args(self._read_switches(words), namespace or argparse.Namespace())

    def _read_switches(self, words: Sequence[str]) -> list[str]:
        end = words.index("--") if "--" in words else len(words)
        switches = {option for action in self._actions if _is_switch(action) for option in action.option_strings}
        off = {f"{option}=false" for option in switches}
        on = {f"{option}=true": option for option in switches}
        return [*(on.get(word, word) for word in words[:end] if word not in off), *words[end:]]

    def format_help(self) -> str:
        """The help, and below it the variables."""
        lines = [f"  {each.name}\n      {each.text}" for each in self.variables]
        return super().format_help() + ("\nenvironment:\n" + "\n".join(lines) + "\n" if lines else "")

    def error(self, message: str) -> NoReturn:
        """End with one line."""
        self.exit(2, f"{self.prog}: {message}. Try {self.prog} --help.\n")

    def spell_out(self, arguments: argparse.Namespace) -> list[str]:
        """Write parsed arguments as a command line again: what a host must pass to get this very server.

        Values whose `str` is absolute (paths are made so when they are parsed) work from any directory.
        """
        first: list[str] = []  # what has no option: one that takes several values would swallow it
        words: list[str] = []
        for action in self._actions:
            value = getattr(arguments, action.dest, None)
            if action.dest == "print_config" or value is None or value == action.default:
                continue
            texts = [str(each) for each in (cast("list[object]", value) if isinstance(value, list) else [value])]
            if not action.option_strings:
                first += texts
                continue
            option = action.option_strings[-1]
            if value is True:
                words.append(option)
                continue
            for text in texts:
                words += [f"{option}={text}"] if text.startswith("-") else [option, text]
        return [*first, *words]

    def print_config(self, arguments: argparse.Namespace) -> None:
        """Print the entry of the host that `--print-config` names."""
        from mcp_kernel.hosts import command_line, configuration, file_name

        command = command_line(self.prog)
        sys.stderr.write(f"For {file_name(arguments.print_config)}:\n")
        if command[1:] == [self.prog]:  # where it was installed from, an index does not leave a trace
            sys.stderr.write(f"If it came from an index that you named, name it there too: --index URL {self.prog}\n")
        sys.stdout.write(configuration(arguments.print_config, self.prog, self.spell_out(arguments)) + "\n")

    def serve(self, server: Server, arguments: argparse.Namespace, serves: str) -> None:
        """Serve until the client is gone, then end the process.

        `serves` says in a phrase what is served, for a person who starts the program in a terminal.
        """
        log = logging.StreamHandler(sys.stderr)
        log.setFormatter(_FirstLine())
        logging.basicConfig(handlers=[log], level=str(arguments.log_level).upper())
        if arguments.console and arguments.transport != "http":
            self.error("--console is a page over HTTP: add --transport http")
        if arguments.transport == "stdio" and (arguments.tls_cert or arguments.tls_key or arguments.tls_client_ca):
            self.error("--tls-cert, --tls-key and --tls-client-ca are for HTTP: add --transport http")
        if arguments.console and not arguments.path.strip("/"):
            self.error("--console puts its page at /: give the endpoint another --path")
        code = 130 if arguments.transport == "stdio" else 0
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(code))  # while the rest is imported, too
        server.timeout = arguments.timeout
        server.max_output_bytes = arguments.max_output_bytes
        gate = self._prepare(server, arguments)
        if arguments.transport != "stdio":
            from mcp_kernel.serving import serve_http

            problem = serve_http(server, arguments, gate)
            if problem:
                self.error(problem)
            return
        if is_terminal():
            sys.stderr.write(self._greet(server, arguments, serves))
        from mcp_kernel.transports import stdio

        stdio.run(server)

    def _prepare(self, server: Server, arguments: argparse.Namespace) -> Gate | None:
        """Put around a server what the options for several people want there; without any, nothing is imported."""
        if not any(getattr(arguments, name) != self.get_default(name) for name in self._shared_use):
            return None
        from mcp_kernel.deployment import Unfit, prepare
        from mcp_kernel.workers import find_seat

        arguments.seat = find_seat()
        try:
            return prepare(server, arguments)
        except Unfit as error:
            self.error(str(error))

    def _greet(self, server: Server, arguments: argparse.Namespace, serves: str) -> str:
        from mcp_kernel.hosts import configuration, file_name

        host = "claude-desktop"
        return (
            f"{self.prog} {server.info['version']}, serving {serves}.\n"
            "It speaks the Model Context Protocol on stdin and stdout: a host such as Claude Desktop starts it.\n"
            f"To add it there, merge this into {file_name(host)} (other hosts: --print-config HOST):\n\n"
            f"{configuration(host, self.prog, self.spell_out(arguments))}\n\n"
            "Waiting for messages; Ctrl-C ends it.\n"
        )


class _FirstLine(logging.Formatter):
    """Imports what makes the lines of the log, once there is one, and makes way for it."""

    def format(self, record: logging.LogRecord) -> str:
        from mcp_kernel.operations.logs import write_lines

        return write_lines(as_json=False).format(record)


def _is_switch(action: argparse.Action) -> bool:
    return action.nargs == 0 and action.const is True


def _describe(action: argparse.Action, needed: set[str | None]) -> Option:
    """An action of argparse as an option; what its values are, its metavar says."""
    name = action.option_strings[-1] if action.option_strings else action.dest
    shown = " ".join(action.metavar) if isinstance(action.metavar, tuple) else action.metavar or ""
    switch = _is_switch(action)
    kind = "switch" if switch else "number" if action.type in (count, positive) else "text"
    default = action.default
    return Option(
        name=name,
        text=_sentence(action.help or ""),
        kind=next((each for each in _KINDS if kind == "text" and _KINDS[each].search(shown)), kind),
        default="false" if switch else f"{default:g}" if isinstance(default, float) else str(default or "") or None,
        choices=tuple(str(choice) for choice in action.choices or ()),
        repeated=action.nargs in ("*", "+") or type(action).__name__ == "_AppendAction",
        required=name in needed or (action.required and action.nargs not in ("?", "*")),
        secret=bool(_SECRETS.search(shown)),
    )


def _sentence(text: str) -> str:
    """A help text of argparse as a sentence, without what stands in fields of its own."""
    plain = _ASIDE.sub("", text)
    return f"{plain[:1].upper()}{plain[1:]}." if plain else ""


def _add_http(group: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    add = group.add_argument
    add("--host", default="127.0.0.1", metavar="H", help="the address to listen on (default: 127.0.0.1)")
    add("--port", type=count, default=8000, metavar="P", help="the port; 0 takes a free one (default: 8000)")
    add("--path", default="/mcp", metavar="PATH", help="the path of the endpoint (default: /mcp)")
    add("--uds", metavar="PATH", help="listen on a Unix domain socket instead")
    add(
        "--allowed-host",
        action="append",
        default=[],
        metavar="H",
        help="a name under which clients may address the server, besides this machine's own",
    )
    add(
        "--allowed-origin",
        action="append",
        default=[],
        metavar="O",
        help="an origin whose pages may use the server, as https://app.example",
    )
    add("--console", action="store_true", help="serve a page at / to try the server in a browser (--transport http)")
    add("--tls-cert", metavar="FILE", help="serve over TLS, with this certificate and those that lead to its root")
    add("--tls-key", metavar="FILE", help="the certificate's private key")
    add("--tls-client-ca", metavar="FILE", help="serve nobody without a certificate that leads to one of these")
    add("--session-idle", type=positive, default=1800.0, metavar="S", help="seconds until an unused session ends")
    add("--drain", type=positive, default=3.0, metavar="S", help="seconds for calls in flight at the end (default: 3)")


def _add_shared_use(group: argparse._ArgumentGroup) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Declare what `deployment.prepare` reads; left alone, each is its default."""
    add = group.add_argument
    add("--auth", type=os.path.abspath, metavar="FILE", help="who is let in over HTTP: API keys, tokens, roles (TOML)")
    add("--public-url", metavar="URL", help="the URL by which clients know the endpoint; what their tokens must be for")
    add(
        "--trusted-proxy",
        action="append",
        default=[],
        metavar="CIDR",
        help="a network whose X-Forwarded-Proto, X-Forwarded-Host and Client-Cert are believed, as 10.0.0.0/8",
    )
    add("--rate-limit", metavar="N/PERIOD", help="calls of each caller in a second, minute, hour or day, as 60/minute")
    add("--metrics", action="store_true", help="show figures for Prometheus at /metrics, of all workers together")
    add("--metrics-port", type=count, metavar="P", help="show them on a port of their own instead; 0 takes a free one")
    add("--log-format", choices=("text", "json"), default="text", help="of the lines of the log (default: text)")
    add("--trace", action="store_true", help="make OpenTelemetry spans of requests; needs opentelemetry-api")
    add("--workers", type=count, default=1, metavar="N", help="processes that serve the same port (default: 1)")
    store = "what processes that serve the same clients share: memory, which is nothing, or redis://HOST:PORT/DATABASE"
    add("--store", default="memory", metavar="URL", help=f"{store} (default: memory)")
    add(
        "--audit-log",
        type=os.path.abspath,
        metavar="FILE",
        help="write a line about every request, in a chain that shows what was changed",
    )
    add("--idempotency-lifetime", type=positive, metavar="S", help="seconds for which answers by key are kept (a day)")
    add("--audit-required", action="store_true", help="do nothing that the audit log has not on the disk before")


def end_when_told() -> None:
    """Have SIGTERM end this process at once and with 0, until whatever serves has a better answer.

    It would be killed by the signal otherwise, as if it had failed, from its first line to the one with its address.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))


def positive(text: str) -> float:
    """Read a number of seconds."""
    value = float(text) if _is_number(text) else 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def count(text: str) -> int:
    """Read a whole number from 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_terminal() -> bool:
    """Tell whether a person started the program, and not a host."""
    return sys.stdin is not None and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]  # None under pythonw


def run(server: Server) -> None:
    """Serve a server that has no options of its own, with those of every server read from `sys.argv`."""
    name, version = str(server.info["name"]), str(server.info["version"])
    line = CommandLine(name, version, server.instructions or "A Model Context Protocol server.")
    arguments = line.parse_args()
    if arguments.print_config:
        line.print_config(arguments)
    else:
        line.serve(server, arguments, f"{len(server.tools)} tools")
