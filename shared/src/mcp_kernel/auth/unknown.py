"""Names of tools, prompts and arguments in the file of `--auth` that a server does not have.

They are no mistake, since a tool may come later and a file may be that of several servers; but a name that is misspelt
allows nothing and limits nothing, so that whoever runs the server is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, cast

from mcp_kernel.auth.policy import Pattern
from mcp_kernel.auth.resource.section import suggest

if TYPE_CHECKING:
    from mcp_kernel.auth.policy import Policy, Role
    from mcp_kernel.auth.resource.document import Document
    from mcp_kernel.server.server import Server

_Name = tuple[str, str, tuple[str, ...]]  # what it is the name of, the name, the keys that lead to it


def tell_unknown(document: Document, policy: Policy, server: Server) -> None:
    """Have the document warn of each name in its roles and limits that the server does not have."""
    known = {"tool": server.tools.names, "prompt": server.prompts.names}
    limits = document.value("limits", "tools")
    names = [name for role in policy.roles.values() for name in _names_of(role)]
    if isinstance(limits, Mapping):
        names += [("tool", str(name), ("limits", "tools", name)) for name in cast("Mapping[str, object]", limits)]
    for sort, name, keys in names:
        if not _is_known(name, known[sort]):
            document.warn(f"this server has no {sort} {name}{suggest(name, known[sort])}", *keys)
    for role in policy.roles.values():
        _tell_arguments(document, role, server)


def _names_of(role: Role) -> Iterator[_Name]:
    for sort in ("tools", "prompts"):
        for pattern in role.patterns.get(sort, ()):
            if pattern.text != "*":
                yield sort.removesuffix("s"), pattern.text, ("roles", role.name, sort)


def _is_known(name: str, known: Collection[str]) -> bool:
    pattern = Pattern(name)
    return any(pattern.fits(each) for each in known)


def _tell_arguments(document: Document, role: Role, server: Server) -> None:
    for name, rules in role.arguments.items():
        tool = server.tools.get(name)
        if tool is None:
            continue
        known = cast("Mapping[str, object]", tool.input_schema.get("properties") or {})
        for argument in rules:
            if argument not in known:
                text = f"{name} has no argument {argument}, which this rule wants in each call"
                document.warn(f"{text}{suggest(argument, known)}", "roles", role.name, "arguments", name, argument)
