"""`mcp-kernel doctor`: launch every server of a host's configuration, and say what is wrong with it."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_kernel.cli import positive
from mcp_kernel.console.checkup import Checkup, check_server, find_clashes
from mcp_kernel.console.destination import ask_input
from mcp_kernel.console.terminal import Misuse, draw_table, fold, line_width, show, show_json, wrap

if TYPE_CHECKING:
    from mcp_kernel.client.configuration import ServerEntry

_AT_ONCE: Final = 4  # servers; many start slowly, and all of them fight for the same processors


@dataclass(slots=True)
class Report:
    """One host's file, and its servers; `failure` says why it cannot be read.

    `entries` are those that can be launched, and the checkups of those that cannot.
    """

    path: Path
    host: str | None
    failure: str | None = None
    entries: list[ServerEntry | Checkup] = field(default_factory=list["ServerEntry | Checkup"])
    servers: list[Checkup] = field(default_factory=list[Checkup])

    @property
    def problems(self) -> int:
        """How many servers have some, the file itself counted as one."""
        return (self.failure is not None) + sum(1 for each in self.servers if each.problems)


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `doctor`."""
    text = "launch every server of a host's configuration, and say what is wrong; the exit code is 1 where anything is"
    parser = commands.add_parser("doctor", help=text, description=text, allow_abbrev=False)
    parser.add_argument("config", nargs="?", type=Path, metavar="CONFIG", help="a host's file; default: all found here")
    parser.add_argument(
        "--timeout", type=positive, default=30.0, metavar="S", help="seconds for a server (default: 30)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""
    from mcp_kernel.client.configuration import find_configurations

    files: dict[Path, str | None] = {arguments.config: None} if arguments.config else {**find_configurations()}
    if not files:
        raise Misuse("no configuration of a host that is known was found here; name its file: mcp-kernel doctor FILE")

    reports = [read_file(path, host) for path, host in files.items()]  # which may ask, so that nothing waits yet

    async def work() -> int:
        await examine(reports, arguments.timeout)
        if arguments.json:
            show_json([_to_json(report) for report in reports])
        else:
            show("\n\n".join(describe(report, line_width()) for report in reports))
        return 1 if any(report.problems for report in reports) else 0

    return work()


def read_file(path: Path, host: str | None) -> Report:
    """Make out which servers a file has."""
    from mcp_kernel.client.configuration import InvalidConfiguration, load_configuration

    report = Report(path, host)
    try:
        file = load_configuration(path, ask=ask_input)
    except InvalidConfiguration as error:
        report.failure = str(error)
        return report
    for name in file.names:
        try:
            report.entries.append(file.entry(name))
        except InvalidConfiguration as error:
            report.entries.append(Checkup(name, failure=str(error)))
    return report


async def examine(reports: Sequence[Report], limit: float) -> None:
    """Examine all servers of all files, a few at once."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def check(entry: ServerEntry | Checkup) -> Checkup:
        if isinstance(entry, Checkup):
            return entry
        async with slots:
            return await check_server(entry, limit)

    async with asyncio.TaskGroup() as group:
        running = [(report, [group.create_task(check(entry)) for entry in report.entries]) for report in reports]
    for report, tasks in running:
        report.servers = [task.result() for task in tasks]
        find_clashes(report.servers)


def describe(report: Report, width: int) -> str:
    """The report, for a person: a table, and below it what is wrong."""
    title = f"{report.path} ({report.host})" if report.host else str(report.path)
    if report.failure is not None:
        return f"{title}\n\n{report.failure}"
    if not report.servers:
        return f"{title}\n\nIt has no servers."
    parts = [title, draw_table(("SERVER", "STATE", "FIRST ANSWER", "REVISION", "TOOLS"), _rows(report.servers), width)]
    for heading, lines in (
        ("Problems", [f"{each.server} {problem}" for each in report.servers for problem in each.problems]),
        ("Remarks", [f"{each.server} {remark}" for each in report.servers for remark in each.remarks]),
    ):
        if lines:
            parts.append("\n".join([heading, *(_bullet(fold(line), width) for line in lines)]))
    parts.append(_conclude(report))
    return "\n\n".join(parts)


def _rows(checkups: Sequence[Checkup]) -> list[tuple[str, ...]]:
    return [
        (
            each.server,
            "does not work" if each.failure is not None else "problems" if each.problems else "fine",
            f"{each.seconds:.2f} s" if each.seconds is not None else "none",
            f"{each.revision} ({each.era})" if each.revision else "",
            f"{len(each.tools)}, about {each.tokens:,} tokens" if each.revision else "",
        )
        for each in checkups
    ]


def _bullet(line: str, width: int) -> str:
    return "\n".join(f"{'  ' if n else '- '}{part}" for n, part in enumerate(wrap(line, width - 2)))


def _conclude(report: Report) -> str:
    count, problems = len(report.servers), report.problems
    tokens = sum(each.tokens for each in report.servers)
    state = f"{problems} of {count} have problems" if problems else "all are fine"
    return f"{count} server{'' if count == 1 else 's'}, {state}; their tools cost about {tokens:,} tokens of a context."


def _to_json(report: Report) -> dict[str, object]:
    servers = [{**asdict(each), "problems": each.problems, "remarks": each.remarks} for each in report.servers]
    tokens = sum(each.tokens for each in report.servers)
    return {
        "path": str(report.path),
        "host": report.host,
        "failure": report.failure,
        "servers": servers,
        "tokens": tokens,
    }
