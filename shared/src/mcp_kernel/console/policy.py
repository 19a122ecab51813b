"""`mcp-kernel policy explain`: say what a role of the file of `--auth` may do, and why."""

from __future__ import annotations

import argparse
import json
from collections.abc import Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mcp_kernel.console.arguments import Written, fill_in, split_words
from mcp_kernel.console.terminal import Misuse, show

if TYPE_CHECKING:
    from mcp_kernel.auth.policy import Policy, Role
    from mcp_kernel.server.access import Sort

_PROMPT: Final = "prompt:"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]  # it has no public name
    """Add `policy`."""
    text = "look at the roles of a server that several people use (--auth)"
    parser = commands.add_parser("policy", help=text, description=text, allow_abbrev=False)
    actions = parser.add_subparsers(metavar="ACTION", required=True, title="actions", parser_class=type(parser))
    text = "say whether a role may call a tool, and why; the exit code is 1 where it may not"
    explain = actions.add_parser("explain", help=text, description=text, allow_abbrev=False)
    explain.add_argument("--auth", type=Path, required=True, metavar="FILE", help="the file of --auth")
    explain.add_argument(
        "--as", dest="roles", action="append", required=True, metavar="ROLE", help="a role; several are held together"
    )
    explain.add_argument("tool", metavar="TOOL", help="a tool, or the URI of a resource, or prompt:NAME")
    explain.add_argument(
        "words",
        nargs="*",
        metavar="KEY=VALUE",
        help="arguments: key=value, or key:=JSON as it is",
    )
    explain.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> Coroutine[object, object, int]:
    """Follow the command line."""

    async def work() -> int:
        policy = _read(arguments.auth)
        allowed, lines = explain(policy, arguments.roles, arguments.tool, split_words(arguments.words))
        for line in lines:
            show(line)
        return 0 if allowed else 1

    return work()


def _read(path: Path) -> Policy:
    from mcp_kernel.auth.policy import read_policy
    from mcp_kernel.auth.resource.document import Mistaken, read

    try:
        document = read(path)
        policy = read_policy(document)
        document.require_sound()
    except Mistaken as error:
        raise Misuse(str(error)) from None
    return policy


def explain(policy: Policy, names: list[str], what: str, written: list[Written]) -> tuple[bool, list[str]]:
    """Whether somebody who holds these roles may do it, and the lines that say why."""
    from mcp_kernel.auth.policy import EVERYONE

    sort, name = _sort_of(what)
    held = dict.fromkeys([*names, EVERYONE])
    roles = [policy.roles[each] for each in held if each in policy.roles]
    arguments = _choose(roles, name, written) if sort == "tools" else None
    view = policy.view_of(names)
    allowed = view.allows(sort, name, arguments)
    lines = ["allowed" if allowed else "refused"]
    lines += [f"{each} is no role of the file, and allows nothing" for each in names if each not in policy.roles]
    lines += [f"{role.name} {_judge(role, sort, name, arguments)}" for role in roles]
    denied = view.denied_tables(sort, name, arguments)
    if allowed and denied:
        lines.append(f"tables that do not exist for it: {', '.join(sorted(denied))}")
    return allowed, lines


def _sort_of(what: str) -> tuple[Sort, str]:
    if "://" in what:
        return "resources", what
    if what.startswith(_PROMPT):
        return "prompts", what.removeprefix(_PROMPT)
    return "tools", what


def _choose(roles: Sequence[Role], tool: str, written: Sequence[Written]) -> dict[str, object]:
    """The values of what is written: without the tool's schema, a text or its JSON, whichever a rule knows."""
    chosen: dict[str, object] = {}
    for each in written:
        (read,) = fill_in({}, [each]).values()
        texts = [] if each.json else [each.value]
        known = [value for value in (*texts, read) if any(role.fits(tool, each.key, value) for role in roles)]
        chosen[each.key] = known[0] if known else read
    return chosen


def _judge(role: Role, sort: Sort, name: str, arguments: Mapping[str, object] | None) -> str:
    patterns = ", ".join(each.text for each in role.patterns.get(sort, ()))
    if not role.allows(sort, name):
        silent = " (a role that names tools says so, if it is to read resources or use prompts)"
        hint = silent if sort != "tools" and not patterns else ""
        return f"does not allow {name}; of {sort} it allows {patterns or 'none'}{hint}"
    argument = role.unfit(name, arguments or {}) if sort == "tools" else None
    if argument is None:
        return f"allows it, among {patterns}"
    values = ", ".join(json.dumps(each) for each in role.arguments[name][argument])
    said = f"allows {name}, but {argument} may only be {values or 'nothing at all'}"
    if argument in (arguments or {}):
        return said
    return f"{said}; it is left out, so that the tool's default must be one of these"
